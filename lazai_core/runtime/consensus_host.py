"""Performs what the consensus engine asks for: builds, checks, signs, waits, commits, and speaks with peers.

Inputs go to the engine one at a time, and the effects of each are performed in order. What takes long and is answered
whenever it is ready, building and checking a block, runs in tasks beside the inbox; what must come first, a durable
record before a signature, a durable block before the next height, is waited for.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from itertools import groupby
from typing import TypeAlias

import structlog
from attrs import frozen

from lazai_core.api.consensus import (
    AppendWal,
    BlockBuilt,
    Broadcast,
    BuildBlock,
    CancelTimeout,
    Certificate,
    CertificateReceived,
    CheckBlock,
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
from lazai_core.api.types import Hash32, Height
from lazai_core.chain.block import Block

from .block_desk import BlockDesk, BlockReady, DecidedReady
from .builder import Draft
from .host_parts import HostParts
from .host_tasks import HostTasks
from .peering import Alone, ConsensusMessage, Peers
from .proposals import HeldBlock
from .wal import LogRecord, RecordKind

log = structlog.get_logger(__name__)

DECIDED_TRIES_MAX = 5
"""A decided block that this node cannot judge is looked at again before the node stops: devices come back."""
PEER_INPUTS_MAX = 16_384
PEER_INPUT_BYTES_MAX = 64 << 20
"""Messages of peers that wait for the engine; more are dropped, their senders send them again."""


@frozen
class _Built:
    effect: BuildBlock
    draft: Draft


@frozen
class _Failed:
    """A task beside the inbox met an error that must stop the node."""

    error: BaseException


_Event: TypeAlias = Input | _Built | BlockReady | DecidedReady | _Failed


class ConsensusHost:
    """Feeds one engine, and is the network's `HostPort`."""

    name = "consensus"

    def __init__(self, parts: HostParts) -> None:
        self._parts = parts
        self._engine, self._vm = parts.engine, parts.vm
        self._peers: Peers = Alone()
        self._decision: Certificate | None = None
        self._unlogged: list[Block] = []
        self._sent: set[Hash32] = set()
        self._timers: dict[tuple[str, Height, int], asyncio.TimerHandle] = {}
        self._building: asyncio.Task[None] | None = None
        self._inbox: asyncio.Queue[_Event] = asyncio.Queue()
        self._peer_inputs = self._peer_bytes = 0
        self._tasks = HostTasks(lambda error: self._put(_Failed(error)))
        self._desk = BlockDesk(
            vm=parts.vm, engine=parts.engine, checks=parts.checks, tasks=self._tasks, tell=self._put
        )
        self.committed = asyncio.Condition()

    def connect(self, peers: Peers) -> None:
        """Speak with these peers; before `run`."""
        self._peers = self._desk.peers = peers

    # The network's side.

    @property
    def height(self) -> Height:
        """The height that is being decided."""
        return self._desk.height

    def message_arrived(self, peer: PeerId, message: ConsensusMessage) -> None:
        """A message of a validator; one whose signer is not its sender goes no further."""
        size = len(message.payload)
        if self._peer_inputs >= PEER_INPUTS_MAX or self._peer_bytes + size > PEER_INPUT_BYTES_MAX:
            return
        try:
            signer = recover_address(signing_digest(message.payload), message.signature)
        except BadSignature:
            signer = None
        if signer != message.sender:
            self._peers.blame(peer, PeerFault.BAD_SIGNATURE)
            return
        self._peer_inputs += 1
        self._peer_bytes += size
        self._put(MessageReceived(sender=message.sender, payload=message.payload, signature=message.signature))

    def block_arrived(self, peer: PeerId, block: Block) -> None:
        """A proposed block."""
        self._desk.block_arrived(peer, block)

    def decided_arrived(self, peer: PeerId, block: Block, certificate: Certificate) -> None:
        """A decided block of this height or a later one."""
        self._desk.decided_arrived(peer, block, certificate)

    def known_block(self, block_id: Hash32) -> Block | None:
        """A proposed block of this height whose body is the one its header names."""
        held = self._desk.get(block_id)
        return None if held is None else held.block

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
        self._desk.close()
        await self._tasks.stop()
        await self._parts.committer.finish()

    async def _recover(self) -> None:
        """Everything the log holds goes to the engine before anything else does."""
        parts = self._parts
        records = await parts.disk.run(parts.wal.open, self._vm.head.height)
        if any(validator.address == parts.address for validator in self._vm.validators(self.height)):
            await parts.disk.run(parts.signer.open)
        for record in records:
            if record.kind is RecordKind.ENGINE:
                await self._feed([WalRecord(payload=record.payload)])
                continue
            self._desk.recall(record.payload, bound=record.kind is RecordKind.BOUND)
        if records:
            log.info("wal.replayed", records=len(records), blocks=len(self._desk), height=self.height)

    def _start_height(self) -> list[Input]:
        self._peers.height_started(self.height)
        return [StartHeight(height=self.height, validators=self._vm.validators(self.height))]

    def _put(self, event: _Event) -> None:
        self._inbox.put_nowait(event)

    async def _take(self, event: _Event) -> None:
        match event:
            case _Failed():
                raise event.error
            case _Built():
                await self._built(event)
            case BlockReady() if event.height == self.height:
                await self._block_ready(event.block_id)
            case DecidedReady() if event.certificate.height == self.height:
                await self._decided_ready(event)
            case BlockReady() | DecidedReady():
                pass
            case MessageReceived():
                self._peer_inputs -= 1
                self._peer_bytes -= len(event.payload)
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
                await self._append([effect for effect in same if isinstance(effect, AppendWal)])
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
                self._desk.check(effect)
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

    async def _append(self, effects: Sequence[AppendWal]) -> None:
        """Own blocks that wait to be logged go along, so that they are durable before their proposal is signed.

        So do blocks that the engine binds itself to: whoever built them may never come back.
        """
        parts = self._parts
        blocks, self._unlogged = self._unlogged, []
        bound = [self._desk.bind(effect.block_id) for effect in effects if effect.block_id is not None]
        records = [LogRecord(kind=RecordKind.ENGINE, payload=effect.payload) for effect in effects]

        def append() -> None:
            drafts = [LogRecord(kind=RecordKind.BLOCK, payload=block.encode()) for block in blocks]
            bonds = [LogRecord(kind=RecordKind.BOUND, payload=block.encode()) for block in bound if block is not None]
            parts.wal.append(self.height, [*drafts, *bonds, *records])

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
        return len(self._vm.validators(self.height)) > 1

    def _broadcast(self, effect: Broadcast) -> None:
        message = ConsensusMessage(sender=self._parts.address, payload=effect.payload, signature=effect.signature)
        self._peers.send_message(message)
        held = None if effect.proposes is None else self._desk.get(effect.proposes)
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
                # Too large, or too old to be judged: whoever was caught must not stop the node that caught it.
                log.error("evidence.refused", validator=effect.validator, kind=effect.kind, error=str(error))
                return
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

        self._building = self._tasks.spawn(build())

    async def _built(self, event: _Built) -> None:
        block = event.draft.executed.block
        if event.effect.height != self.height or block.height != self.height:
            return
        self._desk.add_built(event.draft)
        self._unlogged.append(block)
        await self._feed([BlockBuilt(height=self.height, round=event.effect.round, block_id=block.hash)])

    async def _block_ready(self, block_id: Hash32) -> None:
        held = self._desk.ready(block_id)
        if held is not None and self._decision is not None and self._decision.block_id == block_id:
            await self._feed(await self._commit(held, self._decision))

    # Decisions.

    async def _decide(self, certificate: Certificate) -> list[Input]:
        self._engine.verify_certificate(
            certificate, self._vm.validators(certificate.height), self._vm.genesis.chain_id
        )
        held = self._desk.get(certificate.block_id)
        if held is None:
            self._decision, self._desk.undecided = certificate, False
            self._desk.want(certificate.block_id)
            return []
        return await self._commit(held, certificate)

    async def _commit(self, held: HeldBlock, certificate: Certificate) -> list[Input]:
        parts = self._parts
        executed = held.executed
        if executed is None:
            try:
                executed = await parts.checks.execute(held.block, DECIDED_TRIES_MAX)
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
        self._tasks.cancel()
        self._building = None
        self._unlogged.clear()
        self._sent.clear()
        self._decision = None
        self._desk.start_height(Height(self._vm.head.height + 1))

    async def _decided_ready(self, event: DecidedReady) -> None:
        block_id = event.certificate.block_id
        self._desk.take_decided(event.held)
        if self._decision is None:
            await self._feed([CertificateReceived(certificate=event.certificate)])
        elif self._decision.block_id == block_id:
            await self._block_ready(block_id)
        else:
            raise LocalFault(
                f"two blocks of height {self.height} have a certificate each: 0x{self._decision.block_id.hex()} "
                f"and 0x{block_id.hex()}",
                hint="a third of the validators lied; the chain needs its operators' decision",
            )
