"""One window of a multi-scalar multiplication: points fall into buckets by signed digit, buckets are summed pairwise.

All pairs of one round are independent additions of affine points that share one inversion (Montgomery's trick), eight
at a time; a bucket of k points takes log2 k rounds, whatever the digits are, so no input makes conflicts. Addresses of
points carry the sign in their lowest bit. Equal and opposite points are rare: they are left to one-lane code.
"""

# mypy: allow-untyped-defs, allow-untyped-calls, no-check-untyped-defs
# numba infers the types of kernels: words are uint64, engines and elements the types of `elements`.

from __future__ import annotations

import numpy as np
from numba import njit

from .elements import (
    blend,
    block_bytes,
    equal_mask,
    fetch_listed,
    keep_alive,
    lane_count,
    lazy_add,
    lazy_subtract,
    load,
    load_listed,
    load_rows,
    odd_mask,
    one,
    prepared,
    raw_multiply,
    store,
    store_rows,
    twiddle,
    zero,
    zero_mask,
)
from .engines import PUBLIC_BYTES
from .group import AFFINE_BYTES, PROJECTIVE_BYTES, add_points, load_point, store_point
from .inversion import inverse
from .pointwise import invert_rows

PAIRS_A_BATCH = 2048
"""Points, differences and prefixes of a batch stay in a second-level cache."""
POINTS_A_CHUNK = 1 << 17
SPARE_ROWS = 8
_ROW = np.uint64(PUBLIC_BYTES)
_ONE = np.uint64(1)
_AHEAD = 8
"""Groups between asking for points and using them."""


@njit(cache=True, nogil=True)
def _differences(engine, lefts, rights, groups, blocks, masks):
    """The product of all x2 - x1; each difference and the product before it go to `blocks`. Equal x count as one."""
    size, list_bytes = block_bytes(engine), np.uint64(8) * lane_count(engine)
    product = one(engine)
    for g in range(groups):
        step = np.uint64(g) * list_bytes
        if g + _AHEAD < groups:
            fetch_listed(engine, lefts + step + np.uint64(_AHEAD) * list_bytes)
            fetch_listed(engine, rights + step + np.uint64(_AHEAD) * list_bytes)
        x1 = load_listed(engine, lefts + step, np.uint64(0))
        x2 = load_listed(engine, rights + step, np.uint64(0))
        difference = lazy_subtract(x2, x1)
        masks[g] = equal_mask(x1, x2)
        if masks[g]:
            difference = blend(masks[g], one(engine), difference)
        place = blocks + np.uint64(2 * g) * size
        store(difference, place)
        store(product, place + size)
        product = raw_multiply(product, difference)
    return product


@njit(cache=True, nogil=True)
def _add_pairs(engine, words, left, right, count, target, scratch, masks):
    """Rows of `target`: left[i] + right[i] where their x differ; masks[g] marks the lanes of group g where they do not.

    Lists are filled up to whole groups; `target` has room. `scratch` holds two blocks a group from byte 2048 on.
    """
    lanes, size = np.int64(lane_count(engine)), block_bytes(engine)
    groups, list_bytes = (count + lanes - 1) // lanes, np.uint64(8 * lanes)
    lefts, rights = np.uint64(left.ctypes.data), np.uint64(right.ctypes.data)
    blocks = scratch + np.uint64(2048)
    store_rows(_differences(engine, lefts, rights, groups, blocks, masks), scratch, _ROW)
    invert_rows(words, scratch, lanes, scratch + np.uint64(256))
    # The engine's constant that raw products lose is put back here once, for all slopes of the batch.
    running = twiddle(load_rows(engine, scratch, _ROW))
    for g in range(groups - 1, -1, -1):
        step, place = np.uint64(g) * list_bytes, blocks + np.uint64(2 * g) * size
        inverted = raw_multiply(running, load(engine, place + size))
        running = raw_multiply(running, load(engine, place))
        x1, y1 = load_listed(engine, lefts + step, np.uint64(0)), load_listed(engine, lefts + step, _ROW)
        x2, y2 = load_listed(engine, rights + step, np.uint64(0)), load_listed(engine, rights + step, _ROW)
        y1 = blend(odd_mask(engine, lefts + step), lazy_subtract(zero(engine), y1), y1)
        y2 = blend(odd_mask(engine, rights + step), lazy_subtract(zero(engine), y2), y2)
        slope = raw_multiply(lazy_subtract(y2, y1), inverted)
        factor = prepared(slope)
        x3 = raw_multiply(factor, slope) - lazy_add(x1, x2)
        y3 = raw_multiply(factor, lazy_subtract(x1, x3)) - y1
        row = target + np.uint64(g * lanes) * AFFINE_BYTES
        store_rows(x3, row, AFFINE_BYTES)
        store_rows(y3, row + _ROW, AFFINE_BYTES)


@njit(cache=True, nogil=True)
def _add_equal(words, left, right, target):
    """The sum of two listed points of equal x: False where it is infinity, else the doubled point in `target`."""
    source = left & ~_ONE
    x, y = load_rows(words, source, _ROW), load_rows(words, source + _ROW, _ROW)
    other = load_rows(words, (right & ~_ONE) + _ROW, _ROW)
    if left & _ONE:
        y = zero(words) - y
    if right & _ONE:
        other = zero(words) - other
    if zero_mask(y - other) == 0:
        return False
    square = x * x
    slope = (square + square + square) * inverse(words, y + y)
    x3 = slope * slope - x - x
    store_rows(x3, target, _ROW)
    store_rows(slope * (x - x3) - y, target + _ROW, _ROW)
    return True


@njit(cache=True, nogil=True)
def _flush(engine, words, left, right, slots, count, items, target, spare, scratch, masks):
    """Add the `count` collected pairs. Addresses of the sums are in `items` already; 0 replaces those of infinity."""
    lanes = np.int64(lane_count(engine))
    for i in range(count, count + -count % lanes):
        left[i], right[i] = spare, spare + AFFINE_BYTES
    _add_pairs(engine, words, left, right, count, target, scratch, masks)
    for i in range(count):
        if masks[i // lanes] >> np.uint64(i % lanes) & _ONE:
            row = target + np.uint64(i) * AFFINE_BYTES
            if not _add_equal(words, left[i], right[i], row):
                items[slots[i]] = np.uint64(0)


@njit(cache=True, nogil=True)
def _sum_buckets(engine, words, items, starts, counts, arena, spare, scratch):
    """Reduce each bucket's items (addresses from starts[b], counts[b] of them) to at most one."""
    left, right = np.empty(PAIRS_A_BATCH + 8, np.uint64), np.empty(PAIRS_A_BATCH + 8, np.uint64)
    slots, masks = np.empty(PAIRS_A_BATCH, np.int64), np.empty(PAIRS_A_BATCH, np.uint64)
    free, busy = arena, True
    while busy:
        busy, pairs, target = False, 0, free
        for b in range(len(counts)):
            if counts[b] < 2:
                continue
            read, written, end = starts[b], starts[b], starts[b] + counts[b]
            pending = np.uint64(0)
            while read < end:
                item = items[read]
                read += 1
                if item == 0:
                    continue
                if pending == 0:
                    pending = item
                    continue
                left[pairs], right[pairs], slots[pairs] = pending, item, written
                items[written] = free
                free += AFFINE_BYTES
                written += 1
                pairs += 1
                pending = np.uint64(0)
                if pairs == PAIRS_A_BATCH:
                    _flush(engine, words, left, right, slots, pairs, items, target, spare, scratch, masks)
                    pairs, target = 0, free
            if pending:
                items[written] = pending
                written += 1
            counts[b] = written - starts[b]
            busy = busy or counts[b] > 1
        if pairs:
            _flush(engine, words, left, right, slots, pairs, items, target, spare, scratch, masks)


@njit(cache=True, nogil=True)
def _sort(digits, bases, first, last, held, points, items, starts, counts):
    """Addresses by bucket, each bucket's own sum so far first: items[starts[b]] .. of counts[b]."""
    counts[:] = 0
    for i in range(first, last):
        if digits[i]:
            counts[abs(digits[i]) - 1] += 1
    total = 0
    for b in range(len(held)):
        starts[b] = total
        total += counts[b] + np.int64(held[b])
        counts[b] = held[b]
        if held[b]:
            items[starts[b]] = points + np.uint64(b) * AFFINE_BYTES
    for i in range(first, last):
        digit = np.int64(digits[i])
        if digit:
            b = abs(digit) - 1
            items[starts[b] + counts[b]] = bases + np.uint64(i) * AFFINE_BYTES + np.uint64(digit < 0)
            counts[b] += 1


@njit(cache=True, nogil=True)
def fill_buckets(engine, words, digits, bases, chunk, held, points, items, arena, spare, scratch):
    """points[b - 1] = the sum of the bases with digit b or, negated, -b; held[b - 1] tells whether it is finite.

    `items` has room for `chunk` + buckets, `arena` for so many points and eight more.
    """
    starts, counts = np.empty(len(held), np.int64), np.empty(len(held), np.int64)
    own = np.uint64(points.ctypes.data)
    held[:] = False
    for first in range(0, len(digits), chunk):
        last = min(len(digits), first + chunk)
        _sort(digits, bases, first, last, held, own, items, starts, counts)
        _sum_buckets(engine, words, items, starts, counts, arena, spare, scratch)
        for b in range(len(held)):
            item = items[starts[b]] if counts[b] else np.uint64(0)
            held[b] = item != 0
            if item:
                place, target = item & ~_ONE, own + np.uint64(b) * AFFINE_BYTES
                y = load_rows(words, place + _ROW, _ROW)
                if item & _ONE:
                    y = zero(words) - y
                store_rows(load_rows(words, place, _ROW), target, _ROW)
                store_rows(y, target + _ROW, _ROW)


@njit(cache=True, nogil=True)
def weigh_buckets(engine, words, held, points, spare, target):
    """The projective sum of b * bucket b: each lane runs down a segment of buckets, then the segments are joined."""
    lanes = np.int64(lane_count(engine))
    length = len(held) // lanes
    places, partial = np.empty(8, np.uint64), np.empty((2, 8, 12), np.uint64)
    listed, own = np.uint64(places.ctypes.data), np.uint64(points.ctypes.data)
    sx, sy, sz = zero(engine), one(engine), zero(engine)
    wx, wy, wz = zero(engine), one(engine), zero(engine)
    for i in range(length - 1, -1, -1):
        finite = np.uint64(0)
        for lane in range(lanes):
            b = lane * length + i
            places[lane] = own + np.uint64(b) * AFFINE_BYTES if held[b] else spare
            finite |= np.uint64(held[b]) << np.uint64(lane)
        x, y = load_listed(engine, listed, np.uint64(0)), load_listed(engine, listed, _ROW)
        x, z = blend(finite, x, zero(engine)), blend(finite, one(engine), zero(engine))
        y = blend(finite, y, one(engine))
        sx, sy, sz = add_points(sx, sy, sz, x, y, z)
        wx, wy, wz = add_points(wx, wy, wz, sx, sy, sz)
    sums = np.uint64(partial.ctypes.data)
    weighted = sums + np.uint64(8) * PROJECTIVE_BYTES
    store_point(sx, sy, sz, sums, PROJECTIVE_BYTES)
    store_point(wx, wy, wz, weighted, PROJECTIVE_BYTES)
    x, y, z = _by_position(words, sums, lanes)
    doublings = 0
    while 1 << doublings < length:
        x, y, z = add_points(x, y, z, x, y, z)
        doublings += 1
    for lane in range(lanes):
        px, py, pz = load_point(words, weighted + np.uint64(lane) * PROJECTIVE_BYTES, PROJECTIVE_BYTES)
        x, y, z = add_points(x, y, z, px, py, pz)
    store_point(x, y, z, target, PROJECTIVE_BYTES)
    keep_alive(places)
    keep_alive(partial)


@njit(cache=True, nogil=True)
def _by_position(words, points, count):
    """sum_i i * points[i]."""
    tx, ty, tz = zero(words), one(words), zero(words)
    x, y, z = zero(words), one(words), zero(words)
    for i in range(count - 1, 0, -1):
        px, py, pz = load_point(words, points + np.uint64(i) * PROJECTIVE_BYTES, PROJECTIVE_BYTES)
        tx, ty, tz = add_points(tx, ty, tz, px, py, pz)
        x, y, z = add_points(x, y, z, tx, ty, tz)
    return x, y, z


@njit(cache=True, nogil=True)
def join_windows(words, windows, count, parts, bits, target):
    """sum_w 2^(bits w) * (the sum of the `parts` projective rows of window w)."""
    x, y, z = zero(words), one(words), zero(words)
    for window in range(count - 1, -1, -1):
        for _ in range(bits):
            x, y, z = add_points(x, y, z, x, y, z)
        for part in range(parts):
            row = windows + np.uint64(window * parts + part) * PROJECTIVE_BYTES
            px, py, pz = load_point(words, row, PROJECTIVE_BYTES)
            x, y, z = add_points(x, y, z, px, py, pz)
    store_point(x, y, z, target, PROJECTIVE_BYTES)
