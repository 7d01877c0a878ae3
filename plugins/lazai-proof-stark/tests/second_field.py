"""K as numpy arrays of int64 whose last axis holds the five coefficients (PROTOCOL.md, section 2)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from lazai_core.api.field_kernels import Element
from lazai_core.testing.field_reference import P

Array = np.ndarray[Any, np.dtype[np.int64]]

ONE: Array = np.array([1, 0, 0, 0, 0], dtype=np.int64)
ZERO: Array = np.zeros(5, dtype=np.int64)


def element(value: Element | Sequence[int]) -> Array:
    return np.array(value, dtype=np.int64)


def elements(values: Sequence[Element]) -> Array:
    return np.array(values, dtype=np.int64).reshape(len(values), 5)


def plain(value: Array) -> Element:
    a, b, c, d, e = (int(coefficient) for coefficient in value)
    return (a, b, c, d, e)


def lift(value: int) -> Array:
    return ONE * (value % P)


def times(a: Array, b: Array) -> Array:
    """a b, cell by cell: the product of polynomials, then X^5 = 1 - X^2 from the top down."""
    shape = np.broadcast_shapes(a.shape, b.shape)
    product = np.zeros((*shape[:-1], 9), dtype=np.int64)
    for i in range(5):
        product[..., i : i + 5] += a[..., i : i + 1] * b % P
    for power in range(8, 4, -1):
        product[..., power - 5] += product[..., power]
        product[..., power - 3] -= product[..., power]
    return product[..., :5] % P


def scaled(a: Array, factor: Any) -> Array:
    """a times integers, one for each cell or one for all; they may be longer than 64 bits."""
    residues = np.array(np.asarray(factor, dtype=object) % P, dtype=np.int64)
    return a * residues[..., None] % P


def powers(base: Array, count: int) -> list[Array]:
    found = [ONE]
    while len(found) < count:
        found.append(times(found[-1], base))
    return found[:count]


def polynomial(coefficients: Sequence[int], point: Array) -> Array:
    result = ZERO
    for coefficient in reversed(coefficients):
        result = (times(result, point) + lift(coefficient)) % P
    return result


def eq_table(point: Array) -> Array:
    """eq(point, x) for every x; bit i of x belongs to coordinate i."""
    table = ONE[None]
    for coordinate in point:
        high = times(table, coordinate)
        table = np.concatenate([(table - high) % P, high])
    return table


def total(values: Array) -> Array:
    """The sum of all cells."""
    added: Array = values.reshape(-1, 5).sum(axis=0) % P
    return added


def outer(a: Array, b: Array) -> Array:
    """All products: the shape of a's cells, then that of b's."""
    return times(a.reshape(*a.shape[:-1], *(1,) * (b.ndim - 1), 5), b)


def product(values: Sequence[Array]) -> Array:
    result = ONE
    for value in values:
        result = times(result, value)
    return result


def bits_weight(coordinates: Array, index: int) -> Array:
    """eq(coordinates, index)."""
    return product([z if index >> i & 1 else (ONE - z) % P for i, z in enumerate(coordinates)])


def log2_up(count: int) -> int:
    """The least b with 2^b >= count."""
    return (count - 1).bit_length()
