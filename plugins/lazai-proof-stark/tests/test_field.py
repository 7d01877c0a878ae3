"""The reference arithmetic: K is a field, and every function means what it says."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lazai_proof_stark import field as f
from lazai_proof_stark import scalars
from lazai_proof_stark.field import DEGREE, ONE, ZERO, Extension, P

EDGES = (0, 1, 2, (P - 1) // 2, P - 2, P - 1)
bases = st.one_of(st.sampled_from(EDGES), st.integers(0, P - 1))
elements = st.tuples(bases, bases, bases, bases, bases)
X: Extension = (0, 1, 0, 0, 0)
properties = settings(max_examples=40, deadline=None)


def test_p_is_prime_with_a_large_two_power() -> None:
    assert P == 2**31 - 2**24 + 1
    # Pratt: 3 has order p - 1 = 2^24 * 127.
    assert pow(3, P - 1, P) == 1
    assert all(pow(3, (P - 1) // q, P) != 1 for q in (2, 127))
    assert (P - 1) == 2**24 * 127


def test_the_polynomial_of_k_is_irreducible() -> None:
    """X^(p^5) = X, and X^p - X is a unit: no factor of degree one; five is prime."""
    power = X
    for _ in range(DEGREE):
        power = f.power(power, P)
    assert power == X
    difference = f.subtract(f.power(X, P), X)
    assert f.multiply(difference, f.invert(difference)) == ONE
    assert f.power(X, 5) == f.subtract(ONE, f.power(X, 2))


@pytest.mark.parametrize("log_order", [0, 1, 2, 12, 24])
def test_roots_of_unity(log_order: int) -> None:
    root = f.root_of_unity(log_order)
    assert pow(root, 1 << log_order, P) == 1
    assert log_order == 0 or pow(root, 1 << (log_order - 1), P) == P - 1
    assert log_order == 0 or pow(root, 2, P) == f.root_of_unity(log_order - 1)


def test_there_is_no_larger_subgroup() -> None:
    for log_order in (-1, 25):
        with pytest.raises(ValueError, match="subgroup"):
            f.root_of_unity(log_order)


@properties
@given(elements, elements, elements)
def test_ring_laws(a: Extension, b: Extension, c: Extension) -> None:
    assert f.multiply(a, b) == f.multiply(b, a)
    assert f.multiply(a, f.multiply(b, c)) == f.multiply(f.multiply(a, b), c)
    assert f.multiply(a, f.add(b, c)) == f.add(f.multiply(a, b), f.multiply(a, c))
    assert f.add(a, f.negate(a)) == ZERO
    assert f.subtract(a, b) == f.add(a, f.negate(b))
    assert f.multiply(a, ONE) == a
    assert f.multiply(a, ZERO) == ZERO


@properties
@given(elements, bases)
def test_inverses_and_frobenius(a: Extension, scalar: int) -> None:
    if a == ZERO:
        with pytest.raises(ZeroDivisionError):
            f.invert(a)
    else:
        assert f.multiply(a, f.invert(a)) == ONE
    assert f.scale(a, scalar) == f.multiply(a, f.lift(scalar))
    assert f.frobenius(f.multiply(a, X)) == f.multiply(f.frobenius(a), f.frobenius(X))


def test_frobenius_is_the_power_p() -> None:
    a = (3, 1, 4, 1, P - 5)
    assert f.frobenius(a) == f.power(a, P)


@properties
@given(st.lists(elements.filter(lambda a: a != ZERO), min_size=1, max_size=9))
def test_inverses_at_once(values: list[Extension]) -> None:
    assert f.invert_all(values) == [f.invert(value) for value in values]


@properties
@given(st.lists(elements, min_size=0, max_size=4), st.data())
def test_multilinear_extension(point: list[Extension], data: st.DataObject) -> None:
    size = 1 << len(point)
    values = data.draw(st.lists(elements, min_size=size, max_size=size))
    weights = f.eq_vector(point)
    assert f.sum_all([f.multiply(w, v) for w, v in zip(weights, values, strict=True)]) == f.evaluate_multilinear(
        values, point
    )
    assert f.sum_all(weights) == ONE
    for index in range(size):
        corner = [f.lift(index >> bit & 1) for bit in range(len(point))]
        assert f.evaluate_multilinear(values, corner) == values[index]
        assert f.eq(point, corner) == weights[index]


def test_signed_integers() -> None:
    assert f.from_signed(-1) == P - 1
    assert f.from_signed(P) == 0
    assert f.lift(-3) == (P - 3, 0, 0, 0, 0)


@properties
@given(elements, elements, st.lists(elements, min_size=0, max_size=4), st.data())
def test_compiled_scalars_are_the_reference(
    a: Extension, b: Extension, point: list[Extension], data: st.DataObject
) -> None:
    size = 1 << len(point)
    values = data.draw(st.lists(elements, min_size=size, max_size=size))
    assert scalars.multiply(a, b) == f.multiply(a, b)
    assert list(scalars.eq_vector(point)) == f.eq_vector(point)
    assert scalars.evaluate_multilinear(values, point) == f.evaluate_multilinear(values, point)


def test_compiled_scalars_on_all_edges() -> None:
    random = Random(0)
    for _ in range(300):
        a, b = (tuple(random.choice(EDGES) for _ in range(DEGREE)) for _ in range(2))
        assert scalars.multiply(a, b) == f.multiply(a, b)  # type: ignore[arg-type]
        if any(a):
            assert scalars.power(a, 5) == f.power(a, 5)  # type: ignore[arg-type]
