"""Scalars of a multi-scalar multiplication to signed digits, one row for each window."""

# mypy: allow-untyped-defs, allow-untyped-calls, no-check-untyped-defs
# numba infers the types of kernels: words are uint64, engines and elements the types of `elements`.

from __future__ import annotations

import numpy as np
from numba import njit

_ONE = np.uint64(1)


@njit(cache=True, nogil=True)
def split_signs(scalars, order, signs, lengths, begin, end):
    """Canonical scalars s above r / 2 become r - s in place, with signs[i] = 1; lengths[i] is the bit length."""
    negated = np.empty(4, np.uint64)
    for i in range(begin, end):
        borrow = np.uint64(0)
        for word in range(4):
            lowered = order[word] - scalars[i, word]
            following = np.uint64(order[word] < scalars[i, word]) | np.uint64(lowered < borrow)
            negated[word] = lowered - borrow
            borrow = following
        larger = False
        for word in range(3, -1, -1):
            if negated[word] != scalars[i, word]:
                larger = scalars[i, word] > negated[word]
                break
        signs[i] = larger
        length = 0
        for word in range(4):
            if larger:
                scalars[i, word] = negated[word]
            value, bits = scalars[i, word], 0
            while value:
                value >>= _ONE
                bits += 1
            if bits:
                length = 64 * word + bits
        lengths[i] = length


@njit(cache=True, nogil=True)
def signed_digits(scalars, signs, bases, bits, digits, begin, end):
    """digits[w, i] in -2^(bits-1) .. 2^(bits-1) with sum_w digits[w, i] 2^(bits w) = scalar i; 0 for infinite bases."""
    half, full = np.int64(1) << (bits - 1), np.int64(1) << bits
    mask = np.uint64(full - 1)
    for i in range(begin, end):
        infinite = (bases[i, 4] | bases[i, 5] | bases[i, 6] | bases[i, 7]) == 0
        carry = np.int64(0)
        for window in range(digits.shape[0]):
            position = window * bits
            word, shift = position >> 6, np.uint64(position & 63)
            value = np.uint64(0)
            if word < 4:
                value = scalars[i, word] >> shift
                if shift + np.uint64(bits) > np.uint64(64) and word < 3:
                    value |= scalars[i, word + 1] << (np.uint64(64) - shift)
            digit = np.int64(value & mask) + carry
            carry = np.int64(digit > half)
            digit -= full * carry
            if infinite:
                digit = 0
            digits[window, i] = -digit if signs[i] else digit
