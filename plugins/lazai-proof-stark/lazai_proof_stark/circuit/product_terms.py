"""A functional of a product as the sum a sumcheck proves, and what it leaves of each operand."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from attrs import frozen

from lazai_core.api.errors import UnsupportedProgram

from ..field import DEGREE, ONE, Extension, P
from . import karray
from .functional import Eq, Factor, Ones, Term, merged, relabel
from .layout import Group, bits_of, evaluate
from .nodes import (
    Product,
    Shape,
)


@frozen(kw_only=True, eq=False)
class ProductTerm:
    """<product, term> = coefficient * sum over the bound letters' cells of weight * left * right.

    Bound letters are padded one by one to powers of two, the last letter in the lowest bits; left, right and weight are
    zero beyond the extents.
    """

    node: Product
    coefficient: Extension
    weights: tuple[Factor, ...]
    left_free: tuple[Factor, ...]
    right_free: tuple[Factor, ...]

    @property
    def extents(self) -> Shape:
        """Extents of the bound letters."""
        found = self.node.extents
        return tuple(found[letter] for letter in self.node.bound)

    @property
    def groups(self) -> tuple[Group, ...]:
        """One group a bound letter."""
        return tuple(Group(axes=(axis,), bits=bits_of(extent)) for axis, extent in enumerate(self.extents))

    @property
    def variables(self) -> int:
        """Rounds of its sumcheck."""
        return sum(group.bits for group in self.groups)

    def coordinates(self, point: Sequence[Extension]) -> list[tuple[Extension, ...]]:
        """The point's part of each bound letter."""
        parts, end = [], len(point)
        for group in self.groups:
            parts.append(tuple(point[end - group.bits : end]))
            end -= group.bits
        assert end == 0
        return parts

    def weight_at(self, point: Sequence[Extension]) -> Extension:
        """Coefficient * the weights' multilinear extensions; a letter without a weight counts 1, padding included."""
        covered = {axis for factor in self.weights for axis in factor.axes}
        parts = zip(self.groups, self.coordinates(point), strict=True)
        chosen = [(group, part) for group, part in parts if group.axes[0] in covered]
        term = Term(coefficient=self.coefficient, factors=self.weights)
        return evaluate(term, self.extents, [group for group, _ in chosen], [part for _, part in chosen])

    def all_weights(self) -> tuple[Factor, ...]:
        """Weights, with ones up to the extents where a letter has none: enough on true cells."""
        covered = {axis for factor in self.weights for axis in factor.axes}
        missing = [axis for axis, extent in enumerate(self.extents) if extent > 1 and axis not in covered]
        return (*self.weights, *(Ones(axes=(axis,), extents=(self.extents[axis],)) for axis in missing))

    def left_term(self, point: Sequence[Extension]) -> Term:
        """The left operand at a point of the bound letters, as a functional of its node."""
        return self._side(self.node.left_letters, self.left_free, point)

    def right_term(self, point: Sequence[Extension]) -> Term:
        """The right operand likewise."""
        return self._side(self.node.right_letters, self.right_free, point)

    def _side(self, letters: str, free: tuple[Factor, ...], point: Sequence[Extension]) -> Term:
        factors = list(free)
        for letter, part, extent in zip(self.node.bound, self.coordinates(point), self.extents, strict=True):
            if extent > 1:
                factors.append(Eq(axes=(letters.index(letter),), extents=(extent,), point=part))
        return Term(coefficient=ONE, factors=tuple(factors))

    def fold(self, side: str, values: karray.IntArray) -> karray.KArray:
        """One operand folded along its free letters: `[extents of the bound letters..., 5]`."""
        letters = self.node.left_letters if side == "left" else self.node.right_letters
        free = self.left_free if side == "left" else self.right_free
        order = [i for i, c in enumerate(letters) if c not in self.node.bound]
        moved = np.transpose(values, [*order, *(letters.index(c) for c in self.node.bound)])
        weights = merged(free, order, [values.shape[i] for i in order]).reshape(-1, DEGREE)
        flat = moved.reshape(len(weights), -1).astype(np.int64) % P
        folded = np.zeros((flat.shape[1], DEGREE), dtype=np.int64)
        for row, weight in zip(flat, weights, strict=True):
            folded = (folded + row[:, None] * weight % P) % P
        return folded.reshape(*self.extents, DEGREE)


def product_term(node: Product, term: Term) -> ProductTerm:
    """The parts of a functional of a product. Raises UnsupportedProgram where a joint factor mixes letters of two."""
    bound = node.bound
    weights: list[Factor] = []
    sides: dict[str, list[Factor]] = {"left": [], "right": []}
    for factor in term.factors:
        letters = [node.out_letters[axis] for axis in factor.axes]
        if all(letter in bound for letter in letters):
            weights.append(relabel(factor, [bound.index(letter) for letter in letters]))
            continue
        side = "left" if letters[0] in node.left_letters else "right"
        own = node.left_letters if side == "left" else node.right_letters
        if any(letter not in own or letter in bound for letter in letters):
            raise UnsupportedProgram("a functional of a product mixes letters of its operands")
        sides[side].append(relabel(factor, [own.index(letter) for letter in letters]))
    extents = node.extents
    for side, own in (("left", node.left_letters), ("right", node.right_letters)):
        for letter in own:
            if letter not in bound and letter not in node.out_letters and extents[letter] > 1:
                sides[side].append(Ones(axes=(own.index(letter),), extents=(extents[letter],)))
    return ProductTerm(
        node=node,
        coefficient=term.coefficient,
        weights=tuple(weights),
        left_free=tuple(sides["left"]),
        right_free=tuple(sides["right"]),
    )
