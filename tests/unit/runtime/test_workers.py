"""The workers: a record leaves only when it is what the plan and the node's own check say."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import Any

import pytest
from attrs import evolve

from lazai_core.api.compute import CancelToken
from lazai_core.api.errors import Busy, Cancelled, InvalidBlock, ProvingFailed, UnknownModel
from lazai_core.api.job import ComputeJob, ComputeRecord
from lazai_core.api.proof import AcceptancePolicy, Statement, Verdict, VerifyingKey
from lazai_core.api.types import ModelId
from lazai_core.builtin.attestation_proof import AttestationProofSystem
from lazai_core.builtin.options import AttestationOptions
from lazai_core.builtin.reference_coprocessor import ReferenceCoprocessor
from lazai_core.runtime.options import RuntimeOptions
from lazai_core.runtime.workers import ComputeWorkers
from lazai_core.testing.parts import KnownIdentity, SampleStore
from lazai_core.testing.rng import SeededRng
from lazai_core.testing.samples import perceptron, perceptron_batch

SAMPLES = (perceptron(), perceptron_batch())
WORKER = KnownIdentity(3)
Change = Callable[[Any], Any]


class ChangedCoprocessor(ReferenceCoprocessor):
    """Passes every result through a function; waits at a gate where there is one."""

    def __init__(self, change: Change = lambda result: result, gate: threading.Event | None = None) -> None:
        super().__init__()
        self._change = change
        self._gate = gate

    def execute(self, *arguments: Any, **options: Any) -> Any:
        if self._gate is not None:
            assert self._gate.wait(30)
        return self._change(super().execute(*arguments, **options))


def accept(job: ComputeJob, record: ComputeRecord) -> Verdict:
    return Verdict(proven="looked at")


def refuse(job: ComputeJob, record: ComputeRecord) -> Verdict:
    raise InvalidBlock("no", check="record proof")


def workers(
    coprocessor: ReferenceCoprocessor, check: Any = accept, options: RuntimeOptions | None = None
) -> ComputeWorkers:
    programs = SampleStore(SAMPLES)
    system = AttestationProofSystem(
        options=AttestationOptions(), identity=WORKER, coprocessor=coprocessor, programs=programs
    )
    return ComputeWorkers(
        options=options or RuntimeOptions(),
        coprocessor=coprocessor,
        programs=programs,
        proofs={"attestation": system},
        tracing=(),
        identity=WORKER,
        rng=SeededRng(),
        check=check,
    )


def job_of(number: int = 0, seed: int = 1) -> ComputeJob:
    sample = SAMPLES[number]
    return ComputeJob(
        chain_id=1, model=sample.model.program.digest(), input=sample.job_input(seed=seed), proof_system="attestation"
    )


def compute(pool: ComputeWorkers, job: ComputeJob, cancel: CancelToken | None = None) -> Any:
    try:
        return asyncio.run(pool.compute(job, "attestation", cancel or CancelToken()))
    finally:
        pool.close()


def test_a_record_is_signed_proven_and_measured() -> None:
    job = job_of()

    computed = compute(workers(ReferenceCoprocessor()), job)

    record = computed.record
    assert record.output == SAMPLES[0].run(job.input).output_bytes()
    assert record.signer() == record.worker == WORKER.address
    assert computed.verdict.proven == "looked at"
    assert computed.measurement.time_ns > 0
    statement = Statement(
        program_digest=job.model,
        job_id=job.job_id,
        chain_id=1,
        input=job.input,
        output=record.output,
        usage=record.usage,
    )
    key = VerifyingKey(system="attestation", version=1, program_digest=job.model)
    judge = AttestationProofSystem(
        options=AttestationOptions(),
        identity=KnownIdentity(9),
        coprocessor=ReferenceCoprocessor(),
        programs=SampleStore(SAMPLES),
    )
    judge.verify(key, statement, record.proof, AcceptancePolicy())


@pytest.mark.parametrize(
    "change",
    [
        lambda result: evolve(result, usage=evolve(result.usage, tokens_in=1)),
        lambda result: evolve(result, usage=evolve(result.usage, flops=result.usage.flops - 1)),
        lambda result: evolve(result, output=result.output + b"x"),
    ],
)
def test_a_result_beside_the_plan_is_kept_back(change: Change) -> None:
    with pytest.raises(ProvingFailed, match="coprocessor reference states"):
        compute(workers(ChangedCoprocessor(change)), job_of())


def test_a_record_that_fails_the_nodes_own_check_is_kept_back() -> None:
    with pytest.raises(ProvingFailed, match="own check: record proof: no"):
        compute(workers(ReferenceCoprocessor(), refuse), job_of())


def test_an_unknown_model_is_named() -> None:
    with pytest.raises(UnknownModel, match="does not hold program"):
        compute(workers(ReferenceCoprocessor()), evolve(job_of(), model=ModelId(bytes(32))))


def test_a_cancelled_job_ends() -> None:
    cancel = CancelToken()
    cancel.cancel()

    with pytest.raises(Cancelled):
        compute(workers(ReferenceCoprocessor()), job_of(), cancel)


def test_the_queue_is_bounded_and_models_give_way() -> None:
    gate = threading.Event()
    pool = workers(ChangedCoprocessor(gate=gate), options=RuntimeOptions(compute_queue_max=1, models_loaded_max=1))

    async def main() -> None:
        waiting = [asyncio.create_task(pool.compute(job_of(n), "attestation", CancelToken())) for n in (0, 1)]
        await asyncio.sleep(0)
        assert pool.open == 2
        with pytest.raises(Busy, match="compute"):
            await pool.compute(job_of(0, seed=2), "attestation", CancelToken())
        gate.set()
        results = await asyncio.gather(*waiting)
        assert [item.record.job_id for item in results] == [job_of(0).job_id, job_of(1).job_id]
        assert pool.open == 0
        assert list(pool._loaded) == [job_of(1).model]

    try:
        asyncio.run(main())
    finally:
        pool.close()
