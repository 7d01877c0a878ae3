"""Fq2 and Fq12 for the pairing, one element at a time, compiled.

An element of Fq2 = Fq[i], i^2 = -1, is a pair of registers. An element of Fq12 = Fq2[w], w^6 = 9 + i, is 384 bytes in
memory: the coefficients of w^0 .. w^5, each as two field array elements. Addresses of targets may be those of operands.
"""

# mypy: allow-untyped-defs, allow-untyped-calls, no-check-untyped-defs
# numba infers the types of kernels: words are uint64, engines and elements the types of `elements`.

from __future__ import annotations

import numpy as np
from numba import njit

from .elements import keep_alive, load, one, store_rows, zero
from .engines import PUBLIC_BYTES
from .inversion import inverse

_ROW = np.uint64(PUBLIC_BYTES)
PAIR_BYTES = np.uint64(2 * PUBLIC_BYTES)
TWELVE_BYTES = np.uint64(12 * PUBLIC_BYTES)


@njit(cache=True, nogil=True)
def load_pair(words, address):
    return load(words, address), load(words, address + _ROW)


@njit(cache=True, nogil=True)
def store_pair(a, address):
    store_rows(a[0], address, _ROW)
    store_rows(a[1], address + _ROW, _ROW)


@njit(cache=True, nogil=True)
def zero_pair(words):
    return zero(words), zero(words)


@njit(cache=True, nogil=True)
def one_pair(words):
    return one(words), zero(words)


@njit(cache=True, nogil=True)
def add_pair(a, b):
    return a[0] + b[0], a[1] + b[1]


@njit(cache=True, nogil=True)
def sub_pair(a, b):
    return a[0] - b[0], a[1] - b[1]


@njit(cache=True, nogil=True)
def mul_pair(a, b):
    real, imaginary = a[0] * b[0], a[1] * b[1]
    return real - imaginary, (a[0] + a[1]) * (b[0] + b[1]) - real - imaginary


@njit(cache=True, nogil=True)
def square_pair(a):
    product = a[0] * a[1]
    return (a[0] + a[1]) * (a[0] - a[1]), product + product


@njit(cache=True, nogil=True)
def scale_pair(a, k):
    return a[0] * k, a[1] * k


@njit(cache=True, nogil=True)
def conjugate_pair(a):
    return a[0], a[1] - a[1] - a[1]


@njit(cache=True, nogil=True)
def _nine(a):
    double = a + a
    fourfold = double + double
    return fourfold + fourfold + a


@njit(cache=True, nogil=True)
def twist_pair(a):
    """(9 + i) a."""
    return _nine(a[0]) - a[1], _nine(a[1]) + a[0]


@njit(cache=True, nogil=True)
def inverse_pair(words, a):
    """1 / a, or 0 for 0."""
    norm = inverse(words, a[0] * a[0] + a[1] * a[1])
    return a[0] * norm, zero(words) - a[1] * norm


@njit(cache=True, nogil=True)
def _place(address, power):
    return address + np.uint64(power) * PAIR_BYTES


@njit(cache=True, nogil=True)
def set_one(words, target):
    for power in range(6):
        store_pair(zero_pair(words), _place(target, power))
    store_pair(one_pair(words), target)


@njit(cache=True, nogil=True)
def copy_twelve(words, target, a):
    for power in range(6):
        store_pair(load_pair(words, _place(a, power)), _place(target, power))


@njit(cache=True, nogil=True)
def mul_twelve(words, target, a, b):
    result = np.empty(48, np.uint64)
    place = np.uint64(result.ctypes.data)
    for power in range(6):
        low, high = zero_pair(words), zero_pair(words)
        for left in range(6):
            if left <= power:
                right = load_pair(words, _place(b, power - left))
                low = add_pair(low, mul_pair(load_pair(words, _place(a, left)), right))
            else:
                right = load_pair(words, _place(b, power + 6 - left))
                high = add_pair(high, mul_pair(load_pair(words, _place(a, left)), right))
        store_pair(add_pair(low, twist_pair(high)), _place(place, power))
    copy_twelve(words, target, place)
    keep_alive(result)


@njit(cache=True, nogil=True)
def square_twelve(words, target, a):
    result = np.empty(48, np.uint64)
    place = np.uint64(result.ctypes.data)
    for power in range(6):
        low, high = zero_pair(words), zero_pair(words)
        for total in (power, power + 6):
            sum_here = zero_pair(words)
            for left in range(max(0, total - 5), (total + 1) // 2):
                right = load_pair(words, _place(a, total - left))
                sum_here = add_pair(sum_here, mul_pair(load_pair(words, _place(a, left)), right))
            sum_here = add_pair(sum_here, sum_here)
            if total % 2 == 0 and total <= 10:
                sum_here = add_pair(sum_here, square_pair(load_pair(words, _place(a, total // 2))))
            if total == power:
                low = sum_here
            else:
                high = sum_here
        store_pair(add_pair(low, twist_pair(high)), _place(place, power))
    copy_twelve(words, target, place)
    keep_alive(result)


@njit(cache=True, nogil=True)
def mul_line(words, target, a, constant, first, third):
    """a * (constant + first w + third w^3) with constant in Fq."""
    result = np.empty(48, np.uint64)
    place = np.uint64(result.ctypes.data)
    for power in range(6):
        value = scale_pair(load_pair(words, _place(a, power)), constant)
        one_less = mul_pair(first, load_pair(words, _place(a, (power + 5) % 6)))
        three_less = mul_pair(third, load_pair(words, _place(a, (power + 3) % 6)))
        if power < 1:
            one_less = twist_pair(one_less)
        if power < 3:
            three_less = twist_pair(three_less)
        store_pair(add_pair(value, add_pair(one_less, three_less)), _place(place, power))
    copy_twelve(words, target, place)
    keep_alive(result)


@njit(cache=True, nogil=True)
def conjugate_twelve(words, target, a):
    """a^(q^6): w becomes -w. The inverse of an element of norm one."""
    for power in range(6):
        value = load_pair(words, _place(a, power))
        if power % 2:
            value = sub_pair(zero_pair(words), value)
        store_pair(value, _place(target, power))


@njit(cache=True, nogil=True)
def frobenius_twelve(words, target, a, times, constants):
    """a^(q^times); constants[(times - 1) * 6 + k] is w^(k (q^times - 1)) in Fq2."""
    for power in range(6):
        value = load_pair(words, _place(a, power))
        if times % 2:
            value = conjugate_pair(value)
        factor = load_pair(words, constants + np.uint64(6 * (times - 1) + power) * PAIR_BYTES)
        store_pair(mul_pair(value, factor), _place(target, power))


@njit(cache=True, nogil=True)
def inverse_twelve(words, target, a):
    """1 / a by norms down to Fq6 = Fq2[w^2] and Fq2."""
    memory = np.empty((2, 48), np.uint64)
    conjugate = np.uint64(memory.ctypes.data)
    norm = conjugate + TWELVE_BYTES
    conjugate_twelve(words, conjugate, a)
    mul_twelve(words, norm, a, conjugate)
    c0, c1, c2 = load_pair(words, norm), load_pair(words, _place(norm, 2)), load_pair(words, _place(norm, 4))
    t0 = sub_pair(square_pair(c0), twist_pair(mul_pair(c1, c2)))
    t1 = sub_pair(twist_pair(square_pair(c2)), mul_pair(c0, c1))
    t2 = sub_pair(square_pair(c1), mul_pair(c0, c2))
    total = add_pair(mul_pair(c2, t1), mul_pair(c1, t2))
    total = inverse_pair(words, add_pair(mul_pair(c0, t0), twist_pair(total)))
    for power in range(6):
        store_pair(zero_pair(words), _place(norm, power))
    store_pair(mul_pair(t0, total), norm)
    store_pair(mul_pair(t1, total), _place(norm, 2))
    store_pair(mul_pair(t2, total), _place(norm, 4))
    mul_twelve(words, target, conjugate, norm)
    keep_alive(memory)
