"""Operations on one element, or on one element of each operand."""

from __future__ import annotations

from ..program_types import ANY, DType, Shape, ValueInfo
from .base import (
    SHIFT_MAX,
    SHIFT_MIN,
    Call,
    axis_of,
    clamp_attributes,
    require,
    require_accumulator,
    require_constant,
    require_narrow,
    result_of,
    round_shift,
    same_as,
)


def broadcast(left: Shape, right: Shape) -> Shape:
    """The numpy broadcast of two shapes; the symbolic dimension meets only itself or 1."""
    rank = max(len(left), len(right))
    padded_left = (1,) * (rank - len(left)) + left
    padded_right = (1,) * (rank - len(right)) + right
    result = []
    for a, b in zip(padded_left, padded_right, strict=True):
        require(a == b or a == 1 or b == 1, f"shapes {left} and {right} do not broadcast")
        result.append(b if a == 1 else a)
    return tuple(result)


def requantize(call: Call) -> ValueInfo:
    """`clamp(round_shift(x, s), low, high)`."""
    require(1 <= len(call.operands) <= 2, "one or two operands are needed")
    x = call.operands[0]
    dtype, low, high = clamp_attributes(call)
    first = last = call.integer("shift")
    if len(call.operands) == 2:
        shifts = call.operands[1]
        require_constant(shifts, "shifts", (DType.INT8,), 1)
        axis = axis_of(call, "axis", len(x.shape))
        require(first == 0, "shift must be 0 where shifts are given")
        require(
            x.shape[axis] == shifts.shape[0],
            f"axis {axis} has {x.shape[axis]} entries, shifts {shifts.shape[0]}",
        )
        first, last = shifts.low, shifts.high
    else:
        require(call.integer("axis") == 0, "axis must be 0 where no shifts are given")
    require(first >= SHIFT_MIN and last <= SHIFT_MAX, f"shifts [{first}, {last}] leave [{SHIFT_MIN}, {SHIFT_MAX}]")
    # floor(v / 2^s + 1/2) moves one way as s grows, so the ends of the shifts suffice.
    shifted = [round_shift(v, s) for v in (x.low, x.high) for s in (first, last)]
    bounds = [max(low, min(high, v)) for v in shifted]
    return result_of(dtype, x.shape, min(bounds), max(bounds))


def _sum_or_difference(call: Call, sign: int) -> ValueInfo:
    a, b = call.operands
    left, right = call.integer("shift_left"), call.integer("shift_right")
    require(0 <= left <= 15 and 0 <= right <= 15, f"shifts {left}, {right} must be from 0 to 15")
    ends = sorted((sign * b.low << right, sign * b.high << right))
    scaled = ((a.low << left, a.high << left), (ends[0], ends[1]))
    for low, high in scaled:
        require_accumulator(low, high, "a shifted operand")
    low, high = scaled[0][0] + scaled[1][0], scaled[0][1] + scaled[1][1]
    return result_of(DType.INT32, broadcast(a.shape, b.shape), low, high)


def add(call: Call) -> ValueInfo:
    """`a * 2^shift_left + b * 2^shift_right`."""
    return _sum_or_difference(call, 1)


def subtract(call: Call) -> ValueInfo:
    """`a * 2^shift_left - b * 2^shift_right`."""
    return _sum_or_difference(call, -1)


def multiply(call: Call) -> ValueInfo:
    """`a * b` element by element."""
    a, b = call.operands
    require_narrow(a, "a")
    require_narrow(b, "b")
    products = [p * q for p in (a.low, a.high) for q in (b.low, b.high)]
    return result_of(DType.INT32, broadcast(a.shape, b.shape), min(products), max(products))


def table(call: Call) -> ValueInfo:
    """`table[x - offset]`."""
    x, entries = call.operands
    require_constant(entries, "table", ANY, 1)
    offset = call.integer("offset")
    last = offset + entries.shape[0] - 1
    require(
        offset <= x.low and x.high <= last,
        f"x may reach [{x.low}, {x.high}], the table covers [{offset}, {last}]",
    )
    return same_as(entries, x.shape)


def gather(call: Call) -> ValueInfo:
    """`table[x]` along the first axis of a constant."""
    entries, x = call.operands
    require(entries.is_constant, "table must be a constant")
    require(len(entries.shape) >= 1, "table must have rank 1 or more")
    last = entries.shape[0] - 1
    require(x.low >= 0 and x.high <= last, f"x may reach [{x.low}, {x.high}], the table has rows 0 to {last}")
    return same_as(entries, x.shape + entries.shape[1:])
