"""The fraction tree's leaves: one region a looked-up piece and one a table piece, aligned, the largest first.

Cell x of a lookup's region holds 1 / (beta - key(x)) on true cells and 0 / (beta - key) on padding; a table's row holds
-multiplicity / (beta - key). key = sum of alpha^i form_i + alpha^IDENTITY_POWER table identity. Cells outside all
regions hold
0 / 1. The sum is zero exactly when every looked-up tuple is a row of its table (logarithmic derivatives, 2022/1530).
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

from attrs import frozen

from . import scalars as f
from .circuit.layout import Piece, bits_of, prefixes
from .circuit.nodes import Committed, Node, Shape
from .circuit.relations import Circuit
from .field import Extension

IDENTITY_POWER = 4
"""Tuples have at most four forms; the identity's power of alpha is the same for all tables."""
VARIABLES_MIN = 5


@frozen(kw_only=True, eq=False)
class Region:
    """Cells offset .. offset + 2^bits - 1 of the leaves. `multiplicity` is there for tables only."""

    shape: Shape
    piece: Piece
    forms: tuple[Node, ...]
    identity: int
    multiplicity: Committed | None
    offset: int


@frozen(kw_only=True, eq=False)
class Leaves:
    """All regions and the number of the tree's variables."""

    regions: tuple[Region, ...]
    variables: int

    def prefixes(self, point: Sequence[Extension]) -> list[Extension]:
        """eq of each region's high index bits at a point of all leaves."""
        offsets = [region.offset for region in self.regions]
        found = prefixes(offsets, [region.piece.bits for region in self.regions], point)
        return [(a, b, c, d, e) for a, b, c, d, e in found.tolist()]


@lru_cache(maxsize=32)
def leaves_of(circuit: Circuit) -> Leaves:
    """The layout, a function of the circuit alone; those of the last circuits are kept."""
    entries: list[tuple[Shape, Piece, tuple[Node, ...], int, Committed | None]] = []
    for lookup in circuit.lookups:
        identity = circuit.tables[lookup.table].identity
        entries += [(lookup.shape, piece, lookup.forms, identity, None) for piece in lookup.pieces]
    for table in circuit.tables:
        column = circuit.columns[table.multiplicity]
        count = Committed(shape=column.shape, low=0, high=f.P - 1, column=column.index)
        entries += [(column.shape, piece, table.columns, table.identity, count) for piece in column.pieces]
    order = sorted(range(len(entries)), key=lambda index: (-entries[index][1].bits, index))
    regions, offset = [], 0
    for index in order:
        shape, piece, forms, identity, count_column = entries[index]
        assert len(forms) <= IDENTITY_POWER, "a tuple is too long for the identity's power"
        regions.append(
            Region(
                shape=shape,
                piece=piece,
                forms=forms,
                identity=identity,
                multiplicity=count_column,
                offset=offset,
            )
        )
        offset += 1 << piece.bits
    return Leaves(regions=tuple(regions), variables=max(VARIABLES_MIN, bits_of(max(offset, 1))))
