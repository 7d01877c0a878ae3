"""How many rows a program needs, from its shapes alone: an upper estimate that `supports` can afford."""

from __future__ import annotations

from math import prod

from lazai_core.api.program import SYMBOLIC, Program

from .operation_names import SUPPORTED

RANGE_ROWS = 12
"""Rows of one requantisation or comparison, at most: two range checks, a clamp, a few sums."""


def unsupported_reason(program: Program, rows_max: int) -> str:
    """Why no circuit is made of this program; empty where one is. The text names the operation."""
    if program.dim is not None:
        return f"the program has the symbolic dimension {program.dim.name}; a circuit has one size"
    for index, op in enumerate(program.ops):
        if op.kind not in SUPPORTED:
            return f"operation {index} ({op.kind}) has no circuit"
        if op.kind == "gather" and len(program.values[op.operands[0]].shape) != 1:
            return f"operation {index} (gather) has a table of more than one axis, which has no circuit"
    rows = estimated_rows(program)
    if rows > rows_max:
        return f"the program needs about {rows} rows, {rows_max} are allowed"
    return ""


def estimated_rows(program: Program) -> int:
    """Rows of all operations, public values included."""
    total = sum(prod(value.shape) for value in program.inputs)
    total += sum(prod(program.values[output.value].shape) for output in program.outputs)
    return total + sum(_rows(program, index) for index in range(len(program.ops)))


def _rows(program: Program, index: int) -> int:
    op = program.ops[index]
    shapes = [program.values[operand].shape for operand in op.operands]
    assert all(SYMBOLIC not in shape for shape in shapes)
    out, elements = prod(op.shape), prod(shapes[0])
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
    if op.kind == "requantize":
        return out * RANGE_ROWS
    return 0 if op.kind in ("reshape", "transpose", "concat", "slice") else 2 * max(out, elements)
