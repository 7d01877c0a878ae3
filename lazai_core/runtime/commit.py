"""A decided block made durable, and everybody told: index, pools, whoever waits for a transaction, observers."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import structlog

from lazai_core.api.consensus import Certificate
from lazai_core.api.errors import Busy, InvalidTransaction
from lazai_core.api.needs import Clock
from lazai_core.api.precompile import BlockSummary
from lazai_core.api.types import JobId
from lazai_core.lazvm.vm import ExecutedBlock, LazVM

from .execution import BoundedThreads
from .index import SettlementIndex
from .jobs import ContractJobs
from .mempool import Mempool
from .options import RuntimeOptions
from .proposals import HeldBlock
from .records import RecordPool
from .work import Inclusion, Work

log = structlog.get_logger(__name__)


class Committer:
    """Commits blocks one by one. Observers hear of a block after it is durable, in order, on a thread of their own."""

    def __init__(
        self,
        *,
        options: RuntimeOptions,
        vm: LazVM,
        execution: BoundedThreads,
        observers: BoundedThreads,
        mempool: Mempool,
        records: RecordPool,
        index: SettlementIndex,
        contract_jobs: ContractJobs,
        clock: Clock,
        observe: Callable[[BlockSummary], None],
    ) -> None:
        self._options = options
        self._vm = vm
        self._execution = execution
        self._observers = observers
        self._mempool = mempool
        self._records = records
        self._index = index
        self._contract_jobs = contract_jobs
        self._clock = clock
        self._observe = observe
        self._telling: set[asyncio.Task[None]] = set()

    async def commit(self, held: HeldBlock, executed: ExecutedBlock, certificate: Certificate) -> None:
        """Returns when the block is durable and out of the pools. Raises StorageError."""
        started_ns = self._clock.monotonic_ns()
        await self._execution.run_first(self._write, executed, certificate)
        self._release(held, executed)
        summary = self._vm.summary(executed)
        _log_block(summary, certificate.round, (self._clock.monotonic_ns() - started_ns) // 1_000_000)
        telling = asyncio.get_running_loop().create_task(self._tell(summary))
        self._telling.add(telling)
        telling.add_done_callback(self._telling.discard)

    async def finish(self) -> None:
        """Wait until observers have heard of all committed blocks."""
        await asyncio.gather(*self._telling)

    def _write(self, executed: ExecutedBlock, certificate: Certificate) -> None:
        """On the execution thread: the block first; the index can be made again from it."""
        self._vm.commit(executed, certificate.encode())
        self._index.add(executed.block, executed.receipts, self._contract_jobs.of_block(executed))

    async def _tell(self, summary: BlockSummary) -> None:
        try:
            await self._observers.run(self._observe, summary)
        except Busy:
            log.error("observers.too_slow", height=summary.height, advice="they were not told of this block")

    def _release(self, held: HeldBlock, executed: ExecutedBlock) -> None:
        """Take what the block settled out of the pools, and tell whoever waits."""
        block = executed.block
        self._records.settled(JobId(record.job_id) for record in block.records)
        self._records.expire(block.height)
        self._contract_jobs.forget(record.job_id for record in block.records)
        for index, outcome in enumerate(executed.outcomes):
            transaction = outcome.transaction
            work = held.work.get(transaction.raw) or self._mempool.get(transaction.hash)
            if work is not None:
                self._mempool.remove(work)
                work.include(
                    Inclusion(block=block, receipts=executed.receipts, index=index, transaction=transaction)
                )
            rival = self._mempool.of_nonce(transaction.sender, transaction.nonce)
            if rival is not None:
                self._mempool.remove(rival)
                rival.fail(_overtaken(rival, block.height))
        self._drop_stale()
        if any(True for _ in self._mempool.ready()):
            # What did not fit, or only waited for an earlier nonce, may enter the next block.
            self._mempool.changed.set()

    def _drop_stale(self) -> None:
        """Transactions that have waited for an earlier nonce for too long."""
        oldest_ns = self._clock.monotonic_ns() - self._options.transaction_wait_ms_max * 1_000_000
        for work in self._mempool:
            if work.received_ns < oldest_ns:
                self._mempool.remove(work)
                work.fail(_waited_too_long())


def _waited_too_long() -> Exception:
    return InvalidTransaction(
        "the transaction waited too long for an earlier nonce of its sender",
        hint="send the missing transactions first",
    )


def _overtaken(work: Work, height: int) -> Exception:
    return InvalidTransaction(
        f"block {height} holds another transaction of 0x{work.sender.hex()} with the same nonce",
        hint="send it again with the next nonce",
    )


def _log_block(summary: BlockSummary, round_number: int, commit_ms: int) -> None:
    """The one canonical line of a block."""
    log.info(
        "block.committed",
        height=summary.height,
        round=round_number,
        block_hash=summary.block_hash,
        proposer=summary.proposer,
        transactions=summary.transactions,
        records=summary.records,
        gas_used=summary.gas_used,
        compute_gas_used=summary.compute_gas_used,
        commit_ms=commit_ms,
    )
