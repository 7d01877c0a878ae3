"""The two prime fields of BN254 in plain Python integers: the slow reference beside the kernels.

Source: EIP-196; two-adicity and roots of unity as in the circom ecosystem (multiplicative generator 5).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

R = 21888242871839275222246405745257275088548364400416034343698204186575808495617
"""Order of the curve: the scalar field Fr."""

Q = 21888242871839275222246405745257275088696311157297823662689037894645226208583
"""The base field Fq."""

MONTGOMERY = 1 << 256
"""Stored elements are x * 2^256."""

GENERATOR = 5
"""Of the multiplicative group of Fr."""

TWO_ADICITY = 28


def root_of_unity(size: int) -> int:
    """The root of order `size`, a power of two up to 2^28: squares of 5^((r - 1) / 2^28)."""
    log_size = size.bit_length() - 1
    if size <= 0 or size != 1 << log_size or log_size > TWO_ADICITY:
        raise ValueError(f"no root of unity of order {size} in Fr; use a power of two up to 2^{TWO_ADICITY}")
    return pow(GENERATOR, (R - 1) >> log_size, R)


def batch_inverse(values: Iterable[int], modulus: int) -> list[int]:
    """Inverses by one exponentiation; zero raises ZeroDivisionError."""
    items = [value % modulus for value in values]
    prefixes = [1]
    for value in items:
        prefixes.append(prefixes[-1] * value % modulus)
    if prefixes[-1] == 0:
        raise ZeroDivisionError("an element to be inverted is zero")
    running = pow(prefixes[-1], -1, modulus)
    inverses = [0] * len(items)
    for index in reversed(range(len(items))):
        inverses[index] = running * prefixes[index] % modulus
        running = running * items[index] % modulus
    return inverses


def evaluate(coefficients: Sequence[int], point: int, modulus: int = R) -> int:
    """Horner's rule; coefficients from the lowest."""
    total = 0
    for coefficient in reversed(coefficients):
        total = (total * point + coefficient) % modulus
    return total


def divide_by_linear(coefficients: Sequence[int], point: int, modulus: int = R) -> tuple[list[int], int]:
    """Quotient and remainder by X - point."""
    quotient = [0] * max(len(coefficients) - 1, 0)
    carried = 0
    for index in reversed(range(len(coefficients))):
        carried = (carried * point + coefficients[index]) % modulus
        if index:
            quotient[index - 1] = carried
    return quotient, carried


def transform(coefficients: Sequence[int], shift: int = 1) -> list[int]:
    """Values at shift * w^i, i in natural order, by definition: quadratic time."""
    root = root_of_unity(len(coefficients))
    return [evaluate(coefficients, shift * pow(root, index, R) % R) for index in range(len(coefficients))]
