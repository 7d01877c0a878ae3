"""Performs what the consensus engine asks for: builds, checks, signs, waits, commits, and speaks with peers.

Inputs go to the engine one at a time, and the effects of each are performed in order. What takes long and is answered
whenever it is ready, building and checking a block, runs in tasks beside the inbox; what must come first, a durable
record before a signature, a durable block before the next height, is waited for.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine, Iterable, Sequence
from itertools import groupby
from typing import Any, Protocol, TypeAlias

import structlog
from attrs import field, frozen

from lazai_core.api.consensus import (
    AppendWal,
    BlockBuilt,
    BlockChecked,
    Broadcast,
    BuildBlock,
    CancelTimeout,
    Certificate,
    CertificateReceived,
    CheckBlock,
    ConsensusEngine,
    Decide,
    Effect,
    ExtendCertificate,
    Input,
    MessageReceived,
    OwnMessageSigned,
    ReportEvidence,
    RequestSync,
    ScheduleTimeout,
    SignMessage,
    StartHeight,
    TimeoutElapsed,
    WalRecord,
    signing_digest,
)
from lazai_core.api.errors import BadSignature, ConsensusFault, InvalidBlock, LocalFault
from lazai_core.api.hashing import recover_address
from lazai_core.api.network import PeerFault, PeerId
from lazai_core.api.types import Address, Hash32, Height
from lazai_core.chain.block import Block
from lazai_core.lazvm.vm import LazVM

from .block_checks import BlockChecks
from .block_timing import BlockTiming
from .builder import Draft
from .commit import Committer
from .decided import DecidedBlocks
from .execution import BoundedThreads
from .last_sign import MessageSigner
from .peering import Alone, ConsensusMessage, Peers
from .proposals import HeldBlock, HeldBlocks
from .wal import LogRecord, RecordKind, WriteAheadLog

log = structlog.get_logger(__name__)

PEER_INPUTS_MAX = 16_384
"""Messages of peers that wait for the engine; more are dropped, their senders send them again."""
ASK_AGAIN_S = 1.0
CHECKS_WAITING_MAX = 64


class EvidenceRoom(Protocol):
    """Where proofs of misbehaviour wait for a block."""

    def add(self, evidence: bytes) -> bool:
        """Take a proof in; False where it is known already. Raises ConsensusFault for a forged one."""

    def committed(self, block: Block) -> None:
        """Forget what this block holds."""


@frozen(kw_only=True)
class HostParts:
    """What a consensus host works with. `disk` runs what waits for the disk, `execution` owns the machine's state."""

    engine: ConsensusEngine
    vm: LazVM
    execution: BoundedThreads
    disk: BoundedThreads
    timing: BlockTiming
    checks: BlockChecks
    committer: Committer
    wal: WriteAheadLog
    signer: MessageSigner
    address: Address
    evidence: EvidenceRoom | None = None


@frozen
class _Built:
    effect: BuildBlock
    draft: Draft


@frozen
class _BlockReady:
    """A block that is waited for is here, and its body is the one its header names."""

    height: Height
    block_id: Hash32


@frozen
class _DecidedReady:
    """The block of this height came from a peer with a certificate that was verified."""

    held: HeldBlock = field(repr=False)
    certificate: Certificate


@frozen
class _Failed:
    """A task beside the inbox met an error that must stop the node."""

    error: BaseException


_Event: TypeAlias = Input | _Built | _BlockReady | _DecidedReady | _Failed


class ConsensusHost:
    """Feeds one engine, and is the network's `HostPort`."""

    name = "consensus"

    def __init__(self, parts: HostParts) -> None:
        self._parts = parts
        self._engine, self._vm = parts.engine, parts.vm
        self._peers: Peers = Alone()
        self._height = Height(parts.vm.head.height + 1)
        self._blocks = HeldBlocks()
        self._decided = DecidedBlocks()
        self._decision: Certificate | None = None
        self._waiting_checks: dict[Hash32, CheckBlock] = {}
        self._unlogged: list[Block] = []
        self._sent: set[Hash32] = set()
        self._timers: dict[tuple[str, Height, int], asyncio.TimerHandle] = {}
        self._asking: asyncio.TimerHandle | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._building: asyncio.Task[None] | None = None
        self._inbox: asyncio.Queue[_Event] = asyncio.Queue()
        self._peer_inputs = 0
        self.committed = asyncio.Condition()

    def connect(self, peers: Peers) -> None:
        """Speak with these peers; before `run`."""
        self._peers = peers

    # The network's side.

    @property
    def height(self) -> Height:
        """The height that is being decided."""
        return self._height

    def message_arrived(self, peer: PeerId, message: ConsensusMessage) -> None:
        """A message of a validator; one whose signer is not its sender goes no further."""
        if self._peer_inputs >= PEER_INPUTS_MAX:
            return
        try:
            signer = recover_address(signing_digest(message.payload), message.signature)
        except BadSignature:
            signer = None
        if signer != message.sender:
            self._peers.blame(peer, PeerFault.BAD_SIGNATURE)
            return
        self._peer_inputs += 1
        self._put(MessageReceived(sender=message.sender, payload=message.payload, signature=message.signature))

    def block_arrived(self, peer: PeerId, block: Block) -> None:
        """A proposed block; it is looked at when the engine asks for it."""
        if block.height != self._height or self._blocks.get(block.hash) is not None:
            return
        self._blocks.add(HeldBlock(block=block, peer=peer))
        if block.hash in self._blocks.wanted:
            self._look_at(block.hash)

    def decided_arrived(self, peer: PeerId, block: Block, certificate: Certificate) -> None:
        """A decided block of this height or a later one."""
        if (certificate.height, certificate.block_id) != (block.height, block.hash):
            self._peers.blame(peer, PeerFault.FORGED_CERTIFICATE)
            return
        if self._decided.add(self._height, peer, block, certificate):
            self._look_at_decided()

    def known_block(self, block_id: Hash32) -> Block | None:
        """A proposed block of this height whose body is the one its header names."""
        held = self._blocks.get(block_id)
        return held.block if held is not None and held.fits else None

    # Running.

    async def run(self, ready: Callable[[], None]) -> None:
        """Decide height after height. Raises StorageError and LocalFault: the node must stop then."""
        try:
            await self._recover()
            ready()
            await self._feed(self._start_height())
            while True:
                await self._take(await self._inbox.get())
        finally:
            await self._stop()

    async def _stop(self) -> None:
        for timer in self._timers.values():
            timer.cancel()
        if self._asking is not None:
            self._asking.cancel()
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._parts.committer.finish()

    async def _recover(self) -> None:
        """Everything the log holds goes to the engine before anything else does."""
        parts = self._parts
        records = await parts.disk.run(parts.wal.open, self._vm.head.height)
        if any(validator.address == parts.address for validator in self._vm.validators(self._height)):
            await parts.disk.run(parts.signer.open)
        for record in records:
            if record.kind is RecordKind.ENGINE:
                await self._feed([WalRecord(payload=record.payload)])
                continue
            block = Block.decode(record.payload)
            if block.height == self._height:
                self._blocks.add(HeldBlock(block=block, fits=True))
        if records:
            log.info("wal.replayed", records=len(records), blocks=len(self._blocks), height=self._height)

    def _start_height(self) -> list[Input]:
        self._peers.height_started(self._height)
        self._look_at_decided()
        return [StartHeight(height=self._height, validators=self._vm.validators(self._height))]

    def _put(self, event: _Event) -> None:
        self._inbox.put_nowait(event)

    async def _take(self, event: _Event) -> None:
        match event:
            case _Failed():
                raise event.error
            case _Built():
                await self._built(event)
            case _BlockReady() if event.height == self._height:
                await self._block_ready(event.block_id)
            case _DecidedReady() if event.certificate.height == self._height:
                await self._decided_ready(event)
            case _BlockReady() | _DecidedReady():
                pass
            case MessageReceived():
                self._peer_inputs -= 1
                await self._feed([event])
            case _:
                await self._feed([event])

    async def _feed(self, events: Iterable[Input]) -> None:
        pending = deque(events)
        while pending:
            pending.extend(await self._perform(self._engine.step(pending.popleft())))

    # Effects.

    async def _perform(self, effects: Sequence[Effect]) -> list[Input]:
        answers: list[Input] = []
        for kind, group in groupby(effects, type):
            same = list(group)
            if kind is AppendWal:
                await self._append([effect.payload for effect in same if isinstance(effect, AppendWal)])
            elif kind is SignMessage:
                answers += await self._sign([effect for effect in same if isinstance(effect, SignMessage)])
            else:
                for effect in same:
                    answers += await self._perform_one(effect)
        return answers

    async def _perform_one(self, effect: Effect) -> list[Input]:
        match effect:
            case BuildBlock():
                self._build(effect)
            case CheckBlock():
                self._await_block(effect)
            case Broadcast():
                self._broadcast(effect)
            case Decide():
                return await self._decide(effect.certificate)
            case ScheduleTimeout() | CancelTimeout():
                self._set_timer(effect)
            case ExtendCertificate():
                self._parts.timing.extend(effect.certificate)
            case ReportEvidence():
                self._report(effect)
            case RequestSync():
                self._peers.want_decided(effect.height)
        return []

    def _await_block(self, effect: CheckBlock) -> None:
        self._waiting_checks[effect.block_id] = effect
        if len(self._waiting_checks) > CHECKS_WAITING_MAX:
            # Of a round long ago; its proposer gives it to nobody.
            oldest = next(iter(self._waiting_checks))
            del self._waiting_checks[oldest]
            self._blocks.wanted.discard(oldest)
        self._want(effect.block_id)

    async def _append(self, payloads: Sequence[bytes]) -> None:
        """Own blocks that wait to be logged go along, so that they are durable before their proposal is signed."""
        parts = self._parts
        blocks, self._unlogged = self._unlogged, []
        records = [LogRecord(kind=RecordKind.ENGINE, payload=payload) for payload in payloads]

        def append() -> None:
            drafts = [LogRecord(kind=RecordKind.BLOCK, payload=block.encode()) for block in blocks]
            parts.wal.append(self._height, [*drafts, *records])

        await parts.disk.run(append)

    async def _sign(self, effects: Sequence[SignMessage]) -> list[Input]:
        if self._unlogged:
            await self._append([])
        parts = self._parts
        signatures = await parts.disk.run(parts.signer.sign, effects)
        answers: list[Input] = []
        for effect, signature in zip(effects, signatures, strict=True):
            if signature is not None:
                answers.append(OwnMessageSigned(payload=effect.payload, signature=signature))
            elif not self._is_shared():
                raise LocalFault(
                    f"this node alone decides the chain, and its key has signed at height {effect.height} before",
                    hint="bring back the newest data folder; if that chain is gone, delete the key's .signed file",
                )
        return answers

    def _is_shared(self) -> bool:
        return len(self._vm.validators(self._height)) > 1

    def _broadcast(self, effect: Broadcast) -> None:
        message = ConsensusMessage(sender=self._parts.address, payload=effect.payload, signature=effect.signature)
        self._peers.send_message(message)
        held = None if effect.proposes is None else self._blocks.get(effect.proposes)
        if held is not None and held.peer is None and held.block.hash not in self._sent:
            self._sent.add(held.block.hash)
            self._peers.send_block(held.block)

    def _report(self, effect: ReportEvidence) -> None:
        log.warning("validator.misbehaved", validator=effect.validator, kind=effect.kind)
        evidence = self._parts.evidence
        if evidence is not None:
            try:
                evidence.add(effect.evidence)
            except ConsensusFault as error:
                raise LocalFault(f"the engine's own evidence is refused: {error}") from error
        self._peers.send_evidence(effect)

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
        self._put(TimeoutElapsed(timeout_id=timeout_id, height=height, round=round_number))

    # Blocks.

    def _build(self, effect: BuildBlock) -> None:
        """A build for an earlier round is no longer needed."""
        if self._building is not None:
            self._building.cancel()

        async def build() -> None:
            draft = await self._parts.timing.draft(effect.round, shared=self._is_shared())
            self._put(_Built(effect, draft))

        self._building = self._spawn(build())

    async def _built(self, event: _Built) -> None:
        executed = event.draft.executed
        if event.effect.height != self._height or executed.block.height != self._height:
            return
        block_id = executed.block.hash
        # Drafts of earlier rounds stay: the engine may still decide one of them.
        self._blocks.drop(block_id)
        self._blocks.add(HeldBlock(block=executed.block, fits=True, executed=executed, work=event.draft.work))
        self._unlogged.append(executed.block)
        await self._feed([BlockBuilt(height=self._height, round=event.effect.round, block_id=block_id)])

    def _want(self, block_id: Hash32) -> None:
        """Get a block, or go on with the one that is here."""
        self._blocks.wanted.add(block_id)
        if self._blocks.get(block_id) is not None:
            self._look_at(block_id)
            return
        self._peers.want_block(self._height, block_id)
        if self._asking is None:
            self._asking = asyncio.get_running_loop().call_later(ASK_AGAIN_S, self._ask_again)

    def _ask_again(self) -> None:
        self._asking = None
        for block_id in sorted(self._blocks.wanted):
            if self._blocks.get(block_id) is None:
                self._want(block_id)
        if self._decision is not None:
            self._peers.want_decided(self._height)

    def _look_at(self, block_id: Hash32) -> None:
        """A wanted block is here: see that its body fits, then go on with what it is wanted for."""
        held = self._blocks.get(block_id)
        assert held is not None
        if held.fits:
            self._put(_BlockReady(self._height, block_id))
            return
        height = self._height

        async def look() -> None:
            if await self._parts.checks.fits(held.block):
                held.fits = True
                self._put(_BlockReady(height, block_id))
            elif height == self._height:
                self._drop_wrong(held)

        self._spawn(look())

    def _drop_wrong(self, held: HeldBlock) -> None:
        if held.peer is not None:
            self._peers.blame(held.peer, PeerFault.WRONG_PART)
        block_id = held.block.hash
        if self._blocks.get(block_id) is held:
            self._blocks.drop(block_id)
            self._want(block_id)

    async def _block_ready(self, block_id: Hash32) -> None:
        check = self._waiting_checks.pop(block_id, None)
        held = self._blocks.get(block_id)
        if held is None:
            # It gave way to others in the meantime.
            if check is not None:
                self._waiting_checks[block_id] = check
            self._want(block_id)
            return
        if check is not None:
            self._spawn(self._check(check, held))
        if self._decision is not None and self._decision.block_id == block_id:
            await self._feed(await self._commit(held, self._decision))

    async def _check(self, effect: CheckBlock, held: HeldBlock) -> None:
        valid = held.executed is not None
        if not valid:
            try:
                held.executed = await self._parts.checks.check(held.block)
                valid = True
            except InvalidBlock as error:
                if effect.height != self._height:
                    return
                log.warning(
                    "block.refused",
                    height=effect.height,
                    round=effect.round,
                    proposer=effect.proposer,
                    check=error.check,
                    blame=error.blame,
                    error=str(error),
                )
                if error.blame:
                    self._peers.blame(PeerId(effect.proposer), PeerFault.INVALID_BLOCK)
        self._put(
            BlockChecked(height=effect.height, round=effect.round, block_id=effect.block_id, valid=valid)
        )

    # Decisions.

    async def _decide(self, certificate: Certificate) -> list[Input]:
        self._engine.verify_certificate(
            certificate, self._vm.validators(certificate.height), self._vm.genesis.chain_id
        )
        held = self._blocks.get(certificate.block_id)
        if held is None or not held.fits:
            self._decision = certificate
            self._want(certificate.block_id)
            return []
        return await self._commit(held, certificate)

    async def _commit(self, held: HeldBlock, certificate: Certificate) -> list[Input]:
        parts = self._parts
        executed = held.executed
        if executed is None:
            try:
                executed = await parts.execution.run(self._vm.check_block, held.block)
            except InvalidBlock as error:
                raise LocalFault(
                    f"the validators decided block {certificate.height}, 0x{certificate.block_id.hex()}, which this "
                    f"node finds invalid: {error}",
                    hint="compare this node's version and plugins with the others'",
                ) from error
        await parts.committer.commit(held, executed, certificate)
        await parts.disk.run(parts.wal.committed, certificate.height)
        if parts.evidence is not None:
            parts.evidence.committed(executed.block)
        self._leave_height()
        parts.timing.committed()
        async with self.committed:
            self.committed.notify_all()
        return self._start_height()

    def _leave_height(self) -> None:
        for task in self._tasks:
            task.cancel()
        self._building = None
        self._blocks.clear()
        self._waiting_checks.clear()
        self._unlogged.clear()
        self._sent.clear()
        self._decision = None
        self._height = Height(self._vm.head.height + 1)

    def _look_at_decided(self) -> None:
        found = self._decided.next(self._height)
        if found is None:
            return
        height, decided = self._height, found

        async def look() -> None:
            checks = self._parts.checks
            if not await checks.certified(self._engine, decided.certificate, self._vm.validators(height)):
                fault = PeerFault.FORGED_CERTIFICATE
            elif not await checks.fits(decided.block):
                fault = PeerFault.WRONG_PART
            else:
                held = HeldBlock(block=decided.block, peer=decided.peer, fits=True)
                self._put(_DecidedReady(held, decided.certificate))
                return
            self._peers.blame(decided.peer, fault)
            self._decided.drop(height)
            self._peers.want_decided(height)

        self._spawn(look())

    async def _decided_ready(self, event: _DecidedReady) -> None:
        block_id = event.certificate.block_id
        known = self._blocks.get(block_id)
        if known is None or not known.fits:
            self._blocks.drop(block_id)
            self._blocks.wanted.add(block_id)
            self._blocks.add(event.held)
        if self._decision is None:
            await self._feed([CertificateReceived(certificate=event.certificate)])
        elif self._decision.block_id == block_id:
            await self._block_ready(block_id)
        else:
            raise LocalFault(
                f"two blocks of height {self._height} have a certificate each: 0x{self._decision.block_id.hex()} "
                f"and 0x{block_id.hex()}",
                hint="a third of the validators lied; the chain needs its operators' decision",
            )

    # Tasks.

    def _spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        error = None if task.cancelled() else task.exception()
        if error is not None:
            self._put(_Failed(error))
