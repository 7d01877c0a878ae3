"""Compiled loops over field arrays: elementwise operations, sums, powers, inverses, running products.

Arrays come as addresses and strides in bytes: stride 0 repeats one element. Every loop takes whole blocks of lanes;
callers give what is left over to the one-lane engine.
"""

# mypy: allow-untyped-defs, allow-untyped-calls, no-check-untyped-defs
# numba infers the types of kernels: words are uint64, engines and elements the types of `elements`.

from __future__ import annotations

import numpy as np
from numba import njit

from .elements import (
    block_bytes,
    keep_alive,
    lane_count,
    load,
    load_rows,
    load_uniform,
    one,
    prepared,
    raw_multiply,
    store,
    store_rows,
    store_uniform,
    uniform_bytes,
    zero,
    zero_mask,
)
from .engines import PUBLIC_BYTES
from .inversion import inverse

MULTIPLY, ADD, SUBTRACT, MULTIPLY_ADD = range(4)
INVERSES_A_BATCH = 4096
_ROW = np.uint64(PUBLIC_BYTES)


@njit(cache=True, nogil=True)
def combine(engine, kind, a, a_stride, b, b_stride, c, c_stride, out, begin, end):
    """out[i] = a[i] (kind) b[i], or a[i] b[i] + c[i], for begin <= i < end; end - begin is a multiple of the lanes."""
    lanes = np.int64(lane_count(engine))
    for i in range(begin, end, lanes):
        at = np.uint64(i)
        x = load_rows(engine, a + at * a_stride, a_stride)
        y = load_rows(engine, b + at * b_stride, b_stride)
        if kind == MULTIPLY:
            result = x * y
        elif kind == ADD:
            result = x + y
        elif kind == SUBTRACT:
            result = x - y
        else:
            result = x * y + load_rows(engine, c + at * c_stride, c_stride)
        store_rows(result, out + at * _ROW, _ROW)


@njit(cache=True, nogil=True)
def linear_sum(engine, places, lengths, factors, out, begin, end):
    """out[i] = sum_j factors[j] * (places[j])[i] over the arrays with at least `end` elements."""
    lanes, size = np.int64(lane_count(engine)), uniform_bytes(engine)
    table = np.empty(len(places) * np.int64(size), np.uint8)
    spread = np.uint64(table.ctypes.data)
    for j in range(len(places)):
        factor = prepared(load_rows(engine, factors + np.uint64(j) * _ROW, np.uint64(0)))
        store_uniform(factor, spread + np.uint64(j) * size)
    for i in range(begin, end, lanes):
        at = np.uint64(i) * _ROW
        total = zero(engine)
        for j in range(len(places)):
            if lengths[j] >= end:
                factor = load_uniform(engine, spread + np.uint64(j) * size)
                total = total + raw_multiply(factor, load_rows(engine, places[j] + at, _ROW))
        store_rows(total, out + at, _ROW)
    keep_alive(table)


@njit(cache=True, nogil=True)
def fill_powers(engine, start, step, out, begin, end):
    """out[i + lane] for blocks i: start[lane] * step^((i - begin) / lanes)."""
    lanes = np.int64(lane_count(engine))
    current = load_rows(engine, start, _ROW)
    factor = prepared(load_rows(engine, step, np.uint64(0)))
    for i in range(begin, end, lanes):
        store_rows(current, out + np.uint64(i) * _ROW, _ROW)
        current = raw_multiply(factor, current)


@njit(cache=True, nogil=True)
def horner(engine, coefficients, step, out, begin, end):
    """Lane l of `out`: sum over blocks i of coefficients[begin + i * lanes + l] * step^i."""
    lanes = np.int64(lane_count(engine))
    factor = prepared(load_rows(engine, step, np.uint64(0)))
    total = zero(engine)
    for i in range(end - lanes, begin - 1, -lanes):
        total = raw_multiply(factor, total) + load_rows(engine, coefficients + np.uint64(i) * _ROW, _ROW)
    store_rows(total, out, _ROW)


@njit(cache=True, nogil=True)
def inner_sum(engine, a, b, out, begin, end):
    """Lane l of `out`: sum of a[i] * b[i] over i = l modulo the lanes."""
    lanes = np.int64(lane_count(engine))
    total = zero(engine)
    for i in range(begin, end, lanes):
        at = np.uint64(i) * _ROW
        total = total + load_rows(engine, a + at, _ROW) * load_rows(engine, b + at, _ROW)
    store_rows(total, out, _ROW)


@njit(cache=True, nogil=True)
def segment_products(engine, a, length, out):
    """Lane l: the product of segment l of `length` elements; segments side by side."""
    stride = np.uint64(length) * _ROW
    product = one(engine)
    for i in range(length):
        product = product * load_rows(engine, a + np.uint64(i) * _ROW, stride)
    store_rows(product, out, _ROW)


@njit(cache=True, nogil=True)
def running_products(engine, a, length, carried, out):
    """out[i] = carried[l] times the elements of segment l up to and with i."""
    stride = np.uint64(length) * _ROW
    product = load_rows(engine, carried, _ROW)
    for i in range(length):
        at = np.uint64(i) * _ROW
        product = product * load_rows(engine, a + at, stride)
        store_rows(product, out + at, stride)


@njit(cache=True, nogil=True)
def segment_sums(engine, a, length, out):
    """Lane l: the sum of segment l of `length` elements; segments side by side."""
    stride = np.uint64(length) * _ROW
    total = zero(engine)
    for i in range(length):
        total = total + load_rows(engine, a + np.uint64(i) * _ROW, stride)
    store_rows(total, out, _ROW)


@njit(cache=True, nogil=True)
def running_sums(engine, a, length, carried, out):
    """out[i] = carried[l] plus the elements of segment l up to and with i."""
    stride = np.uint64(length) * _ROW
    total = load_rows(engine, carried, _ROW)
    for i in range(length):
        at = np.uint64(i) * _ROW
        total = total + load_rows(engine, a + at, stride)
        store_rows(total, out + at, stride)


@njit(cache=True, nogil=True)
def horner_ends(engine, a, length, point, carried, out):
    """Lane l runs down segment l, t = t * point + a[i] from t = carried[l], and leaves the last t."""
    stride = np.uint64(length) * _ROW
    factor = prepared(load_rows(engine, point, np.uint64(0)))
    total = load_rows(engine, carried, _ROW)
    for i in range(length - 1, -1, -1):
        total = raw_multiply(factor, total) + load_rows(engine, a + np.uint64(i) * _ROW, stride)
    store_rows(total, out, _ROW)


@njit(cache=True, nogil=True)
def horner_steps(engine, a, length, point, carried, out):
    """As `horner_ends`, but out[i] is every t."""
    stride = np.uint64(length) * _ROW
    factor = prepared(load_rows(engine, point, np.uint64(0)))
    total = load_rows(engine, carried, _ROW)
    for i in range(length - 1, -1, -1):
        at = np.uint64(i) * _ROW
        total = raw_multiply(factor, total) + load_rows(engine, a + at, stride)
        store_rows(total, out + at, stride)


@njit(cache=True, nogil=True)
def invert_rows(words, rows, count, prefixes):
    """Replace `count` elements by inverses with one inversion; False, and nothing changed, if one is zero.

    `prefixes`: memory for as many elements.
    """
    product = one(words)
    for i in range(count):
        at = np.uint64(i) * _ROW
        store(product, prefixes + at)
        product = product * load(words, rows + at)
    if zero_mask(product) != 0:
        return False
    running = inverse(words, product)
    for i in range(count - 1, -1, -1):
        at = np.uint64(i) * _ROW
        value = load(words, rows + at)
        store_rows(running * load(words, prefixes + at), rows + at, _ROW)
        running = running * value
    return True


@njit(cache=True, nogil=True)
def invert_many(engine, words, a, out, begin, end):
    """out[i] = 1 / a[i]; False if some a[i] is zero."""
    lanes = np.int64(lane_count(engine))
    block = block_bytes(engine)
    scratch = np.empty(INVERSES_A_BATCH // lanes * np.int64(block) + 2048, np.uint8)
    rows = np.uint64(scratch.ctypes.data)
    work = rows + np.uint64(256)
    prefixes = rows + np.uint64(2048)
    for start in range(begin, end, INVERSES_A_BATCH):
        stop = min(end, start + INVERSES_A_BATCH)
        product = one(engine)
        for i in range(start, stop, lanes):
            store(product, prefixes + np.uint64((i - start) // lanes) * block)
            product = product * load_rows(engine, a + np.uint64(i) * _ROW, _ROW)
        store_rows(product, rows, _ROW)
        if not invert_rows(words, rows, lanes, work):
            keep_alive(scratch)
            return False
        running = load_rows(engine, rows, _ROW)
        for i in range(stop - lanes, start - 1, -lanes):
            at = np.uint64(i) * _ROW
            prefix = load(engine, prefixes + np.uint64((i - start) // lanes) * block)
            value = load_rows(engine, a + at, _ROW)
            store_rows(running * prefix, out + at, _ROW)
            running = running * value
    keep_alive(scratch)
    return True


@njit(cache=True, nogil=True)
def all_below(array, bound):
    """Whether every row, little-endian words, is below `bound`."""
    for i in range(array.shape[0]):
        below = False
        for word in range(3, -1, -1):
            if array[i, word] < bound[word]:
                below = True
                break
            if array[i, word] > bound[word]:
                break
        if not below:
            return False
    return True
