"""Benchmarks of accuracy: what the integer programs of two real models lose against their float originals."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from lazai_core.api.service import Benchmark, BenchmarkResult

Progress = Callable[[int, int, str], None]

DIGITS_LOSS_POINTS_MAX = 1.0
COSINE_MEDIAN_MIN, COSINE_MIN = 0.99, 0.97


def bench_digits(seconds: float, progress: Progress) -> Sequence[BenchmarkResult]:
    """Percentage points that the digits classifier loses on the held-out images; all of them are always taken."""
    from lazai_core.exact.accuracy import digits_accuracy

    progress(0, 0, "training and compiling")
    found = digits_accuracy(lambda done, total: progress(done, total, "images"))
    notes = (
        f"float {100 * found.float_accuracy:.2f} %, exact {100 * found.exact_accuracy:.2f} %, "
        f"same answer for {100 * found.agreement:.2f} % of {found.images} images"
    )
    return [
        BenchmarkResult(
            name="digits-loss",
            value=found.loss_points,
            unit="points",
            bar=f"<= {DIGITS_LOSS_POINTS_MAX:g}",
            notes=notes,
        )
    ]


def bench_minilm(seconds: float, progress: Progress) -> Sequence[BenchmarkResult]:
    """Cosines of exact against float embeddings; all sentences are always taken."""
    from lazai_core.exact.accuracy import minilm_accuracy

    progress(0, 0, "compiling MiniLM to an exact program")
    found = minilm_accuracy(progress=lambda done, total: progress(done, total, "sentences"))
    return [
        BenchmarkResult(
            name="minilm-cosine-median",
            value=found.median,
            unit="cosine",
            bar=f">= {COSINE_MEDIAN_MIN:g}",
            notes=f"{found.sentences} sentences in several languages",
        ),
        BenchmarkResult(
            name="minilm-cosine-minimum",
            value=found.minimum,
            unit="cosine",
            bar=f">= {COSINE_MIN:g}",
            notes=f"of “{found.worst_sentence[:40]}”",
        ),
    ]


def accuracy_benchmarks() -> Iterable[Benchmark]:
    """All benchmarks of this module."""
    yield Benchmark(
        name="digits-accuracy",
        summary="what the exact digits classifier loses against the float one",
        run=bench_digits,
    )
    yield Benchmark(
        name="minilm-accuracy",
        summary="exact against float MiniLM embeddings of 200 sentences (about a minute)",
        run=bench_minilm,
    )
