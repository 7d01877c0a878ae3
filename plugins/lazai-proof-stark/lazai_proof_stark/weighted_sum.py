"""The prover's side of the sumcheck of sum over x of f(x) w(x), most significant variable first."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from . import scalars as f
from . import workspace
from .field import DEGREE, Extension
from .kernels.arrays import Words, extension_values, lane_sums, splat
from .kernels.extension import fold, fold_base
from .kernels.sums import pair_round, pair_round_base
from .workers import split

LANES = 16


class WeightedSum:
    """f over F `uint32[n]` or over K in blocks, w over K in blocks; n need not be a power of two while halves are whole
    blocks. Arrays over K are overwritten.
    """

    def __init__(self, values: Words, weights: Words) -> None:
        self.values, self.weights = values, weights
        self._small: tuple[list[Extension], list[Extension]] | None = None

    def message(self) -> tuple[Extension, Extension]:
        """Value at 0 and leading coefficient of the round's polynomial."""
        if self._small is None and len(self.weights) < 2:
            self._small = (extension_values(self.values), extension_values(self.weights))
        if self._small is not None:
            return _small_round(*self._small)
        accumulators: list[Words] = []
        kernel = pair_round_base if self.values.ndim == 1 else pair_round

        def run(begin: int, end: int) -> None:
            accumulator = np.zeros((2, DEGREE, LANES), dtype=np.uint32)
            kernel(self.values, self.weights, accumulator, begin, end)
            accumulators.append(accumulator)

        split(len(self.weights) // 2, run)
        sums = [lane_sums(accumulator) for accumulator in accumulators]
        return f.sum_all([s[0] for s in sums]), f.sum_all([s[1] for s in sums])

    def bind(self, challenge: Extension) -> None:
        """Fix the most significant variable."""
        if self._small is not None:
            self._small = (_small_fold(self._small[0], challenge), _small_fold(self._small[1], challenge))
            return
        r = splat(challenge)
        half = len(self.weights) // 2
        values, weights = self.values, self.weights
        if values.ndim == 1:
            folded = workspace.room((half, DEGREE, LANES))
            split(half, lambda begin, end: fold_base(values, folded, r, begin, end))
            self.values = folded
        else:
            split(half, lambda begin, end: fold(values, values, r, begin, end))
            self.values = values[:half]
        split(half, lambda begin, end: fold(weights, weights, r, begin, end))
        self.weights = weights[:half]

    def remaining(self) -> list[Extension]:
        """The bound f."""
        return self._small[0] if self._small is not None else extension_values(self.values)


def _small_round(values: Sequence[Extension], weights: Sequence[Extension]) -> tuple[Extension, Extension]:
    half = len(values) // 2
    at_zero = f.sum_all([f.multiply(values[i], weights[i]) for i in range(half)])
    leading = f.sum_all(
        [
            f.multiply(f.subtract(values[i + half], values[i]), f.subtract(weights[i + half], weights[i]))
            for i in range(half)
        ]
    )
    return at_zero, leading


def _small_fold(values: Sequence[Extension], r: Extension) -> list[Extension]:
    half = len(values) // 2
    return [f.add(a, f.multiply(r, f.subtract(b, a))) for a, b in zip(values[:half], values[half:], strict=True)]
