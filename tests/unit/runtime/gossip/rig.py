"""Gossip between nodes of one process in virtual time: wires that may lose and be cut, chains without a machine, hosts
that note what they hear, and peers that a test moves by hand.
"""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from collections.abc import AsyncIterator, Callable, Collection, Coroutine, Mapping, Sequence
from functools import cache
from random import Random
from typing import Any, TypeVar

from attrs import define, evolve, field

from lazai_core.api.consensus import Certificate, CommitSignature, MessagePlace, Validator, signing_digest
from lazai_core.api.encoding import Reader, Writer
from lazai_core.api.errors import ConsensusFault
from lazai_core.api.hashing import address_of_private_key, sign_digest
from lazai_core.api.network import Arrival, Envelope, PeerFault, PeerId, PeerJoined, PeerLeft, Priority
from lazai_core.api.types import Address, Hash32, Height
from lazai_core.builtin.stores import MemoryStore
from lazai_core.chain.block import Block, transactions_root
from lazai_core.chain.genesis import Genesis
from lazai_core.chain.history import ChainHistory
from lazai_core.lazvm.database import NodeReader
from lazai_core.lazvm.genesis_state import genesis_block
from lazai_core.runtime.gossip import Gossip, GossipOptions
from lazai_core.runtime.gossip.wire import PROTOCOL, Status, Topic
from lazai_core.runtime.peering import ConsensusMessage
from lazai_core.testing.parts import KnownIdentity, account_key
from lazai_core.testing.rng import SeededRng
from tests.unit.lazvm import world

T = TypeVar("T")
DELAY_S = 0.002


class VirtualLoop(asyncio.BaseEventLoop):
    """Time passes only while everybody waits, and then at once."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._passed = 0.0
        self._selector = self

    def time(self) -> float:
        return self._passed

    def select(self, timeout: float | None) -> list[Any]:
        assert timeout is not None, "everybody waits, and nothing will ever happen"
        self._passed += timeout
        return []

    def _process_events(self, events: list[Any]) -> None:
        pass

    def _write_to_self(self) -> None:
        pass


def run(work: Callable[[], Coroutine[Any, Any, T]]) -> T:
    """Run a test in virtual time; no task may outlive it."""
    loop = VirtualLoop()
    try:
        asyncio.set_event_loop(loop)
        result = loop.run_until_complete(work())
        assert not asyncio.all_tasks(loop), "tasks are left"
        return result
    finally:
        asyncio.set_event_loop(None)
        loop.close()


# The chain.


@cache
def genesis_of(count: int) -> Genesis:
    return world.genesis(validators=tuple(Validator(address=address(number), power=1) for number in range(count)))


@cache
def first_block(count: int) -> Block:
    return genesis_block(genesis_of(count), NodeReader(MemoryStore())).block


@cache
def address(number: int) -> Address:
    return address_of_private_key(account_key(number))


def peer_id(number: int) -> PeerId:
    return PeerId(address(number))


def make_block(parent: Block, *, proposer: int = 0, transactions: Sequence[bytes] = (), extra: bytes = b"") -> Block:
    """A child whose body fits its header; nothing else about it is right."""
    header = evolve(
        parent.header,
        height=Height(parent.height + 1),
        parent_hash=parent.hash,
        timestamp=parent.header.timestamp + 1,
        proposer=address(proposer),
        transactions_root=transactions_root(transactions),
        extra_data=extra,
    )
    return Block(header=header, transactions=tuple(transactions))


def certificate_of(block: Block, count: int) -> Certificate:
    """What all validators of the test chain sign under a block."""
    return certified(block.height, block.hash, count)


def certified(height: Height, block_id: Hash32, count: int) -> Certificate:
    digest = signing_digest(b"commit" + block_id)
    signatures = tuple(
        CommitSignature(validator=address(number), signature=sign_digest(digest, account_key(number)))
        for number in sorted(range(count), key=address)
    )
    return Certificate(height=height, round=0, block_id=block_id, signatures=signatures)


def message_of(number: int, height: int, round_number: int = 0, text: bytes = b"") -> ConsensusMessage:
    """A validator's signed message."""
    payload = Writer().raw(b"test").u64(height).u32(round_number).bytes_(text).finish()
    signature = sign_digest(signing_digest(payload), account_key(number))
    return ConsensusMessage(sender=address(number), payload=payload, signature=signature)


class TestEngine:
    """Reads the messages above."""

    __test__ = False

    def place_of(self, payload: bytes) -> MessagePlace:
        reader = Reader(payload)
        if reader.raw(4) != b"test":
            raise reader.fail("no message of this test")
        height, round_number = reader.u64(), reader.u32()
        reader.bytes_(1 << 20)
        reader.finish()
        return MessagePlace(height=Height(height), round=round_number)

    def verify_certificate(self, certificate: Certificate, validators: Sequence[Validator], chain_id: int) -> None:
        if certificate != certified(certificate.height, certificate.block_id, len(validators)):
            raise ConsensusFault("a forged certificate")


class Chain:
    """Blocks without a machine behind them."""

    def __init__(self, count: int) -> None:
        self.genesis = genesis_of(count)
        self.store = MemoryStore()
        self.history = ChainHistory(self.store)
        self._head = first_block(count)
        self.commit(self._head, b"")

    @property
    def head(self) -> Block:
        return self._head

    def validators(self, height: Height) -> tuple[Validator, ...]:
        assert self._head.height <= height <= self._head.height + 2
        return self.genesis.validators

    def commit(self, block: Block, certificate: bytes) -> None:
        batch = self.store.batch()
        self.history.put_block(batch, block, (), certificate)
        batch.commit()
        self._head = block


class Host:
    """Notes what it hears, and commits decided blocks in order."""

    def __init__(self, chain: Chain, count: int) -> None:
        self.chain = chain
        self.count = count
        self.gossip: Gossip
        self.heard: list[tuple[PeerId, ConsensusMessage]] = []
        self.blocks: list[tuple[PeerId, Block]] = []
        self.decided: list[tuple[PeerId, Block, Certificate]] = []
        self.drafts: dict[Hash32, Block] = {}
        self.refuse: Callable[[Block, Certificate], PeerFault | None] = lambda block, certificate: None

    @property
    def height(self) -> Height:
        return Height(self.chain.head.height + 1)

    def message_arrived(self, peer: PeerId, message: ConsensusMessage) -> None:
        self.heard.append((peer, message))

    def block_arrived(self, peer: PeerId, block: Block) -> None:
        self.blocks.append((peer, block))
        self.drafts[block.hash] = block

    def decided_arrived(self, peer: PeerId, block: Block, certificate: Certificate) -> None:
        self.decided.append((peer, block, certificate))
        if block.height != self.height:
            return
        fault = self.refuse(block, certificate)
        if fault is None and block.header.parent_hash != self.chain.head.hash:
            fault = PeerFault.INVALID_BLOCK
        if fault is None and certificate != certificate_of(block, self.count):
            fault = PeerFault.FORGED_CERTIFICATE
        if fault is not None:
            self.gossip.blame(peer, fault)
            return
        self.commit(block, certificate)

    def commit(self, block: Block, certificate: Certificate) -> None:
        self.chain.commit(block, certificate.encode())
        self.gossip.height_started(self.height)

    def known_block(self, block_id: Hash32) -> Block | None:
        return self.drafts.get(block_id)


# Wires.


class Wires:
    """Delivers after `DELAY_S`; `cut` says which pairs cannot hear each other."""

    def __init__(self, seed: int = 0) -> None:
        self.random = Random(seed)
        self.loss_per_mille = 0
        self.ends: dict[PeerId, End] = {}
        self.sent: Counter[str] = Counter()
        self.sent_bytes: Counter[str] = Counter()
        self._joined: set[tuple[PeerId, PeerId]] = set()
        self._order = 0

    def end(self, peer: PeerId) -> End:
        self.ends[peer] = End(wires=self, peer_id=peer)
        return self.ends[peer]

    def join(self, one: PeerId, other: PeerId) -> None:
        self._joined |= {(one, other), (other, one)}
        self.ends[one].arrive(PeerJoined(peer=other))
        self.ends[other].arrive(PeerJoined(peer=one))

    def part(self, one: PeerId, other: PeerId) -> None:
        self._joined -= {(one, other), (other, one)}
        self.ends[one].arrive(PeerLeft(peer=other))
        self.ends[other].arrive(PeerLeft(peer=one))

    def peers_of(self, peer: PeerId) -> list[PeerId]:
        return sorted(other for one, other in self._joined if one == peer)

    def carry(self, receiver: PeerId, envelope: Envelope) -> bool:
        if (envelope.sender, receiver) not in self._joined:
            return False
        self.sent[envelope.topic] += 1
        self.sent_bytes[envelope.topic] += len(envelope.payload)
        if self.random.randrange(1000) >= self.loss_per_mille:
            self._order += 1
            # A little later than the one before, or the loop would not keep the order.
            asyncio.get_running_loop().call_later(DELAY_S + self._order * 1e-9, self._deliver, receiver, envelope)
        return True

    def _deliver(self, receiver: PeerId, envelope: Envelope) -> None:
        if (envelope.sender, receiver) in self._joined:
            self.ends[receiver].arrive(envelope)


@define(kw_only=True, eq=False, slots=False)
class End:
    """`Transport` on wires; `faults` are what it was told of peers."""

    wires: Wires
    peer_id: PeerId
    faults: list[tuple[PeerId, PeerFault]] = field(factory=list)
    inbox: deque[Arrival] = field(factory=deque)
    changed: asyncio.Event = field(factory=asyncio.Event)
    received: list[Envelope] = field(factory=list)

    def peers(self) -> Sequence[PeerId]:
        return self.wires.peers_of(self.peer_id)

    def send(self, peer: PeerId, topic: str, payload: bytes, priority: Priority) -> bool:
        assert isinstance(payload, bytes)
        return self.wires.carry(peer, Envelope(sender=self.peer_id, topic=topic, payload=payload))

    def arrive(self, arrival: Arrival) -> None:
        self.inbox.append(arrival)
        if isinstance(arrival, Envelope):
            self.received.append(arrival)
        self.changed.set()

    async def receive(self) -> AsyncIterator[Arrival]:
        while True:
            while self.inbox:
                yield self.inbox.popleft()
            self.changed.clear()
            await self.changed.wait()

    def blame(self, peer: PeerId, fault: PeerFault) -> None:
        self.faults.append((peer, fault))

    async def close(self) -> None:
        pass


@define(kw_only=True, eq=False)
class Node:
    """One node with its gossip."""

    number: int
    end: End
    chain: Chain
    host: Host
    gossip: Gossip
    ports: Mapping[str, Any]
    task: asyncio.Task[None] | None = None

    @property
    def peer(self) -> PeerId:
        return self.end.peer_id

    @property
    def faults(self) -> list[PeerFault]:
        return [fault for _, fault in self.end.faults]


class Mesh:
    """Nodes of a chain with `count` validators. `async with` starts them, and stops them at the end."""

    def __init__(
        self,
        count: int,
        *,
        nodes: int | None = None,
        joined: Callable[[int, int], bool] = lambda one, other: True,
        seed: int = 0,
        options: GossipOptions | None = None,
        ports: Callable[[], Mapping[str, Any]] = dict,
        chain: Any = None,
    ) -> None:
        """Nodes have the chain given, or each one of its own."""
        self.count = count
        self._chain = chain
        self._ports = ports
        self.wires = Wires(seed)
        self.nodes = [self._node(number, options) for number in range(count if nodes is None else nodes)]
        self._joined = joined

    def _node(self, number: int, options: GossipOptions | None) -> Node:
        chain = self._chain or Chain(self.count)
        host = Host(chain, self.count)
        end = self.wires.end(peer_id(number))
        gossip = Gossip(
            transport=end,
            identity=KnownIdentity(number),
            chain=chain,
            engine=TestEngine(),
            rng=SeededRng(number),
            options=options,
            **(ports := self._ports()),
        )
        gossip.host = host
        host.gossip = gossip
        return Node(number=number, end=end, chain=chain, host=host, gossip=gossip, ports=ports)

    def start(self, node: Node) -> None:
        node.task = asyncio.create_task(node.gossip.run(lambda: None))

    async def __aenter__(self) -> Mesh:
        for node in self.nodes:
            self.start(node)
        await asyncio.sleep(0)
        for one in self.nodes:
            for other in self.nodes[: one.number]:
                if self._joined(other.number, one.number):
                    self.wires.join(one.peer, other.peer)
        await asyncio.sleep(0.1)
        return self

    async def __aexit__(self, kind: Any, error: Any, trace: Any) -> None:
        tasks = [node.task for node in self.nodes if node.task is not None]
        for task in tasks:
            task.cancel()
        results = await asyncio.gather(*tasks, return_exceptions=True)
        broken = [result for result in results if not isinstance(result, asyncio.CancelledError)]
        if broken and error is None:
            raise AssertionError(f"gossip ended by itself: {broken!r}") from broken[0]
        assert error is not None or all(node.gossip.own_mistakes == 0 for node in self.nodes), "see the log"

    def extend(self, blocks: int, nodes: Collection[int], **kind: Any) -> list[Block]:
        """Blocks that these nodes have decided already, before anything runs."""
        made = [self.nodes[min(nodes)].chain.head]
        for _ in range(blocks):
            made.append(make_block(made[-1], **kind))
        for block in made[1:]:
            certificate = certificate_of(block, self.count).encode()
            for number in nodes:
                self.nodes[number].chain.commit(block, certificate)
        return made[1:]


class Stranger:
    """A peer that a test moves by hand."""

    def __init__(self, mesh: Mesh, number: int) -> None:
        self.end = mesh.wires.end(peer_id(number))
        self.mesh = mesh
        self.sequence = 0

    @property
    def peer(self) -> PeerId:
        return self.end.peer_id

    async def meet(self, node: Node, height: int = 1, **changes: Any) -> None:
        self.mesh.wires.join(self.peer, node.peer)
        self.tell(node, height, **changes)
        await asyncio.sleep(0.05)

    def tell(self, node: Node, height: int, **changes: Any) -> None:
        self.sequence += 1
        genesis = self.mesh.nodes[0].chain.genesis
        status = Status(
            protocol=PROTOCOL,
            chain_id=genesis.chain_id,
            genesis=genesis.hash,
            sequence=self.sequence,
            height=Height(height),
            lowest=Height(1),
            head=Hash32(bytes(32)),
        )
        self.send(node, Topic.STATUS, evolve(status, **changes).encode())

    def send(self, node: Node, topic: str, payload: bytes) -> None:
        self.end.send(node.peer, topic, payload, Priority.VOTE)

    def got(self, topic: str) -> list[bytes]:
        return [envelope.payload for envelope in self.end.received if envelope.topic == topic]

    def faults_at(self, node: Node) -> list[PeerFault]:
        return [fault for peer, fault in node.end.faults if peer == self.peer]
