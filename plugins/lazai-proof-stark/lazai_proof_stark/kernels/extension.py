"""Loops over arrays of F and K in the layouts of `lanes`. All release the interpreter lock and take block ranges."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from .lanes import BASE_BLOCK_BYTES, EXTENSION_BLOCK_BYTES, ExtensionLanes, vector_intrinsic

_EXT = np.uint64(EXTENSION_BLOCK_BYTES)
_BASE = np.uint64(BASE_BLOCK_BYTES)


def _emit_fold(k: ExtensionLanes, low: Any, high: Any, out: Any, r: Any) -> None:
    a, b = k.load(low), k.load(high)
    k.store(k.add(a, k.mul(k.load(r), k.sub(b, a))), out)


def _emit_fold_base(k: ExtensionLanes, low: Any, high: Any, out: Any, r: Any) -> None:
    a, b = k.base.load(low), k.base.load(high)
    product = k.scale(k.load(r), k.base.sub(b, a))
    k.store([k.base.add(product[0], a), *product[1:]], out)


def _emit_multiply(k: ExtensionLanes, a: Any, b: Any, out: Any) -> None:
    k.store(k.mul(k.load(a), k.load(b)), out)


def _emit_split_by(k: ExtensionLanes, a: Any, r: Any, low: Any, high: Any) -> None:
    value = k.load(a)
    upper = k.mul(value, k.load(r))
    k.store(k.sub(value, upper), low)
    k.store(upper, high)


_fold = vector_intrinsic(_emit_fold, 4)
_fold_base = vector_intrinsic(_emit_fold_base, 4)
_multiply = vector_intrinsic(_emit_multiply, 3)
_split_by = vector_intrinsic(_emit_split_by, 4)


@njit(cache=True, nogil=True)
def fold(values, out, r, begin, end):
    """out[x] = values[x] + r (values[x + half] - values[x]) over K, for blocks begin <= x < end; out may be values."""
    source = np.uint64(values.ctypes.data)
    target = np.uint64(out.ctypes.data)
    challenge = np.uint64(r.ctypes.data)
    half = np.uint64(values.shape[0] // 2)
    for index in range(begin, end):
        block = np.uint64(index)
        _fold(source + block * _EXT, source + (block + half) * _EXT, target + block * _EXT, challenge)


@njit(cache=True, nogil=True)
def fold_base(values, out, r, begin, end):
    """The same for values over F; out is over K."""
    source = np.uint64(values.ctypes.data)
    target = np.uint64(out.ctypes.data)
    challenge = np.uint64(r.ctypes.data)
    half = np.uint64(values.shape[0] // 32)
    for index in range(begin, end):
        block = np.uint64(index)
        _fold_base(source + block * _BASE, source + (block + half) * _BASE, target + block * _EXT, challenge)


@njit(cache=True, nogil=True)
def multiply(a, b, out, begin, end):
    """out = a * b over K, element by element."""
    left = np.uint64(a.ctypes.data)
    right = np.uint64(b.ctypes.data)
    target = np.uint64(out.ctypes.data)
    for index in range(begin, end):
        offset = np.uint64(index) * _EXT
        _multiply(left + offset, right + offset, target + offset)


@njit(cache=True, nogil=True)
def split_by(values, r, out, begin, end):
    """One step of an eq table: out[x] = (1 - r) values[x], out[x + n] = r values[x], over K."""
    source = np.uint64(values.ctypes.data)
    challenge = np.uint64(r.ctypes.data)
    target = np.uint64(out.ctypes.data)
    upper = target + np.uint64(values.shape[0]) * _EXT
    for index in range(begin, end):
        offset = np.uint64(index) * _EXT
        _split_by(source + offset, challenge, target + offset, upper + offset)


def _emit_add_scaled(k: ExtensionLanes, scalar: Any, values: Any, out: Any) -> None:
    k.store(k.add(k.load(out), k.mul(k.load(scalar), k.load(values))), out)


_add_scaled = vector_intrinsic(_emit_add_scaled, 3)


@njit(cache=True, nogil=True)
def add_outer(upper, lower, out, begin, end):
    """out[i, x] += upper[i] lower[x] over K, for rows begin .. end.

    upper uint32[n, 5, 16] splats, lower uint32[m / 16, 5, 16], out uint32[n m / 16, 5, 16].
    """
    scalars, values = np.uint64(upper.ctypes.data), np.uint64(lower.ctypes.data)
    target = np.uint64(out.ctypes.data)
    blocks = lower.shape[0]
    for row in range(begin, end):
        scalar = scalars + np.uint64(row) * _EXT
        for block in range(blocks):
            _add_scaled(scalar, values + np.uint64(block) * _EXT, target + np.uint64(row * blocks + block) * _EXT)
