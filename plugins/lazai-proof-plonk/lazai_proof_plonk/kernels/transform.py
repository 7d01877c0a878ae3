"""Compiled passes of the number-theoretic transform over Fr.

A transform of n = n1 * n2 elements takes two passes, each of many short transforms on `lanes` columns side by side:

    X[k1 + n1 k2] = sum_j2 w_n2^(j2 k2) * ( w_n^(j2 k1) * sum_j1 w_n1^(j1 k1) x[j1 n2 + j2] )

Pass one works on columns j2 and leaves its results in rows k1; pass two works on rows k1, one row a lane. Inside a
pass the columns lie in a scratch that second-level caches hold, and sums are not reduced: a value grows by 2p a
stage at most, and products by twiddles close to p take factors up to 64p, enough for 28 stages.
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
    lazy_add,
    lazy_subtract,
    load,
    load_rows,
    load_uniform,
    loose_multiply,
    raw_multiply,
    store,
    store_rows,
    store_uniform,
    twiddle,
    uniform_bytes,
    zero,
)
from .engines import PUBLIC_BYTES

_ROW = np.uint64(PUBLIC_BYTES)
STAGES_A_BLOCK = 6
"""2^6 blocks of 320 bytes lie in a first-level cache."""


@njit(cache=True, nogil=True)
def uniform_twiddles(engine, source, target, length):
    """Field array elements to factors that `load_uniform` spreads over the lanes."""
    for i in range(length):
        value = twiddle(load_rows(engine, source + np.uint64(i) * _ROW, np.uint64(0)))
        store_uniform(value, target + np.uint64(i) * uniform_bytes(engine))


@njit(cache=True, nogil=True)
def _stage(engine, blocks, begin, count, half, roots, root_step):
    """One stage of decimation in time on blocks begin .. begin + count; roots[j * root_step] belongs to offset j."""
    size, root_size = block_bytes(engine), uniform_bytes(engine) * np.uint64(root_step)
    apart = np.uint64(half) * size
    for start in range(begin, begin + count, 2 * half):
        low = blocks + np.uint64(start) * size
        root = roots
        for _ in range(half):
            high = low + apart
            a = load(engine, low)
            product = loose_multiply(load_uniform(engine, root), load(engine, high))
            store(lazy_add(a, product), low)
            store(lazy_subtract(a, product), high)
            low += size
            root += root_size


@njit(cache=True, nogil=True)
def _four_point_stages(engine, blocks, begin, count, quarter, roots, root_step):
    """Two stages at once: halves `quarter`, then 2 * `quarter`; root_step is that of the second stage."""
    size, root_size = block_bytes(engine), uniform_bytes(engine) * np.uint64(root_step)
    apart = np.uint64(quarter) * size
    far = np.uint64(quarter) * root_size
    for start in range(begin, begin + count, 4 * quarter):
        low = blocks + np.uint64(start) * size
        root, squared = roots, roots
        for _ in range(quarter):
            inner = load_uniform(engine, squared)
            a, b = load(engine, low), loose_multiply(inner, load(engine, low + apart))
            a, b = lazy_add(a, b), lazy_subtract(a, b)
            c = load(engine, low + np.uint64(2) * apart)
            d = loose_multiply(inner, load(engine, low + np.uint64(3) * apart))
            c, d = lazy_add(c, d), lazy_subtract(c, d)
            c = loose_multiply(load_uniform(engine, root), c)
            d = loose_multiply(load_uniform(engine, root + far), d)
            store(lazy_add(a, c), low)
            store(lazy_subtract(a, c), low + np.uint64(2) * apart)
            store(lazy_add(b, d), low + apart)
            store(lazy_subtract(b, d), low + np.uint64(3) * apart)
            low += size
            root += root_size
            squared += np.uint64(2) * root_size


@njit(cache=True, nogil=True)
def _stages(engine, blocks, begin, count, first, last, log_rows, roots):
    """Stages first .. last - 1 on blocks begin .. begin + count."""
    stage = first
    if (last - stage) % 2 == 1:
        _stage(engine, blocks, begin, count, 1 << stage, roots, 1 << (log_rows - stage - 1))
        stage += 1
    while stage < last:
        _four_point_stages(engine, blocks, begin, count, 1 << stage, roots, 1 << (log_rows - stage - 2))
        stage += 2


@njit(cache=True, nogil=True)
def _transform_blocks(engine, blocks, log_rows, roots):
    """2^log_rows blocks in bit-reversed order to transforms in natural order, lane by lane."""
    local = min(log_rows, STAGES_A_BLOCK)
    for begin in range(0, 1 << log_rows, 1 << local):
        _stages(engine, blocks, begin, 1 << local, 0, local, log_rows, roots)
    if local < log_rows:
        _stages(engine, blocks, 0, 1 << log_rows, local, log_rows, log_rows, roots)


@njit(cache=True, nogil=True)
def _reversed_bits(log_rows):
    order = np.zeros(1 << log_rows, np.int64)
    for bit in range(log_rows):
        for i in range(1 << bit):
            order[(1 << bit) + i] = order[i] + (1 << (log_rows - 1 - bit))
    return order


@njit(cache=True, nogil=True)
def first_pass(engine, source, length, target, log_rows, columns, roots, row_factors, firsts, steps, begin, end):
    """Columns begin .. end: transforms of 2^log_rows rows, then times firsts[j] * steps[j]^k in row k of column j.

    Elements from `length` on are zeros that `source` does not hold. `roots` and `row_factors` are uniform twiddles,
    `firsts` and `steps` field arrays; an address of 0 for `row_factors` stands for ones.
    """
    lanes, size = np.int64(lane_count(engine)), block_bytes(engine)
    rows = 1 << log_rows
    scratch = np.empty(np.int64(size) * rows + 64, np.uint8)
    blocks = (np.uint64(scratch.ctypes.data) + np.uint64(63)) & ~np.uint64(63)
    order = _reversed_bits(log_rows)
    for column in range(begin, end, lanes):
        for row in range(rows):
            index = row * columns + column
            place = blocks + np.uint64(order[row]) * size
            if index + lanes <= length:
                value = load_rows(engine, source + np.uint64(index) * _ROW, _ROW)
                if row_factors:
                    value = raw_multiply(
                        load_uniform(engine, row_factors + np.uint64(row) * uniform_bytes(engine)), value
                    )
                store(value, place)
            else:
                store(zero(engine), place)
        _transform_blocks(engine, blocks, log_rows, roots)
        step = twiddle(load_rows(engine, steps + np.uint64(column) * _ROW, _ROW))
        factor = twiddle(load_rows(engine, firsts + np.uint64(column) * _ROW, _ROW))
        for row in range(rows):
            value = raw_multiply(factor, load(engine, blocks + np.uint64(row) * size))
            store_rows(value, target + np.uint64(row * columns + column) * _ROW, _ROW)
            factor = raw_multiply(step, factor)
    keep_alive(scratch)


@njit(cache=True, nogil=True)
def second_pass(engine, source, target, log_rows, columns, roots, row_factors, begin, end):
    """Rows begin .. end of `source`, 2^log_rows elements each, to columns of `target`; output row k times
    row_factors[k].

    `columns` is the number of rows of `source`. Reads and writes must not overlap.
    """
    lanes, size = np.int64(lane_count(engine)), block_bytes(engine)
    rows = 1 << log_rows
    scratch = np.empty(np.int64(size) * rows + 64, np.uint8)
    blocks = (np.uint64(scratch.ctypes.data) + np.uint64(63)) & ~np.uint64(63)
    order = _reversed_bits(log_rows)
    stride = np.uint64(rows) * _ROW
    for column in range(begin, end, lanes):
        for row in range(rows):
            place = source + np.uint64(column * rows + row) * _ROW
            store(load_rows(engine, place, stride), blocks + np.uint64(order[row]) * size)
        _transform_blocks(engine, blocks, log_rows, roots)
        for row in range(rows):
            factor = load_uniform(engine, row_factors + np.uint64(row) * uniform_bytes(engine))
            value = raw_multiply(factor, load(engine, blocks + np.uint64(row) * size))
            store_rows(value, target + np.uint64(row * columns + column) * _ROW, _ROW)
    keep_alive(scratch)
