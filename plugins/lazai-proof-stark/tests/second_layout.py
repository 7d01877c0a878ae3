"""Pieces of tensors, their places in a commitment, and tests at a point (PROTOCOL.md, sections 6, 14.4 and 14.5)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product as combinations
from math import prod
from typing import Any

import numpy as np
from second_factors import Factor, Functional, placed, split, unit
from second_field import ONE, Array, eq_table, log2_up
from second_forms import Shape

Range = tuple[int, int]


def pad(n: int) -> int:
    return 1 << log2_up(n)


def cut_lengths(n: int, parts: int, percent: int, start: int = 0) -> list[Range]:
    largest = 1 << (n.bit_length() - 1)
    if n > largest and n >= 5 and parts > 1:
        found = [(start, largest), *cut_lengths(n - largest, parts - 1, 0, start + largest)]
        if 100 * (pad(n) - sum(pad(length) for _, length in found)) >= percent * pad(n):
            return found
    return [(start, n)]


@dataclass(eq=False, kw_only=True)
class Piece:
    """A box of a tensor: a range for each axis, axes in groups; `cut` are the axes that were cut."""

    shape: Shape
    ranges: tuple[Range, ...]
    groups: tuple[tuple[int, ...], ...]
    cut: tuple[int, ...]

    def bits(self, group: Sequence[int]) -> int:
        return log2_up(prod(self.ranges[axis][1] for axis in group))

    @property
    def variables(self) -> int:
        return sum(self.bits(group) for group in self.groups)

    @property
    def box(self) -> tuple[slice, ...]:
        return tuple(slice(start, start + length) for start, length in self.ranges)

    def cells(self) -> Any:
        """Places of the box's cells among the 2^variables of the piece."""
        result = np.zeros((1,) * len(self.shape), dtype=np.int64)
        place = 0
        for group in reversed(self.groups):
            stride = 1 << place
            for axis in reversed(group):
                length = self.ranges[axis][1]
                result = result + stride * np.arange(length).reshape(-1, *(1,) * (len(self.shape) - axis - 1))
                stride *= length
            place += self.bits(group)
        return result

    def spread(self, point: Array) -> Array:
        """The test at a point as a tensor of the whole shape."""
        result = np.zeros((*self.shape, 5), dtype=np.int64)
        result[self.box] = eq_table(point)[self.cells()]
        return result

    def test(self, point: Array) -> Functional:
        """The same with its factors."""
        factors: list[Factor] = []
        start = 0
        lengths = [length for _, length in self.ranges]
        for group in reversed(self.groups):
            bits = self.bits(group)
            axes = [axis for axis in group if lengths[axis] > 1]
            if axes:
                factors += split(axes, lengths, point[start : start + bits])
            start += bits
        for axis in self.cut:
            begin, extent = self.ranges[axis][0], self.shape[axis]
            mine = next((factor for factor in factors if axis in factor.axes), None)
            if mine is None:
                factors.append(unit(axis, extent, begin))
                continue
            assert mine.axes == (axis,), "a joint factor over an axis that was cut"
            factors[factors.index(mine)] = placed(axis, extent, begin, mine)
        return Functional(coefficient=ONE, factors=factors, shape=self.shape)


def uncut(shape: Shape) -> Piece:
    """The one piece of an equality."""
    ranges, groups = tuple((0, extent) for extent in shape), tuple((axis,) for axis in range(len(shape)))
    return Piece(shape=shape, ranges=ranges, groups=groups, cut=())


def pieces(shape: Shape, image: bool, tight: bool = False) -> list[Piece]:
    axes = list(range(len(shape)))
    groups: list[tuple[int, ...]] = [(axis,) for axis in axes]
    if image and len(shape) >= 2 and pad(shape[-2] * shape[-1]) < pad(shape[-2]) * pad(shape[-1]):
        groups = [*groups[:-2], (axes[-2], axes[-1])]
    ranges: list[list[Range]] = [[(0, shape[axis])] for axis in axes]
    if prod(pad(extent) for extent in shape) >= 1 << 11:
        offers = []
        for order, group in enumerate(groups):
            if len(group) > 1:
                continue
            n = shape[group[0]]
            found = cut_lengths(n, 6, 1) if tight else cut_lengths(n, 3, 20)
            if len(found) > 1:
                offers.append((-(100 - 100 * sum(pad(k) for _, k in found) // pad(n)), order, group[0], found))
        for _, _, axis, found in sorted(offers):
            if prod(map(len, ranges)) * len(found) <= 6:
                ranges[axis] = found
    was_cut = tuple(axis for axis in axes if len(ranges[axis]) > 1)
    return [
        Piece(shape=shape, ranges=choice, groups=tuple(groups), cut=was_cut) for choice in combinations(*ranges)
    ]


@dataclass(eq=False, kw_only=True)
class Placed:
    owner: int
    piece: Piece
    offset: int = 0


@dataclass(eq=False, kw_only=True)
class Layout:
    """Pieces by size, the largest first, one after the other; `owner` is a tensor's number."""

    placed: list[Placed]
    variables: int

    def join(self, functionals: dict[int, Array]) -> Array:
        """One vector over the commitment."""
        vector = np.zeros((1 << self.variables, 5), dtype=np.int64)
        for entry in self.placed:
            if entry.owner in functionals:
                vector[entry.offset + entry.piece.cells()] = functionals[entry.owner][entry.piece.box]
        return vector


def lay_out(tensors: Sequence[tuple[int, list[Piece]]], least: int) -> Layout:
    found = [Placed(owner=owner, piece=piece) for owner, cut_up in tensors for piece in cut_up]
    found.sort(key=lambda entry: -entry.piece.variables)
    offset = 0
    for entry in found:
        entry.offset = offset
        offset += 1 << entry.piece.variables
    return Layout(placed=found, variables=max(least, log2_up(max(offset, 1))))
