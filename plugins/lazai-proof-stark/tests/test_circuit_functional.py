"""Functionals and layouts: short evaluations against expansions."""

from __future__ import annotations

from random import Random

import numpy as np
import pytest

from lazai_proof_stark import field
from lazai_proof_stark.circuit import karray
from lazai_proof_stark.circuit.check import padded_extension, random_element
from lazai_proof_stark.circuit.functional import Dense, Eq, Ones, Sparse, Term
from lazai_proof_stark.circuit.layout import arrange, bits_of, pieces_of, restrict_to
from lazai_proof_stark.circuit.pullback import spread


def points(random: Random, count: int) -> tuple[field.Extension, ...]:
    return tuple(random_element(random) for _ in range(count))


@pytest.mark.parametrize("count", [1, 2, 3, 5, 8, 13, 16])
def test_short_sums_equal_long_ones(count: int) -> None:
    random = Random(count)
    for start in (0, 1, 3):
        width = bits_of(count + start)
        eq = Eq(axes=(0,), extents=(count,), point=points(random, width), start=start)
        dense = Dense(axes=(0,), extents=(count,), values=eq.dense())
        at = points(random, bits_of(count))
        assert eq.sum() == dense.sum()
        assert eq.at(at) == dense.at(at)
        assert eq.index_sum() == dense.index_sum()
        ones = Ones(axes=(0,), extents=(count,))
        full = Dense(axes=(0,), extents=(count,), values=ones.dense())
        assert (ones.sum(), ones.at(at), ones.index_sum()) == (full.sum(), full.at(at), full.index_sum())


def test_sparse_entries_may_repeat() -> None:
    random = Random(1)
    weights = np.array([random_element(random) for _ in range(4)], dtype=np.int64)
    sparse = Sparse(axes=(0,), extents=(300,), indices=np.array([7, 299, 7, 0]), weights=weights)
    at = points(random, 9)
    assert sparse.at(at) == Dense(axes=(0,), extents=(300,), values=sparse.dense()).at(at)


@pytest.mark.parametrize("shape", [(1,), (5,), (3, 6), (1, 12, 20), (2, 3, 5, 7), (1, 4, 10, 10), (7, 1, 1)])
@pytest.mark.parametrize("image", [False, True])
def test_pieces_cover_every_cell_once_and_evaluate_what_they_expand(shape: tuple[int, ...], image: bool) -> None:
    random = Random(2)
    seen = np.zeros(shape, dtype=np.int64)
    values = np.arange(seen.size).reshape(shape) - 7
    for piece in pieces_of(shape, image=image):
        index = tuple(slice(start, start + length) for start, length in piece.ranges)
        seen[index] += 1
        point = points(random, piece.bits)
        whole = spread(piece.test(point), shape, piece.ranges)
        assert whole.apply(values) == padded_extension(piece, values, point)
        other = points(random, piece.bits)
        part = restrict_to(whole, shape, piece.ranges)
        weights = part.expand(piece.extents)
        direct = karray.element(karray.dot(weights, piece.test(other).expand(piece.extents)))
        assert piece.evaluate(part, other) == direct
        count = np.ones(piece.extents, dtype=np.int64)
        assert piece.mask(point) == piece.test(point).apply(count)
    assert (seen == 1).all()


def test_blocks_are_aligned_and_apart() -> None:
    shapes = [(3,), (384, 384), (7, 5), (1,), (32, 384), (16, 30)]
    layout = arrange([(i, pieces_of(shape)) for i, shape in enumerate(shapes)])
    taken: set[int] = set()
    for block in layout.blocks:
        size = 1 << block.piece.bits
        assert block.offset % size == 0
        assert not taken & {block.offset, block.offset + size - 1}
        taken |= set(range(block.offset, block.offset + size))
    assert max(taken) < 1 << layout.variables


def test_a_block_of_a_commitment_is_read_by_its_prefix() -> None:
    random = Random(5)
    layout = arrange([(0, pieces_of((3,))), (1, pieces_of((2, 2)))])
    cells = [random.randrange(100) for _ in range(1 << layout.variables)]
    point = points(random, layout.variables)
    total = field.ZERO
    for block in layout.blocks:
        size = 1 << block.piece.bits
        inner = field.evaluate_multilinear(
            [field.lift(v) for v in cells[block.offset : block.offset + size]], point[: block.piece.bits]
        )
        total = field.add(total, field.multiply(block.prefix(point), inner))
    assert total == field.evaluate_multilinear([field.lift(v) for v in cells], point)


def test_a_scaled_term_scales() -> None:
    term = Term(coefficient=field.ONE, factors=(Ones(axes=(0,), extents=(4,)),))
    assert term.scaled(field.lift(3)).sum() == field.lift(12)
