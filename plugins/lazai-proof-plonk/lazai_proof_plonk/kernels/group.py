"""Complete addition on G1 and compiled loops of scalar multiplication.

Projective points (X : Y : Z), 96 bytes as three field array elements, infinity (0 : 1 : 0). The formulas have no
exceptions: Renes, Costello, Batina, "Complete addition formulas for prime order elliptic curves" (2015), algorithm
7, with b = 3.
"""

# mypy: allow-untyped-defs, allow-untyped-calls, no-check-untyped-defs
# numba infers the types of kernels: words are uint64, engines and elements the types of `elements`.

from __future__ import annotations

import numpy as np
from numba import njit

from .elements import blend, keep_alive, lane_count, load_listed, load_rows, one, store_rows, zero, zero_mask
from .engines import PUBLIC_BYTES

_ROW = np.uint64(PUBLIC_BYTES)
AFFINE_BYTES = np.uint64(2 * PUBLIC_BYTES)
PROJECTIVE_BYTES = np.uint64(3 * PUBLIC_BYTES)
DIGIT_BITS = 4
TABLE_ROWS = 1 << DIGIT_BITS


@njit(cache=True, nogil=True)
def times_nine(a):
    double = a + a
    fourfold = double + double
    return fourfold + fourfold + a


@njit(cache=True, nogil=True)
def add_points(x1, y1, z1, x2, y2, z2):
    xx, yy, zz = x1 * x2, y1 * y2, z1 * z2
    xy = (x1 + y1) * (x2 + y2) - xx - yy
    yz = (y1 + z1) * (y2 + z2) - yy - zz
    xz = times_nine((x1 + z1) * (x2 + z2) - xx - zz)
    xx = xx + xx + xx
    zz = times_nine(zz)
    high, low = yy + zz, yy - zz
    return xy * low - yz * xz, low * high + xz * xx, high * yz + xx * xy


@njit(cache=True, nogil=True)
def load_point(engine, address, stride):
    x = load_rows(engine, address, stride)
    y = load_rows(engine, address + _ROW, stride)
    return x, y, load_rows(engine, address + np.uint64(2) * _ROW, stride)


@njit(cache=True, nogil=True)
def load_listed_point(engine, list_address):
    x = load_listed(engine, list_address, np.uint64(0))
    y = load_listed(engine, list_address, _ROW)
    return x, y, load_listed(engine, list_address, np.uint64(2) * _ROW)


@njit(cache=True, nogil=True)
def store_point(x, y, z, address, stride):
    store_rows(x, address, stride)
    store_rows(y, address + _ROW, stride)
    store_rows(z, address + np.uint64(2) * _ROW, stride)


@njit(cache=True, nogil=True)
def affine_to_projective(engine, source, target, begin, end):
    """Affine rows, zeros for infinity, to projective rows."""
    for i in range(begin, end, np.int64(lane_count(engine))):
        place = source + np.uint64(i) * AFFINE_BYTES
        x, y = load_rows(engine, place, AFFINE_BYTES), load_rows(engine, place + _ROW, AFFINE_BYTES)
        infinite = zero_mask(y)
        z = blend(infinite, zero(engine), one(engine))
        y = blend(infinite, one(engine), y)
        store_point(x, y, z, target + np.uint64(i) * PROJECTIVE_BYTES, PROJECTIVE_BYTES)


@njit(cache=True, nogil=True)
def on_curve(engine, source, curve_b, begin, end):
    """Every affine row is zeros or satisfies y^2 = x^3 + b; the address of b is given."""
    constant = load_rows(engine, curve_b, np.uint64(0))
    for i in range(begin, end, np.int64(lane_count(engine))):
        place = source + np.uint64(i) * AFFINE_BYTES
        x, y = load_rows(engine, place, AFFINE_BYTES), load_rows(engine, place + _ROW, AFFINE_BYTES)
        difference = y * y - (x * x * x + constant)
        infinite = zero_mask(x) & zero_mask(y)
        everyone = np.uint64((1 << np.int64(lane_count(engine))) - 1)
        if (zero_mask(difference) | infinite) != everyone:
            return False
    return True


@njit(cache=True, nogil=True)
def multiply_each(engine, points, scalars, target, begin, end):
    """target[i] = scalars[i] * points[i]; projective rows, canonical scalars as uint64[n, 4]."""
    lanes = np.int64(lane_count(engine))
    table = np.empty((lanes, TABLE_ROWS, 12), np.uint64)
    places = np.empty(8, np.uint64)
    listed, entry = np.uint64(places.ctypes.data), np.uint64(table.ctypes.data)
    lane_bytes = np.uint64(TABLE_ROWS) * PROJECTIVE_BYTES
    for i in range(begin, end, lanes):
        px, py, pz = load_point(engine, points + np.uint64(i) * PROJECTIVE_BYTES, PROJECTIVE_BYTES)
        x, y, z = zero(engine), one(engine), zero(engine)
        for digit in range(TABLE_ROWS):
            store_point(x, y, z, entry + np.uint64(digit) * PROJECTIVE_BYTES, lane_bytes)
            x, y, z = add_points(x, y, z, px, py, pz)
        x, y, z = zero(engine), one(engine), zero(engine)
        for position in range(63, -1, -1):
            for _ in range(DIGIT_BITS):
                x, y, z = add_points(x, y, z, x, y, z)
            for lane in range(lanes):
                word = scalars[i + lane, position // 16]
                digit = (word >> np.uint64(4 * (position % 16))) & np.uint64(15)
                places[lane] = entry + np.uint64(lane) * lane_bytes + digit * PROJECTIVE_BYTES
            tx, ty, tz = load_listed_point(engine, listed)
            x, y, z = add_points(x, y, z, tx, ty, tz)
        store_point(x, y, z, target + np.uint64(i) * PROJECTIVE_BYTES, PROJECTIVE_BYTES)
    keep_alive(places)
    keep_alive(table)


@njit(cache=True, nogil=True)
def sum_points(words, points, count, target):
    """The sum of `count` projective rows."""
    x, y, z = zero(words), one(words), zero(words)
    for i in range(count):
        px, py, pz = load_point(words, points + np.uint64(i) * PROJECTIVE_BYTES, PROJECTIVE_BYTES)
        x, y, z = add_points(x, y, z, px, py, pz)
    store_point(x, y, z, target, PROJECTIVE_BYTES)


@njit(cache=True, nogil=True)
def fill_table(words, base, table):
    """table[w][d] = d * 2^(8 w) * base for 32 windows of 8 bits; projective rows."""
    bx, by, bz = load_point(words, base, PROJECTIVE_BYTES)
    for window in range(32):
        x, y, z = zero(words), one(words), zero(words)
        for digit in range(256):
            store_point(x, y, z, table + np.uint64(256 * window + digit) * PROJECTIVE_BYTES, PROJECTIVE_BYTES)
            x, y, z = add_points(x, y, z, bx, by, bz)
        bx, by, bz = x, y, z


@njit(cache=True, nogil=True)
def multiply_base(engine, table, scalars, target, begin, end):
    """target[i] = scalars[i] * base from the table of `fill_table`; canonical scalars as uint64[n, 4]."""
    lanes = np.int64(lane_count(engine))
    places = np.empty(8, np.uint64)
    listed = np.uint64(places.ctypes.data)
    for i in range(begin, end, lanes):
        x, y, z = zero(engine), one(engine), zero(engine)
        for window in range(32):
            for lane in range(lanes):
                word = scalars[i + lane, window // 8]
                digit = (word >> np.uint64(8 * (window % 8))) & np.uint64(255)
                places[lane] = table + (np.uint64(256 * window) + digit) * PROJECTIVE_BYTES
            tx, ty, tz = load_listed_point(engine, listed)
            x, y, z = add_points(x, y, z, tx, ty, tz)
        store_point(x, y, z, target + np.uint64(i) * PROJECTIVE_BYTES, PROJECTIVE_BYTES)
    keep_alive(places)
