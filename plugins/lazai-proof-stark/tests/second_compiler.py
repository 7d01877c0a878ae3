"""From a program to its circuit (PROTOCOL.md, section 14.3): the order of things, and normalisations."""

from __future__ import annotations

from collections.abc import Sequence
from math import isqrt, prod

import numpy as np
from second_field import log2_up
from second_forms import (
    Form,
    along,
    broadcast,
    causal,
    combine,
    concat,
    contract,
    cut,
    einsum,
    in_powers,
    known,
    nowrap,
    ones,
    per_row,
    plus,
    refuse,
    take,
)
from second_gadgets import Circuit
from second_operations import LETTERS, Operations

from lazai_core.api.program import Op
from lazai_core.api.program_rules.base import round_shift

IMAGES = ("conv2d", "max_pool2d", "sum_pool2d")
IMAGE_MAPS = ("requantize", "add", "subtract", "multiply", "table")


def number_digits(value: int) -> tuple[int, ...]:
    """Digits of base 256, lowest first."""
    return tuple(value.to_bytes(max(1, -(-value.bit_length() // 8)), "little"))


class Compiler(Operations):
    """Builds the circuit of a bound program from the key's public data."""

    def compile(self) -> Circuit:
        program, circuit = self.program, self.circuit
        for index, info in enumerate(program.values):
            refuse(info.is_constant or prod(self.bound.shapes[index]) <= 1 << 23, "cells of a value")
        for index, info in enumerate(program.values[: program.first_result]):
            is_input = index < program.first_constant
            kind, data = ("public", ("input", index)) if is_input else ("constant", index - program.first_constant)
            shape = self.bound.shapes[index]
            self.forms.append(Form(kind=kind, shape=shape, low=info.low, high=info.high, data=data))
        for index, op in enumerate(program.ops):
            self.value = program.first_result + index
            shape = self.bound.shapes[self.value]
            an_image = any(operand in self.images for operand in op.operands) and len(shape) == 4
            if op.kind in IMAGES or (op.kind in IMAGE_MAPS and an_image):
                self.images.add(self.value)
            form = getattr(self, op.kind)(op, *(self.forms[operand] for operand in op.operands))
            circuit.image = False
            assert form.shape == shape, (op.kind, form.shape, shape)
            self.forms.append(form)
        for index, output in enumerate(program.outputs):
            form, info = self.forms[output.value], program.values[output.value]
            if form.kind == "public" and form.data == ("output", index):
                continue
            public = Form(
                kind="public", shape=form.shape, low=info.low, high=info.high, data=("output", index)
            )
            nowrap(public.top + form.top)
            circuit.zero(combine(0, (1, public), (-1, form)))
        circuit.finish()
        return circuit

    # Normalisation.

    def layer_norm(self, op: Op, x: Form, gain: Form, bias: Form) -> Form:
        circuit, with_mean = self.circuit, op.integer("subtract_mean")
        x = self.linear(self.bounded(x))
        lead, n = x.shape[:-1], x.shape[-1]
        last, letters = len(lead), LETTERS[: len(lead)]
        wide = x.high - x.low if with_mean else x.top
        two = n * wide * wide >= 1 << 27
        parts = [x]
        if two:
            parts = self._split(x)
        if with_mean:
            total = plus(contract(x, last), n // 2)
            if two:
                upper = circuit.column(lead, x.low >> 8, x.high >> 8)
                kept = 256 * circuit.signed(upper, x.low >> 8, x.high >> 8) + 256
                lower = circuit.column(lead, 0, 255)
                circuit.in_range(lower, 8)
                means, mean = [lower, upper], combine(0, (1, lower), (256, upper))
            else:
                mean = circuit.column(lead, x.low, x.high)
                kept, means = circuit.signed(mean, x.low, x.high), [mean]
            rest = combine(0, (1, total), (-n, mean.within(x.low, x.high)))
            circuit.divided(rest, n, total.top + n * kept)
            parts = [combine(0, (1, part), (-1, per_row(m, x))) for part, m in zip(parts, means, strict=True)]
            x = combine(0, (1, x), (-1, per_row(mean, x)))
        root = self._root(op, parts, n, wide)
        precision, normal = op.integer("precision"), op.integer("shift_normal")
        reach = isqrt(n << (2 * precision))
        g = einsum(f"{letters}z,{letters}->{letters}z", x, root, (-reach, reach))
        limit = round_shift(reach, normal)
        t = self.linear(self.shifted(g, [normal], 0, (-limit - 1, limit), None))
        h = einsum(f"{letters}z,z->{letters}z", t, gain)
        h = combine(0, (1, h), (1, along(bias, h.shape, last)))
        return self.shifted(h, [op.integer("shift_out")], 0, (op.integer("low"), op.integer("high")), self.leaf)

    def _split(self, x: Form) -> list[Form]:
        """Two digits of x, the lower first."""
        circuit = self.circuit
        if x.kind == "public":
            upper = Form(kind="public", shape=x.shape, low=x.low >> 8, high=x.high >> 8, data=(*x.data, 8))
        else:
            upper = circuit.column(x.shape, x.low >> 8, x.high >> 8)
            kept = circuit.signed(upper, upper.low, upper.high)
            circuit.in_range(combine(0, (1, x), (-256, upper)).within(0, 255), 8)
            nowrap(256 * kept + 256 + x.top)
            circuit.forgo(x, 256 * kept + 256)
        return [combine(0, (1, x), (-256, upper)).within(0, 255), upper]

    def _root(self, op: Op, parts: Sequence[Form], n: int, wide: int) -> Form:
        """r of r^2 V <= N < (r + 1)^2 V."""
        circuit, epsilon = self.circuit, op.integer("epsilon")
        lead = parts[0].shape[:-1]
        letters = LETTERS[: len(lead)]
        top = n << (2 * op.integer("precision"))
        largest = n * wide * wide + epsilon
        surplus = min(top, isqrt(top * largest) + 1)
        values = (largest, isqrt(top), surplus, top, 2 * surplus + largest)
        lengths = [len(number_digits(value)) for value in values]
        forms = circuit.digits(lead, *lengths)
        v, r, w, s, u = map(in_powers, forms)
        len_v, len_r, len_w, len_s, _ = lengths
        d = parts[0] if len(parts) == 1 else combine((0,), (1, parts[0]), ((0, 1), parts[1]))
        square = einsum(f"{letters}z,{letters}z->{letters}", d, d, (0, 0))
        digits, most = len(parts), max(part.top for part in parts)
        circuit.vanish(
            combine(number_digits(epsilon), (1, square), (-1, v)),
            max(2 * digits - 1, len_v, len(number_digits(epsilon))),
            n * digits * most**2 + 510,
        )
        by = f"{letters},{letters}->{letters}"
        circuit.vanish(
            combine((0,), (1, einsum(by, r, v, (0, 0))), (-1, w)),
            max(len_r + len_v - 1, len_w),
            255**2 * min(len_r, len_v) + 255,
        )
        minus = tuple(-digit for digit in number_digits(top))
        circuit.vanish(
            combine(minus, (1, einsum(by, r, w, (0, 0))), (1, s)),
            max(len_r + len_w - 1, len_s, len(minus)),
            255**2 * min(len_r, len_w) + 510,
        )
        circuit.vanish(combine((-1,), (2, w), (1, v), (-1, s), (-1, u)), max(lengths), 4 * 255 + 256)
        root = contract(forms[1], len(lead), [256**i for i in range(len_r)])
        return root.within(0, isqrt(top))

    def softmax(self, op: Op, x: Form, entries: Form) -> Form:
        circuit, hidden, precision = self.circuit, op.integer("causal"), op.integer("precision")
        x = self.linear(self.bounded(x))
        lead, keys, span = x.shape[:-1], x.shape[-1], x.high - x.low
        last, letters = len(lead), LETTERS[: len(lead)]
        best = circuit.column(lead, x.low, x.high)
        z = combine(0, (1, per_row(best, x)), (-1, x)).within(0, span)
        if hidden:
            z = plus(causal(plus(z, 1)), -1)
        e, b = circuit.column(x.shape, 0, entries.high), circuit.column(x.shape, 0, 1)

        def exponentials() -> list[Form]:
            length = entries.shape[0]
            parts = [cut(entries, 0, 0, min(span + 1, length))]
            if span + 1 > length:
                parts.append(broadcast(cut(entries, 0, length - 1, 1), (span + 1 - length,)))
            z_row, zero_row, extra = np.arange(span + 1), np.arange(span + 1) == 0, np.ones(span + 1)
            if hidden:
                parts.insert(0, known(np.zeros(1)))
                z_row, zero_row = np.arange(-1, span + 1), np.arange(-1, span + 1) == 0
                extra = np.concatenate([[0], extra])
            columns = [known(z_row), concat(parts, 0), known(zero_row)]
            return [*columns, known(extra)] if hidden else columns

        forms = [z, e, b, causal(ones(x.shape))] if hidden else [z, e, b]
        circuit.look(forms, ("X", entries.data, span, hidden), exponentials)
        circuit.range(plus(contract(b, last), -1), max(1, log2_up(keys)))
        most = min((1 << 29) - 1, keys * entries.high)
        total = contract(e, last).within(0, most)
        bits = log2_up(most + 1)
        count = -(-bits // 8)
        places = [256**i for i in range(count)]
        v, whole, rho = circuit.digits(lead, 4, count, count)
        if bits % 8:
            circuit.exact(take(whole, last, count - 1), bits % 8)
        nowrap((1 << bits) + total.top)
        circuit.zero(combine(0, (1, total), (-1, contract(whole, last, places))))
        minus = tuple(-digit for digit in number_digits(1 << 29))
        quotient = einsum(f"{letters},{letters}->{letters}", in_powers(v), in_powers(whole), (0, 0))
        circuit.vanish(
            combine(minus, (1, quotient), (1, in_powers(rho))), max(count + 3, 4), 4 * 255**2 + 510
        )
        f = combine(-1, (1, total), (-1, contract(rho, last, places).within(0, 1 << 29)))
        nowrap(f.top + (2 << max(bits, circuit.sizes.limb)))
        circuit.range(f, bits)
        inverse = contract(v, last, [256**i for i in range(4)]).within(0, 1 << 29)
        weights = einsum(f"{letters}z,{letters}->{letters}z", e, inverse, (0, 1 << 29))
        return self.shifted(weights, [29 - precision], 0, (0, 1 << precision), self.leaf)
