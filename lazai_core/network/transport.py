"""`Transport` over TCP and TLS 1.3: who is connected, what arrives from whom, and who is kept out."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from hashlib import sha256
from pathlib import Path

import structlog
from attrs import frozen

from lazai_core.api.errors import EncodingError
from lazai_core.api.needs import Clock, NodeIdentity
from lazai_core.api.network import Arrival, Envelope, PeerFault, PeerId, Priority
from lazai_core.api.types import Hash32
from lazai_core.config.peer_address import HOST_PATTERN, PeerAddress, split_host_port
from lazai_core.config.schema import NetworkSection

from .addresses import ADDRESSES_BYTES_MAX, ADDRESSES_MAX, decode_addresses, encode_addresses
from .certificates import Credentials, make_credentials
from .connector import Connector
from .frames import FrameRefused
from .hello import HELLO_BYTES_MAX, INSTANCE_BYTES, PROTOCOL_VERSION, Channel, Hello, open_hello, signed_hello
from .inbox import Inbox
from .link import CONTROL_BYTES_MAX, Control, Link, LinkLimits
from .peer_book import PeerBook
from .standing import Ban, Standing
from .topics import Topic, TopicTable

log = structlog.get_logger(__name__)

NetworkOptions = NetworkSection
"""The configuration's `[network]`, under this room's own name."""

HELLO_FRAME_BYTES_MAX = 4 + HELLO_BYTES_MAX + 65
ADDRESSES_EVERY_S = 10
"""Seconds that a peer waits before it asks for addresses again."""


@frozen(kw_only=True)
class PeerInfo:
    """A connected peer, for people and meters."""

    peer: PeerId
    remote: str
    is_dialled: bool
    is_persistent: bool
    connected_s: float
    bytes_in: int
    bytes_out: int
    queued: int
    dropped: int
    round_trip_ms: float
    score: int


class TlsTransport:
    """`Transport`, and the service that listens and dials."""

    name = "network"

    def __init__(
        self,
        *,
        options: NetworkOptions,
        identity: NodeIdentity,
        chain_id: int,
        genesis_hash: Hash32,
        topics: Iterable[Topic],
        clock: Clock,
        chance: random.Random,
        folder: Path | None = None,
    ) -> None:
        """`folder` keeps the bans; without one they end with the process."""
        self.peer_id = PeerId(identity.address)
        self.options = options
        self._identity = identity
        self._chain_id, self._genesis_hash = chain_id, genesis_hash
        self._topics = TopicTable(topics)
        self._instance = chance.randbytes(INSTANCE_BYTES)
        self.book = PeerBook(
            own=self.peer_id,
            persistent=map(PeerAddress.parse, options.peers),
            seeds=map(PeerAddress.parse, options.seeds),
            chance=chance,
        )
        self.standing = Standing(
            clock=clock,
            ban_s=options.ban_s,
            persistent=frozenset(self.book.persistent),
            path=None if folder is None else folder / "bans.json",
        )
        self._inbox = Inbox(
            envelopes_max=options.queue_envelopes_max, bytes_max=options.queue_bytes_max, on_room=self._room_for
        )
        self._links: dict[PeerId, Link] = {}
        self._asked: dict[PeerId, float] = {}
        self._credentials: Credentials | None = None
        self._connector = Connector(options=options, directory=self, chance=chance)
        self._allowed: Mapping[int, int] = {
            **self._topics.limits(),
            **CONTROL_BYTES_MAX,
            Control.ADDRESSES: ADDRESSES_BYTES_MAX,
        }

    # Transport.

    def peers(self) -> Sequence[PeerId]:
        """Peers connected now, ascending."""
        return sorted(self._links)

    def send(self, peer: PeerId, topic: str, payload: bytes, priority: Priority) -> bool:
        """Queue one envelope for a peer and return at once; False when it was dropped or the peer is not there."""
        known = self._topics.of_name(topic)
        if len(payload) > known.bytes_max:
            raise ValueError(f"{len(payload)} bytes on topic {topic}, which has at most {known.bytes_max}")
        link = self._links.get(peer)
        return link is not None and link.send(known.number, payload, priority)

    def receive(self) -> AsyncIterator[Arrival]:
        """What arrives, as it comes, until `close`. There is one reader."""
        return self._inbox.arrivals()

    def blame(self, peer: PeerId, fault: PeerFault) -> None:
        """Count a fault against a peer. Enough of them end the connection and ban the peer for a while."""
        log.debug("peer.blamed", peer=peer, fault=fault.value)
        link = self._links.get(peer)
        if self.standing.blame(peer, fault) and link is not None:
            self._drop(link, f"banned for {fault.value}")

    async def close(self) -> None:
        """Stop sending and receiving. Idempotent."""
        for link in tuple(self._links.values()):
            self._drop(link, "this node stops")
        self._inbox.close()
        await self._connector.close()

    # Service.

    async def run(self, ready: Callable[[], None]) -> None:
        """Listen and dial until cancelled or closed."""
        try:
            await self._connector.run(ready)
        finally:
            await self.close()

    # For people and meters.

    @property
    def port(self) -> int:
        """The port that is listened on; 0 when none is."""
        return self._connector.port

    def peer_infos(self) -> Sequence[PeerInfo]:
        """Every connected peer, ascending."""
        return [self._info(peer, self._links[peer]) for peer in self.peers()]

    def fault_counts(self) -> Mapping[str, int]:
        """What peers were blamed for since the start, by name."""
        return {fault.value: count for fault, count in self.standing.faults.items()}

    def bans(self) -> Mapping[PeerId, Ban]:
        """Who is kept out now, and until when."""
        return self.standing.bans()

    def _info(self, peer: PeerId, link: Link) -> PeerInfo:
        return PeerInfo(
            peer=peer,
            remote=link.remote,
            is_dialled=link.is_dialler,
            is_persistent=peer in self.book.persistent,
            connected_s=link.age_s,
            bytes_in=link.bytes_in,
            bytes_out=link.bytes_out,
            queued=len(link.outbox),
            dropped=link.outbox.dropped,
            round_trip_ms=link.round_trip_ms,
            score=self.standing.score(peer),
        )

    # For the connector.

    @property
    def credentials(self) -> Credentials:
        """Made when they are first needed."""
        if self._credentials is None:
            self._credentials = make_credentials()
        return self._credentials

    def link_to(self, peer: PeerId) -> Link | None:
        """The connection to a peer, if there is one."""
        return self._links.get(peer)

    def new_link(self, *, expected: PeerId | None, is_dialler: bool) -> Link:
        """A connection to be; `expected` must prove its key, None takes everybody who is welcome."""
        options = self.options
        limits = LinkLimits(
            hello_ms=options.hello_ms_max,
            ping_ms=options.ping_ms,
            silent_ms=options.silent_ms_max,
            bytes_per_second=options.bytes_per_second_max,
            queue_frames=options.queue_envelopes_max,
            queue_bytes=options.queue_bytes_max,
        )
        return Link(owner=self, limits=limits, is_dialler=is_dialler, expected=expected)

    def dialled_count(self) -> int:
        """Peers that this node dialled and is not told to keep."""
        return sum(link.is_dialler and peer not in self.book.persistent for peer, link in self._links.items())

    def ask_for_addresses(self, link: Link) -> None:
        """Ask a peer for further nodes, now and then."""
        assert link.peer is not None
        if self.options.discover and link.now() - self._asked.get(link.peer, -1e9) > ADDRESSES_EVERY_S:
            self._asked[link.peer] = link.now()
            link.is_asked = True
            link.send_control(Control.ASK_ADDRESSES, b"")

    # LinkOwner.

    def opened(self, link: Link) -> None:
        """Say hello; the other end may say nothing else first."""
        link.allow({Control.HELLO: HELLO_FRAME_BYTES_MAX})
        host, port = self._advertised()
        hello = Hello(
            peer=self.peer_id,
            chain_id=self._chain_id,
            genesis_hash=self._genesis_hash,
            instance=self._instance,
            host=host,
            port=port,
        )
        signed = signed_hello(hello, self._channel(link), self._identity, by_dialler=link.is_dialler)
        link.send_control(Control.HELLO, signed)

    def _channel(self, link: Link) -> Channel:
        own, other = self.credentials.fingerprint, sha256(link.certificate()).digest()
        return Channel(dialler=own, listener=other) if link.is_dialler else Channel(dialler=other, listener=own)

    def _advertised(self) -> tuple[str, int]:
        if self.options.advertise:
            return split_host_port(self.options.advertise)
        host = split_host_port(self.options.listen, port_min=0)[0] if self.options.listen else ""
        # A wildcard says nothing to others: they take the address that they see.
        return ("" if host in ("0.0.0.0", "::") else host), self.port

    def received(self, link: Link, number: int, payload: bytes) -> None:
        """A frame of a peer, or the hello of somebody who is about to be one. Raises FrameRefused."""
        if link.peer is None:
            self._greet(link, payload)
        elif number == Control.ASK_ADDRESSES:
            self._tell_addresses(link, link.peer)
        elif number == Control.ADDRESSES:
            self._learn_addresses(link, payload)
        else:
            topic = self._topics.of_number(number)
            if not self._inbox.put(Envelope(sender=link.peer, topic=topic.name, payload=payload)):
                link.hold()

    def refused(self, link: Link, fault: PeerFault, reason: str) -> None:
        """What came is no frame. Whoever has proven no key yet only loses the connection."""
        log.warning("peer.refused", peer=link.peer, remote=link.remote, fault=fault.value, reason=reason)
        if link.peer is None:
            self.standing.faults[fault] += 1
        else:
            self.blame(link.peer, fault)

    def ended(self, link: Link, reason: str) -> None:
        """Forget the connection, unless another one has taken its place."""
        if link.peer is not None and self._links.get(link.peer) is link:
            del self._links[link.peer]
            self._asked.pop(link.peer, None)
            log.info("peer.left", peer=link.peer, remote=link.remote, reason=reason)
            self._inbox.leave(link.peer)

    def _room_for(self, peer: PeerId) -> None:
        link = self._links.get(peer)
        if link is not None:
            link.go_on()

    def _drop(self, link: Link, reason: str) -> None:
        """End a connection and tell the reader at once; the socket follows."""
        link.close(reason)
        self.ended(link, reason)

    # Who may come in.

    def _greet(self, link: Link, payload: bytes) -> None:
        hello = open_hello(payload, self._channel(link), by_dialler=not link.is_dialler)
        peer = hello.peer
        reason = self._unwelcome(link, peer, hello)
        if not reason:
            old = self._links.get(peer)
            if old is not None and not self._is_better(link, old, peer, hello):
                reason = "another connection to this peer stands"
            elif old is not None:
                self._drop(old, "replaced by a newer connection")
        if reason:
            log.debug("peer.unwelcome", peer=peer, remote=link.remote, reason=reason)
            link.close(reason)
            return
        link.allow(self._allowed)
        self._links[peer] = link
        self._inbox.join(peer)
        link.accept(peer, hello.instance)
        log.info("peer.joined", peer=peer, remote=link.remote, dialled=link.is_dialler, peers=len(self._links))
        self._note_place(link, peer, hello)
        if link.is_dialler:
            self.ask_for_addresses(link)

    def _unwelcome(self, link: Link, peer: PeerId, hello: Hello) -> str:
        """Why the other end may not stay; empty if it may."""
        if peer == self.peer_id:
            return "it is this node itself"
        if link.expected is not None and link.expected != peer:
            log.warning("peer.wrong_key", expected=link.expected, proven=peer, remote=link.remote)
            return f"it proved the key of 0x{peer.hex()}, not of 0x{link.expected.hex()}"
        if hello.version != PROTOCOL_VERSION:
            return f"it speaks version {hello.version}, this node version {PROTOCOL_VERSION}"
        if hello.chain_id != self._chain_id or hello.genesis_hash != self._genesis_hash:
            self.standing.faults[PeerFault.OTHER_CHAIN] += 1
            log.warning("peer.other_chain", peer=peer, remote=link.remote, chain_id=hello.chain_id)
            return f"it is on chain {hello.chain_id} with genesis 0x{hello.genesis_hash.hex()}"
        if self.standing.banned_until(peer):
            return "it is banned"
        if not link.is_dialler and peer not in self.book.persistent and peer not in self._links:
            strangers = sum(
                not other.is_dialler and known not in self.book.persistent for known, other in self._links.items()
            )
            if strangers >= self.options.peers_in_max:
                return f"{strangers} peers are connected, as many as may be"
        return ""

    def _is_better(self, new: Link, old: Link, peer: PeerId, hello: Hello) -> bool:
        """Both ends decide alike which of two connections stays: the one that the smaller address dialled."""
        if old.instance != hello.instance or old.is_dialler == new.is_dialler:
            # The peer has started anew, or has given the old one up.
            return True
        return new.is_dialler == (self.peer_id < peer)

    # Addresses.

    def _note_place(self, link: Link, peer: PeerId, hello: Hello) -> None:
        host = hello.host or link.remote.rpartition(":")[0]
        if hello.port and HOST_PATTERN.fullmatch(host):
            self.book.learn(PeerAddress(peer=peer, host=host, port=hello.port), from_itself=True)

    def _tell_addresses(self, link: Link, peer: PeerId) -> None:
        if link.now() - link.told_at < ADDRESSES_EVERY_S / 2:
            self.blame(peer, PeerFault.FLOOD)
            return
        link.told_at = link.now()
        found = self.book.sample(ADDRESSES_MAX, without=peer) if self.options.discover else []
        link.send_control(Control.ADDRESSES, encode_addresses(found))

    def _learn_addresses(self, link: Link, payload: bytes) -> None:
        if not link.is_asked:
            raise FrameRefused(PeerFault.UNASKED_ANSWER, "addresses that nobody asked for")
        link.is_asked = False
        try:
            found = decode_addresses(payload)
        except EncodingError as error:
            raise FrameRefused(PeerFault.UNDECODABLE, str(error)) from error
        for address in found:
            self.book.learn(address)
