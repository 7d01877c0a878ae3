"""One whole node of four with the engine in the host that ships; its peers are the tests."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterator, Sequence
from random import Random
from typing import Any, TypeVar

from bft_driving import identity, sign, vote

from lazai_consensus_bft.committee import committee_of
from lazai_consensus_bft.messages import Kind, Message, Proposal, Vote, decode_message
from lazai_consensus_bft.plugin import lazai_consensus_engines
from lazai_core.api.consensus import (
    Broadcast,
    Certificate,
    CommitSignature,
    Effect,
    Input,
)
from lazai_core.api.network import PeerFault, PeerId
from lazai_core.api.types import Hash32
from lazai_core.chain.block import Block
from lazai_core.lazvm.vm import BlockPlan
from lazai_core.runtime.options import RuntimeOptions
from lazai_core.runtime.peering import ConsensusMessage
from lazai_core.testing.network import SimulatedNetwork
from lazai_core.testing.simulation.byzantine import Behaviour
from lazai_core.testing.simulation.chain import (
    CHAIN_ID,
    START_SECONDS,
    Executions,
    Shape,
    build_engine,
    genesis_entries,
    open_machine,
)
from lazai_core.testing.simulation.disk import SimulatedStore
from lazai_core.testing.simulation.loop import VirtualLoop, run_virtual
from lazai_core.testing.simulation.node import SimulatedClock, SimulatedNode

SHAPE = Shape("4")
(ENTRY,) = lazai_consensus_engines()
COMMITTEE = committee_of(SHAPE.validators())
T = TypeVar("T")


def proposer(round_number: int = 0, height: int = 1) -> int:
    """Number of the validator whose turn it is."""
    wanted = COMMITTEE.proposer(height, round_number)
    return next(number for number in range(4) if identity(number).address == wanted)


def peer(number: int) -> PeerId:
    return PeerId(identity(number).address)


FOLLOWER = next(number for number in range(4) if number not in (proposer(0), proposer(1)))


class Rig:
    """One node, and everything its engine heard and asked for. Its peers are the test."""

    def __init__(self, number: int = FOLLOWER) -> None:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, VirtualLoop)
        self.loop = loop
        self.random = Random(0)
        self.inputs: list[Input] = []
        self.effects: list[Effect] = []
        self.errors: list[BaseException | None] = []
        self.node = SimulatedNode(
            index=0,
            number=number,
            behaviour=Behaviour.HONEST,
            shape=SHAPE,
            options=RuntimeOptions(),
            make_engine=lambda who, shape: build_engine(ENTRY, {}, who, shape),
            network=SimulatedNetwork(),
            clock=SimulatedClock(loop, 0, 1000),
            random=self.random,
            watcher=self,
            executions=Executions(self.random, 1),
        )

    # What the node tells.

    def trouble(self, node: SimulatedNode, operation: str) -> None:
        pass

    def stepped(self, node: SimulatedNode, event: Input, effects: Sequence[Effect]) -> None:
        self.inputs.append(event)
        self.effects.extend(effects)

    def signed(self, node: SimulatedNode, digest: bytes) -> None:
        pass

    def committed(self, node: SimulatedNode, summary: Any) -> None:
        pass

    def stopped(self, node: SimulatedNode, error: BaseException | None) -> None:
        self.errors.append(error)

    # What happens to it.

    def start(self) -> None:
        self.node.start(self.loop)

    def crash(self) -> None:
        """Also forgets what the life before had said."""
        self.node.crash(self.loop)
        self.inputs.clear()
        self.effects.clear()

    def hear(self, number: int, message: Message, *, by: int | None = None) -> None:
        """A message in the name of `number`, signed by `by`."""
        payload, signature = sign(number if by is None else by, message)
        assert self.node.rooms is not None
        self.node.rooms.host.message_arrived(
            peer(number), ConsensusMessage(sender=identity(number).address, payload=payload, signature=signature)
        )

    def hear_votes(self, kind: Kind, block_id: Hash32 | None, *, round_number: int = 0, height: int = 1) -> None:
        for number in self.others[:3]:
            self.hear(number, vote(kind, block_id, round_number=round_number, height=height))

    def bring(self, number: int, block: Block) -> None:
        assert self.node.rooms is not None
        self.node.rooms.host.block_arrived(peer(number), block)

    def bring_decided(self, number: int, block: Block, certificate: Certificate) -> None:
        assert self.node.rooms is not None
        self.node.rooms.host.decided_arrived(peer(number), block, certificate)

    @property
    def others(self) -> list[int]:
        return [number for number in range(4) if number != self.node.number]

    @property
    def said(self) -> list[Proposal | Vote]:
        """What left the node, each message once."""
        payloads = dict.fromkeys(effect.payload for effect in self.effects if isinstance(effect, Broadcast))
        return [decode_message(payload, CHAIN_ID) for payload in payloads]

    def votes(self, kind: Kind) -> list[tuple[int, Hash32 | None]]:
        return [(message.round, message.block_id) for message in self.said if message.kind is kind]

    @property
    def blamed(self) -> list[tuple[PeerId, PeerFault]]:
        assert self.node.rooms is not None
        return self.node.rooms.transport.blamed


def play(work: Callable[[], Coroutine[Any, Any, T]]) -> T:
    return run_virtual(work)


def chain(count: int, *, makers: Sequence[int] = ()) -> Iterator[tuple[Block, Certificate]]:
    """Blocks as the others decide them, with their certificates."""
    engine = build_engine(ENTRY, {}, identity(0), SHAPE)
    machine = open_machine(SHAPE, SimulatedStore(genesis_entries(SHAPE), lambda operation: None), engine)
    for height in range(1, count + 1):
        maker = makers[height - 1] if makers else proposer(height=height)
        plan = BlockPlan(
            transactions=(), timestamp=START_SECONDS + height - 8, proposer=identity(maker).address
        )
        executed = machine.build_block(plan).executed
        certificate = certify(executed.block, [0, 1, 2, 3])
        machine.commit(executed, certificate.encode())
        yield executed.block, certificate


def certify(block: Block, numbers: Sequence[int]) -> Certificate:
    """Precommits of round 0."""
    ballot = vote(Kind.PRECOMMIT, block.hash, height=block.height)
    signatures = [
        CommitSignature(validator=identity(number).address, signature=sign(number, ballot)[1]) for number in numbers
    ]
    ordered = tuple(sorted(signatures, key=lambda entry: entry.validator))
    return Certificate(height=block.height, round=0, block_id=block.hash, signatures=ordered)


def first_block() -> Block:
    return next(chain(1))[0]
