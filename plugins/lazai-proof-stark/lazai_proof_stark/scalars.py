"""`field` for the running protocol: the same functions, with the costly ones compiled.

Modules of the protocol import this as `f`; tests hold every function against `field`.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from .field import (
    DEGREE,
    GENERATOR,
    ONE,
    TWO_ADICITY,
    ZERO,
    Extension,
    P,
    add,
    frobenius,
    from_signed,
    invert,
    lift,
    negate,
    root_of_unity,
    scale,
    subtract,
    sum_all,
)
from .kernels.canonical import (
    eq_entries,
    evaluate_entries,
    multiply_tuples,
    quadratic_at,
    weighted_quadratic_at,
)

__all__ = [
    "DEGREE",
    "GENERATOR",
    "ONE",
    "TWO_ADICITY",
    "ZERO",
    "Extension",
    "P",
    "add",
    "eq",
    "eq_vector",
    "evaluate_multilinear",
    "frobenius",
    "from_signed",
    "invert",
    "invert_all",
    "lift",
    "multiply",
    "multiply_all",
    "negate",
    "power",
    "quadratic",
    "root_of_unity",
    "scale",
    "subtract",
    "sum_all",
    "weighted_quadratic",
]


def multiply(a: Extension, b: Extension) -> Extension:
    """a * b."""
    if a is ONE:
        return b
    product: Extension = multiply_tuples(a, b)
    return product


def quadratic(claim: Extension, at_zero: Extension, leading: Extension, r: Extension) -> Extension:
    """g(r) for the polynomial of degree 2 with g(0), its leading coefficient, and g(0) + g(1) = claim."""
    value: Extension = quadratic_at(claim, at_zero, leading, r)
    return value


def weighted_quadratic(
    claim: Extension, inverse: Extension, at_zero: Extension, leading: Extension, r: Extension
) -> Extension:
    """H(r) for H of degree 2 with H(0), its leading coefficient, and (1 - z) H(0) + z H(1) = claim, given 1 / z."""
    value: Extension = weighted_quadratic_at(claim, inverse, at_zero, leading, r)
    return value


def power(a: Extension, exponent: int) -> Extension:
    """a to a non-negative power."""
    result, square = ONE, a
    while exponent:
        if exponent & 1:
            result = multiply(result, square)
        square = multiply(square, square)
        exponent >>= 1
    return result


def multiply_all(factors: Sequence[Extension]) -> Extension:
    """The product, ONE of nothing."""
    result = ONE
    for factor in factors:
        result = multiply(result, factor)
    return result


def invert_all(values: Sequence[Extension]) -> list[Extension]:
    """Inverses of non-zero elements, with one inversion (Montgomery's trick)."""
    running = [ONE]
    for value in values:
        running.append(multiply(running[-1], value))
    inverse = invert(running[-1])
    results: list[Extension] = []
    for index in range(len(values) - 1, -1, -1):
        results.append(multiply(inverse, running[index]))
        inverse = multiply(inverse, values[index])
    return results[::-1]


def eq(z: Sequence[Extension], x: Sequence[Extension]) -> Extension:
    """prod_i (z_i x_i + (1 - z_i)(1 - x_i))."""
    result = ONE
    for a, b in zip(z, x, strict=True):
        ab = multiply(a, b)
        result = multiply(result, add(subtract(subtract(ONE, a), b), add(ab, ab)))
    return result


def _array(values: Sequence[Extension]) -> np.ndarray[tuple[int, ...], np.dtype[np.int64]]:
    return np.array(values, dtype=np.int64).reshape(-1, DEGREE)


def eq_vector(z: Sequence[Extension]) -> list[Extension]:
    """eq(z, x) for all x in {0,1}^v; bit i of the index belongs to z[i]."""
    rows = eq_entries(_array(z), 1 << len(z)).tolist()
    return [(a, b, c, d, e) for a, b, c, d, e in rows]


def evaluate_multilinear(values: Sequence[Extension], z: Sequence[Extension]) -> Extension:
    """The multilinear extension of `values` (length 2^v) at z."""
    a, b, c, d, e = evaluate_entries(_array(values), _array(z)).tolist()
    return (a, b, c, d, e)
