"""Polynomials over the cells of one row and the next, written with Python's operators."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Union

import numpy as np
from attrs import frozen
from numpy.typing import NDArray

from .. import scalars as f
from ..field import DEGREE, Extension, P
from ..kernels.canonical import evaluate_entries

ADD, SUBTRACT, MULTIPLY = 0, 1, 2
Operand = Union["Expression", int]


@frozen(eq=False)
class Expression:
    """A node of a polynomial. `degree` counts cells multiplied with each other."""

    degree: int

    def __add__(self, other: Operand) -> Expression:
        return _combined(ADD, self, other)

    def __radd__(self, other: Operand) -> Expression:
        return _combined(ADD, as_expression(other), self)

    def __sub__(self, other: Operand) -> Expression:
        return _combined(SUBTRACT, self, other)

    def __rsub__(self, other: Operand) -> Expression:
        return _combined(SUBTRACT, as_expression(other), self)

    def __mul__(self, other: Operand) -> Expression:
        return _combined(MULTIPLY, self, other)

    def __rmul__(self, other: Operand) -> Expression:
        return _combined(MULTIPLY, as_expression(other), self)

    def __neg__(self) -> Expression:
        return _combined(SUBTRACT, Number(0, 0), self)


@frozen(eq=False)
class Number(Expression):
    """A constant of F, canonical."""

    value: int


@frozen(eq=False)
class Cell(Expression):
    """A column's element in this row, or in the next one (the first row follows the last)."""

    column: int
    is_next: bool


@frozen(eq=False)
class Known(Expression):
    """What both sides know of every row: `values` again and again, or, without values, 1 in row `row` and 0 elsewhere.

    The number of values is a power of two. Equal ones are the same input of a tape.
    """

    row: int
    values: tuple[int, ...] = ()

    @property
    def identity(self) -> tuple[int, tuple[int, ...]]:
        """What it is equal by."""
        return self.row, self.values

    def on_rows(self, rows: int) -> NDArray[np.int64]:
        """Its value in every row."""
        if self.values:
            return np.tile(np.array(self.values, dtype=np.int64), rows // len(self.values))
        found = np.zeros(rows, dtype=np.int64)
        found[self.row] = 1
        return found

    def at(self, point: Sequence[Extension]) -> Extension:
        """The multilinear extension: a repeated list depends on the lowest variables only."""
        if len(self.values) == 1:
            return f.lift(self.values[0])
        if self.values:
            entries = np.zeros((len(self.values), DEGREE), dtype=np.int64)
            entries[:, 0] = self.values
            period = len(self.values).bit_length() - 1
            a, b, c, d, e = evaluate_entries(entries, np.array(point[:period], dtype=np.int64)).tolist()
            return (a, b, c, d, e)
        place = [f.ONE if self.row >> bit & 1 else f.ZERO for bit in range(len(point))]
        return f.eq(place, point)


@frozen(eq=False)
class Operation(Expression):
    """left + right, left - right or left * right."""

    kind: int
    left: Expression
    right: Expression


def as_expression(value: Operand) -> Expression:
    """An integer as a constant."""
    return value if isinstance(value, Expression) else Number(0, value % P)


def _combined(kind: int, left: Expression, right: Operand) -> Expression:
    other = as_expression(right)
    if isinstance(left, Number) and isinstance(other, Number):
        a, b = left.value, other.value
        return Number(0, (a + b if kind == ADD else a - b if kind == SUBTRACT else a * b) % P)
    degree = left.degree + other.degree if kind == MULTIPLY else max(left.degree, other.degree)
    return Operation(degree, kind, left, other)
