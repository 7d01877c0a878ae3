"""Random programs: canonical bytes, sound intervals, agreement with plain loops, cost by brute force."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
from hypothesis import given

from lazai_core.api.program import BoundProgram, Op, Program
from lazai_core.exact.bounds import accumulator_bound, check_constants
from lazai_core.exact.codec import decode_inputs, decode_outputs, encode_inputs
from lazai_core.exact.cost import op_costs, planned_usage
from lazai_core.exact.reference import run, run_job
from tests.property.program_cases import KINDS_TABLE, SEEDS, examples, random_inputs, random_model
from tests.unit.exact import oracles


def concrete_attributes(op: Op, shape: tuple[int, ...]) -> dict[str, Any]:
    attributes = dict(op.attributes)
    if op.kind == "reshape":
        attributes["shape"] = shape
    if op.kind == "slice":
        attributes["length"] = shape[op.integer("axis")]
    return attributes


def run_traced(seed: int) -> tuple[Program, BoundProgram, list[np.ndarray[Any, Any]]]:
    model = random_model(seed)
    bound, inputs = random_inputs(model, seed + 1)
    result = run(model.program, model.constants, inputs, dim_value=bound.dim_value, keep_trace=True)
    assert result.trace is not None
    return model.program, bound, list(result.trace.arrays)


def test_the_generator_reaches_every_kind() -> None:
    kinds = Counter(op.kind for seed in range(300) for op in random_model(seed).program.ops)

    assert set(kinds) == set(KINDS_TABLE)


@examples(60)
@given(SEEDS)
def test_skeletons_are_canonical(seed: int) -> None:
    model = random_model(seed)
    data = model.program.skeleton()

    read = Program.from_skeleton(data)

    assert read == model.program
    assert read.skeleton() == data
    assert read.values == model.program.values
    check_constants(read, model.constants)


@examples(60)
@given(SEEDS)
def test_executed_values_lie_in_their_intervals(seed: int) -> None:
    program, bound, values = run_traced(seed)
    for index, (info, array) in enumerate(zip(program.values, values, strict=True)):
        assert array.shape == bound.shapes[index]
        assert info.low <= int(array.min())
        assert int(array.max()) <= info.high
        if info.last_axis_sum is not None:
            assert int(np.abs(array.astype(np.int64)).sum(axis=-1).max()) <= info.last_axis_sum


@examples(60)
@given(SEEDS)
def test_every_operation_agrees_with_plain_loops(seed: int) -> None:
    program, _, values = run_traced(seed)
    for index, op in enumerate(program.ops):
        result = values[program.first_result + index]
        oracle = getattr(oracles, op.kind if op.kind != "slice" else "slice_")
        operands = [values[operand] for operand in op.operands]

        expected = oracle(*operands, **concrete_attributes(op, result.shape))

        assert result.tolist() == expected.tolist(), f"operation {index} ({op.kind})"


@examples(60)
@given(SEEDS)
def test_partial_sums_stay_below_the_accumulator_bound(seed: int) -> None:
    program, _, values = run_traced(seed)
    for index, op in enumerate(program.ops):
        if op.kind == "dense":
            x, weight = (values[operand].astype(np.int64) for operand in op.operands[:2])
            positive = np.maximum(x[..., None, :] * weight, 0).sum(axis=-1).max()
            negative = np.minimum(x[..., None, :] * weight, 0).sum(axis=-1).min()
            assert max(int(positive), -int(negative)) <= accumulator_bound(program, index)


def flops_by_counting(op: Op, shapes: list[tuple[int, ...]], result: tuple[int, ...]) -> int:
    count = sum(1 for _ in oracles.loop(result))
    operand = sum(1 for _ in oracles.loop(shapes[0]))
    if op.kind in ("dense", "matmul"):
        return sum(2 for _ in oracles.loop(result) for _ in range(shapes[0][-1]))
    if op.kind == "conv2d":
        return sum(2 for _ in oracles.loop(result) for _ in oracles.loop(shapes[1][1:]))
    if op.kind.endswith("pool2d"):
        return sum(1 for _ in oracles.loop(result) for _ in oracles.loop(op.integers("kernel")))
    if op.kind in ("reshape", "transpose", "concat", "slice"):
        return 0
    per_operand = {"layer_norm": 8, "softmax": 6, "argmax": 1, "reduce_sum": 1, "reduce_mean": 1, "reduce_max": 1}
    return per_operand[op.kind] * operand if op.kind in per_operand else count


def live_by_search(bound: BoundProgram, index: int) -> int:
    program = bound.program
    total = 0
    for value in [*range(program.first_constant), *range(program.first_result, program.first_result + index + 1)]:
        made = value - program.first_result
        later = any(value in op.operands for op in program.ops[index:])
        leaves = any(output.value == value for output in program.outputs)
        idle_input = index == 0 and value < program.first_constant
        if later or leaves or made == index or idle_input:
            total += bound.byte_size(value)
    return total


@examples(60)
@given(SEEDS)
def test_cost_equals_brute_force(seed: int) -> None:
    model = random_model(seed)
    bound, _ = random_inputs(model, seed)
    program = model.program
    flops, peak = 0, 0
    for cost, op in zip(op_costs(bound), program.ops, strict=True):
        result = bound.shapes[program.first_result + cost.index]
        expected = flops_by_counting(op, [bound.shapes[operand] for operand in op.operands], result)
        assert (cost.kind, cost.flops) == (op.kind, expected)
        assert cost.live_bytes == live_by_search(bound, cost.index)
        flops, peak = flops + expected, max(peak, cost.live_bytes)
    constants = sum(array.nbytes for array in model.constants)

    usage = planned_usage(bound)

    assert (usage.flops, usage.memory_bytes_peak) == (flops, constants + peak)


@examples(60)
@given(SEEDS)
def test_jobs_travel_as_bytes(seed: int) -> None:
    model = random_model(seed)
    bound, inputs = random_inputs(model, seed + 1)
    data = encode_inputs(model.program, inputs, bound.dim_value)

    decoded_bound, decoded = decode_inputs(model.program, data)
    result = run_job(model, data)
    output = result.output_bytes()

    assert decoded_bound == bound == result.bound
    assert [array.tolist() for array in decoded] == [array.tolist() for array in inputs]
    assert len(output) == bound.output_bytes
    back = decode_outputs(bound, output)
    assert [array.tolist() for array in back] == [array.tolist() for array in result.outputs]
