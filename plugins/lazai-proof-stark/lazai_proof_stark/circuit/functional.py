"""Separable functionals: a coefficient times a tensor product of vectors over the axes of a tensor.

A `Term` on a tensor of shape s is the linear functional t -> coefficient * sum over cells of t[cell] * product of the
factors' entries there. Every axis of extent above 1 is covered by exactly one factor, axes of extent 1 by none. A
factor may cover several axes jointly; its index is then row-major in the order of its `axes`. Nothing here reads cells
beyond the true extents, so padding cells have weight zero in every functional.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from math import prod

import numpy as np
from attrs import evolve, field, frozen

from .. import scalars as base_field
from ..field import ONE, ZERO, Extension
from ..kernels.canonical import index_sum_entries
from . import karray
from .karray import IntArray, KArray
from .nodes import Shape

KEPT_ENTRIES_MAX = 1 << 13
"""Vectors of eq up to this length are kept for a while, since functionals share them: 10 MiB at most."""


@frozen(kw_only=True, eq=False)
class Factor:
    """A vector over K along some axes. The subclasses say how it is given, so that a verifier may use that."""

    axes: tuple[int, ...]
    extents: tuple[int, ...]

    @property
    def count(self) -> int:
        """Number of entries."""
        return prod(self.extents)

    def dense(self) -> KArray:
        """All entries, shape `[count, 5]`."""
        raise NotImplementedError

    def at(self, point: Sequence[Extension]) -> Extension:
        """Its multilinear extension, padded with zeros to 2^len(point) entries."""
        return karray.evaluate(self.dense(), point)

    def sum(self) -> Extension:
        """Sum of the entries."""
        return karray.element(karray.total(self.dense(), (0,)))

    def index_sum(self) -> Extension:
        """Sum of index * entry."""
        return karray.element(karray.weighted(np.arange(self.count), self.dense()))


@frozen(kw_only=True, eq=False)
class Eq(Factor):
    """eq(point, start + index) for `count` indices."""

    point: tuple[Extension, ...] = field(repr=False)
    start: int = 0

    def dense(self) -> KArray:
        """All entries, shape `[count, 5]`."""
        end = self.start + self.count
        if end > KEPT_ENTRIES_MAX:
            return karray.eq_vector(self.point, end)[self.start :]
        return _eq_entries(self.point, self.start, end)

    def at(self, point: Sequence[Extension]) -> Extension:
        """The multilinear extension, in short where there is a closed form."""
        if self.start:
            return super().at(point)
        width = max(len(self.point), len(point))
        zeros = [ZERO] * width
        mine = [*self.point, *zeros][:width]
        theirs = [*point, *zeros][:width]
        return _truncated(tuple(mine), tuple(theirs), self.count)

    def sum(self) -> Extension:
        """Sum of the entries."""
        end = _truncated(self.point, None, self.start + self.count)
        return base_field.subtract(end, _truncated(self.point, None, self.start)) if self.start else end

    def index_sum(self) -> Extension:
        """Sum of index * entry."""
        end, offset = _index_sum(self.point, self.start + self.count), base_field.scale(self.sum(), self.start)
        begin = _index_sum(self.point, self.start) if self.start else ZERO
        return base_field.subtract(base_field.subtract(end, begin), offset)


@lru_cache(maxsize=32)
def _eq_entries(point: tuple[Extension, ...], start: int, end: int) -> KArray:
    entries = karray.eq_vector(point, end)[start:]
    entries.setflags(write=False)
    return entries


@frozen(kw_only=True, eq=False)
class Ones(Factor):
    """All entries 1."""

    def dense(self) -> KArray:
        """All entries, shape `[count, 5]`."""
        return karray.lift(np.ones(self.count, dtype=np.int64))

    def at(self, point: Sequence[Extension]) -> Extension:
        """The multilinear extension, in short where there is a closed form."""
        return _truncated(tuple(point), None, self.count)

    def sum(self) -> Extension:
        """Sum of the entries."""
        return base_field.lift(self.count)


@frozen(kw_only=True, eq=False)
class Dense(Factor):
    """Entries in full, `[count, 5]`."""

    values: KArray = field(repr=False)

    def dense(self) -> KArray:
        """All entries, shape `[count, 5]`."""
        return self.values


@frozen(kw_only=True, eq=False)
class Sparse(Factor):
    """A few entries: `weights[i]` is added at `indices[i]`."""

    indices: IntArray = field(repr=False)
    weights: KArray = field(repr=False)

    def dense(self) -> KArray:
        """All entries, shape `[count, 5]`."""
        values = np.zeros((self.count, base_field.DEGREE), dtype=np.int64)
        np.add.at(values, self.indices, self.weights)
        return values % base_field.P

    def at(self, point: Sequence[Extension]) -> Extension:
        """The multilinear extension, in short where there is a closed form."""
        if len(self.indices) * len(point) > 2 * self.count:
            return super().at(point)
        total = np.array(self.weights, dtype=np.int64)
        for bit, coordinate in enumerate(point):
            one = karray.scalar(coordinate)
            choices = np.stack([karray.subtract(karray.scalar(ONE), one), one])
            total = karray.multiply(total, choices[(self.indices >> bit) & 1])
        return karray.element(karray.total(total, (0,)))

    def sum(self) -> Extension:
        """Sum of the entries."""
        return karray.element(karray.total(self.weights, (0,)))


@frozen(kw_only=True, eq=False)
class Placed(Factor):
    """A vector along one axis, at the indices from `start` on; zero before and behind."""

    inner: Factor = field(repr=False)
    start: int

    @property
    def end(self) -> int:
        """The first index behind it."""
        return self.start + self.inner.count

    def dense(self) -> KArray:
        """All entries, shape `[count, 5]`."""
        values = np.zeros((self.count, base_field.DEGREE), dtype=np.int64)
        values[self.start : self.end] = self.inner.dense()
        return values

    def at(self, point: Sequence[Extension]) -> Extension:
        """The multilinear extension, in short where the vector lies at a multiple of its padded length."""
        bits = (self.inner.count - 1).bit_length()
        if self.start & ((1 << bits) - 1):
            return super().at(point)
        sides = [z if self.start >> bits >> i & 1 else base_field.subtract(ONE, z) for i, z in enumerate(point[bits:])]
        return base_field.multiply_all([self.inner.at(point[:bits]), *sides])

    def sum(self) -> Extension:
        """Sum of the entries."""
        return self.inner.sum()


@frozen(kw_only=True, eq=False)
class Term:
    """coefficient * product of factors."""

    coefficient: Extension
    factors: tuple[Factor, ...]

    def scaled(self, factor: Extension) -> Term:
        """The term times an element of K."""
        return Term(coefficient=base_field.multiply(self.coefficient, factor), factors=self.factors)

    def sum(self) -> Extension:
        """Its value on the tensor of ones."""
        return base_field.multiply_all([self.coefficient, *(factor.sum() for factor in self.factors)])

    def touching(self, axes: Sequence[int]) -> tuple[Factor, ...]:
        """The factors that cover any of `axes`."""
        return tuple(factor for factor in self.factors if any(axis in factor.axes for axis in axes))

    def without(self, gone: Sequence[Factor]) -> tuple[Factor, ...]:
        """The other factors."""
        return tuple(factor for factor in self.factors if all(factor is not other for other in gone))

    def expand(self, shape: Shape) -> KArray:
        """All weights, shape `[*shape, 5]`."""
        axes = [axis for axis, extent in enumerate(shape) if extent > 1]
        values = outer(self.factors, axes) if axes else karray.scalar(ONE)[None]
        return karray.multiply(values, karray.scalar(self.coefficient)).reshape(*shape, base_field.DEGREE)

    def apply(self, values: IntArray) -> Extension:
        """The functional's value on integers of |.| < 2^62: the longest factor's axes are folded away first."""
        if not self.factors:
            return base_field.scale(self.coefficient, int(values.reshape(-1)[0]) % base_field.P)
        first, *others = sorted(self.factors, key=lambda factor: -factor.count)
        kept = [axis for factor in others for axis in factor.axes]
        narrow = [axis for axis, extent in enumerate(values.shape) if extent == 1]
        rows = np.transpose(values, [*narrow, *kept, *first.axes]).reshape(-1, first.count)
        folded = karray.contracted(rows, first.dense())
        rest = outer(others, kept).reshape(-1, base_field.DEGREE)
        return base_field.multiply(self.coefficient, karray.element(karray.dot(folded, rest)))


def relabel(factor: Factor, axes: Sequence[int]) -> Factor:
    """The same vector along other axes."""
    names, extents = tuple(axes), factor.extents
    if names == factor.axes:
        return factor
    # `evolve` costs several times as much, and a verifier relabels often.
    if isinstance(factor, Eq):
        return Eq(axes=names, extents=extents, point=factor.point, start=factor.start)
    if isinstance(factor, Dense):
        return Dense(axes=names, extents=extents, values=factor.values)
    return evolve(factor, axes=names)


def outer(factors: Sequence[Factor], axes: Sequence[int]) -> KArray:
    """The tensor product, shape `[extents of axes ..., 5]`; `axes` are all axes that the factors cover."""
    order: list[int] = []
    values = karray.scalar(ONE)
    for factor in factors:
        part = factor.dense().reshape(*factor.extents, base_field.DEGREE)
        left = values.reshape(*values.shape[:-1], *([1] * len(factor.extents)), base_field.DEGREE)
        values = karray.multiply(left, part)
        order += factor.axes
    assert sorted(order) == sorted(axes), (order, axes)
    return np.transpose(values, [*(order.index(axis) for axis in axes), len(axes)])


def merged(factors: Sequence[Factor], axes: Sequence[int], extents: Sequence[int]) -> KArray:
    """`outer` over the axes of extent above 1, with those of extent 1 put back."""
    wide = [axis for axis, extent in zip(axes, extents, strict=True) if extent > 1]
    return outer(factors, wide).reshape(*extents, base_field.DEGREE)


def dense_factor(values: KArray, axes: Sequence[int]) -> tuple[Factor, ...]:
    """A factor of `values` `[extents..., 5]`, axes of extent 1 dropped; no factor where all are 1 (use `element`)."""
    extents = values.shape[:-1]
    kept = [(axis, extent) for axis, extent in zip(axes, extents, strict=True) if extent > 1]
    assert kept
    return (
        Dense(
            axes=tuple(axis for axis, _ in kept),
            extents=tuple(extent for _, extent in kept),
            values=values.reshape(-1, base_field.DEGREE),
        ),
    )


def put(term_factors: tuple[Factor, ...], coefficient: Extension, values: KArray, axes: Sequence[int]) -> Term:
    """A term with one more joint factor; a single entry joins the coefficient."""
    if prod(values.shape[:-1]) == 1:
        value = karray.element(values.reshape(base_field.DEGREE))
        return Term(coefficient=base_field.multiply(coefficient, value), factors=term_factors)
    return Term(coefficient=coefficient, factors=(*term_factors, *dense_factor(values, axes)))


def _index_sum(point: Sequence[Extension], count: int) -> Extension:
    """Sum over i < count of i * eq(point, i), in O(bits)."""
    return karray.element(index_sum_entries(karray.point_array(point), count))


@lru_cache(maxsize=1 << 15)
def _truncated(first: tuple[Extension, ...], second: tuple[Extension, ...] | None, count: int) -> Extension:
    """Sum over i < count of eq(first, i) * eq(second, i) (the second factor 1 where it is None), in O(bits)."""
    one = ONE
    full, below = one, ZERO
    # `full` sums over all i of the bits so far, `below` over those under the same bits of `count`.
    for bit, z in enumerate(first):
        high = z if second is None else base_field.multiply(z, second[bit])
        low = base_field.subtract(one, z)
        if second is not None:
            low = base_field.multiply(low, base_field.subtract(one, second[bit]))
        if count >> bit & 1:
            below = base_field.add(base_field.multiply(low, full), base_field.multiply(high, below))
        else:
            below = base_field.multiply(low, below)
        full = base_field.multiply(full, base_field.add(low, high))
    return full if count == 1 << len(first) else below
