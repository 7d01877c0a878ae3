"""Arrays over K in numpy: shape `[..., 5]`, int64, canonical. Plain and slow; kernels replace it where time counts."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..field import DEGREE, Extension, P
from ..kernels.canonical import (
    contract_integers,
    eq_entries,
    evaluate_entries,
    multiply_flat,
    multiply_outer,
    weighted_sum,
)
from ..kernels.canonical import spread_window as _spread_window

KArray = NDArray[np.int64]
"""Elements of K along the last axis."""
IntArray = NDArray[np.integer[Any]]


def lift(values: IntArray) -> KArray:
    """Signed integers as elements of K."""
    result = np.zeros((*values.shape, DEGREE), dtype=np.int64)
    result[..., 0] = values.astype(np.int64) % P
    return result


def scalar(value: Extension) -> KArray:
    """One element, shape `[5]`."""
    return np.array(value, dtype=np.int64)


def element(array: KArray) -> Extension:
    """An array of shape `[5]` as a tuple."""
    a, b, c, d, e = (int(entry) for entry in array)
    return (a, b, c, d, e)


def multiply(a: KArray, b: KArray) -> KArray:
    """A * b element by element (numpy broadcast), with X^5 = 1 - X^2 as in `field.multiply`."""
    if a.ndim == 3 and b.ndim == 3 and a.shape[1] == 1 and b.shape[0] == 1:
        out = np.empty((a.shape[0], b.shape[1], DEGREE), dtype=np.int64)
        multiply_outer(_flat(a), _flat(b), out)
        return out
    as_left = a.shape == b.shape or (b.size == DEGREE and b.ndim <= a.ndim)
    shape = a.shape if as_left else np.broadcast_shapes(a.shape, b.shape)
    left = a if a.size == DEGREE or a.shape == shape else np.broadcast_to(a, shape)
    right = b if b.size == DEGREE or b.shape == shape else np.broadcast_to(b, shape)
    out = np.empty((prod(shape[:-1]), DEGREE), dtype=np.int64)
    multiply_flat(_flat(left), _flat(right), out)
    return out.reshape(shape)


def _flat(a: KArray) -> KArray:
    return np.ascontiguousarray(a, dtype=np.int64).reshape(-1, DEGREE)


def add(a: KArray, b: KArray) -> KArray:
    """A + b."""
    return (a + b) % P


def subtract(a: KArray, b: KArray) -> KArray:
    """A - b."""
    return (a - b) % P


def scale(a: KArray, factors: IntArray) -> KArray:
    """A times integers; `factors` broadcasts against the shape of `a` without its last axis."""
    return (a * (factors.astype(np.int64) % P)[..., None]) % P


def total(a: KArray, axes: tuple[int, ...]) -> KArray:
    """Sum over axes (never the last one). Entries are below 2^31, so 2^31 of them fit int64."""
    return np.asarray(a.sum(axis=axes)) % P


def eq_vector(point: Sequence[Extension], extent: int) -> KArray:
    """eq(point, i) for i < extent, shape `[extent, 5]`; bit j of i belongs to point[j]."""
    entries: KArray = eq_entries(point_array(point), extent)
    return entries


def point_array(point: Sequence[Extension]) -> KArray:
    """Coordinates as `[k, 5]`."""
    return np.array(point, dtype=np.int64).reshape(-1, DEGREE)


def evaluate(values: KArray, point: Sequence[Extension]) -> Extension:
    """The multilinear extension of `[n, 5]`, filled up with zeros, at a point."""
    return element(evaluate_entries(_flat(values), point_array(point)))


def product_of_planes(planes: NDArray[np.int64]) -> KArray:
    """Of the products of coefficients `[..., 5, 5]`, those of X^i X^j at [i, j], the element of K they add up to."""
    c = np.zeros((*planes.shape[:-2], 2 * DEGREE - 1), dtype=np.int64)
    for power in range(DEGREE):
        c[..., power : power + DEGREE] += planes[..., power, :]
    found = c[..., :DEGREE].copy()
    # X^5 = 1 - X^2, X^6 = X - X^3, X^7 = X^2 - X^4, X^8 = X^3 + X^2 - 1.
    found[..., 0] += c[..., 5] - c[..., 8]
    found[..., 1] += c[..., 6]
    found[..., 2] += c[..., 7] + c[..., 8] - c[..., 5]
    found[..., 3] += c[..., 8] - c[..., 6]
    found[..., 4] -= c[..., 7]
    return found % P


def powers(base: Extension, count: int) -> KArray:
    """1, base, base^2, ..., shape `[count, 5]`."""
    result = [scalar((1, 0, 0, 0, 0))]
    for _ in range(count - 1):
        result.append(multiply(result[-1], scalar(base)))
    return np.stack(result[:count])


def dot(a: KArray, b: KArray) -> KArray:
    """Sum of a * b over all axes, shape `[5]`."""
    product = multiply(a, b)
    return total(product.reshape(-1, DEGREE), (0,))


def weighted(values: IntArray, weights: KArray) -> KArray:
    """Sum over i of values[i] * weights[i], flat, shape `[5]`; |values| < 2^62."""
    result: KArray = weighted_sum(np.ascontiguousarray(values, dtype=np.int64).reshape(-1), _flat(weights))
    return result


def contracted(values: IntArray, weights: KArray) -> KArray:
    """Rows of integers `[m, n]`, |values| < 2^62, times one vector of weights `[n, 5]`: `[m, 5]`."""
    found = np.empty((len(values), DEGREE), dtype=np.int64)
    contract_integers(np.ascontiguousarray(values, dtype=np.int64), _flat(weights), found)
    return found


def spread_window(kernel: KArray, out: KArray, stride: int, dilation: int, pad: int, full: int) -> KArray:
    """See `kernels.canonical.spread_window`."""
    weights = np.ascontiguousarray(out, dtype=np.int64)
    found: KArray = _spread_window(_flat(kernel), weights, stride, dilation, pad, full)
    return found
