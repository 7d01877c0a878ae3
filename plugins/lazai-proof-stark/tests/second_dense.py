"""Functionals as whole tensors over K, pulled back through linear forms (PROTOCOL.md, section 8)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import prod
from typing import Any

import numpy as np
from second_field import ZERO, Array, outer, polynomial, powers, scaled, times, total
from second_forms import Form, visible

from lazai_core.testing.field_reference import P

Publics = Mapping[tuple[str, int], Any]


class Linear:
    """Adds functionals up form by form and pulls them back to columns, constants and a value."""

    def __init__(self, chi: Array, publics: Publics) -> None:
        self.chi, self.publics = chi, publics
        self.pending: dict[int, tuple[Form, Array]] = {}
        self.columns: dict[int, Array] = {}
        self.constants: dict[int, Array] = {}
        self.value = ZERO

    def give(self, form: Form, weights: Array) -> None:
        assert weights.shape == (*form.shape, 5), (form.kind, form.shape, weights.shape)
        before = self.pending.get(form.serial)
        self.pending[form.serial] = (form, weights if before is None else (before[1] + weights) % P)

    def finish(self) -> None:
        while self.pending:
            form, weights = self.pending.pop(max(self.pending))
            self._pull(form, weights)

    def _add_value(self, weights: Array, values: Any) -> None:
        self.value = (self.value + total(scaled(weights, values))) % P

    def _pull(self, form: Form, u: Array) -> None:
        kind, data = form.kind, form.data
        if kind in ("column", "constant"):
            found = self.columns if kind == "column" else self.constants
            found[data] = (found.get(data, 0) + u) % P
        elif kind == "public":
            values = self.publics[data[:2]]
            self._add_value(u, values >> data[2] if len(data) == 3 else values)
        elif kind == "known":
            self._add_value(u, data)
        elif kind == "sum":
            self.value = (self.value + times(total(u), polynomial(data[0], self.chi))) % P
            for coefficient, part in zip(data[1:], form.parts, strict=True):
                self.give(part, times(u, polynomial(coefficient, self.chi)))
        elif kind == "concat":
            start = 0
            for part in form.parts:
                end = start + part.shape[data]
                self.give(part, u[(slice(None),) * data + (slice(start, end),)])
                start = end
        else:
            self.give(form.parts[0], self._through(form, u))

    def _through(self, form: Form, u: Array) -> Array:
        """Maps of one operand."""
        kind, data, shape = form.kind, form.data, form.parts[0].shape
        if kind == "reshape":
            return u.reshape(*shape, 5)
        if kind == "transpose":
            return u.transpose(*np.argsort(data).tolist(), len(data))
        if kind == "cut":
            axis, start, length, step = data
            result = np.zeros((*shape, 5), dtype=np.int64)
            result[(slice(None),) * axis + (slice(start, start + length * step, step),)] = u
            return result
        if kind == "repeat":
            repeated = tuple(axis for axis in range(len(shape)) if shape[axis] != form.shape[axis])
            summed: Array = u.sum(axis=repeated, keepdims=True) % P
            return summed
        if kind == "contract":
            axis, weights = data
            spread = np.expand_dims(u, axis)
            factors = np.array(weights or [1] * shape[axis], dtype=object)
            return scaled(spread, factors.reshape(-1, *(1,) * (len(shape) - axis - 1)))
        if kind == "scale":
            axis, weights = data
            return scaled(u, np.array(weights, dtype=object).reshape(-1, *(1,) * (len(shape) - axis - 1)))
        if kind == "powers":
            return outer(u, np.stack(powers(self.chi, shape[-1])))
        if kind == "causal":
            return scaled(u, visible(*shape[-2:]).astype(np.int64))
        if kind == "window":
            axis, places = data
            return _scattered(u, shape, axis, places)
        assert kind == "rows", kind
        return _scattered(u, shape, 0, data)


def _scattered(u: Array, shape: Sequence[int], axis: int, places: Any) -> Array:
    """Entries put at places of one axis, added where several meet; places outside are left out."""
    rank = places.ndim
    front = prod(shape[:axis])
    flat = u.reshape(front, places.size, -1)
    result = np.zeros((shape[axis], front, flat.shape[2]), dtype=np.int64)
    within = (places.reshape(-1) >= 0) & (places.reshape(-1) < shape[axis])
    np.add.at(result, places.reshape(-1)[within], flat[:, within].transpose(1, 0, 2))
    assert u.ndim == len(shape) + rank
    return (result % P).transpose(1, 0, 2).reshape(*shape, 5)


def _is_input(form: Form) -> bool:
    return form.kind == "public" and form.data[0] == "input"


def made_of_inputs(form: Form) -> bool:
    """Whether a form is made by maps of the input tensors alone; tensors known by formula are none."""
    stack = [form]
    while stack:
        node = stack.pop()
        if node.kind == "product" or (not node.parts and not _is_input(node)):
            return False
        stack += node.parts
    return True


def evaluated_on_inputs(form: Form, inputs: Sequence[Any]) -> Any:
    """The tensor of a form that is made by maps of input tensors."""
    kind, data = form.kind, form.data
    if kind == "public":
        return np.asarray(inputs[data[1]], dtype=np.int64)
    values = [evaluated_on_inputs(part, inputs) for part in form.parts]
    first = values[0]
    if kind == "sum":
        return data[0][0] + sum(c[0] * value for c, value in zip(data[1:], values, strict=True))
    if kind == "concat":
        return np.concatenate(values, axis=data)
    if kind == "reshape":
        return first.reshape(form.shape)
    if kind == "transpose":
        return first.transpose(data)
    if kind == "repeat":
        return np.broadcast_to(first, form.shape)
    if kind == "cut":
        axis, start, length, step = data
        return first[(slice(None),) * axis + (slice(start, start + length * step, step),)]
    axis = data[0]
    if kind == "window":
        spread = np.take(first, np.clip(data[1], 0, first.shape[axis] - 1), axis=axis)
        there = (data[1] >= 0) & (data[1] < first.shape[axis])
        return spread * there.reshape(*there.shape, *(1,) * (first.ndim - axis - 1))
    weights = np.array(data[1] or [1] * first.shape[axis], dtype=np.int64)
    weighted = first * weights.reshape(-1, *(1,) * (first.ndim - axis - 1))
    return weighted.sum(axis=axis) if kind == "contract" else weighted
