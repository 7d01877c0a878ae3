"""Where jobs and signed requests ended, by job id and by nonce.

The index follows the chain: it is written after a block is durable and, where a crash came between, caught up from
the blocks at the next start. So a request whose answer was given is found again, whatever happened since.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from attrs import frozen

from lazai_core.api.encoding import Reader, Writer
from lazai_core.api.job import ComputeJob
from lazai_core.api.storage import KeyValueStore, WriteBatch
from lazai_core.api.types import Hash32, Height, JobId
from lazai_core.chain.block import Block
from lazai_core.chain.history import ChainHistory
from lazai_core.chain.receipts import Receipt
from lazai_core.chain.recent_transactions import recent_transaction

from .calls import OrderedJobs, ordered_jobs
from .lanes import RequestKey
from .work import Inclusion

_MARKER = b"m"


@frozen(kw_only=True)
class JobPlace:
    """Block, transaction and record of a job, and the job itself."""

    height: Height
    transaction_index: int
    record_index: int
    job: ComputeJob


@frozen(kw_only=True)
class RequestPlace:
    """Block and transaction of a settled request, and the body it was signed for."""

    height: Height
    transaction_index: int
    body_hash: Hash32


class SettlementIndex:
    """Written by the execution thread only; reads may come from any thread."""

    def __init__(self, *, store: KeyValueStore, history: ChainHistory, chain_id: int) -> None:
        self._store = store
        self._history = history
        self._chain_id = chain_id

    @property
    def height(self) -> Height:
        """Height up to which blocks are indexed."""
        data = self._store.get(_MARKER)
        return Height(0 if data is None else int.from_bytes(data, "big"))

    def catch_up(self) -> int:
        """Index the blocks that a crash left out; returns how many. A snapshot's own block was not executed here."""
        head = self._history.head_height() or 0
        missing = range(max(self.height, self._history.first_height()) + 1, head + 1)
        for height in missing:
            block = self._history.block(height)
            assert block is not None, f"block {height} lies below the head"
            self.add(block, self._history.receipts(height), {})
        return len(missing)

    def add(self, block: Block, receipts: Sequence[Receipt], jobs: Mapping[JobId, tuple[int, ComputeJob]]) -> None:
        """Index a durable block. `jobs` are those that contracts made, with the index of their transaction."""
        batch = self._store.batch()
        records = {record.job_id: index for index, record in enumerate(block.records)}
        for job_id, (transaction_index, job) in jobs.items():
            if job_id in records:
                self._put_job(batch, block.height, transaction_index, records[job_id], job)
        for index, ordered in self._ordered(block, receipts):
            for job in ordered.jobs:
                if job.job_id in records:
                    self._put_job(batch, block.height, index, records[job.job_id], job)
            if ordered.authorization is not None:
                key = RequestKey.of(ordered.authorization)
                body_hash = ordered.authorization.body_hash
                batch.put(_request_key(key), _place(block.height, index).raw(body_hash).finish())
        batch.put(_MARKER, block.height.to_bytes(8, "big"))
        batch.commit()

    def _ordered(self, block: Block, receipts: Sequence[Receipt]) -> Iterator[tuple[int, OrderedJobs]]:
        for index, (raw, receipt) in enumerate(zip(block.transactions, receipts, strict=True)):
            ordered = ordered_jobs(recent_transaction(raw), self._chain_id) if receipt.succeeded else None
            if ordered is not None:
                yield index, ordered

    @staticmethod
    def _put_job(batch: WriteBatch, height: int, transaction_index: int, record_index: int, job: ComputeJob) -> None:
        value = _place(height, transaction_index).u32(record_index).bytes_(job.encode()).finish()
        batch.put(b"j" + job.job_id, value)

    def job(self, job_id: JobId) -> JobPlace | None:
        """Where a job was settled."""
        data = self._store.get(b"j" + job_id)
        if data is None:
            return None
        reader = Reader(data)
        height, transaction_index, record_index = reader.u64(), reader.u32(), reader.u32()
        job = ComputeJob.decode(reader.bytes_(reader.remaining))
        return JobPlace(height=Height(height), transaction_index=transaction_index, record_index=record_index, job=job)

    def request(self, key: RequestKey) -> RequestPlace | None:
        """Where a signed request was settled."""
        data = self._store.get(_request_key(key))
        if data is None:
            return None
        reader = Reader(data)
        return RequestPlace(
            height=Height(reader.u64()), transaction_index=reader.u32(), body_hash=Hash32(reader.raw(32))
        )


def inclusion_at(history: ChainHistory, height: int, index: int) -> Inclusion | None:
    """The transaction at a place, or None where the chain has no such place."""
    block = history.block(height)
    if block is None or not 0 <= index < len(block.transactions):
        return None
    return Inclusion(
        block=block,
        receipts=history.receipts(height),
        index=index,
        transaction=recent_transaction(block.transactions[index]),
    )


def _place(height: int, transaction_index: int) -> Writer:
    return Writer().u64(height).u32(transaction_index)


def _request_key(key: RequestKey) -> bytes:
    return b"q" + key.user + key.lane.to_bytes(8, "big") + key.counter.to_bytes(8, "big")
