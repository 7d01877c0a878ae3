"""A benchmark in a process of its own: nothing else shares its time or its caches."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Sequence

from lazai_core.api.errors import LazAIError
from lazai_core.api.service import BenchmarkResult

Progress = Callable[[int, int, str], None]


def run_program(program: str, seconds: float, progress: Progress, what: str) -> Sequence[BenchmarkResult]:
    """Run Python source with the seconds as its argument.

    Its lines are "done total text" for progress, and at the end "RESULTS" and a JSON array. Raises LazAIError.
    """
    results: list[BenchmarkResult] = []
    command = [sys.executable, "-c", program, str(seconds)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if line.startswith("RESULTS "):
                results = [BenchmarkResult(**result) for result in json.loads(line.removeprefix("RESULTS "))]
            else:
                done, total, text = line.split(maxsplit=2)
                progress(int(done), int(total), text.strip())
        _, errors = process.communicate()
    if process.returncode != 0:
        raise LazAIError(f"the benchmark of {what} failed: {errors.strip()[-2000:]}")
    return results
