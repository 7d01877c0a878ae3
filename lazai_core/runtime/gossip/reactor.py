"""`Gossip`: everything that travels between this node and its peers passes here.

Each kind of thing has a room of its own; the reactor keeps the peers, gives every envelope to the room of its topic,
and blames by name whoever sent what no honest node sends. Nothing that a peer sends raises out of here.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from random import Random
from typing import Protocol

import structlog

from lazai_core.api.consensus import Certificate, MessagePlace, ReportEvidence, Validator
from lazai_core.api.errors import EncodingError, LocalFault, StorageError
from lazai_core.api.needs import NodeIdentity
from lazai_core.api.network import Arrival, Envelope, PeerFault, PeerId, PeerJoined, Transport
from lazai_core.api.proof import Rng
from lazai_core.api.types import Hash32, Height
from lazai_core.chain.block import Block
from lazai_core.runtime.peering import ConsensusMessage, HostPort

from .blocks import BlockRoom
from .evidence import EvidenceRoom
from .messages import MessageRoom
from .options import GossipOptions
from .peers import ChainReader, PeerState, PeerTable
from .ports import EvidencePort, RecordPort, TransactionPort
from .records import RecordRoom
from .snapshots import SnapshotRoom
from .sync import BlockSync
from .transaction_wire import HASHES_MAX
from .transactions import TransactionRoom
from .wire import ENVELOPE_BYTES_MAX, Topic, decode_neighbours

log = structlog.get_logger(__name__)

ARRIVALS_IN_A_ROW_MAX = 32
Reader = Callable[[PeerState, bytes], None]


class EngineMessages(Protocol):
    """What gossip asks of a consensus engine."""

    def place_of(self, payload: bytes) -> MessagePlace:
        """Height and round of a message of this chain. Raises EncodingError for anything else."""

    def verify_certificate(self, certificate: Certificate, validators: Sequence[Validator], chain_id: int) -> None:
        """Raises ConsensusFault unless these validators decided the block."""


class Gossip:
    """`Peers` over a transport, and the service that reads what arrives. `host` is attached before it runs."""

    name = "gossip"

    def __init__(
        self,
        *,
        transport: Transport,
        identity: NodeIdentity,
        chain: ChainReader,
        engine: EngineMessages,
        rng: Rng,
        options: GossipOptions | None = None,
        transactions: TransactionPort | None = None,
        records: RecordPort | None = None,
        evidence: EvidencePort | None = None,
    ) -> None:
        """Without a port the node neither takes nor gives what the port is for."""
        self.options = GossipOptions() if options is None else options
        self._host: HostPort | None = None
        self._transport = transport
        random = Random(int.from_bytes(rng.bytes(16), "big"))
        self.peers = PeerTable(transport=transport, chain=chain, random=random, options=self.options)
        self.messages = MessageRoom(self.peers, engine.place_of, self._attached)
        self.blocks = BlockRoom(self.peers, identity, self._attached)
        self.sync = BlockSync(self.peers, self.blocks, self._attached, engine.verify_certificate)
        self.transactions = TransactionRoom(self.peers, transactions)
        self.records = RecordRoom(self.peers, records)
        self.evidence = EvidenceRoom(self.peers, evidence)
        self.snapshots = SnapshotRoom(self.peers)
        self._neighbours_due = 0.0
        self._transactions_due = 0.0
        self.own_mistakes = 0
        self._readers: dict[str, Reader] = {
            Topic.STATUS: self._status,
            Topic.NEIGHBOURS: self._neighbours,
            Topic.MESSAGES: self.messages.arrive,
            Topic.HAVE: self._have,
            Topic.CERTIFICATE: self._certificate,
            Topic.PART: self.blocks.part_arrived,
            Topic.WANT_PARTS: self.blocks.request_arrived,
            Topic.GET_BLOCKS: self.sync.request_arrived,
            Topic.BLOCKS: self.sync.blocks_arrived,
            Topic.TRANSACTIONS: self.transactions.transactions_arrived,
            Topic.ANNOUNCE: self.transactions.announced_by,
            Topic.GET_TRANSACTIONS: self.transactions.request_arrived,
            Topic.EVIDENCE: self.evidence.arrived,
            Topic.RECORD_OFFERS: self.records.offers_arrived,
            Topic.WANT_RECORDS: self.records.wanted_arrived,
            Topic.GET_RECORD: self.records.request_arrived,
            Topic.RECORD_CHUNK: self.records.chunk_arrived,
            Topic.GET_HEADERS: self.snapshots.headers_wanted,
            Topic.GET_ENTRIES: self.snapshots.entries_wanted,
            Topic.GET_SETS: self.snapshots.sets_wanted,
            Topic.HEADERS: self._unasked,
            Topic.ENTRIES: self._unasked,
            Topic.SETS: self._unasked,
        }

    # Joining the host.

    @property
    def host(self) -> HostPort:
        """Who decides heights here."""
        return self._attached()

    @host.setter
    def host(self, host: HostPort) -> None:
        self._host = host

    def _attached(self) -> HostPort:
        if self._host is None:
            raise LocalFault("gossip runs before a consensus host was attached to it")
        return self._host

    # The service.

    async def run(self, ready: Callable[[], None]) -> None:
        """Take in what arrives until cancelled."""
        async with asyncio.TaskGroup() as group:
            self.peers.open(group)
            self.peers.height = self.host.height or self.peers.height
            try:
                for peer in self._transport.peers():
                    self._join(peer)
                group.create_task(self.transactions.admit_all())
                self._tick()
                ready()
                await self._read()
                await asyncio.Event().wait()
            finally:
                self.peers.close()

    async def _read(self) -> None:
        in_a_row = 0
        async for arrival in self._transport.receive():
            self.take(arrival)
            in_a_row += 1
            if in_a_row >= ARRIVALS_IN_A_ROW_MAX:
                # A full queue would keep everybody else from the loop.
                in_a_row = 0
                await asyncio.sleep(0)

    def _tick(self) -> None:
        """Once a second: say where this node stands, and look for what was lost."""
        now = self.peers.now
        self.peers.tell_status()
        if now >= self._neighbours_due:
            self._neighbours_due = now + self.options.neighbours_ms / 1000
            self.peers.tell_neighbours()
        if now >= self._transactions_due:
            self._transactions_due = now + self.options.transactions_repeat_ms / 1000
            self.transactions.exchange()
        if (now - self.peers.height_since) * 1000 >= self.options.exchange_ms:
            self.messages.exchange()
        self.peers.later(self.options.status_ms, self._tick)

    # What arrives.

    def take(self, arrival: Arrival) -> None:
        """One thing that the transport brought."""
        if isinstance(arrival, Envelope):
            self._open(arrival)
        elif isinstance(arrival, PeerJoined):
            self._join(arrival.peer)
        else:
            self.peers.leave(arrival.peer)
            self.messages.peer_left(arrival.peer)
            self.blocks.peer_left(arrival.peer)
            self.sync.left(arrival.peer)
            self._neighbours_due = 0.0

    def _join(self, peer: PeerId) -> None:
        if self.peers.join(peer) is not None:
            self.peers.send(peer, Topic.STATUS, self.peers.status())
            self._neighbours_due = 0.0

    def _open(self, envelope: Envelope) -> None:
        state = self.peers.get(envelope.sender)
        if state is None or state.foreign:
            return
        reader = self._readers.get(envelope.topic)
        if reader is None:
            self.peers.blame(envelope.sender, PeerFault.UNKNOWN_TOPIC, repr(envelope.topic[:40]))
        elif len(envelope.payload) > ENVELOPE_BYTES_MAX:
            self.peers.blame(envelope.sender, PeerFault.OVERSIZE, f"{len(envelope.payload)} bytes of {envelope.topic}")
        elif state.status is not None or envelope.topic == Topic.STATUS:
            # What overtakes the first status is dropped: whoever sent it does not know yet what is wanted here.
            self._read_guarded(reader, state, envelope)

    def _read_guarded(self, reader: Reader, state: PeerState, envelope: Envelope) -> None:
        try:
            reader(state, envelope.payload)
        except EncodingError as error:
            self.peers.blame(envelope.sender, PeerFault.UNDECODABLE, f"{envelope.topic}: {error.message}")
        except (StorageError, LocalFault):
            # This node's own trouble.
            raise
        except Exception:
            # Otherwise one envelope that meets a mistake of ours would stop every node of the chain.
            self.own_mistakes += 1
            log.exception("gossip.own_mistake", topic=envelope.topic, peer=envelope.sender, count=self.own_mistakes)

    def _status(self, state: PeerState, payload: bytes) -> None:
        if not self.peers.may_talk(state):
            return
        before = state.status
        status = self.peers.take_status(state, payload)
        if status is None:
            return
        if before is None or status.height >= before.height:
            self.messages.peer_advanced(state, Height(-1) if before is None else before.height)
        if before is None:
            self.transactions.announce_pending(state, HASHES_MAX)
            self.evidence.tell(state)
        self.sync.step()

    def _unasked(self, state: PeerState, payload: bytes) -> None:
        """Only a node that begins from a snapshot asks for these, before its gossip runs."""
        if self.peers.may_talk(state):
            log.debug("snapshot.late_answer", peer=state.peer, size_bytes=len(payload))

    def _neighbours(self, state: PeerState, payload: bytes) -> None:
        if self.peers.may_talk(state):
            state.neighbours = decode_neighbours(payload)

    def _have(self, state: PeerState, payload: bytes) -> None:
        if self.peers.may_talk(state):
            self.messages.have_arrived(state, payload)

    def _certificate(self, state: PeerState, payload: bytes) -> None:
        if not self.peers.may_talk(state):
            return
        certificate = self.messages.certificate_arrived(state, payload)
        if certificate is None:
            return
        block = self.host.known_block(certificate.block_id)
        if block is not None:
            self.host.decided_arrived(state.peer, block, certificate)
        else:
            self.sync.step(hurry=True)

    # `Peers`.

    def send_message(self, message: ConsensusMessage) -> None:
        """Bring a message of this node to all validators."""
        self.messages.send(message)

    def send_block(self, block: Block) -> None:
        """Bring a block that this node proposes to all validators, in parts."""
        self.blocks.send(block)

    def want_block(self, height: Height, block_id: Hash32) -> None:
        """A block that was proposed or decided is not here."""
        self.blocks.want(height, block_id)

    def unwant_block(self, block_id: Hash32) -> None:
        """See `Peers`."""
        self.blocks.unwant(block_id)

    def want_decided(self, up_to: Height) -> None:
        """Fetch the decided blocks after the head, up to this height."""
        log.debug("sync.wanted", up_to=up_to)
        self.sync.step(hurry=True)

    def send_evidence(self, evidence: ReportEvidence) -> None:
        """Bring a proof of misbehaviour to whoever may put it into a block."""
        self.evidence.send(evidence.evidence)

    def height_started(self, height: Height) -> None:
        """The node decides this height now."""
        self.peers.height = height
        self.peers.height_since = self.peers.now
        self.messages.height_started()
        self.blocks.height_started()
        self.peers.tell_status()
        self.sync.height_started()

    def blame(self, peer: PeerId, fault: PeerFault) -> None:
        """The peer sent something that the host found to be wrong."""
        self.peers.blame(peer, fault, "found by the host")
        if fault in (PeerFault.INVALID_BLOCK, PeerFault.FORGED_CERTIFICATE, PeerFault.WRONG_PART):
            self.sync.refused(peer)
