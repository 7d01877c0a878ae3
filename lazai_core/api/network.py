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
    """Authenticated, unordered, lossy delivery. The inbox is bounded: when it is full the oldest envelope is dropped."""

    peer_id: PeerId

    async def send(self, peer: PeerId, topic: str, payload: bytes) -> None: ...
    async def broadcast(self, topic: str, payload: bytes) -> None: ...
    def receive(self) -> AsyncIterator[Envelope]: ...
    async def close(self) -> None: ...
