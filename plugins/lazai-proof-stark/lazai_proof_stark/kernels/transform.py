"""Reed-Solomon encoding: number-theoretic transforms of many interleaved columns over F.

The matrix is `[n, w]` with w a multiple of sixteen; each column is transformed on its own, lanes run along a row. Input
in bit-reversed order of coefficients, output in natural order of the powers of the root: decimation in time. A pass
does
several stages on groups of rows copied side by side, since rows a power of two apart would evict each other from the
cache.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np
from llvmlite import ir
from numba import njit
from numba.core import types
from numba.extending import intrinsic

from ..field import P, root_of_unity
from .lanes import LANES, Lanes

STAGES_A_PASS = 8
"""2^8 rows of 64 bytes: 16 KiB, half of a first-level cache."""

_WORD = ir.IntType(32)
_VECTOR = ir.VectorType(_WORD, LANES)


def _splat(builder: Any, word: Any) -> Any:
    undefined = ir.Constant(_VECTOR, ir.Undefined)
    single = builder.insert_element(undefined, word, ir.Constant(_WORD, 0))
    return builder.shuffle_vector(single, undefined, ir.Constant(_VECTOR, [0] * LANES))


@intrinsic
def _copy(_context, source, target):
    """Sixteen words."""
    signature = types.void(types.uint64, types.uint64)

    def code(context: Any, builder: Any, _signature: Any, arguments: Sequence[Any]) -> Any:
        lanes = Lanes(builder)
        lanes.store(lanes.load(arguments[0]), arguments[1])
        return context.get_dummy_value()

    return signature, code


@intrinsic
def _two_points(_context, low, high, twiddle):
    """a, b -> a + t b, a - t b on sixteen lanes in place."""
    signature = types.void(types.uint64, types.uint64, types.uint32)

    def code(context: Any, builder: Any, _signature: Any, arguments: Sequence[Any]) -> Any:
        lanes = Lanes(builder)
        a = lanes.load(arguments[0])
        product = lanes.mul(lanes.load(arguments[1]), _splat(builder, arguments[2]))
        lanes.store(lanes.add(a, product), arguments[0])
        lanes.store(lanes.sub(a, product), arguments[1])
        return context.get_dummy_value()

    return signature, code


@intrinsic
def _four_points(_context, address, apart, inner, outer_low, outer_high):
    """Two stages at once on four rows `apart` bytes apart."""
    signature = types.void(types.uint64, types.uint64, types.uint32, types.uint32, types.uint32)

    def code(context: Any, builder: Any, _signature: Any, arguments: Sequence[Any]) -> Any:
        lanes = Lanes(builder)
        places = [arguments[0]]
        for _ in range(3):
            places.append(builder.add(places[-1], arguments[1]))
        a, b, c, d = (lanes.load(place) for place in places)
        inner, outer_low, outer_high = (_splat(builder, word) for word in arguments[2:])
        tb, td = lanes.mul(b, inner), lanes.mul(d, inner)
        a, b = lanes.add(a, tb), lanes.sub(a, tb)
        c, d = lanes.add(c, td), lanes.sub(c, td)
        tc, td = lanes.mul(c, outer_low), lanes.mul(d, outer_high)
        results = (lanes.add(a, tc), lanes.add(b, td), lanes.sub(a, tc), lanes.sub(b, td))
        for value, place in zip(results, places, strict=True):
            lanes.store(value, place)
        return context.get_dummy_value()

    return signature, code


@lru_cache(maxsize=8)
def twiddles(log_size: int) -> np.ndarray[Any, np.dtype[np.uint32]]:
    """Powers 0 .. n/2 - 1 of the root of order n = 2^log_size, in Montgomery form."""
    root = root_of_unity(log_size)
    powers = np.ones(1, dtype=np.uint64)
    while len(powers) < 1 << max(log_size - 1, 0):
        factor = np.uint64(pow(root, len(powers), P))
        powers = np.concatenate([powers, powers * factor % np.uint64(P)])
    return (powers * np.uint64((1 << 32) % P) % np.uint64(P)).astype(np.uint32)


@njit(cache=True, nogil=True)
def _stages(address, stages, skipped, roots):
    """Local stages `skipped` .. on 2^stages rows of 64 bytes side by side; stage u's roots start at 2^u."""
    stage = skipped
    rows = 1 << stages
    if (stages - stage) % 2 == 1:
        length = 1 << stage
        for start in range(0, rows, 2 * length):
            for j in range(length):
                low = address + np.uint64((start + j) * 64)
                _two_points(low, low + np.uint64(length * 64), roots[length + j])
        stage += 1
    while stage < stages:
        length = 1 << stage
        apart = np.uint64(length * 64)
        for start in range(0, rows, 4 * length):
            for j in range(length):
                low = address + np.uint64((start + j) * 64)
                _four_points(low, apart, roots[length + j], roots[2 * length + j], roots[3 * length + j])
        stage += 2


@njit(cache=True, nogil=True)
def transform_pass(source, matrix, roots, log_size, done, stages, skipped, begin, end):
    """Stages done .. done + stages - 1 for groups begin .. end of 2^(log_size - stages) groups of rows.

    The rows of group (offset, high) are high * 2^(done + stages) + m * 2^done + offset. Rows are read from
    `source`, whose row i stands for rows i * 2^skipped .. of the matrix: with zero padding the first `skipped`
    stages only repeat. Later passes give source = matrix and skipped = 0.
    """
    vectors = matrix.shape[1] // 16
    row_bytes = np.uint64(matrix.shape[1] * 4)
    rows = 1 << stages
    local = np.empty(rows, np.uint32)
    scratch = np.empty((rows, 16), np.uint32)
    work = np.uint64(scratch.ctypes.data)
    read, written = np.uint64(source.ctypes.data), np.uint64(matrix.ctypes.data)
    highs = 1 << (log_size - done - stages)
    prepared = -1
    for group in range(begin, end):
        offset, high = group // highs, group % highs
        if offset != prepared:
            for stage in range(stages):
                shift = log_size - done - stage - 1
                for j in range(1 << stage):
                    local[(1 << stage) + j] = roots[(offset + (j << done)) << shift]
            prepared = offset
        first = (high << (done + stages)) + offset
        for vector in range(vectors):
            column = np.uint64(64 * vector)
            for m in range(rows):
                row = np.uint64((first + (m << done)) >> skipped)
                _copy(read + row * row_bytes + column, work + np.uint64(64 * m))
            _stages(work, stages, skipped, local)
            for m in range(rows):
                row = np.uint64(first + (m << done))
                _copy(work + np.uint64(64 * m), written + row * row_bytes + column)
    # Reading it here keeps the scratch array alive: numba frees an array after the last use of its name.
    return scratch[0, 0]
