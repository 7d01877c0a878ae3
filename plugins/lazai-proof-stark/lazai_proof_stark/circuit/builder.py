"""The state of one compilation, and the gadgets every operation is made of: columns, tables, range checks, clamps.

**Range checks.** `check_range` shows that a form lies in an interval that starts at 0 and ends at or above the wanted
bound ("loose": enough to exclude wrap-around); `check_exact` shows exactly [0, 2^bits). Wide forms are cut into limbs;
the upper limbs are columns, the lowest is the form minus the others, so that nothing has to be said about the sum: the
form *is*, mod p, the sum of numbers looked up in tables, whose total is below p.

**Clamps.** y = clamp(q, low, high) with q = y + e: u = y - low lies in [0, width], and (u, e) is in the table of rows
(u, 0) for every u, (width, e) for e > 0, (0, e) for e < 0. So e = 0 unless y is at an end, and then q lies beyond that
end; for each q exactly one y is possible (with e = 0 inside, e = q - high above, e = q - low below). Excesses too large
for one table are cut into limbs of one sign, each of which is in the same table with the same u. A function table that
reads y is merged into the tuple of the first limb.

**No wrap-around.** An identity D = 0 is used over the integers only where |D| < p follows from the bounds that lookups
enforce on its parts; `no_wrap` refuses the program otherwise.
"""

from __future__ import annotations

from collections.abc import Sequence

from lazai_core.api.program import Program

from ..field import P
from . import algebra
from .builder_base import SMALL_BITS, TABLE_ROWS_MAX, BuilderBase
from .checks import Demand, PendingCheck, demand_of, least_reach, limb_coefficients, signed_bits
from .layout import Layout, arrange, bits_of, pieces_of
from .nodes import Committed, Node, Public, Shape
from .relations import Circuit, Fill


def committed_constants(program: Program) -> tuple[int, ...]:
    """The constants in W: every operand but shift vectors, whatever the dimension's value."""
    found = {
        operand
        for op in program.ops
        for operand in (op.operands[:1] if op.kind == "requantize" else op.operands)
        if program.first_constant <= operand < program.first_result
    }
    return tuple(operand - program.first_constant for operand in sorted(found))


class Builder(BuilderBase):
    """The gadgets."""

    def limb(self, name: str, form: Node | Fill, shape: Shape, shift: int, bits: int, offset: int = 0) -> Committed:
        """A column of bits [shift, shift + bits) of form + offset."""
        fill = Fill(kind="digit", arguments=(form,), numbers=(shift, bits, offset))
        return self.column(name, shape, 0, (1 << bits) - 1, fill)

    def check_range(self, name: str, form: Node, bits: int, *, image: bool = False) -> int:
        """The form is in [0, end) with end >= 2^bits; returns `end`."""
        large = self.sizes.range_bits
        if bits <= large:
            table = SMALL_BITS if bits <= SMALL_BITS else large
            self.lookup(name, [form], self.range_table(table), image=image)
            return 1 << table
        upper = -(-(bits - large) // SMALL_BITS)
        shift = bits - SMALL_BITS * upper
        lowest, end = form, 0
        for i in range(upper):
            place = shift + SMALL_BITS * i
            limb = self.limb(f"{name} limb", form, form.shape, place, SMALL_BITS)
            self.lookup(f"{name} limb", [limb], self.range_table(SMALL_BITS), image=image)
            lowest = algebra.linear([(1, lowest), (-(1 << place), limb)])
            end += 255 << place
        self.lookup(name, [lowest], self.range_table(large if shift > SMALL_BITS else SMALL_BITS), image=image)
        end += 1 << (large if shift > SMALL_BITS else SMALL_BITS)
        self.no_wrap(end, f"the range check of {name}")
        return end

    def check_exact(self, name: str, form: Node, bits: int, *, image: bool = False) -> None:
        """The form is in [0, 2^bits)."""
        large = self.sizes.range_bits
        lowest, place = form, min(bits, large)
        shift = place
        while shift < bits:
            width = min(SMALL_BITS, bits - shift)
            limb = self.limb(f"{name} limb", form, form.shape, shift, width)
            self.lookup(f"{name} limb", [limb], self.range_table(width), image=image)
            lowest = algebra.linear([(1, lowest), (-(1 << shift), limb)])
            shift += width
        self.lookup(name, [lowest], self.range_table(place), image=image)
        self.no_wrap(1 << bits, f"the range check of {name}")

    def check_signed(
        self, name: str, leaf: Node, low: int, high: int, *, image: bool = False, tight: bool = False
    ) -> int:
        """A leaf wanted in [low, high] is bounded; returns a bound of its absolute value."""
        bits, offset = signed_bits(low, high)
        shifted = algebra.linear([(1, leaf)], offset)
        if tight:
            self.check_exact(name, shifted, bits, image=image)
        else:
            self.check_range(name, shifted, bits, image=image)
        return self._enforced(low, high, tight)

    def clamp(
        self,
        value: int | None,
        shape: Shape,
        quotient: Fill,
        ends: tuple[int, int],
        limits: tuple[int, int],
        room: int,
        *,
        image: bool = False,
    ) -> tuple[Node, Node, int]:
        """The clamp of q to `limits` for q in `ends`: the leaf of y, the form q, and the enforced bound of |q|.

        `quotient` computes q; y is program value `value`, or an auxiliary column (None). The enforced bound is at most
        `room` where an exact check can achieve that.
        """
        (low_q, high_q), (low, high) = ends, limits
        bottom, top = max(low, min(high, low_q)), min(high, max(low, high_q))
        if value is None:
            fill = Fill(kind="clip", arguments=(quotient,), numbers=(bottom, top))
            leaf: Committed | Public = self.column("quotient", shape, bottom, top, fill, image=image)
        else:
            leaf = self.leaf(value, bottom, top, image=image)
        beyond = max(low - low_q, high_q - high, 0)
        if beyond == 0:
            tight = self._enforced(bottom, top) > room
            check = PendingCheck(op=self.op, leaf=leaf, low=bottom, high=top, image=image, tight=tight)
            self.wait(check)
            return leaf, leaf, self._enforced(bottom, top, tight)
        excess = Fill(kind="subtract", arguments=(quotient, leaf))
        reach, tabled, _ = self.sizes.clamp(top - bottom)
        ends_size = max(abs(bottom), abs(top))
        coefficients = limb_coefficients(beyond, reach)
        if ends_size + reach * sum(coefficients) > room:
            # A table of its own, with the smallest limbs that reach far enough.
            reach = least_reach(beyond, len(coefficients))
            coefficients = limb_coefficients(beyond, reach)
        columns = self._excess(leaf.shape, excess, coefficients, reach, image)
        check = PendingCheck(
            op=self.op, leaf=leaf, low=bottom, high=top, image=image, excess=tuple(columns), reach=reach, beyond=beyond
        )
        if not tabled:
            sign = Fill(kind="sign", arguments=(excess,))
            check.sign = self.column("sign", leaf.shape, -1, 1, sign, image=image)
        self.wait(check)
        parts = zip(coefficients, columns, strict=True)
        q = algebra.linear([(1, leaf), *((coefficient, column) for coefficient, column in parts)])
        return leaf, q, ends_size + reach * sum(coefficients)

    def _enforced(self, low: int, high: int, tight: bool = False) -> int:
        """The bound that `check_signed` enforces."""
        bits, offset = signed_bits(low, high)
        large = self.sizes.range_bits
        if tight:
            end = 1 << bits
        elif bits <= large:
            end = 1 << (SMALL_BITS if bits <= SMALL_BITS else large)
        else:
            end = (1 << bits) + (1 << large)
        return max(offset, end - offset)

    def _excess(
        self, shape: Shape, excess: Fill, coefficients: Sequence[int], reach: int, image: bool
    ) -> list[Committed]:
        columns = []
        for i, coefficient in enumerate(coefficients):
            above = coefficients[i + 1] if i + 1 < len(coefficients) else 0
            fill = Fill(kind="signed_digit", arguments=(excess,), numbers=(coefficient, above))
            columns.append(self.column("excess", shape, -reach, reach, fill, image=image))
        return columns

    def merge_function(self, source: Node, constant: Node, offset: int, result: Node) -> bool:
        """Let the check of leaf `source` also show result = constant[source - offset]; False where it cannot."""
        for check in self.waiting_for(source):
            if check.constant is None and check.sign is None:
                check.mergeable = True
                if check.excess and not self.sizes.clamp(check.high - check.low)[2]:
                    return False
                check.constant, check.offset, check.result = constant, offset, result
                return True
        return False

    def forgo(self, leaf: Node, bound: int) -> None:
        """The caller's own lookups keep |leaf| <= bound: drop a waiting range check that promised no less."""
        for check in self.waiting_for(leaf):
            if not check.excess and check.constant is None:
                check.wanted = check.wanted and self._enforced(check.low, check.high, check.tight) < bound

    def limbs(self, name: str, shape: Shape, *parts: tuple[Fill, int]) -> list[Node]:
        """Digits of base 256 of several numbers a cell, (value, count) each, along a last axis; one column for all."""
        count = sum(part[1] for part in parts)
        pieces = tuple(Fill(kind="limbs", arguments=(fill,), numbers=(SMALL_BITS, n)) for fill, n in parts)
        column = self.column(name, (*shape, count), 0, 255, Fill(kind="join", arguments=pieces))
        self.lookup(name, [column], self.range_table(SMALL_BITS))
        starts = [sum(part[1] for part in parts[:i]) for i in range(len(parts))]
        return [algebra.cut(column, len(shape), start, n) for start, (_, n) in zip(starts, parts, strict=True)]

    def vanishes_at_256(self, name: str, form: Node, fill: Fill, count: int, largest: int) -> None:
        """The integer polynomial t(X) behind `form` = t(chi), `count` coefficients up to `largest`, is zero at 256.

        t(X) = (X - 256) c(X) for an integer polynomial c, the carries, exactly then. The identity is tested at chi, so
        each coefficient of it is zero mod p, and with bounded carries zero over the integers.
        """
        if count == 1:
            # A polynomial of degree zero is its own value.
            self.no_wrap(largest, name)
            self.equality(name, form)
            return
        bound = largest // 255 + 2
        carries = Fill(kind="carries", arguments=(fill,), numbers=(256, count - 1))
        column = self.column(f"{name} carries", (*form.shape, count - 1), -bound, bound, carries)
        reach = self.check_signed(f"{name} carries", column, -bound, bound)
        self.no_wrap(largest + 257 * reach, f"the carries of {name}")
        at = algebra.at_challenge(column, len(form.shape))
        self.equality(name, algebra.linear([(1, form), ((256, -1), at)]))

    def flush(self) -> None:
        """Emit the checks that waited."""
        self.demands = tuple(demand_of(check) for check in self.pending if check.excess)
        for check in self.pending:
            self.op = check.op
            if check.sign is not None:
                self._flush_signed_clamp(check, check.sign)
            elif check.excess:
                self._flush_clamp(check)
            elif check.constant is not None and check.result is not None:
                ends, first = (check.low, check.high), check.low - check.offset
                self.function("function", check.leaf, ends, check.constant, first, check.result, check.image)
            elif check.wanted:
                self.check_signed("value", check.leaf, check.low, check.high, image=check.image, tight=check.tight)
        self.pending.clear()
        self.waiting.clear()

    def _flush_clamp(self, check: PendingCheck) -> None:
        width = check.high - check.low
        u = algebra.linear([(1, check.leaf)], -check.low)
        for position, excess in enumerate(check.excess):
            forms = [u, excess]
            table = None
            if position == 0 and check.constant is not None and check.result is not None:
                forms.append(check.result)
                table = self.clamp_table(width, check.reach, check.constant, check.low - check.offset)
            else:
                table = self.clamp_table(width, check.reach)
            self.lookup("clamp", forms, table, image=check.image)

    def _flush_signed_clamp(self, check: PendingCheck, sign: Node) -> None:
        counts = algebra.arange(check.reach + 1)
        signs = [algebra.uniform((check.reach + 1,), s) for s in (0, 1, -1)]
        values = [algebra.uniform((check.reach + 1,), 0), counts, algebra.linear([(-1, counts)])]
        columns = [algebra.concat(signs, 0), algebra.concat(values, 0)]
        table = self.table(("sign", check.reach), f"signed {check.reach}", columns, "sign", (check.reach + 1,))
        for excess in check.excess:
            self.lookup("excess", [sign, excess], table, image=check.image)
        above = algebra.linear([(-1, check.leaf)], check.high)
        below = algebra.linear([(1, check.leaf)], -check.low)
        opposite = algebra.linear([(-1, sign)])
        for s, difference in ((sign, above), (opposite, below)):
            bits, lowest, place = bits_of(check.high - check.low + 1), difference, SMALL_BITS
            # Both distances together are the width, mod p: neither may hide a multiple of p.
            self.no_wrap(4 << (SMALL_BITS * -(-bits // SMALL_BITS)), "the distances from a clamp's ends")
            while place < bits:
                limb = self.limb("distance limb", difference, difference.shape, place, SMALL_BITS)
                lowest = algebra.linear([(1, lowest), (-(1 << place), limb)])
                self.lookup("distance", [s, limb], self._distance_table(), image=check.image)
                place += SMALL_BITS
            self.lookup("distance", [s, lowest], self._distance_table(), image=check.image)

    def _distance_table(self) -> int:
        count = 1 << SMALL_BITS
        signs = [algebra.uniform((1,), 1), algebra.uniform((count,), 0), algebra.uniform((count,), -1)]
        values = [algebra.uniform((1,), 0), algebra.arange(count), algebra.arange(count)]
        columns = [algebra.concat(signs, 0), algebra.concat(values, 0)]
        return self.table(("distance",), "distance", columns, "distance", (count,))

    def function(
        self,
        name: str,
        source: Node,
        ends: tuple[int, int],
        constant: Node,
        first: int,
        result: Node,
        image: bool,
    ) -> None:
        """Show that result = constant[first + source - low] for source in [low, high] = `ends`."""
        low, high = ends
        key = ("function", constant, first, high - low)
        columns = [algebra.arange(high - low + 1), self.entries(constant, first, high - low + 1)]
        table = self.table(key, f"function of {high - low + 1} values", columns, "offset", (0,))
        self.lookup(name, [algebra.linear([(1, source)], -low), result], table, image=image)

    def _weights(self, constants: Sequence[int]) -> Layout:
        """The layout of W; more pieces where they save a variable."""
        shapes = [(index, self.program.constants[index].shape) for index in constants]
        plain = arrange([(index, pieces_of(shape)) for index, shape in shapes])
        tight = arrange([(index, pieces_of(shape, tight=True)) for index, shape in shapes])
        return tight if tight.variables < plain.variables else plain

    # The end.

    def finish(self) -> Circuit:
        """The circuit. Refuses too many lookups: multiplicities must not wrap."""
        self.flush()
        self.op = -1
        constants = committed_constants(self.program)
        assert set(self._constants) <= set(constants), "a public constant is used as a committed one"
        total = sum(lookup.cells for lookup in self.lookups)
        if total >= P:
            raise self.refuse(f"{total} lookups reach the field's characteristic")
        return Circuit(
            bound=self.bound,
            columns=tuple(self.columns),
            tables=tuple(self.tables),
            lookups=tuple(self.lookups),
            equalities=tuple(self.equalities),
            constants=constants,
            bindings=tuple((node, value) for value, node in sorted(self.values.items())),
            activations=arrange([(column.index, column.pieces) for column in self.columns]),
            weights=self._weights(constants),
            public=self.public,
            sizes=self.sizes,
        )


__all__ = ["SMALL_BITS", "TABLE_ROWS_MAX", "Builder", "Demand", "committed_constants", "limb_coefficients"]
