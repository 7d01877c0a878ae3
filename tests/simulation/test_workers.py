"""Workers of a simulation end with the process that started them, however it ended."""

from __future__ import annotations

import subprocess
import sys
import time

import psutil
import pytest

WAIT_S = 60

pytestmark = pytest.mark.slow


def test_workers_end_when_their_parent_is_killed() -> None:
    command = [sys.executable, "-c", "from lazai_core.cli.main import main; main()"]
    arguments = ["simulate", "--validators", "4", "--seeds", "100000", "--jobs", "2"]
    parent = subprocess.Popen([*command, *arguments], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        workers = _workers(parent.pid)
    finally:
        parent.kill()
        parent.wait()

    gone, alive = psutil.wait_procs(workers, timeout=WAIT_S)
    assert not alive, "workers go on without anybody to tell"
    assert len(gone) == 2


def _workers(pid: int) -> list[psutil.Process]:
    """The two workers, once they have begun to work."""
    until = time.monotonic() + WAIT_S
    while time.monotonic() < until:
        found = [child for child in psutil.Process(pid).children() if "spawn_main" in " ".join(child.cmdline())]
        if len(found) == 2 and all(child.cpu_times().user > 1 for child in found):
            return found
        time.sleep(0.1)
    raise AssertionError("two workers never began")
