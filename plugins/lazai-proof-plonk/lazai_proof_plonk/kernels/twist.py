"""Complete addition on the twist and compiled loops of scalar multiplication in G2.

Projective points over Fq2, 192 bytes, infinity (0 : 1 : 0). The formulas of `group` hold here too: their exceptions are
differences of order two, and the twist has odd order r (2 q - r). `b3` is three times the twist's constant.
"""

# mypy: allow-untyped-defs, allow-untyped-calls, no-check-untyped-defs
# numba infers the types of kernels: words are uint64, engines and elements the types of `elements`.

from __future__ import annotations

import numpy as np
from numba import njit

from .elements import one, zero, zero_mask
from .tower import (
    PAIR_BYTES,
    add_pair,
    load_pair,
    mul_pair,
    one_pair,
    square_pair,
    store_pair,
    sub_pair,
)

AFFINE_BYTES = np.uint64(2) * PAIR_BYTES
PROJECTIVE_BYTES = np.uint64(3) * PAIR_BYTES


@njit(cache=True, nogil=True)
def add_points(x1, y1, z1, x2, y2, z2, b3):
    xx, yy, zz = mul_pair(x1, x2), mul_pair(y1, y2), mul_pair(z1, z2)
    xy = sub_pair(sub_pair(mul_pair(add_pair(x1, y1), add_pair(x2, y2)), xx), yy)
    yz = sub_pair(sub_pair(mul_pair(add_pair(y1, z1), add_pair(y2, z2)), yy), zz)
    xz = sub_pair(sub_pair(mul_pair(add_pair(x1, z1), add_pair(x2, z2)), xx), zz)
    xz, zz = mul_pair(b3, xz), mul_pair(b3, zz)
    xx = add_pair(add_pair(xx, xx), xx)
    high, low = add_pair(yy, zz), sub_pair(yy, zz)
    x = sub_pair(mul_pair(xy, low), mul_pair(yz, xz))
    y = add_pair(mul_pair(low, high), mul_pair(xz, xx))
    return x, y, add_pair(mul_pair(high, yz), mul_pair(xx, xy))


@njit(cache=True, nogil=True)
def load_point(words, place):
    x, y = load_pair(words, place), load_pair(words, place + PAIR_BYTES)
    return x, y, load_pair(words, place + np.uint64(2) * PAIR_BYTES)


@njit(cache=True, nogil=True)
def store_point(x, y, z, place):
    store_pair(x, place)
    store_pair(y, place + PAIR_BYTES)
    store_pair(z, place + np.uint64(2) * PAIR_BYTES)


@njit(cache=True, nogil=True)
def infinity(words):
    return (zero(words), zero(words)), (one(words), zero(words)), (zero(words), zero(words))


@njit(cache=True, nogil=True)
def is_zero_pair(a):
    return (zero_mask(a[0]) & zero_mask(a[1])) != 0


@njit(cache=True, nogil=True)
def load_affine(words, place):
    """An affine row, zeros for infinity, as a projective point."""
    x, y = load_pair(words, place), load_pair(words, place + PAIR_BYTES)
    if is_zero_pair(x) and is_zero_pair(y):
        return infinity(words)
    return x, y, one_pair(words)


@njit(cache=True, nogil=True)
def on_twist(words, points, count, twist_b):
    """Every affine row is zeros or satisfies the equation."""
    constant = load_pair(words, twist_b)
    for i in range(count):
        place = points + np.uint64(i) * AFFINE_BYTES
        x, y = load_pair(words, place), load_pair(words, place + PAIR_BYTES)
        difference = sub_pair(square_pair(y), add_pair(mul_pair(square_pair(x), x), constant))
        if not (is_zero_pair(difference) or (is_zero_pair(x) and is_zero_pair(y))):
            return False
    return True


@njit(cache=True, nogil=True)
def multiply_each(words, points, scalars, twist_b3, target):
    """target[i] = scalars[i] * points[i]: affine to projective rows, canonical scalars."""
    b3 = load_pair(words, twist_b3)
    for i in range(len(scalars)):
        px, py, pz = load_affine(words, points + np.uint64(i) * AFFINE_BYTES)
        x, y, z = infinity(words)
        for bit in range(255, -1, -1):
            x, y, z = add_points(x, y, z, x, y, z, b3)
            if scalars[i, bit // 64] >> np.uint64(bit % 64) & np.uint64(1):
                x, y, z = add_points(x, y, z, px, py, pz, b3)
        store_point(x, y, z, target + np.uint64(i) * PROJECTIVE_BYTES)


@njit(cache=True, nogil=True)
def fill_table(words, base, twist_b3, table):
    """table[w][d] = d * 2^(8 w) * base for 32 windows of 8 bits; `base` an affine row, the table projective rows."""
    b3 = load_pair(words, twist_b3)
    bx, by, bz = load_affine(words, base)
    for window in range(32):
        x, y, z = infinity(words)
        for digit in range(256):
            store_point(x, y, z, table + np.uint64(256 * window + digit) * PROJECTIVE_BYTES)
            x, y, z = add_points(x, y, z, bx, by, bz, b3)
        bx, by, bz = x, y, z


@njit(cache=True, nogil=True)
def multiply_base(words, table, scalars, twist_b3, target, begin, end):
    """target[i] = scalars[i] * base from the table of `fill_table`; canonical scalars, projective rows."""
    b3 = load_pair(words, twist_b3)
    for i in range(begin, end):
        x, y, z = infinity(words)
        for window in range(32):
            digit = scalars[i, window // 8] >> np.uint64(8 * (window % 8)) & np.uint64(255)
            if digit:
                place = table + (np.uint64(256 * window) + digit) * PROJECTIVE_BYTES
                tx, ty, tz = load_point(words, place)
                x, y, z = add_points(x, y, z, tx, ty, tz, b3)
        store_point(x, y, z, target + np.uint64(i) * PROJECTIVE_BYTES)


@njit(cache=True, nogil=True)
def window_sum(words, points, scalars, window, bits, twist_b3, table, target):
    """The sum of points times digit `window` of their scalars; `bits` divides 64, `table` has 2^bits rows."""
    b3 = load_pair(words, twist_b3)
    x, y, z = infinity(words)
    for digit in range(1 << bits):
        store_point(x, y, z, table + np.uint64(digit) * PROJECTIVE_BYTES)
    position = window * bits
    mask = np.uint64((1 << bits) - 1)
    for i in range(len(scalars)):
        digit = scalars[i, position // 64] >> np.uint64(position % 64) & mask
        if digit:
            place = table + digit * PROJECTIVE_BYTES
            bx, by, bz = load_point(words, place)
            px, py, pz = load_affine(words, points + np.uint64(i) * AFFINE_BYTES)
            bx, by, bz = add_points(bx, by, bz, px, py, pz, b3)
            store_point(bx, by, bz, place)
    sx, sy, sz = infinity(words)
    for digit in range((1 << bits) - 1, 0, -1):
        bx, by, bz = load_point(words, table + np.uint64(digit) * PROJECTIVE_BYTES)
        sx, sy, sz = add_points(sx, sy, sz, bx, by, bz, b3)
        x, y, z = add_points(x, y, z, sx, sy, sz, b3)
    store_point(x, y, z, target)


@njit(cache=True, nogil=True)
def join_windows(words, windows, count, bits, twist_b3, target):
    """sum_w 2^(bits w) * windows[w]."""
    b3 = load_pair(words, twist_b3)
    x, y, z = infinity(words)
    for window in range(count - 1, -1, -1):
        for _ in range(bits):
            x, y, z = add_points(x, y, z, x, y, z, b3)
        px, py, pz = load_point(words, windows + np.uint64(window) * PROJECTIVE_BYTES)
        x, y, z = add_points(x, y, z, px, py, pz, b3)
    store_point(x, y, z, target)
