"""`lazai bench network`: every figure, and the picture, from a run that is too short to mean anything."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow


def test_the_benchmark_of_a_network_gives_every_figure_and_a_picture(tmp_path: Path) -> None:
    code = "from lazai_core.cli.main import main; main()"
    finished = subprocess.run(
        [sys.executable, "-c", code, "bench", "network", "--seconds", "2", "--json"],
        capture_output=True,
        check=False,
        cwd=tmp_path,
        text=True,
        timeout=300,
    )
    assert finished.returncode == 0, finished.stdout + finished.stderr
    found = {result["name"]: result for result in json.loads(finished.stdout)["results"]}
    assert {name: result["unit"] for name, result in found.items()} == {
        "network-throughput": "tx/s",
        "network-latency-p95": "s",
        "network-empty-interval": "s",
        "network-bytes": "B/tx",
        "network-processor": "ms/tx",
    }
    assert "600 ERC-20 transfers offered" in found["network-throughput"]["notes"]
    assert all(result["value"] > 0 for name, result in found.items() if name != "network-throughput")
    picture = tmp_path / "bench-out" / "network-latency.png"
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert (tmp_path / "bench-out" / "network-latency.svg").stat().st_size > 1000
