"""The prover's heavy rounds, shared by both modes: grand product, lookup sum, quotient, openings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from attrs import frozen

from lazai_core.api.errors import ProvingFailed

from .parameters import K1, K2, ORDER
from .polynomials import BLOW_UP, COSET_SHIFT, CircuitPolynomials

FieldArray = Any


@frozen(kw_only=True)
class Challenges:
    """Known before the quotient. `eta` and `chi` belong to lookups and are 0 without them."""

    beta: int
    gamma: int
    alpha: int
    eta: int = 0
    chi: int = 0


def _shifted(column: FieldArray, other: FieldArray, beta: int, gamma: int) -> FieldArray:
    """Column + beta * other + gamma."""
    from .kernels.fields import FR

    out = FR.scale(other, beta)
    FR.add(out, column, out=out)
    return FR.add_constant(out, gamma, out=out)


def grand_product(polynomials: CircuitPolynomials, columns: Sequence[FieldArray], beta: int, gamma: int) -> FieldArray:
    """Values of Z over the domain. Raises ProvingFailed where copies differ (the product does not close)."""
    from .kernels import ntt
    from .kernels.fields import FR

    size = polynomials.size
    roots = FR.powers(ntt.root_of_unity(size), size)
    above, below = FR.constant(1, size), FR.constant(1, size)
    for column, scale, name in zip(columns, (1, K1, K2), ("s1", "s2", "s3"), strict=True):
        FR.mul(above, _shifted(column, roots, beta * scale % ORDER, gamma), out=above)
        FR.mul(below, _shifted(column, polynomials.values[name], beta, gamma), out=below)
    try:
        products = FR.prefix_products(FR.mul(above, FR.inverse(below)))
    except ZeroDivisionError:
        raise ProvingFailed("a challenge met a wire's value; prove again with fresh randomness") from None
    if not np.array_equal(products[size], products[0]):
        raise ProvingFailed("the witness breaks a copy constraint")
    return np.ascontiguousarray(products[:size])


def fingerprint(first: FieldArray, second: FieldArray, third: FieldArray, challenges: Challenges) -> FieldArray:
    """chi + first + eta * second + eta^2 * third."""
    from .kernels.fields import FR

    scales = [1, challenges.eta, challenges.eta * challenges.eta % ORDER]
    total = FR.linear_combination([first, second, third], scales)
    return FR.add_constant(total, challenges.chi, out=total)


def lookup_sum(
    polynomials: CircuitPolynomials, columns: Sequence[FieldArray], counts: FieldArray, challenges: Challenges
) -> FieldArray:
    """Values of S over the domain: S(w x) - S(x) = qk / F - m / T. Raises ProvingFailed where it does not close."""
    from .kernels.fields import FR

    fixed = polynomials.values
    looked = fingerprint(columns[0], columns[1], fixed["tag"], challenges)
    table = fingerprint(fixed["t1"], fixed["t2"], fixed["t3"], challenges)
    size = polynomials.size
    try:
        inverses = FR.inverse(np.concatenate([looked, table]))
    except ZeroDivisionError:
        raise ProvingFailed("a challenge met a lookup; prove again with fresh randomness") from None
    steps = FR.mul(fixed["qk"], np.ascontiguousarray(inverses[:size]))
    FR.sub(steps, FR.mul(counts, np.ascontiguousarray(inverses[size:])), out=steps)
    sums = FR.prefix_sums(steps)
    if sums[size].any():
        raise ProvingFailed("a looked-up value is not in its table")
    return np.ascontiguousarray(sums[:size])


def quotient(
    polynomials: CircuitPolynomials,
    public: Sequence[int],
    witness: Mapping[str, FieldArray],
    challenges: Challenges,
    degree_max: int,
) -> FieldArray:
    """Coefficients of T, `[degree_max + 1, 4]`.

    `witness` holds blinded coefficients of a, b, c, z, and m, s with lookups. Raises ProvingFailed where the
    division leaves a remainder: some gate is violated.
    """
    from .kernels.quotient import SHIFTED, numerator_over_vanishing

    values = {name: polynomials.on_coset(poly) for name, poly in witness.items()}
    values["pi"] = polynomials.on_coset(public_polynomial(polynomials, public))
    for name in SHIFTED:
        if name in values:
            values[name] = np.concatenate([values[name], values[name][:BLOW_UP]])
    beta, alpha, eta = challenges.beta, challenges.alpha, challenges.eta
    constants = (beta, alpha, alpha**2, alpha**3, eta, eta**2, challenges.gamma, challenges.chi)
    inverses = polynomials.vanishing_inverses()
    out = numerator_over_vanishing(values | polynomials.fixed_on_coset(), constants, inverses, BLOW_UP)
    coefficients = polynomials.engine.interpolate(out, shift=COSET_SHIFT)
    if coefficients[degree_max + 1 :].any():
        raise ProvingFailed("the witness violates a gate")
    return np.ascontiguousarray(coefficients[: degree_max + 1])


def public_polynomial(polynomials: CircuitPolynomials, public: Sequence[int]) -> FieldArray:
    """PI = -sum of public[i] L_i, `[N, 4]`."""
    from .kernels.fields import FR

    values = FR.zeros(polynomials.size)
    if public:
        values[: len(public)] = FR.encode([-value for value in public])
    return polynomials.engine.interpolate(values)


def split_quotient(coefficients: FieldArray, size: int, blinders: Sequence[int]) -> list[FieldArray]:
    """T1 + b0 X^N, T2 - b0 + b1 X^N, T3 - b1: parts that hide T and still add up to it."""
    from .kernels.fields import FR

    first, second = (np.concatenate([coefficients[at : at + size], FR.zeros(1)]) for at in (0, size))
    third = coefficients[2 * size :].copy()
    mask = FR.encode(blinders)
    first[size], second[size] = mask[0], mask[1]
    second[:1] = FR.sub(second[:1], mask[:1])
    third[:1] = FR.sub(third[:1], mask[1:])
    return [first, second, third]


def open_batch(polynomials: Sequence[FieldArray], scalars: Sequence[int], constant: int, point: int) -> FieldArray:
    """(sum of scalar * polynomial + constant) / (X - point). Raises ProvingFailed where it is no multiple."""
    from .kernels.fields import FR

    total = FR.linear_combination(list(polynomials), [scalar % ORDER for scalar in scalars])
    total[:1] = FR.add_constant(np.ascontiguousarray(total[:1]), constant)
    quotient_, remainder = FR.divide_by_linear(total, point)
    if remainder:
        raise ProvingFailed("an opening does not divide: the witness violates a gate")
    return quotient_
