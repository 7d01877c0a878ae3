"""Forms of PROTOCOL.md, sections 6 and 14.1, with their bounds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import count
from math import prod
from typing import Any

import numpy as np
from test_second_verifier import Refused

from lazai_core.testing.field_reference import P

Shape = tuple[int, ...]
Polynomial = tuple[int, ...]
_numbers = count()


def number() -> int:
    return next(_numbers)


@dataclass(eq=False, kw_only=True)
class Form:
    """A tensor as the text defines it; `serial` ascends from what is used to what uses it."""

    kind: str
    shape: Shape
    low: int
    high: int
    parts: tuple[Form, ...] = ()
    data: Any = None
    paths: int = 1
    depth: int = 0
    bilinear: bool = False
    serial: int = field(default_factory=number)

    @property
    def top(self) -> int:
        return max(abs(self.low), abs(self.high))

    @property
    def cells(self) -> int:
        return prod(self.shape)

    def within(self, low: int, high: int) -> Form:
        return replace(self, low=low, high=high, serial=number())

    def is_leaf(self, other: Form) -> bool:
        """Whether both are one leaf, whatever the bounds."""
        return self.kind in ("column", "public") and (self.kind, self.data) == (other.kind, other.data)


def refuse(unless: bool, why: str) -> None:
    if not unless:
        raise Refused(why)


def nowrap(bound: int) -> None:
    refuse(bound < P, "no wrap")


def _map(kind: str, parts: Sequence[Form], shape: Shape, bounds: tuple[int, int], data: Any) -> Form:
    return Form(
        kind=kind,
        shape=tuple(shape),
        low=bounds[0],
        high=bounds[1],
        parts=tuple(parts),
        data=data,
        paths=sum(part.paths for part in parts),
        depth=1 + max(part.depth for part in parts),
        bilinear=any(part.bilinear for part in parts),
    )


def known(values: Any, low: int | None = None, high: int | None = None) -> Form:
    array = np.asarray(values, dtype=np.int64)
    low, high = int(array.min()) if low is None else low, int(array.max()) if high is None else high
    return Form(kind="known", shape=array.shape, low=low, high=high, data=array)


def ones(shape: Shape) -> Form:
    return known(np.ones(shape))


def arange(n: int, first: int) -> Form:
    return known(np.arange(first, first + n))


def _ends(form: Form, factor: int) -> tuple[int, int]:
    return (factor * form.low, factor * form.high) if factor >= 0 else (factor * form.high, factor * form.low)


def combine(constant: int | Polynomial, *terms: tuple[int | Polynomial, Form]) -> Form:
    """constant + sum of coefficient * form; a coefficient may be a polynomial in chi, lowest first."""
    if len(terms) == 1 and terms[0][0] == 1 and constant == 0:
        return terms[0][1]
    shapes = {form.shape for _, form in terms}
    assert len(shapes) == 1, shapes
    bounds = (0, 0)
    if isinstance(constant, int):
        bounds = (constant, constant)
        for coefficient, form in terms:
            ends = _ends(form, coefficient) if isinstance(coefficient, int) else (0, 0)
            bounds = (bounds[0] + ends[0], bounds[1] + ends[1])
    in_chi = [(c,) if isinstance(c, int) else c for c in (constant, *(c for c, _ in terms))]
    refuse(max(len(c) for c in in_chi) <= 65, "degree of chi")
    return _map("sum", [form for _, form in terms], terms[0][1].shape, bounds, in_chi)


def plus(form: Form, constant: int) -> Form:
    return combine(constant, (1, form))


def reshape(form: Form, shape: Sequence[int]) -> Form:
    assert prod(shape) == form.cells, (form.shape, shape)
    return form if tuple(shape) == form.shape else _map("reshape", [form], tuple(shape), (form.low, form.high), None)


def transpose(form: Form, permutation: Sequence[int]) -> Form:
    if list(permutation) == list(range(len(form.shape))):
        return form
    shape = tuple(form.shape[axis] for axis in permutation)
    return _map("transpose", [form], shape, (form.low, form.high), tuple(permutation))


def cut(form: Form, axis: int, start: int, length: int, step: int = 1) -> Form:
    refuse(start >= 0 and start + (length - 1) * step < form.shape[axis], "a cut beyond its axis")
    if length == form.shape[axis]:
        return form
    shape = (*form.shape[:axis], length, *form.shape[axis + 1 :])
    return _map("cut", [form], shape, (form.low, form.high), (axis, start, length, step))


def concat(forms: Sequence[Form], axis: int) -> Form:
    if len(forms) == 1:
        return forms[0]
    first = forms[0].shape
    shape = (*first[:axis], sum(form.shape[axis] for form in forms), *first[axis + 1 :])
    return _map("concat", forms, shape, (min(f.low for f in forms), max(f.high for f in forms)), axis)


def broadcast(form: Form, shape: Sequence[int]) -> Form:
    form = reshape(form, (1,) * (len(shape) - len(form.shape)) + form.shape)
    return form if form.shape == tuple(shape) else _map("repeat", [form], tuple(shape), (form.low, form.high), None)


def contract(form: Form, axis: int, weights: Sequence[int] | None = None) -> Form:
    """The sum along an axis; without weights all count once."""
    n = form.shape[axis]
    ends = [_ends(form, w) for w in weights] if weights is not None else [(n * form.low, n * form.high)]
    bounds = (sum(e[0] for e in ends), sum(e[1] for e in ends))
    weights = None if weights is None or all(w == 1 for w in weights) else tuple(weights)
    return _map("contract", [form], form.shape[:axis] + form.shape[axis + 1 :], bounds, (axis, weights))


def scale(form: Form, axis: int, weights: Sequence[int]) -> Form:
    if len(set(weights)) == 1:
        return combine(0, (weights[0], form))
    ends = [_ends(form, w) for w in weights]
    return _map("scale", [form], form.shape, (min(e[0] for e in ends), max(e[1] for e in ends)), (axis, tuple(weights)))


def window(form: Form, axis: int, kernel: int, out: int, stride: int, dilation: int, pad: int) -> Form:
    n = form.shape[axis]
    places = np.arange(kernel)[:, None] * dilation + np.arange(out) * stride - pad
    inside = pad == 0 and (out - 1) * stride + (kernel - 1) * dilation < n
    bounds = (form.low, form.high) if inside else (min(form.low, 0), max(form.high, 0))
    shape = (*form.shape[:axis], kernel, out, *form.shape[axis + 1 :])
    return _map("window", [form], shape, bounds, (axis, places))


def inside(n: int, kernel: int, out: int, stride: int, dilation: int, pad: int) -> Form:
    """1 where a window's position exists."""
    places = np.arange(kernel)[:, None] * dilation + np.arange(out) * stride - pad
    return known((places >= 0) & (places < n), 0, 1)


def visible(queries: int, keys: int) -> Any:
    return np.arange(keys)[None, :] <= np.arange(queries)[:, None] + (keys - queries)


def causal(form: Form) -> Form:
    return _map("causal", [form], form.shape, (min(form.low, 0), max(form.high, 0)), None)


def rows(form: Form, indices: Any) -> Form:
    return _map("rows", [form], indices.shape + form.shape[1:], (form.low, form.high), indices)


def in_powers(form: Form) -> Form:
    """The last axis contracted with 1, chi, chi^2, ..."""
    refuse(form.shape[-1] <= 65, "degree of chi")
    return _map("powers", [form], form.shape[:-1], (0, 0), None)


def einsum(letters: str, left: Form, right: Form, bounds: tuple[int, int] | None = None) -> Form:
    """A product; `letters` as in numpy's einsum, without an ellipsis."""
    assert not left.bilinear, "the left operand of a product is bilinear"
    assert not right.bilinear, "the right operand of a product is bilinear"
    operands, result = letters.split("->")
    first, second = operands.split(",")
    extents: dict[str, int] = {}
    for names, form in ((first, left), (second, right)):
        for letter, extent in zip(names, form.shape, strict=True):
            assert extents.setdefault(letter, extent) == extent, (letters, left.shape, right.shape)
    if bounds is None:
        summed = prod(extent for letter, extent in extents.items() if letter not in result)
        ends = [a * b for a in (left.low, left.high) for b in (right.low, right.high)]
        bounds = (summed * min(ends), summed * max(ends))
    return Form(
        kind="product",
        shape=tuple(extents[letter] for letter in result),
        low=bounds[0],
        high=bounds[1],
        parts=(left, right),
        data=(first, second, result, extents),
        bilinear=True,
    )


def take(form: Form, axis: int, index: int) -> Form:
    one = cut(form, axis, index, 1)
    return reshape(one, one.shape[:axis] + one.shape[axis + 1 :])


def along(vector: Form, shape: Sequence[int], axis: int) -> Form:
    return broadcast(reshape(vector, (vector.shape[0],) + (1,) * (len(shape) - axis - 1)), shape)


def per_row(form: Form, like: Form) -> Form:
    return broadcast(reshape(form, (*form.shape, 1)), like.shape)


def runs(first: Sequence[int], second: Sequence[int]) -> list[tuple[list[int], list[int]]]:
    """Axes of extent above 1 of two shapes, in order, in the shortest runs of equal size (section 14.5)."""
    found: list[tuple[list[int], list[int]]] = []
    left = [axis for axis, extent in enumerate(first) if extent > 1]
    right = [axis for axis, extent in enumerate(second) if extent > 1]
    while left:
        a, b = [left.pop(0)], [right.pop(0)]
        while (sizes := (prod(first[i] for i in a), prod(second[i] for i in b)))[0] != sizes[1]:
            if sizes[0] < sizes[1]:
                a.append(left.pop(0))
            else:
                b.append(right.pop(0))
        found.append((a, b))
    return found
