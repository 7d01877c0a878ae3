"""How envelopes travel between nodes."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import NewType, Protocol

from attrs import field, frozen

PeerId = NewType("PeerId", bytes)


@frozen(kw_only=True)
class Envelope:
    """One message as received. `topic` selects the reader; `payload` is not yet trusted."""

    sender: PeerId
    topic: str
    payload: bytes = field(repr=lambda data: f"<{len(data)} bytes>")


class Transport(Protocol):
    """Authenticated, unordered, lossy delivery. The inbox is bounded: when full, the oldest envelope is dropped."""

    peer_id: PeerId

    async def send(self, peer: PeerId, topic: str, payload: bytes) -> None:
        """Queue one envelope for a peer; returns before it arrives, if it ever does."""

    async def broadcast(self, topic: str, payload: bytes) -> None:
        """Queue one envelope for every peer."""

    def receive(self) -> AsyncIterator[Envelope]:
        """Envelopes as they come, until `close`."""

    async def close(self) -> None:
        """Stop sending and receiving. Idempotent."""
