"""Operations without a choice: moves, sums, products. Their results are forms; nothing is committed.

A form's value over the integers is the operation's own definition, so there is exactly one. Bounds are those of the
program's intervals (|.| < 2^30), hence no sum of products wraps: the forms are used mod p only inside relations whose
own no-wrap condition counts their bounds.
"""

from __future__ import annotations

from lazai_core.api.program import Op, element_count
from lazai_core.api.program_rules import weighted_reach

from . import algebra
from .builder import Builder
from .nodes import Node, Public

LETTERS = "abcdefghijklmnopqrstuvwxyz"


def dense(builder: Builder, op: Op, value: int) -> Node:
    """X W^T + bias, one product over the summed axis."""
    x = builder.linear_form(builder.value(op.operands[0]), "operand")
    weight, bias = builder.value(op.operands[1]), builder.value(op.operands[2])
    infos = [builder.program.values[operand] for operand in op.operands]
    reach = weighted_reach(infos[0], infos[1], infos[1].shape[1])
    lead = LETTERS[: len(x.shape) - 1]
    sums = algebra.product(x, weight, f"{lead}z,yz->{lead}y", low=-reach, high=reach)
    return algebra.linear([(1, sums), (1, algebra.along(bias, sums.shape, len(lead)))])


def matmul(builder: Builder, op: Op, value: int) -> Node:
    """Batched product: leading axes are batch letters."""
    a, b = (builder.linear_form(builder.value(operand), "operand") for operand in op.operands)
    info = builder.program.values[value]
    lead = LETTERS[: len(a.shape) - 2]
    right = "yz" if op.integer("transpose_right") else "zy"
    return algebra.product(a, b, f"{lead}xz,{lead}{right}->{lead}xy", low=info.low, high=info.high)


def conv2d(builder: Builder, op: Op, value: int) -> Node:
    """The windows of x are a linear map of x; the product is over channel and position in the window."""
    x = builder.linear_form(builder.value(op.operands[0]), "operand")
    weight, bias = builder.value(op.operands[1]), builder.value(op.operands[2])
    infos = [builder.program.values[operand] for operand in op.operands]
    reach = weighted_reach(infos[0], infos[1], element_count(infos[1].shape[1:]))
    batch, outputs, height, width = builder.bound.shapes[value]
    groups, channels = op.integer("groups"), infos[1].shape[1]
    kernel_height, kernel_width = infos[1].shape[2:]
    (down, across), (top, left) = op.integers("strides"), op.integers("pads")[:2]
    dilations = op.integers("dilations")
    wide = algebra.window(x, 3, kernel_width, width, across, dilations[1], left)
    tall = algebra.window(wide, 2, kernel_height, height, down, dilations[0], top)
    # Axes are now batch, channels, i, h, j, w.
    split = algebra.reshape(tall, (batch, groups, channels, kernel_height, height, kernel_width, width))
    filters = algebra.reshape(weight, (groups, outputs // groups, channels, kernel_height, kernel_width))
    sums = algebra.product(split, filters, "bgcihjw,gocij->bgohw", low=-reach, high=reach)
    if groups > 1 and outputs > groups:
        # Group and output are letters of different kinds, and one axis of the result.
        sums = builder.materialised(sums, "grouped sum")
    joined = algebra.reshape(sums, (batch, outputs, height, width))
    return algebra.linear([(1, joined), (1, algebra.along(bias, joined.shape, 1))])


def _sum(builder: Builder, op: Op, value: int, sign: int) -> Node:
    shape = builder.bound.shapes[value]
    a, b = (algebra.broadcast(builder.value(operand), shape) for operand in op.operands)
    left, right = op.integer("shift_left"), op.integer("shift_right")
    return builder.bounded(algebra.linear([(1 << left, a), (sign << right, b)]), "sum")


def add(builder: Builder, op: Op, value: int) -> Node:
    """A * 2^l + b * 2^r."""
    return _sum(builder, op, value, 1)


def subtract(builder: Builder, op: Op, value: int) -> Node:
    """A * 2^l - b * 2^r."""
    return _sum(builder, op, value, -1)


def multiply(builder: Builder, op: Op, value: int) -> Node:
    """Element by element; an axis that one operand repeats is a letter of the other alone."""
    shape = builder.bound.shapes[value]
    letters, operands = [], []
    out = LETTERS[: len(shape)]
    for operand in op.operands:
        node = builder.linear_form(builder.value(operand), "operand")
        padded = (1,) * (len(shape) - len(node.shape)) + node.shape
        kept = [axis for axis, extent in enumerate(padded) if extent > 1]
        operands.append(algebra.reshape(node, tuple(padded[axis] for axis in kept)))
        letters.append("".join(out[axis] for axis in kept))
    wide = "".join(letter for letter in out if letter in letters[0] + letters[1])
    flat = algebra.product(operands[0], operands[1], f"{letters[0]},{letters[1]}->{wide}")
    return algebra.reshape(flat, shape)


def sum_pool2d(builder: Builder, op: Op, value: int) -> Node:
    """Sums over windows."""
    x = builder.linear_form(builder.value(op.operands[0]), "operand")
    height, width = builder.bound.shapes[value][2:]
    (down, across), (top, left) = op.integers("strides"), op.integers("pads")[:2]
    rows, columns = op.integers("kernel")
    wide = algebra.contract(algebra.window(x, 3, columns, width, across, 1, left), 3)
    return builder.bounded(algebra.contract(algebra.window(wide, 2, rows, height, down, 1, top), 2), "sum")


def summed(node: Node, axes: tuple[int, ...], shape: tuple[int, ...]) -> Node:
    """Sum over axes, in the given result shape."""
    for axis in reversed(axes):
        node = algebra.contract(node, axis)
    return algebra.reshape(node, shape)


def reduce_sum(builder: Builder, op: Op, value: int) -> Node:
    """Sum over axes."""
    return summed(builder.value(op.operands[0]), op.integers("axes"), builder.bound.shapes[value])


def reshape(builder: Builder, op: Op, value: int) -> Node:
    """The same elements in order. A product whose axes are joined becomes a column: its letters must stay apart."""
    x, shape = builder.value(op.operands[0]), builder.bound.shapes[value]
    if algebra.merges(x, shape):
        x = builder.linear_form(x, "moved")
    return builder.bounded(algebra.reshape(x, shape), "moved")


def transpose(builder: Builder, op: Op, value: int) -> Node:
    """Axes in another order."""
    return builder.bounded(algebra.transpose(builder.value(op.operands[0]), op.integers("permutation")), "moved")


def concat(builder: Builder, op: Op, value: int) -> Node:
    """Values one after the other."""
    parts = [builder.value(operand) for operand in op.operands]
    return builder.bounded(algebra.concat(parts, op.integer("axis")), "moved")


def slice_(builder: Builder, op: Op, value: int) -> Node:
    """A range of one axis."""
    axis = op.integer("axis")
    length = builder.bound.shapes[value][axis]
    return builder.bounded(algebra.cut(builder.value(op.operands[0]), axis, op.integer("start"), length), "moved")


def is_public(node: Node) -> bool:
    """Whether the verifier can compute every element of `node` from the job's input alone."""
    if isinstance(node, Public):
        return node.source == "input"
    sources = [getattr(node, "source", None), *getattr(node, "parts", ())]
    nodes = [entry[1] if isinstance(entry, tuple) else entry for entry in sources if not isinstance(entry, str)]
    found = [entry for entry in nodes if isinstance(entry, Node)]
    return bool(found) and not node.bilinear and all(is_public(entry) for entry in found)
