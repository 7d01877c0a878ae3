"""Windows of 256 cells against short vectors over K: what an opening's first rounds read of a polynomial.

Vectors are `uint32[16, 5, 16]` blocks, scalars five words, all in Montgomery form.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from .codewords import base_add, extension_mul
from .lanes import (
    BASE_BLOCK_BYTES,
    EXTENSION_BLOCK_BYTES,
    LANES,
    ExtensionLanes,
    transpose,
    vector_intrinsic,
)

LOG_WINDOW = 8
WINDOW_BLOCKS = (1 << LOG_WINDOW) // LANES
COLUMNS_A_TURN = 16
BLOCKS_A_TILE = 64

_EXT = np.uint64(EXTENSION_BLOCK_BYTES)
_BASE = np.uint64(BASE_BLOCK_BYTES)
_WINDOW_WORDS = np.uint64(BASE_BLOCK_BYTES * WINDOW_BLOCKS)
_WINDOW_EXT = np.uint64(EXTENSION_BLOCK_BYTES * WINDOW_BLOCKS)


def _emit_dot(k: ExtensionLanes, values: Any, lower: Any, out: Any) -> None:
    """Sixteen blocks over F times sixteen over K, added up lane by lane."""
    base = k.base
    totals: list[Any] = [None] * 5
    for block in range(0, WINDOW_BLOCKS, 2):
        cells = [base.load(values, block + i) for i in range(2)]
        for c in range(5):
            terms = [base.wide_product(cells[i], base.load(lower, 5 * (block + i) + c)) for i in range(2)]
            sum_before = [totals[c]] if totals[c] is not None else []
            totals[c] = base.lowered(base.wide_sum([*sum_before, *terms]))
    k.store([base.reduce(total) for total in totals], out)


def _emit_sum_lanes(k: ExtensionLanes, rows: Any, out: Any) -> None:
    """Sixteen elements of lane sums: element i of the result is the sum over the lanes of row i."""
    base, builder = k.base, k.base.builder
    for c in range(5):
        columns = transpose(builder, [base.load(rows, 5 * row + c) for row in range(LANES)])
        while len(columns) > 1:
            columns = [base.add(a, b) for a, b in zip(columns[::2], columns[1::2], strict=True)]
        base.store(columns[0], out, c)


def _emit_combine_columns(k: ExtensionLanes, values: Any, column_bytes: Any, weights: Any, out: Any) -> None:
    """One block of sixteen columns times sixteen splats over K, added to out."""
    base = k.base
    totals: list[Any] = [None] * 5
    place = values
    for column in range(0, COLUMNS_A_TURN, 2):
        cells = [base.load(place)]
        place = base.builder.add(place, column_bytes)
        cells.append(base.load(place))
        place = base.builder.add(place, column_bytes)
        for c in range(5):
            terms = [base.wide_product(cells[i], base.load(weights, 5 * (column + i) + c)) for i in range(2)]
            sum_before = [totals[c]] if totals[c] is not None else []
            totals[c] = base.lowered(base.wide_sum([*sum_before, *terms]))
    k.store(k.add(k.load(out), [base.reduce(total) for total in totals]), out)


def _emit_add_multiple(k: ExtensionLanes, scalar: Any, values: Any, out: Any) -> None:
    """out += scalar * values for one block; the scalar is a splat."""
    k.store(k.add(k.load(out), k.mul(k.load(values), k.load(scalar))), out)


_dot = vector_intrinsic(_emit_dot, 3)
_sum_lanes = vector_intrinsic(_emit_sum_lanes, 2)
_combine_columns = vector_intrinsic(_emit_combine_columns, 4)
_add_multiple = vector_intrinsic(_emit_add_multiple, 3)


@njit(cache=True, nogil=True)
def dot_windows(values, windows, lowers, numbers, out, begin, end):
    """out[i] = <window windows[i] of values, lowers[numbers[i]]>, zero where windows[i] < 0; blocks begin .. end.

    values uint32[n] over F; windows, numbers int64[m]; lowers uint32[d, 16, 5, 16]; out uint32[m / 16, 5, 16].
    """
    scratch = np.empty((16, 5, 16), np.uint32)
    work, source = np.uint64(scratch.ctypes.data), np.uint64(values.ctypes.data)
    vectors, target = np.uint64(lowers.ctypes.data), np.uint64(out.ctypes.data)
    for block in range(begin, end):
        for lane in range(16):
            window = windows[16 * block + lane]
            if window < 0:
                scratch[lane] = 0
                continue
            number = np.uint64(numbers[16 * block + lane])
            _dot(
                source + np.uint64(window) * _WINDOW_WORDS,
                vectors + number * _WINDOW_EXT,
                work + np.uint64(lane) * _EXT,
            )
        _sum_lanes(work, target + np.uint64(block) * _EXT)
    # Reading it here keeps the scratch array alive: numba frees an array after the last use of its name.
    return scratch[0, 0, 0]


@njit(cache=True, nogil=True)
def combine_columns(values, weights, out, begin, end):
    """out[i] = sum over columns j of weights[j] values[j, i], for blocks begin .. end of the rows.

    values uint32[columns * rows] over F, column after column, columns a multiple of sixteen; weights
    uint32[columns, 5, 16] splats; out uint32[rows / 16, 5, 16].
    """
    turns = weights.shape[0] // COLUMNS_A_TURN
    column_bytes = np.uint64(out.shape[0]) * _BASE
    source, factors, target = np.uint64(values.ctypes.data), np.uint64(weights.ctypes.data), np.uint64(out.ctypes.data)
    for first in range(begin, end, BLOCKS_A_TILE):
        last = min(first + BLOCKS_A_TILE, end)
        out[first:last] = 0
        for turn in range(turns):
            columns = source + np.uint64(turn * COLUMNS_A_TURN) * column_bytes
            scalars = factors + np.uint64(turn * COLUMNS_A_TURN) * _EXT
            for index in range(first, last):
                block = np.uint64(index)
                _combine_columns(columns + block * _BASE, column_bytes, scalars, target + block * _EXT)


@njit(cache=True, nogil=True)
def add_windows(scalars, lowers, numbers, places, out):
    """out[places[i]] += scalars[i] lowers[numbers[i]]: scalars uint32[m, 5], out uint32[windows * 16, 5, 16]."""
    wide = np.empty((5, 16), np.uint32)
    factor, vectors = np.uint64(wide.ctypes.data), np.uint64(lowers.ctypes.data)
    target = np.uint64(out.ctypes.data)
    for index in range(places.shape[0]):
        for c in range(5):
            for lane in range(16):
                wide[c, lane] = scalars[index, c]
        lower = vectors + np.uint64(numbers[index]) * _WINDOW_EXT
        place = target + np.uint64(places[index]) * _WINDOW_EXT
        for block in range(WINDOW_BLOCKS):
            offset = np.uint64(block) * _EXT
            _add_multiple(factor, lower + offset, place + offset)
    return wide[0, 0]


@njit(cache=True, nogil=True)
def scatter_scalars(scalars, coefficient, windows, shift, slots, out):
    """out[column of the window, slots[its place]] += coefficient scalars[i], where the slot is not negative.

    Window w is at place w mod 2^shift of column w >> shift. scalars uint32[m, 5]; out uint32[columns, n / 16, 5, 16].
    """
    product = np.empty(5, np.uint32)
    mask = (1 << shift) - 1
    for index in range(windows.shape[0]):
        slot = slots[windows[index] & mask]
        if slot < 0:
            continue
        extension_mul(coefficient, scalars[index], product)
        column, block, lane = windows[index] >> shift, slot >> 4, slot & 15
        for c in range(5):
            out[column, block, c, lane] = base_add(out[column, block, c, lane], product[c])


@njit(cache=True, nogil=True)
def scaled(scalars, coefficient):
    """coefficient scalars[i]: `uint32[m, 5]`."""
    out = np.empty_like(scalars)
    for index in range(scalars.shape[0]):
        extension_mul(coefficient, scalars[index], out[index])
    return out
