"""Coprocessor and prover in worker threads: a job goes in, a record that passed this node's own check comes out."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Collection, Mapping
from typing import TypeVar

from attrs import evolve, frozen

from lazai_core.api.compute import (
    CancelToken,
    ConstantSource,
    Coprocessor,
    ExecutionResult,
    LoadedModel,
    TensorView,
    TraceHandle,
)
from lazai_core.api.errors import InvalidBlock, ProvingFailed, UnknownModel
from lazai_core.api.job import ComputeJob, ComputeRecord, Measurement, ResourceLimits
from lazai_core.api.needs import NodeIdentity, ProgramStore
from lazai_core.api.program import Program
from lazai_core.api.proof import ProofSystem, ProvingKey, Rng, Statement, Verdict
from lazai_core.api.types import ModelId
from lazai_core.exact.cost import planned_usage

from .execution import BoundedThreads
from .options import RuntimeOptions

T = TypeVar("T")
PROVING_KEYS_MAX = 32


@frozen(kw_only=True)
class Computed:
    """A record that this node made and checked, and what making it took."""

    record: ComputeRecord
    measurement: Measurement
    verdict: Verdict


class _NoTrace:
    """Stands for the trace of a run that kept none, because its proof system asked for none."""

    def value(self, index: int) -> TensorView:
        raise ProvingFailed("the proof system reads the trace; its entry must require the capability TRACE")


class ComputeWorkers:
    """Runs jobs. `check` is the very check that validators make; a record that fails it never leaves."""

    def __init__(
        self,
        *,
        options: RuntimeOptions,
        coprocessor: Coprocessor,
        programs: ProgramStore,
        proofs: Mapping[str, ProofSystem],
        tracing: Collection[str],
        identity: NodeIdentity,
        rng: Rng,
        check: Callable[[ComputeJob, ComputeRecord], Verdict],
    ) -> None:
        self._options = options
        self._coprocessor = coprocessor
        self._programs = programs
        self._proofs = proofs
        self._tracing = frozenset(tracing)
        self._identity = identity
        self._rng = rng
        self._check = check
        self._threads = BoundedThreads(
            "compute", threads=options.compute_threads, waiting_max=options.compute_queue_max
        )
        self._lock = threading.Lock()
        self._loaded: OrderedDict[ModelId, LoadedModel] = OrderedDict()
        self._in_use: dict[ModelId, int] = {}
        self._keys: OrderedDict[tuple[str, ModelId], ProvingKey] = OrderedDict()

    @property
    def open(self) -> int:
        """Jobs that wait or run."""
        return self._threads.open

    async def compute(self, job: ComputeJob, system: str, cancel: CancelToken) -> Computed:
        """Run, prove, sign and check. Raises Busy, RequestRejected, ComputeError or ProofError."""
        return await self._threads.run(self._compute, job, system, cancel)

    def close(self) -> None:
        """Wait for running jobs, then free the models."""
        self._threads.close()
        for model in self._loaded.values():
            self._coprocessor.models.unload(model)
        self._loaded.clear()

    async def load(self, model: ModelId) -> None:
        """Load a model, so that the first request need not wait for it. Raises what loading raises."""
        await self._threads.run(self._with_model, model, lambda loaded: None)

    def _compute(self, job: ComputeJob, system: str, cancel: CancelToken) -> Computed:
        cancel.raise_if_cancelled()
        result = self._execute(job, cancel, keep_trace=system in self._tracing)
        self._check_plan(job, result)
        record = self._prove(job, system, result, cancel)
        try:
            verdict = self._check(job, record)
        except InvalidBlock as error:
            raise ProvingFailed(
                f"the record of job 0x{job.job_id.hex()} does not pass this node's own check: {error}",
                hint="the coprocessor gives wrong or changing results; look at its health with `lazai doctor`",
            ) from error
        return Computed(record=record, measurement=result.measurement, verdict=verdict)

    def _check_plan(self, job: ComputeJob, result: ExecutionResult) -> None:
        """The price comes from graph and shapes alone; a backend that states another would spoil the block."""
        program, _ = self._held(job.model)
        bound = program.bind_input(job.input)
        planned = planned_usage(bound)
        if result.usage != planned or len(result.output) != bound.output_bytes:
            raise ProvingFailed(
                f"coprocessor {self._coprocessor.info.name} states {result.usage} and {len(result.output)} bytes for "
                f"job 0x{job.job_id.hex()}; the plan is {planned} and {bound.output_bytes} bytes",
                hint="choose another coprocessor, and tell its authors",
            )

    def _execute(self, job: ComputeJob, cancel: CancelToken, *, keep_trace: bool) -> ExecutionResult:
        def run(model: LoadedModel) -> ExecutionResult:
            planned = self._coprocessor.models.plan(model.program, job.input)
            # The plan is the price: a run that needs more than was planned is a fault of the backend.
            limits = ResourceLimits(
                flops_max=planned.flops,
                memory_bytes_max=planned.memory_bytes_peak,
                time_ms_max=self._options.compute_time_ms_max,
            )
            monitor = self._coprocessor.monitor(limits)
            return self._coprocessor.execute(model, job.input, monitor, cancel, keep_trace=keep_trace)

        return self._with_model(job.model, run)

    def _with_model(self, digest: ModelId, use: Callable[[LoadedModel], T]) -> T:
        model = self._acquire(digest)
        try:
            return use(model)
        finally:
            with self._lock:
                self._in_use[digest] -= 1
                self._shrink()

    def _acquire(self, digest: ModelId) -> LoadedModel:
        with self._lock:
            model = self._loaded.get(digest)
            if model is None:
                program, constants = self._held(digest)
                model = self._coprocessor.models.load(program, constants)
                self._loaded[digest] = model
            self._loaded.move_to_end(digest)
            self._in_use[digest] = self._in_use.get(digest, 0) + 1
            return model

    def _held(self, digest: ModelId) -> tuple[Program, ConstantSource]:
        program, constants = self._programs.program(digest), self._programs.constants(digest)
        if program is None or constants is None:
            raise UnknownModel(
                f"this node does not hold program 0x{digest.hex()}",
                hint="put the model's folder under the node's models folder",
            )
        return program, constants

    def _shrink(self) -> None:
        for digest in list(self._loaded):
            if len(self._loaded) <= self._options.models_loaded_max:
                return
            if not self._in_use.get(digest):
                self._coprocessor.models.unload(self._loaded.pop(digest))
                self._in_use.pop(digest, None)

    def _prove(self, job: ComputeJob, system: str, result: ExecutionResult, cancel: CancelToken) -> ComputeRecord:
        statement = Statement(
            program_digest=job.model,
            job_id=job.job_id,
            chain_id=job.chain_id,
            input=job.input,
            output=result.output,
            usage=result.usage,
        )
        trace: TraceHandle = _NoTrace() if result.trace is None else result.trace
        key = self._key(system, job.model)
        proof = self._proofs[system].prove(key, statement, trace, self._rng, cancel)
        record = ComputeRecord(
            job_id=job.job_id,
            output=result.output,
            usage=result.usage,
            proof=proof,
            worker=self._identity.address,
        )
        return evolve(record, signature=self._identity.sign(record.digest_to_sign))

    def _key(self, system: str, digest: ModelId) -> ProvingKey:
        with self._lock:
            key = self._keys.get((system, digest))
            if key is None:
                program, constants = self._held(digest)
                key = self._proofs[system].prepare(program, constants)
                self._keys[system, digest] = key
                while len(self._keys) > PROVING_KEYS_MAX:
                    self._keys.popitem(last=False)
            self._keys.move_to_end((system, digest))
            return key
