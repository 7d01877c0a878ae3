"""The peers of this node: where each stands, what may still come from it, and the one way out to it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterable, Iterator
from random import Random
from typing import Any, Protocol

import structlog
from attrs import define

from lazai_core.api.consensus import Validator
from lazai_core.api.network import PeerFault, PeerId, Transport
from lazai_core.api.types import ZERO_HASH, Height
from lazai_core.chain.block import Block
from lazai_core.chain.genesis import Genesis
from lazai_core.chain.history import ChainHistory
from lazai_core.runtime.peering import HostPort

from .bounds import Budget
from .options import GossipOptions
from .wire import NEIGHBOURS_MAX, PRIORITIES, PROTOCOL, Status, Topic, encode_neighbours

log = structlog.get_logger(__name__)

PEERS_MAX = NEIGHBOURS_MAX
FAULTS_TOLD_MAX = 10
"""Faults of one connection that are logged where everybody sees them."""
HostOf = Callable[[], HostPort]
"""The host is attached after the rooms are made."""


class ChainReader(Protocol):
    """What gossip reads of the chain; `LazVM` is one."""

    genesis: Genesis
    history: ChainHistory

    @property
    def head(self) -> Block:
        """The newest committed block."""

    def validators(self, height: Height) -> tuple[Validator, ...]:
        """Who decides a height, from the first to the second after the head."""


@define(kw_only=True, eq=False)
class PeerState:
    """One connected peer. Without a `status` it gets and gives nothing."""

    peer: PeerId
    messages: Budget
    parts: Budget
    served: Budget
    talk: Budget
    requests: Budget
    asks: Budget
    """How often this node may ask the peer for blocks and parts, which is less than what an honest one allows."""
    transactions: Budget
    evidence: Budget
    status: Status | None = None
    foreign: bool = False
    faults: int = 0
    fork_seen: bool = False
    exchanged: float = -1e9
    neighbours: frozenset[PeerId] = frozenset()
    certificate_sent: tuple[int, float] = (0, 0.0)

    @property
    def height(self) -> Height:
        """The height it decides; 0 while it has not said so."""
        return Height(0) if self.status is None else self.status.height


class PeerTable:
    """Peers by id, and what all rooms of gossip do with them: send, blame, wait."""

    def __init__(self, *, transport: Transport, chain: ChainReader, random: Random, options: GossipOptions) -> None:
        self.transport = transport
        self.chain = chain
        self.random = random
        self.options = options
        self.height = Height(chain.head.height + 1)
        self.height_since = 0.0
        self._states: dict[PeerId, PeerState] = {}
        self._sequence = 0
        self._status_told = -1.0
        self._status_waits = False
        self._loop: asyncio.AbstractEventLoop | None = None
        self._timers: set[asyncio.TimerHandle] = set()
        self._group: asyncio.TaskGroup | None = None

    def __len__(self) -> int:
        return len(self._states)

    # Time.

    def open(self, group: asyncio.TaskGroup) -> None:
        """From now on there is a loop, and tasks of gossip live in `group`."""
        self._loop, self._group = asyncio.get_running_loop(), group
        self.height_since = self.now

    def close(self) -> None:
        """Cancel everything that waits."""
        self._loop = self._group = None
        for timer in self._timers:
            timer.cancel()
        self._timers.clear()

    @property
    def now(self) -> float:
        """Seconds of the loop's clock."""
        return 0.0 if self._loop is None else self._loop.time()

    def later(self, delay_ms: float, call: Callable[[], None]) -> None:
        """Call after a while, unless gossip has been stopped by then."""
        if self._loop is None:
            return

        def fire() -> None:
            self._timers.discard(timer)
            call()

        timer = self._loop.call_later(delay_ms / 1000, fire)
        self._timers.add(timer)

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        """Let something go on beside the reading, until gossip is stopped."""
        if self._group is None:
            work.close()
        else:
            self._group.create_task(work)

    # Who is there.

    def join(self, peer: PeerId) -> PeerState | None:
        """A peer is connected, with nothing known of it; None where there are too many."""
        if len(self._states) >= PEERS_MAX and peer not in self._states:
            log.warning("gossip.too_many_peers", peer=peer.hex(), peers=len(self._states))
            return None
        options = self.options
        state = PeerState(
            peer=peer,
            messages=Budget(rate=options.message_rate, burst=4 * options.message_rate),
            parts=Budget(rate=options.part_rate, burst=2 * options.part_rate),
            served=Budget(rate=options.parts_served_rate, burst=2 * options.parts_served_rate),
            talk=Budget(rate=options.talk_rate, burst=4 * options.talk_rate),
            requests=Budget(rate=options.sync_request_rate, burst=4 * options.sync_request_rate),
            asks=Budget(rate=0.8 * options.sync_request_rate, burst=2 * options.sync_request_rate),
            transactions=Budget(rate=options.transaction_rate, burst=4 * options.transaction_rate),
            evidence=Budget(rate=options.evidence_rate, burst=64 * options.evidence_rate),
        )
        self._states[peer] = state
        return state

    def leave(self, peer: PeerId) -> None:
        """The peer is gone, and with it what it said."""
        self._states.pop(peer, None)

    def get(self, peer: PeerId) -> PeerState | None:
        """A connected peer."""
        return self._states.get(peer)

    def take_status(self, state: PeerState, payload: bytes) -> Status | None:
        """What a peer says of itself, kept; None where it is old, or of another chain. Raises EncodingError."""
        status = Status.decode(payload)
        genesis = self.chain.genesis
        if (status.protocol, status.chain_id, status.genesis) != (PROTOCOL, genesis.chain_id, genesis.hash):
            state.foreign = True
            self.blame(state.peer, PeerFault.OTHER_CHAIN, f"chain {status.chain_id}, protocol {status.protocol}")
            return None
        before = state.status
        if before is not None and status.sequence <= before.sequence:
            return None
        state.status = status
        self._look_for_fork(state, status)
        if before is not None and status.height < before.height:
            self.blame(state.peer, PeerFault.BROKEN_PROMISE, f"height {status.height} after {before.height}")
        return status

    def _look_for_fork(self, state: PeerState, status: Status) -> None:
        """Two decided blocks of one height mean that a third of the power lies. Only people can help then."""
        own = self.chain.history.block_hash(status.height - 1)
        if own is not None and status.head not in (own, ZERO_HASH) and not state.fork_seen:
            state.fork_seen = True
            log.error("peer.fork", peer=state.peer, height=status.height - 1, own=own, others=status.head)

    def may_talk(self, state: PeerState) -> bool:
        """Whether a peer has not said too much lately; it is blamed where it has."""
        if state.talk.take(self.now):
            return True
        self.blame(state.peer, PeerFault.FLOOD, "small talk")
        return False

    def __iter__(self) -> Iterator[PeerState]:
        return iter(tuple(self._states.values()))

    def active(self) -> list[PeerState]:
        """Peers of this chain that have said where they stand, in order of joining."""
        return [state for state in self._states.values() if state.status is not None]

    def shuffled(self, states: Iterable[PeerState]) -> list[PeerState]:
        """In an order that differs from time to time."""
        listed = list(states)
        self.random.shuffle(listed)
        return listed

    # To peers.

    def send(self, peer: PeerId, topic: Topic, payload: bytes) -> bool:
        """Queue an envelope for a peer; False when it was dropped."""
        return self.transport.send(peer, topic.value, payload, PRIORITIES[topic])

    def blame(self, peer: PeerId, fault: PeerFault, reason: str = "") -> None:
        """A peer did what no honest one does."""
        state = self._states.get(peer)
        if state is not None:
            state.faults += 1
        # A stream of faults must not become a stream of lines.
        tell = log.info if state is not None and state.faults <= FAULTS_TOLD_MAX else log.debug
        tell("peer.blamed", peer=peer, fault=fault.value, reason=reason)
        self.transport.blame(peer, fault)

    def status(self) -> bytes:
        """Where this node stands."""
        self._sequence += 1
        return Status(
            protocol=PROTOCOL,
            chain_id=self.chain.genesis.chain_id,
            genesis=self.chain.genesis.hash,
            sequence=self._sequence,
            height=self.height,
            lowest=Height(max(1, self.chain.history.first_height())),
            # Of the height before, which is not always the head: a commit may be under way.
            head=self.chain.history.block_hash(self.height - 1) or ZERO_HASH,
        ).encode()

    def tell_status(self) -> None:
        """To all peers, now or, where the last time was just now, a little later."""
        if self._status_waits:
            return
        since_ms = (self.now - self._status_told) * 1000
        if since_ms < self.options.status_ms_min:
            self._status_waits = True
            self.later(self.options.status_ms_min - since_ms, self._tell_status_now)
        else:
            self._tell_status_now()

    def _tell_status_now(self) -> None:
        self._status_waits, self._status_told = False, self.now
        status = self.status()
        for state in self._states.values():
            self.send(state.peer, Topic.STATUS, status)

    def tell_neighbours(self) -> None:
        """To all peers: whom they need not forward this node's messages to."""
        listed = encode_neighbours(tuple(self._states)[:NEIGHBOURS_MAX])
        for state in self.active():
            self.send(state.peer, Topic.NEIGHBOURS, listed)
