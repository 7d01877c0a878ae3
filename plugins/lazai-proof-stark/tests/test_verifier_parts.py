"""What the verifier evaluates in short against the same in full: placed vectors, prefixes, rounds' polynomials."""

from __future__ import annotations

from random import Random

import numpy as np
import pytest

from lazai_proof_stark import field, scalars
from lazai_proof_stark.circuit import karray
from lazai_proof_stark.circuit.functional import Dense, Eq, Factor, Placed, Term
from lazai_proof_stark.circuit.layout import Group, arrange, bits_of, evaluate, pieces_of, prefixes, restrict
from lazai_proof_stark.circuit.nodes import Committed, Reshape
from lazai_proof_stark.circuit.pullback import Context, pull_back, spread
from lazai_proof_stark.circuit.witness import Values
from lazai_proof_stark.claims import factor_key
from lazai_proof_stark.field import DEGREE, Extension, P


def element(random: Random) -> Extension:
    a, b, c, d, e = (random.randrange(P) for _ in range(DEGREE))
    return (a, b, c, d, e)


def vector(random: Random, count: int, axis: int = 0) -> Dense:
    values = np.array([element(random) for _ in range(count)], dtype=np.int64)
    return Dense(axes=(axis,), extents=(count,), values=values)


def in_full(factor: Factor) -> Dense:
    return Dense(axes=factor.axes, extents=factor.extents, values=factor.dense())


@pytest.mark.parametrize(("start", "length", "full"), [(0, 8, 11), (8, 3, 11), (8, 2, 11), (3, 5, 12), (0, 2, 3)])
def test_placed_vectors_are_their_entries(start: int, length: int, full: int) -> None:
    random = Random(start + length)
    point = tuple(element(random) for _ in range(bits_of(length)))
    for inner in (vector(random, length), Eq(axes=(0,), extents=(length,), point=point)):
        placed = Placed(axes=(0,), extents=(full,), inner=inner, start=start)
        plain = in_full(placed)
        where = [element(random) for _ in range(bits_of(full))]
        assert placed.at(where) == plain.at(where)
        assert placed.sum() == plain.sum()
        assert placed.index_sum() == plain.index_sum()
        for first in range(full):
            for count in range(2, full - first + 1):
                parts = [
                    restrict(Term(coefficient=field.ONE, factors=(f,)), 0, first, count, full) for f in (placed, plain)
                ]
                first_part, second_part = (karray.scale(p.expand((count,)), np.ones(count, np.int64)) for p in parts)
                assert np.array_equal(first_part, second_part)


def test_placed_vectors_move_along_reshapes() -> None:
    random = Random(5)
    placed = Placed(axes=(0,), extents=(6,), inner=vector(random, 4), start=2)
    source = Committed(shape=(6, 1), low=0, high=9, column=0)
    node = Reshape(shape=(6,), low=0, high=9, source=source)
    pulled = pull_back(
        node, Term(coefficient=field.ONE, factors=(placed,)), Context(chi=field.ZERO, values=Values([], []))
    )
    ((_, term),) = pulled.leaves
    assert isinstance(term.factors[0], Placed)
    assert np.array_equal(term.factors[0].dense(), placed.dense())
    moved = Placed(axes=(1,), extents=(6,), inner=vector(random, 4, axis=0), start=2)
    (inner,) = restrict(Term(coefficient=field.ONE, factors=(moved,)), 1, 2, 4, 6).factors
    assert inner.axes == (1,)


def test_equal_placed_vectors_have_one_key() -> None:
    random = Random(6)
    inner = vector(random, 4)
    first, second, third = (
        Placed(axes=(0,), extents=(9,), inner=Dense(axes=(a,), extents=(4,), values=inner.values), start=s)
        for a, s in ((0, 0), (3, 0), (0, 4))
    )
    assert factor_key(first) == factor_key(second) != factor_key(third)


@pytest.mark.parametrize("shape", [(384,), (33, 70), (11, 48, 3), (1, 96)])
def test_pieces_of_a_tensor_evaluate_to_the_whole(shape: tuple[int, ...]) -> None:
    """The functional of each piece, spread over the tensor, weighs its block alone."""
    random = Random(7)
    layout = arrange([(0, pieces_of(shape))])
    point = [element(random) for _ in range(layout.variables)]
    for piece in pieces_of(shape):
        term = spread(piece.test(point[: piece.bits]), shape, piece.ranges)
        plain = Term(coefficient=term.coefficient, factors=tuple(in_full(factor) for factor in term.factors))
        assert np.array_equal(term.expand(shape), plain.expand(shape))
        assert term.sum() == plain.sum()


def test_groups_are_evaluated_one_by_one_or_together() -> None:
    random = Random(8)
    groups = (Group(axes=(0,), bits=2), Group(axes=(1, 2), bits=3), Group(axes=(3,), bits=1))
    extents = (3, 2, 3, 1)
    coordinates = [tuple(element(random) for _ in range(group.bits)) for group in groups]
    parts = (vector(random, 3), Dense(axes=(1, 2), extents=(2, 3), values=vector(random, 6).values))
    together = Dense(
        axes=(0, 1, 2),
        extents=(3, 2, 3),
        values=karray.multiply(parts[0].values[:, None], parts[1].values[None]).reshape(-1, 5),
    )
    coefficient = element(random)
    one = evaluate(Term(coefficient=coefficient, factors=parts), extents, groups, coordinates)
    assert one == evaluate(Term(coefficient=coefficient, factors=(together,)), extents, groups, coordinates)
    assert evaluate(Term(coefficient=field.ZERO, factors=parts), extents, groups, coordinates) == field.ZERO


def test_prefixes_are_eq_of_the_high_bits() -> None:
    random = Random(9)
    point = [element(random) for _ in range(7)]
    offsets, bits = [0, 96, 64, 127, 8], [7, 5, 6, 0, 3]
    for offset, low, found in zip(offsets, bits, prefixes(offsets, bits, point), strict=True):
        expected = field.eq(point[low:], [field.lift(offset >> i & 1) for i in range(low, 7)])
        assert karray.element(found) == expected


def test_a_rounds_polynomial_at_the_challenge() -> None:
    random = Random(10)
    for _ in range(20):
        constant, linear, leading, z, r = (element(random) for _ in range(5))

        def at(x: Extension, c: tuple[Extension, Extension, Extension] = (constant, linear, leading)) -> Extension:
            return field.add(c[0], field.multiply(x, field.add(c[1], field.multiply(x, c[2]))))

        plain = field.add(at(field.ZERO), at(field.ONE))
        assert scalars.quadratic(plain, constant, leading, r) == at(r)
        weighted = field.add(
            field.multiply(field.subtract(field.ONE, z), at(field.ZERO)), field.multiply(z, at(field.ONE))
        )
        assert scalars.weighted_quadratic(weighted, field.invert(z), constant, leading, r) == at(r)
