"""The builder: wires, gates, copy constraints, public values, lookups, and how to compute every wire.

A circuit is built once. Each new wire brings a function that computes it, so `solve` makes a witness for any inputs.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

from lazai_core.api.errors import ProvingFailed

from ..parameters import ORDER
from .rows import Classes, Gate, Source, Table, calling_source
from .wires import CircuitError, Hint, Mode, Wire, signed

__all__ = ["Builder", "CircuitError", "Hint", "Mode", "Wire", "signed"]


class Builder:
    """Collects a circuit. Wire 0 is the constant zero; it also fills cells that no gate uses."""

    def __init__(self, mode: Mode = Mode.NATIVE, *, limb_bits: int = 8) -> None:
        self.mode = mode
        self.limb_bits = limb_bits
        self.gates: list[Gate] = []
        self.public: list[int] = []
        self.inputs: list[tuple[str, int]] = []
        self.tables: dict[str, Table] = {}
        self.classes = Classes()
        self.equalities: list[tuple[int, int, Source]] = []
        self.variables = 1
        self._hints: list[tuple[Hint, tuple[int, ...], int, int]] = []
        self._constants: dict[int, int] = {}
        self._labels: list[str] = []
        self.gate(a=0, ql=1)

    @contextmanager
    def label(self, text: str) -> Iterator[None]:
        """Name what is built inside, for the checker's messages."""
        self._labels.append(text)
        try:
            yield
        finally:
            self._labels.pop()

    def gate(self, *, tag: int = 0, **parts: int) -> None:
        """One raw gate: cells a, b, c by variable, selectors qm, ql, qr, qo, qn, qc."""
        if self.mode is Mode.SNARKJS and (tag or parts.get("qn")):
            raise CircuitError("snarkjs mode has neither lookups nor next-row terms")
        reduced = {name: value % ORDER if name.startswith("q") else value for name, value in parts.items()}
        self.gates.append(Gate(tag=tag, source=calling_source(" / ".join(self._labels)), **reduced))

    def input(self, name: str, *, public: bool = False) -> Wire:
        """A wire whose value the prover brings."""
        wire = self._new()
        self.inputs.append((name, wire.variable))
        if public:
            self.public.append(wire.variable)
        return wire

    def expose(self, wire: Wire) -> None:
        """Make a wire's value public, after those that are public already."""
        self.public.append(self.plain(wire).variable)

    def _new(self) -> Wire:
        self.variables += 1
        return Wire(self, self.variables - 1)

    def computed(self, function: Hint, inputs: Sequence[Wire]) -> Wire:
        """A wire with its value computed, but not constrained: follow with gates. `function` gets field elements."""
        return self.computed_many(function, inputs, 1)[0]

    def computed_many(self, function: Hint, inputs: Sequence[Wire], count: int) -> tuple[Wire, ...]:
        """Several wires from one function that returns as many values; still to be constrained."""
        first = self.variables
        self._hints.append((_on_variables(function, inputs), tuple(w.variable for w in inputs), first, count))
        self.variables += count
        return tuple(Wire(self, first + index) for index in range(count))

    def constant(self, value: int) -> Wire:
        """A wire that holds a constant; affine views need none."""
        return Wire(self, 0, 1, value % ORDER)

    def plain(self, wire: Wire) -> Wire:
        """The same value as a variable of its own."""
        if wire.is_plain:
            return wire
        if wire.variable == 0 or wire.scale == 0:
            return self._constant_variable(wire.offset)
        out = self.computed(lambda value: value, [wire])
        self.gate(a=wire.variable, c=out.variable, ql=wire.scale, qo=-1, qc=wire.offset)
        return out

    def _constant_variable(self, value: int) -> Wire:
        if value == 0:
            return Wire(self, 0)
        if value not in self._constants:
            out = self.computed(lambda: value, [])
            self.gate(a=out.variable, ql=1, qc=-value)
            self._constants[value] = out.variable
        return Wire(self, self._constants[value])

    def product(self, left: Wire, right: Wire) -> Wire:
        """Left * right, one gate."""
        out = self.computed(lambda x, y: x * y, [left, right])
        self._product_gate(left, right, out.variable, 1, 0)
        return out

    def assert_product(self, left: Wire, right: Wire, result: Wire) -> None:
        """Left * right = result, one gate."""
        self._product_gate(left, right, result.variable, result.scale, result.offset)

    def _product_gate(self, left: Wire, right: Wire, out: int, scale: int, offset: int) -> None:
        self.gate(
            a=left.variable,
            b=right.variable,
            c=out,
            qm=left.scale * right.scale,
            ql=left.scale * right.offset,
            qr=right.scale * left.offset,
            qo=-scale,
            qc=left.offset * right.offset - offset,
        )

    def sum(self, terms: Sequence[tuple[int, Wire]], constant: int = 0) -> Wire:
        """The sum of coefficient * wire, plus a constant."""
        merged, constant = self._merge(terms, constant)
        if not merged:
            return self.constant(constant)
        if len(merged) == 1:
            ((variable, scale),) = merged.items()
            return Wire(self, variable, scale, constant)
        inputs = [Wire(self, variable) for variable in merged]
        out = self.computed(_weighted(list(merged.values()), constant), inputs)
        self._sum_gates(list(merged.items()), constant, out.variable)
        return out

    def assert_sum(self, terms: Sequence[tuple[int, Wire]], constant: int = 0) -> None:
        """The sum of coefficient * wire, plus a constant, is zero."""
        merged, constant = self._merge(terms, constant)
        items = list(merged.items())
        while len(items) < 3:
            items.append((0, 0))
        if len(items) > 3:
            total = self.sum([(scale, Wire(self, variable)) for variable, scale in items[2:]])
            items = [*items[:2], (total.variable, total.scale)]
            constant += total.offset
        (a, ql), (b, qr), (c, qo) = items
        self.gate(a=a, b=b, c=c, ql=ql, qr=qr, qo=qo, qc=constant)

    def _merge(self, terms: Sequence[tuple[int, Wire]], constant: int) -> tuple[dict[int, int], int]:
        merged: dict[int, int] = {}
        for coefficient, wire in terms:
            constant += coefficient * wire.offset
            if wire.variable:
                merged[wire.variable] = (merged.get(wire.variable, 0) + coefficient * wire.scale) % ORDER
        return {variable: scale for variable, scale in merged.items() if scale}, constant % ORDER

    def _sum_gates(self, items: list[tuple[int, int]], constant: int, out: int) -> None:
        """Rows that make `out` the sum; in native mode the running sum wanders through column c."""
        (a, ql), (b, qr) = items[:2]
        if len(items) == 2:
            self.gate(a=a, b=b, c=out, ql=ql, qr=qr, qo=-1, qc=constant)
            return
        if self.mode is Mode.SNARKJS:
            running = self._partial(items[:2], constant)
            self.gate(a=a, b=b, c=running, ql=ql, qr=qr, qo=-1, qc=constant)
            self._sum_gates([(running, 1), *items[2:]], 0, out)
            return
        c, qo = items[2]
        done = 3
        while True:
            self.gate(a=a, b=b, c=c, ql=ql, qr=qr, qo=qo, qn=-1, qc=constant)
            left = len(items) - done
            if left == 0:
                self.gate(c=out)
                return
            running = self._partial([(a, ql), (b, qr), (c, qo)], constant)
            if left == 1:
                self.gate(a=items[done][0], b=out, c=running, ql=items[done][1], qr=-1, qo=1)
                return
            (a, ql), (b, qr), c, qo, constant = items[done], items[done + 1], running, 1, 0
            done += 2

    def _partial(self, items: Sequence[tuple[int, int]], constant: int) -> int:
        wires = [Wire(self, variable) for variable, _ in items]
        return self.computed(_weighted([scale for _, scale in items], constant), wires).variable

    def assert_equal(self, left: Wire, right: Wire | int) -> None:
        """A copy constraint: two wires hold one value. A constant costs a gate."""
        if isinstance(right, int):
            self.assert_sum([(1, left)], -right)
            return
        if not (left.is_plain and right.is_plain):
            self.assert_sum([(1, left), (-1, right)])
            return
        source = calling_source(" / ".join(self._labels))
        self.equalities.append((left.variable, right.variable, source))
        self.classes.join(left.variable, right.variable)

    def table(self, name: str, rows: Sequence[tuple[int, int]]) -> Table:
        """A lookup table of pairs (x, y), one y for each x; the same name gives the same table again."""
        if self.mode is Mode.SNARKJS:
            raise CircuitError(f"table {name}: snarkjs mode has no lookups")
        known = self.tables.get(name)
        reduced = tuple((x % ORDER, y % ORDER) for x, y in rows)
        if known is not None:
            if known.rows != reduced:
                raise CircuitError(f"there is another table of the name {name}")
            return known
        outputs = dict(reduced)
        if not rows or len(outputs) != len(rows):
            raise CircuitError(f"table {name} is empty or holds an entry twice")
        self.tables[name] = Table(tag=len(self.tables) + 1, name=name, rows=reduced, outputs=outputs)
        return self.tables[name]

    def lookup(self, table: Table, x: Wire) -> Wire:
        """Y with (x, y) in the table, one gate."""
        plain = self.plain(x)
        outputs = table.outputs
        out = self.computed(lambda value: outputs.get(value, 0), [plain])
        self.gate(tag=table.tag, a=plain.variable, b=out.variable)
        return out

    def solve(self, inputs: Mapping[str, int]) -> list[int]:
        """Values of all variables. Raises ProvingFailed for missing inputs; gates are not checked here."""
        missing = [name for name, _ in self.inputs if name not in inputs]
        if missing:
            raise ProvingFailed(f"inputs {missing[:4]} have no value")
        values = [0] * self.variables
        for name, variable in self.inputs:
            values[variable] = inputs[name] % ORDER
        for function, variables, first, count in self._hints:
            made = function(*[values[variable] for variable in variables])
            if count == 1 and isinstance(made, int):
                values[first] = made % ORDER
            else:
                assert not isinstance(made, int)
                assert len(made) == count
                values[first : first + count] = [value % ORDER for value in made]
        return values


def _weighted(scales: list[int], constant: int) -> Hint:
    small = [signed(scale) for scale in scales]

    def total(*values: int) -> int:
        return constant + sum(scale * value for scale, value in zip(small, values, strict=True))

    return total


def _on_variables(function: Hint, inputs: Sequence[Wire]) -> Hint:
    """`function` of affine wires as a function of their variables."""
    if all(wire.is_plain for wire in inputs):
        return function
    affine = [(wire.scale, wire.offset) for wire in inputs]

    def wrapped(*values: int) -> int | Sequence[int]:
        return function(*[(s * value + o) % ORDER for (s, o), value in zip(affine, values, strict=True)])

    return wrapped
