"""The work of a verifier on forms, counted before it is done: what `pullback` and `layout` do with each functional."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

from .algebra import parts_below
from .functional import Dense, Eq, Factor, Ones, Placed, Sparse, Term
from .layout import Group, evaluation_parts
from .meter import (
    GAS_ENTRY,
    GAS_LEAF,
    GAS_POWER,
    GAS_PRODUCT,
    GAS_PUBLIC_CELL,
    GAS_STEP,
    GAS_WINDOW_ENTRY,
    Meter,
)
from .nodes import (
    Arange,
    Broadcast,
    Causal,
    Committed,
    Concat,
    Constant,
    Contract,
    Inside,
    Node,
    Powers,
    Product,
    Public,
    Reshape,
    Rows,
    Scale,
    Shape,
    Slice,
    Sum,
    Window,
)
from .pullback import joined_runs, kept_short


class FormMeter(Meter):
    """A meter that knows what a functional costs."""

    def __init__(self, limit: int | None = None) -> None:
        super().__init__(limit)
        self._indices: set[int] = set()

    def step(self, node: Node, term: Term) -> None:
        """One functional taken from the stack of a pull-back."""
        self.charge(GAS_STEP)
        if isinstance(node, Committed | Constant):
            # Functionals of leaves are told apart by their entries.
            self.charge(GAS_LEAF)
            self._entries([factor for factor in term.factors if isinstance(factor, Dense | Sparse)])
        elif isinstance(node, Product):
            self.charge(GAS_PRODUCT)
        elif isinstance(node, Public | Inside):
            self._entries(term.factors)
            self.vector(node.size, GAS_PUBLIC_CELL)
        elif isinstance(node, Arange):
            self._entries([factor for factor in term.factors if not isinstance(factor, Eq)])
        elif isinstance(node, Sum):
            if any(node.constant):
                self._entries([factor for factor in term.factors if not _sums_in_short(factor)])
        elif isinstance(node, Concat):
            self._concat(node, term)
        else:
            self._move(node, term)

    def evaluation(self, term: Term, extents: Shape, groups: Sequence[Group]) -> None:
        """The multilinear extension of a functional of a box at a point."""
        for members, factors in evaluation_parts(term, extents, groups):
            if factors is None:
                self.vector(prod(extents[axis] for group in members for axis in group.axes))
            else:
                for factor in factors:
                    self._at(factor, members[0].bits)

    def restriction(self, term: Term, axis: int, start: int, length: int, extent: int) -> None:
        """A functional on a range of one axis."""
        if (start, length) == (0, extent):
            return
        for factor in term.touching([axis]):
            alone = factor.axes == (axis,)
            if alone and isinstance(factor, Eq | Ones):
                continue
            inside = isinstance(factor, Placed) and start <= factor.start and factor.end <= start + length
            outside = isinstance(factor, Placed) and (factor.end <= start or factor.start >= start + length)
            if inside or outside:
                continue
            if isinstance(factor, Sparse) and alone:
                self.vector(len(factor.indices))
                continue
            self._entries([factor])
            self.vector(factor.count // extent * length)

    def _entries(self, factors: Sequence[Factor]) -> None:
        """Factors whose entries are needed one by one."""
        for factor in factors:
            self.vector(factor.start + factor.count if isinstance(factor, Eq) else factor.count)

    def _at(self, factor: Factor, bits: int) -> None:
        if isinstance(factor, Ones) or (isinstance(factor, Eq) and not factor.start):
            return
        if isinstance(factor, Placed):
            inner = (factor.inner.count - 1).bit_length()
            if not factor.start & ((1 << inner) - 1):
                self._at(factor.inner, inner)
                return
        if isinstance(factor, Sparse) and len(factor.indices) * bits <= 2 * factor.count:
            self.vector(len(factor.indices) * bits)
            return
        self._entries([factor])
        self.vector(1 << bits)

    def _concat(self, node: Concat, term: Term) -> None:
        start = 0
        for part in node.parts:
            length = part.shape[node.axis]
            self.restriction(term, node.axis, start, length, node.shape[node.axis])
            start += length

    def _move(self, node: Node, term: Term) -> None:
        if isinstance(node, Reshape):
            for touched, new, old in joined_runs(term, node.shape, node.source.shape):
                if kept_short(touched, new, old, node.shape, node.source.shape) is None:
                    self.vector(prod(node.shape[axis] for axis in new), 2 * GAS_ENTRY)
        elif isinstance(node, Slice):
            count, full = node.shape[node.axis], node.source.shape[node.axis]
            if count != full:
                self._entries(term.touching([node.axis]))
                self.vector(_joint(term.touching([node.axis])) // count * full)
        elif isinstance(node, Broadcast):
            repeated = [i for i, n in enumerate(node.source.shape) if n != node.shape[i]]
            self._entries([f for f in term.touching(repeated) if len(f.axes) > 1 or not _sums_in_short(f)])
        elif isinstance(node, Powers):
            self.charge(GAS_POWER * node.source.shape[node.axis])
        elif isinstance(node, Contract):
            self.vector(len(node.weights or ()))
        elif isinstance(node, Scale):
            self.vector(_joint(term.touching([node.axis])), 2 * GAS_ENTRY)
        elif isinstance(node, Causal):
            rank = len(node.shape)
            self.vector(_joint(term.touching([rank - 2, rank - 1])), 2 * GAS_ENTRY)
        elif isinstance(node, Rows):
            self._rows(node, term)
        elif isinstance(node, Window):
            self._window(node, term)

    def _rows(self, node: Rows, term: Term) -> None:
        rank = len(node.indices.shape)
        cells = _joint(term.touching(range(rank)))
        self.vector(cells)
        tail = cells // node.indices.size
        self.vector(node.source.shape[0] * tail if tail > 1 else node.indices.size)
        for part in parts_below(node.indices):
            # The indices are computed in full, once.
            if id(part) not in self._indices:
                self._indices.add(id(part))
                self.vector(part.size)

    def _window(self, node: Window, term: Term) -> None:
        axis, full = node.axis, node.source.shape[node.axis]
        touched = term.touching([axis, axis + 1])
        self._entries(touched)
        pairs = _joint(touched)
        self.charge(GAS_WINDOW_ENTRY * pairs)
        self.vector(pairs // (node.shape[axis] * node.shape[axis + 1]) * full)


def _sums_in_short(factor: Factor) -> bool:
    """Whether its entries add up by a formula."""
    return isinstance(factor, Eq | Ones) or (isinstance(factor, Placed) and _sums_in_short(factor.inner))


def _joint(factors: Sequence[Factor]) -> int:
    return prod(factor.count for factor in factors)
