"""Operations as columns, lookups and equalities (PROTOCOL.md, section 14.3); normalisations are in second_compiler."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from math import prod
from typing import Any

import numpy as np
from second_dense import evaluated_on_inputs, made_of_inputs
from second_field import log2_up
from second_forms import (
    Form,
    Shape,
    along,
    arange,
    broadcast,
    combine,
    concat,
    contract,
    cut,
    einsum,
    inside,
    known,
    nowrap,
    ones,
    per_row,
    plus,
    refuse,
    reshape,
    rows,
    runs,
    scale,
    take,
    transpose,
    window,
)
from second_gadgets import Circuit, Sizes

from lazai_core.api.program import BoundProgram, Op
from lazai_core.api.program_rules.base import round_shift
from lazai_core.testing.field_reference import P

LETTERS = "abcdefghijklmnopqrstuvw"
MakeLeaf = Callable[[int, int], Form]


class Operations:
    """One method for each kind that is not a normalisation; it makes the operation's part of the circuit."""

    def __init__(
        self,
        bound: BoundProgram,
        sizes: Sizes,
        shifts: Mapping[int, Sequence[int]],
        channel_bounds: Mapping[int, Sequence[int]],
        inputs: Sequence[Any],
    ) -> None:
        self.bound, self.program = bound, bound.program
        self.circuit = Circuit(sizes=sizes)
        self.shifts, self.channel_bounds, self.inputs = shifts, channel_bounds, inputs
        self.forms: list[Form] = []
        self.images: set[int] = set()
        self.outputs: dict[int, int] = {}
        for index, output in enumerate(self.program.outputs):
            self.outputs.setdefault(output.value, index)
        self.value = -1

    def leaf(self, low: int, high: int) -> Form:
        """The leaf of the value that is being made."""
        shape = self.bound.shapes[self.value]
        if self.value in self.outputs:
            return Form(kind="public", shape=shape, low=low, high=high, data=("output", self.outputs[self.value]))
        return self.circuit.column(shape, low, high)

    @property
    def shape(self) -> Shape:
        return self.bound.shapes[self.value]

    def interval(self, value: int) -> tuple[int, int]:
        return self.program.values[value].low, self.program.values[value].high

    def linear(self, form: Form) -> Form:
        return self.circuit.linear(form)

    def bounded(self, form: Form) -> Form:
        return self.circuit.bounded(form)

    # Products and linear maps.

    def _reach(self, op: Op, terms: int) -> tuple[int, int]:
        x, weight = (self.program.values[operand] for operand in op.operands[:2])
        sums = terms * weight.magnitude if weight.row_sum is None else min(weight.row_sum, terms * weight.magnitude)
        return -sums * x.magnitude, sums * x.magnitude

    def dense(self, op: Op, x: Form, weight: Form, bias: Form) -> Form:
        x = self.linear(x)
        lead = LETTERS[: len(x.shape) - 1]
        made = einsum(f"{lead}z,yz->{lead}y", x, weight, self._reach(op, x.shape[-1]))
        return combine(0, (1, made), (1, along(bias, made.shape, len(made.shape) - 1)))

    def matmul(self, op: Op, a: Form, b: Form) -> Form:
        a, b = self.linear(a), self.linear(b)
        lead = LETTERS[: len(a.shape) - 2]
        right = "yz" if op.integer("transpose_right") else "zy"
        return einsum(f"{lead}xz,{lead}{right}->{lead}xy", a, b, self.interval(self.value))

    def conv2d(self, op: Op, x: Form, weight: Form, bias: Form) -> Form:
        x = self.linear(x)
        strides, pads, dilations = op.integers("strides"), op.integers("pads"), op.integers("dilations")
        groups, (outputs, channels, kh, kw) = op.integer("groups"), weight.shape
        batch, _, height, width = self.shape
        x = window(x, 3, kw, width, strides[1], dilations[1], pads[1])
        x = window(x, 2, kh, height, strides[0], dilations[0], pads[0])
        x = reshape(x, (batch, groups, channels, kh, height, kw, width))
        weight = reshape(weight, (groups, outputs // groups, channels, kh, kw))
        made = einsum("bgcihjw,gocij->bgohw", x, weight, self._reach(op, channels * kh * kw))
        if groups > 1 and outputs > groups:
            made = self.circuit.materialised(made)
        made = reshape(made, self.shape)
        return combine(0, (1, made), (1, along(bias, made.shape, 1)))

    def _sum(self, op: Op, a: Form, b: Form, sign: int) -> Form:
        left, right = 1 << op.integer("shift_left"), sign << op.integer("shift_right")
        a, b = broadcast(a, self.shape), broadcast(b, self.shape)
        return self.bounded(combine(0, (left, a), (right, b)))

    def add(self, op: Op, a: Form, b: Form) -> Form:
        return self._sum(op, a, b, 1)

    def subtract(self, op: Op, a: Form, b: Form) -> Form:
        return self._sum(op, a, b, -1)

    def multiply(self, op: Op, a: Form, b: Form) -> Form:
        names, short = [], []
        rank = len(self.shape)
        for operand in (self.linear(a), self.linear(b)):
            full = (1,) * (rank - len(operand.shape)) + operand.shape
            names.append("".join(LETTERS[axis] for axis in range(rank) if full[axis] > 1))
            short.append(reshape(operand, [extent for extent in full if extent > 1]))
        letters = "".join(sorted(set(names[0] + names[1])))
        return reshape(einsum(f"{names[0]},{names[1]}->{letters}", short[0], short[1]), self.shape)

    def sum_pool2d(self, op: Op, x: Form) -> Form:
        x = self.linear(x)
        (kh, kw), strides, pads = op.integers("kernel"), op.integers("strides"), op.integers("pads")
        x = contract(window(x, 3, kw, self.shape[3], strides[1], 1, pads[1]), 3)
        return self.bounded(contract(window(x, 2, kh, self.shape[2], strides[0], 1, pads[0]), 2))

    def reduce_sum(self, op: Op, x: Form) -> Form:
        for axis in reversed(op.integers("axes")):
            x = contract(x, axis)
        return reshape(x, self.shape)

    def reshape(self, op: Op, x: Form) -> Form:
        if any(len(operand) > 1 for _, operand in runs(self.shape, x.shape)):
            x = self.linear(x)
        return self.bounded(reshape(x, self.shape))

    def transpose(self, op: Op, x: Form) -> Form:
        return self.bounded(transpose(x, op.integers("permutation")))

    def concat(self, op: Op, *xs: Form) -> Form:
        return self.bounded(concat(xs, op.integer("axis")))

    def slice(self, op: Op, x: Form) -> Form:
        axis = op.integer("axis")
        return self.bounded(cut(x, axis, op.integer("start"), self.shape[axis]))

    # Shifts and tables.

    def requantize(self, op: Op, x: Form, *_: Form) -> Form:
        x, axis, source = self.bounded(x), op.integer("axis"), op.operands[0] - self.program.first_result
        made_by = self.program.ops[source].kind if source >= 0 else ""
        shifts, reach = [op.integer("shift")], None
        if len(op.operands) == 2:
            shifts = list(self.shifts[op.operands[1] - self.program.first_constant])
            channels = {"dense": len(x.shape) - 1, "conv2d": 1}.get(made_by)
            if len(shifts) > 1 and channels == axis and source in self.channel_bounds:
                reach = [min(bound, x.top) for bound in self.channel_bounds[source]]
        limits = op.integer("low"), op.integer("high")
        self.circuit.image = op.operands[0] in self.images and (not x.bilinear or made_by == "conv2d")
        return self.shifted(x, shifts, axis, limits, self.leaf, reach)

    def shifted(
        self,
        x: Form,
        shifts: Sequence[int],
        axis: int,
        limits: tuple[int, int],
        make: MakeLeaf | None,
        reach: Sequence[int] | None = None,
    ) -> Form:
        most, least, circuit = max(shifts), min(shifts), self.circuit
        if most <= 0:
            return self._left(x, shifts, axis, limits, make)
        if reach is None:
            ends = [round_shift(end, s) for end in (x.low, x.high) for s in (least, most)]
            largest = x.top << (most - least)
        else:
            pairs = list(zip(reach, shifts, strict=True))
            ends = [
                round_shift(min(max(end, x.low), x.high), s) for bound, s in pairs for end in (-bound, bound)
            ]
            largest = max(bound << (most - s) for bound, s in pairs)
        limit = circuit.sizes.limb
        bits = limit if 8 < most < limit and largest << (limit - most) < 1 << 28 else most
        largest <<= bits - most
        factors = [1 << (bits - s) for s in shifts]
        spread = scale(x, axis, factors) if len(shifts) > 1 else combine(0, (factors[0], x))
        big = plus(spread.within(-largest, largest), 1 << (bits - 1))
        room = (P - 1 - big.top) // (1 << bits) - 1
        leaf, q, bound = circuit.clamp(make, x.shape, (min(ends), max(ends)), limits, room)
        nowrap(big.top + ((bound + 1) << bits))
        circuit.exact(combine(0, (1, big), (-(1 << bits), q)), bits)
        return leaf

    def _left(
        self, x: Form, shifts: Sequence[int], axis: int, limits: tuple[int, int], make: MakeLeaf | None
    ) -> Form:
        ends = [end << -s for end in (x.low, x.high) for s in (min(shifts), max(shifts))]
        factors = [1 << -s for s in shifts]
        q = scale(x, axis, factors) if len(shifts) > 1 else combine(0, (factors[0], x))
        if limits[0] <= min(ends) and max(ends) <= limits[1]:
            nowrap(q.top)
            return self.bounded(q)
        refuse(q.top < 1 << 29, "a shift to the left")
        leaf, form, bound = self.circuit.clamp(make, x.shape, (min(ends), max(ends)), limits, P - 1 - q.top)
        nowrap(bound + q.top)
        self.circuit.zero(combine(0, (1, q), (-1, form)))
        return leaf

    def table(self, op: Op, x: Form, entries: Form) -> Form:
        x, offset = self.bounded(x), op.integer("offset")
        made_by = op.operands[0] - self.program.first_result
        a_conv = made_by >= 0 and self.program.ops[made_by].kind == "conv2d"
        self.circuit.image = op.operands[0] in self.images and (not x.bilinear or a_conv)
        y = self.leaf(entries.low, entries.high)
        if not self.circuit.merge(x, entries, offset, y):
            self.circuit.function(x, x.low, x.high, entries, x.low - offset, y)
        return y

    def gather(self, op: Op, entries: Form, x: Form) -> Form:
        if made_of_inputs(x):
            return rows(entries, evaluated_on_inputs(x, self.inputs))
        x = self.linear(x)
        y = self.leaf(entries.low, entries.high)
        width, n = entries.cells // entries.shape[0], x.cells
        spread = broadcast(reshape(x, (n, 1)), (n, width))
        place = broadcast(reshape(arange(width, 0), (1, width)), (n, width))
        position = combine(0, (width, spread), (1, place))
        nowrap(2 * entries.cells)
        flat = reshape(entries, (entries.cells,))
        self.circuit.look(
            [position, reshape(y, (n, width))], ("G", entries.data), lambda: [arange(entries.cells, 0), flat]
        )
        return y

    # Reductions.

    def reduce_mean(self, op: Op, x: Form) -> Form:
        x = self.bounded(x)
        n = prod(x.shape[axis] for axis in op.integers("axes"))
        total = self.reduce_sum(op, x)
        if n == 1:
            return total
        y = self.leaf(x.low, x.high)
        kept = self.circuit.signed(y, x.low, x.high)
        self.circuit.divided(combine(n // 2, (1, total), (-n, y)), n, total.top + n + n * kept)
        return y

    def _max(self, a: Form, b: Form, make: MakeLeaf | None) -> Form:
        circuit = self.circuit
        low, high = max(a.low, b.low), max(a.high, b.high)
        m = make(low, high) if make else circuit.column(a.shape, low, high)
        k = max(b.high - a.low, a.high - b.low, 0)
        nowrap(4 * k + 2)
        over_a, over_b = combine(0, (1, m), (-1, a)), combine(0, (1, m), (-1, b))
        if 2 * k + 1 <= 1 << 13:
            difference = np.arange(-k, k + 1)
            circuit.look(
                [combine(0, (1, b), (-1, a)), over_a],
                ("P", k),
                lambda: [known(difference), known(np.maximum(difference, 0))],
            )
            return m
        first = circuit.column(a.shape, -1, 1)
        for s, d in ((first, over_a), (combine(0, (-1, first)), over_b)):
            rest, place = d.within(0, k), 8
            signs, digits = np.repeat([1, -1], [1, 256]), np.concatenate([[0], np.arange(256)])

            def make_e(signs: Any = signs, digits: Any = digits) -> list[Form]:
                return [known(signs), known(digits)]

            circuit.table("E", make_e)
            while place < log2_up(k + 1):
                digit = circuit.column(a.shape, 0, 255, limbs=True)
                circuit.look([s, digit], "E", make_e)
                rest = combine(0, (1, rest), (-(1 << place), digit))
                place += 8
            nowrap((1 << place) + k)
            circuit.look([s, rest], "E", make_e)
        return m

    def max_pool2d(self, op: Op, x: Form) -> Form:
        x = self.linear(self.bounded(x))
        (kh, kw), strides, pads = op.integers("kernel"), op.integers("strides"), op.integers("pads")
        outs = self.shape

        def place(form: Form, axis: int, j: int) -> Form:
            start, out, stride = j - pads[axis - 2], outs[axis], strides[axis - 2]
            extent = form.shape[axis]
            if start >= 0 and start + (out - 1) * stride < extent:
                return cut(form, axis, start, out, stride)
            moved = take(window(form, axis, 1, out, stride, 1, -start), axis, 0)
            there = reshape(inside(extent, 1, out, stride, 1, -start), (out,))
            spread = along(there, moved.shape, axis)
            return combine(form.low, (1, moved), (-form.low, spread)).within(form.low, form.high)

        def largest(forms: list[Form], make: MakeLeaf | None) -> Form:
            while len(forms) > 1:
                last = len(forms) == 2
                self.circuit.image = True
                merged = [
                    self._max(forms[i], forms[i + 1], make if last else None) for i in range(0, len(forms) - 1, 2)
                ]
                self.circuit.image = False
                forms = merged + forms[len(forms) // 2 * 2 :]
            return forms[0]

        columns = [place(x, 3, j) for j in range(kw)]
        if kh == 1:
            return largest([place(form, 2, 0) for form in columns], self.leaf)
        best = largest(columns, None)
        return largest([place(best, 2, i) for i in range(kh)], self.leaf)

    def reduce_max(self, op: Op, x: Form) -> Form:
        x = self.linear(self.bounded(x))
        axes = op.integers("axes")
        kept = [axis for axis in range(len(x.shape)) if axis not in axes]
        n = prod(x.shape[axis] for axis in axes)
        x = reshape(transpose(x, [*kept, *axes]), [*(x.shape[axis] for axis in kept), n])
        last = len(kept)
        while n > 1:
            half = (n + 1) // 2
            first, second = cut(x, last, 0, half), cut(x, last, n - half, half)
            if half == 1:
                return self._max(reshape(first, self.shape), reshape(second, self.shape), self.leaf)
            x, n = self._max(first, second, None), half
        return reshape(x, self.shape)

    def argmax(self, op: Op, x: Form) -> Form:
        x, axis, circuit = self.linear(self.bounded(x)), op.integer("axis"), self.circuit
        n, rank = x.shape[axis], len(x.shape)
        if n == 1:
            return known(np.zeros(self.shape), 0, 0)
        x = transpose(x, [*(i for i in range(rank) if i != axis), axis])
        i = self.leaf(0, n - 1)
        o = combine(0, (1, along(arange(n, 0), x.shape, rank - 1)), (-1, per_row(i, x)))
        less = circuit.column(x.shape, 0, 1)
        steps = np.arange(1 - n, n)
        circuit.look([o, less], ("A", n), lambda: [known(steps), known(steps < 0, 0, 1)])
        before = concat([ones((*x.shape[:-1], 1)), cut(less, rank - 1, 0, n - 1)], rank - 1)
        chosen = combine(0, (1, before), (-1, less)).within(0, 1)
        lead = LETTERS[: rank - 1]
        best = einsum(f"{lead}z,{lead}z->{lead}", chosen, x, (x.low, x.high))
        d = combine(0, (1, per_row(best, x)), (-1, x), (-1, less))
        bits = max(1, log2_up(x.high - x.low + 1))
        nowrap(d.top + (2 << bits) + (2 << circuit.sizes.limb))
        circuit.range(d, bits)
        return i
