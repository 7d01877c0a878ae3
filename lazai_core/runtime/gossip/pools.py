"""The runtime's pools as gossip sees them."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from lazai_core.api.errors import Busy
from lazai_core.api.job import ComputeJob, ComputeRecord
from lazai_core.api.types import Height, JobId
from lazai_core.chain.transaction import Transaction
from lazai_core.runtime.execution import BoundedThreads
from lazai_core.runtime.mempool import Mempool
from lazai_core.runtime.outcome import RecordJudge
from lazai_core.runtime.records import RecordPool
from lazai_core.runtime.work import WalletTransaction


class PoolTransactions:
    """`TransactionPort` over the mempool."""

    def __init__(self, mempool: Mempool) -> None:
        self._mempool = mempool
        self._accept: Callable[[Transaction], object] = _closed

    def admit_with(self, accept: Callable[[Transaction], object]) -> None:
        """Peers' transactions go through `accept`, the admission of wallets' transactions, from now on."""
        self._accept = accept

    def on_added(self, tell: Callable[[Transaction], None]) -> None:
        """Call `tell` for every transaction that enters the pool from now on."""
        self._mempool.on_added(lambda work: tell(work.transaction))

    def raw(self, transaction_hash: bytes) -> bytes | None:
        """The bytes of a transaction in the pool."""
        work = self._mempool.get(transaction_hash)
        return work.transaction.raw if isinstance(work, WalletTransaction) else None

    def pending(self) -> Iterator[bytes]:
        """Hashes of the transactions in the pool, the oldest first."""
        return (work.work_id for work in self._mempool if isinstance(work, WalletTransaction))

    async def submit(self, transaction: Transaction) -> None:
        """Take a peer's transaction in. Raises InvalidTransaction or Busy."""
        self._accept(transaction)


def _closed(transaction: Transaction) -> object:
    raise Busy("the node is starting")


class PoolRecords:
    """`RecordPort` over the record pool. Proofs are verified on `threads`, not on the event loop."""

    def __init__(
        self, records: RecordPool, judge: RecordJudge, threads: BoundedThreads, height: Callable[[], Height]
    ) -> None:
        self._records = records
        self._judge = judge
        self._threads = threads
        self._height = height

    def on_added(self, tell: Callable[[ComputeRecord], None]) -> None:
        """Call `tell` for every verified record that enters the pool from now on."""
        self._records.on_added(tell)

    def record(self, job_id: JobId) -> ComputeRecord | None:
        """A record in the pool."""
        known = self._records.get(job_id)
        return None if known is None else known.record

    async def keep(self, job: ComputeJob, record: ComputeRecord) -> None:
        """Verify a peer's record and keep it. Raises InvalidBlock, or Busy."""
        verdict = await self._threads.run(self._judge, job, record)
        self._records.add(record, verdict, self._height())
