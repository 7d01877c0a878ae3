"""From ready work to a block."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Protocol

import structlog
from attrs import define, field, frozen

from lazai_core.api.consensus import Certificate
from lazai_core.api.errors import LazAIError, RequestExpired
from lazai_core.api.job import ComputeJob, ComputeRecord
from lazai_core.api.types import Address, JobId
from lazai_core.lazvm.vm import BlockPlan, BuiltBlock, ExecutedBlock, LazVM

from .evidence import EvidencePool
from .execution import BoundedThreads
from .mempool import Mempool
from .options import RuntimeOptions
from .pace import BlockPace
from .records import RecordPool
from .signing import CallSigner
from .work import NodeCall, WalletTransaction, Work

log = structlog.get_logger(__name__)


class Resumer(Protocol):
    """Who gets the records that work turned out to need."""

    def resume(self, work: Work, job: ComputeJob) -> None:
        """See `Orchestrator.resume`."""


@frozen(kw_only=True)
class Draft:
    """A block, and which work each of its transactions is, by raw bytes."""

    executed: ExecutedBlock
    work: dict[bytes, Work] = field(repr=False)


@define(kw_only=True)
class _Attempts:
    """What building found out about the work that is not in the block."""

    failed: list[tuple[Work, Exception]] = field(factory=list)
    waiting: list[tuple[Work, ComputeJob]] = field(factory=list)


class Builder:
    """Builds blocks on the head. A call of this node that would revert is left out: nobody would pay for it."""

    def __init__(
        self,
        *,
        options: RuntimeOptions,
        vm: LazVM,
        execution: BoundedThreads,
        mempool: Mempool,
        records: RecordPool,
        orchestrator: Resumer,
        signer: CallSigner,
        evidence: EvidencePool,
        node: Address,
        pace: BlockPace | None = None,
    ) -> None:
        self._options = options
        self._vm = vm
        self._execution = execution
        self._mempool = mempool
        self._records = records
        self._orchestrator = orchestrator
        self._signer = signer
        self._evidence = evidence
        self._node = node
        self._certificate: Certificate | None = None
        self._pace = BlockPace(build_ms_max=options.block_build_ms_max) if pace is None else pace

    def extend(self, certificate: Certificate) -> None:
        """More validators have signed the head than when it was decided: the next block shall say so."""
        self._certificate = certificate

    async def build(self, timestamp: int) -> Draft:
        """A block with what is ready; it may be empty. Work that cannot enter any block leaves the pool."""
        self._mempool.changed.clear()
        chosen = self._mempool.ready()[: min(self._options.block_transactions_max, self._pace.most())]
        attempts = _Attempts()
        loop = asyncio.get_running_loop()
        started = loop.time()
        records, evidence = self._records.snapshot(), self._evidence.pending()
        draft = await self._execution.run_first(self._build, chosen, records, evidence, timestamp, attempts)
        self._pace.took(len(chosen), 1000 * (loop.time() - started))
        for work, error in attempts.failed:
            self._mempool.remove(work)
            work.fail(error)
        for work, job in attempts.waiting:
            self._orchestrator.resume(work, job)
        return draft

    def _build(
        self,
        chosen: Sequence[Work],
        records: dict[JobId, ComputeRecord],
        evidence: Sequence[bytes],
        timestamp: int,
        attempts: _Attempts,
    ) -> Draft:
        left = [work for work in chosen if not _expired(work, timestamp, attempts)]
        while True:
            signed = self._signed(left)
            plan = BlockPlan(
                transactions=tuple(signed),
                timestamp=timestamp,
                proposer=self._node,
                last_certificate=self._fullest(),
                evidence=evidence,
            )
            built = self._vm.build_block(plan, records)
            out = _left_out(built, signed, attempts)
            # A call that is missing leaves a gap in the node's nonces, so those behind it are signed anew.
            if not any(isinstance(work, NodeCall) for work in out):
                included = {raw: signed[raw] for raw in built.executed.block.transactions}
                return Draft(executed=built.executed, work=included)
            left = [work for work in left if work not in out]

    def _fullest(self) -> Certificate | None:
        """The certificate of the head that grew since it was committed, where one did."""
        grown, head = self._certificate, self._vm.head
        return grown if grown is not None and grown.block_id == head.hash else None

    def _signed(self, works: Sequence[Work]) -> dict[bytes, Work]:
        """Raw transactions in order; the node's own wallet transactions come first, as their nonces are fixed."""
        own = [work for work in works if isinstance(work, WalletTransaction) and work.sender == self._node]
        nonce = self._signer.next_nonce()
        for mine in own:
            nonce += mine.transaction.nonce == nonce
        signed: dict[bytes, Work] = {mine.transaction.raw: mine for mine in own}
        for work in works:
            if isinstance(work, NodeCall):
                signed[self._signer.sign(work, nonce).raw] = work
                nonce += 1
            elif isinstance(work, WalletTransaction) and work.sender != self._node:
                signed[work.transaction.raw] = work
        return signed


def _expired(work: Work, timestamp: int, attempts: _Attempts) -> bool:
    if not isinstance(work, NodeCall) or not work.expiry or timestamp <= work.expiry:
        return False
    error = RequestExpired(f"the authorisation expired at {work.expiry}, before a block could hold the request")
    attempts.failed.append((work, error))
    return True


def _left_out(built: BuiltBlock, signed: dict[bytes, Work], attempts: _Attempts) -> list[Work]:
    """Work that this attempt shows must stay out; node calls that do not fit a full block wait for the next."""
    out: list[Work] = []
    for raw, job in built.waiting:
        attempts.waiting.append((signed[raw], job))
        out.append(signed[raw])
    for raw, error in built.refused:
        attempts.failed.append((signed[raw], error))
        out.append(signed[raw])
    for raw in built.left_over:
        out.append(signed[raw])
    for outcome in built.executed.outcomes:
        work = signed[outcome.transaction.raw]
        if isinstance(work, NodeCall) and not outcome.succeeded:
            attempts.failed.append((work, _reverted(work, outcome.output)))
            out.append(work)
    return out


def _reverted(work: NodeCall, output: bytes) -> Exception:
    error = work.explain(output)
    assert isinstance(error, LazAIError), "a refusal is an error of the tree"
    log.debug("call.reverted", work_id=work.work_id, error=str(error))
    return error
