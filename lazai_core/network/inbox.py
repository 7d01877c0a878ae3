"""What has arrived and is not yet read: a bounded queue a peer, read in turn, so that none keeps others waiting."""

from __future__ import annotations

import asyncio
from collections import OrderedDict, deque
from collections.abc import AsyncIterator, Callable

from attrs import define, field

from lazai_core.api.network import Arrival, Envelope, PeerId, PeerJoined, PeerLeft

BREATH_ARRIVALS = 64
"""After so many arrivals without a wait the reader lets the event loop run."""


@define(kw_only=True)
class _Queue:
    arrivals: deque[Arrival] = field(factory=deque)
    bytes: int = 0


class Inbox:
    """Arrivals by peer. `put` says when a peer has to wait, `on_room` when it may go on."""

    def __init__(self, *, envelopes_max: int, bytes_max: int, on_room: Callable[[PeerId], None]) -> None:
        self._envelopes_max = envelopes_max
        self._bytes_max = bytes_max
        self._on_room = on_room
        self._queues: OrderedDict[PeerId, _Queue] = OrderedDict()
        self._full: set[PeerId] = set()
        self._changed = asyncio.Event()
        self._closed = False
        self._since_breath = 0

    def join(self, peer: PeerId) -> None:
        """The peer's first arrival."""
        self._add(peer, PeerJoined(peer=peer))

    def leave(self, peer: PeerId) -> None:
        """The peer's last arrival; what it sent and nobody read yet is forgotten.

        A peer that was not yet read to have joined leaves no trace.
        """
        queue = self._queues.setdefault(peer, _Queue())
        self._full.discard(peer)
        queue.bytes = 0
        kept = [arrival for arrival in queue.arrivals if not isinstance(arrival, Envelope)]
        queue.arrivals.clear()
        if kept and isinstance(kept[-1], PeerJoined):
            queue.arrivals.extend(kept[:-1])
            if not queue.arrivals:
                del self._queues[peer]
            return
        queue.arrivals.extend(kept)
        self._add(peer, PeerLeft(peer=peer))

    def put(self, envelope: Envelope) -> bool:
        """Take an envelope in; False when the peer must send no more until `on_room`."""
        queue = self._add(envelope.sender, envelope)
        queue.bytes += len(envelope.payload)
        if len(queue.arrivals) < self._envelopes_max and queue.bytes < self._bytes_max:
            return True
        self._full.add(envelope.sender)
        return False

    def _add(self, peer: PeerId, arrival: Arrival) -> _Queue:
        queue = self._queues.setdefault(peer, _Queue())
        queue.arrivals.append(arrival)
        self._changed.set()
        return queue

    def _next(self) -> Arrival | None:
        if not self._queues:
            return None
        peer, queue = self._queues.popitem(last=False)
        arrival = queue.arrivals.popleft()
        if isinstance(arrival, Envelope):
            queue.bytes -= len(arrival.payload)
        if queue.arrivals:
            self._queues[peer] = queue
        if peer in self._full and 2 * len(queue.arrivals) <= self._envelopes_max and 2 * queue.bytes <= self._bytes_max:
            self._full.discard(peer)
            self._on_room(peer)
        return arrival

    async def arrivals(self) -> AsyncIterator[Arrival]:
        """Everything that arrives, until `close`."""
        while not self._closed:
            arrival = self._next()
            if arrival is None:
                self._changed.clear()
                await self._changed.wait()
                self._since_breath = 0
                continue
            yield arrival
            self._since_breath += 1
            if self._since_breath >= BREATH_ARRIVALS:
                self._since_breath = 0
                await asyncio.sleep(0)

    def close(self) -> None:
        """End the reading. Idempotent."""
        self._closed = True
        self._queues.clear()
        self._changed.set()
