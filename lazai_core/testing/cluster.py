"""A host for consensus engines: it performs their effects in virtual time, loses messages and crashes nodes.

Only what an engine sees is simulated. A host keeps what a real one makes durable, decided blocks and the records of
`AppendWal`, over a crash; all else of a node is lost with it.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Sequence
from random import Random

from attrs import define, field, frozen

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
    Validator,
    WalRecord,
    signing_digest,
)
from lazai_core.api.encoding import domain_hash
from lazai_core.api.types import Hash32, Height
from lazai_core.testing.parts import KnownIdentity

MakeEngine = Callable[[KnownIdentity, Sequence[Validator]], ConsensusEngine]
EFFECTS_MAX = 10_000
PER_MILLE = 1000


@frozen(order=True)
class _Due:
    at_ms: int
    sequence: int
    node: int = field(order=False)
    event: Input = field(order=False)
    life: int = field(order=False)


@define(kw_only=True)
class Node:
    """One validator: its engine, what it made durable, and what its engine was fed and answered in this life."""

    identity: KnownIdentity
    engine: ConsensusEngine
    decided: dict[int, Certificate] = field(factory=dict)
    log: list[bytes] = field(factory=list)
    history: list[tuple[Input, tuple[Effect, ...]]] = field(factory=list)
    extended: dict[int, Certificate] = field(factory=dict)
    evidence: list[ReportEvidence] = field(factory=list)
    signed: dict[tuple[int, int, int], bytes] = field(factory=dict)
    cancelled: set[tuple[str, int, int]] = field(factory=set)
    life: int = 0


class Cluster:
    """Validators of equal power over one lossy network."""

    def __init__(self, make_engine: MakeEngine, *, count: int, seed: int = 0, loss_per_mille: int = 0) -> None:
        identities = [KnownIdentity(number) for number in range(count)]
        self.validators = tuple(Validator(address=identity.address, power=1) for identity in identities)
        self.loss_per_mille = loss_per_mille
        self.now_ms = 0
        self._random = Random(seed)
        self._make_engine = make_engine
        self._queue: list[_Due] = []
        self._sequence = 0
        self._blocks_built = 0
        self.nodes = [Node(identity=identity, engine=make_engine(identity, self.validators)) for identity in identities]
        for number in range(count):
            self._feed_later(number, self._start(1), 0)

    def run(self, *, until_height: int, steps_max: int = 20_000) -> None:
        """Perform effects until every node decided `until_height`, or nothing is left to do, or `steps_max` passed."""
        for _ in range(steps_max):
            if not self.step() or all(until_height in node.decided for node in self.nodes):
                return

    def step(self) -> bool:
        """Feed the next input; False when none is left."""
        if not self._queue:
            return False
        due = heapq.heappop(self._queue)
        self.now_ms = max(self.now_ms, due.at_ms)
        node = self.nodes[due.node]
        if due.life != node.life or _is_cancelled(node, due.event):
            return True
        effects = tuple(node.engine.step(due.event))
        assert len(effects) <= EFFECTS_MAX, f"{len(effects)} effects of one input"
        node.history.append((due.event, effects))
        for effect in effects:
            self._perform(due.node, effect)
        return True

    def crash(self, number: int) -> None:
        """Lose all of a node but its decided blocks and its log, and start it again at the next height."""
        node = self.nodes[number]
        node.life += 1
        node.history, node.cancelled = [], set()
        node.engine = self._make_engine(node.identity, self.validators)
        for payload in node.log:
            self._feed_later(number, WalRecord(payload=payload), 1)
        self._feed_later(number, self._start(max(node.decided, default=0) + 1), 1)

    def _start(self, height: int) -> StartHeight:
        return StartHeight(height=Height(height), validators=self.validators)

    def _feed_later(self, number: int, event: Input, delay_ms: int) -> None:
        self._sequence += 1
        life = self.nodes[number].life
        heapq.heappush(self._queue, _Due(self.now_ms + delay_ms, self._sequence, number, event, life))

    def _perform(self, number: int, effect: Effect) -> None:
        node = self.nodes[number]
        match effect:
            case BuildBlock():
                block_id = self._build_block(number, effect)
                self._feed_later(number, BlockBuilt(height=effect.height, round=effect.round, block_id=block_id), 1)
            case CheckBlock():
                checked = BlockChecked(height=effect.height, round=effect.round, block_id=effect.block_id, valid=True)
                self._feed_later(number, checked, 1)
            case SignMessage():
                place = (effect.height, effect.round, effect.step)
                known = node.signed.setdefault(place, effect.payload)
                assert known == effect.payload, f"two messages to sign for height, round and step {place}"
                signature = node.identity.sign(signing_digest(effect.payload))
                self._feed_later(number, OwnMessageSigned(payload=effect.payload, signature=signature), 0)
            case Broadcast():
                self._broadcast(number, effect)
            case ScheduleTimeout():
                node.cancelled.discard((effect.timeout_id, effect.height, effect.round))
                elapsed = TimeoutElapsed(timeout_id=effect.timeout_id, height=effect.height, round=effect.round)
                self._feed_later(number, elapsed, effect.delay_ms)
            case CancelTimeout():
                node.cancelled.add((effect.timeout_id, effect.height, effect.round))
            case Decide():
                self._commit(number, effect.certificate)
            case RequestSync():
                self._sync(number, effect.height)
            case ExtendCertificate():
                node.extended[effect.certificate.height] = effect.certificate
            case ReportEvidence():
                node.evidence.append(effect)
            case AppendWal():
                node.log.append(effect.payload)

    def _build_block(self, number: int, effect: BuildBlock) -> Hash32:
        # No two builds give the same block, as real ones differ in time and transactions.
        self._blocks_built += 1
        words = (effect.height, effect.round, number, self._blocks_built)
        return Hash32(domain_hash("lazai/testing/block/v1", *(word.to_bytes(8, "big") for word in words)))

    def _broadcast(self, number: int, effect: Broadcast) -> None:
        sender = self.nodes[number].identity.address
        for other in range(len(self.nodes)):
            if other != number and self._random.randrange(PER_MILLE) >= self.loss_per_mille:
                message = MessageReceived(sender=sender, payload=effect.payload, signature=effect.signature)
                self._feed_later(other, message, self._random.randint(1, 40))

    def _commit(self, number: int, certificate: Certificate) -> None:
        node = self.nodes[number]
        known = node.decided.setdefault(certificate.height, certificate)
        assert known.block_id == certificate.block_id, f"height {certificate.height} was decided twice"
        node.log.clear()
        self._feed_later(number, self._start(certificate.height + 1), 1)

    def _sync(self, number: int, height: int) -> None:
        for other in self.nodes:
            for decided in sorted(other.decided):
                if decided <= height:
                    self._feed_later(number, CertificateReceived(certificate=other.decided[decided]), 5)


def _is_cancelled(node: Node, event: Input) -> bool:
    return isinstance(event, TimeoutElapsed) and (event.timeout_id, event.height, event.round) in node.cancelled
