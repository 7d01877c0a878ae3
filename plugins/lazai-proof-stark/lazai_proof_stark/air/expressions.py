"""Polynomials over the cells of one row and the next, written with Python's operators."""

from __future__ import annotations

from typing import Union

from attrs import frozen

from ..field import P

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
class NotLast(Expression):
    """1 in every row but the last, where it is 0."""


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
