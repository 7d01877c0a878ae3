"""The statement against the program, and its planned usage (docs/EXACT.md, 1 and 3)."""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np
from test_second_verifier import check

from lazai_core.api.program import BoundProgram, Op, Program
from lazai_core.api.proof import Statement

PER_OPERAND = {"reduce_sum": 1, "reduce_mean": 1, "reduce_max": 1, "argmax": 1, "layer_norm": 8, "softmax": 6}


def _flops(bound: BoundProgram, op: Op, value: int) -> int:
    result, first = prod(bound.shapes[value]), bound.shapes[op.operands[0]]
    if op.kind in ("reshape", "transpose", "concat", "slice"):
        return 0
    if op.kind in ("dense", "matmul"):
        return 2 * result * first[-1]
    if op.kind == "conv2d":
        return 2 * result * prod(bound.shapes[op.operands[1]][1:])
    if op.kind in ("max_pool2d", "sum_pool2d"):
        return result * prod(op.integers("kernel"))
    return PER_OPERAND[op.kind] * prod(first) if op.kind in PER_OPERAND else result


def usage(bound: BoundProgram) -> tuple[int, int]:
    """FLOPs and planned peak memory."""
    program = bound.program
    last = [0] * program.first_result + list(range(len(program.ops)))
    for index, op in enumerate(program.ops):
        for operand in op.operands:
            last[operand] = index
    for output in program.outputs:
        last[output.value] = len(program.ops)
    flops = peak = 0
    for index, op in enumerate(program.ops):
        value = program.first_result + index
        flops += _flops(bound, op, value)
        there = [i for i in range(value + 1) if not program.values[i].is_constant and last[i] >= index]
        peak = max(peak, sum(bound.byte_size(i) for i in there))
    constants = sum(constant.byte_size for constant in program.constants)
    return min(flops, (1 << 63) - 1), constants + peak


def _tensors(parts: Any, bound: BoundProgram, numbers: list[int]) -> list[Any]:
    found = []
    for part, number in zip(parts, numbers, strict=True):
        info = bound.program.values[number]
        tensor = np.frombuffer(part, dtype=f"<i{info.dtype.size}").reshape(bound.shapes[number]).astype(np.int64)
        check(bool((tensor >= info.low).all() and (tensor <= info.high).all()), "statement: interval")
        found.append(tensor)
    return found


def input_tensors(bound: BoundProgram, job_input: bytes) -> list[Any]:
    return _tensors(bound.split_input(job_input), bound, list(range(len(bound.program.inputs))))


def check_statement(program: Program, statement: Statement) -> tuple[list[Any], list[Any]]:
    """The public tensors: inputs and outputs."""
    check(len(statement.input) >= 4, "statement: input")
    value = int.from_bytes(statement.input[:4], "big")
    least, most = (program.dim.minimum, program.dim.maximum) if program.dim else (0, 0)
    check(least <= value <= most, "statement: dimension")
    bound = program.bind(value)
    check(len(statement.input) == bound.input_bytes, "statement: input")
    check(len(statement.output) == bound.output_bytes, "statement: output")
    planned = statement.usage
    check((planned.flops, planned.memory_bytes_peak) == usage(bound) and planned.tokens_in == 0, "usage")
    outputs = _tensors(bound.split_output(statement.output), bound, [output.value for output in program.outputs])
    return input_tensors(bound, statement.input), outputs
