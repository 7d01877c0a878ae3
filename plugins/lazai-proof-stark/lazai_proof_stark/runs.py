"""One model run, proved and verified, as the command line and the benchmarks do it."""

from __future__ import annotations

from collections.abc import Callable

from attrs import field, frozen

from lazai_core.api.compute import CancelToken
from lazai_core.api.job import ComputeJob, ProofEnvelope
from lazai_core.api.proof import Statement
from lazai_core.exact.cost import planned_usage
from lazai_core.exact.model import ExactModel
from lazai_core.exact.reference import ReferenceTrace, run_job

from .model_key import SYSTEM_NAME, StarkProvingKey
from .profile import Profiler, ProofProfile
from .system import StarkProofSystem


@frozen(kw_only=True)
class TracedRun:
    """A run of the model and the statement about it."""

    statement: Statement
    trace: ReferenceTrace = field(repr=False)


@frozen(kw_only=True)
class ProvedRun:
    """The proof with where its time and memory went."""

    envelope: ProofEnvelope
    profile: ProofProfile


def run_model(model: ExactModel, job_input: bytes, chain_id: int = 0) -> TracedRun:
    """Run on the reference, and state the outcome. Raises InvalidInput."""
    outcome = run_job(model, job_input, keep_trace=True)
    assert outcome.trace is not None, "the trace was asked for"
    digest = model.program.digest()
    job = ComputeJob(chain_id=chain_id, model=digest, input=job_input, proof_system=SYSTEM_NAME)
    statement = Statement(
        program_digest=digest,
        job_id=job.job_id,
        chain_id=chain_id,
        input=job_input,
        output=outcome.output_bytes(),
        usage=planned_usage(outcome.bound),
    )
    return TracedRun(statement=statement, trace=outcome.trace)


def prove_run(
    system: StarkProofSystem,
    key: StarkProvingKey,
    run: TracedRun,
    tell: Callable[[str], None] | None = None,
    cancel: CancelToken | None = None,
) -> ProvedRun:
    """Prove it and measure each stage. Raises ProvingFailed, Cancelled."""
    with Profiler(tell) as profiler:
        profiler("trace")
        envelope = system.prove_staged(key, run.statement, run.trace, cancel or CancelToken(), progress=profiler)
    profile = ProofProfile(
        stages=tuple(profiler.stages),
        parameters=key.weight_key.parameters.name,
        proof_bytes=len(envelope.data),
    )
    return ProvedRun(envelope=envelope, profile=profile)
