"""Short vectors over K in canonical int64 form `[n, 5]`: what the verifier and the pull-backs compute with.

Plain scalar loops compiled by numba: for a few to a few thousand elements their cost is far below numpy's calls.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from ..field import P

_P = np.int64(P)
_UP = np.uint64(P)


@njit(inline="always")
def _five(a0, b0, a1, b1, a2, b2, a3, b3, a4, b4):
    """a0 b0 + ... + a4 b4 mod p of canonical words: four products stay below 2^64."""
    return (((a0 * b0 + a1 * b1 + a2 * b2 + a3 * b3) % _UP) + a4 * b4) % _UP


@njit(inline="always")
def _product(a0, a1, a2, a3, a4, b0, b1, b2, b3, b4):
    """Coefficients of a b as `uint64`; X^5 = 1 - X^2 makes those of X^i b differences of b's."""
    b14, b03, b42 = b1 + _UP - b4, b0 + _UP - b3, b4 + _UP - b2
    b14 = b14 - _UP if b14 >= _UP else b14
    b03 = b03 - _UP if b03 >= _UP else b03
    b42 = b42 - _UP if b42 >= _UP else b42
    b314 = b3 + _UP - b14
    b314 = b314 - _UP if b314 >= _UP else b314
    return (
        _five(a0, b0, a1, b4, a2, b3, a3, b2, a4, b14),
        _five(a0, b1, a1, b0, a2, b4, a3, b3, a4, b2),
        _five(a0, b2, a1, b14, a2, b03, a3, b42, a4, b314),
        _five(a0, b3, a1, b2, a2, b14, a3, b03, a4, b42),
        _five(a0, b4, a1, b3, a2, b2, a3, b14, a4, b03),
    )


@njit(inline="always")
def _product_into(a, b, out):
    d0, d1, d2, d3, d4 = _product(
        np.uint64(a[0]),
        np.uint64(a[1]),
        np.uint64(a[2]),
        np.uint64(a[3]),
        np.uint64(a[4]),
        np.uint64(b[0]),
        np.uint64(b[1]),
        np.uint64(b[2]),
        np.uint64(b[3]),
        np.uint64(b[4]),
    )
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
def prefix_entries(offsets, bits, point):
    """For each i the product over bits b from bits[i] of point[b] or 1 - point[b], as bit b of offsets[i] says."""
    out = np.zeros((offsets.shape[0], 5), np.int64)
    other = np.zeros(5, np.int64)
    for i in range(offsets.shape[0]):
        out[i, 0] = 1
        for bit in range(bits[i], point.shape[0]):
            if (offsets[i] >> bit) & 1:
                _product_into(out[i], point[bit], out[i])
            else:
                for c in range(5):
                    other[c] = (_P - point[bit, c]) % _P
                other[0] = (other[0] + 1) % _P
                _product_into(out[i], other, out[i])
    return out


@njit(cache=True, nogil=True)
def index_sum_entries(point, count):
    """Sum over i < count of i eq(point, i), in O(bits): `[5]`."""
    full, below, below_sum = np.zeros(5, np.int64), np.zeros(5, np.int64), np.zeros(5, np.int64)
    low, place, product, other = (
        np.zeros(5, np.int64),
        np.zeros(5, np.int64),
        np.zeros(5, np.int64),
        np.zeros(5, np.int64),
    )
    for bit in range(point.shape[0]):
        z = point[bit]
        for c in range(5):
            low[c] = (_P - z[c]) % _P
            place[c] = z[c] * ((np.int64(1) << bit) % _P) % _P
        low[0] = (low[0] + 1) % _P
        if (count >> bit) & 1:
            _product_into(low, full, product)
            _product_into(z, below_sum, other)
            for c in range(5):
                product[c] = (product[c] + other[c]) % _P
            _product_into(place, below, other)
            for c in range(5):
                below_sum[c] = (product[c] + other[c]) % _P
            _product_into(z, below, other)
            for c in range(5):
                below[c] = (low[c] + other[c]) % _P
        else:
            _product_into(low, below_sum, below_sum)
            _product_into(low, below, below)
        for c in range(5):
            full[c] = (full[c] + place[c]) % _P
    return full if count == np.int64(1) << point.shape[0] else below_sum


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
            _product_into(step, point[bit], step)
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


@njit(cache=True, nogil=True)
def spread_window(kernel, out, stride, dilation, pad, full):
    """Of window weights kernel[i] out[h] (`[k, 5]`, `[m, n, 5]`) those of the elements that are read: `[m, full, 5]`.

    Element h stride + i dilation - pad gets them; what lies outside is dropped. The joint vector is never formed.
    """
    found = np.zeros((out.shape[0], full, 5), np.int64)
    part = np.zeros(5, np.int64)
    for m in range(out.shape[0]):
        for i in range(kernel.shape[0]):
            for h in range(out.shape[1]):
                place = h * stride + i * dilation - pad
                if 0 <= place < full:
                    _product_into(kernel[i], out[m, h], part)
                    for c in range(5):
                        found[m, place, c] = (found[m, place, c] + part[c]) % _P
    return found


@njit(cache=True, nogil=True)
def contract_integers(values, weights, out):
    """out[i] = sum over j of values[i, j] weights[j]: int64 `[m, n]` of any size, `[n, 5]`, `[m, 5]`."""
    for i in range(values.shape[0]):
        total = np.zeros(5, np.int64)
        for j in range(values.shape[1]):
            value = values[i, j] % _P
            for c in range(5):
                total[c] += value * weights[j, c] % _P
        for c in range(5):
            out[i, c] = total[c] % _P


@njit(cache=True)
def multiply_tuples(a, b):
    """Product of two elements as tuples."""
    u = (np.uint64(a[0]), np.uint64(a[1]), np.uint64(a[2]), np.uint64(a[3]), np.uint64(a[4]))
    v = (np.uint64(b[0]), np.uint64(b[1]), np.uint64(b[2]), np.uint64(b[3]), np.uint64(b[4]))
    return _product(u[0], u[1], u[2], u[3], u[4], v[0], v[1], v[2], v[3], v[4])


@njit(inline="always")
def _words(a):
    return np.uint64(a[0]), np.uint64(a[1]), np.uint64(a[2]), np.uint64(a[3]), np.uint64(a[4])


@njit(inline="always")
def _times(u, v):
    return _product(u[0], u[1], u[2], u[3], u[4], v[0], v[1], v[2], v[3], v[4])


@njit(inline="always")
def _plus(u, v):
    return (
        (u[0] + v[0]) % _UP,
        (u[1] + v[1]) % _UP,
        (u[2] + v[2]) % _UP,
        (u[3] + v[3]) % _UP,
        (u[4] + v[4]) % _UP,
    )


@njit(inline="always")
def _minus(u, v):
    return (
        (u[0] + _UP - v[0]) % _UP,
        (u[1] + _UP - v[1]) % _UP,
        (u[2] + _UP - v[2]) % _UP,
        (u[3] + _UP - v[3]) % _UP,
        (u[4] + _UP - v[4]) % _UP,
    )


@njit(inline="always")
def _quadratic(at_zero, at_one, leading, r):
    linear = _minus(_minus(at_one, at_zero), leading)
    return _plus(at_zero, _times(r, _plus(linear, _times(r, leading))))


@njit(cache=True)
def quadratic_at(claim, at_zero, leading, r):
    """g(r) of degree 2 from g(0), its leading coefficient and g(0) + g(1) = claim; tuples of canonical integers."""
    zero = _words(at_zero)
    return _quadratic(zero, _minus(_words(claim), zero), _words(leading), _words(r))


@njit(cache=True)
def weighted_quadratic_at(claim, inverse, at_zero, leading, r):
    """H(r) of degree 2 from H(0), its leading coefficient and (1 - z) H(0) + z H(1) = claim, given 1 / z."""
    zero = _words(at_zero)
    at_one = _plus(zero, _times(_minus(_words(claim), zero), _words(inverse)))
    return _quadratic(zero, at_one, _words(leading), _words(r))
