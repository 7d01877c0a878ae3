"""Integers in the field: ranges, bits, comparison, selection. Values are small signed or unsigned integers.

Native mode looks limbs up in range tables; snarkjs mode decomposes into bits.
"""

from __future__ import annotations

from collections.abc import Sequence

from ...parameters import ORDER
from ..builder import Builder, CircuitError, Hint, Mode, Wire
from ..rows import Table

BITS_MAX = 250


def range_table(builder: Builder, bits: int) -> Table:
    """The table of (x, 0) for 0 <= x < 2^bits."""
    return builder.table(f"range-{bits}", [(x, 0) for x in range(1 << bits)])


def assert_boolean(wire: Wire) -> None:
    """Wire is 0 or 1."""
    wire.builder.assert_product(wire, wire, wire)


def _limb_widths(bits: int, limb_bits: int) -> list[int]:
    full, rest = divmod(bits, limb_bits)
    return [limb_bits] * full + ([rest] if rest else [])


def split_low(wire: Wire, bits: int) -> Wire:
    """The rest q of wire = low + 2^bits q with 0 <= low < 2^bits. q is constrained by this alone, so bound it next.

    Native mode only: one row for each limb of low; the row that follows holds q in column c.
    """
    builder = wire.builder
    running = wire
    for width in _limb_widths(bits, builder.limb_bits):
        mask = (1 << width) - 1
        limb, following = builder.computed_many(_splitter(width, mask), [running], 2)
        parts = {"a": limb.variable, "b": 0, "c": running.variable, "ql": -1, "qo": running.scale, "qc": running.offset}
        builder.gate(tag=range_table(builder, width).tag, qn=-(1 << width), **parts)
        running = following
    return running


def _splitter(width: int, mask: int) -> Hint:
    def split(value: int) -> tuple[int, int]:
        centred = value - ORDER if value > ORDER // 2 else value
        return centred & mask, centred >> width

    return split


def close_chain(rest: Wire) -> None:
    """The row that `split_low` counts on where no other row holds q in column c."""
    rest.builder.gate(c=rest.variable)


def assert_range(wire: Wire, bits: int) -> None:
    """0 <= wire < 2^bits."""
    builder = wire.builder
    if not 0 <= bits <= BITS_MAX:
        raise CircuitError(f"a range of {bits} bits is not within 0 to {BITS_MAX}")
    if bits == 0:
        builder.assert_equal(wire, 0)
    elif bits == 1:
        assert_boolean(wire)
    elif builder.mode is Mode.SNARKJS:
        to_bits(wire, bits)
    else:
        widths = _limb_widths(bits, builder.limb_bits)
        last = widths.pop()
        rest = split_low(wire, bits - last) if widths else wire
        table = range_table(builder, last)
        limb = builder.plain(rest)
        builder.gate(tag=table.tag, a=limb.variable, b=0, c=rest.variable if widths else 0)


def to_bits(wire: Wire, bits: int) -> tuple[Wire, ...]:
    """The bits of 0 <= wire < 2^bits, lowest first."""
    builder = wire.builder
    if not 1 <= bits <= BITS_MAX:
        raise CircuitError(f"{bits} bits are not within 1 to {BITS_MAX}")

    def split(value: int) -> Sequence[int]:
        return [(value >> index) & 1 for index in range(bits)]

    found = builder.computed_many(split, [wire], bits) if bits > 1 else (builder.computed(lambda v: v & 1, [wire]),)
    for bit in found:
        assert_boolean(bit)
    builder.assert_sum([(1 << index, bit) for index, bit in enumerate(found)] + [(-1, wire)])
    return found


def is_zero(wire: Wire) -> Wire:
    """1 where wire is 0, else 0: out = 1 - wire * inverse, and wire * out = 0."""
    builder = wire.builder
    inverse = builder.computed(lambda value: pow(value, -1, ORDER) if value else 0, [wire])
    out = builder.computed(lambda value: int(value == 0), [wire])
    builder.assert_product(wire, inverse, 1 - out)
    builder.assert_product(wire, out, builder.constant(0))
    return out


def is_equal(left: Wire, right: Wire) -> Wire:
    """1 where both are equal, else 0."""
    return is_zero(left - right)


def is_at_least(left: Wire, right: Wire | int, bits: int) -> Wire:
    """1 where left >= right, else 0, for |left - right| < 2^bits as integers (the caller's promise)."""
    builder = left.builder
    shifted = left - right + (1 << bits)
    if builder.mode is Mode.SNARKJS:
        return to_bits(shifted, bits + 1)[bits]
    high = split_low(shifted, bits)
    builder.gate(a=high.variable, b=high.variable, c=high.variable, qm=1, ql=-1)
    return high


def is_less(left: Wire, right: Wire | int, bits: int) -> Wire:
    """1 where left < right, else 0, for |left - right| < 2^bits."""
    return 1 - is_at_least(left, right, bits)


def select(condition: Wire, when_true: Wire, when_false: Wire) -> Wire:
    """when_true where the boolean condition is 1, else when_false."""
    builder = condition.builder
    return builder.sum([(1, when_false), (1, condition * (when_true - when_false))])


def divide(wire: Wire, divisor: int, quotient_bits: int) -> tuple[Wire, Wire]:
    """Quotient and remainder of 0 <= wire < divisor * 2^quotient_bits by a positive constant."""
    builder = wire.builder
    if not 1 <= divisor < 1 << 64 or quotient_bits + divisor.bit_length() > BITS_MAX:
        raise CircuitError(f"dividing by {divisor} to {quotient_bits} bits may wrap around the field")
    quotient, remainder = builder.computed_many(lambda value: divmod(value, divisor), [wire], 2)
    builder.assert_sum([(divisor, quotient), (1, remainder), (-1, wire)])
    assert_range(quotient, quotient_bits)
    bits = (divisor - 1).bit_length()
    assert_range(remainder, bits)
    if divisor != 1 << bits:
        assert_range((divisor - 1) - remainder, bits)
    return quotient, remainder


def maximum(wires: Sequence[Wire], bits: int) -> Wire:
    """The largest of several integers whose differences are below 2^bits in size."""
    builder = wires[0].builder
    if len(wires) == 1:
        return wires[0]

    def largest(*values: int) -> int:
        return max(values, key=lambda value: value - ORDER if value > ORDER // 2 else value)

    found = builder.computed(largest, wires)
    product: Wire | None = None
    for wire in wires:
        gap = found - wire
        assert_range(gap, bits)
        product = gap if product is None else product * gap
    assert product is not None
    builder.assert_equal(product, 0)
    return found


def argmax(wires: Sequence[Wire], bits: int) -> Wire:
    """The lowest index of the largest integer; differences are below 2^bits in size."""
    builder = wires[0].builder
    best, index = wires[0], builder.constant(0)
    for position, wire in enumerate(wires[1:], start=1):
        larger = is_at_least(wire - 1, best, bits + 1)
        if position < len(wires) - 1:
            best = select(larger, wire, best)
        index = select(larger, builder.constant(position), index)
    return index
