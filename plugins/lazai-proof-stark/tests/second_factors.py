"""Functionals with their scalars, pulled back through bilinear forms to products (PROTOCOL.md, section 14.5)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from math import prod
from typing import Any

import numpy as np
from second_dense import Linear
from second_field import ONE, ZERO, Array, eq_table, log2_up, polynomial, product, scaled, times, total
from second_forms import Form, Shape, runs

from lazai_core.testing.field_reference import P


@dataclass(eq=False, kw_only=True, frozen=True)
class Factor:
    """`values` row-major over `axes`; `point` and `start` of an eq, `inner` and `start` of a placed one."""

    axes: tuple[int, ...]
    values: Array
    kind: str = "plain"
    point: Array | None = None
    start: int = 0
    inner: Factor | None = None


def equal(axes: Sequence[int], extent: int, point: Array, start: int = 0) -> Factor:
    values = eq_table(point)[start : start + extent]
    return Factor(axes=tuple(axes), values=values, kind="eq", point=point, start=start)


def all_ones(axis: int, extent: int) -> Factor:
    return Factor(axes=(axis,), values=np.tile(ONE, (extent, 1)), kind="ones")


def unit(axis: int, extent: int, index: int) -> Factor:
    values = np.zeros((extent, 5), dtype=np.int64)
    values[index] = ONE
    return Factor(axes=(axis,), values=values)


def placed(axis: int, extent: int, start: int, inner: Factor) -> Factor:
    values = np.zeros((extent, 5), dtype=np.int64)
    values[start : start + len(inner.values)] = inner.values
    return Factor(axes=(axis,), values=values, kind="placed", start=start, inner=replace(inner, axes=(axis,)))


def split(axes: Sequence[int], extents: Sequence[int], point: Array) -> list[Factor]:
    """eq(point, 0) over axes of extent above 1, the last ones of a power of two taken away."""
    axes, factors = list(axes), []
    while len(axes) > 1 and extents[axes[-1]] == 1 << log2_up(extents[axes[-1]]):
        axis = axes.pop()
        bits = log2_up(extents[axis])
        factors.append(equal([axis], extents[axis], point[:bits]))
        point = point[bits:]
    return [*factors, equal(axes, prod(extents[axis] for axis in axes), point)]


@dataclass(eq=False, kw_only=True)
class Functional:
    coefficient: Array
    factors: list[Factor]
    shape: Shape

    def joint(self, axes: Sequence[int]) -> tuple[list[Factor], list[int], Array]:
        """Other factors; the axes that those touching `axes` cover, and `axes`, ascending; the tensor over them."""
        touching = [factor for factor in self.factors if set(factor.axes) & set(axes)]
        covered = sorted({*axes, *(axis for factor in touching for axis in factor.axes)})
        tensor = ONE.reshape(*(1,) * len(covered), 5)
        for factor in touching:
            cells = factor.values.reshape(*(self.shape[axis] for axis in factor.axes), 5)
            order = [factor.axes.index(axis) for axis in sorted(factor.axes)]
            cells = cells.transpose(*order, len(order))
            cells = cells.reshape(*(self.shape[a] if a in factor.axes else 1 for a in covered), 5)
            tensor = times(tensor, cells)
        return [factor for factor in self.factors if factor not in touching], covered, tensor

    def put(self, shape: Shape, others: list[Factor], axes: Sequence[int], tensor: Array) -> Functional:
        """The functional with one more plain factor; one of a single entry goes into the coefficient."""
        kept = tuple(axis for axis in axes if shape[axis] > 1)
        values = np.ascontiguousarray(tensor).reshape(-1, 5)
        if not kept:
            return Functional(coefficient=times(self.coefficient, values[0]), factors=others, shape=shape)
        return Functional(
            coefficient=self.coefficient, factors=[*others, Factor(axes=kept, values=values)], shape=shape
        )

    def only(self, axis: int) -> Factor | None:
        """The factor that covers this axis alone."""
        return next((factor for factor in self.factors if factor.axes == (axis,)), None)

    def renamed(self, shape: Shape, names: Callable[[int], int]) -> Functional:
        def rename(factor: Factor) -> Factor:
            return replace(factor, axes=tuple(names(axis) for axis in factor.axes))

        return Functional(coefficient=self.coefficient, factors=[rename(f) for f in self.factors], shape=shape)

    def dense(self) -> Array:
        axes = range(len(self.shape))
        tensor = self.joint(axes)[2]
        return times(np.broadcast_to(tensor, (*self.shape, 5)), self.coefficient)

    def total(self) -> Array:
        return times(self.coefficient, product([total(factor.values) for factor in self.factors]))

    # Maps, from the result's functional to the operand's.

    def part(self, axis: int, start: int, length: int) -> Functional:
        """A range of an axis, which is never the whole one: a single form is not joined."""
        shape = (*self.shape[:axis], length, *self.shape[axis + 1 :])
        alone = self.only(axis)
        others = [factor for factor in self.factors if factor is not alone]
        if alone is not None and alone.kind == "eq":
            assert alone.point is not None
            first, bits = start + alone.start, log2_up(length)
            if first % (1 << bits):
                return Functional(
                    coefficient=self.coefficient,
                    factors=[*others, equal([axis], length, alone.point, first)],
                    shape=shape,
                )
            high = [z if first >> (bits + i) & 1 else (ONE - z) % P for i, z in enumerate(alone.point[bits:])]
            kept = [equal([axis], length, alone.point[:bits])] if length > 1 else []
            return Functional(
                coefficient=times(self.coefficient, product(high)), factors=[*others, *kept], shape=shape
            )
        if alone is not None and alone.kind == "placed":
            inner, at = alone.inner, alone.start - start
            assert inner is not None
            size = len(inner.values)
            if at + size <= 0 or at >= length:
                kept = [all_ones(axis, length)] if length > 1 else []
                return Functional(coefficient=ZERO, factors=[*others, *kept], shape=shape)
            if at >= 0 and at + size <= length:
                kept_one = replace(inner, axes=(axis,)) if size == length else placed(axis, length, at, inner)
                return Functional(coefficient=self.coefficient, factors=[*others, kept_one], shape=shape)
        others, axes, tensor = self.joint([axis])
        where = axes.index(axis)
        return self.put(shape, others, axes, tensor[(slice(None),) * where + (slice(start, start + length),)])

    def reshaped(self, shape: Shape) -> Functional:
        groups = [(set(a), set(b)) for a, b in runs(self.shape, shape)]
        for factor in self.factors:
            touched = [group for group in groups if group[0] & set(factor.axes)]
            if len(touched) > 1:
                merged = (set().union(*(g[0] for g in touched)), set().union(*(g[1] for g in touched)))
                groups = [group for group in groups if group not in touched] + [merged]
        result = Functional(coefficient=self.coefficient, factors=[], shape=shape)
        for first, second in groups:
            mine = [factor for factor in self.factors if set(factor.axes) & first]
            result.factors += self._one_run(sorted(first), sorted(second), mine, shape)
        return result

    def _one_run(self, first: list[int], second: list[int], mine: list[Factor], shape: Shape) -> list[Factor]:
        if len(mine) == 1 and list(mine[0].axes) == first:
            factor = mine[0]
            if len(second) == 1:
                inner = factor.inner and replace(factor.inner, axes=(second[0],))
                return [replace(factor, axes=(second[0],), inner=inner)]
            if factor.kind == "eq" and factor.start == 0:
                assert factor.point is not None
                return split(second, shape, factor.point)
            if factor.kind == "ones":
                return [all_ones(axis, shape[axis]) for axis in second]
            return [Factor(axes=tuple(second), values=factor.values)]
        ordered = sorted(mine, key=lambda factor: factor.axes)
        if len(second) == 1 and all(self._whole_bits(factor, first[0]) for factor in mine):
            points = [factor.point for factor in reversed(ordered) if factor.point is not None]
            return [equal(second, shape[second[0]], np.concatenate(points))]
        tensor = self.joint(first)[2]
        return [Factor(axes=tuple(second), values=np.ascontiguousarray(tensor).reshape(-1, 5))]

    def _whole_bits(self, factor: Factor, first: int) -> bool:
        if factor.kind != "eq" or factor.start or len(factor.axes) > 1 or factor.point is None:
            return False
        extent = self.shape[factor.axes[0]]
        bits = log2_up(extent)
        return len(factor.point) == bits and (factor.axes[0] == first or extent == 1 << bits)

    def uncut(self, shape: Shape, axis: int, start: int, step: int) -> Functional:
        others, axes, tensor = self.joint([axis])
        where = axes.index(axis)
        whole = np.zeros((*tensor.shape[:where], shape[axis], *tensor.shape[where + 1 :]), dtype=np.int64)
        end = start + self.shape[axis] * step
        whole[(slice(None),) * where + (slice(start, end, step),)] = tensor
        return self.put(shape, others, axes, whole)

    def unrepeated(self, shape: Shape) -> Functional:
        result = self
        for axis in range(len(shape)):
            if shape[axis] == self.shape[axis]:
                continue
            others, axes, tensor = result.joint([axis])
            narrow = (*result.shape[:axis], 1, *result.shape[axis + 1 :])
            result = result.put(narrow, others, axes, tensor.sum(axis=axes.index(axis), keepdims=True) % P)
        return result

    def contracted(self, shape: Shape, axis: int, weights: Sequence[int] | None) -> Functional:
        assert weights is None, "only digits are contracted with weights, and they are columns"
        moved = self.renamed(shape, lambda old: old + (old >= axis))
        moved.factors += [all_ones(axis, shape[axis])] if shape[axis] > 1 else []
        return moved

    def rescaled(self, axis: int, weights: Sequence[int]) -> Functional:
        others, axes, tensor = self.joint([axis])
        after = len(axes) - axes.index(axis) - 1
        factors = np.array(weights, dtype=object).reshape(-1, *(1,) * after)
        return self.put(self.shape, others, axes, scaled(tensor, factors))


def through(form: Form, u: Functional) -> Functional:
    """Maps of one operand."""
    kind, data, shape = form.kind, form.data, form.parts[0].shape
    if kind == "reshape":
        return u.reshaped(shape)
    if kind == "transpose":
        return u.renamed(shape, lambda axis: data[axis])
    if kind == "cut":
        return u.uncut(shape, data[0], data[1], data[3])
    if kind == "repeat":
        return u.unrepeated(shape)
    if kind == "contract":
        return u.contracted(shape, *data)
    assert kind == "scale", f"{kind} of a product"
    return u.rescaled(*data)


@dataclass(eq=False, kw_only=True)
class Term:
    """A product that was reached: coefficient, bound letters with their weight, and the operands' foldings."""

    form: Form
    coefficient: Array
    factors: list[Factor]

    @property
    def bound(self) -> list[str]:
        first, second, _, extents = self.form.data
        return [letter for letter in first if letter in second and extents[letter] > 1]

    @property
    def variables(self) -> int:
        return sum(log2_up(self.form.data[3][letter]) for letter in self.bound)

    def letters(self, factor: Factor) -> list[str]:
        return [self.form.data[2][axis] for axis in factor.axes]

    def tables(self, point: Array) -> dict[str, Array]:
        """eq of each bound letter's coordinates, the last letter in the lowest bits."""
        found, start = {}, 0
        for letter in reversed(self.bound):
            extent = self.form.data[3][letter]
            bits = log2_up(extent)
            found[letter] = eq_table(point[start : start + bits])[:extent]
            start += bits
        return found

    def weight(self, point: Array) -> Array:
        tables, result = self.tables(point), ONE
        for factor in self.factors:
            letters = self.letters(factor)
            kept = [letter in self.bound for letter in letters]
            assert all(kept) or not any(kept), "a factor mixes letters"
            if not kept[0]:
                continue
            cells: Mapping[str, Array] = {letter: tables[letter] for letter in letters}
            result = times(result, total(times(factor.values, _outer_of([cells[letter] for letter in letters]))))
        return result

    def operand(self, side: int, point: Array) -> Array:
        """The functional of one operand, as a tensor."""
        names, tables = self.form.data[side], self.tables(point)
        part = self.form.parts[side]
        axes = {letter: axis for axis, letter in enumerate(names)}
        factors = [Factor(axes=(axes[letter],), values=tables[letter]) for letter in self.bound]
        for factor in self.factors:
            letters = self.letters(factor)
            mine = [letter in axes and letter not in self.bound for letter in letters]
            assert all(mine) or not any(mine), "a factor mixes letters"
            if mine[0]:
                factors.append(replace(factor, axes=tuple(axes[letter] for letter in letters)))
        return Functional(coefficient=ONE, factors=factors, shape=part.shape).dense()


def _outer_of(vectors: Sequence[Array]) -> Array:
    result = ONE[None]
    for vector in vectors:
        result = times(result[:, None], vector).reshape(-1, 5)
    return result


class Bilinear:
    """Pulls functionals back to product terms; what reaches linear forms goes to `linear`."""

    def __init__(self, linear: Linear) -> None:
        self.linear, self.terms = linear, list[Term]()

    def pull(self, roots: Sequence[tuple[Form, Functional]]) -> None:
        stack: list[tuple[Form, Functional]] = list(roots)
        while stack:
            form, u = stack.pop()
            if not form.bilinear:
                self.linear.give(form, u.dense())
            elif form.kind == "product":
                self.terms.append(Term(form=form, coefficient=u.coefficient, factors=u.factors))
            elif form.kind == "sum":
                stack += self._parts_of_sum(form, u)
            elif form.kind == "concat":
                starts = np.cumsum([0, *(part.shape[form.data] for part in form.parts)])
                for part, start in zip(form.parts, starts[:-1], strict=True):
                    stack.append((part, u.part(form.data, int(start), part.shape[form.data])))
            else:
                stack.append((form.parts[0], through(form, u)))

    def _parts_of_sum(self, form: Form, u: Functional) -> list[tuple[Form, Functional]]:
        chi = self.linear.chi
        constant = polynomial(form.data[0], chi)
        self.linear.value = (self.linear.value + times(constant, u.total())) % P
        found: list[tuple[Form, Functional]] = []
        for coefficient, part in zip(form.data[1:], form.parts, strict=True):
            scalar: Any = times(u.coefficient, polynomial(coefficient, chi))
            found.append((part, replace(u, coefficient=scalar)))
        return found
