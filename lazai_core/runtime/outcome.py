"""What became of a request, read from the block that settled it: the same for a fresh answer and for a repeated one."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from lazai_core.api.errors import StorageError
from lazai_core.api.job import ComputeJob, ComputeRecord, Measurement, ResourceUsage
from lazai_core.api.proof import Verdict
from lazai_core.api.service import InferenceOutcome
from lazai_core.api.types import Gas, Hash32, Wei

from .calls import settled_event
from .work import Inclusion

RecordJudge = Callable[[ComputeJob, ComputeRecord], Verdict]
"""How a record is accepted. Raises InvalidBlock."""


def outcome_of(
    request_id: str,
    jobs: Sequence[ComputeJob],
    inclusions: Sequence[Inclusion],
    *,
    compute_gas: Gas,
    measurements: Sequence[Measurement] = (),
    verified: Sequence[str] = (),
    replayed: bool = False,
) -> InferenceOutcome:
    """The outcome of `jobs`, settled by one transaction, or by one each where the operator pays.

    `compute_gas` counts where no settlement says it. Raises StorageError when a record is missing in its block.
    """
    records = [_record(job, inclusions) for job in jobs]
    last = inclusions[-1]
    settled = settled_event(last.receipt)
    paid = sum(inclusion.gas_used * inclusion.block.header.base_fee_per_gas for inclusion in inclusions)
    return InferenceOutcome(
        request_id=request_id,
        outputs=tuple(record.output for record in records),
        job_ids=tuple(record.job_id for record in records),
        usage=ResourceUsage(
            flops=sum(record.usage.flops for record in records),
            memory_bytes_peak=max(record.usage.memory_bytes_peak for record in records),
            tokens_in=sum(record.usage.tokens_in for record in records),
        ),
        compute_gas=compute_gas if settled is None else settled.compute_gas,
        cost=Wei(paid) if settled is None else settled.cost,
        transaction_hash=Hash32(last.transaction.hash),
        block_hash=last.block.hash,
        height=last.block.height,
        worker=records[0].worker,
        proof_system=records[0].proof.system,
        receipt_ids=tuple(record.job_id.hex() for record in records),
        measurements=tuple(measurements),
        verified=tuple(verified),
        replayed=replayed,
    )


def verdict_text(verdict: Verdict) -> str:
    """A verdict in one sentence for people."""
    return f"{verdict.proven}; assumed: {verdict.assumed}" if verdict.assumed else verdict.proven


def verified_again(jobs: Sequence[ComputeJob], records: Sequence[ComputeRecord], judge: RecordJudge) -> tuple[str, ...]:
    """What holds of stored records now, one text a job; the block that holds them was accepted long ago."""
    by_id = {record.job_id: record for record in records}
    return tuple(verdict_text(judge(job, by_id[job.job_id])) for job in jobs if job.job_id in by_id)


def _record(job: ComputeJob, inclusions: Sequence[Inclusion]) -> ComputeRecord:
    job_id = job.job_id
    for inclusion in inclusions:
        for record in inclusion.block.records:
            if record.job_id == job_id:
                return record
    raise StorageError(f"the block that settled job 0x{job_id.hex()} does not hold its record")
