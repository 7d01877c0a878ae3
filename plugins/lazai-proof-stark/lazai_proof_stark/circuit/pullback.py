"""Functionals of forms turned into functionals of leaves: the transpose of the maps of `nodes`.

Prover and verifier call the same function, `pull_back`. The value of a functional on a node is

    value + sum over leaves <leaf, term> + sum over products <product, term>

and each product's share is a sum over the letters both operands have, which a sumcheck reduces to one value of each
operand; `ProductTerm.left_term` and `right_term` are those values as functionals, to be pulled back in turn.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from attrs import field, frozen

from .. import scalars as base_field
from ..field import DEGREE, ONE, ZERO, Extension, P
from . import karray
from .algebra import runs as axis_runs
from .functional import Dense, Eq, Factor, Ones, Placed, Sparse, Term, merged, put, relabel
from .layout import bits_of, restrict, split_eq
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
    Polynomial,
    Powers,
    Product,
    Public,
    Reshape,
    Rows,
    Scale,
    Shape,
    Slice,
    Sum,
    Transpose,
    Window,
)
from .product_terms import ProductTerm, product_term

if TYPE_CHECKING:
    from .witness import Values

Leaf = Committed | Constant | Public


@frozen(kw_only=True, eq=False)
class Context:
    """What a pull-back needs besides the circuit: the challenge chi and the public tensors' values."""

    chi: Extension
    values: Values = field(repr=False)
    count: Callable[[Node, Term], None] | None = field(default=None, repr=False)
    """Called before each step by whoever counts the work; what is public is then not evaluated."""


class Pulled:
    """The outcome: a value in K, functionals of leaves and of products. Public leaves are already in the value."""

    def __init__(self) -> None:
        self.value: Extension = ZERO
        self.leaves: list[tuple[Committed | Constant, Term]] = []
        self.products: list[tuple[Product, Term]] = []

        self._sums: dict[int, tuple[tuple[Factor, ...], Extension]] = {}

    def sum(self, term: Term) -> Extension:
        """The term's value on the tensor of ones; terms that share their factors cost one multiplication each."""
        # By identity: the entry keeps the factors alive while their name is in use.
        known = self._sums.get(id(term.factors))
        if known is None:
            known = (term.factors, Term(coefficient=ONE, factors=term.factors).sum())
            self._sums[id(term.factors)] = known
        return base_field.multiply(known[1], term.coefficient)

    def add_value(self, value: Extension) -> None:
        """Add to the public part."""
        self.value = base_field.add(self.value, value)


def pull_back(node: Node, term: Term, context: Context, into: Pulled | None = None) -> Pulled:
    """The functional `term` of `node` in terms of leaves and products, added to `into`."""
    into = into or Pulled()
    stack = [(node, term)]
    while stack:
        node, term = stack.pop()
        if context.count is not None:
            context.count(node, term)
        if isinstance(node, Committed | Constant):
            into.leaves.append((node, term))
        elif isinstance(node, Product):
            into.products.append((node, term))
        elif isinstance(node, Arange):
            (index_sum,) = [f.index_sum() for f in term.factors] or [ZERO]
            into.add_value(base_field.multiply(term.coefficient, index_sum))
            into.add_value(base_field.scale(into.sum(term), node.start))
        elif isinstance(node, Public | Inside):
            if context.count is None:
                into.add_value(term.apply(context.values.array(node)))
        elif isinstance(node, Sum):
            if any(node.constant):
                into.add_value(base_field.multiply(at_chi(node.constant, context.chi), into.sum(term)))
            stack += [(part, term if c == (1,) else term.scaled(at_chi(c, context.chi))) for c, part in node.parts]
        elif isinstance(node, Concat):
            stack += _concat(node, term)
        else:
            source, moved = _moved(node, term, context)
            stack.append((source, moved))
    return into


def at_chi(polynomial: Polynomial, chi: Extension) -> Extension:
    """A polynomial at the challenge."""
    if len(polynomial) == 1:
        return base_field.lift(polynomial[0])
    result = ZERO
    for coefficient in reversed(polynomial):
        result = base_field.add(base_field.multiply(result, chi), base_field.lift(coefficient))
    return result


def _moved(node: Node, term: Term, context: Context) -> tuple[Node, Term]:
    if isinstance(node, Reshape):
        return node.source, _reshape(term, node.shape, node.source.shape)
    if isinstance(node, Transpose):
        moved = [relabel(factor, [node.permutation[axis] for axis in factor.axes]) for factor in term.factors]
        return node.source, Term(coefficient=term.coefficient, factors=tuple(moved))
    if isinstance(node, Slice):
        return node.source, _slice(node, term)
    if isinstance(node, Broadcast):
        return node.source, _broadcast(node, term)
    if isinstance(node, Contract):
        weights = None if node.weights is None else karray.lift(np.array(node.weights, dtype=np.int64))
        return node.source, _insert(term, node.axis, node.source.shape[node.axis], weights)
    if isinstance(node, Powers):
        count = node.source.shape[node.axis]
        return node.source, _insert(term, node.axis, count, karray.powers(context.chi, count))
    if isinstance(node, Scale):
        return node.source, _weigh(node, term)
    if isinstance(node, Window):
        return node.source, _window(node, term)
    if isinstance(node, Causal):
        return node.source, _causal(node, term)
    if isinstance(node, Rows):
        return node.source, _rows(node, term, context.values.array(node.indices))
    raise AssertionError(f"{type(node).__name__} has no transpose")


def _shifted(factors: Sequence[Factor], axis: int, by: int) -> tuple[Factor, ...]:
    """Axes from `axis` on renumbered."""
    return tuple(relabel(f, [a + by if a >= axis else a for a in f.axes]) for f in factors)


def _insert(term: Term, axis: int, count: int, weights: karray.KArray | None) -> Term:
    factors = _shifted(term.factors, axis, 1)
    if weights is None and count > 1:
        return Term(coefficient=term.coefficient, factors=(*factors, Ones(axes=(axis,), extents=(count,))))
    if weights is None:
        return Term(coefficient=term.coefficient, factors=factors)
    return put(factors, term.coefficient, weights, (axis,))


def _concat(node: Concat, term: Term) -> list[tuple[Node, Term]]:
    start, result = 0, []
    for part in node.parts:
        length = part.shape[node.axis]
        result.append((part, restrict(term, node.axis, start, length, node.shape[node.axis])))
        start += length
    return result


def _joined(term: Term, axes: Sequence[int]) -> tuple[tuple[Factor, ...], karray.KArray, list[int]]:
    """The factors that do not touch `axes`, the product of those that do, and its axes (of extent above 1)."""
    touched = term.touching(axes)
    wide = sorted(axis for factor in touched for axis in factor.axes)
    extents = {axis: n for factor in touched for axis, n in zip(factor.axes, factor.extents, strict=True)}
    return term.without(touched), merged(touched, wide, [extents[axis] for axis in wide]), wide


def _slice(node: Slice, term: Term) -> Term:
    count, full = node.shape[node.axis], node.source.shape[node.axis]
    return _embed(term, node.axis, node.start + node.step * np.arange(count), full) if count != full else term


def _embed(term: Term, axis: int, positions: karray.IntArray, full: int) -> Term:
    """Entries of one axis put at `positions` of an axis of extent `full`, zeros elsewhere."""
    touched = term.touching([axis])
    if not touched:
        one = Sparse(axes=(axis,), extents=(full,), indices=positions, weights=karray.scalar(ONE)[None])
        return Term(coefficient=term.coefficient, factors=(*term.factors, one))
    rest = term.without(touched)
    (factor,) = touched
    values = factor.dense().reshape(*factor.extents, DEGREE)
    place = factor.axes.index(axis)
    whole = np.zeros((*values.shape[:place], full, *values.shape[place + 1 :]), dtype=np.int64)
    index: list[Any] = [slice(None)] * values.ndim
    index[place] = positions
    whole[tuple(index)] = values
    return put(rest, term.coefficient, whole, factor.axes)


def _broadcast(node: Broadcast, term: Term) -> Term:
    for axis, (wide, narrow) in enumerate(zip(node.shape, node.source.shape, strict=True)):
        if wide == narrow:
            continue
        (factor,) = term.touching([axis])
        rest = term.without([factor])
        if factor.axes == (axis,):
            term = Term(coefficient=base_field.multiply(term.coefficient, factor.sum()), factors=rest)
            continue
        place = factor.axes.index(axis)
        values = karray.total(factor.dense().reshape(*factor.extents, DEGREE), (place,))
        term = put(rest, term.coefficient, values, [a for a in factor.axes if a != axis])
    return term


def _weigh(node: Scale, term: Term) -> Term:
    (factor,) = term.touching([node.axis])
    rest = term.without([factor])
    values = factor.dense().reshape(*factor.extents, DEGREE)
    place = factor.axes.index(node.axis)
    weights = np.array(node.weights, dtype=np.int64).reshape([-1 if i == place else 1 for i in range(values.ndim - 1)])
    return put(rest, term.coefficient, karray.scale(values, weights), factor.axes)


def _causal(node: Causal, term: Term) -> Term:
    rank = len(node.shape)
    queries, keys = node.shape[-2:]
    rest, values, axes = _joined(term, [rank - 2, rank - 1])
    visible = np.arange(keys) <= np.arange(queries)[:, None] + (keys - queries)
    shape = [node.shape[axis] if axis >= rank - 2 else 1 for axis in axes]
    return put(rest, term.coefficient, karray.scale(values, visible.astype(np.int64).reshape(shape)), axes)


def _rows(node: Rows, term: Term, indices: karray.IntArray) -> Term:
    rank, shift = len(node.indices.shape), 1 - len(node.indices.shape)
    rest, values, axes = _joined(term, range(rank))
    tail = [axis for axis in axes if axis >= rank]
    extents = [node.shape[axis] for axis in tail]
    others = _shifted(rest, rank, shift)
    count = node.source.shape[0]
    flat = values.reshape(indices.size, *extents, DEGREE)
    if count == 1:
        return put(others, term.coefficient, karray.total(flat, (0,)), [axis + shift for axis in tail])
    if not tail:
        found = Sparse(axes=(0,), extents=(count,), indices=indices.reshape(-1).astype(np.int64), weights=flat)
        return Term(coefficient=term.coefficient, factors=(*others, found))
    spread = np.zeros((count, *extents, DEGREE), dtype=np.int64)
    np.add.at(spread, indices.reshape(-1), flat)
    spread %= P
    return put(others, term.coefficient, spread, [0, *(axis + shift for axis in tail)])


def _window(node: Window, term: Term) -> Term:
    axis, full = node.axis, node.source.shape[node.axis]
    kernel, out = node.shape[axis : axis + 2]
    touched = term.touching([axis, axis + 1])
    across = [factor for factor in touched if axis in factor.axes]
    if any(axis + 1 in factor.axes for factor in across):
        # One factor for both: its vector exists already, and takes the kernel's place with a single output.
        (joint,) = across
        others = sorted(a for a in joint.axes if a not in (axis, axis + 1))
        values = merged([joint], [*others, axis, axis + 1], [*(node.shape[a] for a in others), kernel, out])
        spread = _spread_joint(values.reshape(-1, kernel, out, DEGREE), node)
    else:
        # Kernel and output apart: their product is added up at the source's places, never formed.
        along = [factor for factor in touched if axis + 1 in factor.axes]
        first = sorted(a for factor in across for a in factor.axes if a != axis)
        second = sorted(a for factor in along for a in factor.axes if a != axis + 1)
        kernels = merged(across, [*first, axis], [*(node.shape[a] for a in first), kernel])
        outs = merged(along, [*second, axis + 1], [*(node.shape[a] for a in second), out])
        outs = outs.reshape(-1, out, DEGREE)
        rows = kernels.reshape(-1, kernel, DEGREE)
        spread = np.empty((len(rows), len(outs), full, DEGREE), dtype=np.int64)
        for place, row in enumerate(rows):
            spread[place] = karray.spread_window(row, outs, node.stride, node.dilation, node.pad, full)
        others = [*first, *second]
    order = sorted(range(len(others)), key=others.__getitem__)
    spread = spread.reshape(*(node.shape[a] for a in others), full, DEGREE)
    spread = np.transpose(spread, [*order, len(others), len(others) + 1])
    moved = [others[i] - 1 if others[i] > axis else others[i] for i in order]
    return put(_shifted(term.without(touched), axis + 1, -1), term.coefficient, spread, [*moved, axis])


def _spread_joint(values: karray.KArray, node: Window) -> karray.KArray:
    """Joint weights `[m, kernel, out, 5]` added up at the source's places: `[m, full, 5]`."""
    full, out = node.source.shape[node.axis], values.shape[2]
    spread = np.zeros((len(values), full, DEGREE), dtype=np.int64)
    for i in range(values.shape[1]):
        places = np.arange(out) * node.stride + i * node.dilation - node.pad
        valid = (places >= 0) & (places < full)
        # Within one i the places differ, so plain indexing adds each entry once.
        spread[:, places[valid], :] += values[:, i, valid, :]
    spread %= P
    return spread


Run = tuple[list[Factor], list[int], list[int]]
"""Factors of a reshape's result, the axes they cover, and the source's axes of the same elements."""


def joined_runs(term: Term, shape: Shape, source: Shape) -> Iterator[Run]:
    """The runs of a reshape; a joint factor over several runs joins them."""
    runs = axis_runs(shape, source)
    while runs:
        new, old = runs.pop(0)
        touched = [f for f in term.factors if set(f.axes) & set(new)]
        more = [run for run in runs if any(set(f.axes) & set(run[0]) for f in touched)]
        while more:
            runs = [run for run in runs if run not in more]
            new = sorted([*new, *(axis for run in more for axis in run[0])])
            old = sorted([*old, *(axis for run in more for axis in run[1])])
            touched = [f for f in term.factors if set(f.axes) & set(new)]
            more = [run for run in runs if any(set(f.axes) & set(run[0]) for f in touched)]
        yield touched, new, old


def _reshape(term: Term, shape: Shape, source: Shape) -> Term:
    result: list[Factor] = []
    for touched, new, old in joined_runs(term, shape, source):
        short = kept_short(touched, new, old, shape, source)
        if short is None:
            values = merged(touched, new, [shape[axis] for axis in new])
            extents = tuple(source[axis] for axis in old)
            short = [Dense(axes=tuple(old), extents=extents, values=values.reshape(-1, DEGREE))]
        result += short
    return Term(coefficient=term.coefficient, factors=tuple(result))


def kept_short(
    touched: list[Factor], new: list[int], old: list[int], shape: Shape, source: Shape
) -> list[Factor] | None:
    """The factors of one run over the source's axes where no entries have to be formed, else None."""
    extents = tuple(source[axis] for axis in old)
    if len(touched) == 1 and touched[0].axes == tuple(new):
        moved = relabel(touched[0], old)
        if isinstance(moved, Placed) and len(old) == 1:
            return [moved]
        if isinstance(moved, Eq) and len(old) == 1:
            # Its axes may have been several, whose joint index is that of the one.
            return [Eq(axes=tuple(old), extents=extents, point=moved.point, start=moved.start)]
        if isinstance(moved, Eq) and moved.start == 0:
            return split_eq(Eq(axes=tuple(old), extents=extents, point=moved.point))
        if isinstance(moved, Ones):
            return [Ones(axes=(axis,), extents=(source[axis],)) for axis in old]
        if isinstance(moved, Dense):
            return [Dense(axes=tuple(old), extents=extents, values=moved.values)]
        if isinstance(moved, Sparse):
            return [Sparse(axes=tuple(old), extents=extents, indices=moved.indices, weights=moved.weights)]
        return None
    joined = _joined_eq(touched, new, shape)
    if joined is not None and len(old) == 1:
        return [Eq(axes=tuple(old), extents=extents, point=joined)]
    return None


def _joined_eq(touched: list[Factor], new: list[int], shape: Shape) -> tuple[Extension, ...] | None:
    """Eq factors of the axes `new` as one eq of their flattened index; None where that is not an eq."""
    point: tuple[Extension, ...] = ()
    for position, axis in enumerate(reversed(new)):
        found = [f for f in touched if f.axes == (axis,)]
        if len(found) != 1 or not isinstance(found[0], Eq) or found[0].start:
            return None
        bits = bits_of(shape[axis])
        if position < len(new) - 1 and shape[axis] != 1 << bits:
            return None
        point = (*point, *found[0].point[:bits]) if len(found[0].point) == bits else ()
        if not point:
            return None
    return point


def spread(term: Term, shape: Shape, ranges: Sequence[tuple[int, int]]) -> Term:
    """A functional of a box as one of the whole tensor."""
    for axis, (start, length) in enumerate(ranges):
        if length == shape[axis]:
            continue
        touched = term.touching([axis])
        if len(touched) == 1 and touched[0].axes == (axis,):
            placed = Placed(axes=(axis,), extents=(shape[axis],), inner=touched[0], start=start)
            term = Term(coefficient=term.coefficient, factors=(*term.without(touched), placed))
        else:
            term = _embed(term, axis, start + np.arange(length), shape[axis])
    return term


__all__ = [
    "Context",
    "ProductTerm",
    "Pulled",
    "at_chi",
    "joined_runs",
    "kept_short",
    "product_term",
    "pull_back",
    "spread",
]
