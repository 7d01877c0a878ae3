"""Gives headers, state and validator sets to nodes that begin from a snapshot."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from lazai_core.api.network import PeerFault

from .peers import PeerState, PeerTable
from .snapshot_wire import ENTRIES_MAX, SETS_MAX, GetByHash, GetHeaders, Items, fitting
from .wire import Topic

UNIT_BYTES = 64 << 10


class SnapshotRoom:
    """Answers from the store. Every committed state is kept, so that any of them can be given."""

    def __init__(self, peers: PeerTable) -> None:
        self._peers = peers

    def headers_wanted(self, state: PeerState, payload: bytes) -> None:
        """Headers from a height downwards. Raises EncodingError."""
        wanted = GetHeaders.decode(payload)
        history = self._peers.chain.history
        heights = range(wanted.newest, max(-1, wanted.newest - wanted.count), -1)
        self._answer(state, Topic.HEADERS, wanted.request, map(history.header_bytes, heights))

    def entries_wanted(self, state: PeerState, payload: bytes) -> None:
        """Trie nodes and code by hash. Raises EncodingError."""
        self._by_hash(state, Topic.ENTRIES, payload, ENTRIES_MAX, self._peers.chain.history.state_entry)

    def sets_wanted(self, state: PeerState, payload: bytes) -> None:
        """Validator sets by hash. Raises EncodingError."""
        self._by_hash(state, Topic.SETS, payload, SETS_MAX, self._peers.chain.history.validators_bytes)

    def _by_hash(
        self, state: PeerState, topic: Topic, payload: bytes, count_max: int, read: Callable[[bytes], bytes | None]
    ) -> None:
        wanted = GetByHash.decode(payload, count_max)
        self._answer(state, topic, wanted.request, map(read, wanted.hashes))

    def _answer(self, state: PeerState, topic: Topic, request: int, found: Iterable[bytes | None]) -> None:
        if not state.requests.take(self._peers.now):
            self._peers.blame(state.peer, PeerFault.FLOOD, "requests for a snapshot")
            return
        items: list[bytes] = []
        for item in found:
            if item is None:
                break
            if not state.served.take(self._peers.now, (64 + len(item)) / UNIT_BYTES):
                break
            items.append(item)
        self._peers.send(state.peer, topic, Items(request=request, items=fitting(items)).encode())
