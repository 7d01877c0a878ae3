"""The benchmark of whole networks. Built-ins know no nodes; the process that they start does."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from lazai_core.api.service import Benchmark, BenchmarkResult

from .bench_process import Progress, run_program

_NETWORK = "from lazai_core.cli.network_bench import main; main()"


def bench_network(seconds: float, progress: Progress) -> Sequence[BenchmarkResult]:
    """Transfers a second, time to finality, block interval and bytes of four validators on this machine."""
    return run_program(_NETWORK, seconds, progress, "a network")


def network_benchmarks() -> Iterable[Benchmark]:
    """All benchmarks of this module."""
    yield Benchmark(
        name="network",
        summary="four validator processes: ERC-20 transfers over HTTP until final; give it --seconds 60",
        run=bench_network,
    )
