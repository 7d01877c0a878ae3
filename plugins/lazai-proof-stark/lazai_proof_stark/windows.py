"""An opening's weights in short: a few vectors over windows of 256 cells, and how much of each a window has.

The weights of all functionals over a commitment are a sum of tensor products, so within an aligned window nearly always
a multiple of one of a few vectors ("lowers"). The polynomial's windows are multiplied with those vectors once; the
rounds that bind columns then run over one element a window in place of 256 cells, and give the same messages as
over all cells. Where a window's place (its index within a column) has more than `LOWERS_MAX` vectors over all columns,
its cells are kept in full.
"""

from __future__ import annotations

import numpy as np
from attrs import frozen

from . import scalars as f
from . import workspace
from .circuit import karray
from .circuit.functional import Term
from .circuit.karray import IntArray, KArray
from .circuit.layout import Block, Layout, restrict_to
from .circuit.nodes import Committed
from .claims import CommittedClaims, factor_key
from .expansion import cells_of, group_vectors, outer
from .field import DEGREE, Extension
from .kernels.arrays import Words, blocked, k_words
from .kernels.windows import (
    LOG_WINDOW,
    WINDOW_BLOCKS,
    add_windows,
    dot_windows,
    scaled,
    scatter_scalars,
)
from .weighted_sum import WeightedSum
from .workers import breathe, split

LANES = 16
WINDOW = 1 << LOG_WINDOW
LOWERS_MAX = 8
"""Below this many vectors it is cheaper to multiply windows with each than to run the rounds over their cells."""


@frozen(eq=False)
class Share:
    """Windows, counted from a block's first, that are multiples of lower vector `number`; `scalars` uint32[m, 5]."""

    number: int
    windows: IntArray
    scalars: Words


class _Lowers:
    """The distinct lower vectors, each scaled so that its first entry that is not zero is one."""

    def __init__(self) -> None:
        self.vectors: list[KArray] = []
        self._numbers: dict[bytes, int] = {}

    def shares(self, upper: KArray, middle: KArray, lower: KArray) -> list[Share]:
        """The windows of upper (x) middle (x) lower, whose cells are row-major.

        Lower is within a window, and middle and lower together hold whole windows.
        """
        _, scale, unit = _units(lower[None])
        if not len(unit):
            return []
        rows = middle.reshape(-1, WINDOW // len(lower), DEGREE)
        places, pivots, units = _units(rows)
        used = np.flatnonzero(upper.any(axis=1))
        upper = karray.multiply(upper[used], scale)
        found: dict[int, list[int]] = {}
        known: dict[bytes, int] = {}
        for index, row in enumerate(units):
            name = row.tobytes()
            if name not in known:
                known[name] = self._number(outer(row, unit[0]))
            found.setdefault(known[name], []).append(index)
        shares = []
        for number, mine in found.items():
            windows = used[:, None] * len(rows) + places[mine]
            words = k_words(outer(upper, pivots[mine]))
            shares.append(Share(number, windows.reshape(-1), np.ascontiguousarray(words)))
        return shares

    def _number(self, unit: KArray) -> int:
        number = self._numbers.setdefault(unit.tobytes(), len(self.vectors))
        if number == len(self.vectors):
            self.vectors.append(unit)
        return number


def _units(rows: KArray) -> tuple[IntArray, KArray, KArray]:
    """The vectors of `[n, w, 5]` that are not zero: their places, their first entries, and they divided by it."""
    filled = np.asarray(rows.any(axis=2))
    some = np.flatnonzero(filled.any(axis=1))
    pivots = rows[some, filled[some].argmax(axis=1)]
    inverses = f.invert_all([karray.element(pivot) for pivot in pivots])
    if not inverses:
        return some, pivots, rows[:0]
    return some, pivots, karray.multiply(rows[some], np.array(inverses, dtype=np.int64)[:, None])


def _shares_of(term: Term, block: Block, lowers: _Lowers) -> list[Share]:
    """The term's weights on a block, window by window."""
    piece, one = block.piece, karray.scalar(f.ONE)[None]
    upper = karray.scalar(term.coefficient)[None]
    if piece.bits < LOG_WINDOW:
        start = block.offset % WINDOW
        middle = np.zeros((WINDOW, DEGREE), dtype=np.int64)
        middle[start : start + (1 << piece.bits)] = cells_of(Term(coefficient=f.ONE, factors=term.factors), piece)
        return lowers.shares(upper, middle, one)
    vectors = group_vectors(term, piece)
    if vectors is None:
        return lowers.shares(one, cells_of(term, piece), one)
    middle, lower = vectors.pop(), one
    while len(middle) * len(lower) < WINDOW:
        middle, lower = vectors.pop(), outer(middle, lower)
    for vector in vectors:
        upper = outer(upper, vector)
    return lowers.shares(upper, middle, lower)


@frozen(eq=False)
class _Entry:
    """One functional on one block."""

    coefficient: Extension
    first: int
    shares: list[Share]


def _entries(layout: Layout, claims: CommittedClaims, lowers: _Lowers) -> list[_Entry]:
    """All functionals on all their blocks; equal factors on equal blocks are worked out once."""
    known: dict[tuple[object, ...], list[Share]] = {}
    entries = []
    for leaf, term in claims.terms:
        breathe()
        owner = leaf.column if isinstance(leaf, Committed) else leaf.index
        name = (leaf.shape, *map(factor_key, term.factors))
        for block in layout.of(owner):
            start = block.offset % WINDOW if block.piece.bits < LOG_WINDOW else 0
            key = (*name, block.piece, start)
            shares = known.get(key)
            if shares is None:
                part = restrict_to(Term(coefficient=f.ONE, factors=term.factors), leaf.shape, block.piece.ranges)
                shares = known[key] = _shares_of(part, block, lowers) if part.coefficient != f.ZERO else []
            entries.append(_Entry(term.coefficient, block.offset >> LOG_WINDOW, shares))
    return entries


@frozen(eq=False)
class WindowedWeights:
    """Weights over 2^log_columns columns of `places` windows.

    Slot s stands for windows `slot_places[s]` times lower vector `slot_numbers[s]`; `scalars` holds each column's
    multiples, `[columns, slots / 16, 5, 16]`. `crowded` are the places whose cells are in `cells`, `[columns * crowded
    * 16, 5, 16]`.
    """

    log_columns: int
    places: int
    lowers: Words
    slot_places: IntArray
    slot_numbers: IntArray
    scalars: Words
    crowded: IntArray
    cells: Words

    def column_sums(self, values: Words) -> ColumnSums:
        """The prover's side of the rounds that bind columns of the polynomial."""
        return ColumnSums(self, values)

    def in_full(self) -> Words:
        """All weights over K in blocks, `uint32[2^variables / 16, 5, 16]`: for provers that work on all cells."""
        columns = 1 << self.log_columns
        total = np.zeros((columns, self.places, WINDOW_BLOCKS, DEGREE, LANES), dtype=np.uint32)
        for column in range(columns):
            self.fill_column(self.scalars[column], total[column].reshape(-1, DEGREE, LANES))
        if len(self.crowded):
            total[:, self.crowded] = self.cells.reshape(columns, -1, WINDOW_BLOCKS, DEGREE, LANES)
        return total.reshape(-1, DEGREE, LANES)

    def fill_column(self, scalars: Words, column: Words) -> None:
        """Add one column's multiples `[slots / 16, 5, 16]` of the lower vectors to its cells."""
        words = scalars.transpose(0, 2, 1).reshape(-1, DEGREE)[: len(self.slot_places)]
        add_windows(np.ascontiguousarray(words), self.lowers, self.slot_numbers, self.slot_places, column)


def windowed(layout: Layout, variables: int, log_columns: int, claims: CommittedClaims) -> WindowedWeights:
    """All functionals' weights over a commitment whose columns hold whole windows."""
    lowers = _Lowers()
    entries = _entries(layout, claims, lowers)
    places = 1 << (variables - log_columns - LOG_WINDOW)
    count = len(lowers.vectors)
    present = np.zeros((count, places), dtype=bool)
    for entry in entries:
        for share in entry.shares:
            present[share.number, (entry.first + share.windows) & (places - 1)] = True
    full = present.sum(axis=0) > LOWERS_MAX
    slot_places, slot_numbers = np.nonzero((present & ~full).T)
    slots = np.full((count, places), -1, dtype=np.int64)
    slots[slot_numbers, slot_places] = np.arange(len(slot_places))
    columns = 1 << log_columns
    scalars = workspace.room((columns, -(-len(slot_places) // LANES), DEGREE, LANES))
    scalars[:] = 0
    crowded = np.flatnonzero(full)
    inside = np.full(places, -1, dtype=np.int64)
    inside[crowded] = np.arange(len(crowded))
    cells = workspace.room((columns * len(crowded) * WINDOW_BLOCKS, DEGREE, LANES))
    cells[:] = 0
    vectors = _vectors(lowers)
    shift = places.bit_length() - 1
    for entry in entries:
        breathe()
        coefficient = k_words(karray.scalar(entry.coefficient)[None])[0]
        for share in entry.shares:
            windows = entry.first + share.windows
            scatter_scalars(share.scalars, coefficient, windows, shift, slots[share.number], scalars)
            if len(crowded):
                mine = np.flatnonzero(full[windows & (places - 1)])
                where = (windows[mine] >> shift) * len(crowded) + inside[windows[mine] & (places - 1)]
                numbers = np.full(len(mine), share.number)
                add_windows(scaled(share.scalars[mine], coefficient), vectors, numbers, where, cells)
    return WindowedWeights(
        log_columns=log_columns,
        places=places,
        lowers=vectors,
        slot_places=slot_places,
        slot_numbers=slot_numbers,
        scalars=scalars,
        crowded=crowded,
        cells=cells,
    )


def _vectors(lowers: _Lowers) -> Words:
    if not lowers.vectors:
        return np.zeros((1, WINDOW_BLOCKS, DEGREE, LANES), dtype=np.uint32)
    return np.stack([blocked(vector) for vector in lowers.vectors])


class ColumnSums:
    """The sumcheck of sum f w while it binds columns, over windows' products and crowded windows' cells."""

    def __init__(self, weights: WindowedWeights, values: Words) -> None:
        self._of = weights
        columns, slots = 1 << weights.log_columns, weights.scalars.shape[1]
        self._parts: list[WeightedSum] = []
        if slots:
            products = _products(weights, values)
            self._parts.append(WeightedSum(products, weights.scalars.reshape(-1, DEGREE, LANES)))
        if len(weights.crowded):
            cells = values.reshape(columns, weights.places, WINDOW)[:, weights.crowded].reshape(-1)
            self._parts.append(WeightedSum(cells, weights.cells))

    def message(self) -> tuple[Extension, Extension]:
        """Value at 0 and leading coefficient of the round's polynomial."""
        found = [part.message() for part in self._parts]
        return f.sum_all([a for a, _ in found]), f.sum_all([b for _, b in found])

    def bind(self, challenge: Extension) -> None:
        """Fix the most significant variable."""
        for part in self._parts:
            part.bind(challenge)

    def rest(self) -> Words:
        """The weights over one column that are left when all columns are bound."""
        of, parts = self._of, list(self._parts)
        total = workspace.room((of.places * WINDOW_BLOCKS, DEGREE, LANES))
        total[:] = 0
        if of.scalars.shape[1]:
            of.fill_column(parts.pop(0).weights, total)
        if parts:
            windows = total.reshape(of.places, WINDOW_BLOCKS, DEGREE, LANES)
            windows[of.crowded] += parts[0].weights.reshape(-1, WINDOW_BLOCKS, DEGREE, LANES)
        return total


def _products(weights: WindowedWeights, values: Words) -> Words:
    """Each column's windows times the slots' vectors, laid out as the scalars."""
    columns, blocks = 1 << weights.log_columns, weights.scalars.shape[1]
    windows = np.full((columns, blocks * LANES), -1, dtype=np.int64)
    count = len(weights.slot_places)
    windows[:, :count] = np.arange(columns)[:, None] * weights.places + weights.slot_places
    numbers = np.zeros((columns, blocks * LANES), dtype=np.int64)
    numbers[:, :count] = weights.slot_numbers
    out = workspace.room((columns * blocks, DEGREE, LANES))
    flat, chosen = windows.reshape(-1), numbers.reshape(-1)
    split(
        len(out),
        lambda begin, end: dot_windows(values, flat, weights.lowers, chosen, out, begin, end),
        smallest=256,
    )
    return out
