"""Codewords over K: combining rows of a base codeword, folding, and the verifier's few positions.

A codeword of size N holds the values of P(Y) = sum_i m[i] Y^rev(i) at the powers of the root of order N, m the message
in natural order. Binding m's most significant variable to r gives the message of the fold
(1 - r) even(Y^2) + r odd(Y^2), with Y and -Y half a codeword apart.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from ..field import P, root_of_unity
from .lanes import (
    BASE_BLOCK_BYTES,
    EXTENSION_BLOCK_BYTES,
    LANES,
    NEGATED_INVERSE,
    ExtensionLanes,
    transpose,
    vector_intrinsic,
)

_EXT = np.uint64(EXTENSION_BLOCK_BYTES)
_BASE = np.uint64(BASE_BLOCK_BYTES)
_P32 = np.uint32(P)
_P64 = np.uint64(P)
_NEGATED_INVERSE = np.uint64(NEGATED_INVERSE)
_LOW = np.uint64(0xFFFFFFFF)
_WORD_BITS = np.uint64(32)
_ONE_HALF_CANONICAL = (P + 1) // 2
_ONE = np.uint32((1 << 32) % P)
_HALF = np.uint32(_ONE_HALF_CANONICAL * (1 << 32) % P)


def _emit_fold_codeword(k: ExtensionLanes, low: Any, high: Any, inverse: Any, r: Any, half: Any, out: Any) -> None:
    a, b = k.load(low), k.load(high)
    even = k.scale(k.add(a, b), k.base.load(half))
    odd = k.scale(k.sub(a, b), k.base.load(inverse))
    k.store(k.add(even, k.mul(k.load(r), k.sub(odd, even))), out)


def _emit_combine(k: ExtensionLanes, rows: Any, row_bytes: Any, weights: Any, out: Any) -> None:
    """Sixteen rows times sixteen columns, added to out; weights are splats `[16, 5, 16]`."""
    builder = k.base.builder
    places = [rows]
    for _ in range(LANES - 1):
        places.append(builder.add(places[-1], row_bytes))
    columns = transpose(builder, [k.base.load(place) for place in places])
    for coefficient in range(5):
        total = k.base.load(out, coefficient)
        pairs = [(columns[j], k.base.load(weights, 5 * j + coefficient)) for j in range(LANES)]
        k.base.store(k.base.add(total, k.base.sum_of_products(pairs)), out, coefficient)


_fold_codeword = vector_intrinsic(_emit_fold_codeword, 6)
_combine = vector_intrinsic(_emit_combine, 4)


@lru_cache(maxsize=32)
def halved_inverse_powers(log_size: int) -> NDArray[np.uint32]:
    """w^-k / 2 for k below half the size, w the root of that order; Montgomery form."""
    root = pow(root_of_unity(log_size), -1, P)
    powers = np.array([_ONE_HALF_CANONICAL], dtype=np.uint64)
    while len(powers) < 1 << (log_size - 1):
        powers = np.concatenate([powers, powers * np.uint64(pow(root, len(powers), P)) % _P64])
    return (powers * np.uint64((1 << 32) % P) % _P64).astype(np.uint32)


@njit(cache=True, nogil=True)
def fold_codeword(codeword, inverses, r, half_splat, out, begin, end):
    """One fold with challenge r (splat) for blocks begin .. end of the result."""
    half = np.uint64(out.shape[0])
    source, target = np.uint64(codeword.ctypes.data), np.uint64(out.ctypes.data)
    factors, challenge = np.uint64(inverses.ctypes.data), np.uint64(r.ctypes.data)
    one_half = np.uint64(half_splat.ctypes.data)
    for index in range(begin, end):
        block = np.uint64(index)
        _fold_codeword(
            source + block * _EXT,
            source + (block + half) * _EXT,
            factors + block * _BASE,
            challenge,
            one_half,
            target + block * _EXT,
        )


@njit(cache=True, nogil=True)
def combine_all_rows(rows, weights, out, begin, end):
    """out = rows times weights over K for blocks begin .. end of sixteen rows.

    rows uint32[n, w] over F, w a multiple of sixteen; weights uint32[w, 5, 16] splats; out uint32[n / 16, 5, 16].
    """
    vectors = rows.shape[1] // 16
    row_bytes = np.uint64(rows.shape[1] * 4)
    source, factors = np.uint64(rows.ctypes.data), np.uint64(weights.ctypes.data)
    target = np.uint64(out.ctypes.data)
    for index in range(begin, end):
        block = np.uint64(index)
        out[index] = 0
        for vector in range(vectors):
            step = np.uint64(vector)
            _combine(
                source + block * np.uint64(16) * row_bytes + step * _BASE,
                row_bytes,
                factors + step * np.uint64(16) * _EXT,
                target + block * _EXT,
            )


@njit(inline="always")
def base_mul(a, b):
    """Montgomery product of two words."""
    wide = np.uint64(a) * np.uint64(b)
    factor = ((wide & _LOW) * _NEGATED_INVERSE) & _LOW
    reduced = (wide + factor * _P64) >> _WORD_BITS
    return np.uint32(reduced - _P64) if reduced >= _P64 else np.uint32(reduced)


@njit(inline="always")
def base_add(a, b):
    """Sum of two elements."""
    total = np.uint64(a) + np.uint64(b)
    return np.uint32(total - _P64) if total >= _P64 else np.uint32(total)


@njit(inline="always")
def base_sub(a, b):
    """Difference of two elements."""
    return np.uint32(a - b) if a >= b else np.uint32(np.uint64(a) + _P64 - np.uint64(b))


@njit(inline="always")
def _wide_mul(a, b):
    return np.uint64(base_mul(a, b))


@njit(cache=True, nogil=True)
def extension_mul(a, b, out):
    """out = a b for elements of K as five words each; out may be a or b."""
    a0, a1, a2, a3, a4 = a[0], a[1], a[2], a[3], a[4]
    b0, b1, b2, b3, b4 = b[0], b[1], b[2], b[3], b[4]
    c5 = _wide_mul(a1, b4) + _wide_mul(a2, b3) + _wide_mul(a3, b2) + _wide_mul(a4, b1)
    c6 = _wide_mul(a2, b4) + _wide_mul(a3, b3) + _wide_mul(a4, b2)
    c7 = _wide_mul(a3, b4) + _wide_mul(a4, b3)
    c8 = _wide_mul(a4, b4)
    above = np.uint64(4) * _P64
    d0 = _wide_mul(a0, b0) + c5
    d1 = _wide_mul(a0, b1) + _wide_mul(a1, b0) + c6
    d2 = _wide_mul(a0, b2) + _wide_mul(a1, b1) + _wide_mul(a2, b0) + c7 + c8
    d3 = _wide_mul(a0, b3) + _wide_mul(a1, b2) + _wide_mul(a2, b1) + _wide_mul(a3, b0) + c8
    d4 = _wide_mul(a0, b4) + _wide_mul(a1, b3) + _wide_mul(a2, b2) + _wide_mul(a3, b1) + _wide_mul(a4, b0)
    out[0] = np.uint32((d0 + above - c8) % _P64)
    out[1] = np.uint32(d1 % _P64)
    out[2] = np.uint32((d2 + above - c5) % _P64)
    out[3] = np.uint32((d3 + above - c6) % _P64)
    out[4] = np.uint32((d4 + above - c7) % _P64)


@njit(cache=True, nogil=True)
def combine_rows(rows, weights, out, begin, end):
    """out[i] = sum_j weights[j] rows[i, j]: rows over F, weights `uint32[w, 5]`, out `uint32[n, 5]`."""
    for i in range(begin, end):
        for coefficient in range(5):
            total = np.uint64(0)
            for j in range(rows.shape[1]):
                total += np.uint64(base_mul(rows[i, j], weights[j, coefficient]))
            out[i, coefficient] = np.uint32(total % _P64)


@njit(cache=True, nogil=True)
def fold_leaves(values, places, log_size, challenges, inverse_root):
    """Fold opened leaves `uint32[m, 2^a, 5]` to `uint32[m, 5]`; leaf t holds positions t + k N / 2^a, N = 2^log_size.

    inverse_root is w^-1 of order N, challenges `uint32[a, 5]`.
    """
    arity = values.shape[1]
    steps = challenges.shape[0]
    current = values.copy()
    scratch, other, product = np.empty(5, np.uint32), np.empty(5, np.uint32), np.empty(5, np.uint32)
    for leaf in range(values.shape[0]):
        width = arity
        root = inverse_root
        size = np.int64(1) << log_size
        for step in range(steps):
            width //= 2
            for k in range(width):
                position = places[leaf] + k * (size // (2 * width))
                factor = base_mul(_power(root, position), _HALF)
                for c in range(5):
                    a, b = current[leaf, k, c], current[leaf, k + width, c]
                    scratch[c] = base_mul(base_add(a, b), _HALF)
                    other[c] = base_sub(base_mul(base_sub(a, b), factor), scratch[c])
                extension_mul(challenges[step], other, product)
                for c in range(5):
                    current[leaf, k, c] = base_add(scratch[c], product[c])
            root = base_mul(root, root)
            size //= 2
    return current[:, 0, :].copy()


@njit(cache=True, nogil=True)
def _power(root, exponent):
    result = np.uint32(_ONE)
    square = root
    while exponent > 0:
        if exponent & 1:
            result = base_mul(result, square)
        square = base_mul(square, square)
        exponent >>= 1
    return result


@njit(cache=True, nogil=True)
def values_at(message, places, root):
    """Codeword values `uint32[m, 5]` at the given powers of the root: message `uint32[2^f, 5]`, natural order."""
    size = message.shape[0]
    bits = 0
    while (1 << bits) < size:
        bits += 1
    out = np.zeros((places.shape[0], 5), np.uint32)
    for query in range(places.shape[0]):
        y = _power(root, places[query])
        power = np.uint32(_ONE)
        for exponent in range(size):
            index = 0
            for bit in range(bits):
                if (exponent >> bit) & 1:
                    index |= 1 << (bits - 1 - bit)
            for c in range(5):
                out[query, c] = base_add(out[query, c], base_mul(message[index, c], power))
            power = base_mul(power, y)
    return out
