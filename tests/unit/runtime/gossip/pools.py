"""Pools for the tests of gossip: they hold what they are given and refuse what they are told to refuse."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from lazai_core.api.errors import Busy, ConsensusFault, InvalidBlock, InvalidTransaction
from lazai_core.api.job import ComputeJob, ComputeRecord, ProofEnvelope, ResourceUsage
from lazai_core.api.types import Address, JobId, ModelId
from lazai_core.chain.transaction import Transaction
from lazai_core.testing.parts import account_key
from tests.unit.runtime.gossip.rig import address


class Transactions:
    """`TransactionPort`: everything but stale nonces; `busy` refuses all."""

    def __init__(self) -> None:
        self.held: dict[bytes, Transaction] = {}
        self.busy = False
        self.submitted: list[bytes] = []
        self._tell: Callable[[Transaction], None] = lambda transaction: None

    def on_added(self, tell: Callable[[Transaction], None]) -> None:
        self._tell = tell

    def raw(self, transaction_hash: bytes) -> bytes | None:
        found = self.held.get(transaction_hash)
        return None if found is None else found.raw

    def pending(self) -> Iterator[bytes]:
        return iter(tuple(self.held))

    async def submit(self, transaction: Transaction) -> None:
        self.submitted.append(transaction.hash)
        if self.busy:
            raise Busy("full")
        if transaction.nonce == 0:
            raise InvalidTransaction("the nonce is stale")
        self.add(transaction)

    def add(self, transaction: Transaction) -> None:
        if transaction.hash not in self.held:
            self.held[transaction.hash] = transaction
            self._tell(transaction)


class Records:
    """`RecordPort`: a record is right when its proof says so, `odd` where this node cannot tell."""

    def __init__(self) -> None:
        self.held: dict[JobId, ComputeRecord] = {}
        self._tell: Callable[[ComputeRecord], None] = lambda record: None

    def on_added(self, tell: Callable[[ComputeRecord], None]) -> None:
        self._tell = tell

    def record(self, job_id: JobId) -> ComputeRecord | None:
        return self.held.get(job_id)

    async def keep(self, job: ComputeJob, record: ComputeRecord) -> None:
        if record.proof.data.startswith(b"odd"):
            raise InvalidBlock("this node cannot judge", check="proof")
        if not record.proof.data.startswith(b"right"):
            raise InvalidBlock("the proof is wrong", check="proof", blame=record.worker)
        self.add(record)

    def add(self, record: ComputeRecord) -> None:
        self.held[record.job_id] = record
        self._tell(record)


def job_of(number: int) -> ComputeJob:
    return ComputeJob(
        chain_id=4242, model=ModelId(bytes(32)), input=b"", proof_system="toy", salt=number.to_bytes(32, "big")
    )


def record_of(job: ComputeJob, proof: bytes = b"right", worker: int = 1) -> ComputeRecord:
    return ComputeRecord(
        job_id=job.job_id,
        output=b"output",
        usage=ResourceUsage(flops=1, memory_bytes_peak=1),
        proof=ProofEnvelope(system="toy", version=1, data=proof),
        worker=Address(address(worker)),
    ).signed(account_key(worker))


class Evidence:
    """`EvidencePort`: right is what begins with "right"."""

    def __init__(self) -> None:
        self.held: list[bytes] = []
        self.checked = 0

    def add(self, evidence: bytes) -> bool:
        if evidence in self.held:
            return False
        self.checked += 1
        if not evidence.startswith(b"right"):
            raise ConsensusFault("the signature is another's")
        self.held.append(evidence)
        return True

    def pending(self) -> tuple[bytes, ...]:
        return tuple(self.held)
