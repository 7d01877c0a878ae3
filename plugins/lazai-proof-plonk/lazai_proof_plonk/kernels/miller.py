"""The optimal ate pairing on BN254, compiled: Miller loop over several pairs at once and the final exponentiation.

Source: Vercauteren, "Optimal pairings" (2008); Scott et al., "On the final exponentiation for calculating pairings
on ordinary elliptic curves" (2009). The twist point (x, y) stands for (x w^2, y w^3), so a line of slope s through
it has value y_P - s x_P w + (s x - y) w^3 at P.
"""

# mypy: allow-untyped-defs, allow-untyped-calls, no-check-untyped-defs
# numba infers the types of kernels: words are uint64, engines and elements the types of `elements`.

from __future__ import annotations

import numpy as np
from numba import njit

from .elements import keep_alive, load, zero
from .engines import PUBLIC_BYTES
from .tower import (
    PAIR_BYTES,
    TWELVE_BYTES,
    add_pair,
    conjugate_pair,
    conjugate_twelve,
    copy_twelve,
    frobenius_twelve,
    inverse_pair,
    inverse_twelve,
    load_pair,
    mul_line,
    mul_pair,
    mul_twelve,
    scale_pair,
    set_one,
    square_pair,
    square_twelve,
    store_pair,
    sub_pair,
    zero_pair,
)

_ROW = np.uint64(PUBLIC_BYTES)
G1_BYTES = np.uint64(2 * PUBLIC_BYTES)
G2_BYTES = np.uint64(4 * PUBLIC_BYTES)


@njit(cache=True, nogil=True)
def _line(words, value, running, other, point, doubling):
    """value *= the line through `running` and `other` (or the tangent) at `point`; `running` becomes their sum."""
    x, y = load_pair(words, running), load_pair(words, running + PAIR_BYTES)
    if doubling:
        square = square_pair(x)
        above, below = add_pair(add_pair(square, square), square), add_pair(y, y)
        other_x = x
    else:
        other_x = load_pair(words, other)
        above, below = sub_pair(load_pair(words, other + PAIR_BYTES), y), sub_pair(other_x, x)
    slope = mul_pair(above, inverse_pair(words, below))
    minus_x = zero(words) - load(words, point)
    third = sub_pair(mul_pair(slope, x), y)
    mul_line(words, value, value, load(words, point + _ROW), scale_pair(slope, minus_x), third)
    x3 = sub_pair(sub_pair(square_pair(slope), x), other_x)
    store_pair(x3, running)
    store_pair(sub_pair(mul_pair(slope, sub_pair(x, x3)), y), running + PAIR_BYTES)


@njit(cache=True, nogil=True)
def _negated(words, source, target):
    store_pair(load_pair(words, source), target)
    store_pair(sub_pair(zero_pair(words), load_pair(words, source + PAIR_BYTES)), target + PAIR_BYTES)


@njit(cache=True, nogil=True)
def _rotated(words, source, target, constants):
    """The q-power Frobenius on the twist: conjugates times w^(2(q - 1)) and w^(3(q - 1))."""
    x, y = conjugate_pair(load_pair(words, source)), conjugate_pair(load_pair(words, source + PAIR_BYTES))
    store_pair(mul_pair(x, load_pair(words, constants + np.uint64(2) * PAIR_BYTES)), target)
    store_pair(mul_pair(y, load_pair(words, constants + np.uint64(3) * PAIR_BYTES)), target + PAIR_BYTES)


@njit(cache=True, nogil=True)
def miller(words, firsts, seconds, count, loop, value, constants):
    """`value` = the product over finite affine pairs; `loop`: signed digits of 6 x + 2, highest first."""
    running, other = np.empty((count, 16), np.uint64), np.empty((count, 16), np.uint64)
    runners, others = np.uint64(running.ctypes.data), np.uint64(other.ctypes.data)
    set_one(words, value)
    for i in range(count):
        step = np.uint64(i) * G2_BYTES
        for half in range(2):
            place = step + np.uint64(half) * PAIR_BYTES
            store_pair(load_pair(words, seconds + place), runners + place)
        _negated(words, seconds + step, others + step)
    for digit in loop[1:]:
        square_twelve(words, value, value)
        for i in range(count):
            step, point = np.uint64(i) * G2_BYTES, firsts + np.uint64(i) * G1_BYTES
            _line(words, value, runners + step, runners + step, point, True)
            if digit:
                addend = seconds + step if digit > 0 else others + step
                _line(words, value, runners + step, addend, point, False)
    for i in range(count):
        step, point = np.uint64(i) * G2_BYTES, firsts + np.uint64(i) * G1_BYTES
        _rotated(words, seconds + step, others + step, constants)
        _line(words, value, runners + step, others + step, point, False)
        _rotated(words, others + step, others + step, constants)
        _negated(words, others + step, others + step)
        _line(words, value, runners + step, others + step, point, False)
    keep_alive(running)
    keep_alive(other)


@njit(cache=True, nogil=True)
def _power(words, target, a, bits):
    """a to the number whose binary digits are `bits`, highest first; target is not a."""
    copy_twelve(words, target, a)
    for bit in bits[1:]:
        square_twelve(words, target, target)
        if bit:
            mul_twelve(words, target, target, a)


@njit(cache=True, nogil=True)
def _inverted_rotation(words, target, a, constants):
    """a^(-q) for an element of norm one."""
    frobenius_twelve(words, target, a, 1, constants)
    conjugate_twelve(words, target, target)


@njit(cache=True, nogil=True)
def _easy_part(words, value, spare, constants):
    """`value` to (q^6 - 1)(q^2 + 1) in place."""
    inverse_twelve(words, spare, value)
    conjugate_twelve(words, value, value)
    mul_twelve(words, value, value, spare)
    frobenius_twelve(words, spare, value, 2, constants)
    mul_twelve(words, value, value, spare)


@njit(cache=True, nogil=True)
def final_exponentiation(words, value, parameter, constants):
    """`value` to (q^12 - 1) / r in place; `parameter`: binary digits of the curve's x, highest first."""
    memory = np.empty((12, 48), np.uint64)
    fx = np.uint64(memory.ctypes.data)
    fx2, fx3 = fx + TWELVE_BYTES, fx + np.uint64(2) * TWELVE_BYTES
    t0, t1 = fx3 + TWELVE_BYTES, fx3 + np.uint64(2) * TWELVE_BYTES
    y = t1 + TWELVE_BYTES
    _easy_part(words, value, t0, constants)
    _power(words, fx, value, parameter)
    _power(words, fx2, fx, parameter)
    _power(words, fx3, fx2, parameter)
    # The seven factors y0 .. y6; from here on the conjugate is the inverse.
    frobenius_twelve(words, y, value, 1, constants)
    for times in (2, 3):
        frobenius_twelve(words, t0, value, times, constants)
        mul_twelve(words, y, y, t0)
    conjugate_twelve(words, y + TWELVE_BYTES, value)
    frobenius_twelve(words, y + np.uint64(2) * TWELVE_BYTES, fx2, 2, constants)
    _inverted_rotation(words, y + np.uint64(3) * TWELVE_BYTES, fx, constants)
    _inverted_rotation(words, t0, fx2, constants)
    conjugate_twelve(words, t1, fx)
    mul_twelve(words, y + np.uint64(4) * TWELVE_BYTES, t0, t1)
    conjugate_twelve(words, y + np.uint64(5) * TWELVE_BYTES, fx2)
    _inverted_rotation(words, t0, fx3, constants)
    conjugate_twelve(words, t1, fx3)
    mul_twelve(words, y + np.uint64(6) * TWELVE_BYTES, t0, t1)
    _join(words, value, y, t0, t1)
    keep_alive(memory)


@njit(cache=True, nogil=True)
def _join(words, value, y, t0, t1):
    """y0 y1^2 y2^6 y3^12 y4^18 y5^30 y6^36."""
    y1, y2, y3 = y + TWELVE_BYTES, y + np.uint64(2) * TWELVE_BYTES, y + np.uint64(3) * TWELVE_BYTES
    y4, y5, y6 = y3 + TWELVE_BYTES, y3 + np.uint64(2) * TWELVE_BYTES, y3 + np.uint64(3) * TWELVE_BYTES
    square_twelve(words, t0, y6)
    mul_twelve(words, t0, t0, y4)
    mul_twelve(words, t0, t0, y5)
    mul_twelve(words, t1, y3, y5)
    mul_twelve(words, t1, t1, t0)
    mul_twelve(words, t0, t0, y2)
    square_twelve(words, t1, t1)
    mul_twelve(words, t1, t1, t0)
    square_twelve(words, t1, t1)
    mul_twelve(words, t0, t1, y1)
    mul_twelve(words, t1, t1, y)
    square_twelve(words, t0, t0)
    mul_twelve(words, value, t0, t1)
