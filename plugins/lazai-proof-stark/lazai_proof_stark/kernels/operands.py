"""Integers against elements of K: operands folded along axes, and residues.

Values are signed integers as programs hold them, weights canonical `[n, 5]`. A sum of products of 31-bit weights with
b-bit values is reduced every 2^(31 - b) rows, so int64 never overflows.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from ..field import P

_P = np.int64(P)
_MONTGOMERY = np.uint64((1 << 32) % P)
COLUMNS_A_BLOCK = 256


@njit(cache=True, nogil=True)
def fold_rows(values, weights, rows_a_turn, out, begin, end):
    """out[:, j] = sum over i of weights[i] values[i, j] for columns begin .. end; out int64 `[5, m]`, canonical.

    values int8, int16 or int32; weights int32 `[n, 5]`, canonical: the compiler then multiplies 32-bit numbers.
    rows_a_turn rows, at least four, sum up to less than 2^62.
    """
    total = np.zeros((5, COLUMNS_A_BLOCK), np.int64)
    count = values.shape[0]
    fours = count - count % 4
    for first in range(begin, end, COLUMNS_A_BLOCK):
        width = min(COLUMNS_A_BLOCK, end - first)
        total[:] = 0
        since = 0
        for i in range(0, fours, 4):
            if since + 4 > rows_a_turn:
                since = 0
                for c in range(5):
                    for j in range(width):
                        total[c, j] %= _P
            since += 4
            v0 = values[i, first : first + width]
            v1 = values[i + 1, first : first + width]
            v2 = values[i + 2, first : first + width]
            v3 = values[i + 3, first : first + width]
            for c in range(5):
                w0, w1 = np.int64(weights[i, c]), np.int64(weights[i + 1, c])
                w2, w3 = np.int64(weights[i + 2, c]), np.int64(weights[i + 3, c])
                row = total[c]
                for j in range(width):
                    row[j] += (w0 * np.int64(v0[j]) + w1 * np.int64(v1[j])) + (
                        w2 * np.int64(v2[j]) + w3 * np.int64(v3[j])
                    )
        for c in range(5):
            for j in range(width):
                total[c, j] %= _P
        for i in range(fours, count):
            for c in range(5):
                weight = np.int64(weights[i, c])
                for j in range(width):
                    total[c, j] = (total[c, j] + weight * np.int64(values[i, first + j])) % _P
        for c in range(5):
            for j in range(width):
                out[c, first + j] = total[c, j]


@njit(cache=True, nogil=True)
def residue_words(values, out):
    """Signed integers, flat, to Montgomery words."""
    for i in range(values.shape[0]):
        canonical = np.uint64(np.int64(values[i]) % _P)
        out[i] = np.uint32(canonical * _MONTGOMERY % np.uint64(_P))
