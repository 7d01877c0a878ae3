"""A whole cluster in virtual time: a bad network, crashes with a log that survives, and Byzantine validators.

    python tests/bft_simulation.py --seeds 10000

A seed says everything: the committee, who is faulty and how, every delay and loss. For `FAULTS_MS` the network loses,
doubles and reorders, parts of it are cut off, and nodes crash between any two effects; then it only delays. Checked
after each step: one block a height, only blocks that were built and are valid, one message a step of each honest key,
no honest validator accused. Checked at the end: every honest node decided.
"""

from __future__ import annotations

import argparse
import heapq
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import cache, partial
from random import Random
from typing import Any, NamedTuple

from attrs import define, field

from lazai_consensus_bft.committee import Committee, committee_of
from lazai_consensus_bft.engine import BftEngine
from lazai_consensus_bft.evidence import decode_evidence, verify_evidence
from lazai_consensus_bft.messages import Kind, Proposal, Vote, decode_message, encode_message
from lazai_consensus_bft.options import BftOptions
from lazai_consensus_bft.quorum import hits_every_quorum
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
    Decide,
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
from lazai_core.api.types import Address, Hash32, Height
from lazai_core.testing.parts import KnownIdentity

CHAIN_ID = 7
FAULTS_MS = 6000
QUIET_MS = 600_000
EFFECTS_MAX = 1000
HEIGHTS = 3
OPTIONS = BftOptions(
    propose_ms=300,
    propose_growth_ms=60,
    prevote_ms=120,
    prevote_growth_ms=60,
    precommit_ms=120,
    precommit_growth_ms=60,
    timeout_ms_max=5000,
    rebroadcast_ms=400,
)
BEHAVIOURS = ("twins", "silent", "liar", "invalid", "withholder")


class Violation(AssertionError):
    """A property does not hold; the text says which, and the seed that shows it."""


@cache
def identity(number: int) -> KnownIdentity:
    """The key of a validator."""
    return KnownIdentity(number)


@cache
def committee_named(shape: str) -> Committee:
    """`4`, `7`, any other number, or `4x4` for iDAOs of members."""
    outer, _, inner = shape.partition("x")
    if not inner:
        return committee_of([Validator(address=identity(number).address, power=1) for number in range(int(outer))])
    size = int(inner)
    return committee_of(
        [
            Validator(address=identity(number).address, power=1, idao=Address(bytes([number // size + 1]) * 20))
            for number in range(int(outer) * size)
        ]
    )


def members_of(shape: str) -> int:
    """Number of validators."""
    outer, _, inner = shape.partition("x")
    return int(outer) * int(inner or 1)


def faulty_of(shape: str, random: Random) -> dict[int, str]:
    """A largest set of faulty validators the committee stands, in random order, and what each does."""
    committee, faulty = committee_named(shape), dict[int, str]()
    for number in random.sample(range(members_of(shape)), members_of(shape)):
        trial = {identity(other).address for other in (*faulty, number)}
        if not hits_every_quorum(committee.rule, trial):
            faulty[number] = random.choice(BEHAVIOURS)
    return faulty


class _Due(NamedTuple):
    at_ms: int
    sequence: int
    node: int
    life: int
    event: Any
    sender: int = -1


@define(kw_only=True)
class Node:
    """One running copy of a validator. Twins are two nodes with one number."""

    number: int
    behaviour: str
    engine: BftEngine
    wal: list[bytes] = field(factory=list)
    decided: dict[int, Certificate] = field(factory=dict)
    life: int = 0
    up: bool = True
    timers: dict[tuple[str, int, int], int] = field(factory=dict)
    decided_ms: dict[int, int] = field(factory=dict)


class Simulation:
    """One seed."""

    def __init__(
        self,
        seed: int,
        shape: str = "4",
        *,
        faulty: dict[int, str] | None = None,
        heights: int = HEIGHTS,
        calm: bool = False,
        wal: bool = True,
    ) -> None:
        self.seed, self.shape, self.heights, self.calm, self.keeps_wal = seed, shape, heights, calm, wal
        self.random = Random(f"{shape}/{seed}")
        self.committee = committee_named(shape)
        self.faulty = faulty_of(shape, self.random) if faulty is None else faulty
        self.now_ms = self.sequence = self.steps = self.bytes_sent = self.built = 0
        self.queue: list[_Due] = []
        self.blocks: dict[Hash32, tuple[bool, bool]] = {}
        self.said: dict[tuple[bytes, int, int, Kind], bytes] = {}
        self.chosen: dict[int, Hash32] = {}
        self.evidence: Counter[str] = Counter()
        self.islands: list[set[int]] = []
        self.nodes: list[Node] = []
        for number in range(members_of(shape)):
            behaviour = self.faulty.get(number, "honest")
            for _ in range(2 if behaviour == "twins" else 1):
                self.nodes.append(Node(number=number, behaviour=behaviour, engine=self._engine(number)))
        self.honest = [index for index, node in enumerate(self.nodes) if node.behaviour == "honest"]
        for index in range(len(self.nodes)):
            self.later(index, StartHeight(height=Height(1)), self.random.randint(0, 50))
        if not calm:
            self._plan_faults()

    def _engine(self, number: int) -> BftEngine:
        return BftEngine(chain_id=CHAIN_ID, address=identity(number).address, committee=self.committee, options=OPTIONS)

    def fail(self, text: str) -> Violation:
        """The error, with what replays it."""
        return Violation(f"{text}; committee {self.shape}, seed {self.seed}, faulty {self.faulty}")

    # Time and faults.

    def later(self, index: int, event: Any, delay_ms: int, sender: int = -1) -> None:
        """Feed a node after a delay, unless it crashes before."""
        self.sequence += 1
        due = _Due(self.now_ms + delay_ms, self.sequence, index, self.nodes[index].life, event, sender)
        heapq.heappush(self.queue, due)

    def _plan_faults(self) -> None:
        for _ in range(self.random.randint(0, 3)):
            self._at(self.random.randint(0, FAULTS_MS), self._partition)
        for _ in range(self.random.randint(0, 4)):
            index = self.random.choice(self.honest)
            at_ms = self.random.randint(0, FAULTS_MS)
            self._at(at_ms, partial(self._crash, index))
            self._at(min(at_ms + self.random.randint(1, 3000), FAULTS_MS), partial(self._restart, index))
        self._at(FAULTS_MS, self._heal)

    def _at(self, at_ms: int, act: Callable[[], None]) -> None:
        self.sequence += 1
        heapq.heappush(self.queue, _Due(at_ms, self.sequence, -1, 0, act))

    def _partition(self) -> None:
        cut = self.random.randint(1, len(self.nodes) - 1) if len(self.nodes) > 1 else 1
        order = self.random.sample(range(len(self.nodes)), len(self.nodes))
        self.islands = [set(order[:cut]), set(order[cut:])]

    def _heal(self) -> None:
        self.islands = []
        for index, node in enumerate(self.nodes):
            if not node.up:
                self._restart(index)

    def _crash(self, index: int) -> None:
        node = self.nodes[index]
        node.up, node.life = False, node.life + 1

    def _restart(self, index: int) -> None:
        node = self.nodes[index]
        if node.up:
            return
        node.up, node.engine = True, self._engine(node.number)
        node.timers.clear()
        for record in node.wal if self.keeps_wal else ():
            self._feed(index, WalRecord(payload=record))
        self.later(index, StartHeight(height=Height(max(node.decided, default=0) + 1)), 1)

    # Running.

    def run(self) -> Simulation:
        """Until every honest node decided all heights. Raises Violation."""
        while self.queue and not self.done():
            due = heapq.heappop(self.queue)
            self.now_ms = max(self.now_ms, due.at_ms)
            if due.node < 0:
                due.event()
            else:
                self._deliver(due)
            if self.now_ms > FAULTS_MS + QUIET_MS:
                break
        if not self.done():
            places = [self.nodes[index].engine.status() for index in self.honest]
            raise self.fail(f"height {self.heights} is undecided after {self.now_ms} ms: {places}")
        return self

    def done(self) -> bool:
        """Whether every honest node decided all heights."""
        return all(self.heights in self.nodes[index].decided for index in self.honest)

    def _deliver(self, due: _Due) -> None:
        node = self.nodes[due.node]
        if not node.up or node.life != due.life:
            return
        if due.sender >= 0 and not self._reachable(due.sender, due.node):
            return
        event = due.event
        if isinstance(event, TimeoutElapsed):
            key = (event.timeout_id, event.height, event.round)
            if node.timers.get(key) != due.sequence:
                return
            del node.timers[key]
        self._feed(due.node, event)

    def _reachable(self, sender: int, receiver: int) -> bool:
        return not self.islands or any(sender in island and receiver in island for island in self.islands)

    def _feed(self, index: int, event: Any) -> None:
        node = self.nodes[index]
        effects = node.engine.step(event)
        self.steps += 1
        if len(effects) > EFFECTS_MAX:
            raise self.fail(f"{len(effects)} effects of one input")
        faults = not self.calm and self.now_ms < FAULTS_MS and node.behaviour == "honest"
        for effect in effects:
            if faults and self.random.randrange(4000) == 0:
                # The power fails between two effects.
                self._crash(index)
                self._at(self.now_ms + self.random.randint(1, 1500), partial(self._restart, index))
                return
            self._perform(index, node, effect)

    def _perform(self, index: int, node: Node, effect: Any) -> None:
        match effect:
            case AppendWal():
                node.wal.append(effect.payload)
            case SignMessage():
                self._sign(index, node, effect.payload)
            case Broadcast():
                self._broadcast(index, node, effect)
            case BuildBlock():
                block_id = self._build(node, effect)
                answer = BlockBuilt(height=effect.height, round=effect.round, block_id=block_id)
                self.later(index, answer, self.random.randint(1, 40))
            case CheckBlock():
                self._check(index, effect)
            case ScheduleTimeout():
                elapsed = TimeoutElapsed(timeout_id=effect.timeout_id, height=effect.height, round=effect.round)
                # Clocks drift by a tenth.
                delay_ms = effect.delay_ms * self.random.randint(95, 105) // 100
                self.later(index, elapsed, delay_ms)
                node.timers[effect.timeout_id, effect.height, effect.round] = self.sequence
            case CancelTimeout():
                node.timers.pop((effect.timeout_id, effect.height, effect.round), None)
            case Decide():
                self._decide(index, node, effect.certificate)
            case RequestSync():
                self._sync(index, node, effect.height)
            case ReportEvidence():
                self._accuse(effect)

    def _sign(self, index: int, node: Node, payload: bytes) -> None:
        message = decode_message(payload, CHAIN_ID)
        if node.behaviour == "honest":
            key = (identity(node.number).address, message.height, message.round, message.kind)
            if self.said.setdefault(key, payload) != payload:
                raise self.fail(f"an honest validator signs twice: {message}")
        signature = identity(node.number).sign(signing_digest(payload))
        self.later(index, OwnMessageSigned(payload=payload, signature=signature), 0)

    def _broadcast(self, index: int, node: Node, effect: Broadcast) -> None:
        if node.behaviour == "silent":
            return
        for other in range(len(self.nodes)):
            if other != index and self.nodes[other].number != node.number:
                payload, signature = effect.payload, effect.signature
                if node.behaviour == "liar" and self.random.randrange(3) == 0:
                    payload, signature = self._lie(node, payload)
                self._send(index, other, payload, signature)

    def _send(self, index: int, other: int, payload: bytes, signature: bytes) -> None:
        message = MessageReceived(
            sender=identity(self.nodes[index].number).address, payload=payload, signature=signature
        )
        rough = not self.calm and self.now_ms < FAULTS_MS
        self.bytes_sent += len(payload) + len(signature)
        if rough and self.random.randrange(10) == 0:
            return
        copies = 2 if rough and self.random.randrange(20) == 0 else 1
        for _ in range(copies):
            self.later(other, message, self.random.randint(1, 250 if rough else 40), index)

    def _lie(self, node: Node, payload: bytes) -> tuple[bytes, bytes]:
        """Another message of the same author: a vote for something else, or a far round."""
        message = decode_message(payload, CHAIN_ID)
        known = [*self.blocks, Hash32(self.random.randbytes(32)), None]
        block_id = self.random.choice(known)
        round_number = max(0, message.round + self.random.choice((-1, 0, 0, 0, 1, 30, 2**20)))
        lie: Proposal | Vote
        if message.kind is Kind.PROPOSAL and block_id is not None:
            lie = Proposal(height=message.height, round=round_number, block_id=block_id)
        else:
            kind = self.random.choice((Kind.PREVOTE, Kind.PRECOMMIT))
            lie = Vote(kind=kind, height=message.height, round=round_number, block_id=block_id)
        encoded = encode_message(lie, CHAIN_ID)
        return encoded, identity(node.number).sign(signing_digest(encoded))

    def _build(self, node: Node, effect: BuildBlock) -> Hash32:
        self.built += 1
        words = (self.seed, effect.height, effect.round, node.number, self.built)
        block_id = Hash32(domain_hash("simulated block", *(word.to_bytes(8, "big") for word in words)))
        self.blocks[block_id] = (node.behaviour != "invalid", node.behaviour != "withholder")
        return block_id

    def _check(self, index: int, effect: CheckBlock) -> None:
        valid, available = self.blocks.get(effect.block_id, (False, False))
        if available:
            answer = BlockChecked(height=effect.height, round=effect.round, block_id=effect.block_id, valid=valid)
            self.later(index, answer, self.random.randint(1, 40))

    def _decide(self, index: int, node: Node, certificate: Certificate) -> None:
        if node.behaviour == "honest":
            block_id = certificate.block_id
            if self.chosen.setdefault(certificate.height, block_id) != block_id:
                raise self.fail(f"height {certificate.height} is split")
            if certificate.height != max(node.decided, default=0) + 1:
                raise self.fail(f"height {certificate.height} is decided out of order")
            if not self.blocks.get(block_id, (False, False))[0]:
                raise self.fail(f"height {certificate.height} decided a block that is not valid")
        node.decided[certificate.height] = certificate
        node.decided_ms[certificate.height] = self.now_ms
        node.wal.clear()
        self.later(index, StartHeight(height=Height(certificate.height + 1)), 1)

    def _sync(self, index: int, node: Node, height: int) -> None:
        wanted = range(max(node.decided, default=0) + 1, height + 1)
        for other, peer in enumerate(self.nodes):
            for number in wanted[:8]:
                if number in peer.decided and peer.up and self._reachable(other, index):
                    answer = CertificateReceived(certificate=peer.decided[number])
                    self.later(index, answer, self.random.randint(2, 80), other)

    def _accuse(self, effect: ReportEvidence) -> None:
        guilty = {identity(number).address for number in self.faulty}
        evidence = decode_evidence(effect.evidence)
        height = _height_of(evidence)
        kind = verify_evidence(evidence, self.committee, CHAIN_ID, height)
        if (kind, evidence.validator) != (effect.kind, effect.validator):
            raise self.fail(f"evidence of {effect.kind} proves {kind}")
        # Amnesia is proven under the assumption that the faulty leave a quorum whole.
        tolerated = not hits_every_quorum(self.committee.rule, guilty)
        if self.keeps_wal and tolerated and effect.validator not in guilty:
            raise self.fail(f"an honest validator is accused of {effect.kind}")
        self.evidence[effect.kind] += 1

    @property
    def rounds(self) -> list[int]:
        """Rounds, from 1, that each height took by its certificate."""
        return [self.nodes[self.honest[0]].decided[number].round + 1 for number in range(1, self.heights + 1)]


def _height_of(evidence: Any) -> Height:
    first = getattr(evidence, "first", None) or evidence.precommit
    return decode_message(first.payload, CHAIN_ID).height


SHAPES = ("4", "4", "4", "7", "7", "4x4")


def run_seeds(first: int, count: int, shapes: Sequence[str] = SHAPES) -> Counter[str]:
    """Run seeds; Violation names the first bad one. Gives counts of rounds, evidence and steps."""
    totals: Counter[str] = Counter()
    for seed in range(first, first + count):
        simulation = Simulation(seed, shapes[seed % len(shapes)]).run()
        totals.update(seeds=1, steps=simulation.steps, heights=len(simulation.rounds), rounds=sum(simulation.rounds))
        totals["rounds_max"] = max(totals["rounds_max"], *simulation.rounds)
        totals.update(simulation.evidence)
    return totals


CHUNK_SEEDS = 50


def _run_chunk(first: int, count: int, shapes: Sequence[str]) -> Counter[str]:
    return run_seeds(first, count, shapes)


def run_chunks(first: int, count: int, shapes: Sequence[str], jobs: int) -> Counter[str]:
    """As `run_seeds`, in several processes, with progress on the terminal."""
    started, totals = time.monotonic(), Counter[str]()
    starts = range(first, first + count, CHUNK_SEEDS)
    with ProcessPoolExecutor(jobs) as pool:
        sizes = [min(CHUNK_SEEDS, first + count - start) for start in starts]
        for chunk in pool.map(_run_chunk, starts, sizes, [tuple(shapes)] * len(sizes)):
            rounds_max = max(totals["rounds_max"], chunk["rounds_max"])
            totals.update(chunk)
            totals["rounds_max"] = rounds_max
            print(f"{totals['seeds']} of {count} seeds after {time.monotonic() - started:.0f} s", flush=True)
    return totals


def main(arguments: Sequence[str]) -> int:
    """Command line."""
    parser = argparse.ArgumentParser(description="simulate clusters, one a seed")
    parser.add_argument("--seeds", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=0, help="the first seed")
    parser.add_argument("--shape", action="append", help="4, 7, 4x4 ...; may be repeated")
    parser.add_argument("--jobs", type=int, default=1, help="processes")
    options = parser.parse_args(arguments)
    totals = run_chunks(options.seed, options.seeds, options.shape or SHAPES, options.jobs)
    print(f"no violation: {dict(totals)}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
