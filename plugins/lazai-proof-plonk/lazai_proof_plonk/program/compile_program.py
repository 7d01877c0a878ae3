"""An exact program to a circuit: inputs and outputs are the public values, constants are selectors."""

from __future__ import annotations

import numpy as np
from attrs import define, evolve, field

from lazai_core.api.compute import ConstantSource
from lazai_core.api.errors import InvalidInput, UnsupportedProgram
from lazai_core.api.program import BoundProgram, Program
from lazai_core.exact.codec import decode_inputs, from_view

from ..circuit.builder import Builder, Mode
from ..circuit.lay_out import native_circuit
from ..native_circuit import NativeCircuit
from .cells import Cell, Tensor, constant_cell, tensor
from .estimate import estimated_rows, unsupported_reason
from .operations import Context
from .registry import OPERATIONS

ROWS_MAX = 1 << 18
TABLE_ROWS_MIN = 1400
"""With the range tables of up to eight bits, this many clamp rows fit the smallest domain that is worth having."""


@define(kw_only=True, eq=False)
class ProgramCircuit:
    """The circuit of a program at one value of its symbolic dimension, 0 where it has none."""

    program: Program
    dim_value: int
    builder: Builder = field(repr=False)

    def circuit(self) -> NativeCircuit:
        """Arrays for the setup."""
        return native_circuit(self.builder)

    def solve(self, job_input: bytes) -> list[int]:
        """Values of all wires. Raises InvalidInput for bytes that do not fit the program."""
        bound, arrays = decode_inputs(self.program, job_input)
        if bound.dim_value != self.dim_value:
            raise InvalidInput(f"the circuit is of dimension {self.dim_value}, the input of {bound.dim_value}")
        flat = [int(value) for array in arrays for value in array.reshape(-1)]
        return self.builder.solve({name: value for (name, _), value in zip(self.builder.inputs, flat, strict=True)})


def compile_program(
    program: Program, constants: ConstantSource, *, rows_max: int = ROWS_MAX, dim_value: int = 0
) -> ProgramCircuit:
    """Deterministic. Raises UnsupportedProgram naming the operation."""
    reason = unsupported_reason(program, rows_max, (dim_value,) if program.dim is not None and dim_value else ())
    if reason:
        raise UnsupportedProgram(reason)
    bound = BoundProgram(program=program, dim_value=dim_value)
    builder = Builder(Mode.NATIVE)
    values: list[Tensor] = [
        _input(builder, position, bound.concrete(info.shape), info.low, info.high)
        for position, info in enumerate(program.inputs)
    ]
    for index in range(len(program.constants)):
        array = from_view(constants.constant(index))
        values.append(tensor([constant_cell(builder, int(value)) for value in array.reshape(-1)], array.shape))
    size = 1 << (estimated_rows(bound) - 1).bit_length()
    context = Context(builder=builder, table_rows=max(TABLE_ROWS_MIN, size // 4))
    for index, symbolic in enumerate(program.ops):
        op = evolve(symbolic, shape=bound.concrete(symbolic.shape))
        operands = [values[operand] for operand in op.operands]
        with builder.label(f"operation {index} ({op.kind})"):
            values.append(OPERATIONS[op.kind](context, op, index, operands))
    for output in program.outputs:
        for cell in values[output.value].reshape(-1):
            builder.expose(cell.wire)
    return ProgramCircuit(program=program, dim_value=dim_value, builder=builder)


def _input(builder: Builder, position: int, shape: tuple[int, ...], low: int, high: int) -> Tensor:
    count = int(np.prod(shape, dtype=np.int64))
    cells = [Cell(builder.input(f"{position}:{index}", public=True), low, high) for index in range(count)]
    return tensor(cells, shape)
