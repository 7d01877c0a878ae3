"""The prover's side of one level of the fraction tree: the two children of every node, and the rounds over them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from attrs import frozen

from . import scalars as f
from . import workspace
from .circuit import karray
from .field import DEGREE, Extension
from .kernels.arrays import (
    MONTGOMERY,
    Words,
    blocked,
    extension_values,
    k_words,
    lane_sums,
    lift_array,
    splat,
)
from .kernels.extension import fold, fold_base
from .kernels.fractions import (
    ALONE,
    BASE_TO_ZERO,
    FULL,
    OVER_BASE,
    PREFIX,
    TO_ONE,
    TO_ZERO,
    add_base_fractions,
    fold_last,
    round_sums,
)
from .kernels.sums import add_fractions
from .workers import split

LANES = 16
LOG_LOW = 10
"""The eq table of a level is kept as a product of two: one of this many variables, one of the others."""


@frozen(kw_only=True, eq=False)
class FractionLeaves:
    """2^variables fractions, at least 32: denominators `uint32[n / 16, 5, 16]`, numerators likewise or over F
    `uint32[n]`; 0/1 from n on.
    """

    variables: int
    numerators: Words
    denominators: Words

    def in_full(self) -> tuple[Words, Words]:
        """Both over K in blocks, all leaves."""
        blocks = (1 << self.variables) // LANES
        p = lift_array(self.numerators) if self.numerators.ndim == 1 else self.numerators
        return _with_tail(p, blocks, 0), _with_tail(self.denominators, blocks, MONTGOMERY)

    def children(self) -> Children:
        """The level that the leaves are."""
        half = (1 << self.variables) // (2 * LANES)
        p, q = self.numerators, self.denominators
        if p.ndim > 1:
            p, q = self.in_full()
        elif len(q) < half:
            p, q = _with_tail(p, LANES * half, 0), _with_tail(q, half, MONTGOMERY)
        cut = half * (len(p) // len(q))
        return Children(p[:cut], q[:half], p[cut:], q[half:])


def _with_tail(values: Words, count: int, one: int) -> Words:
    """Filled up to `count` entries or blocks, with the given word in the first coefficient and zeros else."""
    longer = workspace.room((count, *values.shape[1:]))
    longer[: len(values)] = values
    longer[len(values) :] = 0
    if one:
        longer[len(values) :, 0] = one
    return longer


class Children:
    """p0/q0 and p1/q1 for all nodes of a level, in blocks; the arrays are overwritten.

    Numerators may lie in F (`uint32[n]`). Then, and in the rounds that follow, the second child may be shorter than the
    first: 0/1 from its end on.
    """

    def __init__(self, p0: Words, q0: Words, p1: Words, q1: Words) -> None:
        self.p0, self.q0, self.p1, self.q1 = p0, q0, p1, q1
        self._complete()

    @property
    def base(self) -> bool:
        """Whether numerators lie in F."""
        return self.p0.ndim == 1

    def _complete(self) -> None:
        """Fill up the second child where it has cells in both halves of what is left, or none."""
        blocks, filled = len(self.q0), len(self.q1)
        if filled != blocks and (2 * filled > blocks or not filled):
            self.p1 = _with_tail(self.p1, len(self.p0), 0)
            self.q1 = _with_tail(self.q1, blocks, MONTGOMERY)

    def parents(self) -> tuple[Words, Words]:
        """Numerators and denominators one level up, over K."""
        blocks, filled = len(self.q0), len(self.q1)
        up_p, up_q = (workspace.room((blocks, DEGREE, LANES)) for _ in range(2))
        if not self.base:
            p, q = _side_by_side(self.p0, self.p1), _side_by_side(self.q0, self.q1)
            split(blocks, lambda begin, end: add_fractions(p, q, up_p, up_q, begin, end))
            return up_p, up_q
        p0, q0, p1, q1 = self.flat()
        out_p, out_q = up_p.reshape(-1), up_q.reshape(-1)
        split(filled, lambda begin, end: add_base_fractions(p0, q0, p1, q1, out_p, out_q, begin, end))
        up_p[filled:, 0] = self.p0.reshape(-1, LANES)[filled:]
        up_p[filled:, 1:] = 0
        up_q[filled:] = self.q0[filled:]
        return up_p, up_q

    def flat(self) -> tuple[Words, Words, Words, Words]:
        """The arrays as the kernels of rounds want them."""
        return self.p0.reshape(-1), self.q0.reshape(-1), self.p1.reshape(-1), self.q1.reshape(-1)

    def message(self, z: Sequence[Extension], low: Words, mix: Words) -> tuple[Extension, Extension]:
        """H(0) and the leading coefficient; z are the variables that stay free, `low` their low table."""
        half, filled = len(self.q0) // 2, len(self.q1)
        high = k_words(karray.eq_vector(z[LOG_LOW:], 1 << max(0, len(z) - LOG_LOW)))
        ranges = [(FULL, 0, half)] if filled == 2 * half else [(PREFIX, 0, filled), (ALONE, filled, half)]
        p0, q0, p1, q1 = self.flat()
        totals: list[Words] = []
        for kind, first, last in ranges:
            kind += OVER_BASE if self.base else 0

            def run(begin: int, end: int, kind: int = kind, first: int = first) -> None:
                total = np.zeros((2, DEGREE, LANES), dtype=np.uint32)
                round_sums(kind, p0, q0, p1, q1, half, low, high, mix, total, first + begin, first + end)
                totals.append(total)

            split(last - first, run, multiple=len(low))
        sums = [lane_sums(total) for total in totals]
        return f.sum_all([a for a, _ in sums]), f.sum_all([b for _, b in sums])

    def bind(self, challenge: Extension) -> None:
        """Fix the most significant variable of both children."""
        r, half, filled = splat(challenge), len(self.q0) // 2, len(self.q1)
        if filled == 2 * half:
            self.p1, self.q1 = _bound(self.p1, r, half), _bound(self.q1, r, half)
        else:
            self.p1 = _bound_to(BASE_TO_ZERO if self.base else TO_ZERO, self.p1, r, filled)
            self.q1 = _bound_to(TO_ONE, self.q1, r, filled)
        self.p0, self.q0 = _bound(self.p0, r, half), _bound(self.q0, r, half)
        self._complete()

    def lists(self) -> tuple[list[Extension], list[Extension]]:
        """Numerators and denominators of the first child, then of the second."""
        p0, p1 = (lift_array(p) if p.ndim == 1 else p for p in (self.p0, self.p1))
        return (
            [*extension_values(p0), *extension_values(p1)],
            [*extension_values(self.q0), *extension_values(self.q1)],
        )


def _side_by_side(first: Words, second: Words) -> Words:
    """Both children as one array: for nothing where they are the halves of one."""
    whole = first.base
    if isinstance(whole, np.ndarray) and whole is second.base and len(whole) == 2 * len(first):
        return whole
    return np.concatenate([first, second])


def _bound(values: Words, r: Words, half: int) -> Words:
    if values.ndim == 1:
        out = workspace.room((half, DEGREE, LANES))
        split(half, lambda begin, end: fold_base(values, out, r, begin, end))
        return out
    split(half, lambda begin, end: fold(values, values, r, begin, end))
    return values[:half]


def _bound_to(kind: int, values: Words, r: Words, blocks: int) -> Words:
    out = workspace.room((blocks, DEGREE, LANES)) if values.ndim == 1 else values
    source, target = values.reshape(-1), out.reshape(-1)
    split(blocks, lambda begin, end: fold_last(kind, source, r, target, begin, end))
    return out


def low_table(z: Sequence[Extension]) -> Words:
    """eq of the lowest variables, at least four, in blocks."""
    return blocked(karray.eq_vector(z[:LOG_LOW], 1 << min(len(z), LOG_LOW)))
