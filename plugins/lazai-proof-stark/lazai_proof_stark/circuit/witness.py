"""Values of forms, and the columns of A from a trace of the program."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from lazai_core.api.errors import InvalidInput
from lazai_core.api.program import BoundProgram

from ..workers import breathe
from .fills import FILLS
from .karray import IntArray
from .nodes import (
    Arange,
    Broadcast,
    Causal,
    Committed,
    Concat,
    Constant,
    Contract,
    Inside,
    Node,
    Powers,
    Product,
    Public,
    Reshape,
    Rows,
    Scale,
    Slice,
    Sum,
    Transpose,
    Window,
)
from .relations import Circuit, Fill, Lookup, Table


class Values:
    """Integer arrays of forms, computed when they are asked for and kept.

    `inputs` and `outputs` are the job's tensors, `constants` the model's (None for a verifier, who never asks for
    them), `columns` the columns of A so far. `chi` stands for the challenge: an integer at which polynomials are taken.
    `exact` computes with Python integers: for witnesses that keep no bounds.
    """

    def __init__(
        self,
        inputs: Sequence[IntArray],
        outputs: Sequence[IntArray],
        constants: Sequence[IntArray] | None = None,
        columns: Sequence[IntArray] = (),
        chi: int | None = None,
        exact: bool = False,
    ) -> None:
        self.inputs, self.outputs, self.constants = inputs, outputs, constants
        self.exact = exact
        self.columns = list(columns)
        self.chi = chi
        self.known: dict[Node, IntArray] = {}

    def array(self, node: Node) -> IntArray:
        """The value of `node`; keep the result unchanged."""
        found = self.known.get(node)
        if found is None:
            found = self._compute(node)
            assert found.shape == node.shape, (type(node).__name__, found.shape, node.shape)
            self.known[node] = found
        return found

    def wide(self, node: Node) -> IntArray:
        """The value in int64 (or as Python integers where a challenge is in it)."""
        array = self.array(node)
        return array if array.dtype == object else array.astype(object if self.exact else np.int64)

    def _compute(self, node: Node) -> IntArray:
        if isinstance(node, Committed):
            return self.columns[node.column]
        if isinstance(node, Constant):
            assert self.constants is not None, "only a prover has the constants"
            return self.constants[node.index]
        if isinstance(node, Public):
            tensors = self.inputs if node.source == "input" else self.outputs
            return np.asarray(tensors[node.index] >> node.shift)
        if isinstance(node, Arange):
            return np.arange(node.start, node.start + node.shape[0], dtype=np.int64)
        if isinstance(node, Inside):
            places = np.arange(node.shape[1]) * node.stride + np.arange(node.shape[0])[:, None] * node.dilation
            return ((places >= node.pad) & (places < node.extent + node.pad)).astype(np.int64)
        if isinstance(node, Sum):
            return self._sum(node)
        if isinstance(node, Product):
            return self._product(node)
        return self._moved(node)

    def _polynomial(self, coefficients: Sequence[int]) -> int:
        if len(coefficients) == 1:
            return coefficients[0]
        assert self.chi is not None, "this form has a challenge in it"
        return sum(c * self.chi**power for power, c in enumerate(coefficients))

    def _sum(self, node: Sum) -> IntArray:
        exact = any(len(c) > 1 for c, _ in node.parts) or len(node.constant) > 1
        dtype: Any = object if exact else np.int64
        total: IntArray = np.full(node.shape, self._polynomial(node.constant), dtype=dtype)
        for coefficients, part in node.parts:
            value, factor = self.wide(part), self._polynomial(coefficients)
            kind: Any = object if object in (value.dtype, total.dtype) else np.int64
            scaled = value.astype(kind) if factor == 1 else factor * value.astype(kind)
            total = np.asarray(total.astype(kind) + scaled, kind)
        return total

    def _product(self, node: Product) -> IntArray:
        left, right = self.wide(node.left), self.wide(node.right)
        letters = f"{node.left_letters},{node.right_letters}->{node.out_letters}"
        small = not self.exact and node.low > -(2**52) and node.high < 2**52
        if small and object not in (left.dtype, right.dtype):
            exact = np.einsum(letters, left.astype(np.float64), right.astype(np.float64), optimize=True)
            return np.asarray(exact.astype(np.int64))
        if left.dtype != object or right.dtype != object:
            left, right = left.astype(object), right.astype(object)
        return np.asarray(np.einsum(letters, left, right), dtype=object)

    def _moved(self, node: Node) -> IntArray:
        if isinstance(node, Reshape):
            return self.array(node.source).reshape(node.shape)
        if isinstance(node, Transpose):
            return self.array(node.source).transpose(node.permutation)
        if isinstance(node, Slice):
            index: list[Any] = [slice(None)] * len(node.shape)
            end = node.start + (node.shape[node.axis] - 1) * node.step + 1
            index[node.axis] = slice(node.start, end, node.step)
            return np.asarray(self.array(node.source)[tuple(index)])
        if isinstance(node, Concat):
            return np.concatenate([self.array(part) for part in node.parts], axis=node.axis)
        if isinstance(node, Broadcast):
            return np.broadcast_to(self.array(node.source), node.shape)
        if isinstance(node, Contract):
            values = self.wide(node.source)
            weights = 1 if node.weights is None else _weights(node.weights, values, node.axis)
            return np.asarray((values * weights).sum(axis=node.axis), dtype=values.dtype)
        if isinstance(node, Powers):
            assert self.chi is not None, "this form has a challenge in it"
            values = self.array(node.source).astype(object)
            powers = [self.chi**power for power in range(values.shape[node.axis])]
            return np.asarray((values * _weights(powers, values, node.axis)).sum(axis=node.axis), dtype=object)
        if isinstance(node, Scale):
            values = self.wide(node.source)
            return np.asarray(values * _weights(node.weights, values, node.axis))
        if isinstance(node, Causal):
            queries, keys = node.shape[-2:]
            visible = np.arange(keys) <= np.arange(queries)[:, None] + (keys - queries)
            return np.asarray(self.array(node.source) * visible)
        if isinstance(node, Rows):
            return np.asarray(self.array(node.source)[self.array(node.indices)])
        assert isinstance(node, Window), type(node).__name__
        return self._window(node)

    def _window(self, node: Window) -> IntArray:
        source, axis = self.array(node.source), node.axis
        kernel, out = node.shape[axis : axis + 2]
        parts = []
        for i in range(kernel):
            places = np.arange(out) * node.stride + i * node.dilation - node.pad
            valid = (places >= 0) & (places < source.shape[axis])
            part = np.take(source, np.where(valid, places, 0), axis=axis)
            parts.append(part * _weights(valid.astype(np.int64), part, axis))
        return np.stack(parts, axis=axis)


def _weights(weights: Any, values: IntArray, axis: int) -> IntArray:
    vector = np.asarray(weights, dtype=object if values.dtype == object else np.int64)
    return vector.reshape([-1 if i == axis else 1 for i in range(values.ndim)])


def evaluate_fill(fill: Node | Fill, values: Values, trace: Sequence[IntArray]) -> IntArray:
    """A fill's value; see the kinds in `FILLS`."""
    if isinstance(fill, Node):
        return values.wide(fill)
    if fill.kind == "trace":
        return np.asarray(trace[fill.numbers[0]])
    arguments = [evaluate_fill(argument, values, trace) for argument in fill.arguments]
    return np.asarray(FILLS[fill.kind](fill.numbers, *arguments))


def locate(table: Table, tuples: Sequence[IntArray]) -> IntArray:
    """The row of each tuple; meaningless, and possibly out of range, where there is none."""
    first = tuples[0]
    if table.locate == "offset":
        return first - table.numbers[0]
    if table.locate == "pair":
        return first * table.numbers[0] + tuples[1]
    if table.locate == "sign":
        count = table.numbers[0]
        start = np.where(first == 0, 0, np.where(first > 0, count, 2 * count))
        return np.where(np.abs(first) > 1, -1, start + np.abs(tuples[1]))
    if table.locate == "either":
        return np.where(first == 1, 0, 1 + tuples[1])
    if table.locate == "distance":
        count = table.numbers[0]
        return np.where(first == 1, 0, np.where(first == 0, 1, 1 + count) + tuples[1])
    assert table.locate == "clamp", table.locate
    width, reach = table.numbers
    excess = tuples[1]
    return np.where(excess == 0, first, np.where(excess > 0, width + excess, width + reach - excess))


class Witness:
    """All columns of A for one run: `columns[i]` has the shape of the circuit's column i."""

    def __init__(self, circuit: Circuit, values: Values) -> None:
        self.circuit, self.values = circuit, values

    @property
    def columns(self) -> list[IntArray]:
        """The columns, multiplicities included."""
        return self.values.columns

    def tuples(self, lookup: Lookup) -> list[IntArray]:
        """The looked-up forms' values on the region."""
        return [self.values.wide(form) for form in lookup.forms]


def public_values(bound: BoundProgram, inputs: Sequence[IntArray], outputs: Sequence[IntArray]) -> Values:
    """What a verifier knows. Raises `InvalidInput` where a tensor has another shape or leaves its interval.

    A verifier must come this way: an output that is right only mod p is outside its interval.
    """
    program = bound.program
    wanted = [(f"input {i.name}", bound.shapes[k], i.low, i.high) for k, i in enumerate(program.inputs)]
    for output in program.outputs:
        info = program.values[output.value]
        wanted.append((f"output {output.name}", bound.shapes[output.value], info.low, info.high))
    given = [*inputs, *outputs]
    if len(given) != len(wanted):
        raise InvalidInput(f"{len(wanted)} public tensors are needed, {len(given)} were given")
    for (name, shape, low, high), array in zip(wanted, given, strict=True):
        if tuple(array.shape) != shape or array.dtype.kind not in "iu":
            raise InvalidInput(f"{name} must hold integers in shape {shape}, not {array.dtype} in {array.shape}")
        if int(array.min()) < low or int(array.max()) > high:
            raise InvalidInput(f"{name} reaches [{array.min()}, {array.max()}], outside [{low}, {high}]")
    return Values(inputs, outputs)


def make_witness(circuit: Circuit, constants: Sequence[IntArray], trace: Sequence[IntArray]) -> Witness:
    """Fill every column from a trace (arrays by value index, as `ReferenceTrace.arrays`)."""
    program = circuit.bound.program
    inputs = [np.asarray(a) for a in trace[: len(program.inputs)]]
    outputs = [np.asarray(trace[output.value]) for output in program.outputs]
    values = Values(inputs, outputs, constants)
    for node, value in circuit.bindings:
        if not isinstance(node, Committed | Public | Constant):
            values.known[node] = np.asarray(trace[value])
    multiplicities = {table.multiplicity for table in circuit.tables}
    for column in circuit.columns:
        breathe()
        if column.index in multiplicities:
            values.columns.append(np.zeros(column.shape, dtype=np.int64))
            continue
        array = evaluate_fill(column.fill, values, trace)
        assert array.shape == column.shape, (column.name, array.shape, column.shape)
        values.columns.append(array)
    witness = Witness(circuit, values)
    count_lookups(witness)
    return witness


def count_lookups(witness: Witness) -> None:
    """Set the multiplicity columns to what the lookups need; tuples outside their table count nowhere."""
    circuit = witness.circuit
    counts = [np.zeros(table.rows, dtype=np.int64) for table in circuit.tables]
    for lookup in circuit.lookups:
        breathe()
        table = circuit.tables[lookup.table]
        found = locate(table, witness.tuples(lookup)).reshape(-1)
        inside = found[(found >= 0) & (found < table.rows)]
        counts[lookup.table] += np.bincount(inside, minlength=table.rows)
    for table, count in zip(circuit.tables, counts, strict=True):
        witness.values.columns[table.multiplicity] = count
