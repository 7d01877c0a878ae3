"""How many rows a program needs, from its shapes alone: an upper estimate that `supports` can afford."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

from lazai_core.api.program import BoundProgram, Program

from .operation_names import SUPPORTED

LONG_RANGE_ROWS = 48
"""Rows of a reciprocal or of an inverse root: numbers of up to 64 bits in limbs."""
RANGE_ROWS = 12
"""Rows of one requantisation or comparison, at most: two range checks, a clamp, a few sums."""


def unsupported_reason(program: Program, rows_max: int, dim_values: Sequence[int] = ()) -> str:
    """Why no circuit is made of this program; empty where one is. The text names the operation.

    A circuit has one size: of a program with a symbolic dimension one is made for each of `dim_values`.
    """
    if program.dim is not None and not dim_values:
        return (
            f"the program has the symbolic dimension {program.dim.name}, and a circuit has one size: name the sizes "
            "to prove in the option `dim_values`"
        )
    outside = [value for value in dim_values if program.dim and not program.dim.minimum <= value <= program.dim.maximum]
    if program.dim is not None and outside:
        return f"{program.dim.name} is never {outside[0]}: it is from {program.dim.minimum} to {program.dim.maximum}"
    for index, op in enumerate(program.ops):
        if op.kind not in SUPPORTED:
            return f"operation {index} ({op.kind}) has no circuit"
    largest = max(dim_values) if program.dim is not None else 0
    rows = estimated_rows(BoundProgram(program=program, dim_value=largest))
    if rows > rows_max:
        return f"the program needs about {rows} rows, {rows_max} are allowed"
    return ""


def estimated_rows(bound: BoundProgram) -> int:
    """Rows of all operations, public values included."""
    program = bound.program
    total = sum(prod(bound.concrete(value.shape)) for value in program.inputs)
    total += sum(prod(bound.shapes[output.value]) for output in program.outputs)
    return total + sum(_rows(bound, index) for index in range(len(program.ops)))


def _rows(bound: BoundProgram, index: int) -> int:
    op = bound.program.ops[index]
    shapes = [bound.shapes[operand] for operand in op.operands]
    out, elements = prod(bound.concrete(op.shape)), prod(shapes[0])
    if op.kind == "dense":
        return out * (shapes[0][-1] // 2 + 2)
    if op.kind == "matmul":
        return out * (2 * shapes[0][-1] + 2)
    if op.kind == "conv2d":
        return out * (prod(shapes[1][1:]) // 2 + 2)
    if op.kind in ("max_pool2d", "sum_pool2d"):
        each = prod(op.integers("kernel"))
        return out * each * (RANGE_ROWS // 2 if op.kind == "max_pool2d" else 1)
    if op.kind in ("reduce_max", "argmax"):
        return elements * RANGE_ROWS
    if op.kind == "reduce_mean":
        return elements + out * RANGE_ROWS
    if op.kind == "table":
        return max(out, prod(shapes[1]))
    if op.kind == "gather":
        return max(out, elements)
    if op.kind == "layer_norm":
        return elements * (2 * RANGE_ROWS + 4) + elements // shapes[0][-1] * LONG_RANGE_ROWS
    if op.kind == "softmax":
        # Distances, a clamp, two products and a rescaling of each element; the reciprocal once a row.
        return elements * (3 * RANGE_ROWS) + elements // shapes[0][-1] * LONG_RANGE_ROWS + prod(shapes[1])
    if op.kind == "requantize":
        return out * RANGE_ROWS
    return 0 if op.kind in ("reshape", "transpose", "concat", "slice") else 2 * max(out, elements)
