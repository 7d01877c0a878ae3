"""The torch coprocessor: exact programs on the CPU or on a CUDA device."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib.metadata import version

import torch

from lazai_core.api.compute import (
    AttentionStep,
    BackendInfo,
    CancelToken,
    ExecutionResult,
    LoadedModel,
    ResourceMonitor,
    TensorView,
)
from lazai_core.api.curve_kernels import CurveKernels
from lazai_core.api.errors import ComputeError, ComputeLimitExceeded, InvalidProgram, OutOfMemory
from lazai_core.api.field_kernels import FieldKernels
from lazai_core.api.job import ResourceLimits
from lazai_core.api.program import BoundProgram, Op, Program, ValueInfo
from lazai_core.exact.codec import as_view, decode_inputs, encode_outputs, from_view
from lazai_core.exact.monitor import RunMonitor

from .attention import DTYPES, attention
from .capabilities import CAPABILITIES
from .curves.kernels import TorchCurveKernels
from .devices import Device, open_device
from .field_kernels import TorchFieldKernels
from .model_loader import PlannedStep, TorchModel, TorchModelLoader
from .options import TorchOptions
from .tensor_kernels import BUILDERS, SYMBOLIC_BUILDERS, StepContext


class TorchTrace:
    """Every value of one run; tensors leave the device when they are asked for."""

    def __init__(self, program: Program, tensors: Sequence[torch.Tensor]) -> None:
        self.program = program
        self._tensors = tuple(tensors)

    def value(self, index: int) -> TensorView:
        """Value `index` as bytes."""
        return as_view(self._tensors[index].cpu().numpy(), self.program.values[index].dtype)


class TorchTensorKernels:
    """Single operations on views, for conformance tests and for tools."""

    def __init__(self, device: Device) -> None:
        self._device = device

    def _tensor(self, view: TensorView) -> torch.Tensor:
        return torch.from_numpy(from_view(view).copy()).to(self._device.handle)

    def apply(self, op: Op, operands: Sequence[TensorView]) -> TensorView:
        """Run one operation with every operand given. Raises InvalidProgram for an unknown kind."""
        tensors = [self._tensor(view) for view in operands]
        context = StepContext(
            op=op,
            infos=tuple(_described(tensor, view) for tensor, view in zip(tensors, operands, strict=True)),
            constants=tuple(tensors),
            shape=op.shape,
            dim_max=1,
            device=self._device,
        )
        if op.kind in SYMBOLIC_BUILDERS:
            step = SYMBOLIC_BUILDERS[op.kind](context, _no_symbolic_dimension)
        elif op.kind in BUILDERS:
            step = BUILDERS[op.kind](context)
        else:
            raise InvalidProgram(f"operation kind {op.kind!r} is unknown")
        return as_view(step(tensors).cpu().contiguous().numpy(), op.dtype)

    def attention(
        self, step: AttentionStep, query: TensorView, key: TensorView, value: TensorView, table: TensorView
    ) -> TensorView:
        """Fused attention, equal to the composed operations."""
        tensors = [self._tensor(view) for view in (query, key, value, table)]
        result = attention(step, tensors[0], tensors[1], tensors[2], tensors[3], self._device)
        return as_view(result.cpu().contiguous().numpy(), DTYPES[step.output_dtype])


def _no_symbolic_dimension() -> int:
    raise InvalidProgram("single operations need concrete shapes", hint="replace -1 by the value of the dimension")


def _described(tensor: torch.Tensor, view: TensorView) -> ValueInfo:
    rows = tensor.reshape(tensor.shape[0], -1) if tensor.dim() else tensor.reshape(1, 1)
    return ValueInfo(
        dtype=DTYPES[view.dtype],
        shape=view.shape,
        low=int(tensor.min()),
        high=int(tensor.max()),
        is_constant=True,
        row_sum=int(rows.to(torch.int64).abs().sum(-1).max()),
    )


class TorchCoprocessor:
    """One device. `execute` runs in the caller's thread, one job at a time."""

    def __init__(self, options: TorchOptions) -> None:
        self._device = open_device(options)
        self.info = BackendInfo(
            name="torch",
            version=f"{version('lazai-gpu-torch')} torch {torch.__version__}",
            device=self._device.description,
            capabilities=CAPABILITIES,
        )
        self.models = TorchModelLoader(self._device)
        self.tensors = TorchTensorKernels(self._device)
        self.fields: FieldKernels | None = TorchFieldKernels(self._device)
        self.curves: CurveKernels | None = TorchCurveKernels(self._device)

    @property
    def device_name(self) -> str:
        """The torch name of the device, for example "cpu" or "cuda:0"."""
        return str(self._device.handle)

    def monitor(self, limits: ResourceLimits) -> RunMonitor:
        """A fresh monitor; on CUDA it reports the allocator's peak and the board's energy where it tells."""
        if not self._device.is_cuda:
            return RunMonitor(limits, device=self._device.description)
        handle = self._device.handle
        torch.cuda.reset_peak_memory_stats(handle)
        return RunMonitor(
            limits,
            device=self._device.description,
            memory_bytes=lambda: torch.cuda.max_memory_allocated(handle),
            energy_joules=_board_energy_joules(handle),
        )

    def execute(
        self,
        model: LoadedModel,
        job_input: bytes,
        monitor: ResourceMonitor,
        cancel: CancelToken,
        *,
        keep_trace: bool = False,
    ) -> ExecutionResult:
        """Run the program on job input bytes; see `api.compute.Coprocessor.execute`."""
        if not isinstance(model, TorchModel) or model.closed:
            raise ComputeError("the model is not loaded on this device", hint="load it first")
        bound, arrays = decode_inputs(model.program, job_input)
        limit = monitor.limits.output_bytes_max
        if limit and bound.output_bytes > limit:
            raise ComputeLimitExceeded(f"the output has {bound.output_bytes} bytes, {limit} are allowed")
        costs, usage = model.costs(bound)
        constant_bytes = model.memory_bytes
        model.dim_value = bound.dim_value
        inputs = [torch.from_numpy(array.copy()).to(self._device.handle) for array in arrays]
        values: list[torch.Tensor | None] = [*inputs, *model.constants, *([None] * len(model.program.ops))]
        steps = model.traced_steps if keep_trace else model.steps
        next_op = 0
        try:
            with torch.inference_mode():
                for step in steps:
                    cancel.raise_if_cancelled()
                    while next_op <= step.last_op:
                        monitor.charge(costs[next_op].flops, constant_bytes + costs[next_op].live_bytes)
                        next_op += 1
                    _run_step(step, values)
                output = self._job_output(bound, values)
        except torch.OutOfMemoryError as cause:
            raise OutOfMemory(f"{self._device.description} ran out of memory: {cause}") from cause
        trace = None
        if keep_trace:
            trace = TorchTrace(model.program, [value for value in values if value is not None])
        return ExecutionResult(output=output, usage=usage, measurement=monitor.measurement(), trace=trace)

    def _job_output(self, bound: BoundProgram, values: Sequence[torch.Tensor | None]) -> bytes:
        arrays = []
        for output in bound.program.outputs:
            tensor = values[output.value]
            assert tensor is not None, "an output is never dropped"
            arrays.append(tensor.cpu().numpy())
        return encode_outputs(bound, arrays)

    def close(self) -> None:
        """Give cached device memory back."""
        if self._device.is_cuda:
            torch.cuda.empty_cache()


def _run_step(step: PlannedStep, values: list[torch.Tensor | None]) -> None:
    operands = [values[index] for index in step.operands]
    values[step.result] = step.run(operands)  # type: ignore[arg-type]
    for index in step.dropped:
        values[index] = None


def _board_energy_joules(handle: torch.device) -> Callable[[], float | None]:
    """A counter of the board's energy, as the driver keeps it since it was loaded; None where it does not tell."""

    def read() -> float | None:
        try:
            import pynvml  # type: ignore[import-not-found, unused-ignore]
        except ImportError:
            return None
        try:
            pynvml.nvmlInit()
            board = pynvml.nvmlDeviceGetHandleByIndex(handle.index or 0)
            return float(pynvml.nvmlDeviceGetTotalEnergyConsumption(board)) / 1000.0
        except pynvml.NVMLError:
            return None

    return read
