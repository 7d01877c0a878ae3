"""The prover's heavy rounds, shared by both modes: grand product, lookup sum, quotient, openings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from attrs import frozen

from lazai_core.api.errors import ProvingFailed

from .parameters import K1, K2, ORDER
from .polynomials import BLOW_UP, COSET_SHIFT, CircuitPolynomials

CHUNK_ROWS = 1 << 12
"""Rows worked on at once: all columns of a chunk stay in a second-level cache. A chunk belongs to one thread."""

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


def fingerprint(
    first: FieldArray, second: FieldArray, third: FieldArray, challenges: Challenges, threads: int | None = None
) -> FieldArray:
    """chi + first + eta * second + eta^2 * third."""
    from .kernels.fields import FR

    scales = [1, challenges.eta, challenges.eta * challenges.eta % ORDER]
    total = FR.linear_combination([first, second, third], scales, threads=threads)
    return FR.add_constant(total, challenges.chi, out=total, threads=threads)


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
    from .kernels import workers

    count = BLOW_UP * polynomials.size
    values = {name: polynomials.on_coset(poly) for name, poly in witness.items()}
    values["pi"] = polynomials.on_coset(public_polynomial(polynomials, public))
    for name in ("c", "z", "s"):
        if name in values:
            values[name] = np.concatenate([values[name], values[name][:BLOW_UP]])
    out = np.empty((count, 4), dtype=np.uint64)
    chunk = min(CHUNK_ROWS, count)
    inverses = np.ascontiguousarray(np.tile(polynomials.vanishing_inverses(), (chunk // BLOW_UP, 1)))
    polynomials.fill_coset()
    parts = [slice(start, start + chunk) for start in range(0, count, chunk)]
    tasks = [(polynomials, values, challenges, rows, inverses, out[rows]) for rows in parts]
    workers.each(_chunk, tasks, None)
    coefficients = polynomials.engine.interpolate(out, shift=COSET_SHIFT)
    if coefficients[degree_max + 1 :].any():
        raise ProvingFailed("the witness violates a gate")
    return np.ascontiguousarray(coefficients[: degree_max + 1])


def _chunk(
    polynomials: CircuitPolynomials,
    values: Mapping[str, FieldArray],
    challenges: Challenges,
    rows: slice,
    inverses: FieldArray,
    out: FieldArray,
) -> None:
    from .kernels.fields import FR

    after = slice(rows.start + BLOW_UP, rows.stop + BLOW_UP)
    total = _gates(polynomials, values, rows, after)
    alpha = challenges.alpha
    copies = _copies(polynomials, values, challenges, rows, after)
    FR.add(total, FR.scale(copies, alpha, out=copies, threads=1), out=total, threads=1)
    one = FR.add_constant(values["z"][rows], -1, threads=1)
    FR.mul(one, polynomials.coset_first()[rows], out=one, threads=1)
    FR.add(total, FR.scale(one, alpha * alpha % ORDER, out=one, threads=1), out=total, threads=1)
    if polynomials.has_lookups:
        lookups = _lookups(polynomials, values, challenges, rows, after)
        FR.add(total, FR.scale(lookups, pow(alpha, 3, ORDER), out=lookups, threads=1), out=total, threads=1)
    FR.mul(total, inverses, out=out, threads=1)


def _gates(polynomials: CircuitPolynomials, values: Mapping[str, FieldArray], rows: slice, after: slice) -> FieldArray:
    """qm ab + ql a + qr b + qo c + qn c(wX) + qc + PI on a part of the coset."""
    from .kernels.fields import FR

    total = values["pi"][rows].copy()
    a, b, c = (values[name][rows] for name in ("a", "b", "c"))
    if polynomials.is_live("qm"):
        product = FR.mul(a, b, threads=1)
        FR.multiply_add(product, polynomials.coset("qm")[rows], total, out=total, threads=1)
    for name, column in (("ql", a), ("qr", b), ("qo", c), ("qn", values["c"][after])):
        if polynomials.is_live(name):
            FR.multiply_add(column, polynomials.coset(name)[rows], total, out=total, threads=1)
    if polynomials.is_live("qc"):
        FR.add(total, polynomials.coset("qc")[rows], out=total, threads=1)
    return total


def _copies(
    polynomials: CircuitPolynomials, values: Mapping[str, FieldArray], challenges: Challenges, rows: slice, after: slice
) -> FieldArray:
    """The permutation identity, without its alpha."""
    from .kernels.fields import FR

    beta, gamma = challenges.beta, challenges.gamma
    straight, permuted = values["z"][rows].copy(), values["z"][after].copy()
    step = FR.scale(polynomials.coset_points()[rows], beta, threads=1)
    # The coset representatives 1, 2, 3 are multiples of one step.
    assert (K1, K2) == (2, 3)
    multiple = step.copy()
    for name, sigma in (("a", "s1"), ("b", "s2"), ("c", "s3")):
        column = FR.add_constant(values[name][rows], gamma, threads=1)
        FR.mul(straight, FR.add(column, multiple, threads=1), out=straight, threads=1)
        FR.add(multiple, step, out=multiple, threads=1)
        moved = FR.scale(polynomials.coset(sigma)[rows], beta, threads=1)
        FR.mul(permuted, FR.add(column, moved, out=moved, threads=1), out=permuted, threads=1)
    return FR.sub(straight, permuted, out=straight, threads=1)


def _lookups(
    polynomials: CircuitPolynomials, values: Mapping[str, FieldArray], challenges: Challenges, rows: slice, after: slice
) -> FieldArray:
    """(S(wX) - S) F T - qk T + m F, without its alpha."""
    from .kernels.fields import FR

    coset = polynomials.coset
    looked = fingerprint(values["a"][rows], values["b"][rows], coset("tag")[rows], challenges, threads=1)
    table = fingerprint(coset("t1")[rows], coset("t2")[rows], coset("t3")[rows], challenges, threads=1)
    total = FR.sub(values["s"][after], values["s"][rows], threads=1)
    FR.mul(total, looked, out=total, threads=1)
    FR.sub(total, coset("qk")[rows], out=total, threads=1)
    FR.mul(total, table, out=total, threads=1)
    return FR.multiply_add(values["m"][rows], looked, total, out=total, threads=1)


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
