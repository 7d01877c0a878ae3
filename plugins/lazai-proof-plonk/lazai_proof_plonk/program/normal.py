"""`layer_norm` and `softmax` of docs/EXACT.md as gates. Their advice, a root and a quotient, has one value only."""

from __future__ import annotations

from collections.abc import Sequence
from math import isqrt

from lazai_core.api.program import Op

from ..circuit.builder import Builder, Wire
from ..circuit.gadgets.fixed_point import clamp
from ..circuit.gadgets.fixed_point import requantize as requantize_wire
from ..circuit.gadgets.integers import assert_range, divide, maximum
from .cells import Cell, Tensor, constant_cell, product, spread_bits, tensor, weighted_sum
from .operations import Context, integers_of, requantized

SOFTMAX_BITS = 29
"""E of a softmax is below 2^29, and v = floor(2^29 / E)."""


def reciprocal(builder: Builder, numerator: int, divisor: Cell) -> Cell:
    """floor(numerator / divisor) for a divisor of at least 1."""
    assert 1 <= divisor.low
    low, high = numerator // divisor.high, numerator // divisor.low
    quotient = builder.computed(lambda value: numerator // value if value else 0, [divisor.wire])
    assert_range(quotient, max(1, high.bit_length()))
    remainder = numerator - quotient * divisor.wire
    bits = divisor.high.bit_length()
    assert_range(remainder, bits)
    assert_range(divisor.wire - 1 - remainder, bits)
    return Cell(quotient, low, high)


def inverse_root(builder: Builder, numerator: int, value: Cell) -> Cell:
    """The largest r with r^2 * value <= numerator, for a value of at least 1: the bracket pins it down."""
    assert 1 <= value.low
    high = isqrt(numerator // value.low)
    root = builder.computed(lambda v: isqrt(numerator // v) if 0 < v <= value.high else 0, [value.wire])
    assert_range(root, max(1, high.bit_length()))
    assert_range(numerator - root * root * value.wire, numerator.bit_length())
    # (r + 1)^2 v <= numerator + (2 r + 1) v, and r v <= sqrt(numerator v).
    most = 2 * isqrt(numerator * value.high) + value.high
    following = root + 1
    assert_range(following * following * value.wire - numerator - 1, most.bit_length())
    return Cell(root, isqrt(numerator // value.high), high)


def layer_norm(context: Context, op: Op, index: int, operands: Sequence[Tensor]) -> Tensor:
    """Each row centred, divided by its root mean square, scaled and shifted."""
    x, gain, bias = operands[0], integers_of(operands[1]), integers_of(operands[2])
    pairs: list[tuple[Cell, int]] = []
    for row in x.reshape(-1, x.shape[-1]):
        for cell, scale, offset in zip(_normal_row(context, op, list(row)), gain, bias, strict=True):
            pairs.append((weighted_sum(context.builder, [(int(scale), cell)], int(offset)), op.integer("shift_out")))
    return tensor(requantized(context, pairs, op.integer("low"), op.integer("high")), op.shape)


def _normal_row(context: Context, op: Op, row: list[Cell]) -> list[Cell]:
    builder, count = context.builder, len(row)
    if op.integer("subtract_mean"):
        total = weighted_sum(builder, [(1, cell) for cell in row], count // 2)
        low, high = total.low // count, total.high // count
        quotient, _ = divide(total.wire - low * count, count, max(1, (high - low).bit_length()))
        mean = Cell(quotient + low, low, high)
        row = [weighted_sum(builder, [(1, cell), (-1, mean)]) for cell in row]
    squares = []
    for cell in row:
        most = max(cell.low * cell.low, cell.high * cell.high)
        squares.append((1, Cell(cell.wire * cell.wire, 0, most)))
    numerator = count << 2 * op.integer("precision")
    root = inverse_root(builder, numerator, weighted_sum(builder, squares, op.integer("epsilon")))
    return [_normal_cell(cell, root.wire, isqrt(numerator), op.integer("shift_normal")) for cell in row]


def _normal_cell(cell: Cell, root: Wire, bound: int, shift: int) -> Cell:
    """round_shift(d r, p); |d r| <= bound follows from d^2 <= V and r^2 V <= bound^2."""
    wire = cell.wire * root
    if shift == 0:
        return Cell(wire, -bound, bound)
    half = 1 << (shift - 1)
    low, high = (-bound + half) >> shift, (bound + half) >> shift
    return Cell(requantize_wire(wire, shift, -bound, bound, low, high), low, high)


def softmax(context: Context, op: Op, index: int, operands: Sequence[Tensor]) -> Tensor:
    """Each row's table entries of the distances from its maximum, over their sum."""
    x, entries = operands[0], [int(entry) for entry in integers_of(operands[1])]
    keys = x.shape[-1]
    queries = x.shape[-2] if op.integer("causal") else 1
    cells: list[Cell] = []
    for number, row in enumerate(x.reshape(-1, keys)):
        visible = keys - queries + number % queries + 1 if op.integer("causal") else keys
        cells += _softmax_row(context, f"softmax-{index}", list(row[:visible]), entries, op.integer("precision"))
        cells += [constant_cell(context.builder, 0)] * (keys - visible)
    return tensor(cells, op.shape)


def _softmax_row(context: Context, name: str, row: list[Cell], entries: list[int], precision: int) -> list[Cell]:
    builder = context.builder
    top = maximum([cell.wire for cell in row], spread_bits(row))
    span = max(cell.high for cell in row) - min(cell.low for cell in row)
    table = builder.table(name, list(enumerate(entries)))
    last = len(entries) - 1
    weights = []
    for cell in row:
        distance = top - cell.wire
        if span > last:
            distance = clamp(distance, 0, span, 0, last)
        weights.append(Cell(builder.lookup(table, distance), min(entries), max(entries)))
    total = weighted_sum(builder, [(1, weight) for weight in weights])
    # The maximum itself is at distance 0.
    total = Cell(total.wire, max(total.low, entries[0]), total.high)
    inverse = reciprocal(builder, 1 << SOFTMAX_BITS, total)
    shift, found = SOFTMAX_BITS - precision, []
    for weight in weights:
        wire = product(weight, inverse).wire
        found.append(Cell(requantize_wire(wire, shift, 0, 1 << SOFTMAX_BITS, 0, 1 << precision), 0, 1 << precision))
    return found
