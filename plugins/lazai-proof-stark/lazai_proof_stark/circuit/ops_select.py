"""Maxima and argmax.

**Maximum of two.** m = max(a, b): (b - a, m - a) is a row of (d, max(d, 0)); so m is unique. Where the differences are
too wide for a table: m - a and m - b are cut into digits p_i, n_i with (s, p_i) and (-s, n_i) in the rows (1, 0) and
(-1, n), 0 <= n < 256: s is 1 or -1, one of the differences is zero and the other is not negative.
A maximum over many is a tree of these, in halves that may overlap; windows go along one axis after the other. Cells of
a pooling window that lie outside count as the interval's lower end, which changes nothing as every window has a cell.

**argmax.** For the claimed index i, l_j = [j < i] by a lookup of (j - i, l_j); o_j = l_(j-1) - l_j is then 1 at j = i
only (l_(-1) = 1), i lies in [0, n - 1] because the table's rows are -(n-1) to n-1 at both ends of the axis, and
M = sum of o_j x_j = x_i. All M - x_j - l_j >= 0: x_j <= M, and x_j < M before i. That holds for one i alone.
"""

from __future__ import annotations

from lazai_core.api.program import Op

from . import algebra
from .builder import SMALL_BITS, Builder
from .layout import bits_of
from .meter import GAS_POSITION
from .nodes import Committed, Node, Public, Shape
from .ops_linear import LETTERS
from .relations import WIDTH_MAX, Fill


def maximum(builder: Builder, a: Node, b: Node, value: int | None, *, image: bool = False) -> Node:
    """max(a, b) as a leaf: program value `value`, or an auxiliary column."""
    low, high = max(a.low, b.low), max(a.high, b.high)
    leaf: Committed | Public
    if value is None:
        fill = Fill(kind="maximum", arguments=(a, b))
        leaf = builder.column("maximum", a.shape, low, high, fill, image=image)
    else:
        leaf = builder.leaf(value, low, high, image=image)
    reach = max(b.high - a.low, a.high - b.low, 0)
    rise = algebra.linear([(1, leaf), (-1, a)])
    builder.no_wrap(4 * reach + 2, "the difference of two maxima")
    if 2 * reach + 1 <= WIDTH_MAX:
        columns = [
            algebra.arange(2 * reach + 1, -reach),
            algebra.concat([*([algebra.uniform((reach,), 0)] if reach else []), algebra.arange(reach + 1)], 0),
        ]
        table = builder.table(("positive", reach), f"positive part {reach}", columns, "offset", (-reach,))
        builder.lookup("maximum", [algebra.linear([(1, b), (-1, a)]), rise], table, image=image)
        return leaf
    falls = Fill(kind="below_zero", arguments=(algebra.linear([(1, b), (-1, a)], -1),))
    sign = Fill(kind="affine", arguments=(falls,), numbers=(2, -1))
    chosen = builder.column("which is larger", a.shape, -1, 1, sign, image=image)
    for s, difference in (
        (chosen, rise),
        (algebra.linear([(-1, chosen)]), algebra.linear([(1, leaf), (-1, b)])),
    ):
        _digits(builder, s, algebra.bounds(difference, 0, reach), bits_of(reach + 1), image)
    return leaf


def _digits(builder: Builder, sign: Node, difference: Node, bits: int, image: bool) -> None:
    """`difference` is zero where sign is 1, and in [0, 2^(8 k)) where it is -1."""
    count = 1 << SMALL_BITS
    signs = [algebra.uniform((1,), 1), algebra.uniform((count,), -1)]
    values = [algebra.uniform((1,), 0), algebra.arange(count)]
    columns = [algebra.concat(signs, 0), algebra.concat(values, 0)]
    table = builder.table(("either",), "zero or digit", columns, "either", (count,))
    lowest, place = difference, SMALL_BITS
    while place < bits:
        limb = builder.limb("difference digit", difference, difference.shape, place, SMALL_BITS)
        builder.lookup("difference", [sign, limb], table, image=image)
        lowest = algebra.linear([(1, lowest), (-(1 << place), limb)])
        place += SMALL_BITS
    builder.no_wrap((1 << place) + difference.magnitude, "the digits of a difference")
    builder.lookup("difference", [sign, lowest], table, image=image)


def max_pool2d(builder: Builder, op: Op, value: int) -> Node:
    """Along the width, then along the height."""
    x = builder.linear_form(builder.bounded(builder.value(op.operands[0]), "operand"), "operand")
    out = builder.bound.shapes[value]
    kernel, strides, pads = op.integers("kernel"), op.integers("strides"), op.integers("pads")
    builder.meter.charge(GAS_POSITION * sum(kernel))
    wide = [_position(x, 3, j, out[3], strides[1], pads[1]) for j in range(kernel[1])]
    if kernel[0] == 1:
        rows = _largest(builder, [_position(p, 2, 0, out[2], strides[0], pads[0]) for p in wide], value)
        return rows
    across = _largest(builder, wide, None)
    tall = [_position(across, 2, i, out[2], strides[0], pads[0]) for i in range(kernel[0])]
    return _largest(builder, tall, value)


def _position(x: Node, axis: int, offset: int, out: int, stride: int, pad: int) -> Node:
    """The elements that all windows have at one position, the interval's lower end outside."""
    start, last = offset - pad, offset - pad + (out - 1) * stride
    if start >= 0 and last < x.shape[axis]:
        return algebra.cut(x, axis, start, out, stride)
    moved = algebra.take(algebra.window(x, axis, 1, out, stride, 1, -start), axis, 0)
    present = algebra.reshape(algebra.inside(x.shape[axis], 1, out, stride, 1, -start), (out,))
    filled = algebra.linear([(1, moved), (-x.low, algebra.along(present, moved.shape, axis))], x.low)
    return algebra.bounds(filled, x.low, x.high)


def _largest(builder: Builder, parts: list[Node], value: int | None) -> Node:
    """The maximum of several nodes of one shape; the last step is program value `value`."""
    while len(parts) > 1:
        pairs = [(parts[i], parts[i + 1]) for i in range(0, len(parts) - 1, 2)]
        final = len(parts) == 2
        rest = parts[2 * len(pairs) :]
        parts = [maximum(builder, a, b, value if final else None, image=True) for a, b in pairs] + rest
    return parts[0]


def reduce_max(builder: Builder, op: Op, value: int) -> Node:
    """A tree of halves along the reduced axes, flattened."""
    x = builder.linear_form(builder.bounded(builder.value(op.operands[0]), "operand"), "operand")
    axes, shape = op.integers("axes"), builder.bound.shapes[value]
    kept = [axis for axis in range(len(x.shape)) if axis not in axes]
    moved = algebra.transpose(x, [*kept, *axes])
    lead = tuple(x.shape[axis] for axis in kept)
    count = x.size // max(1, _size(lead))
    node = algebra.reshape(moved, (*lead, count))
    while count > 1:
        half = (count + 1) // 2
        a, b = algebra.cut(node, len(lead), 0, half), algebra.cut(node, len(lead), count - half, half)
        if half == 1:
            return maximum(builder, algebra.reshape(a, shape), algebra.reshape(b, shape), value)
        node, count = maximum(builder, a, b, None), half
    return algebra.reshape(node, shape)


def _size(shape: Shape) -> int:
    size = 1
    for extent in shape:
        size *= extent
    return size


def argmax(builder: Builder, op: Op, value: int) -> Node:
    """The lowest index of the maximum."""
    x = builder.linear_form(builder.bounded(builder.value(op.operands[0]), "operand"), "operand")
    axis, shape = op.integer("axis"), builder.bound.shapes[value]
    last, count = len(x.shape) - 1, x.shape[axis]
    if count == 1:
        return algebra.uniform(shape, 0)
    moved = algebra.transpose(x, [*(a for a in range(last + 1) if a != axis), axis])
    full = moved.shape
    index = builder.leaf(value, 0, count - 1)
    spread = algebra.broadcast(algebra.reshape(index, (*shape, 1)), full)
    offset = algebra.linear([(1, algebra.along(algebra.arange(count), full, last)), (-1, spread)])
    before = builder.column("before", full, 0, 1, Fill(kind="below_zero", arguments=(offset,)))
    steps: list[Node] = [algebra.arange(2 * count - 1, 1 - count)]
    steps.append(algebra.concat([algebra.uniform((count - 1,), 1), algebra.uniform((count,), 0)], 0))
    table = builder.table(("step", count), f"step {count}", steps, "offset", (1 - count,))
    builder.lookup("step", [offset, before], table)
    earlier = algebra.concat([algebra.uniform((*full[:-1], 1), 1), algebra.cut(before, last, 0, count - 1)], last)
    chosen = algebra.bounds(algebra.linear([(1, earlier), (-1, before)]), 0, 1)
    letters = LETTERS[: last + 1]
    largest = algebra.product(chosen, moved, f"{letters},{letters}->{letters[:-1]}", low=x.low, high=x.high)
    repeated = algebra.broadcast(algebra.reshape(largest, (*shape, 1)), full)
    distance = algebra.linear([(1, repeated), (-1, moved), (-1, before)])
    bits = bits_of(x.high - x.low + 1) or 1
    builder.no_wrap(distance.magnitude + (2 << bits) + (2 << builder.sizes.range_bits), "the distance from the maximum")
    builder.check_range("distance", distance, bits)
    return index
