"""Static cost of a run: FLOPs and planned peak memory from graph and shapes alone (`docs/EXACT.md`, 3)."""

from __future__ import annotations

from collections.abc import Iterator

from attrs import frozen

from lazai_core.api.job import ResourceUsage
from lazai_core.api.program import BoundProgram, Program, Shape, element_count

ELEMENTWISE = frozenset({"requantize", "table", "add", "subtract", "multiply", "gather"})
POOLS = frozenset({"max_pool2d", "sum_pool2d"})
PER_OPERAND_ELEMENT = {
    "reduce_sum": 1,
    "reduce_mean": 1,
    "reduce_max": 1,
    "argmax": 1,
    "layer_norm": 8,
    "softmax": 6,
}
FLOPS_MAX = 2**63 - 1
FREE = frozenset({"reshape", "transpose", "concat", "slice"})


@frozen(kw_only=True)
class OpCost:
    """One operation's share. `live_bytes` are the values held while it runs, constants not counted."""

    index: int
    kind: str
    shape: Shape
    flops: int
    live_bytes: int


def op_flops(bound: BoundProgram, index: int) -> int:
    """FLOPs of operation `index`."""
    op = bound.program.ops[index]
    result = element_count(bound.shapes[bound.program.first_result + index])
    if op.kind in FREE:
        return 0
    if op.kind in ELEMENTWISE:
        return result
    if op.kind in POOLS:
        height, width = op.integers("kernel")
        return result * height * width
    first = bound.shapes[op.operands[0]]
    if op.kind in PER_OPERAND_ELEMENT:
        return PER_OPERAND_ELEMENT[op.kind] * element_count(first)
    if op.kind in ("dense", "matmul"):
        return 2 * result * first[-1]
    assert op.kind == "conv2d", f"no cost rule for {op.kind}"
    return 2 * result * element_count(bound.shapes[op.operands[1]][1:])


def last_uses(program: Program) -> tuple[int, ...]:
    """For each value the last operation that needs it; the number of operations where it is an output.

    A value that nobody uses is needed by the operation that makes it (an input: by the first).
    """
    last = [0] * program.first_result + list(range(len(program.ops)))
    for index, op in enumerate(program.ops):
        for operand in op.operands:
            last[operand] = index
    for output in program.outputs:
        last[output.value] = len(program.ops)
    return tuple(last)


def op_costs(bound: BoundProgram) -> Iterator[OpCost]:
    """The cost of each operation in order."""
    program = bound.program
    ending: dict[int, int] = {}
    last = last_uses(program)
    live = sum(bound.byte_size(value) for value in range(len(program.inputs)))
    for value in range(len(program.inputs)):
        ending[last[value]] = ending.get(last[value], 0) + bound.byte_size(value)
    for index, op in enumerate(program.ops):
        value = program.first_result + index
        size = bound.byte_size(value)
        live += size
        ending[last[value]] = ending.get(last[value], 0) + size
        yield OpCost(
            index=index,
            kind=op.kind,
            shape=bound.shapes[value],
            flops=op_flops(bound, index),
            live_bytes=live,
        )
        live -= ending.pop(index, 0)


def constant_bytes(program: Program) -> int:
    """Bytes of all constants, every entry of the list counted."""
    return sum(constant.byte_size for constant in program.constants)


def planned_usage(bound: BoundProgram, *, tokens_in: int = 0) -> ResourceUsage:
    """FLOPs (at most 2^63 - 1, so that usage always has an encoding) and planned peak memory of one run."""
    flops = peak = 0
    for cost in op_costs(bound):
        flops += cost.flops
        peak = max(peak, cost.live_bytes)
    memory = constant_bytes(bound.program) + peak
    return ResourceUsage(flops=min(flops, FLOPS_MAX), memory_bytes_peak=memory, tokens_in=tokens_in)
