"""Ranges of every float value over calibration samples: extremes, a histogram, means per channel.

Two deterministic passes over the samples: the first finds the extremes, the second fills histograms of
`|x|` whose bins those extremes fix.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from attrs import field, mutable

from lazai_core.api.errors import InvalidInput
from lazai_core.exact.compiler.float_executor import run_float
from lazai_core.exact.compiler.float_graph import Array, FloatGraph

BINS = 2048
CLIP_CANDIDATES = 96
FEW_MARGIN = 4.0
SMALLEST_REACH = 1e-9

Progress = Callable[[int, int], None]


@mutable(kw_only=True)
class ValueRange:
    """Statistics of one value. `channel_mean` runs over the last axis (axis 1 of rank-4 values)."""

    low: float = np.inf
    high: float = -np.inf
    histogram: Array = field(factory=lambda: np.zeros(BINS, dtype=np.int64))
    channel_sum: Array | None = None
    rows: int = 0

    @property
    def reach(self) -> float:
        """Largest absolute value seen."""
        return max(abs(self.low), abs(self.high), SMALLEST_REACH)

    @property
    def channel_mean(self) -> Array | None:
        return None if self.channel_sum is None or not self.rows else self.channel_sum / self.rows

    def best_clip(self, levels: int) -> float:
        """The bound that minimises the mean square error of rounding to `levels` steps a side and clamping."""
        total = int(self.histogram.sum())
        if not total:
            return self.reach
        centres = (np.arange(BINS) + 0.5) * (self.reach / BINS)
        best, best_error = self.reach, np.inf
        for fraction in np.linspace(0.15, 1.0, CLIP_CANDIDATES):
            clip = float(fraction) * self.reach
            step = clip / levels
            outside = np.maximum(centres - clip, 0.0)
            error = float((self.histogram * outside**2).sum()) + total * step * step / 12
            if error < best_error:
                best, best_error = clip, error
        # Few observations hardly show how far a value goes, so the bound is widened while they are few.
        return best * (1.0 + FEW_MARGIN / float(np.sqrt(total)))


def calibrate(
    graph: FloatGraph, samples: Sequence[Mapping[str, Array]], progress: Progress | None = None
) -> dict[str, ValueRange]:
    """Ranges of all inputs, node results and constants of the graph.

    `progress` is called with (samples done, samples to do) over both passes. Raises `InvalidInput` when there
    are no samples, one does not fit the model, or a value is not finite.
    """
    if not samples:
        raise InvalidInput("calibration needs at least one sample", hint="give typical inputs of the model")
    ranges: dict[str, ValueRange] = {}
    for name, constant in graph.constants.items():
        ranges[name] = _range_of(constant)
    steps = 2 * len(samples)
    for second in (False, True):
        for position, sample in enumerate(samples):
            run_float(graph, sample, _fill(ranges) if second else _extremes(ranges))
            if progress is not None:
                progress(second * len(samples) + position + 1, steps)
    return ranges


def _range_of(array: Array) -> ValueRange:
    entry = ValueRange(low=float(array.min(initial=0.0)), high=float(array.max(initial=0.0)))
    entry.histogram = np.histogram(np.abs(array), bins=BINS, range=(0.0, entry.reach))[0]
    return entry


def _extremes(ranges: dict[str, ValueRange]) -> Callable[[str, Array], None]:
    def observe(name: str, array: Array) -> None:
        entry = ranges.setdefault(name, ValueRange())
        low, high = float(array.min()), float(array.max())
        if not np.isfinite(low) or not np.isfinite(high):
            raise InvalidInput(f"the float model gives a value that is not finite at {name!r}")
        entry.low, entry.high = min(entry.low, low), max(entry.high, high)

    return observe


def _fill(ranges: dict[str, ValueRange]) -> Callable[[str, Array], None]:
    def observe(name: str, array: Array) -> None:
        entry = ranges[name]
        magnitudes = np.abs(array)
        positions = np.minimum((magnitudes * (BINS / entry.reach)).astype(np.int64), BINS - 1)
        entry.histogram += np.bincount(positions.reshape(-1), minlength=BINS)
        channels = np.moveaxis(array, 1, -1) if array.ndim == 4 else array
        if array.ndim >= 1:
            sums = channels.reshape(-1, channels.shape[-1]).sum(axis=0, dtype=np.float64)
            if entry.channel_sum is None or entry.channel_sum.shape == sums.shape:
                entry.channel_sum = sums if entry.channel_sum is None else entry.channel_sum + sums
                entry.rows += array.size // channels.shape[-1]

    return observe
