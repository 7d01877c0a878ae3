"""The inner loops of the fraction tree, for two children whose numerators may lie in F and whose tails may be 0/1.

Arrays come flat, so that one compiled loop serves all kinds: numerators over F have 64 bytes a block, over K 320. The
second child may end before the first ("prefix"): its cells beyond are 0/1.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from llvmlite import ir
from numba import njit

from .lanes import BASE_BLOCK_BYTES, EXTENSION_BLOCK_BYTES, LANES, ExtensionLanes, vector_intrinsic

_EXT = np.uint64(EXTENSION_BLOCK_BYTES)
_BASE = np.uint64(BASE_BLOCK_BYTES)
_ZERO_VECTOR = ir.Constant(ir.VectorType(ir.IntType(32), LANES), [0] * LANES)

FULL, PREFIX, ALONE = 0, 1, 2
"""What the second child has in the two halves that a round adds: both; the lower one; none."""
OVER_BASE = 3
"""Added to a kind when numerators lie in F."""
TO_ZERO, TO_ONE, BASE_TO_ZERO = 0, 1, 2


def _lifted(k: ExtensionLanes, address: Any) -> list[Any]:
    return [k.base.load(address), *[_ZERO_VECTOR] * 4]


def _accumulate(k: ExtensionLanes, accumulator: Any, index: int, value: Any) -> None:
    for coefficient in range(5):
        place = 5 * index + coefficient
        k.base.store(k.base.add(k.base.load(accumulator, place), value[coefficient]), accumulator, place)


def _emit_round(kind: int, *, base: bool) -> Callable[..., None]:
    """weight (p0 q1 + q0 (p1 + mix q1)) at 0 and its leading coefficient."""

    def emit(
        k: ExtensionLanes,
        p0: Any,
        q0: Any,
        p1: Any,
        q1: Any,
        p_step: Any,
        q_step: Any,
        weight: Any,
        mix: Any,
        accumulator: Any,
    ) -> None:
        numerator = _lifted if base else ExtensionLanes.load
        add = k.base.builder.add
        factor, e = k.load(mix), k.load(weight)
        a0, b0 = numerator(k, p0), k.load(q0)
        if kind == ALONE:
            _accumulate(k, accumulator, 0, k.mul(k.add(a0, k.mul(b0, factor)), e))
            return
        a1, b1 = numerator(k, add(p0, p_step)), k.load(add(q0, q_step))
        c0, d0 = numerator(k, p1), k.load(q1)
        if kind == PREFIX:
            zero = [_ZERO_VECTOR] * 5
            c1, d1 = zero, [k.base.constant(1), *zero[1:]]
        else:
            c1, d1 = numerator(k, add(p1, p_step)), k.load(add(q1, q_step))

        def inner(a: Any, b: Any, c: Any, d: Any) -> Any:
            mixed = k.add(c, k.mul(d, factor))
            return k.mul(k.sum_of_products([(a, d), (mixed, b)]), e)

        _accumulate(k, accumulator, 0, inner(a0, b0, c0, d0))
        _accumulate(k, accumulator, 1, inner(k.sub(a1, a0), k.sub(b1, b0), k.sub(c1, c0), k.sub(d1, d0)))

    return emit


def _emit_scaled_sums(k: ExtensionLanes, accumulator: Any, scalar: Any, total: Any) -> None:
    """Two elements of lane sums times a splat, added to the total."""
    builder = k.base.builder
    for index in range(2):
        offset = ir.Constant(ir.IntType(64), index * EXTENSION_BLOCK_BYTES)
        _accumulate(k, total, index, k.mul(k.load(builder.add(accumulator, offset)), k.load(scalar)))


def _emit_parent(k: ExtensionLanes, p0: Any, q0: Any, p1: Any, q1: Any, out_p: Any, out_q: Any) -> None:
    """p0/q0 + p1/q1 with numerators over F."""
    b0, b1 = k.load(q0), k.load(q1)
    a0, a1 = k.base.load(p0), k.base.load(p1)
    k.store([k.base.sum_of_products([(x, a1), (y, a0)]) for x, y in zip(b0, b1, strict=True)], out_p)
    k.store(k.mul(b0, b1), out_q)


def _emit_fold_last(kind: int) -> Callable[..., None]:
    """value + r (c - value), c the constant that stands in the other half."""

    def emit(k: ExtensionLanes, values: Any, r: Any, out: Any) -> None:
        challenge = k.load(r)
        if kind == BASE_TO_ZERO:
            value = k.base.load(values)
            product = k.scale(challenge, value)
            zero = k.base.constant(0)
            k.store([k.base.sub(value, product[0]), *(k.base.sub(zero, c) for c in product[1:])], out)
            return
        whole = k.load(values)
        if kind == TO_ONE:
            # value + r - r value = 1 - (1 - r) (1 - value), kept as it is written.
            k.store(k.add(whole, k.sub(challenge, k.mul(whole, challenge))), out)
        else:
            k.store(k.sub(whole, k.mul(whole, challenge)), out)

    return emit


_full = vector_intrinsic(_emit_round(FULL, base=False), 9)
_prefix = vector_intrinsic(_emit_round(PREFIX, base=False), 9)
_alone = vector_intrinsic(_emit_round(ALONE, base=False), 9)
_base_full = vector_intrinsic(_emit_round(FULL, base=True), 9)
_base_prefix = vector_intrinsic(_emit_round(PREFIX, base=True), 9)
_base_alone = vector_intrinsic(_emit_round(ALONE, base=True), 9)
_scaled_sums = vector_intrinsic(_emit_scaled_sums, 3)
_parent = vector_intrinsic(_emit_parent, 6)
_to_zero = vector_intrinsic(_emit_fold_last(TO_ZERO), 3)
_to_one = vector_intrinsic(_emit_fold_last(TO_ONE), 3)
_base_to_zero = vector_intrinsic(_emit_fold_last(BASE_TO_ZERO), 3)


@njit(cache=True, nogil=True)
def round_sums(kind, p0, q0, p1, q1, half, low, high, mix, total, begin, end):
    """Add a round's value at 0 and leading coefficient over blocks begin .. end of the `half` blocks of lower halves.

    The weight of cell x is low[x mod the low table's size] * high[the rest]: low uint32[n, 5, 16], high uint32[m, 5];
    mix a splat; total uint32[2, 5, 16].
    """
    unit = _BASE if kind >= OVER_BASE else _EXT
    a, b = np.uint64(p0.ctypes.data), np.uint64(q0.ctypes.data)
    c, d = np.uint64(p1.ctypes.data), np.uint64(q1.ctypes.data)
    p_step, q_step = np.uint64(half) * unit, np.uint64(half) * _EXT
    weights, factor, sums = np.uint64(low.ctypes.data), np.uint64(mix.ctypes.data), np.uint64(total.ctypes.data)
    scratch, wide = np.zeros((2, 5, 16), np.uint32), np.empty((5, 16), np.uint32)
    work, scalar = np.uint64(scratch.ctypes.data), np.uint64(wide.ctypes.data)
    width = low.shape[0]
    for row in range(begin // width, (end + width - 1) // width):
        scratch[:] = 0
        for index in range(max(begin, row * width), min(end, (row + 1) * width)):
            block = np.uint64(index)
            p, q = block * unit, block * _EXT
            weight = weights + np.uint64(index - row * width) * _EXT
            if kind == 0:
                _full(a + p, b + q, c + p, d + q, p_step, q_step, weight, factor, work)
            elif kind == 1:
                _prefix(a + p, b + q, c + p, d + q, p_step, q_step, weight, factor, work)
            elif kind == 2:
                _alone(a + p, b + q, c, d, p_step, q_step, weight, factor, work)
            elif kind == 3:
                _base_full(a + p, b + q, c + p, d + q, p_step, q_step, weight, factor, work)
            elif kind == 4:
                _base_prefix(a + p, b + q, c + p, d + q, p_step, q_step, weight, factor, work)
            else:
                _base_alone(a + p, b + q, c, d, p_step, q_step, weight, factor, work)
        for coefficient in range(5):
            for lane in range(16):
                wide[coefficient, lane] = high[row, coefficient]
        _scaled_sums(work, scalar, sums)
    # Reading them here keeps the arrays alive: numba frees an array after the last use of its name.
    return scratch[0, 0, 0] + wide[0, 0]


@njit(cache=True, nogil=True)
def add_base_fractions(p0, q0, p1, q1, out_p, out_q, begin, end):
    """One level up for numerators over F: blocks begin .. end; arrays flat."""
    a, b = np.uint64(p0.ctypes.data), np.uint64(q0.ctypes.data)
    c, d = np.uint64(p1.ctypes.data), np.uint64(q1.ctypes.data)
    target_p, target_q = np.uint64(out_p.ctypes.data), np.uint64(out_q.ctypes.data)
    for index in range(begin, end):
        p, q = np.uint64(index) * _BASE, np.uint64(index) * _EXT
        _parent(a + p, b + q, c + p, d + q, target_p + q, target_q + q)


@njit(cache=True, nogil=True)
def fold_last(kind, values, r, out, begin, end):
    """out[x] = values[x] + r (c - values[x]), c = 1 for kind TO_ONE, else 0; values flat, over F for BASE_TO_ZERO."""
    source, challenge, target = np.uint64(values.ctypes.data), np.uint64(r.ctypes.data), np.uint64(out.ctypes.data)
    for index in range(begin, end):
        block = np.uint64(index)
        if kind == 0:
            _to_zero(source + block * _EXT, challenge, target + block * _EXT)
        elif kind == 1:
            _to_one(source + block * _EXT, challenge, target + block * _EXT)
        else:
            _base_to_zero(source + block * _BASE, challenge, target + block * _EXT)


def _emit_denominator(count: int) -> Callable[..., None]:
    """constant - sum of factor_i form_i."""

    def emit(k: ExtensionLanes, constant: Any, factors: Any, forms: Any, form_bytes: Any, out: Any) -> None:
        values, place = [], forms
        for _ in range(count):
            values.append(k.base.load(place))
            place = k.base.builder.add(place, form_bytes)
        start = k.load(constant)
        for c in range(5):
            pairs = [(value, k.base.load(factors, 5 * i + c)) for i, value in enumerate(values)]
            k.base.store(k.base.sub(start[c], k.base.sum_of_products(pairs)), out, c)

    return emit


_denominator_1 = vector_intrinsic(_emit_denominator(1), 5)
_denominator_2 = vector_intrinsic(_emit_denominator(2), 5)
_denominator_3 = vector_intrinsic(_emit_denominator(3), 5)
_denominator_4 = vector_intrinsic(_emit_denominator(4), 5)


@njit(cache=True, nogil=True)
def denominators(constant, factors, forms, out, begin, end):
    """out = constant - sum over i of factors[i] forms[i], blocks begin .. end.

    constant a splat, factors uint32[k, 5, 16] splats, forms uint32[k, n] over F, k from 1 to 4, out over K.
    """
    count = forms.shape[0]
    start, scalars = np.uint64(constant.ctypes.data), np.uint64(factors.ctypes.data)
    source, target = np.uint64(forms.ctypes.data), np.uint64(out.ctypes.data)
    form_bytes = np.uint64(4 * forms.shape[1])
    for index in range(begin, end):
        cells, place = source + np.uint64(index) * _BASE, target + np.uint64(index) * _EXT
        if count == 1:
            _denominator_1(start, scalars, cells, form_bytes, place)
        elif count == 2:
            _denominator_2(start, scalars, cells, form_bytes, place)
        elif count == 3:
            _denominator_3(start, scalars, cells, form_bytes, place)
        else:
            _denominator_4(start, scalars, cells, form_bytes, place)
