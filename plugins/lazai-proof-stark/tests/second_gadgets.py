"""Columns, lookups, tables, equalities and the gadgets of PROTOCOL.md, section 14.2."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field

import numpy as np
from second_field import log2_up
from second_forms import (
    Form,
    Shape,
    arange,
    broadcast,
    combine,
    concat,
    cut,
    in_powers,
    known,
    nowrap,
    plus,
    refuse,
    reshape,
)

from lazai_core.testing.field_reference import P

CHI_STEP = (256, -1)
"""256 - chi."""


@dataclass(kw_only=True)
class Sizes:
    """What the key says of tables."""

    range_bits: int
    clamps: list[tuple[int, int, bool, bool]]

    @property
    def limb(self) -> int:
        return max(self.range_bits, 8)

    def clamp(self, width: int) -> tuple[int, bool, bool]:
        for known_width, reach, tabled, merged in self.clamps:
            if known_width == width:
                return reach, tabled, merged
        return 255, width <= 1 << 13, True


@dataclass(eq=False, kw_only=True)
class Lookup:
    forms: tuple[Form, ...]
    table: int
    image: bool


@dataclass(eq=False, kw_only=True)
class Table:
    multiplicity: Form
    forms: tuple[Form, ...]


@dataclass(eq=False, kw_only=True)
class Waiting:
    """A check that a clamped value or a leaf lies in its interval."""

    leaf: Form
    bottom: int
    top: int
    tight: bool = False
    corrections: tuple[Form, ...] = ()
    reach: int = 0
    sign: Form | None = None
    function: tuple[Form, int, Form] | None = None
    dropped: bool = False
    image: bool


@dataclass(eq=False, kw_only=True)
class Circuit:
    sizes: Sizes
    columns: list[tuple[Shape, bool]] = field(default_factory=list)
    tables: list[Table] = field(default_factory=list)
    lookups: list[Lookup] = field(default_factory=list)
    equalities: list[Form] = field(default_factory=list)
    waiting: list[Waiting] = field(default_factory=list)
    table_numbers: dict[Hashable, int] = field(default_factory=dict)
    image: bool = False
    """The flag of the operation or check that is being made."""

    def column(self, shape: Sequence[int], low: int, high: int, *, limbs: bool = False) -> Form:
        self.columns.append((tuple(shape), self.image and not limbs))
        return Form(kind="column", shape=tuple(shape), low=low, high=high, data=len(self.columns) - 1)

    def look(self, forms: Sequence[Form], name: Hashable, make: Callable[[], Sequence[Form]]) -> None:
        table = self.table(name, make)
        refuse(len({form.shape for form in forms}) == 1 and len(forms) <= 4, "lookup")
        self.lookups.append(Lookup(forms=tuple(forms), table=table, image=self.image))

    def table(self, name: Hashable, make: Callable[[], Sequence[Form]]) -> int:
        if name not in self.table_numbers:
            forms = tuple(make())
            refuse(forms[0].cells <= 1 << 18, "table size")
            image, self.image = self.image, False
            multiplicity = self.column(forms[0].shape, 0, P - 1)
            self.image = image
            self.table_numbers[name] = len(self.tables)
            self.tables.append(Table(multiplicity=multiplicity, forms=forms))
        return self.table_numbers[name]

    def zero(self, form: Form) -> None:
        self.equalities.append(form)

    def materialised(self, form: Form) -> Form:
        image, self.image = self.image, False
        made = self.column(form.shape, form.low, form.high)
        self.image = image
        self.zero(combine(0, (1, made), (-1, form)))
        return made

    def bounded(self, form: Form) -> Form:
        return form if form.paths <= 24 and form.depth <= 48 else self.materialised(form)

    def linear(self, form: Form) -> Form:
        return self.materialised(form) if form.bilinear else form

    # Ranges.

    def in_range(self, form: Form, bits: int) -> None:
        """look(f; R(bits))."""
        self.look([form], ("R", bits), lambda: [arange(1 << bits, 0)])

    def limb(self, shape: Shape, bits: int = 8) -> Form:
        made = self.column(shape, 0, (1 << bits) - 1, limbs=True)
        self.in_range(made, bits)
        return made

    def range(self, form: Form, bits: int) -> int:
        limit, rest = self.sizes.limb, form
        if bits <= limit:
            size = 8 if bits <= 8 else limit
            self.in_range(form, size)
            return 1 << size
        upper = -(-(bits - limit) // 8)
        low = bits - 8 * upper
        for i in range(upper):
            rest = combine(0, (1, rest), (-(1 << (low + 8 * i)), self.limb(form.shape)))
        size = limit if low > 8 else 8
        self.in_range(rest, size)
        end = (1 << size) + sum(255 << (low + 8 * i) for i in range(upper))
        nowrap(end)
        return end

    def exact(self, form: Form, bits: int) -> None:
        low, rest = min(bits, self.sizes.limb), form
        for place in range(low, bits, 8):
            rest = combine(0, (1, rest), (-(1 << place), self.limb(form.shape, min(8, bits - place))))
        self.in_range(rest, low)
        nowrap(1 << bits)

    @staticmethod
    def bits_of(low: int, high: int) -> tuple[int, int]:
        """Bits and offset."""
        if low >= 0:
            return max(1, log2_up(high + 1)), 0
        bits = 1 + log2_up(max(high + 1, -low))
        return bits, 1 << (bits - 1)

    def kept(self, low: int, high: int, tight: bool) -> int:
        bits, offset = self.bits_of(low, high)
        limit = self.sizes.limb
        loose = 1 << 8 if bits <= 8 else 1 << limit if bits <= limit else (1 << bits) + (1 << limit)
        return max(offset, (1 << bits if tight else loose) - offset)

    def signed(self, form: Form, low: int, high: int, tight: bool = False) -> int:
        bits, offset = self.bits_of(low, high)
        shifted = plus(form, offset)
        if tight:
            self.exact(shifted, bits)
        else:
            self.range(shifted, bits)
        return self.kept(low, high, tight)

    def divided(self, rest: Form, n: int, bound: int) -> None:
        bits = log2_up(n)
        nowrap(bound + (2 << max(bits, self.sizes.limb)))
        if n == 1 << bits:
            self.exact(rest, bits)
        else:
            self.range(rest, bits)
            self.range(combine(n - 1, (-1, rest)), bits)

    # Clamps.

    def clamp(
        self,
        make: Callable[[int, int], Form] | None,
        shape: Shape,
        reached: tuple[int, int],
        limits: tuple[int, int],
        room: int,
    ) -> tuple[Form, Form, int]:
        """Leaf, q and q's bound; `make` makes the leaf of a program value."""
        (least, most), (low, high) = reached, limits
        bottom, top = max(low, min(high, least)), min(high, max(low, most))
        leaf = make(bottom, top) if make else self.column(shape, bottom, top)
        beyond = max(low - least, most - high, 0)
        if beyond == 0:
            tight = self.kept(bottom, top, False) > room
            self.waiting.append(Waiting(leaf=leaf, bottom=bottom, top=top, tight=tight, image=self.image))
            return leaf, leaf, self.kept(bottom, top, tight)
        reach, tabled, _ = self.sizes.clamp(top - bottom)
        ends = max(abs(bottom), abs(top))
        factors = _factors(reach, beyond)
        if ends + reach * sum(factors) > room:
            number = len(factors)
            reach = next(r for r in range(1, beyond + 1) if (r + 1) ** number > beyond)
            factors = _factors(reach, beyond)
        corrections = tuple(self.column(shape, -reach, reach) for _ in factors)
        sign = None if tabled else self.column(shape, -1, 1)
        self.waiting.append(
            Waiting(
                leaf=leaf, bottom=bottom, top=top, corrections=corrections, reach=reach, sign=sign, image=self.image
            )
        )
        q = combine(0, (1, leaf), *zip(factors, corrections, strict=True))
        return leaf, q, ends + reach * sum(factors)

    def function(self, x: Form, low: int, high: int, entries: Form, first: int, y: Form) -> None:
        n = high - low + 1
        name = ("F", entries.data, first, high - low)
        self.look([plus(x, -low), y], name, lambda: [arange(n, 0), cut(entries, 0, first, n)])

    def merge(self, x: Form, entries: Form, offset: int, y: Form) -> bool:
        for check in self.waiting:
            if not check.leaf.is_leaf(x) or check.function or check.sign:
                continue
            if check.corrections and not self.sizes.clamp(check.top - check.bottom)[2]:
                return False
            check.function = (entries, offset, y)
            return True
        return False

    def forgo(self, x: Form, bound: int) -> None:
        for check in self.waiting:
            plain = check.leaf.is_leaf(x) and not check.corrections and not check.function
            if plain and self.kept(check.bottom, check.top, check.tight) >= bound:
                check.dropped = True

    def finish(self) -> None:
        """The waiting checks."""
        for check in self.waiting:
            self.image = check.image
            if check.sign is not None:
                self._signed_clamp(check, check.sign)
            elif check.corrections:
                self._tabled_clamp(check)
            elif check.function:
                entries, offset, y = check.function
                self.function(check.leaf, check.bottom, check.top, entries, check.bottom - offset, y)
            elif not check.dropped:
                self.signed(check.leaf, check.bottom, check.top, check.tight)

    def _signed_clamp(self, check: Waiting, sign: Form) -> None:
        reach = check.reach
        for correction in check.corrections:
            rows = [(0, 0)] * (reach + 1) + [(s, s * j) for s in (1, -1) for j in range(reach + 1)]
            self.look([sign, correction], ("S", reach), lambda rows=rows: _columns(rows))  # type: ignore[misc]
        up, down = combine(check.top, (-1, check.leaf)), plus(check.leaf, -check.bottom)
        for s, distance in ((sign, up), (combine(0, (-1, sign)), down)):
            bits, rest = log2_up(check.top - check.bottom + 1), distance
            nowrap(4 << (8 * -(-bits // 8)))
            for place in range(8, bits, 8):
                digit = self.column(check.leaf.shape, 0, 255, limbs=True)
                rest = combine(0, (1, rest), (-(1 << place), digit))
                self._look_side(s, digit)
            self._look_side(s, rest)

    def _look_side(self, sign: Form, digit: Form) -> None:
        rows = [(1, 0), *((s, n) for s in (0, -1) for n in range(256))]
        self.look([sign, digit], "D", lambda: _columns(rows))

    def _tabled_clamp(self, check: Waiting) -> None:
        width, reach = check.top - check.bottom, check.reach
        rows = [(k, 0) for k in range(width + 1)]
        rows += [(width, j) for j in range(1, reach + 1)] + [(0, -j) for j in range(1, reach + 1)]
        distance = plus(check.leaf, -check.bottom)
        for i, correction in enumerate(check.corrections):
            if i or not check.function:
                self.look([distance, correction], ("C", width, reach), lambda: _columns(rows))
                continue
            entries, offset, y = check.function
            first = check.bottom - offset

            def merged(entries: Form = entries, first: int = first) -> list[Form]:
                most, least = cut(entries, 0, first + width, 1), cut(entries, 0, first, 1)
                spread = [broadcast(reshape(end, (1,)), (reach,)) for end in (most, least)]
                return [*_columns(rows), concat([cut(entries, 0, first, width + 1), *spread], 0)]

            self.look([distance, correction, y], ("CF", width, reach, entries.data, first), merged)

    # Digits.

    def digits(self, shape: Shape, *counts: int) -> list[Form]:
        made = self.column((*shape, sum(counts)), 0, 255)
        self.in_range(made, 8)
        starts = [sum(counts[:i]) for i in range(len(counts))]
        return [cut(made, len(shape), start, n) for start, n in zip(starts, counts, strict=True)]

    def vanish(self, form: Form, n: int, largest: int) -> None:
        """form = t(chi), t of n coefficients, must be zero at 256."""
        if n == 1:
            nowrap(largest)
            self.zero(form)
            return
        most = largest // 255 + 2
        carries = self.column((*form.shape, n - 1), -most, most)
        reach = self.signed(carries, -most, most)
        nowrap(largest + 257 * reach)
        self.zero(combine((0,), (1, form), (CHI_STEP, in_powers(carries))))


def _columns(rows: Sequence[tuple[int, ...]]) -> list[Form]:
    return [known(np.array(column)) for column in zip(*rows, strict=True)]


def _factors(reach: int, beyond: int) -> list[int]:
    factors = [1]
    while (reach + 1) * factors[-1] <= beyond:
        factors.append((reach + 1) * factors[-1])
    if len(factors) > 1:
        before = factors[-2]
        factors[-1] = before * -(-(beyond // (reach + 1) + 1) // before)
    return factors
