"""A network in memory and in virtual time: it loses, delays, reorders and cuts, and repeats all of it from a seed."""

from __future__ import annotations

import asyncio
import heapq
from collections import deque
from collections.abc import AsyncIterator, Collection, Sequence
from random import Random

from attrs import field, frozen

from lazai_core.api.network import Envelope, PeerId
from lazai_core.testing.clock import ManualClock

INBOX_ENVELOPES_MAX = 1024
PER_MILLE = 1000


@frozen(order=True)
class _InFlight:
    due_ms: int
    sequence: int
    receiver: PeerId = field(order=False)
    envelope: Envelope = field(order=False)


class SimulatedNetwork:
    """Connects transports. Nothing arrives before `advance_ms` lets time pass.

    `loss_per_mille` of the envelopes are lost; the others arrive after a random time from `delay_ms`, so that they
    overtake each other. `lost`, `delivered` and `dropped` count what became of them.
    """

    def __init__(
        self,
        *,
        seed: int = 0,
        loss_per_mille: int = 0,
        delay_ms: tuple[int, int] = (1, 40),
        inbox_envelopes_max: int = INBOX_ENVELOPES_MAX,
        clock: ManualClock | None = None,
    ) -> None:
        self.clock = clock or ManualClock()
        self.loss_per_mille = loss_per_mille
        self.delay_ms = delay_ms
        self.lost = self.delivered = self.dropped = 0
        self._random = Random(seed)
        self._inbox_envelopes_max = inbox_envelopes_max
        self._transports: dict[PeerId, SimulatedTransport] = {}
        self._in_flight: list[_InFlight] = []
        self._sequence = 0
        self._islands: tuple[frozenset[PeerId], ...] = ()

    @property
    def peers(self) -> Sequence[PeerId]:
        """Everyone who joined, in order of joining."""
        return tuple(self._transports)

    def join(self, peer_id: PeerId) -> SimulatedTransport:
        """The transport of a new peer. Raises ValueError for one that is already there."""
        if peer_id in self._transports:
            raise ValueError(f"peer {peer_id.hex()} has joined already")
        self._transports[peer_id] = SimulatedTransport(self, peer_id, self._inbox_envelopes_max)
        return self._transports[peer_id]

    def partition(self, *islands: Collection[PeerId]) -> None:
        """Cut the network: envelopes pass only within an island, also those that are under way."""
        self._islands = tuple(frozenset(island) for island in islands)

    def heal(self) -> None:
        """End the partition."""
        self._islands = ()

    def reachable(self, sender: PeerId, receiver: PeerId) -> bool:
        """Whether an envelope may pass now."""
        return not self._islands or any(sender in island and receiver in island for island in self._islands)

    def submit(self, receiver: PeerId, envelope: Envelope) -> None:
        """Take an envelope from a transport."""
        if self._random.randrange(PER_MILLE) < self.loss_per_mille:
            self.lost += 1
            return
        due_ms = self.clock.elapsed_ms + self._random.randint(*self.delay_ms)
        self._sequence += 1
        heapq.heappush(self._in_flight, _InFlight(due_ms, self._sequence, receiver, envelope))

    def advance_ms(self, milliseconds: int) -> None:
        """Let time pass and deliver what is due, in order of arrival."""
        end_ms = self.clock.elapsed_ms + milliseconds
        while self._in_flight and self._in_flight[0].due_ms <= end_ms:
            arriving = heapq.heappop(self._in_flight)
            self.clock.advance_ms(max(0, arriving.due_ms - self.clock.elapsed_ms))
            self._deliver(arriving)
        self.clock.advance_ms(end_ms - self.clock.elapsed_ms)

    def _deliver(self, arriving: _InFlight) -> None:
        transport = self._transports.get(arriving.receiver)
        if transport is None or not self.reachable(arriving.envelope.sender, arriving.receiver):
            self.lost += 1
            return
        self.delivered += 1
        self.dropped += transport.accept(arriving.envelope)


class SimulatedTransport:
    """`lazai_core.api.network.Transport` on a `SimulatedNetwork`."""

    def __init__(self, network: SimulatedNetwork, peer_id: PeerId, inbox_envelopes_max: int) -> None:
        self.peer_id = peer_id
        self._network = network
        self._inbox_envelopes_max = inbox_envelopes_max
        self._inbox: deque[Envelope] = deque()
        self._changed = asyncio.Event()
        self._closed = False

    async def send(self, peer: PeerId, topic: str, payload: bytes) -> None:
        """Queue one envelope; one to an unknown peer is lost."""
        if not self._closed:
            self._network.submit(peer, Envelope(sender=self.peer_id, topic=topic, payload=bytes(payload)))

    async def broadcast(self, topic: str, payload: bytes) -> None:
        """Queue one envelope for every other peer."""
        for peer in self._network.peers:
            if peer != self.peer_id:
                await self.send(peer, topic, payload)

    async def receive(self) -> AsyncIterator[Envelope]:
        """Envelopes as they come, until `close`."""
        while not self._closed:
            if self._inbox:
                yield self._inbox.popleft()
                continue
            self._changed.clear()
            await self._changed.wait()

    async def close(self) -> None:
        """Stop sending and receiving."""
        self._closed = True
        self._inbox.clear()
        self._changed.set()

    def accept(self, envelope: Envelope) -> int:
        """Take an envelope from the network; the number of older ones that had to go."""
        if self._closed:
            return 0
        self._inbox.append(envelope)
        self._changed.set()
        if len(self._inbox) > self._inbox_envelopes_max:
            self._inbox.popleft()
            return 1
        return 0
