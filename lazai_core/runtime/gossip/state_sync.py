"""A chain that begins from a snapshot: a block that the operator trusts by its hash, and all that follows from it.

The hash of the trusted header covers the state's root, the validators and, over the parents, every earlier header; so
each thing that peers give is checked against a hash before it is kept, and no peer need be trusted. The store has no
chain until everything is there, so that a node which stops half-way begins again with what it has.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from random import Random

import structlog

from lazai_core.api.errors import EncodingError, StorageError
from lazai_core.api.hashing import keccak256
from lazai_core.api.needs import NodeIdentity
from lazai_core.api.network import Envelope, PeerFault, PeerId, PeerJoined, Transport
from lazai_core.api.proof import Rng
from lazai_core.api.storage import KeyValueStore
from lazai_core.api.types import Hash32, to_hex
from lazai_core.chain.block import BlockHeader
from lazai_core.chain.genesis import Genesis
from lazai_core.config.trusted_block import TrustedBlock
from lazai_core.lazvm.snapshot import StateBuilder, begin_chain

from .blocks import BlockRoom
from .bounds import Seen
from .options import GossipOptions
from .peers import PeerState, PeerTable
from .snapshot_wire import GetByHash, GetHeaders, Items
from .trusted_chain import Beginning, NobodysHost, TrustedParts, VerifyCertificate
from .wire import Topic

log = structlog.get_logger(__name__)

LATE_REMEMBERED_MAX = 1024
PAUSE_S = 0.1
PROGRESS_S = 5.0


class StateSync:
    """Fills an empty store over a transport that runs already. Gossip takes over the transport afterwards."""

    def __init__(
        self,
        *,
        transport: Transport,
        identity: NodeIdentity,
        genesis: Genesis,
        store: KeyValueStore,
        verify_certificate: VerifyCertificate,
        trusted: TrustedBlock,
        rng: Rng,
        options: GossipOptions | None = None,
    ) -> None:
        self.options = GossipOptions() if options is None else options
        self._transport = transport
        self._store = store
        self._trusted = trusted
        self._beginning = Beginning(genesis, store)
        random = Random(int.from_bytes(rng.bytes(16), "big"))
        self.peers = PeerTable(transport=transport, chain=self._beginning, random=random, options=self.options)
        self._blocks = BlockRoom(self.peers, identity, NobodysHost)
        self._parts = TrustedParts(self, self._blocks, store, self._beginning, verify_certificate)
        self._number = 0
        self._answers: dict[int, tuple[PeerId, asyncio.Future[bytes]]] = {}
        self._late: Seen[tuple[PeerId, int]] = Seen(LATE_REMEMBERED_MAX)
        self._left_out: dict[PeerId, float] = {}
        self._builder: StateBuilder | None = None
        self._readers: dict[str, Callable[[PeerState, bytes], None]] = {
            Topic.STATUS: self._status,
            Topic.HEADERS: self._answer,
            Topic.ENTRIES: self._answer,
            Topic.SETS: self._answer,
            Topic.BLOCKS: self._answer,
            Topic.PART: self._blocks.part_arrived,
        }

    @property
    def open_entries(self) -> int:
        """Entries of the state that are held in memory."""
        return 0 if self._builder is None else self._builder.open_entries

    async def run(self) -> None:
        """Return when the store has a chain. Raises StorageError, and InvalidGenesis for a block of another chain."""
        if self._beginning.history.genesis_hash() is not None:
            return
        try:
            await self._run()
        except BaseExceptionGroup as failed:
            raise _first(failed) from failed

    async def _run(self) -> None:
        async with asyncio.TaskGroup() as group:
            self.peers.open(group)
            reading = group.create_task(self._read())
            try:
                for peer in self._transport.peers():
                    self.peers.join(peer)
                self._tick()
                await self._synchronise()
            finally:
                reading.cancel()
                self.peers.close()

    async def _synchronise(self) -> None:
        log.info("snapshot.begins", height=self._trusted.height, block_hash=self._trusted.hash)
        header = await self._header()
        await self._state(header.state_root)
        await self._parts.older_headers(header)
        members = await self._parts.sets(header)
        block, certificate = await self._parts.block(header, members)
        begin_chain(
            self._store,
            genesis_hash=self._beginning.genesis.hash,
            block=block,
            certificate=certificate,
            sets=(),
        )
        log.info("snapshot.done", height=header.height, block_hash=header.hash)

    # Peers.

    async def _read(self) -> None:
        async for arrival in self._transport.receive():
            if isinstance(arrival, PeerJoined):
                if self.peers.join(arrival.peer) is not None:
                    self.peers.send(arrival.peer, Topic.STATUS, self.peers.status())
            elif isinstance(arrival, Envelope):
                self._open(arrival)
            else:
                self.peers.leave(arrival.peer)

    def _open(self, envelope: Envelope) -> None:
        state = self.peers.get(envelope.sender)
        reader = self._readers.get(envelope.topic)
        # Peers say much that is of no use before there is a chain.
        if state is None or state.foreign or reader is None:
            return
        try:
            reader(state, envelope.payload)
        except EncodingError as error:
            self.peers.blame(envelope.sender, PeerFault.UNDECODABLE, f"{envelope.topic}: {error.message}")

    def _status(self, state: PeerState, payload: bytes) -> None:
        if self.peers.may_talk(state):
            self.peers.take_status(state, payload)

    def _tick(self) -> None:
        self.peers.tell_status()
        self.peers.later(self.options.status_ms, self._tick)

    async def source(self) -> PeerState:
        """A peer that has the trusted block and has not failed lately, the one with the least to do."""
        waiting_since = self.peers.now
        while True:
            busy: dict[PeerId, int] = {}
            for peer, _ in self._answers.values():
                busy[peer] = busy.get(peer, 0) + 1
            now = self.peers.now
            able = [
                state
                for state in self.peers.active()
                if state.height > self._trusted.height and self._left_out.get(state.peer, 0.0) <= now
            ]
            if able:
                return min(self.peers.shuffled(able), key=lambda state: busy.get(state.peer, 0))
            if now - waiting_since >= PROGRESS_S:
                waiting_since = now
                log.warning("snapshot.no_peer", height=self._trusted.height, peers=len(self.peers))
            await asyncio.sleep(PAUSE_S)

    def failed(self, state: PeerState, fault: PeerFault | None, reason: str) -> None:
        """A peer did not give what it has, or gave what is wrong: others are asked for a while."""
        self._left_out[state.peer] = self.peers.now + self.options.state_leave_out_ms / 1000
        log.debug("snapshot.failed", peer=state.peer, reason=reason)
        if fault is not None:
            self.peers.blame(state.peer, fault, reason)

    async def ask(self, state: PeerState, topic: Topic, payload: Callable[[int], bytes]) -> bytes:
        """A peer's answer; empty where none came in time."""
        self._number = (self._number + 1) & 0xFFFFFFFF
        number = self._number
        future: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        self._answers[number] = (state.peer, future)
        self.peers.send(state.peer, topic, payload(number))
        try:
            async with asyncio.timeout(self.options.state_timeout_ms / 1000):
                return await future
        except TimeoutError:
            self._late.add((state.peer, number))
            self.failed(state, None, f"no answer to {topic}")
            return b""
        finally:
            del self._answers[number]

    async def items(self, state: PeerState, topic: Topic, payload: Callable[[int], bytes]) -> tuple[bytes, ...]:
        """The items of an answer, none where it holds none or is none."""
        answer = await self.ask(state, topic, payload)
        if not answer:
            return ()
        try:
            found = Items.decode(answer).items
        except EncodingError as error:
            self.failed(state, PeerFault.UNDECODABLE, error.message)
            return ()
        if not found:
            self.failed(state, None, f"an empty answer to {topic}")
        return found

    def _answer(self, state: PeerState, payload: bytes) -> None:
        number = int.from_bytes(payload[:4], "big")
        peer, future = self._answers.get(number, (None, None))
        if future is not None and peer == state.peer:
            if not future.done():
                future.set_result(payload)
        elif (state.peer, number) not in self._late:
            self.peers.blame(state.peer, PeerFault.UNASKED_ANSWER, "a part of a snapshot")

    # The trusted header, and the state below it.

    async def _header(self) -> BlockHeader:
        trusted = self._trusted

        def request(number: int) -> bytes:
            return GetHeaders(request=number, newest=trusted.height, count=1).encode()

        while True:
            state = await self.source()
            for item in await self.items(state, Topic.GET_HEADERS, request):
                header = self._parts.header_of(state, item)
                if header is None:
                    break
                if (header.height, header.hash) == (trusted.height, trusted.hash):
                    return header
                # Perhaps it is the operator's hash that is wrong: nobody is blamed.
                log.warning(
                    "snapshot.other_header", peer=state.peer, given=to_hex(header.hash), trusted=to_hex(trusted.hash)
                )
                self.failed(state, None, "another header than the trusted one")

    async def _state(self, root: Hash32) -> None:
        self._builder = builder = StateBuilder(self._store, root)
        self._report(builder)
        async with asyncio.TaskGroup() as group:
            for _ in range(self.options.state_requests):
                group.create_task(self._fetch_entries(builder))
        self._builder = None

    def _report(self, builder: StateBuilder) -> None:
        if self._builder is builder:
            log.info(
                "snapshot.state", entries=builder.added, bytes=builder.added_bytes, open_entries=builder.open_entries
            )
            self.peers.later(PROGRESS_S * 1000, lambda: self._report(builder))

    async def _fetch_entries(self, builder: StateBuilder) -> None:
        while not builder.is_whole:
            wanted = builder.wanted(self.options.state_entries)
            if not wanted:
                await asyncio.sleep(PAUSE_S / 10)
                continue
            state = await self.source()
            items = await self.items(state, Topic.GET_ENTRIES, GetByHash.asking(wanted))
            builder.put_back(wanted[self._add_entries(builder, state, wanted, items) :])

    def _add_entries(
        self, builder: StateBuilder, state: PeerState, wanted: list[Hash32], items: tuple[bytes, ...]
    ) -> int:
        """How many of the wanted entries came."""
        if len(items) > len(wanted):
            self.failed(state, PeerFault.UNASKED_ANSWER, "more entries than were asked for")
            return 0
        for number, (digest, item) in enumerate(zip(wanted, items, strict=False)):
            if keccak256(item) != digest:
                self.failed(state, PeerFault.WRONG_PART, "an entry of the state with another hash")
                return number
            try:
                builder.add(item)
            except EncodingError as error:
                raise StorageError(
                    f"the state of the trusted block holds what no state does: {error.message}",
                    hint="name another block to trust",
                ) from error
        return len(items)


def _first(failed: BaseExceptionGroup[BaseException]) -> BaseException:
    """What went wrong first; the tasks beside it were only stopped for it."""
    first = failed.exceptions[0]
    return _first(first) if isinstance(first, BaseExceptionGroup) else first
