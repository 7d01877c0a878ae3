"""requantize, table, gather and reduce_mean: quotients with remainders, and functions given by tables.

**requantize.** With S the largest shift and s the element's, X = 2^(S-s) x + 2^(S-1) and q = round_shift(x, s), the
division X = 2^S q + r, 0 <= r < 2^S holds for exactly one (q, r). r is not committed: the form X - 2^S q is looked up
in [0, 2^S). |X - 2^S q - r| < p is checked from the bounds of x, of q (enforced by the clamp's lookups) and r, so the
division holds over the integers. S may be raised to the width of a shared range table; the quotient stays the same.
y = clamp(q) as in `builder`. Where S <= 0 the quotient is the linear form 2^-s x, and only the clamp remains; a
quotient that might wrap is first cut down by a clamp of x that does not change the result.

**table.** (x - offset, y) is a row of (i, T[i]); T is in W. The rows are fixed by the key, so y is unique.

**gather.** With public indices y is a linear form of the constant. Otherwise (index * D + column, y) is a row.

**reduce_mean.** n y + r = S + floor(n/2), 0 <= r < n: two range checks of the form r, or one where n is 2^k.
"""

from __future__ import annotations

from math import prod

from lazai_core.api.program import Op
from lazai_core.api.program_rules.base import round_shift

from ..field import P
from . import algebra
from .builder import SMALL_BITS, Builder
from .layout import bits_of
from .nodes import Node
from .ops_linear import is_public, summed
from .relations import Fill

PREFIX_BITS_MAX = 29


def requantize(builder: Builder, op: Op, value: int) -> Node:
    """clamp(round_shift(x, s), low, high)."""
    x = builder.bounded(builder.value(op.operands[0]), "operand")
    shifts: tuple[int, ...] = (op.integer("shift"),)
    if len(op.operands) == 2:
        shifts = builder.public_constants[op.operands[1] - builder.program.first_constant]
    limits = (op.integer("low"), op.integer("high"))
    axis, image = op.integer("axis"), _image(builder, op.operands[0], x)
    reach = channel_reach(builder, op.operands[0], axis, shifts, x.magnitude)
    return shifted(builder, x, shifts, axis, limits, value, image, reach)


def _image(builder: Builder, operand: int, x: Node) -> bool:
    """Whether height and width may be one group: in products other than a convolution they may be of both operands."""
    index = operand - builder.program.first_result
    return operand in builder.images and (not x.bilinear or builder.program.ops[index].kind == "conv2d")


def channel_reach(
    builder: Builder, operand: int, axis: int, shifts: tuple[int, ...], magnitude: int
) -> tuple[int, ...] | None:
    """The bounds of |x| along `axis` where x is the result of a dense or conv2d whose rows' bounds are public."""
    index = operand - builder.program.first_result
    bounds = builder.channel_bounds.get(index)
    if bounds is None or len(shifts) == 1:
        return None
    last = len(builder.bound.shapes[operand]) - 1
    if axis != (last if builder.program.ops[index].kind == "dense" else 1):
        return None
    return tuple(min(bound, magnitude) for bound in bounds)


def shifted(
    builder: Builder,
    x: Node,
    shifts: tuple[int, ...],
    axis: int,
    limits: tuple[int, int],
    value: int | None,
    image: bool = False,
    reach: tuple[int, ...] | None = None,
) -> Node:
    """clamp(round_shift(x, s), *limits), also as a step of layer_norm and softmax (`value` None: a column).

    `reach` bounds |x| along the axis of the shifts, where more is known than x's own bounds.
    """
    if max(shifts) <= 0:
        return _left(builder, x, shifts, axis, limits, value, image)
    least, most = min(shifts), max(shifts)
    if reach is None:
        ends = [round_shift(end, s) for end in (x.low, x.high) for s in (least, most)]
        size = x.magnitude << (most - least)
    else:
        pairs = list(zip(reach, shifts, strict=True))
        # Within x's own interval too: what reads the result may have no more entries than that.
        ends = [round_shift(min(max(end, x.low), x.high), s) for bound, s in pairs for end in (-bound, bound)]
        size = max(bound << (most - s) for bound, s in pairs)
    bits = _shift_bits(builder, size, most)
    size <<= bits - most
    scaled = algebra.bounds(_scaled(x, shifts, axis, bits), -size, size)
    dividend = algebra.linear([(1, scaled)], 1 << (bits - 1))
    quotient = Fill(kind="floor", arguments=(dividend,), numbers=(bits,))
    room = ((P - 1 - dividend.magnitude) >> bits) - 1
    leaf, q, enforced = builder.clamp(value, x.shape, quotient, (min(ends), max(ends)), limits, room, image=image)
    bound = dividend.magnitude + ((enforced + 1) << bits)
    builder.no_wrap(bound, f"the division by 2^{most} (operand up to {x.magnitude}, shifts {least} to {most})")
    builder.check_exact("remainder", algebra.linear([(1, dividend), (-(1 << bits), q)]), bits, image=image)
    return leaf


def _scaled(x: Node, shifts: tuple[int, ...], axis: int, most: int) -> Node:
    """2^(most - s) x."""
    if len(shifts) == 1:
        return algebra.linear([(1 << (most - shifts[0]), x)])
    return algebra.scale(x, axis, [1 << (most - s) for s in shifts])


def _shift_bits(builder: Builder, size: int, most: int) -> int:
    """The remainder's width: that of a shared table where the numbers stay small enough."""
    large = builder.sizes.range_bits
    if SMALL_BITS < most < large and size << (large - most) < 1 << 28:
        return large
    return most


def _left(
    builder: Builder,
    x: Node,
    shifts: tuple[int, ...],
    axis: int,
    limits: tuple[int, int],
    value: int | None,
    image: bool,
) -> Node:
    """Shifts of zero or less: the quotient is linear, and it is clamped where it must be."""
    ends = [end << -s for end in (x.low, x.high) for s in (min(shifts), max(shifts))]
    q = _scaled(x, shifts, axis, 0)
    if min(ends) >= limits[0] and max(ends) <= limits[1]:
        builder.no_wrap(q.magnitude, "a left shift")
        return builder.bounded(q, "shifted")
    if q.magnitude >= 1 << PREFIX_BITS_MAX:
        raise builder.refuse(f"a left shift by {-min(shifts)} before the clamp reaches {q.magnitude}")
    quotient = Fill(kind="affine", arguments=(q,), numbers=(1, 0))
    room = P - 1 - q.magnitude
    leaf, form, enforced = builder.clamp(value, x.shape, quotient, (min(ends), max(ends)), limits, room, image=image)
    builder.no_wrap(enforced + q.magnitude, "the clamp of a left shift")
    builder.equality("left shift", algebra.linear([(1, q), (-1, form)]))
    return leaf


def table(builder: Builder, op: Op, value: int) -> Node:
    """T[x - offset]."""
    x = builder.bounded(builder.value(op.operands[0]), "operand")
    constant, offset = builder.value(op.operands[1]), op.integer("offset")
    image = _image(builder, op.operands[0], x)
    result = builder.leaf(value, constant.low, constant.high, image=image)
    if not builder.merge_function(x, constant, offset, result):
        builder.function("function", x, (x.low, x.high), constant, x.low - offset, result, image)
    return result


def gather(builder: Builder, op: Op, value: int) -> Node:
    """T[x] along the first axis."""
    constant, x = builder.value(op.operands[0]), builder.value(op.operands[1])
    if is_public(x):
        return algebra.rows(constant, x)
    x = builder.linear_form(x, "index")
    result = builder.leaf(value, constant.low, constant.high)
    width = prod(constant.shape[1:])
    flat = algebra.reshape(constant, (constant.shape[0] * width,))
    columns = [algebra.arange(flat.shape[0]), flat]
    index = builder.table(("gather", constant), f"rows of {width}", columns, "offset", (0,))
    spread = algebra.broadcast(algebra.reshape(x, (x.size, 1)), (x.size, width))
    across = algebra.broadcast(algebra.reshape(algebra.arange(width), (1, width)), (x.size, width))
    position = algebra.linear([(width, spread), (1, across)])
    builder.no_wrap(2 * flat.shape[0], "the index of a gather")
    builder.lookup("gather", [position, algebra.reshape(result, (x.size, width))], index)
    return result


def reduce_mean(builder: Builder, op: Op, value: int) -> Node:
    """floor((S + floor(n/2)) / n)."""
    x = builder.bounded(builder.value(op.operands[0]), "operand")
    shape = builder.bound.shapes[value]
    count = x.size // prod(shape)
    total = summed(x, op.integers("axes"), shape)
    return mean(builder, total, count, value, x.low, x.high)


def mean(builder: Builder, total: Node, count: int, value: int, low: int, high: int) -> Node:
    """The rounded quotient of a sum and the number of its terms, in [low, high] of the terms."""
    if count == 1:
        return total
    leaf = builder.leaf(value, low, high)
    reach = builder.check_signed("mean", leaf, low, high)
    remainder = algebra.linear([(1, total), (-count, leaf)], count // 2)
    divided(builder, remainder, count, total.magnitude + count + count * reach)
    return leaf


def divided(builder: Builder, remainder: Node, count: int, bound: int) -> None:
    """0 <= remainder < count."""
    bits = bits_of(count)
    builder.no_wrap(bound + (2 << max(bits, builder.sizes.range_bits)), f"the division by {count}")
    if count == 1 << bits:
        builder.check_exact("remainder", remainder, bits)
        return
    builder.check_range("remainder", remainder, bits)
    builder.check_range("remainder below", algebra.linear([(-1, remainder)], count - 1), bits)
