"""Short vectors over K in canonical int64 form `[n, 5]`: what the verifier and the pull-backs compute with.

Plain scalar loops compiled by numba: for a few to a few thousand elements their cost is far below numpy's calls.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from ..field import P

_P = np.int64(P)


@njit(cache=True, nogil=True, inline="always")
def _product_into(a, b, out):
    c5 = a[1] * b[4] % _P + a[2] * b[3] % _P + a[3] * b[2] % _P + a[4] * b[1] % _P
    c6 = a[2] * b[4] % _P + a[3] * b[3] % _P + a[4] * b[2] % _P
    c7 = a[3] * b[4] % _P + a[4] * b[3] % _P
    c8 = a[4] * b[4] % _P
    d0 = (a[0] * b[0] % _P + c5 - c8) % _P
    d1 = (a[0] * b[1] % _P + a[1] * b[0] % _P + c6) % _P
    d2 = (a[0] * b[2] % _P + a[1] * b[1] % _P + a[2] * b[0] % _P - c5 + c7 + c8) % _P
    d3 = (a[0] * b[3] % _P + a[1] * b[2] % _P + a[2] * b[1] % _P + a[3] * b[0] % _P - c6 + c8) % _P
    d4 = (a[0] * b[4] % _P + a[1] * b[3] % _P + a[2] * b[2] % _P + a[3] * b[1] % _P + a[4] * b[0] % _P - c7) % _P
    out[0] = d0
    out[1] = d1
    out[2] = d2
    out[3] = d3
    out[4] = d4


@njit(cache=True, nogil=True)
def multiply_flat(a, b, out):
    """out[i] = a[i] b[i]; an operand of one row stands for all rows. All int64 `[n, 5]`."""
    one_a, one_b = a.shape[0] == 1, b.shape[0] == 1
    for i in range(out.shape[0]):
        _product_into(a[0 if one_a else i], b[0 if one_b else i], out[i])


@njit(cache=True, nogil=True)
def multiply_outer(a, b, out):
    """out[i, j] = a[i] b[j]: `[n, 5]`, `[m, 5]`, `[n, m, 5]`."""
    for i in range(a.shape[0]):
        for j in range(b.shape[0]):
            _product_into(a[i], b[j], out[i, j])


@njit(cache=True, nogil=True)
def eq_entries(point, extent):
    """eq(point, i) for i < extent: `[k, 5]` to `[extent, 5]`."""
    values = np.zeros((1 << point.shape[0], 5), np.int64)
    values[0, 0] = 1
    size = 1
    for bit in range(point.shape[0]):
        for i in range(size):
            _product_into(values[i], point[bit], values[size + i])
            for c in range(5):
                values[i, c] = (values[i, c] - values[size + i, c]) % _P
        size *= 2
    return values[:extent].copy()


@njit(cache=True, nogil=True)
def evaluate_entries(values, point):
    """The multilinear extension of `[n, 5]`, filled up with zeros, at a point `[k, 5]`: `[5]`."""
    size = 1 << point.shape[0]
    current = np.zeros((size, 5), np.int64)
    current[: values.shape[0]] = values
    step = np.zeros(5, np.int64)
    for bit in range(point.shape[0] - 1, -1, -1):
        size //= 2
        for i in range(size):
            for c in range(5):
                step[c] = (current[size + i, c] - current[i, c]) % _P
            _product_into(step.copy(), point[bit], step)
            for c in range(5):
                current[i, c] = (current[i, c] + step[c]) % _P
    return current[0].copy()


@njit(cache=True, nogil=True)
def weighted_sum(values, weights):
    """sum of values[i] weights[i], values int64 `[n]` of any size, weights `[n, 5]`: `[5]`."""
    total = np.zeros(5, np.int64)
    for i in range(values.shape[0]):
        value = values[i] % _P
        for c in range(5):
            total[c] += value * weights[i, c] % _P
    return total % _P


@njit(cache=True)
def multiply_tuples(a, b):
    """Product of two elements as tuples."""
    a0, a1, a2, a3, a4 = a
    b0, b1, b2, b3, b4 = b
    c5 = a1 * b4 % _P + a2 * b3 % _P + a3 * b2 % _P + a4 * b1 % _P
    c6 = a2 * b4 % _P + a3 * b3 % _P + a4 * b2 % _P
    c7 = a3 * b4 % _P + a4 * b3 % _P
    c8 = a4 * b4 % _P
    return (
        (a0 * b0 % _P + c5 - c8) % _P,
        (a0 * b1 % _P + a1 * b0 % _P + c6) % _P,
        (a0 * b2 % _P + a1 * b1 % _P + a2 * b0 % _P - c5 + c7 + c8) % _P,
        (a0 * b3 % _P + a1 * b2 % _P + a2 * b1 % _P + a3 * b0 % _P - c6 + c8) % _P,
        (a0 * b4 % _P + a1 * b3 % _P + a2 * b2 % _P + a3 * b1 % _P + a4 * b0 % _P - c7) % _P,
    )
