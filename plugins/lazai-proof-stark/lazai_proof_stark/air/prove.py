"""The prover of general computations."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from lazai_core.api.compute import CancelToken
from lazai_core.api.errors import InvalidInput, ProvingFailed

from .. import scalars as f
from ..commitment import commit, open_weighted
from ..field import DEGREE, Extension, P
from ..fractions import eq_tables, prove_zero_sum
from ..kernels.arrays import (
    Words,
    extension_array,
    extension_values,
    lane_sums,
    lift_array,
    splat,
    to_montgomery,
)
from ..kernels.extension import add_outer, fold, fold_base
from ..messages import Sender
from ..parameters import ParameterSet
from ..workers import split
from .definition import Air
from .kernels import base_round, broken_block, extension_round
from .protocol import BusCode, Claims, begin, bus_code, bus_columns, log_columns
from .tape import Tape

Column = NDArray[np.int64]
LANES = 16


def prove_air(
    air: Air,
    columns: Mapping[str, Sequence[int] | NDArray[np.integer]],
    parameters: ParameterSet,
    cancel: CancelToken | None = None,
) -> bytes:
    """Proof bytes for a table.

    Raises InvalidInput (shape), ProvingFailed (which constraint is broken, and where), Cancelled.
    """
    cancel = cancel or CancelToken()
    table = _table(air, columns)
    publics = public_values(air, columns)
    tape = air.tape()
    cells = np.zeros((1 << log_columns(air), air.rows), dtype=np.uint32)
    cells[: len(table)] = to_montgomery(table)
    inputs = _input_words(air, tape, cells)
    _check_table(air, tape, table, inputs)
    channel = Sender(begin(air, publics, parameters))
    committed = commit(cells.reshape(-1), parameters.activations)
    channel.send_digests("columns", committed.cap)
    cancel.raise_if_cancelled()
    bus_point: tuple[Extension, ...] = ()
    at_bus: list[tuple[int, Extension]] = []
    if air.entries:
        bus_point, at_bus = _prove_buses(air, bus_code(air), table, cells, channel)
    cancel.raise_if_cancelled()
    z, values = _prove_constraints(air, tape, inputs, channel)
    at_z = [(column, is_next, value) for (column, is_next), value in zip(tape.cells, values, strict=True)]
    claims = Claims.of(air, publics, z, at_z, bus_point, at_bus, channel.challenge("join"))
    cancel.raise_if_cancelled()
    open_weighted(committed, _weights(air, claims), channel)
    return channel.proof()


def public_values(air: Air, columns: Mapping[str, Sequence[int] | NDArray[np.integer]]) -> list[int]:
    """The values of the public cells, as the verifier is given them."""
    return [int(columns[air.columns[cell.column]][cell.row]) % P for cell in air.publics]


def _table(air: Air, columns: Mapping[str, Sequence[int] | NDArray[np.integer]]) -> Column:
    if set(columns) != set(air.columns):
        raise InvalidInput(f"{air.name} has the columns {', '.join(air.columns)}")
    table = np.empty((len(air.columns), air.rows), dtype=np.int64)
    for index, name in enumerate(air.columns):
        if len(columns[name]) != air.rows:
            raise InvalidInput(f"column {name} of {air.name} has {len(columns[name])} rows, {air.rows} are needed")
        table[index] = np.asarray(columns[name], dtype=np.int64) % P
    return table


def _inputs(air: Air, tape: Tape, table: Column) -> Column:
    """One row an input register of the tape."""
    inputs = np.empty((tape.inputs, air.rows), dtype=np.int64)
    for index, (column, is_next) in enumerate(tape.cells):
        inputs[index] = np.roll(table[column], -1) if is_next else table[column]
    for index, item in enumerate(tape.known):
        inputs[len(tape.cells) + index] = item.on_rows(air.rows)
    return inputs


def _input_words(air: Air, tape: Tape, cells: Words) -> Words:
    """`_inputs` in Montgomery form, from the committed cells."""
    words = np.empty((tape.inputs, air.rows), dtype=np.uint32)
    for index, (column, is_next) in enumerate(tape.cells):
        words[index] = np.roll(cells[column], -1) if is_next else cells[column]
    for index, item in enumerate(tape.known):
        words[len(tape.cells) + index] = to_montgomery(item.on_rows(air.rows))
    return words


def _constants(tape: Tape) -> Words:
    """The tape's constants in all lanes, as elements of K."""
    return np.array([splat(f.lift(value)) for value in tape.constants], dtype=np.uint32).reshape(-1, DEGREE, LANES)


def _check_table(air: Air, tape: Tape, table: Column, words: Words) -> None:
    """A table that breaks a constraint has no proof; say which one before any work is done."""
    constants, outputs = np.ascontiguousarray(_constants(tape)[:, 0]), np.array(tape.outputs, dtype=np.int64)
    broken: list[int] = []

    def run(begin: int, end: int) -> None:
        broken.append(broken_block(words, constants, tape.code, outputs, tape.registers, begin, end))

    split(air.rows // LANES, run, smallest=4)
    if max(broken) < 0:
        return
    for constraint, values in zip(air.constraints, tape.on_arrays(list(_inputs(air, tape, table))), strict=True):
        rows = np.flatnonzero(values)
        if len(rows):
            raise ProvingFailed(f"{air.name}: constraint {constraint.name!r} does not hold in row {int(rows[0])}")


def _blocked(values: NDArray[np.int64]) -> Words:
    """Canonical `[n, 5]` in blocks."""
    words = to_montgomery(values).reshape(-1, LANES, DEGREE)
    return np.ascontiguousarray(words.transpose(0, 2, 1))


def _prove_buses(
    air: Air, code: BusCode, table: Column, cells: Words, channel: Sender
) -> tuple[tuple[Extension, ...], list[tuple[int, Extension]]]:
    alpha, beta = channel.challenges("bus", 2)
    inputs = _inputs(air, code.tape, table)
    outputs = code.tape.on_arrays(list(inputs)) if code.tape.inputs else []
    size = air.rows << code.log_entries
    numerators = np.zeros((size, DEGREE), dtype=np.int64)
    denominators = np.zeros((size, DEGREE), dtype=np.int64)
    denominators[:, 0] = 1
    place = 0
    for index, entry in enumerate(code.entries):
        rows = slice(index * air.rows, (index + 1) * air.rows)
        numerators[rows, 0] = outputs[place]
        key = np.tile(np.array(f.subtract(beta, f.lift(entry.bus + 1)), dtype=np.int64), (air.rows, 1))
        power = alpha
        for values in outputs[place + 1 : place + 1 + len(entry.values)]:
            key = (key - values[:, None] * np.array(power, dtype=np.int64)) % P
            power = f.multiply(power, alpha)
        denominators[rows] = key
        place += 1 + len(entry.values)
    _check_buses(air, code, outputs)
    claim = prove_zero_sum(_blocked(numerators), _blocked(denominators), channel)
    point = claim.point[: air.log_rows]
    columns = bus_columns(code)
    found = [_evaluate(cells[column], point) for column in columns]
    channel.send_elements("bus cells", found)
    return tuple(point), list(zip(columns, found, strict=True))


def _check_buses(air: Air, code: BusCode, outputs: Sequence[NDArray[np.int64]]) -> None:
    """The counts of every tuple add up to zero."""
    place = 0
    sums: dict[tuple[int, ...], int] = {}
    for entry in code.entries:
        group = np.stack(outputs[place : place + 1 + len(entry.values)], axis=1)
        place += 1 + len(entry.values)
        for count, *values in group[group[:, 0] != 0].tolist():
            name = (entry.bus, *values)
            sums[name] = (sums.get(name, 0) + count) % P
    for name, total in sums.items():
        if total:
            raise ProvingFailed(f"{air.name}: on bus {name[0]} the tuple {name[1:]} is left over")


def _evaluate(column: Words, point: Sequence[Extension]) -> Extension:
    """A column's multilinear extension, most significant variable first."""
    values, first = column, True
    for index in range(len(point) - 1, 3, -1):
        half = (len(values) if not first else len(values) // LANES) // 2
        out = np.empty((half, DEGREE, LANES), dtype=np.uint32)
        (fold_base if first else fold)(values, out, splat(point[index]), 0, half)
        values, first = out, False
    if first:
        values = lift_array(values)
    return f.evaluate_multilinear(extension_values(values), point[:4])


class _Constraints:
    """The prover's side of the sumcheck of the combined constraint."""

    def __init__(self, air: Air, tape: Tape, inputs: Words, z: Sequence[Extension], mix: Extension) -> None:
        self.tape, self.z, self.points = tape, list(z), air.degree + 1
        self.base: Words | None = inputs
        self.values: Words = np.zeros((0, 0, DEGREE, LANES), dtype=np.uint32)
        self.rows = air.rows
        self.constants = _constants(tape)
        powers = [f.ONE]
        for _ in tape.outputs[1:]:
            powers.append(f.multiply(powers[-1], mix))
        self.powers = np.stack([splat(power) for power in powers])
        self.outputs = np.array(tape.outputs, dtype=np.int64)
        self.tables = eq_tables(self.z[:-1]) if len(self.z) > 4 else []

    def message(self) -> list[Extension]:
        """H at 0, 2, 3, ... for H(X) = sum over the other variables of eq times the constraint."""
        constants = self.constants
        if self.rows <= 2 * LANES:
            values, weights = self._packed()
            accumulators = [self._run(extension_round, values, weights, constants, 0, 1)]
        else:
            weights = self.tables[len(self.z) - 5]
            accumulators = []
            kernel = base_round if self.base is not None else extension_round
            source = self.base if self.base is not None else self.values
            fixed = np.ascontiguousarray(constants[:, 0]) if self.base is not None else constants

            def run(begin: int, end: int) -> None:
                accumulators.append(self._run(kernel, source, weights, fixed, begin, end))

            split(self.rows // (2 * LANES), run, smallest=4)
        sums = [lane_sums(accumulator) for accumulator in accumulators]
        return [f.sum_all([s[point] for s in sums]) for point in range(self.points) if point != 1]

    def _run(self, kernel: object, values: Words, weights: Words, constants: Words, begin: int, end: int) -> Words:
        accumulator = np.zeros((self.points, DEGREE, LANES), dtype=np.uint32)
        assert callable(kernel)
        kernel(
            values,
            weights,
            constants,
            self.tape.code,
            self.outputs,
            self.powers,
            self.tape.registers,
            accumulator,
            begin,
            end,
        )
        return accumulator

    def _packed(self) -> tuple[Words, Words]:
        """At most 32 rows left: both halves in blocks of their own, weights zero on unused lanes."""
        half = self.rows // 2
        flat = self._flat()
        values = np.zeros((len(flat), 2, DEGREE, LANES), dtype=np.uint32)
        values[:, 0, :, :half], values[:, 1, :, :half] = flat[:, :, :half], flat[:, :, half:]
        weights = np.zeros((1, DEGREE, LANES), dtype=np.uint32)
        weights[:, :, :half] = extension_array(f.eq_vector(self.z[:-1]))[:1, :, :half]
        return values, weights

    def _flat(self) -> Words:
        """`uint32[m, 5, rows]`."""
        if self.base is not None:
            lifted = np.zeros((len(self.base), DEGREE, self.rows), dtype=np.uint32)
            lifted[:, 0] = self.base
            return lifted
        flat = self.values.transpose(0, 2, 1, 3).reshape(len(self.values), DEGREE, self.values.shape[1] * LANES)
        return np.ascontiguousarray(flat[:, :, : self.rows])

    def bind(self, r: Extension) -> None:
        """Fix the most significant variable of every column."""
        self.z.pop()
        half, challenge = self.rows // 2, splat(r)
        if self.rows > 2 * LANES or self.rows == 2 * LANES:
            blocks = half // LANES
            source = self.base if self.base is not None else self.values
            out = np.empty((len(source), blocks, DEGREE, LANES), dtype=np.uint32)
            kernel = fold_base if self.base is not None else fold

            def run(begin: int, end: int) -> None:
                for index in range(begin, end):
                    kernel(source[index], out[index], challenge, 0, blocks)

            split(len(source), run, smallest=16)
            self.values = out
        else:
            flat = self._flat()
            pair = np.zeros((len(flat), 2, DEGREE, LANES), dtype=np.uint32)
            pair[:, 0, :, :half], pair[:, 1, :, :half] = flat[:, :, :half], flat[:, :, half:]
            self.values = np.empty((len(flat), 1, DEGREE, LANES), dtype=np.uint32)
            for index in range(len(flat)):
                fold(pair[index], self.values[index], challenge, 0, 1)
        self.base, self.rows = None, half

    def cells(self) -> list[Extension]:
        """The values at the end, what is known of rows left out."""
        count = len(self.tape.cells)
        return [extension_values(self.values[index], 1)[0] for index in range(count)]


def _prove_constraints(air: Air, tape: Tape, inputs: Words, channel: Sender) -> tuple[list[Extension], list[Extension]]:
    mix = channel.challenge("constraints")
    z = channel.challenges("rows", air.log_rows)
    sums = _Constraints(air, tape, inputs, z, mix)
    bound: list[Extension] = []
    for _ in range(air.log_rows):
        channel.send_elements("round", sums.message())
        r = channel.challenge("round")
        sums.bind(r)
        bound.append(r)
    values = sums.cells()
    channel.send_elements("cells", values)
    return list(reversed(bound)), values


def _weights(air: Air, claims: Claims) -> Words:
    """The joined functional over the whole commitment, in blocks."""
    blocks = air.rows // LANES
    total = np.zeros((blocks << log_columns(air), DEGREE, LANES), dtype=np.uint32)
    rows = eq_tables(claims.z)[-1]
    parts = [(claims.here, rows), (claims.next, _rotated(rows))]
    if claims.bus:
        parts.append((claims.bus, eq_tables(claims.bus_point)[-1]))
    for coefficients, lower in parts:
        if not coefficients:
            continue
        last = max(coefficients) + 1
        upper = np.stack([splat(coefficients.get(column, f.ZERO)) for column in range(last)])

        def run(begin: int, end: int, u: Words = upper, w: Words = lower) -> None:
            add_outer(u, w, total, begin, end)

        split(last, run, smallest=4)
    for column, row, power in claims.cells:
        place = column * air.rows + row
        words = total[place // LANES, :, place % LANES].astype(np.int64) + splat(power)[:, 0]
        total[place // LANES, :, place % LANES] = (words % P).astype(np.uint32)
    return total


def _rotated(rows: Words) -> Words:
    """Weight of row x becomes that of row x + 1."""
    flat = np.roll(rows.transpose(0, 2, 1).reshape(-1, DEGREE), 1, axis=0)
    return np.ascontiguousarray(flat.reshape(-1, LANES, DEGREE).transpose(0, 2, 1))


__all__ = ["prove_air", "public_values"]
