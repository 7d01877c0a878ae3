"""The example `examples/solo_node`, as a reader would run it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.tidy.tree import REPOSITORY

pytestmark = pytest.mark.slow


def test_the_example_runs_and_the_node_stops_cleanly(tmp_path: Path) -> None:
    script = REPOSITORY / "examples" / "solo_node" / "solo_node.py"
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}

    finished = subprocess.run(
        [sys.executable, str(script)],
        capture_output=True,
        check=False,
        cwd=tmp_path,
        env=environment,
        text=True,
        timeout=120,
    )

    assert finished.returncode == 0, finished.stderr
    assert "node.ready" in finished.stdout
    assert "the node ended with 0" in finished.stdout
    assert list(tmp_path.iterdir()) == []
