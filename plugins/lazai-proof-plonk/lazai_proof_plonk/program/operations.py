"""Operations of docs/EXACT.md as gates. Each takes tensors of cells and gives one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import product as tuples
from typing import Any

import numpy as np
from attrs import define

from lazai_core.api.program import SYMBOLIC, Op

from ..circuit.builder import Builder
from ..circuit.gadgets.fixed_point import requantize as requantize_wire
from ..circuit.gadgets.integers import argmax as argmax_wires
from ..circuit.gadgets.integers import divide, maximum
from .cells import Cell, Tensor, product, spread_bits, tensor, weighted_sum


@define(kw_only=True)
class Context:
    """What operations share: the builder and how many table rows are still to be had."""

    builder: Builder
    table_rows: int


def integers_of(values: Tensor) -> Any:
    """The integers of a constant tensor."""
    flat = np.array([cell.low for cell in values.reshape(-1)], dtype=object)
    return flat.reshape(values.shape)


def dense(context: Context, op: Op, index: int, operands: Sequence[Tensor]) -> Tensor:
    """y[..., n] = sum_k x[..., k] weight[n, k] + bias[n]."""
    x, weight, bias = operands[0], integers_of(operands[1]), integers_of(operands[2])
    cells = []
    for row in x.reshape(-1, x.shape[-1]):
        for scales, offset in zip(weight, bias, strict=True):
            cells.append(weighted_sum(context.builder, zip(scales, row, strict=True), offset))
    return tensor(cells, op.shape)


def matmul(context: Context, op: Op, index: int, operands: Sequence[Tensor]) -> Tensor:
    """Products of rows and columns; a constant side costs no products."""
    left, right = operands
    if op.integer("transpose_right"):
        right = np.swapaxes(right, -1, -2)
    cells = []
    for at in np.ndindex(*left.shape[:-2]):
        for row, column in tuples(left[at], right[at].T):
            terms = [(1, product(x, y)) for x, y in zip(row, column, strict=True)]
            cells.append(weighted_sum(context.builder, terms))
    return tensor(cells, op.shape)


def conv2d(context: Context, op: Op, index: int, operands: Sequence[Tensor]) -> Tensor:
    """Zero padding, strides, dilations, groups."""
    x, weight, bias = operands[0], integers_of(operands[1]), integers_of(operands[2])
    strides, pads, dilations = op.integers("strides"), op.integers("pads"), op.integers("dilations")
    batch, _, height, width = x.shape
    outputs, inputs, kernel_height, kernel_width = weight.shape
    group = outputs // op.integer("groups")
    cells = []
    for b, o, i, j in np.ndindex(*op.shape):
        terms = []
        for c, u, v in np.ndindex(inputs, kernel_height, kernel_width):
            row = i * strides[0] - pads[0] + u * dilations[0]
            column = j * strides[1] - pads[1] + v * dilations[1]
            if 0 <= row < height and 0 <= column < width:
                terms.append((weight[o, c, u, v], x[b, o // group * inputs + c, row, column]))
        cells.append(weighted_sum(context.builder, terms, bias[o]))
    assert batch == op.shape[0]
    return tensor(cells, op.shape)


def requantize(context: Context, op: Op, index: int, operands: Sequence[Tensor]) -> Tensor:
    """clamp(round_shift(x, s), low, high), one shift or one for each entry of an axis."""
    x = operands[0]
    shifts = np.full(x.shape, op.integer("shift"), dtype=object)
    if len(operands) == 2:
        along = [1] * x.ndim
        along[op.integer("axis")] = -1
        shifts = np.broadcast_to(integers_of(operands[1]).reshape(along), x.shape)
    least, most = op.integer("low"), op.integer("high")
    pairs = list(zip(x.reshape(-1), shifts.reshape(-1), strict=True))
    return tensor(requantized(context, pairs, least, most), op.shape)


def requantized(context: Context, pairs: Sequence[tuple[Cell, int]], least: int, most: int) -> list[Cell]:
    """clamp(round_shift(cell, shift), least, most) of each pair; one clamp table for all where it is small enough."""
    hull = _clamped_hull(pairs, least, most)
    use_table = hull is not None and hull[1] - hull[0] < context.table_rows
    if use_table and hull is not None:
        context.table_rows -= hull[1] - hull[0] + 1
    return [_requantized(context, cell, shift, least, most, hull if use_table else None) for cell, shift in pairs]


def _ends(cell: Cell, shift: int) -> tuple[int, int]:
    half = 1 << (shift - 1) if shift > 0 else 0
    low, high = ((end + half) >> shift if shift > 0 else end << -shift for end in (cell.low, cell.high))
    return low, high


def _clamped_hull(pairs: Sequence[tuple[Cell, int]], least: int, most: int) -> tuple[int, int] | None:
    """The interval of all quotients that need a clamp, None where none does."""
    ends = [_ends(cell, shift) for cell, shift in pairs]
    live = [(low, high) for low, high in ends if high > least and low < most]
    return (min(low for low, _ in live), max(high for _, high in live)) if live else None


def _requantized(context: Context, cell: Cell, shift: int, least: int, most: int, hull: tuple[int, int] | None) -> Cell:
    low, high = _ends(cell, shift)
    new_low, new_high = (min(max(end, least), most) for end in (low, high))
    if shift <= 0 and least <= low and high <= most:
        return Cell(cell.wire * (1 << -shift), low, high)
    ends = (cell.low, cell.high)
    rows = 0
    if hull is not None and high > least and low < most:
        # A wider interval than the cell's own is sound, and lets all cells share one table.
        step, half = (1 << shift, 1 << (shift - 1)) if shift > 0 else (1, 0)
        if shift > 0:
            ends = (hull[0] * step - half, hull[1] * step - half)
            rows = hull[1] - hull[0] + 1
    wire = requantize_wire(cell.wire, shift, *ends, least, most, table_rows=rows)
    return Cell(wire, new_low, new_high)


def _binary(context: Context, op: Op, operands: Sequence[Tensor], sign: int) -> Tensor:
    left, right = (np.broadcast_to(operand, op.shape).reshape(-1) for operand in operands)
    scales = (1 << op.integer("shift_left"), sign << op.integer("shift_right"))
    pairs = zip(left, right, strict=True)
    return tensor([weighted_sum(context.builder, zip(scales, pair, strict=True)) for pair in pairs], op.shape)


def add(context: Context, op: Op, index: int, operands: Sequence[Tensor]) -> Tensor:
    """A * 2^shift_left + b * 2^shift_right."""
    return _binary(context, op, operands, 1)


def subtract(context: Context, op: Op, index: int, operands: Sequence[Tensor]) -> Tensor:
    """A * 2^shift_left - b * 2^shift_right."""
    return _binary(context, op, operands, -1)


def multiply(context: Context, op: Op, index: int, operands: Sequence[Tensor]) -> Tensor:
    """A * b."""
    left, right = (np.broadcast_to(operand, op.shape).reshape(-1) for operand in operands)
    return tensor([product(x, y) for x, y in zip(left, right, strict=True)], op.shape)


def table(context: Context, op: Op, index: int, operands: Sequence[Tensor]) -> Tensor:
    """table[x - offset], one lookup an element. Only the entries that x can reach are laid down."""
    x, entries, offset = operands[0].reshape(-1), integers_of(operands[1]), op.integer("offset")
    return _look_up(context, f"table-{index}", x, entries, offset, op.shape)


def gather(context: Context, op: Op, index: int, operands: Sequence[Tensor]) -> Tensor:
    """table[x]: one table of pairs for each place of an entry."""
    entries, x = integers_of(operands[0]), operands[1].reshape(-1)
    columns = entries.reshape(len(entries), -1).T
    found = [_look_up(context, f"gather-{index}-{at}", x, column, 0, x.shape) for at, column in enumerate(columns)]
    return np.stack(found, axis=1).reshape(op.shape)


def _look_up(
    context: Context, name: str, x: Sequence[Cell], entries: Any, offset: int, shape: tuple[int, ...]
) -> Tensor:
    low, high = min(cell.low for cell in x), max(cell.high for cell in x)
    rows = [(value, int(entries[value - offset])) for value in range(low, high + 1)]
    found = context.builder.table(name, rows)
    context.table_rows -= len(rows)
    ends = (min(y for _, y in rows), max(y for _, y in rows))
    return tensor([Cell(context.builder.lookup(found, cell.wire), *ends) for cell in x], shape)


def _windows(op: Op, x: Tensor) -> Iterator[list[Cell]]:
    kernel, strides, pads = op.integers("kernel"), op.integers("strides"), op.integers("pads")
    for b, c, i, j in np.ndindex(*op.shape):
        top, left = i * strides[0] - pads[0], j * strides[1] - pads[1]
        rows = slice(max(top, 0), top + kernel[0])
        yield list(x[b, c, rows, max(left, 0) : left + kernel[1]].reshape(-1))


def _largest(cells: Sequence[Cell]) -> Cell:
    high, low = max(cell.high for cell in cells), max(cell.low for cell in cells)
    # A cell that another always beats cannot be the maximum.
    rivals = [cell for cell in cells if cell.high >= low]
    return Cell(maximum([cell.wire for cell in rivals], spread_bits(rivals)), low, high)


def max_pool2d(context: Context, op: Op, index: int, operands: Sequence[Tensor]) -> Tensor:
    """The maximum over the part of each window inside."""
    return tensor([_largest(window) for window in _windows(op, operands[0])], op.shape)


def sum_pool2d(context: Context, op: Op, index: int, operands: Sequence[Tensor]) -> Tensor:
    """The sum over the part of each window inside."""
    windows = _windows(op, operands[0])
    return tensor([weighted_sum(context.builder, [(1, cell) for cell in window]) for window in windows], op.shape)


def _groups(op: Op, x: Tensor) -> list[list[Cell]]:
    axes = op.integers("axes")
    kept = [axis for axis in range(x.ndim) if axis not in axes]
    moved = np.transpose(x, [*kept, *axes])
    count = int(np.prod([x.shape[axis] for axis in kept], dtype=np.int64))
    return [list(row) for row in moved.reshape(count, -1)]


def reduce_sum(context: Context, op: Op, index: int, operands: Sequence[Tensor]) -> Tensor:
    """Sums over axes."""
    groups = _groups(op, operands[0])
    return tensor([weighted_sum(context.builder, [(1, cell) for cell in group]) for group in groups], op.shape)


def reduce_mean(context: Context, op: Op, index: int, operands: Sequence[Tensor]) -> Tensor:
    """floor((S + floor(n / 2)) / n)."""
    cells = []
    for group in _groups(op, operands[0]):
        count = len(group)
        total = weighted_sum(context.builder, [(1, cell) for cell in group], count // 2)
        low, high = total.low // count, total.high // count
        quotient, _ = divide(total.wire - low * count, count, max(1, (high - low).bit_length()))
        cells.append(Cell(quotient + low, low, high))
    return tensor(cells, op.shape)


def reduce_max(context: Context, op: Op, index: int, operands: Sequence[Tensor]) -> Tensor:
    """Maxima over axes."""
    return tensor([_largest(group) for group in _groups(op, operands[0])], op.shape)


def argmax(context: Context, op: Op, index: int, operands: Sequence[Tensor]) -> Tensor:
    """The lowest index of the maximum along an axis."""
    moved = np.moveaxis(operands[0], op.integer("axis"), -1)
    cells = []
    for row in moved.reshape(-1, moved.shape[-1]):
        wire = argmax_wires([cell.wire for cell in row], spread_bits(list(row)))
        cells.append(Cell(wire, 0, len(row) - 1))
    return tensor(cells, op.shape)


def reshape(context: Context, op: Op, index: int, operands: Sequence[Tensor]) -> Tensor:
    """The same elements in order."""
    return operands[0].reshape(op.shape)


def transpose(context: Context, op: Op, index: int, operands: Sequence[Tensor]) -> Tensor:
    """Axes in another order."""
    return np.transpose(operands[0], op.integers("permutation"))


def concat(context: Context, op: Op, index: int, operands: Sequence[Tensor]) -> Tensor:
    """Tensors one after the other along an axis."""
    return np.concatenate(list(operands), axis=op.integer("axis"))


def cut(context: Context, op: Op, index: int, operands: Sequence[Tensor]) -> Tensor:
    """Entries start to start + length - 1 of an axis."""
    selection = [slice(None)] * operands[0].ndim
    start = op.integer("start")
    length = op.integer("length")
    # A symbolic axis is cut to a symbolic length only as a whole.
    selection[op.integer("axis")] = slice(start, None if length == SYMBOLIC else start + length)
    return operands[0][tuple(selection)]
