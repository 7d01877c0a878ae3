"""Coprocessor backends: what runs exact programs.

A backend is a sum of small facets. It is used from worker threads, one job per thread and device at a time; a
running kernel cannot be interrupted from outside, so backends look at the cancel token between operations.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Protocol, runtime_checkable

from attrs import field, frozen

from .curve_kernels import CurveKernels
from .errors import Cancelled
from .field_kernels import FieldKernels
from .job import Measurement, ResourceLimits, ResourceUsage
from .program import Op, Program


class Capability(StrEnum):
    """What a backend can do, matched against what chosen proof systems require."""

    EXACT_TENSORS = "exact-tensors"
    TRACE = "trace"
    FIELD_KERNELS = "field-kernels"
    CURVE_KERNELS = "curve-kernels"


@frozen(kw_only=True)
class BackendInfo:
    """Identity of a backend as it runs here. `device` is for people, for example "cpu" or "cuda:0 NVIDIA H100"."""

    name: str
    version: str
    device: str
    capabilities: frozenset[Capability]
    deterministic: bool = True


@frozen(kw_only=True)
class TensorView:
    """Integers crossing a room's border: `dtype` is "int8", "int16" or "int32"; `data` little-endian in C order."""

    dtype: str
    shape: tuple[int, ...]
    data: bytes | memoryview = field(repr=lambda data: f"<{len(data)} bytes>")


class CancelToken:
    """Set once, read often, from any thread."""

    def __init__(self) -> None:
        self._event = threading.Event()

    def cancel(self) -> None:
        """Ask for the end of the work."""
        self._event.set()

    @property
    def cancelled(self) -> bool:
        """Whether the end was asked for."""
        return self._event.is_set()

    def raise_if_cancelled(self) -> None:
        """Raises Cancelled once the end was asked for."""
        if self._event.is_set():
            raise Cancelled("the job was cancelled")


class ResourceMonitor(Protocol):
    """Follows one run."""

    limits: ResourceLimits

    def start(self) -> None:
        """Begin to measure."""

    def charge(self, flops: int, memory_bytes: int) -> None:
        """Book an operation's FLOPs and the live bytes while it ran. Raises ComputeLimitExceeded."""

    def measurement(self) -> Measurement:
        """What was booked and measured so far."""


@runtime_checkable
class Tokenizer(Protocol):
    """Text to token numbers and back; a pure function of the tokenizer file."""

    def encode(self, text: str) -> Sequence[int]:
        """Token numbers of the text, special tokens included."""

    def decode(self, tokens: Sequence[int]) -> str:
        """Text of the tokens, special tokens left out."""


class ConstantSource(Protocol):
    """The constants of one program, by their index in `Program.constants`. Digests are already checked."""

    def constant(self, index: int) -> TensorView:
        """The raw tensor of constant `index`."""


class TraceHandle(Protocol):
    """Every value of one run, by value index, for provers."""

    def value(self, index: int) -> TensorView:
        """The tensor of value `index`, numbered as in docs/EXACT.md."""


class LoadedModel(Protocol):
    """A program with its constants resident on a device."""

    @property
    def program(self) -> Program:
        """The program that was loaded."""

    @property
    def memory_bytes(self) -> int:
        """Bytes of its constants on the device."""


@frozen(kw_only=True)
class ExecutionResult:
    """Outcome of a run: job output bytes, planned usage, what was measured, and the trace when asked for."""

    output: bytes = field(repr=lambda data: f"<{len(data)} bytes>")
    usage: ResourceUsage
    measurement: Measurement
    trace: TraceHandle | None = None


class ModelLoader(Protocol):
    """Brings programs onto the device and takes them off again."""

    def plan(self, program: Program, job_input: bytes) -> ResourceUsage:
        """Static cost of a run on this input (docs/EXACT.md, section 3). Raises InvalidInput."""

    def load(self, program: Program, constants: ConstantSource) -> LoadedModel:
        """Raises OutOfMemory, NotExact, BackendUnavailable."""

    def unload(self, model: LoadedModel) -> None:
        """Give the device memory back. The model must not be used afterwards."""


@frozen(kw_only=True)
class AttentionStep:
    """Fused attention of one layer in exact mode, equal to the composed operations it stands for:

    scores = matmul(query, key, transpose_right); requantize(score_shift, score_low, score_high, int16);
    softmax(table, causal, precision); matmul(probabilities, value); requantize(output_shift, low, high, dtype).
    """

    score_shift: int
    score_low: int
    score_high: int
    causal: bool
    precision: int
    output_shift: int
    output_low: int
    output_high: int
    output_dtype: str


class TensorKernels(Protocol):
    """Single operations, for conformance tests and for tools. Results are bit-equal to the reference."""

    def apply(self, op: Op, operands: Sequence[TensorView]) -> TensorView:
        """Run one operation of docs/EXACT.md; constants are passed as operands too."""

    def attention(
        self, step: AttentionStep, query: TensorView, key: TensorView, value: TensorView, table: TensorView
    ) -> TensorView:
        """Query `[..., Q, D]`, key `[..., K, D]`, value `[..., K, E]`, table `[L]` to `[..., Q, E]`."""


class Coprocessor(Protocol):
    """One device's worth of computing."""

    @property
    def info(self) -> BackendInfo:
        """What runs here."""

    @property
    def models(self) -> ModelLoader:
        """Loads and unloads programs."""

    @property
    def tensors(self) -> TensorKernels:
        """Single operations."""

    @property
    def fields(self) -> FieldKernels | None:
        """The hot steps of proofs; None where `info.capabilities` lacks FIELD_KERNELS."""

    @property
    def curves(self) -> CurveKernels | None:
        """The hot steps of proofs over BN254; None where `info.capabilities` lacks CURVE_KERNELS."""

    def monitor(self, limits: ResourceLimits) -> ResourceMonitor:
        """A fresh monitor for one run on this device."""

    def execute(
        self,
        model: LoadedModel,
        job_input: bytes,
        monitor: ResourceMonitor,
        cancel: CancelToken,
        *,
        keep_trace: bool = False,
    ) -> ExecutionResult:
        """Run the program; blocks.

        Raises InvalidInput for bytes that do not fit the program, ComputeLimitExceeded, Cancelled, OutOfMemory.
        """

    def close(self) -> None:
        """Free everything. Idempotent."""


class Embedder(Protocol):
    """Turns texts into vectors with one model. Floats: outside consensus."""

    dimensions: int
    tokens_max: int

    def job_input(self, text: str) -> bytes:
        """Job input bytes for one text. Raises OverLimit."""

    def tokens(self, text: str) -> int:
        """Number of tokens of the text, special tokens included."""

    def vector(self, output: bytes) -> Sequence[float]:
        """The normalised vector that job output bytes stand for."""


@frozen(kw_only=True)
class ModelManifest:
    """What an operator or author says about a model; lies beside the program file as `manifest.json`.

    `kind` is "tensor" or "embedding". `metadata` is free text for people and has no effect.
    """

    name: str
    kind: str
    program_digest: str
    tokenizer_sha256: str = ""
    tokens_max: int = 0
    normalize: bool = True
    labels: tuple[str, ...] = ()
    owned_by: str = "lazai"
    licence: str = ""
    created: int = 0
    metadata: Mapping[str, str] = field(factory=dict)
