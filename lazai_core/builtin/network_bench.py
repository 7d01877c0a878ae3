"""The benchmark of whole networks. Built-ins know no nodes; the process that they start does."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterable, Sequence

from lazai_core.api.errors import LazAIError
from lazai_core.api.service import Benchmark, BenchmarkResult

Progress = Callable[[int, int, str], None]

_NETWORK = "from lazai_core.cli.network_bench import main; main()"


def bench_network(seconds: float, progress: Progress) -> Sequence[BenchmarkResult]:
    """Transfers a second, time to finality, block interval and bytes of four validators on this machine."""
    results: list[BenchmarkResult] = []
    command = [sys.executable, "-c", _NETWORK, str(seconds)]
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
        raise LazAIError(f"the benchmark of a network failed: {errors.strip()[-2000:]}")
    return results


def network_benchmarks() -> Iterable[Benchmark]:
    """All benchmarks of this module."""
    yield Benchmark(
        name="network",
        summary="four validator processes: ERC-20 transfers over HTTP until final; give it --seconds 60",
        run=bench_network,
    )
