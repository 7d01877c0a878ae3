"""Performs what the consensus engine asks for: builds, checks, signs, waits, commits, and tells observers."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence

import structlog

from lazai_core.api.consensus import (
    AppendWal,
    BlockBuilt,
    BlockChecked,
    Broadcast,
    BuildBlock,
    CancelTimeout,
    Certificate,
    CheckBlock,
    ConsensusEngine,
    Decide,
    Effect,
    Input,
    OwnMessageSigned,
    ReportEvidence,
    RequestSync,
    ScheduleTimeout,
    SignMessage,
    StartHeight,
    TimeoutElapsed,
    signing_digest,
)
from lazai_core.api.errors import InvalidBlock, InvalidTransaction, LocalFault
from lazai_core.api.needs import Clock, NodeIdentity
from lazai_core.api.precompile import BlockSummary
from lazai_core.api.storage import KeyValueStore
from lazai_core.api.types import Hash32, Height, JobId
from lazai_core.lazvm.vm import ExecutedBlock, LazVM

from .builder import Builder, Draft
from .execution import BoundedThreads
from .index import SettlementIndex
from .jobs import ContractJobs
from .mempool import Mempool
from .options import RuntimeOptions
from .records import RecordPool
from .work import Inclusion, Work

log = structlog.get_logger(__name__)


class ConsensusHost:
    """Feeds one engine. Everything it does for an effect is done before the next effect of the list."""

    name = "consensus"

    def __init__(
        self,
        *,
        options: RuntimeOptions,
        engine: ConsensusEngine,
        vm: LazVM,
        execution: BoundedThreads,
        builder: Builder,
        mempool: Mempool,
        records: RecordPool,
        index: SettlementIndex,
        contract_jobs: ContractJobs,
        identity: NodeIdentity,
        clock: Clock,
        wal: KeyValueStore,
        observe: Callable[[BlockSummary], None],
    ) -> None:
        self._options = options
        self._engine = engine
        self._vm = vm
        self._execution = execution
        self._builder = builder
        self._mempool = mempool
        self._records = records
        self._index = index
        self._contract_jobs = contract_jobs
        self._identity = identity
        self._clock = clock
        self._wal = wal
        self._wal_next = 0
        self._observe = observe
        self._drafts: dict[Hash32, Draft] = {}
        self._timers: dict[tuple[str, Height, int], asyncio.TimerHandle] = {}
        self._inbox: asyncio.Queue[Input] = asyncio.Queue()
        self._committed_ns = 0
        self.committed = asyncio.Condition()

    async def run(self, ready: Callable[[], None]) -> None:
        """Decide height after height."""
        ready()
        await self._inbox.put(StartHeight(height=Height(self._vm.head.height + 1)))
        try:
            while True:
                await self._handle(await self._inbox.get())
        finally:
            for timer in self._timers.values():
                timer.cancel()

    async def _handle(self, event: Input) -> None:
        pending: deque[Input] = deque([event])
        while pending:
            for effect in self._engine.step(pending.popleft()):
                pending.extend(await self._perform(effect))

    async def _perform(self, effect: Effect) -> Sequence[Input]:
        match effect:
            case BuildBlock():
                return (await self._build(effect),)
            case CheckBlock():
                return (await self._check(effect),)
            case SignMessage():
                signature = self._identity.sign(signing_digest(effect.payload))
                return (OwnMessageSigned(payload=effect.payload, signature=signature),)
            case Decide():
                return (await self._decide(effect.certificate),)
            case ScheduleTimeout() | CancelTimeout():
                self._set_timer(effect)
            case AppendWal():
                await self._execution.run(self._append_wal, effect.payload)
            case ReportEvidence():
                log.warning("validator.misbehaved", validator=effect.validator, kind=effect.kind)
            case Broadcast() | RequestSync():
                # Without a transport there is nobody to tell and nobody to ask.
                log.debug("effect.without_peers", effect=type(effect).__name__)
        return ()

    async def _build(self, effect: BuildBlock) -> BlockBuilt:
        draft = await self._draft()
        block = draft.executed.block
        if block.height != effect.height:
            raise LocalFault(f"the engine asks for block {effect.height}, the next one is {block.height}")
        # Drafts of earlier rounds stay: the engine may still decide one of them.
        self._drafts[block.hash] = draft
        return BlockBuilt(height=effect.height, round=effect.round, block_id=block.hash)

    async def _draft(self) -> Draft:
        """A block as soon as there is work for one, or, where the operator wants empty blocks, when one is due."""
        while True:
            due = await self._wait_for_work()
            draft = await self._builder.build(await self._timestamp())
            if draft.executed.block.transactions or due:
                return draft

    async def _wait_for_work(self) -> bool:
        """Returns whether a block is due without any work."""
        since_ms = (self._clock.monotonic_ns() - self._committed_ns) // 1_000_000
        if self._committed_ns and since_ms < self._options.block_interval_ms:
            await asyncio.sleep((self._options.block_interval_ms - since_ms) / 1000)
        if not self._options.empty_block_interval_ms:
            await self._mempool.changed.wait()
            return False
        left_ms = self._options.empty_block_interval_ms - (since_ms if self._committed_ns else 0)
        try:
            async with asyncio.timeout(max(left_ms, 0) / 1000):
                await self._mempool.changed.wait()
        except TimeoutError:
            return True
        return False

    async def _timestamp(self) -> int:
        """Now, or a second after the parent; waits rather than let the chain's time run far ahead of the clock."""
        earliest = self._vm.head.header.timestamp + 1
        while earliest > self._clock.now_seconds() + self._options.timestamp_ahead_s_max:
            await asyncio.sleep(0.1)
        return max(earliest, self._clock.now_seconds())

    async def _check(self, effect: CheckBlock) -> BlockChecked:
        draft = self._drafts.get(effect.block_id)
        valid = False
        if draft is not None:
            try:
                await self._execution.run(self._vm.check_block, draft.executed.block)
                valid = True
            except InvalidBlock as error:
                log.warning("block.refused", check=error.check, blame=error.blame, error=str(error))
        return BlockChecked(height=effect.height, round=effect.round, block_id=effect.block_id, valid=valid)

    async def _decide(self, certificate: Certificate) -> StartHeight:
        draft = self._drafts.get(certificate.block_id)
        if draft is None:
            raise LocalFault(f"block {certificate.height} is decided and this node does not have it")
        self._engine.verify_certificate(certificate, self._vm.genesis.validators, self._vm.genesis.chain_id)
        started_ns = self._clock.monotonic_ns()
        await self._execution.run(self._commit, draft.executed, certificate)
        self._drafts.clear()
        self._committed_ns = self._clock.monotonic_ns()
        self._release(draft)
        summary = self._vm.summary(draft.executed)
        _log_block(summary, (self._committed_ns - started_ns) // 1_000_000)
        await asyncio.to_thread(self._observe, summary)
        async with self.committed:
            self.committed.notify_all()
        return StartHeight(height=Height(certificate.height + 1))

    def _commit(self, executed: ExecutedBlock, certificate: Certificate) -> None:
        """On the execution thread: the block first; the index can be made again from it."""
        self._vm.commit(executed, certificate.encode())
        self._index.add(executed.block, executed.receipts, self._contract_jobs.of_block(executed))
        self._clear_wal()

    def _release(self, draft: Draft) -> None:
        """Take what the block settled out of the pools, and tell whoever waits."""
        executed = draft.executed
        block = executed.block
        self._records.settled(JobId(record.job_id) for record in block.records)
        self._records.expire(block.height)
        self._contract_jobs.forget(record.job_id for record in block.records)
        for index, outcome in enumerate(executed.outcomes):
            work = draft.work.get(outcome.transaction.raw)
            if work is not None:
                self._mempool.remove(work)
                work.include(
                    Inclusion(block=block, receipts=executed.receipts, index=index, transaction=outcome.transaction)
                )
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
                work.fail(_waited_too_long(work))

    def _set_timer(self, effect: ScheduleTimeout | CancelTimeout) -> None:
        key = (effect.timeout_id, effect.height, effect.round)
        old = self._timers.pop(key, None)
        if old is not None:
            old.cancel()
        if isinstance(effect, ScheduleTimeout):
            loop = asyncio.get_running_loop()
            self._timers[key] = loop.call_later(effect.delay_ms / 1000, self._elapsed, key)

    def _elapsed(self, key: tuple[str, Height, int]) -> None:
        self._timers.pop(key, None)
        timeout_id, height, round_number = key
        self._inbox.put_nowait(TimeoutElapsed(timeout_id=timeout_id, height=height, round=round_number))

    def _append_wal(self, payload: bytes) -> None:
        batch = self._wal.batch()
        batch.put(self._wal_next.to_bytes(8, "big"), payload)
        batch.commit()
        self._wal_next += 1

    def _clear_wal(self) -> None:
        if not self._wal_next:
            return
        batch = self._wal.batch()
        for key, _ in list(self._wal.scan(b"")):
            batch.delete(key)
        batch.commit()
        self._wal_next = 0


def _waited_too_long(work: Work) -> Exception:
    return InvalidTransaction(
        "the transaction waited too long for an earlier nonce of its sender",
        hint="send the missing transactions first",
    )


def _log_block(summary: BlockSummary, commit_ms: int) -> None:
    """The one canonical line of a block."""
    log.info(
        "block.committed",
        height=summary.height,
        block_hash=summary.block_hash,
        transactions=summary.transactions,
        records=summary.records,
        gas_used=summary.gas_used,
        compute_gas_used=summary.compute_gas_used,
        commit_ms=commit_ms,
    )
