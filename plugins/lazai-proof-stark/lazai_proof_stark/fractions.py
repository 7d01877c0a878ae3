"""GKR for sums of fractions (logarithmic-derivative lookups: Haboeck 2022/1530, Papini and Haboeck 2023/1284).

The leaves are fractions p[x] / q[x] over K, 2^t of them. A tree adds them in pairs x, x + half. The verifier learns
the root's
numerator and denominator and ends with one claim about p and one about q at one random point; that the sum is zero
means: root numerator 0, root denominator not 0.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from attrs import frozen

from lazai_core.api.errors import ProofRejected

from . import scalars as f
from .field import DEGREE, Extension
from .kernels.arrays import Words, extension_array, extension_values, lane_sums, splat
from .kernels.extension import fold, split_by
from .kernels.sums import add_fractions, fraction_round
from .messages import Channel, Receiver, Sender
from .workers import split

KERNEL_LEAVES_MIN = 64
"""A level of fewer children is handled in Python: a quarter must fill a block of sixteen."""


@frozen(kw_only=True)
class LeafClaim:
    """What is left to show: p~(point) and q~(point), variable 0 first."""

    point: tuple[Extension, ...]
    numerator: Extension
    denominator: Extension


Values = Words | list[Extension]
Level = tuple[Values, Values]


def _size(level: Level) -> int:
    p = level[0]
    return len(p) if isinstance(p, list) else 16 * len(p)


def _parent(level: Level) -> Level:
    p, q = level
    if isinstance(p, list) or isinstance(q, list):
        numerators, denominators = _as_lists(level)
        half = len(numerators) // 2
        return (
            [
                f.add(
                    f.multiply(numerators[i], denominators[i + half]), f.multiply(numerators[i + half], denominators[i])
                )
                for i in range(half)
            ],
            [f.multiply(denominators[i], denominators[i + half]) for i in range(half)],
        )
    half = len(p) // 2
    if not half:
        return _parent((extension_values(p), extension_values(q)))
    up_p, up_q = (np.empty((half, DEGREE, 16), dtype=np.uint32) for _ in range(2))
    split(half, lambda begin, end: add_fractions(p, q, up_p, up_q, begin, end))
    return up_p, up_q


def _as_lists(level: Level) -> tuple[list[Extension], list[Extension]]:
    p, q = level
    return (
        p if isinstance(p, list) else extension_values(p),
        q if isinstance(q, list) else extension_values(q),
    )


def prove_zero_sum(p: Words, q: Words, channel: Sender) -> LeafClaim:
    """Prove that the fractions of `uint32[2^t / 16, 5, 16]` arrays add up to zero; t at least 4."""
    levels: list[Level] = [(p, q)]
    while _size(levels[-1]) > 1:
        levels.append(_parent(levels[-1]))
    (_, root_denominator) = _as_lists(levels.pop())
    channel.send_elements("root", root_denominator)
    top_p, top_q = _as_lists(levels.pop())
    channel.send_elements("children", [*top_p, *top_q])
    claim = descend(channel, (), top_p[0], top_p[1], top_q[0], top_q[1])
    while levels:
        claim = _prove_level(levels.pop(), claim, channel)
    return claim


def descend(
    channel: Channel,
    point: Sequence[Extension],
    p0: Extension,
    p1: Extension,
    q0: Extension,
    q1: Extension,
) -> LeafClaim:
    """From both children's values at a point to one value a level below: the child bit is the top variable."""
    r = channel.challenge("child")
    return LeafClaim(
        point=(*point, r),
        numerator=f.add(p0, f.multiply(r, f.subtract(p1, p0))),
        denominator=f.add(q0, f.multiply(r, f.subtract(q1, q0))),
    )


def eq_tables(z: Sequence[Extension]) -> list[Words]:
    """eq(z[:k], x) for all x in blocks, for k = 4 .. len(z): each comes from the one before."""
    tables = [extension_array(f.eq_vector(z[:4]))]
    for coordinate in z[4:]:
        source = tables[-1]
        doubled = np.empty((2 * len(source), DEGREE, 16), dtype=np.uint32)
        r = splat(coordinate)

        def run(begin: int, end: int, s: Words = source, c: Words = r, o: Words = doubled) -> None:
            split_by(s, c, o, begin, end)

        split(len(source), run)
        tables.append(doubled)
    return tables


class _FractionSums:
    """The prover's side of one level: children arrays p, q (halves are the two children)."""

    def __init__(self, level: Level, z: Sequence[Extension], mix: Extension) -> None:
        self.p: Words | list[Extension] = level[0]
        self.q: Words | list[Extension] = level[1]
        self.z = list(z)
        self.mix = mix
        self._tables = eq_tables(self.z[:-1]) if len(self.z) > 4 else []

    def message(self) -> tuple[Extension, Extension]:
        """H(0) and the leading coefficient of H(X) = sum_x' eq(z', x') inner(X, x')."""
        if isinstance(self.p, list) or _size((self.p, self.q)) < KERNEL_LEAVES_MIN:
            return self._small_message()
        p, q = self.p, self.q
        assert not isinstance(q, list)
        table, factor = self._tables[len(self.z) - 5], splat(self.mix)
        accumulators: list[Words] = []

        def run(begin: int, end: int) -> None:
            accumulator = np.zeros((2, DEGREE, 16), dtype=np.uint32)
            fraction_round(p, q, table, factor, accumulator, begin, end)
            accumulators.append(accumulator)

        split(len(p) // 4, run)
        sums = [lane_sums(accumulator) for accumulator in accumulators]
        return f.sum_all([s[0] for s in sums]), f.sum_all([s[1] for s in sums])

    def _small_message(self) -> tuple[Extension, Extension]:
        p, q = _as_lists((self.p, self.q))
        self.p, self.q = p, q
        return fraction_message(p, q, f.eq_vector(self.z[:-1]), self.mix)

    def bind(self, r: Extension) -> None:
        """Fix the top variable of the level above: it is the second most significant of p and q."""
        self.z.pop()
        self.p, self.q = _bind_second(self.p, r), _bind_second(self.q, r)


def fraction_message(
    p: Sequence[Extension], q: Sequence[Extension], weights: Sequence[Extension], mix: Extension
) -> tuple[Extension, Extension]:
    """A round: H(0) and the leading coefficient, from the children p, q `[4 n]` and eq's weights `[n]`."""
    quarter = len(p) // 4

    def inner(p0: Extension, p1: Extension, q0: Extension, q1: Extension) -> Extension:
        mixed = f.add(p1, f.multiply(mix, q1))
        return f.add(f.multiply(p0, q1), f.multiply(q0, mixed))

    at_zero, leading = f.ZERO, f.ZERO
    for i in range(quarter):
        a, b = [p[i + k * quarter] for k in range(4)], [q[i + k * quarter] for k in range(4)]
        at_zero = f.add(at_zero, f.multiply(weights[i], inner(a[0], a[2], b[0], b[2])))
        steps = (f.subtract(a[1], a[0]), f.subtract(a[3], a[2]), f.subtract(b[1], b[0]), f.subtract(b[3], b[2]))
        leading = f.add(leading, f.multiply(weights[i], inner(*steps)))
    return at_zero, leading


def second_bound(values: Sequence[Extension], r: Extension) -> list[Extension]:
    """Both children, which are the halves, with their top variable fixed to r."""
    quarter = len(values) // 4
    return [
        f.add(values[i], f.multiply(r, f.subtract(values[i + quarter], values[i])))
        for start in (0, 2 * quarter)
        for i in range(start, start + quarter)
    ]


def _bind_second(values: Words | list[Extension], r: Extension) -> Words | list[Extension]:
    if isinstance(values, list):
        return second_bound(values, r)
    if len(values) < 4:
        return second_bound(extension_values(values), r)
    # In place: the first child's fold leaves the second quarter free for the second child's.
    quarter = len(values) // 4
    challenge = splat(r)
    for child in range(2):
        source = values[2 * quarter * child : 2 * quarter * (child + 1)]
        target = values[quarter * child : quarter * (child + 1)]

        def run(begin: int, end: int, s: Words = source, o: Words = target) -> None:
            fold(s, o, challenge, begin, end)

        split(quarter, run)
    return values[: 2 * quarter]


def _prove_level(level: Level, claim: LeafClaim, channel: Sender) -> LeafClaim:
    mix = channel.challenge("mix")
    sums = _FractionSums(level, claim.point, mix)
    bound: list[Extension] = []
    for _ in claim.point:
        channel.send_elements("round", sums.message())
        r = channel.challenge("round")
        sums.bind(r)
        bound.append(r)
    p, q = _as_lists((sums.p, sums.q))
    channel.send_elements("children", [*p, *q])
    return descend(channel, list(reversed(bound)), p[0], p[1], q[0], q[1])


def check_zero_sum(variables: int, channel: Receiver) -> LeafClaim:
    """Verify. Raises ProofRejected with the check that failed, ProofMalformed."""
    (root,) = channel.receive_elements("root", 1)
    p0, p1, q0, q1 = channel.receive_elements("children", 4)
    if root == f.ZERO:
        raise ProofRejected("a denominator of the sum is zero", check="lookup root")
    if f.add(f.multiply(p0, q1), f.multiply(p1, q0)) != f.ZERO:
        raise ProofRejected("the fractions do not add up to zero", check="lookup root")
    if f.multiply(q0, q1) != root:
        raise ProofRejected("the root does not belong to its children", check="lookup root")
    claim = descend(channel, (), p0, p1, q0, q1)
    for level in range(1, variables):
        claim = _check_level(level, claim, channel)
    return claim


def _check_level(level: int, claim: LeafClaim, channel: Receiver) -> LeafClaim:
    mix = channel.challenge("mix")
    value = f.add(claim.numerator, f.multiply(mix, claim.denominator))
    if f.ZERO in claim.point:
        raise ProofRejected("a challenge is zero", check="lookup level")
    inverses = f.invert_all(claim.point)
    bound: list[Extension] = []
    for z, inverse in zip(reversed(claim.point), reversed(inverses), strict=True):
        at_zero, leading = channel.receive_elements("round", 2)
        r = channel.challenge("round")
        value = _after_round(value, z, inverse, at_zero, leading, r)
        bound.append(r)
    p0, p1, q0, q1 = channel.receive_elements("children", 4)
    mixed = f.add(p1, f.multiply(mix, q1))
    if f.add(f.multiply(p0, q1), f.multiply(q0, mixed)) != value:
        raise ProofRejected(f"level {level} of the fraction tree does not match its claim", check="lookup level")
    return descend(channel, list(reversed(bound)), p0, p1, q0, q1)


def _after_round(
    value: Extension, z: Extension, inverse: Extension, at_zero: Extension, leading: Extension, r: Extension
) -> Extension:
    """H(r) from H(0), the leading coefficient, and (1 - z) H(0) + z H(1) = value."""
    at_one = f.add(at_zero, f.multiply(f.subtract(value, at_zero), inverse))
    linear = f.subtract(f.subtract(at_one, at_zero), leading)
    return f.add(at_zero, f.multiply(r, f.add(linear, f.multiply(r, leading))))
