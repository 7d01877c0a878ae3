"""SIGKILL at random moments of block commit: the chain is at a whole block, and nothing acknowledged is lost."""

from __future__ import annotations

import itertools
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
ROUNDS = 40
SEED = 20


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="the test forks")
def test_a_killed_node_is_at_a_whole_block(tmp_path: Path) -> None:
    finished = subprocess.run(
        [sys.executable, "-m", "tests.e2e.commit_crash", str(tmp_path), str(ROUNDS), str(SEED)],
        cwd=REPOSITORY,
        check=False,
        capture_output=True,
        text=True,
        timeout=300,
    )

    assert finished.returncode == 0, f"seed {SEED}: {finished.stderr[-4000:]}"
    report = json.loads(finished.stdout)
    assert len(report["heights"]) == ROUNDS
    assert all(earlier < later for earlier, later in itertools.pairwise(report["heights"]))
    # Some blocks are durable before the kill lets them be acknowledged; none is the other way round.
    assert report["heights"][-1] >= report["acknowledged"]
