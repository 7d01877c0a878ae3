"""Where tensors lie in a commitment: pieces, padded groups of axes, aligned blocks, the largest first.

A tensor is cut into pieces (at most three ranges an axis, where that saves a fifth of many cells), and the extents of
each piece are padded to powers of two, group by group; a group is a run of axes that are flattened together (height and
width of images). A block's cells are row-major over its groups, the last group in the lowest bits. Blocks of 2^t cells
lie at multiples of 2^t, so a block's cells fix the high bits of the commitment's index.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property, lru_cache
from itertools import product
from math import prod

import numpy as np
from attrs import frozen

from ..kernels.canonical import prefix_entries
from ..scalars import ONE, ZERO, Extension, multiply, multiply_all, subtract
from . import karray
from .functional import Eq, Factor, Ones, Placed, Sparse, Term, merged, put, relabel
from .nodes import Shape

PIECES_MAX = 6
CUT_EXTENT_MIN = 5
CUT_CELLS_MIN = 1 << 11
CUT_LIMITS = (3, 20)
"""Most pieces of an axis, and the percentage of its cells that cutting must save."""


def prefixes(offsets: Sequence[int], bits: Sequence[int], point: Sequence[Extension]) -> karray.KArray:
    """For aligned runs of 2^bits cells at these offsets, eq of their high index bits at a point: `[n, 5]`."""
    places = np.array([offsets, bits], dtype=np.int64).reshape(2, -1)
    found: karray.KArray = prefix_entries(places[0], places[1], karray.point_array(point))
    return found


def bits_of(count: int) -> int:
    """The least b with 2^b >= count."""
    return (count - 1).bit_length()


@frozen(kw_only=True)
class Group:
    """Axes flattened together and padded to 2^bits entries."""

    axes: tuple[int, ...]
    bits: int


@frozen(kw_only=True, slots=False)
class Piece:
    """A box of a tensor: (start, length) an axis, and its padded groups."""

    ranges: tuple[tuple[int, int], ...]
    groups: tuple[Group, ...]

    @cached_property
    def extents(self) -> Shape:
        """Extents of the box."""
        return tuple(length for _, length in self.ranges)

    @cached_property
    def bits(self) -> int:
        """log2 of the padded cells."""
        return sum(group.bits for group in self.groups)

    def coordinates(self, point: Sequence[Extension]) -> list[tuple[Extension, ...]]:
        """The point's part of each group; the last group has the lowest bits."""
        parts, end = [], len(point)
        assert end == self.bits
        for group in self.groups:
            parts.append(tuple(point[end - group.bits : end]))
            end -= group.bits
        return parts

    def test(self, point: Sequence[Extension]) -> Term:
        """The functional on the box whose value is the multilinear extension, zero beyond the extents, at `point`."""
        factors = []
        for group, part in zip(self.groups, self.coordinates(point), strict=True):
            extents = tuple(self.extents[axis] for axis in group.axes)
            if prod(extents) > 1:
                factors += split_eq(Eq(axes=group.axes, extents=extents, point=part))
        return Term(coefficient=ONE, factors=tuple(factors))

    def mask(self, point: Sequence[Extension]) -> Extension:
        """The multilinear extension of the indicator of true cells."""
        return self.test(point).sum()

    def evaluate(self, term: Term, point: Sequence[Extension]) -> Extension:
        """The multilinear extension, over the padded cells, of a functional's weights on the box."""
        return evaluate(term, self.extents, self.groups, self.coordinates(point))


@frozen(kw_only=True)
class Block:
    """A piece at its place in a commitment: cells offset to offset + 2^bits - 1."""

    owner: int
    piece: Piece
    offset: int

    def prefix(self, point: Sequence[Extension]) -> Extension:
        """Eq of the block's high bits at a point of the whole commitment."""
        result = ONE
        for bit in range(self.piece.bits, len(point)):
            z = point[bit]
            result = multiply(result, z if self.offset >> bit & 1 else subtract(ONE, z))
        return result


@frozen(kw_only=True, slots=False)
class Layout:
    """All blocks of a commitment, and the number of its variables."""

    blocks: tuple[Block, ...]
    variables: int

    def of(self, owner: int) -> tuple[Block, ...]:
        """The blocks of one tensor, in the order of its pieces."""
        return self._owned[owner]

    @cached_property
    def _owned(self) -> dict[int, tuple[Block, ...]]:
        owned: dict[int, list[Block]] = {}
        for block in self.blocks:
            owned.setdefault(block.owner, []).append(block)
        return {owner: tuple(blocks) for owner, blocks in owned.items()}


def split_eq(factor: Eq) -> list[Factor]:
    """An eq over several axes as one factor an axis, where the inner extents are powers of two."""
    wide = [(axis, extent) for axis, extent in zip(factor.axes, factor.extents, strict=True) if extent > 1]
    found: list[Factor] = []
    point = factor.point
    assert factor.start == 0
    while len(wide) > 1 and wide[-1][1] & (wide[-1][1] - 1) == 0:
        axis, extent = wide.pop()
        bits = bits_of(extent)
        found.append(Eq(axes=(axis,), extents=(extent,), point=point[:bits]))
        point = point[bits:]
    axes, extents = tuple(axis for axis, _ in wide), tuple(extent for _, extent in wide)
    return [Eq(axes=axes, extents=extents, point=point), *found]


def evaluate(
    term: Term, extents: Shape, groups: Sequence[Group], coordinates: Sequence[Sequence[Extension]]
) -> Extension:
    """A term's weights as a multilinear polynomial over padded groups, at a point given group by group."""
    if term.coefficient == ZERO:
        return ZERO
    result = term.coefficient
    places = {id(group): point for group, point in zip(groups, coordinates, strict=True)}
    for members, factors in evaluation_parts(term, extents, groups):
        points = [places[id(group)] for group in members]
        if factors is None:
            axes = {axis for group in members for axis in group.axes}
            touched = [factor for factor in term.factors if axes & set(factor.axes)]
            result = multiply(result, _component(extents, list(zip(members, points, strict=True)), touched))
        elif factors:
            result = multiply(result, factors[0].at(points[0]))
        else:
            result = multiply_all([result, *(subtract(ONE, z) for z in points[0])])
    return result


Part = tuple[Sequence[Group], tuple[Factor, ...] | None]
"""A group with its factor, if any; or several groups and factors (None) whose entries must be joined."""


def evaluation_parts(term: Term, extents: Shape, groups: Sequence[Group]) -> list[Part]:
    """How a term's extension is evaluated: group by group where factors allow, which is nearly always."""
    parts = _group_by_group(term, extents, groups)
    if parts is not None:
        return parts
    parts, left = [], list(groups)
    while left:
        members, factors = [left.pop(0)], list[Factor]()
        while True:
            axes = {axis for group in members for axis in group.axes} | {a for f in factors for a in f.axes}
            joined = [group for group in left if axes & set(group.axes)]
            touched = [f for f in term.factors if axes & set(f.axes)]
            if not joined and len(touched) == len(factors):
                break
            members, factors = members + joined, touched
            left = [group for group in left if all(group is not other for other in joined)]
        wide = tuple(axis for axis in members[0].axes if extents[axis] > 1)
        plain = len(members) == 1 and (not factors or (len(factors) == 1 and factors[0].axes == wide))
        parts.append((members, tuple(factors) if plain else None))
    return parts


def _group_by_group(term: Term, extents: Shape, groups: Sequence[Group]) -> list[Part] | None:
    """The parts where each factor covers one group; None where one does not."""
    factors = {factor.axes: factor for factor in term.factors}
    parts: list[Part] = []
    for group in groups:
        factor = factors.pop(group.axes, None)
        if factor is None:
            wide = tuple(axis for axis in group.axes if extents[axis] > 1)
            if wide:
                factor = factors.pop(wide, None)
                if factor is None:
                    return None
        parts.append(((group,), () if factor is None else (factor,)))
    return None if factors else parts


def _component(
    extents: Shape, members: Sequence[tuple[Group, Sequence[Extension]]], factors: Sequence[Factor]
) -> Extension:
    """Joint entries of several groups, one group after the other at its point."""
    axes = [axis for group, _ in members for axis in group.axes]
    values = merged(factors, axes, [extents[axis] for axis in axes])
    for group, point in members:
        count = prod(extents[axis] for axis in group.axes)
        weights = karray.eq_vector(point, count)
        values = values.reshape(count, -1, 5)
        values = karray.total(karray.multiply(values, weights[:, None]), (0,))
    return karray.element(values.reshape(5))


def restrict(term: Term, axis: int, start: int, length: int, extent: int) -> Term:
    """The term on a range of one axis (of extent `extent`)."""
    if (start, length) == (0, extent):
        return term
    (factor,) = (factor for factor in term.factors if axis in factor.axes)
    rest = tuple(other for other in term.factors if other is not factor)
    if isinstance(factor, Ones) and factor.axes == (axis,):
        return Term(coefficient=term.coefficient, factors=(*rest, *_ones(axis, length)))
    if isinstance(factor, Eq) and factor.axes == (axis,):
        return _restrict_eq(term, factor, rest, factor.start + start, length)
    if isinstance(factor, Placed) and factor.start >= start and factor.end <= start + length:
        if (factor.start, factor.end) == (start, start + length):
            return Term(coefficient=term.coefficient, factors=(*rest, relabel(factor.inner, (axis,))))
        placed = Placed(axes=(axis,), extents=(length,), inner=factor.inner, start=factor.start - start)
        return Term(coefficient=term.coefficient, factors=(*rest, placed))
    if isinstance(factor, Placed) and (factor.end <= start or factor.start >= start + length):
        return Term(coefficient=ZERO, factors=(*rest, *_ones(axis, length)))
    if isinstance(factor, Sparse) and factor.axes == (axis,) and length > 1:
        kept = (factor.indices >= start) & (factor.indices < start + length)
        few = Sparse(
            axes=(axis,), extents=(length,), indices=factor.indices[kept] - start, weights=factor.weights[kept]
        )
        return Term(coefficient=term.coefficient, factors=(*rest, few))
    values = factor.dense().reshape(*factor.extents, 5)
    index = [slice(None)] * values.ndim
    index[factor.axes.index(axis)] = slice(start, start + length)
    return put(rest, term.coefficient, values[tuple(index)], factor.axes)


def _ones(axis: int, length: int) -> tuple[Factor, ...]:
    return (Ones(axes=(axis,), extents=(length,)),) if length > 1 else ()


def _restrict_eq(term: Term, factor: Eq, rest: tuple[Factor, ...], start: int, length: int) -> Term:
    """An eq on [start, start + length); an aligned range is an eq of the low bits."""
    bits, point, coefficient = bits_of(length), factor.point, term.coefficient
    if start & ((1 << bits) - 1) == 0:
        high = [z if start >> (bits + i) & 1 else subtract(ONE, z) for i, z in enumerate(point[bits:])]
        coefficient, point, start = multiply_all([coefficient, *high]), point[:bits], 0
    if length == 1 and not point:
        return Term(coefficient=coefficient, factors=rest)
    part = Eq(axes=factor.axes, extents=(length,), point=point, start=start)
    return Term(coefficient=coefficient, factors=(*rest, part))


def restrict_to(term: Term, shape: Shape, ranges: Sequence[tuple[int, int]]) -> Term:
    """The term on a box; without factors where it is zero there."""
    for axis, (start, length) in enumerate(ranges):
        if length != shape[axis]:
            term = restrict(term, axis, start, length, shape[axis])
            if term.coefficient == ZERO:
                return Term(coefficient=ZERO, factors=())
    return term


@lru_cache(maxsize=4096)
def pieces_of(shape: Shape, *, image: bool = False, tight: bool = False) -> tuple[Piece, ...]:
    """How a tensor is cut and padded; a function of the shape and the flags alone.

    `image`: the last two axes are one group where that is smaller. `tight`: cut for any saving of a hundredth.
    """
    runs: list[tuple[int, ...]] = [(axis,) for axis in range(len(shape))]
    if image and len(shape) >= 2 and _padded(shape[-2:]) > _padded((shape[-2] * shape[-1],)):
        runs = [*runs[:-2], (len(shape) - 2, len(shape) - 1)]
    best = [[[(0, shape[axis]) for axis in run]] for run in runs]
    limits = (PIECES_MAX, 1) if tight else CUT_LIMITS
    if _padded(shape) < CUT_CELLS_MIN:
        limits = (1, 100)
    cuts = {i: [[part] for part in _cut(shape[run[0]], *limits)] for i, run in enumerate(runs) if len(run) == 1}
    for index in sorted(cuts, key=lambda i: (-_saving_percent(cuts[i]), i)):
        candidate = [*best[:index], cuts[index], *best[index + 1 :]]
        if prod(len(entry) for entry in candidate) <= PIECES_MAX:
            best = candidate
    found = []
    for combination in product(*best):
        ranges = [entry for run in combination for entry in run]
        groups = tuple(Group(axes=run, bits=bits_of(prod(ranges[a][1] for a in run))) for run in runs)
        found.append(Piece(ranges=tuple(ranges), groups=groups))
    return tuple(found)


def _padded(extents: Shape) -> int:
    return prod(1 << bits_of(extent) for extent in extents)


def _cut(extent: int, parts: int, percent: int, start: int = 0) -> list[tuple[int, int]]:
    """Ranges of an axis: the largest power of two, then the rest cut likewise, where `percent` is saved."""
    first = 1 << (extent.bit_length() - 1)
    if extent > first and extent >= CUT_EXTENT_MIN and parts > 1:
        found = [(start, first), *_cut(extent - first, parts - 1, 0, start + first)]
        padded = _padded((extent,))
        if 100 * (padded - sum(_padded((length,)) for _, length in found)) >= percent * padded:
            return found
    return [(start, extent)]


def axis_parts(extent: int) -> int:
    """Pieces that an axis of many cells is cut into, outside of W."""
    return len(_cut(extent, *CUT_LIMITS))


def _saving_percent(parts: list[list[tuple[int, int]]]) -> int:
    whole = _padded((sum(part[0][1] for part in parts),))
    return 100 - 100 * sum(_padded((part[0][1],)) for part in parts) // whole


def arrange(tensors: Sequence[tuple[int, tuple[Piece, ...]]]) -> Layout:
    """Blocks of (owner, pieces), the largest first, ties in the given order."""
    entries = [(owner, piece) for owner, pieces in tensors for piece in pieces]
    order = sorted(range(len(entries)), key=lambda i: (-entries[i][1].bits, i))
    offset, blocks = 0, {}
    for index in order:
        owner, piece = entries[index]
        blocks[index] = Block(owner=owner, piece=piece, offset=offset)
        offset += 1 << piece.bits
    return Layout(blocks=tuple(blocks[i] for i in range(len(entries))), variables=bits_of(max(offset, 1)))
