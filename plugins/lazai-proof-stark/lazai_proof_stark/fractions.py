"""GKR for sums of fractions (logarithmic-derivative lookups: Haboeck 2022/1530, Papini and Haboeck 2023/1284).

The leaves are fractions p[x] / q[x] over K, 2^t of them. A tree adds them in pairs x, x + half. The verifier learns
the root's numerator and denominator and ends with one claim about p and one about q at one random point; that the sum
is zero means: root numerator 0, root denominator not 0.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from attrs import frozen

from lazai_core.api.errors import ProofRejected

from . import scalars as f
from .field import DEGREE, Extension
from .fraction_levels import LOG_LOW, Children, FractionLeaves, low_table
from .kernels.arrays import Words, extension_array, extension_values, splat
from .kernels.extension import split_by
from .messages import Channel, Receiver, Sender
from .workers import split


@frozen(kw_only=True)
class LeafClaim:
    """What is left to show: p~(point) and q~(point), variable 0 first."""

    point: tuple[Extension, ...]
    numerator: Extension
    denominator: Extension


Lists = tuple[list[Extension], list[Extension]]
Level = Children | Lists


def _parent(level: Lists) -> Lists:
    p, q = level
    half = len(p) // 2
    return (
        [f.add(f.multiply(p[i], q[i + half]), f.multiply(p[i + half], q[i])) for i in range(half)],
        [f.multiply(q[i], q[i + half]) for i in range(half)],
    )


def _level(p: Words, q: Words) -> Level:
    """Halves of arrays over K as children."""
    half = len(p) // 2
    return Children(p[:half], q[:half], p[half:], q[half:]) if half else (extension_values(p), extension_values(q))


def prove_zero_sum(p: Words, q: Words, channel: Sender) -> LeafClaim:
    """Prove that the fractions of `uint32[2^t / 16, 5, 16]` arrays add up to zero; t at least 4."""
    return _prove(_level(p, q), channel)


def prove_leaves_zero_sum(leaves: FractionLeaves, channel: Sender) -> LeafClaim:
    """The same for leaves in short; at least 32."""
    return _prove(leaves.children(), channel)


def _prove(leaves: Level, channel: Sender) -> LeafClaim:
    levels: list[Children] = []
    while isinstance(leaves, Children):
        levels.append(leaves)
        leaves = _level(*leaves.parents())
    small = [leaves]
    while len(small[-1][0]) > 1:
        small.append(_parent(small[-1]))
    (_, root_denominator) = small.pop()
    channel.send_elements("root", root_denominator)
    (p0, p1), (q0, q1) = small.pop()
    channel.send_elements("children", [p0, p1, q0, q1])
    claim = descend(channel, (), p0, p1, q0, q1)
    below: list[Level] = [*reversed(small), *reversed(levels)]
    for level in below:
        claim = _prove_level(level, claim, channel)
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


def _prove_level(level: Level, claim: LeafClaim, channel: Sender) -> LeafClaim:
    mix = channel.challenge("mix")
    z, bound = list(claim.point), []
    factor: Words = splat(mix)
    low: Words | None = None
    while z:
        z.pop()
        if isinstance(level, Children) and len(level.q0) < 2:
            level = level.lists()
        if isinstance(level, Children):
            low = low_table(z) if low is None or len(z) < LOG_LOW else low
            message = level.message(z, low, factor)
        else:
            message = fraction_message(*level, f.eq_vector(z), mix)
        channel.send_elements("round", message)
        r = channel.challenge("round")
        if isinstance(level, Children):
            level.bind(r)
        else:
            level = (second_bound(level[0], r), second_bound(level[1], r))
        bound.append(r)
    p, q = level.lists() if isinstance(level, Children) else level
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
    for inverse in reversed(inverses):
        at_zero, leading = channel.receive_elements("round", 2)
        r = channel.challenge("round")
        value = f.weighted_quadratic(value, inverse, at_zero, leading, r)
        bound.append(r)
    p0, p1, q0, q1 = channel.receive_elements("children", 4)
    mixed = f.add(p1, f.multiply(mix, q1))
    if f.add(f.multiply(p0, q1), f.multiply(q0, mixed)) != value:
        raise ProofRejected(f"level {level} of the fraction tree does not match its claim", check="lookup level")
    return descend(channel, list(reversed(bound)), p0, p1, q0, q1)
