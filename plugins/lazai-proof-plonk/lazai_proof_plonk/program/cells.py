"""Tensors of wires: each cell is a wire and the interval that its integer is known to lie in."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from attrs import frozen

from ..circuit.builder import Builder, Wire

if TYPE_CHECKING:
    from numpy.typing import NDArray

Tensor = Any
"""A numpy array of `Cell` objects."""


@frozen(eq=False)
class Cell:
    """An integer in [low, high]."""

    wire: Wire
    low: int
    high: int


def tensor(cells: Sequence[Cell], shape: tuple[int, ...]) -> Tensor:
    """Cells in C order as an array."""
    out: NDArray[Any] = np.empty(len(cells), dtype=object)
    for index, cell in enumerate(cells):
        out[index] = cell
    return out.reshape(shape)


def constant_cell(builder: Builder, value: int) -> Cell:
    """A known integer."""
    return Cell(builder.constant(value), value, value)


def weighted_sum(builder: Builder, terms: Iterable[tuple[int, Cell]], constant: int = 0) -> Cell:
    """The sum of coefficient * cell, plus a constant."""
    low = high = constant
    used = []
    for scale, cell in terms:
        if scale:
            ends = (scale * cell.low, scale * cell.high)
            low, high = low + min(ends), high + max(ends)
            used.append((scale, cell.wire))
    return Cell(builder.sum(used, constant), low, high)


def product(left: Cell, right: Cell) -> Cell:
    """Left * right."""
    ends = [x * y for x in (left.low, left.high) for y in (right.low, right.high)]
    if left.low == left.high:
        return Cell(right.wire * left.low, min(ends), max(ends))
    if right.low == right.high:
        return Cell(left.wire * right.low, min(ends), max(ends))
    return Cell(left.wire * right.wire, min(ends), max(ends))


def spread_bits(cells: Sequence[Cell]) -> int:
    """Bits of the largest difference between any two of the cells."""
    return max(1, (max(cell.high for cell in cells) - min(cell.low for cell in cells)).bit_length())
