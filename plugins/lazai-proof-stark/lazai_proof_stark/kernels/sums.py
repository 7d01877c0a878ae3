"""The inner loops of sumchecks: sums of products over the two halves of arrays, sixteen elements at a time.

All polynomials are multilinear and bound at their most significant variable first: halves are contiguous. A round's
polynomial of degree 2 is given by its value at 0 and its leading coefficient; the value at 1 follows from the claim.
Accumulators are `uint32[k, 5, 16]`, summed over lanes by `lane_sums`.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from .lanes import BASE_BLOCK_BYTES, EXTENSION_BLOCK_BYTES, ExtensionLanes, vector_intrinsic

_EXT = np.uint64(EXTENSION_BLOCK_BYTES)
_BASE = np.uint64(BASE_BLOCK_BYTES)


def _accumulate(k: ExtensionLanes, accumulator: Any, index: int, value: Any) -> None:
    for coefficient in range(5):
        place = 5 * index + coefficient
        k.base.store(k.base.add(k.base.load(accumulator, place), value[coefficient]), accumulator, place)


def _emit_pair_base(k: ExtensionLanes, f0: Any, f1: Any, w0: Any, w1: Any, accumulator: Any) -> None:
    low, high = k.base.load(f0), k.base.load(f1)
    weight_low, weight_high = k.load(w0), k.load(w1)
    _accumulate(k, accumulator, 0, k.scale(weight_low, low))
    _accumulate(k, accumulator, 1, k.scale(k.sub(weight_high, weight_low), k.base.sub(high, low)))


def _emit_pair(k: ExtensionLanes, f0: Any, f1: Any, w0: Any, w1: Any, accumulator: Any) -> None:
    low, high, weight_low, weight_high = k.load(f0), k.load(f1), k.load(w0), k.load(w1)
    _accumulate(k, accumulator, 0, k.mul(low, weight_low))
    _accumulate(k, accumulator, 1, k.mul(k.sub(high, low), k.sub(weight_high, weight_low)))


def _emit_triple(k: ExtensionLanes, f0: Any, f1: Any, g0: Any, g1: Any, e: Any, accumulator: Any) -> None:
    """e (f g): e is the eq table over the variables that stay free after this round."""
    low, high, other_low, other_high, weight = k.load(f0), k.load(f1), k.load(g0), k.load(g1), k.load(e)
    _accumulate(k, accumulator, 0, k.mul(weight, k.mul(low, other_low)))
    _accumulate(k, accumulator, 1, k.mul(weight, k.mul(k.sub(high, low), k.sub(other_high, other_low))))


def _emit_fractions(k: ExtensionLanes, p: Any, q: Any, half_bytes: Any, out_p: Any, out_q: Any) -> None:
    """p0/q0 + p1/q1 for the two halves."""
    builder = k.base.builder
    p0, q0 = k.load(p), k.load(q)
    p1, q1 = k.load(builder.add(p, half_bytes)), k.load(builder.add(q, half_bytes))
    k.store(k.add(k.mul(p0, q1), k.mul(p1, q0)), out_p)
    k.store(k.mul(q0, q1), out_q)


def _emit_fraction_round(k: ExtensionLanes, p: Any, q: Any, quarter: Any, e: Any, mix: Any, accumulator: Any) -> None:
    """e (p0 q1 + p1 q0 + mix q0 q1) at 0 and its leading coefficient; the children are the arrays' halves,

    each halved again by the round's variable: quarters 0, 1 of p are p0 at 0 and 1, quarters 2, 3 are p1.
    """
    builder = k.base.builder

    def at(base: Any, index: int) -> Any:
        address = base
        for _ in range(index):
            address = builder.add(address, quarter)
        return k.load(address)

    weight, factor = k.load(e), k.load(mix)
    p00, p01, p10, p11 = (at(p, index) for index in range(4))
    q00, q01, q10, q11 = (at(q, index) for index in range(4))

    def inner(p0: Any, p1: Any, q0: Any, q1: Any) -> Any:
        mixed = k.add(p1, k.mul(factor, q1))
        return k.mul(weight, k.add(k.mul(p0, q1), k.mul(q0, mixed)))

    _accumulate(k, accumulator, 0, inner(p00, p10, q00, q10))
    steps = (k.sub(p01, p00), k.sub(p11, p10), k.sub(q01, q00), k.sub(q11, q10))
    _accumulate(k, accumulator, 1, inner(*steps))


_pair_base = vector_intrinsic(_emit_pair_base, 5)
_pair = vector_intrinsic(_emit_pair, 5)
_triple = vector_intrinsic(_emit_triple, 6)
_fractions = vector_intrinsic(_emit_fractions, 5)
_fraction_round = vector_intrinsic(_emit_fraction_round, 6)


@njit(cache=True, nogil=True)
def pair_round_base(f, w, accumulator, begin, end):
    """f over F `[n]`, w over K: sum f w at 0 and leading coefficient, for blocks begin .. end of a half."""
    half = np.uint64(w.shape[0] // 2)
    values, weights = np.uint64(f.ctypes.data), np.uint64(w.ctypes.data)
    target = np.uint64(accumulator.ctypes.data)
    for index in range(begin, end):
        block = np.uint64(index)
        _pair_base(
            values + block * _BASE,
            values + (block + half) * _BASE,
            weights + block * _EXT,
            weights + (block + half) * _EXT,
            target,
        )


@njit(cache=True, nogil=True)
def pair_round(f, w, accumulator, begin, end):
    """The same with f over K."""
    half = np.uint64(w.shape[0] // 2)
    values, weights = np.uint64(f.ctypes.data), np.uint64(w.ctypes.data)
    target = np.uint64(accumulator.ctypes.data)
    for index in range(begin, end):
        low, high = np.uint64(index) * _EXT, (np.uint64(index) + half) * _EXT
        _pair(values + low, values + high, weights + low, weights + high, target)


@njit(cache=True, nogil=True)
def triple_round(f, g, e, accumulator, begin, end):
    """sum e f g with e over half the variables: value at 0 and leading coefficient."""
    half = np.uint64(f.shape[0] // 2)
    left, right, weights = np.uint64(f.ctypes.data), np.uint64(g.ctypes.data), np.uint64(e.ctypes.data)
    target = np.uint64(accumulator.ctypes.data)
    for index in range(begin, end):
        low, high = np.uint64(index) * _EXT, (np.uint64(index) + half) * _EXT
        _triple(left + low, left + high, right + low, right + high, weights + low, target)


@njit(cache=True, nogil=True)
def add_fractions(p, q, out_p, out_q, begin, end):
    """One level up the tree of fractions: out = halves of p / q added, over K."""
    half = np.uint64(out_p.shape[0]) * _EXT
    numerators, denominators = np.uint64(p.ctypes.data), np.uint64(q.ctypes.data)
    target_p, target_q = np.uint64(out_p.ctypes.data), np.uint64(out_q.ctypes.data)
    for index in range(begin, end):
        offset = np.uint64(index) * _EXT
        _fractions(numerators + offset, denominators + offset, half, target_p + offset, target_q + offset)


@njit(cache=True, nogil=True)
def fraction_round(p, q, e, mix, accumulator, begin, end):
    """A round of the sumcheck of one level, see `_emit_fraction_round`; blocks begin .. end of a quarter."""
    quarter = np.uint64(p.shape[0] // 4) * _EXT
    numerators, denominators = np.uint64(p.ctypes.data), np.uint64(q.ctypes.data)
    weights, factor = np.uint64(e.ctypes.data), np.uint64(mix.ctypes.data)
    target = np.uint64(accumulator.ctypes.data)
    for index in range(begin, end):
        offset = np.uint64(index) * _EXT
        _fraction_round(numerators + offset, denominators + offset, quarter, weights + offset, factor, target)


def _emit_cubic(k: ExtensionLanes, w: Any, left: Any, right: Any, half_bytes: Any, accumulator: Any) -> None:
    """w l r at 0, at -1, and its leading coefficient."""
    builder = k.base.builder

    def ends(base: Any) -> tuple[Any, Any]:
        return k.load(base), k.load(builder.add(base, half_bytes))

    pairs = [ends(base) for base in (w, left, right)]
    steps = [k.sub(high, low) for low, high in pairs]
    at_zero = [low for low, _ in pairs]
    before = [k.sub(low, step) for low, step in zip(at_zero, steps, strict=True)]
    for index, factors in enumerate((at_zero, before, steps)):
        _accumulate(k, accumulator, index, k.mul(k.mul(factors[0], factors[1]), factors[2]))


def _emit_triple_product(k: ExtensionLanes, w: Any, left: Any, right: Any, accumulator: Any) -> None:
    _accumulate(k, accumulator, 0, k.mul(k.mul(k.load(w), k.load(left)), k.load(right)))


_cubic = vector_intrinsic(_emit_cubic, 5)
_triple_product = vector_intrinsic(_emit_triple_product, 4)


@njit(cache=True, nogil=True)
def cubic_round(w, left, right, accumulator, begin, end):
    """A round of the sumcheck of sum w l r over K: values at 0 and -1, leading coefficient; blocks of a half."""
    half = np.uint64(w.shape[0] // 2) * _EXT
    weights, lefts, rights = np.uint64(w.ctypes.data), np.uint64(left.ctypes.data), np.uint64(right.ctypes.data)
    target = np.uint64(accumulator.ctypes.data)
    for index in range(begin, end):
        offset = np.uint64(index) * _EXT
        _cubic(weights + offset, lefts + offset, rights + offset, half, target)


@njit(cache=True, nogil=True)
def triple_total(w, left, right, accumulator, begin, end):
    """sum w l r over K."""
    weights, lefts, rights = np.uint64(w.ctypes.data), np.uint64(left.ctypes.data), np.uint64(right.ctypes.data)
    target = np.uint64(accumulator.ctypes.data)
    for index in range(begin, end):
        offset = np.uint64(index) * _EXT
        _triple_product(weights + offset, lefts + offset, rights + offset, target)
