"""The optimal ate pairing and the check that a product of pairings is one (EIP-197)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lazai_core.api.errors import ProofMalformed

from ..curve import Fq2, Point, Point2, fq2_mul, is_on_curve
from ..field import Q
from . import engines, g1, g2, miller
from .fields import FQ
from .rows import Array, address

PARAMETER = 4965661367192848881
"""The curve's x: q = 36 x^4 + 36 x^3 + 24 x^2 + 6 x + 1."""


def _fq2_power(base: Fq2, exponent: int) -> Fq2:
    result: Fq2 = (1, 0)
    for bit in bin(exponent)[2:]:
        result = fq2_mul(result, result)
        if bit == "1":
            result = fq2_mul(result, base)
    return result


def _frobenius_constants() -> Array:
    """w^(k (q^times - 1)) = (9 + i)^(k (q^times - 1) / 6) for times 1, 2, 3 and k 0 .. 5."""
    pairs = [_fq2_power((9, 1), k * (Q**times - 1) // 6) for times in (1, 2, 3) for k in range(6)]
    return FQ.encode([part for pair in pairs for part in pair])


def _signed_digits(value: int) -> NDArray[np.int8]:
    """Non-adjacent form, highest digit first."""
    digits = []
    while value:
        digit = 2 - value % 4 if value % 2 else 0
        digits.append(digit)
        value = (value - digit) // 2
    return np.array(digits[::-1], dtype=np.int8)


_CONSTANTS = _frobenius_constants()
_LOOP = _signed_digits(6 * PARAMETER + 2)
_PARAMETER_BITS = np.array([int(bit) for bit in bin(PARAMETER)[2:]], dtype=np.int8)


def _value(pairs: Sequence[tuple[Point, Point2]]) -> list[int]:
    finite = [(first, second) for first, second in pairs if first is not None and second is not None]
    firsts, seconds = g1.encode([first for first, _ in finite]), g2.encode([second for _, second in finite])
    value = np.empty((12, 4), dtype=np.uint64)
    words: Any = engines.BASE_WORDS
    miller.miller(words, address(firsts), address(seconds), len(finite), _LOOP, address(value), address(_CONSTANTS))
    miller.final_exponentiation(words, address(value), _PARAMETER_BITS, address(_CONSTANTS))
    return FQ.decode(value)


def _refuse_bad(pairs: Sequence[tuple[Point, Point2]]) -> None:
    for index, (first, second) in enumerate(pairs):
        if not is_on_curve(first):
            raise ProofMalformed(f"pair {index}: the first point is not a canonical point of G1")
        if not g2.is_in_subgroup(second):
            raise ProofMalformed(f"pair {index}: the second point is not a canonical point of G2, of order r")


def product_is_one(pairs: Sequence[tuple[Point, Point2]]) -> bool:
    """Whether the product of e(P_i, Q_i) is one, as if empty. A point outside its group raises ProofMalformed."""
    _refuse_bad(pairs)
    return _value(pairs) == [1] + [0] * 11


def pairing(first: Point, second: Point2) -> tuple[int, ...]:
    """e(P, Q) as coefficients over Fq: real and imaginary part of w^0, of w^1, ..., with w^6 = 9 + i."""
    _refuse_bad([(first, second)])
    return tuple(_value([(first, second)]))
