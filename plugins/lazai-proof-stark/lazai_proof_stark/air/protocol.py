"""What prover and verifier of a computation share: the messages, the shift of rows, and the claims of the opening.

1. Absorbed: parameter set, the computation's digest, public values. Prover: commitment to all columns (cap).
2. With buses: challenges alpha, beta; a sum of fractions (`fractions`) that ends in a claim about numerator and
   denominator at a random row point; prover: the columns' values there.
3. Challenges: a combination of the constraints, and a point z; a sumcheck of sum_x eq(z, x) C(row x, row x + 1) = 0;
   prover: the columns' values at its end, in this row and in the next.
4. A challenge joins all claimed values and public cells to one linear functional of the commitment, which is opened.

Each error is at most variables times degree over |K|, or claims over |K| (about 2^-140 in all for the largest tables),
so the opening decides the strength.
"""

from __future__ import annotations

from collections.abc import Sequence

from attrs import frozen

from lazai_core.api.encoding import Writer
from lazai_core.api.errors import InvalidInput, InvalidProgram
from lazai_core.api.transcript import Transcript

from .. import scalars as f
from ..commitment import VARIABLES_MIN
from ..field import Extension, P
from ..parameters import ParameterSet
from .definition import Air, BusEntry
from .tape import Tape

DOMAIN = "lazai/stark/air/v1"


def begin(air: Air, publics: Sequence[int], parameters: ParameterSet) -> Transcript:
    """The transcript with everything public absorbed.

    Raises InvalidInput for values that do not fit and InvalidProgram for a table larger than the parameters allow.
    """
    if len(publics) != len(air.publics) or not all(0 <= value < P for value in publics):
        raise InvalidInput(f"{air.name} has {len(air.publics)} public cells, elements of F, got {len(publics)}")
    transcript = Transcript(DOMAIN)
    transcript.absorb("parameters", parameters.digest)
    if air.log_rows + log_columns(air) > parameters.activation_variables_max:
        raise InvalidProgram(
            f"{air.name}: {air.rows} rows of {len(air.columns)} columns are more than "
            f"2^{parameters.activation_variables_max} cells, what parameter set {parameters.name} is sound for"
        )
    tuples = max((len(entry.values) for entry in air.entries), default=1)
    leaves = air.log_rows + bus_code(air).log_entries + max(0, (tuples - 1).bit_length() - 2)
    if air.entries and leaves > parameters.leaf_variables_max:
        raise InvalidProgram(
            f"{air.name}: {len(air.entries)} entries of buses in {air.rows} rows are more than parameter set "
            f"{parameters.name} is sound for"
        )
    transcript.absorb("computation", air.digest())
    transcript.absorb("public", Writer().sequence(publics, lambda w, value: w.u32(value)).finish())
    return transcript


def log_columns(air: Air) -> int:
    """Variables that number the columns; small tables are filled up with zero columns."""
    return max((len(air.columns) - 1).bit_length(), VARIABLES_MIN - air.log_rows)


@frozen(kw_only=True, eq=False)
class BusCode:
    """The entries of all buses as one tape: for each the count, then its values."""

    entries: tuple[BusEntry, ...]
    tape: Tape

    @property
    def log_entries(self) -> int:
        """Variables that number the entries."""
        return max(0, (len(self.entries) - 1).bit_length())

    def fractions(
        self, outputs: Sequence[Extension], alpha: Extension, beta: Extension
    ) -> list[tuple[Extension, Extension]]:
        """Numerator and denominator of each entry from the tape's outputs."""
        found, place = [], 0
        for entry in self.entries:
            count, values = outputs[place], outputs[place + 1 : place + 1 + len(entry.values)]
            place += 1 + len(entry.values)
            key, power = f.lift(entry.bus + 1), alpha
            for value in values:
                key = f.add(key, f.multiply(power, value))
                power = f.multiply(power, alpha)
            found.append((count, f.subtract(beta, key)))
        return found


def bus_code(air: Air) -> BusCode:
    """The tape of all bus entries."""
    return BusCode(entries=tuple(air.entries), tape=air.bus_tape())


def shift_at(z: Sequence[Extension], x: Sequence[Extension]) -> Extension:
    """sum_y eq(z, y) eq(x, y + 1 mod 2^v): adding one bit by bit, with the carry as state."""
    carried, plain = f.ONE, f.ZERO
    for a, b in zip(z, x, strict=True):
        ab = f.multiply(a, b)
        both = f.add(f.subtract(f.subtract(f.ONE, a), b), f.add(ab, ab))
        ends, goes_on = f.subtract(b, ab), f.subtract(a, ab)
        plain = f.add(f.multiply(plain, both), f.multiply(carried, ends))
        carried = f.multiply(carried, goes_on)
    return f.add(plain, carried)


@frozen(kw_only=True, eq=False)
class Claims:
    """All claims on the commitment: coefficients by column for three row functionals, and single cells.

    `here` weighs rows by eq(z, .), `next` by the same shifted by one row, `bus` by eq(bus_point, .).
    """

    z: tuple[Extension, ...]
    bus_point: tuple[Extension, ...]
    here: dict[int, Extension]
    next: dict[int, Extension]
    bus: dict[int, Extension]
    cells: tuple[tuple[int, int, Extension], ...]
    value: Extension

    @classmethod
    def of(
        cls,
        air: Air,
        publics: Sequence[int],
        z: Sequence[Extension],
        at_z: Sequence[tuple[int, bool, Extension]],
        bus_point: Sequence[Extension],
        at_bus: Sequence[tuple[int, Extension]],
        mix: Extension,
    ) -> Claims:
        """Join the claims with powers of `mix`."""
        here: dict[int, Extension] = {}
        following: dict[int, Extension] = {}
        bus: dict[int, Extension] = {}
        cells: list[tuple[int, int, Extension]] = []
        power, total = f.ONE, f.ZERO
        for column, is_next, value in at_z:
            (following if is_next else here)[column] = power
            total, power = f.add(total, f.multiply(power, value)), f.multiply(power, mix)
        for column, value in at_bus:
            bus[column] = power
            total, power = f.add(total, f.multiply(power, value)), f.multiply(power, mix)
        for cell, public in zip(air.publics, publics, strict=True):
            cells.append((cell.column, cell.row, power))
            total, power = f.add(total, f.scale(power, public)), f.multiply(power, mix)
        return cls(
            z=tuple(z),
            bus_point=tuple(bus_point),
            here=here,
            next=following,
            bus=bus,
            cells=tuple(cells),
            value=total,
        )

    def weight_at(self, air: Air, point: Sequence[Extension]) -> Extension:
        """The joined functional's multilinear extension at a point of the commitment, rows first."""
        rows, columns = point[: air.log_rows], f.eq_vector(point[air.log_rows :])
        total = f.ZERO
        parts = [(self.here, f.eq(self.z, rows)), (self.next, shift_at(self.z, rows))]
        if self.bus:
            parts.append((self.bus, f.eq(self.bus_point, rows)))
        for coefficients, weight in parts:
            inner = f.sum_all([f.multiply(power, columns[column]) for column, power in coefficients.items()])
            total = f.add(total, f.multiply(inner, weight))
        for column, row, power in self.cells:
            place = [f.ONE if row >> bit & 1 else f.ZERO for bit in range(air.log_rows)]
            total = f.add(total, f.multiply(power, f.multiply(columns[column], f.eq(place, rows))))
        return total


def bus_columns(code: BusCode) -> tuple[int, ...]:
    """Columns that the buses read, ascending."""
    return tuple(column for column, _ in code.tape.cells)


def inputs_at(tape: Tape, values: Sequence[Extension], point: Sequence[Extension]) -> list[Extension]:
    """Inputs of a tape at a row point: the claimed cells, and what both sides know there."""
    return [*values, *(item.at(point) for item in tape.known)]


__all__ = ["BusCode", "Claims", "begin", "bus_code", "inputs_at", "log_columns", "shift_at"]
