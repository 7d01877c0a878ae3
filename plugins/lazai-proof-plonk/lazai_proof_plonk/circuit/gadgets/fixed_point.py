"""Fixed point: clamping, requantisation with rounding, ReLU, tables. The arithmetic is that of exact programs."""

from __future__ import annotations

from collections.abc import Sequence

from ..builder import Builder, Mode, Wire, signed
from .integers import assert_range, close_chain, split_low

TABLE_ROWS_MAX = 1 << 12


def round_shift(wire: Wire, shift: int, low: int, high: int) -> tuple[Wire, int, int]:
    """(wire + 2^(shift-1)) >> shift of an integer in [low, high]; the result's interval comes with it.

    The quotient is not bounded yet: clamp it or range-check it, else a wrong one may pass. Native mode.
    """
    if shift <= 0:
        return wire * (1 << -shift), low << -shift, high << -shift
    half = 1 << (shift - 1)
    return split_low(wire + half, shift), (low + half) >> shift, (high + half) >> shift


def clamp(wire: Wire, low: int, high: int, least: int, most: int, *, table_rows: int = TABLE_ROWS_MAX) -> Wire:
    """min(max(wire, least), most), and proof that wire lies in [low, high].

    One lookup where the interval has at most `table_rows` entries, else a few range checks.
    """
    builder = wire.builder
    if high - low < table_rows and builder.mode is Mode.NATIVE:
        entries = [(value, min(max(value, least), most)) for value in range(low, high + 1)]
        table = builder.table(f"clamp-{low}-{high}-{least}-{most}", entries)
        plain = builder.plain(wire)
        out = builder.computed(lambda value: table.outputs.get(value, 0), [plain])
        # Column c holds the same wire, for the sake of a chain that ends here.
        builder.gate(tag=table.tag, a=plain.variable, b=out.variable, c=plain.variable)
        return out
    return _clamp_by_ranges(wire, low, high, least, most)


def _clamp_by_ranges(wire: Wire, low: int, high: int, least: int, most: int) -> Wire:
    """Wire = y + over - under; over only where y = most, under only where y = least."""
    builder = wire.builder
    if builder.mode is Mode.NATIVE:
        close_chain(builder.plain(wire))
    if least == most:
        _assert_interval(wire, low, high)
        return builder.constant(least)
    out = builder.computed(lambda value: min(max(signed(value), least), most), [wire])
    _assert_interval(out, max(least, min(low, most)), min(most, max(high, least)))
    terms = [(1, wire), (-1, out)]
    if high > most:
        over = builder.computed(lambda value: max(signed(value) - most, 0), [wire])
        assert_range(over, (high - most).bit_length())
        builder.assert_product(over, most - out, builder.constant(0))
        terms.append((-1, over))
    if low < least:
        under = builder.computed(lambda value: max(least - signed(value), 0), [wire])
        assert_range(under, (least - low).bit_length())
        builder.assert_product(under, out - least, builder.constant(0))
        terms.append((1, under))
    builder.assert_sum(terms)
    return out


def _assert_interval(wire: Wire, low: int, high: int) -> None:
    """Low <= wire <= high."""
    bits = (high - low).bit_length()
    assert_range(wire - low, bits)
    if high - low + 1 != 1 << bits:
        assert_range(high - wire, bits)


def _rounded(value: int, shift: int) -> int:
    return (value + (1 << (shift - 1))) >> shift if shift > 0 else value << -shift


def requantize(
    wire: Wire, shift: int, low: int, high: int, least: int, most: int, *, table_rows: int = TABLE_ROWS_MAX
) -> Wire:
    """clamp(round_shift(wire, shift), least, most) of an integer in [low, high]; a constant where all saturate."""
    builder = wire.builder
    ends = [_rounded(value, shift) for value in (low, high)]
    if ends[1] <= least or ends[0] >= most:
        return builder.constant(least if ends[1] <= least else most)
    if builder.mode is Mode.SNARKJS and shift > 0:
        return _requantize_bits(wire, shift, low, high, least, most)
    quotient, low, high = round_shift(wire, shift, low, high)
    return clamp(quotient, low, high, least, most, table_rows=table_rows)


def _requantize_bits(wire: Wire, shift: int, low: int, high: int, least: int, most: int) -> Wire:
    builder, half = wire.builder, 1 << (shift - 1)
    rounded = wire + half
    low_part = builder.computed(lambda value: signed(value) & ((1 << shift) - 1), [rounded])
    quotient = builder.computed(lambda value: signed(value) >> shift, [rounded])
    assert_range(low_part, shift)
    builder.assert_sum([(1 << shift, quotient), (1, low_part), (-1, rounded)])
    return _clamp_by_ranges(quotient, (low + half) >> shift, (high + half) >> shift, least, most)


def relu(wire: Wire, low: int, high: int, *, table_rows: int = TABLE_ROWS_MAX) -> Wire:
    """max(wire, 0) of an integer in [low, high]."""
    if low >= 0:
        return wire
    return clamp(wire, low, high, 0, max(high, 0), table_rows=table_rows)


def table_lookup(builder: Builder, name: str, wire: Wire, offset: int, entries: Sequence[int]) -> Wire:
    """entries[wire - offset]; a wire outside of the table has no proof."""
    return builder.lookup(builder.table(name, [(offset + i, entry) for i, entry in enumerate(entries)]), wire)
