"""Operations that only move elements."""

from __future__ import annotations

from ..program_types import EXTENT_MAX, RANK_MAX, SYMBOLIC, Shape, ValueInfo
from .base import Call, RuleViolation, axis_of, require, result_of, same_as


def reshape(call: Call) -> ValueInfo:
    """The same elements in the same order, for every value of the symbolic dimension."""
    x, shape = call.operands[0], call.integers("shape")
    require(len(shape) <= RANK_MAX, f"rank {len(shape)} exceeds {RANK_MAX}")
    require(all(n == SYMBOLIC or 1 <= n <= EXTENT_MAX for n in shape), f"shape {shape} has an impossible entry")
    require(call.dim is not None or SYMBOLIC not in shape, "the program has no symbolic dimension")
    same = _static_product(shape) == _static_product(x.shape) and shape.count(SYMBOLIC) == x.shape.count(SYMBOLIC)
    require(same, f"shapes {x.shape} and {shape} hold different numbers of elements")
    return same_as(x, shape)


def _static_product(shape: Shape) -> int:
    product = 1
    for entry in shape:
        product *= 1 if entry == SYMBOLIC else entry
    return product


def transpose(call: Call) -> ValueInfo:
    """Axes in another order."""
    x, permutation = call.operands[0], call.integers("permutation")
    require(
        sorted(permutation) == list(range(len(x.shape))),
        f"{permutation} does not permute {len(x.shape)} axes",
    )
    return same_as(x, tuple(x.shape[axis] for axis in permutation))


def concat(call: Call) -> ValueInfo:
    """Operands one after the other along a static axis."""
    first = call.operands[0]
    axis = axis_of(call, "axis", len(first.shape))
    extent = 0
    for value in call.operands:
        # Texts are made only where they are needed: a hostile program may hold millions of operands.
        if value.dtype != first.dtype or len(value.shape) != len(first.shape):
            raise RuleViolation("operands must have one dtype and one rank")
        if value.shape[:axis] != first.shape[:axis] or value.shape[axis + 1 :] != first.shape[axis + 1 :]:
            raise RuleViolation(f"shapes {first.shape} and {value.shape} differ outside axis {axis}")
        if value.shape[axis] == SYMBOLIC:
            raise RuleViolation(f"axis {axis} must not be symbolic")
        extent += value.shape[axis]
    low, high = min(v.low for v in call.operands), max(v.high for v in call.operands)
    return result_of(first.dtype, (*first.shape[:axis], extent, *first.shape[axis + 1 :]), low, high)


def slice_(call: Call) -> ValueInfo:
    """`length` entries of `axis` from `start`."""
    x = call.operands[0]
    axis = axis_of(call, "axis", len(x.shape))
    start, length = call.integer("start"), call.integer("length")
    require(length >= 1 or (length == SYMBOLIC and call.dim is not None), f"length {length} is impossible")
    require(start >= 0, f"start {start} must not be negative")
    if x.shape[axis] == SYMBOLIC and length == SYMBOLIC:
        require(start == 0, "a symbolic length of a symbolic axis starts at 0")
    else:
        end = start + call.largest(length)
        require(end <= call.smallest(x.shape[axis]), f"entries up to {end} are needed, the axis may have fewer")
    return same_as(x, (*x.shape[:axis], length, *x.shape[axis + 1 :]))
