"""A network in memory: it loses, delays, reorders and cuts, and repeats all of it from a seed.

Time is the event loop's; under a virtual loop (`simulation.loop`) nothing waits.
"""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from collections.abc import AsyncIterator, Callable, Collection, Sequence
from contextvars import copy_context
from random import Random

from lazai_core.api.network import Arrival, Envelope, PeerFault, PeerId, PeerJoined, PeerLeft, Priority

INBOX_ENVELOPES_MAX = 4096
PER_MILLE = 1000


class SimulatedNetwork:
    """Joins ends.

    `loss_per_mille` of the envelopes are lost; the others arrive after a random time of `delay_ms`, so that they
    overtake each other. `lost`, `delivered` and `dropped` count what became of them, `sent_bytes` the bytes by end and
    topic; `owners` is for whoever gives ends to nodes.
    """

    def __init__(
        self,
        *,
        random: Random | None = None,
        loss_per_mille: int = 0,
        delay_ms: tuple[int, int] = (1, 40),
        inbox_envelopes_max: int = INBOX_ENVELOPES_MAX,
    ) -> None:
        self.loss_per_mille = loss_per_mille
        self.delay_ms = delay_ms
        self.lost = self.delivered = self.dropped = 0
        self.sent_bytes: Counter[tuple[int, str]] = Counter()
        self.owners: dict[int, int] = {}
        self.watch: Callable[[SimulatedTransport, PeerId, Envelope], None] | None = None
        self._random = random or Random(0)
        self._inbox_envelopes_max = inbox_envelopes_max
        self._ends: list[SimulatedTransport] = []
        self._islands: tuple[frozenset[int], ...] = ()
        # What is under way belongs to nobody: it arrives whatever happens to its sender.
        self._context = copy_context()

    def attach(self, peer_id: PeerId) -> SimulatedTransport:
        """A new end. Two ends may claim one id: then others are joined to the one or the other."""
        end = SimulatedTransport(self, peer_id, len(self._ends), self._inbox_envelopes_max)
        self._ends.append(end)
        return end

    def join(self, one: SimulatedTransport, other: SimulatedTransport) -> None:
        """A connection. An end has one connection to an id: an older one ends."""
        for mine, theirs in ((one, other), (other, one)):
            old = mine.links.get(theirs.peer_id)
            if old is theirs:
                return
            if old is not None:
                self.part(mine, old)
        for mine, theirs in ((one, other), (other, one)):
            mine.links[theirs.peer_id] = theirs
            mine.accept(PeerJoined(peer=theirs.peer_id), Priority.VOTE)

    def part(self, one: SimulatedTransport, other: SimulatedTransport) -> None:
        """The connection ends, if there is one; what is under way on it is lost."""
        for mine, theirs in ((one, other), (other, one)):
            if mine.links.get(theirs.peer_id) is theirs:
                del mine.links[theirs.peer_id]
                mine.accept(PeerLeft(peer=theirs.peer_id), Priority.VOTE)

    def partition(self, *islands: Collection[int]) -> None:
        """Cut the network: envelopes pass only within an island of ends, also those that are under way."""
        self._islands = tuple(frozenset(island) for island in islands)

    def heal(self) -> None:
        """End the partition."""
        self._islands = ()

    def reachable(self, one: SimulatedTransport, other: SimulatedTransport) -> bool:
        """Whether an envelope may pass now."""
        return not self._islands or any(one.number in island and other.number in island for island in self._islands)

    def submit(self, sender: SimulatedTransport, receiver: SimulatedTransport, envelope: Envelope, first: int) -> None:
        """Take an envelope from an end."""
        self.sent_bytes[sender.number, envelope.topic] += len(envelope.payload)
        if self.watch is not None:
            self.watch(sender, receiver.peer_id, envelope)
        if self._random.randrange(PER_MILLE) < self.loss_per_mille:
            self.lost += 1
            return
        delay_s = self._random.randint(*self.delay_ms) / 1000
        loop = asyncio.get_running_loop()
        loop.call_later(delay_s, self._deliver, sender, receiver, envelope, Priority(first), context=self._context)

    def _deliver(
        self, sender: SimulatedTransport, receiver: SimulatedTransport, envelope: Envelope, priority: Priority
    ) -> None:
        if receiver.links.get(sender.peer_id) is not sender or not self.reachable(sender, receiver):
            self.lost += 1
            return
        self.delivered += 1
        self.dropped += receiver.accept(envelope, priority)


class SimulatedTransport:
    """`lazai_core.api.network.Transport` on a `SimulatedNetwork`. `blamed` lists whom it was told of, and for what."""

    def __init__(self, network: SimulatedNetwork, peer_id: PeerId, number: int, inbox_envelopes_max: int) -> None:
        self.peer_id = peer_id
        self.number = number
        self.links: dict[PeerId, SimulatedTransport] = {}
        self.blamed: list[tuple[PeerId, PeerFault]] = []
        self._network = network
        self._inbox_envelopes_max = inbox_envelopes_max
        self._inbox: deque[tuple[Priority, Arrival]] = deque()
        self._changed = asyncio.Event()
        self._closed = False

    def peers(self) -> Sequence[PeerId]:
        """Peers joined now, ascending."""
        return sorted(self.links)

    def send(self, peer: PeerId, topic: str, payload: bytes, priority: Priority) -> bool:
        """Hand one envelope to the network."""
        receiver = self.links.get(peer)
        if receiver is None or self._closed:
            return False
        envelope = Envelope(sender=self.peer_id, topic=topic, payload=bytes(payload))
        self._network.submit(self, receiver, envelope, priority)
        return True

    async def receive(self) -> AsyncIterator[Arrival]:
        """What arrives, as it comes, until `close`."""
        while not self._closed:
            if self._inbox:
                yield self._inbox.popleft()[1]
                continue
            self._changed.clear()
            await self._changed.wait()

    def blame(self, peer: PeerId, fault: PeerFault) -> None:
        """Note a fault; nobody is banned here."""
        self.blamed.append((peer, fault))

    async def close(self) -> None:
        """Stop sending and receiving."""
        self.cut()

    def cut(self) -> None:
        """The node behind this end is gone: all its connections end."""
        if not self._closed:
            self._closed = True
            self._inbox.clear()
            for other in list(self.links.values()):
                self._network.part(self, other)
            self._changed.set()

    def accept(self, arrival: Arrival, priority: Priority) -> int:
        """Take something from the network; the number of envelopes that had to go."""
        if self._closed:
            return 0
        self._inbox.append((priority, arrival))
        self._changed.set()
        if len(self._inbox) <= self._inbox_envelopes_max:
            return 0
        envelopes = [index for index, (_, item) in enumerate(self._inbox) if isinstance(item, Envelope)]
        if not envelopes:
            return 0
        del self._inbox[max(envelopes, key=lambda index: (self._inbox[index][0], -index))]
        return 1
