"""Wires: affine views of variables, with the operators of integers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from enum import StrEnum
from typing import TYPE_CHECKING

from attrs import frozen

from lazai_core.api.errors import LazAIError

from ..parameters import ORDER

if TYPE_CHECKING:
    from .builder import Builder

Hint = Callable[..., int | Sequence[int]]
HALF = ORDER // 2


class CircuitError(LazAIError):
    """A circuit that cannot be built as asked."""


class Mode(StrEnum):
    """`SNARKJS` has plain gates only; `NATIVE` adds next-row terms and lookups."""

    NATIVE = "native"
    SNARKJS = "snarkjs"


def signed(value: int) -> int:
    """The representative of a field element between -r/2 and r/2."""
    return value - ORDER if value > HALF else value


@frozen(eq=False)
class Wire:
    """scale * variable + offset: an affine view of one variable, so that constants cost no gates."""

    builder: Builder
    variable: int
    scale: int = 1
    offset: int = 0

    @property
    def is_plain(self) -> bool:
        """Whether this is the variable itself."""
        return self.scale == 1 and self.offset == 0

    def __neg__(self) -> Wire:
        return self * -1

    def __add__(self, other: Wire | int) -> Wire:
        if isinstance(other, int):
            return Wire(self.builder, self.variable, self.scale, (self.offset + other) % ORDER)
        return self.builder.sum([(1, self), (1, other)])

    def __radd__(self, other: int) -> Wire:
        return self + other

    def __sub__(self, other: Wire | int) -> Wire:
        if isinstance(other, int):
            return self + -other
        return self.builder.sum([(1, self), (-1, other)])

    def __rsub__(self, other: int) -> Wire:
        return -self + other

    def __mul__(self, other: Wire | int) -> Wire:
        if isinstance(other, int):
            return Wire(self.builder, self.variable, self.scale * other % ORDER, self.offset * other % ORDER)
        return self.builder.product(self, other)

    def __rmul__(self, other: int) -> Wire:
        return self * other
