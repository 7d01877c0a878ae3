"""Ranges of every float value over calibration samples: extremes, a histogram, means per channel.

Two deterministic passes over the samples: the first finds the extremes, the second fills histograms of
`|x|` whose bins those extremes fix.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from attrs import field, mutable

from lazai_core.api.errors import InvalidInput, UnsupportedProgram
from lazai_core.exact.compiler.float_executor import run_float
from lazai_core.exact.compiler.float_graph import Array, FloatGraph

BINS = 2048
CLIP_CANDIDATES = 96
FEW_MARGIN = 4.0
ROW_FLOOR = 1e-4
SMALLEST_REACH = 1e-9

LINEAR = frozenset({"dense", "conv2d", "matmul", "average_pool2d"})
MOVING = frozenset({"reshape", "transpose", "slice", "clip", "max_pool2d", "reduce_max", "concat"})
ABSORBING = frozenset({"dense", "conv2d", "layer_norm"})

Progress = Callable[[int, int], None]
ChooseExponents = Callable[[FloatGraph, Mapping[str, "ValueRange"]], Mapping[str, Array]]


@mutable(kw_only=True)
class ValueRange:
    """Statistics of one value. Channels run over the axis its linear readers sum over.

    `scaled` are those of the value with its channels divided by their powers of two, where it has such.
    """

    low: float = np.inf
    high: float = -np.inf
    histogram: Array = field(factory=lambda: np.zeros(BINS))
    observations: int = 0
    channel_sum: Array | None = None
    channel_square: Array | None = None
    channel_reach: Array | None = None
    rows: int = 0
    scaled: ValueRange | None = None

    @property
    def reach(self) -> float:
        """Largest absolute value seen."""
        return max(abs(self.low), abs(self.high), SMALLEST_REACH)

    @property
    def channel_mean(self) -> Array | None:
        return None if self.channel_sum is None or not self.rows else self.channel_sum / self.rows

    @property
    def channel_rms(self) -> Array | None:
        square = self.channel_square
        return None if square is None or not self.rows else np.sqrt(square / self.rows)

    def add_channels(self, array: Array, axis: int) -> None:
        """Take the sums per channel of one more array; a value whose channels vary in number has none."""
        channels = np.moveaxis(array, axis, -1)
        rows = channels.reshape(-1, channels.shape[-1]).astype(np.float64)
        if self.channel_sum is None:
            size = rows.shape[1]
            self.channel_sum, self.channel_square, self.channel_reach = (np.zeros(size) for _ in range(3))
        if self.channel_sum.shape != rows.shape[1:]:
            return
        assert self.channel_square is not None
        assert self.channel_reach is not None
        self.channel_sum += rows.sum(axis=0)
        self.channel_square += np.square(rows).sum(axis=0)
        np.maximum(self.channel_reach, np.abs(rows).max(axis=0), out=self.channel_reach)
        self.rows += rows.shape[0]

    def add_histogram(self, array: Array, importance: Array | None = None) -> None:
        """Count magnitudes by how much an error there matters.

        Errors count relative to their row (one token, one image): a row of large values bears larger errors.
        Within a row an error in channel k weighs `importance[k]` where that is given.
        """
        positions = np.minimum(np.abs(array) * (BINS / self.reach), BINS - 1).astype(np.int64)
        count = array.shape[0] if array.ndim == 4 else max(1, array.size // array.shape[-1] if array.ndim else 1)
        rows = np.square(array.reshape(count, -1), dtype=np.float64)
        weights = np.ones(rows.shape[1])
        if importance is not None and importance.shape == weights.shape:
            weights = importance / max(float(importance.mean()), 1e-30)
        energy = (rows * weights).mean(axis=1, keepdims=True)
        relative = weights / np.maximum(energy, self._energy_floor())
        self.histogram += np.bincount(positions.reshape(-1), weights=relative.reshape(-1), minlength=BINS)

    def _energy_floor(self) -> float:
        """Rows weaker than a tenth of the average are judged as if they were that strong."""
        rms = self.channel_rms
        return ROW_FLOOR * self.reach**2 if rms is None else max(0.1 * float(np.square(rms).mean()), 1e-30)

    @property
    def margin(self) -> float:
        """Few observations hardly show how far a value goes, so bounds are widened while they are few."""
        return 1.0 + FEW_MARGIN / float(np.sqrt(max(self.observations, 1)))

    def best_clip(self, levels: int) -> float:
        """The bound that minimises the mean square error of rounding to `levels` steps a side and clamping."""
        total = float(self.histogram.sum())
        if total <= 0:
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
        return best * self.margin


def calibrate(
    graph: FloatGraph,
    samples: Sequence[Mapping[str, Array]],
    choose_exponents: ChooseExponents,
    progress: Progress | None = None,
) -> dict[str, ValueRange]:
    """Ranges of all inputs, node results and constants of the graph.

    `choose_exponents` is asked once after the first pass for the powers of two of channels (see `smooth`).
    `progress` is called with (samples done, samples to do) over both passes. Raises `InvalidInput` when there
    are no samples, one does not fit the model, or a value is not finite.
    """
    if not samples:
        raise InvalidInput("calibration needs at least one sample", hint="give typical inputs of the model")
    ranges: dict[str, ValueRange] = {}
    absorbed = {name for node in graph.nodes for name in node.inputs[1:] if node.op in ABSORBING}
    absorbed |= {node.inputs[0] for node in graph.nodes if node.op == "gather"}
    for name, constant in graph.constants.items():
        if name not in absorbed:
            if not np.isfinite(constant).all():
                raise UnsupportedProgram(f"the constant {name!r} holds an infinity, which has no integer form")
            ranges[name] = _range_of(constant)
    steps = 2 * len(samples)
    wanted = channel_axes(graph)
    exponents: Mapping[str, Array] = {}
    binned = matrix_operands(graph)
    importance = channel_importance(graph)
    for second in (False, True):
        for position, sample in enumerate(samples):
            run_float(
                graph, sample, _fill(ranges, exponents, importance, binned) if second else _extremes(ranges, wanted)
            )
            if progress is not None:
                progress(second * len(samples) + position + 1, steps)
        if not second:
            exponents = choose_exponents(graph, ranges)
            _prepare_scaled(ranges, exponents)
    return ranges


def _prepare_scaled(ranges: Mapping[str, ValueRange], exponents: Mapping[str, Array]) -> None:
    for name, shifts in exponents.items():
        reach = ranges[name].channel_reach
        assert reach is not None
        top = float((reach * 2.0**-shifts).max())
        ranges[name].scaled = ValueRange(low=-top, high=top, observations=ranges[name].observations)


def matrix_operands(graph: FloatGraph) -> set[str]:
    """Values that a linear layer reads, seen through data movement: those whose bound is optimised."""
    found: set[str] = set()
    for node in reversed(graph.nodes):
        if node.op in LINEAR or (node.op in MOVING and node.output in found):
            found.update(node.inputs)
    return found


def channel_axes(graph: FloatGraph) -> dict[str, int]:
    """The axis along which the readers of a value sum over its channels; none where readers differ."""
    found: dict[str, set[int]] = {}
    for node in graph.nodes:
        if node.op in ("dense", "conv2d"):
            found.setdefault(node.inputs[0], set()).add(-1 if node.op == "dense" else 1)
    return {name: next(iter(axes)) for name, axes in found.items() if len(axes) == 1}


def channel_importance(graph: FloatGraph) -> dict[str, Array]:
    """How much an error in each channel of a value matters to the `dense` nodes that read it: their column norms."""
    found: dict[str, Array] = {}
    for node in graph.nodes:
        if node.op == "dense" and node.inputs[1] in graph.constants:
            energy = np.square(graph.constants[node.inputs[1]], dtype=np.float64).sum(axis=0)
            found[node.inputs[0]] = found.get(node.inputs[0], 0.0) + energy
    return found


def _range_of(array: Array) -> ValueRange:
    entry = ValueRange(low=float(array.min(initial=0.0)), high=float(array.max(initial=0.0)))
    entry.observations = array.size
    entry.add_histogram(array)
    return entry


def _extremes(ranges: dict[str, ValueRange], wanted: Mapping[str, int]) -> Callable[[str, Array], None]:
    def observe(name: str, array: Array) -> None:
        entry = ranges.setdefault(name, ValueRange())
        low, high = float(array.min()), float(array.max())
        if not np.isfinite(low) or not np.isfinite(high):
            raise InvalidInput(f"the float model gives a value that is not finite at {name!r}")
        entry.low, entry.high = min(entry.low, low), max(entry.high, high)
        entry.observations += array.size
        if name in wanted:
            entry.add_channels(array, wanted[name])

    return observe


def _fill(
    ranges: dict[str, ValueRange],
    exponents: Mapping[str, Array],
    importance: Mapping[str, Array],
    binned: set[str],
) -> Callable[[str, Array], None]:
    def observe(name: str, array: Array) -> None:
        if name not in binned:
            return
        entry, weights = ranges[name], importance.get(name)
        entry.add_histogram(array, weights)
        if entry.scaled is not None:
            scaled = None if weights is None else weights * 4.0 ** exponents[name]
            entry.scaled.add_histogram(array * 2.0 ** -exponents[name], scaled)

    return observe
