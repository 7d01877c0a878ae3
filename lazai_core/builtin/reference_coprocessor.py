"""The reference backend: plain numpy, one operation after the other. Slow, and right by definition."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from attrs import define

from lazai_core.api.compute import (
    AttentionStep,
    BackendInfo,
    CancelToken,
    Capability,
    ConstantSource,
    Coprocessor,
    ExecutionResult,
    LoadedModel,
    ModelLoader,
    ResourceMonitor,
    TensorKernels,
    TensorView,
)
from lazai_core.api.curve_kernels import CurveKernels
from lazai_core.api.errors import BackendUnavailable, ComputeLimitExceeded, OutOfMemory
from lazai_core.api.field_kernels import FieldKernels
from lazai_core.api.job import ResourceLimits, ResourceUsage
from lazai_core.api.program import BoundProgram, Op, Program
from lazai_core.exact.codec import as_view, from_view
from lazai_core.exact.cost import constant_bytes, op_costs, planned_usage
from lazai_core.exact.model import ExactModel

VERSION = "1"


@define(kw_only=True)
class ReferenceModel:
    """A program with its constants as numpy arrays."""

    program: Program
    memory_bytes: int
    arrays: ExactModel


class ReferenceLoader:
    """Models as arrays in this process's memory."""

    def plan(self, program: Program, job_input: bytes) -> ResourceUsage:
        """Static cost of a run on this input. Raises InvalidInput."""
        return planned_usage(program.bind_input(job_input))

    def load(self, program: Program, constants: ConstantSource) -> ReferenceModel:
        """Raises OutOfMemory."""
        try:
            arrays = tuple(from_view(constants.constant(i)) for i in range(len(program.constants)))
        except MemoryError as error:
            raise OutOfMemory(f"the model's {constant_bytes(program)} bytes of constants do not fit") from error
        model = ExactModel(program=program, constants=arrays)
        return ReferenceModel(program=program, memory_bytes=constant_bytes(program), arrays=model)

    def unload(self, model: LoadedModel) -> None:
        """Nothing to do: the arrays go with the last reference to them."""


class ReferenceKernels:
    """Single operations. Attention is composed of the operations it stands for."""

    def apply(self, op: Op, operands: Sequence[TensorView]) -> TensorView:
        """Run one operation whose shape is concrete."""
        from lazai_core.exact.reference import apply_op

        return as_view(apply_op(op, [from_view(view) for view in operands], op.shape), op.dtype)

    def attention(
        self, step: AttentionStep, query: TensorView, key: TensorView, value: TensorView, table: TensorView
    ) -> TensorView:
        """Scores, softmax and weighted sum, one operation after the other."""
        from lazai_core.exact.attention import attention_ops

        scores, narrowed, probabilities, mixed, output = attention_ops(step, query, key, value, table)
        current = self.apply(scores, (query, key))
        current = self.apply(narrowed, (current,))
        current = self.apply(probabilities, (current, table))
        current = self.apply(mixed, (current, value))
        return self.apply(output, (current,))


class ReferenceCoprocessor:
    """`Coprocessor` over `lazai_core.exact.reference`."""

    def __init__(self) -> None:
        self.info = BackendInfo(
            name="reference",
            version=VERSION,
            device="cpu",
            capabilities=frozenset({Capability.EXACT_TENSORS, Capability.TRACE}),
        )
        self.models: ModelLoader = ReferenceLoader()
        self.tensors: TensorKernels = ReferenceKernels()
        self.fields: FieldKernels | None = None
        self.curves: CurveKernels | None = None
        self._closed = False

    def monitor(self, limits: ResourceLimits) -> ResourceMonitor:
        """A fresh monitor for one run."""
        from lazai_core.exact.monitor import RunMonitor

        return RunMonitor(limits, device=self.info.device)

    def execute(
        self,
        model: LoadedModel,
        job_input: bytes,
        monitor: ResourceMonitor,
        cancel: CancelToken,
        *,
        keep_trace: bool = False,
    ) -> ExecutionResult:
        """Run the program; the token and the limits are looked at before each operation."""
        from lazai_core.exact.reference import run_job

        if self._closed:
            raise BackendUnavailable("the reference coprocessor was closed")
        if not isinstance(model, ReferenceModel):
            raise BackendUnavailable("the model was loaded by another backend", hint="load it with this backend")
        cancel.raise_if_cancelled()
        bound = model.program.bind_input(job_input)
        _check_output(bound.output_bytes, monitor.limits.output_bytes_max)
        monitor.start()
        try:
            run = run_job(model.arrays, job_input, on_op=_before_each(bound, monitor, cancel), keep_trace=keep_trace)
        except MemoryError as error:
            raise OutOfMemory("this machine has not enough memory for the run") from error
        return ExecutionResult(
            output=run.output_bytes(),
            usage=planned_usage(bound),
            measurement=monitor.measurement(),
            trace=run.trace,
        )

    def close(self) -> None:
        """Refuse further work."""
        self._closed = True


def _before_each(bound: BoundProgram, monitor: ResourceMonitor, cancel: CancelToken) -> Callable[[int], None]:
    constants = constant_bytes(bound.program)
    costs = list(op_costs(bound))

    def before(index: int) -> None:
        cancel.raise_if_cancelled()
        monitor.charge(costs[index].flops, constants + costs[index].live_bytes)

    return before


def _check_output(output_bytes: int, limit: int) -> None:
    if limit and output_bytes > limit:
        raise ComputeLimitExceeded(f"the output has {output_bytes} bytes, {limit} are allowed")


def build_reference() -> Coprocessor:
    """The built-in backend; it has no options and is always there."""
    return ReferenceCoprocessor()
