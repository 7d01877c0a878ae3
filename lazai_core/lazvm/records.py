"""Whether a compute record may stand in a block: its worker's signature, and its proof."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping

from lazai_core.api.encoding import domain_hash
from lazai_core.api.errors import (
    BadSignature,
    CannotJudge,
    ComputeError,
    InvalidBlock,
    PluginError,
    ProofError,
    ProofRejected,
)
from lazai_core.api.job import ComputeJob, ComputeRecord
from lazai_core.api.precompile import StatePort
from lazai_core.api.proof import AcceptancePolicy, ProofSystem, Statement, Verdict, VerifyingKey
from lazai_core.api.types import to_hex
from lazai_core.chain.system_state import read_verifying_key

VERDICTS_REMEMBERED_MAX = 4096


def statement_of(job: ComputeJob, record: ComputeRecord) -> Statement:
    """What the record claims about the job."""
    return Statement(
        program_digest=job.model,
        job_id=job.job_id,
        chain_id=job.chain_id,
        input=job.input,
        output=record.output,
        usage=record.usage,
    )


class RecordVerifier:
    """`RecordCheck` with the chosen proof systems; an accepted record is not verified twice.

    Everything that a correct worker could not have published is charged to the worker. What this node cannot judge (it
    lacks the program, its backend or the proof system's code failed) is an InvalidBlock without blame: it does not vote
    for such a block.
    """

    def __init__(self, proof_systems: Mapping[str, ProofSystem], accept: AcceptancePolicy | None = None) -> None:
        self._systems = proof_systems
        self._accept = AcceptancePolicy() if accept is None else accept
        self._verdicts: OrderedDict[bytes, Verdict] = OrderedDict()

    def __call__(self, job: ComputeJob, record: ComputeRecord, state: StatePort) -> None:
        """Raises InvalidBlock; see `verdict`."""
        self.verdict(job, record, state)

    def verdict(self, job: ComputeJob, record: ComputeRecord, state: StatePort) -> Verdict:
        """How the record was accepted. Raises InvalidBlock with the check that failed and who is to blame."""
        system = self._systems.get(job.proof_system)
        if system is None:
            raise InvalidBlock(f"job {job.job_id.hex()} asks for {job.proof_system!r}", check="proof system")
        data = read_verifying_key(state, job.model, system.name) or b""
        key = VerifyingKey(system=system.name, version=system.version, program_digest=job.model, data=data)
        name = domain_hash("lazai/record-verdict/v1", job.job_id, record.encode(), key.digest)
        known = self._verdicts.get(name)
        if known is None:
            known = self._verify(system, key, job, record)
            self._verdicts[name] = known
            if len(self._verdicts) > VERDICTS_REMEMBERED_MAX:
                self._verdicts.popitem(last=False)
        return known

    def _verify(self, system: ProofSystem, key: VerifyingKey, job: ComputeJob, record: ComputeRecord) -> Verdict:
        if record.job_id != job.job_id:
            raise _wrong(record, "record job", f"it answers job {record.job_id.hex()}")
        try:
            signer = record.signer()
        except BadSignature as cause:
            raise _wrong(record, "record signature", cause.message) from cause
        if signer != record.worker:
            raise _wrong(record, "record signature", f"it is signed by {to_hex(signer)}")
        if record.proof.system != system.name or record.proof.version != system.version:
            given = f"{record.proof.system} version {record.proof.version}"
            raise _wrong(record, "record proof", f"its proof is of {given}, {system.name} is wanted")
        try:
            verdict = system.verify(key, statement_of(job, record), record.proof, self._accept)
        except ProofError as cause:
            raise _refusal(record, cause) from cause
        # A proof is public once its block is: whoever copies it under a signature of his own did not do the work.
        if verdict.worker not in (None, record.worker):
            raise _wrong(record, "worker", f"its proof is by {to_hex(verdict.worker)}")
        return verdict


def _wrong(record: ComputeRecord, check: str, message: str) -> InvalidBlock:
    text = f"the record of {to_hex(record.worker)} for job {record.job_id.hex()}: {message}"
    return InvalidBlock(text, check=check, blame=record.worker)


def _refusal(record: ComputeRecord, cause: ProofError) -> InvalidBlock:
    lacks_program = isinstance(cause, ProofRejected) and cause.check == "program"
    if lacks_program or isinstance(cause.__cause__, ComputeError | PluginError):
        text = f"the record for job {record.job_id.hex()} cannot be verified here: {cause.message}"
        return CannotJudge(text, check="record proof", hint=cause.hint)
    return _wrong(record, "record proof", cause.message)
