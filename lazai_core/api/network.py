"""How envelopes travel between nodes."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from enum import IntEnum, StrEnum
from typing import NewType, Protocol, TypeAlias

from attrs import field, frozen

PeerId = NewType("PeerId", bytes)
"""Address (20 bytes) of the key that the peer proved to hold when the connection was made."""


class Priority(IntEnum):
    """What leaves a peer's queue first: votes before blocks before everything else."""

    VOTE = 0
    BLOCK = 1
    TRANSACTION = 2


class PeerFault(StrEnum):
    """What a peer may be blamed for. The name stands in logs, metrics and the peer list."""

    GARBAGE_FRAME = "garbage-frame"
    OVERSIZE = "oversize"
    UNKNOWN_TOPIC = "unknown-topic"
    UNDECODABLE = "undecodable"
    BAD_SIGNATURE = "bad-signature"
    UNKNOWN_KEY = "unknown-key"
    FAR_HEIGHT = "far-height"
    FAR_ROUND = "far-round"
    FLOOD = "flood"
    INVALID_TRANSACTION = "invalid-transaction"
    INVALID_RECORD = "invalid-record"
    INVALID_BLOCK = "invalid-block"
    WRONG_PART = "wrong-part"
    FORGED_EVIDENCE = "forged-evidence"
    FORGED_CERTIFICATE = "forged-certificate"
    UNASKED_ANSWER = "unasked-answer"
    BROKEN_PROMISE = "broken-promise"
    OTHER_CHAIN = "other-chain"


@frozen(kw_only=True)
class Envelope:
    """One message as received. `topic` selects the reader; `payload` is not yet trusted."""

    sender: PeerId
    topic: str
    payload: bytes = field(repr=lambda data: f"<{len(data)} bytes>")


@frozen(kw_only=True)
class PeerJoined:
    """A connection to a peer stands. It comes before any of the peer's envelopes."""

    peer: PeerId


@frozen(kw_only=True)
class PeerLeft:
    """The connection is gone. No envelope of the peer follows until it joins again."""

    peer: PeerId


Arrival: TypeAlias = Envelope | PeerJoined | PeerLeft


class Transport(Protocol):
    """Authenticated, unordered, lossy delivery.

    Queues are bounded: when one is full, an envelope of the lowest priority in it is dropped.
    """

    peer_id: PeerId

    def peers(self) -> Sequence[PeerId]:
        """Peers connected now, ascending."""

    def send(self, peer: PeerId, topic: str, payload: bytes, priority: Priority) -> bool:
        """Queue one envelope for a peer and return at once; False when it was dropped or the peer is not there."""

    def receive(self) -> AsyncIterator[Arrival]:
        """What arrives, as it comes, until `close`."""

    def blame(self, peer: PeerId, fault: PeerFault) -> None:
        """Count a fault against a peer. Enough of them end the connection and ban the peer for a while."""

    async def close(self) -> None:
        """Stop sending and receiving. Idempotent."""
