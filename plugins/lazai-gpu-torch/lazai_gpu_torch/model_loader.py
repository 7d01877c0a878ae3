"""From a program to a list of prepared steps on a device."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from attrs import define, field

from lazai_core.api.compute import ConstantSource, LoadedModel
from lazai_core.api.errors import ComputeError, OutOfMemory
from lazai_core.api.job import ResourceUsage
from lazai_core.api.program import BoundProgram, Op, Program
from lazai_core.exact.codec import from_view
from lazai_core.exact.cost import OpCost, constant_bytes, op_costs, planned_usage

from .devices import Device
from .tensor_kernels import BUILDERS, SYMBOLIC_BUILDERS, Step, StepContext, build_dense

COSTS_KEPT_MAX = 64


@define(kw_only=True)
class PlannedStep:
    """One step: reads `operands`, writes value `result`, then drops the values in `dropped`.

    `last_op` is the highest op index it covers: a fused step does the work of several.
    """

    run: Step = field(repr=False)
    operands: tuple[int, ...]
    result: int
    last_op: int
    dropped: tuple[int, ...] = ()


@define(kw_only=True, eq=False)
class TorchModel:
    """A program with its constants on the device, ready to run. Used by one thread at a time."""

    program: Program
    memory_bytes: int
    constants: list[torch.Tensor] = field(repr=False)
    steps: list[PlannedStep] = field(repr=False)
    traced_steps: list[PlannedStep] = field(repr=False)
    dim_value: int = 0
    closed: bool = False
    _costs: dict[int, tuple[tuple[OpCost, ...], ResourceUsage]] = field(factory=dict, repr=False)

    def costs(self, bound: BoundProgram) -> tuple[tuple[OpCost, ...], ResourceUsage]:
        """Planned cost by operation and in all, kept for the dimensions seen last."""
        known = self._costs.get(bound.dim_value)
        if known is None:
            if len(self._costs) >= COSTS_KEPT_MAX:
                self._costs.pop(next(iter(self._costs)))
            known = (tuple(op_costs(bound)), planned_usage(bound))
            self._costs[bound.dim_value] = known
        return known


class TorchModelLoader:
    """The `ModelLoader` of this backend."""

    def __init__(self, device: Device) -> None:
        self._device = device

    def plan(self, program: Program, job_input: bytes) -> ResourceUsage:
        """Static cost of a run on this input. Raises InvalidInput."""
        bound = program.bind_input(job_input)
        return planned_usage(bound)

    def load(self, program: Program, constants: ConstantSource) -> TorchModel:
        """Copy constants to the device and prepare every step. Raises OutOfMemory."""
        try:
            tensors = [
                torch.from_numpy(from_view(constants.constant(index)).copy()).to(self._device.handle)
                for index in range(len(program.constants))
            ]
            model = TorchModel(
                program=program,
                memory_bytes=constant_bytes(program),
                constants=tensors,
                steps=[],
                traced_steps=[],
            )
            model.traced_steps = [
                PlannedStep(
                    run=_build(model, index, self._device),
                    operands=op.operands,
                    result=program.first_result + index,
                    last_op=index,
                )
                for index, op in enumerate(program.ops)
            ]
            model.steps = _fuse(model, self._device)
        except torch.OutOfMemoryError as cause:
            raise OutOfMemory(f"{self._device.description} cannot hold the model: {cause}") from cause
        return model

    def unload(self, model: LoadedModel) -> None:
        """Let go of every tensor. The model raises ComputeError when it is used afterwards."""
        if not isinstance(model, TorchModel):
            raise ComputeError("this model was not loaded by the torch backend")
        model.constants.clear()
        model.steps.clear()
        model.traced_steps.clear()
        model.closed = True
        if self._device.is_cuda:
            torch.cuda.empty_cache()


def _context(model: TorchModel, op: Op, device: Device) -> StepContext:
    program = model.program
    first, end = program.first_constant, program.first_result
    return StepContext(
        op=op,
        infos=tuple(program.values[operand] for operand in op.operands),
        constants=tuple(model.constants[o - first] if first <= o < end else None for o in op.operands),
        shape=op.shape,
        dim_max=program.dim.maximum if program.dim else 1,
        device=device,
    )


def _build(model: TorchModel, index: int, device: Device) -> Step:
    op = model.program.ops[index]
    context = _context(model, op, device)
    if op.kind in SYMBOLIC_BUILDERS:
        return SYMBOLIC_BUILDERS[op.kind](context, lambda: model.dim_value)
    return BUILDERS[op.kind](context)


def _sole_readers(program: Program) -> Callable[[int], int | None]:
    readers: dict[int, list[int]] = {}
    for index, op in enumerate(program.ops):
        for operand in op.operands:
            readers.setdefault(operand, []).append(index)
    outputs = {output.value for output in program.outputs}

    def sole_reader(value: int) -> int | None:
        found = readers.get(value, [])
        return found[0] if len(found) == 1 and value not in outputs else None

    return sole_reader


def _fuse(model: TorchModel, device: Device) -> list[PlannedStep]:
    """Join each `dense` with the `requantize` that alone reads it, then plan when values may be dropped."""
    program = model.program
    sole_reader = _sole_readers(program)
    fused_into: dict[int, int] = {}
    for index, op in enumerate(program.ops):
        reader = sole_reader(program.first_result + index)
        if op.kind == "dense" and reader is not None and program.ops[reader].kind == "requantize":
            fused_into[index] = reader
    steps: list[PlannedStep] = []
    producers = {reader: index for index, reader in fused_into.items()}
    for index, op in enumerate(program.ops):
        if index in fused_into:
            continue
        if index in producers:
            dense = program.ops[producers[index]]
            rescale = _context(model, op, device).rescale()
            run = build_dense(_context(model, dense, device), rescale)
            operands = dense.operands
        else:
            run, operands = model.traced_steps[index].run, op.operands
        steps.append(
            PlannedStep(run=run, operands=operands, result=program.first_result + index, last_op=index)
        )
    _plan_drops(steps, program)
    return steps


def _plan_drops(steps: Sequence[PlannedStep], program: Program) -> None:
    kept = {output.value for output in program.outputs}
    kept.update(range(program.first_constant, program.first_result))
    last_reader: dict[int, int] = {}
    for position, step in enumerate(steps):
        for operand in step.operands:
            last_reader[operand] = position
        last_reader.setdefault(step.result, position)
    for value, position in last_reader.items():
        if value not in kept:
            steps[position].dropped = (*steps[position].dropped, value)
