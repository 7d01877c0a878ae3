"""Evaluating a tape on many rows at once, sixteen in a block: the costly part of proving a computation."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from ..kernels.lanes import BASE_BLOCK_BYTES, EXTENSION_BLOCK_BYTES, ExtensionLanes, vector_intrinsic

_EXT = np.uint64(EXTENSION_BLOCK_BYTES)
_BASE = np.uint64(BASE_BLOCK_BYTES)


def _emit_add(k: ExtensionLanes, a: Any, b: Any, out: Any) -> None:
    k.store(k.add(k.load(a), k.load(b)), out)


def _emit_sub(k: ExtensionLanes, a: Any, b: Any, out: Any) -> None:
    k.store(k.sub(k.load(a), k.load(b)), out)


def _emit_mul(k: ExtensionLanes, a: Any, b: Any, out: Any) -> None:
    k.store(k.mul(k.load(a), k.load(b)), out)


def _emit_add_product(k: ExtensionLanes, a: Any, b: Any, out: Any) -> None:
    k.store(k.add(k.load(out), k.mul(k.load(a), k.load(b))), out)


def _emit_step(k: ExtensionLanes, low: Any, high: Any, out: Any) -> None:
    k.store(k.add(k.load(out), k.sub(k.load(high), k.load(low))), out)


def _emit_copy(k: ExtensionLanes, a: Any, out: Any) -> None:
    k.store(k.load(a), out)


def _emit_base_add(k: ExtensionLanes, a: Any, b: Any, out: Any) -> None:
    k.base.store(k.base.add(k.base.load(a), k.base.load(b)), out)


def _emit_base_sub(k: ExtensionLanes, a: Any, b: Any, out: Any) -> None:
    k.base.store(k.base.sub(k.base.load(a), k.base.load(b)), out)


def _emit_base_mul(k: ExtensionLanes, a: Any, b: Any, out: Any) -> None:
    k.base.store(k.base.mul(k.base.load(a), k.base.load(b)), out)


def _emit_base_step(k: ExtensionLanes, low: Any, high: Any, out: Any) -> None:
    base = k.base
    base.store(base.add(base.load(out), base.sub(base.load(high), base.load(low))), out)


def _emit_base_copy(k: ExtensionLanes, a: Any, out: Any) -> None:
    k.base.store(k.base.load(a), out)


def _emit_add_scaled(k: ExtensionLanes, factor: Any, base: Any, out: Any) -> None:
    k.store(k.add(k.load(out), k.scale(k.load(factor), k.base.load(base))), out)


_add, _sub, _mul = (vector_intrinsic(body, 3) for body in (_emit_add, _emit_sub, _emit_mul))
_add_product, _step = vector_intrinsic(_emit_add_product, 3), vector_intrinsic(_emit_step, 3)
_copy, _base_copy = vector_intrinsic(_emit_copy, 2), vector_intrinsic(_emit_base_copy, 2)
_base_add, _base_sub = vector_intrinsic(_emit_base_add, 3), vector_intrinsic(_emit_base_sub, 3)
_base_mul, _base_step = vector_intrinsic(_emit_base_mul, 3), vector_intrinsic(_emit_base_step, 3)
_add_scaled = vector_intrinsic(_emit_add_scaled, 3)


@njit(cache=True, nogil=True)
def extension_round(
    values: Any,
    weights: Any,
    constants: Any,
    code: Any,
    outputs: Any,
    powers: Any,
    registers: Any,
    accumulator: Any,
    begin: Any,
    end: Any,
) -> None:
    """accumulator[t] += weights[x] sum_j powers[j] output_j(values at t between x and x + half), t = 0, 2, 3, ...

    values uint32[m, 2h, 5, 16] over K, weights uint32[h, 5, 16], constants uint32[c, 5, 16], powers uint32[o, 5, 16],
    accumulator uint32[points, 5, 16] (row 1 stays as it is); blocks begin <= x < end of h.
    """
    work = np.zeros((registers + 1, 5, 16), np.uint32)
    count, blocks = values.shape[0], values.shape[1]
    half = blocks // 2
    source, weight = np.uint64(values.ctypes.data), np.uint64(weights.ctypes.data)
    file, factor = np.uint64(work.ctypes.data), np.uint64(powers.ctypes.data)
    total, fixed = np.uint64(accumulator.ctypes.data), np.uint64(constants.ctypes.data)
    sum_ = file + np.uint64(registers) * _EXT
    for index in range(constants.shape[0]):
        _copy(fixed + np.uint64(index) * _EXT, file + np.uint64(count + index) * _EXT)
    for block in range(begin, end):
        for point in range(accumulator.shape[0]):
            for column in range(count):
                low = source + np.uint64(column * blocks + block) * _EXT
                place = file + np.uint64(column) * _EXT
                if point == 0:
                    _copy(low, place)
                else:
                    _step(low, low + np.uint64(half) * _EXT, place)
            if point == 1:
                continue
            for line in range(code.shape[0]):
                kind = code[line, 0]
                a, b = file + np.uint64(code[line, 2]) * _EXT, file + np.uint64(code[line, 3]) * _EXT
                out = file + np.uint64(code[line, 1]) * _EXT
                if kind == 0:
                    _add(a, b, out)
                elif kind == 1:
                    _sub(a, b, out)
                else:
                    _mul(a, b, out)
            work[registers] = 0
            for index in range(outputs.shape[0]):
                _add_product(file + np.uint64(outputs[index]) * _EXT, factor + np.uint64(index) * _EXT, sum_)
            _add_product(sum_, weight + np.uint64(block) * _EXT, total + np.uint64(point) * _EXT)


@njit(cache=True, nogil=True)
def base_round(
    values: Any,
    weights: Any,
    constants: Any,
    code: Any,
    outputs: Any,
    powers: Any,
    registers: Any,
    accumulator: Any,
    begin: Any,
    end: Any,
) -> None:
    """The same for values over F: values uint32[m, 32 h], constants uint32[c, 16]."""
    work = np.zeros((registers, 16), np.uint32)
    sums = np.zeros((5, 16), np.uint32)
    count, blocks = values.shape[0], values.shape[1] // 16
    half = blocks // 2
    source, weight = np.uint64(values.ctypes.data), np.uint64(weights.ctypes.data)
    file, factor = np.uint64(work.ctypes.data), np.uint64(powers.ctypes.data)
    total, fixed = np.uint64(accumulator.ctypes.data), np.uint64(constants.ctypes.data)
    sum_ = np.uint64(sums.ctypes.data)
    for index in range(constants.shape[0]):
        _base_copy(fixed + np.uint64(index) * _BASE, file + np.uint64(count + index) * _BASE)
    for block in range(begin, end):
        # Used by name in every turn: numba frees an array after the last use of its name.
        work[0, 0] = work[0, 0]
        for point in range(accumulator.shape[0]):
            for column in range(count):
                low = source + np.uint64(column * blocks + block) * _BASE
                place = file + np.uint64(column) * _BASE
                if point == 0:
                    _base_copy(low, place)
                else:
                    _base_step(low, low + np.uint64(half) * _BASE, place)
            if point == 1:
                continue
            for line in range(code.shape[0]):
                kind = code[line, 0]
                a, b = file + np.uint64(code[line, 2]) * _BASE, file + np.uint64(code[line, 3]) * _BASE
                out = file + np.uint64(code[line, 1]) * _BASE
                if kind == 0:
                    _base_add(a, b, out)
                elif kind == 1:
                    _base_sub(a, b, out)
                else:
                    _base_mul(a, b, out)
            sums[:] = 0
            for index in range(outputs.shape[0]):
                _add_scaled(factor + np.uint64(index) * _EXT, file + np.uint64(outputs[index]) * _BASE, sum_)
            _add_product(sum_, weight + np.uint64(block) * _EXT, total + np.uint64(point) * _EXT)


@njit(cache=True, nogil=True)
def broken_block(values: Any, constants: Any, code: Any, outputs: Any, registers: Any, begin: Any, end: Any) -> Any:
    """The first block of sixteen rows in which an output is not zero, or -1; values uint32[m, 16 h] over F."""
    work = np.zeros((registers, 16), np.uint32)
    count, blocks = values.shape[0], values.shape[1] // 16
    source, file = np.uint64(values.ctypes.data), np.uint64(work.ctypes.data)
    fixed = np.uint64(constants.ctypes.data)
    for index in range(constants.shape[0]):
        _base_copy(fixed + np.uint64(index) * _BASE, file + np.uint64(count + index) * _BASE)
    for block in range(begin, end):
        # Used by name in every turn: numba frees an array after the last use of its name.
        work[0, 0] = work[0, 0]
        for column in range(count):
            _base_copy(source + np.uint64(column * blocks + block) * _BASE, file + np.uint64(column) * _BASE)
        for line in range(code.shape[0]):
            kind = code[line, 0]
            a, b = file + np.uint64(code[line, 2]) * _BASE, file + np.uint64(code[line, 3]) * _BASE
            out = file + np.uint64(code[line, 1]) * _BASE
            if kind == 0:
                _base_add(a, b, out)
            elif kind == 1:
                _base_sub(a, b, out)
            else:
                _base_mul(a, b, out)
        for index in range(outputs.shape[0]):
            if work[outputs[index]].any():
                return block
    return -1
