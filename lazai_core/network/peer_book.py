"""Where other nodes are: the peers this node is told to keep, its seeds, and what peers have told it, bounded."""

from __future__ import annotations

import random
from collections import OrderedDict
from collections.abc import Iterable, Sequence

from lazai_core.api.network import PeerId
from lazai_core.config.peer_address import PeerAddress

ADDRESSES_MAX = 1024
FAILURES_MAX = 5
"""A learnt address that cannot be reached so often in a row is forgotten."""


class PeerBook:
    """`persistent` peers and `seeds` are never forgotten; learnt addresses give way to newer ones."""

    def __init__(
        self,
        *,
        own: PeerId,
        persistent: Iterable[PeerAddress] = (),
        seeds: Iterable[PeerAddress] = (),
        chance: random.Random,
    ) -> None:
        self._own = own
        self.persistent = {address.peer: address for address in persistent if address.peer != own}
        self.seeds = {address.peer: address for address in seeds if address.peer != own}
        self._learnt: OrderedDict[PeerId, PeerAddress] = OrderedDict()
        self._failures: dict[PeerId, int] = {}
        self._chance = chance

    def __len__(self) -> int:
        return len(self._learnt)

    def learn(self, address: PeerAddress, *, from_itself: bool = False) -> None:
        """Somebody says that a node is there. What the node itself or the operator said is not changed by hearsay."""
        if address.peer == self._own or address.peer in self.persistent:
            return
        if address.peer in self._learnt and not from_itself:
            return
        self._learnt[address.peer] = address
        self._learnt.move_to_end(address.peer)
        while len(self._learnt) > ADDRESSES_MAX:
            gone, _ = self._learnt.popitem(last=False)
            self._failures.pop(gone, None)

    def reached(self, peer: PeerId) -> None:
        """A dial succeeded."""
        self._failures.pop(peer, None)

    def missed(self, peer: PeerId) -> None:
        """A dial failed."""
        if peer not in self._learnt:
            return
        count = self._failures.get(peer, 0) + 1
        self._failures[peer] = count
        if count >= FAILURES_MAX:
            del self._learnt[peer]
            del self._failures[peer]

    def candidates(self, *, without: Iterable[PeerId]) -> list[PeerAddress]:
        """Nodes to dial that nobody is told to keep, in random order: learnt ones first, then seeds."""
        out = set(without)
        learnt = [address for peer, address in self._learnt.items() if peer not in out]
        seeds = [address for peer, address in self.seeds.items() if peer not in out and peer not in self._learnt]
        self._chance.shuffle(learnt)
        self._chance.shuffle(seeds)
        return learnt + seeds

    def sample(self, count: int, *, without: PeerId) -> Sequence[PeerAddress]:
        """Some addresses to tell a peer that asks."""
        known = [
            address
            for address in (*self.persistent.values(), *self._learnt.values())
            if address.peer != without and address.peer not in self._failures
        ]
        return self._chance.sample(known, min(count, len(known)))
