"""`lazai bench torch-minilm`: exact MiniLM against the float32 model on the same device in the same run."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterable, Sequence

from lazai_core.api.errors import ComputeError
from lazai_core.api.service import Benchmark, BenchmarkResult

TOKENS = 32
BAR_RATIO = 2.0
Progress = Callable[[int, int, str], None]


def benchmarks() -> Iterable[Benchmark]:
    """The benchmarks of this plugin."""
    yield Benchmark(
        name="torch-minilm",
        summary=f"exact MiniLM, {TOKENS} tokens, against torch float32 in the same run",
        run=bench_minilm,
    )


def bench_minilm(seconds: float, progress: Progress) -> Sequence[BenchmarkResult]:
    """Median times of both, alternating so that load on the machine hits both alike."""
    from .bench_minilm import alternating_times_ms

    progress(0, 1, "compiling MiniLM to an exact program")
    exact_ms, float_ms, device = alternating_times_ms(seconds, TOKENS, progress)
    if not exact_ms:
        raise ComputeError("not one run fitted into the time budget", hint="give more seconds")
    exact, single = statistics.median(exact_ms), statistics.median(float_ms)
    spread = f"{len(exact_ms)} runs each, best {min(exact_ms):.2f} and {min(float_ms):.2f} ms, on {device}"
    return (
        BenchmarkResult(
            name="exact MiniLM, 32 tokens",
            value=exact,
            unit="ms",
            bar=f"<= {BAR_RATIO:g} x torch float32",
            peer=f"torch float32 {single:.2f} ms",
            ratio=exact / single,
            notes=spread,
        ),
    )


def timed_ms(run: Callable[[], object]) -> float:
    """Milliseconds of one call."""
    started = time.perf_counter()
    run()
    return (time.perf_counter() - started) * 1000.0
