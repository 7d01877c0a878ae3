"""The prover's long vectors: weights over a commitment, and operands folded along their free axes."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from . import scalars as f
from . import workspace
from .circuit import karray
from .circuit.functional import Term, merged
from .circuit.karray import IntArray, KArray
from .circuit.layout import Layout, Piece, restrict_to
from .circuit.nodes import Committed
from .claims import CommittedClaims
from .field import DEGREE, P
from .kernels.arrays import Words, blocked, k_words
from .kernels.extension import add_outer
from .kernels.operands import COLUMNS_A_BLOCK, fold_rows, residue_words
from .workers import breathe, split

LANES = 16
LIMB_BITS, LIMB_MASK = 16, (1 << 16) - 1
FOLD_CELLS_MIN = 1 << 21
"""Smaller operands are folded faster than a thread wakes up."""


def splats(values: KArray) -> Words:
    """Canonical `[n, 5]`, each in all lanes."""
    return np.ascontiguousarray(np.broadcast_to(k_words(values)[:, :, None], (len(values), DEGREE, LANES)))


def padded_cells(values: IntArray, piece: Piece) -> NDArray[Any]:
    """A piece's cells in the order of the commitment, zeros in the padding: flat, 2^bits entries."""
    box = values[tuple(slice(start, start + length) for start, length in piece.ranges)]
    sizes = [prod(piece.extents[axis] for axis in group.axes) for group in piece.groups]
    grouped = box.reshape(sizes)
    if sizes == [1 << group.bits for group in piece.groups]:
        return np.ascontiguousarray(grouped).reshape(-1)
    cells = np.zeros([1 << group.bits for group in piece.groups], dtype=grouped.dtype)
    cells[tuple(slice(0, size) for size in sizes)] = grouped
    return cells.reshape(-1)


def residues(values: NDArray[Any]) -> Words:
    """Integers, flat, to Montgomery words."""
    words = np.empty(values.size, dtype=np.uint32)
    residue_words(np.ascontiguousarray(narrow(values)).reshape(-1), words)
    return words


def narrow(values: NDArray[Any]) -> NDArray[Any]:
    """Python integers as residues; native ones as they are."""
    return np.asarray(values % P, dtype=np.int64) if values.dtype == object else values


def fill_commitment(layout: Layout, variables: int, arrays: dict[int, IntArray]) -> Words:
    """All blocks of a commitment in one vector of 2^variables words."""
    cells = workspace.room((1 << variables,))
    cells[:] = 0
    for block in layout.blocks:
        breathe()
        size = 1 << block.piece.bits
        values = narrow(padded_cells(arrays[block.owner], block.piece))
        residue_words(np.ascontiguousarray(values).reshape(-1), cells[block.offset : block.offset + size])
    return cells


def weights_over(layout: Layout, variables: int, claims: CommittedClaims) -> Words:
    """sum of all functionals' weights over a commitment, in blocks `uint32[2^variables / 16, 5, 16]`."""
    total = np.zeros(((1 << variables) // LANES, DEGREE, LANES), dtype=np.uint32)
    small: dict[int, KArray] = {}
    for leaf, term in claims.terms:
        owner = leaf.column if isinstance(leaf, Committed) else leaf.index
        for block in layout.of(owner):
            part = restrict_to(term, leaf.shape, block.piece.ranges)
            if part.coefficient == f.ZERO:
                continue
            size = 1 << block.piece.bits
            if size >= LANES:
                target = total[block.offset // LANES : (block.offset + size) // LANES]
                _add_term(part, block.piece, target)
                continue
            start = block.offset // LANES
            lanes = small.setdefault(start, np.zeros((LANES, DEGREE), dtype=np.int64))
            cells = cells_of(part, block.piece)
            at = block.offset % LANES
            lanes[at : at + size] = (lanes[at : at + size] + cells) % P
    for start, lanes in small.items():
        total[start] = blocked(lanes)[0]
    return total


def group_vectors(term: Term, piece: Piece) -> list[KArray] | None:
    """One padded vector a group, when no factor spans two groups."""
    vectors = []
    used = 0
    for group in piece.groups:
        mine = [factor for factor in term.factors if set(factor.axes) <= set(group.axes)]
        used += len(mine)
        count = prod(piece.extents[axis] for axis in group.axes)
        vector = np.zeros((1 << group.bits, DEGREE), dtype=np.int64)
        if mine:
            extents = [piece.extents[axis] for axis in group.axes]
            vector[:count] = merged(mine, group.axes, extents).reshape(count, DEGREE)
        else:
            vector[0, 0] = 1
        vectors.append(vector)
    return vectors if used == len(term.factors) else None


def outer(first: KArray, second: KArray) -> KArray:
    """All products, those of `second` in the lowest places."""
    return karray.multiply(first[:, None], second[None]).reshape(-1, DEGREE)


def cells_of(term: Term, piece: Piece) -> KArray:
    """All padded weights `[2^bits, 5]`, the slow way."""
    expanded = term.expand(piece.extents)
    planes = [paddedcells_of_box(expanded[..., power], piece) for power in range(DEGREE)]
    return np.stack(planes, axis=-1)


def paddedcells_of_box(box: NDArray[Any], piece: Piece) -> NDArray[Any]:
    """`padded_cells` of an array that is the piece's box already."""
    inner = Piece(ranges=tuple((0, length) for length in piece.extents), groups=piece.groups)
    return padded_cells(box, inner)


def _add_term(term: Term, piece: Piece, target: Words) -> None:
    vectors = group_vectors(term, piece)
    if vectors is None:
        lower, upper = cells_of(term, piece), karray.scalar(f.ONE)[None]
    else:
        lower = vectors.pop() if vectors else karray.scalar(f.ONE)[None]
        while len(lower) < LANES:
            lower = outer(vectors.pop(), lower)
        upper = karray.scalar(term.coefficient)[None]
        for vector in vectors:
            upper = outer(upper, vector)
    rows = np.flatnonzero(upper.any(axis=1))
    scalars, values = splats(upper), blocked(lower)
    last = int(rows[-1]) + 1 if len(rows) else 0
    split(last, lambda begin, end: add_outer(scalars, values, target, begin, end), smallest=64)


def fold_operand(values: IntArray, order: Sequence[int], kept: Sequence[int], weights: KArray) -> KArray:
    """sum over the axes `order` of values * weights `[cells of order, 5]`: `[extents of kept ..., 5]`, canonical."""
    extents = [values.shape[axis] for axis in kept]
    if not len(weights):
        # A functional that is zero everywhere, such as one of a constant whose piece nobody reads.
        return np.zeros((*extents, DEGREE), dtype=np.int64)
    flat = np.ascontiguousarray(np.transpose(values, [*order, *kept])).reshape(len(weights), -1)
    folded = _folded(narrow(flat), np.ascontiguousarray(weights, dtype=np.int32))
    return np.ascontiguousarray(folded.T).reshape(*extents, DEGREE)


def _folded(flat: NDArray[Any], weights: NDArray[np.int32]) -> KArray:
    """sum over rows of weights[i] flat[i, j], `[5, m]`; wide integers as residues, those in two limbs."""
    if flat.dtype.itemsize > 2:
        top = max(int(flat.max(initial=0)), -int(flat.min(initial=0)))
        if top >= P:
            flat, top = flat % P, P
        if top >> 28:
            low, high = _folded(flat & LIMB_MASK, weights), _folded(flat >> LIMB_BITS, weights)
            return np.asarray((low + (high << LIMB_BITS)) % P)
        flat = flat.astype(np.int32, copy=False)
    else:
        top = 1 << (8 * flat.dtype.itemsize - 1)
    rows = (1 << 62) // ((1 << 31) * max(top, 1))
    total = np.empty((DEGREE, flat.shape[1]), dtype=np.int64)
    split(
        flat.shape[1],
        lambda begin, end: fold_rows(flat, weights, rows, total, begin, end),
        multiple=COLUMNS_A_BLOCK,
        smallest=COLUMNS_A_BLOCK if flat.size > FOLD_CELLS_MIN else 1 << 62,
    )
    return total
