"""Bounded waiting rooms: messages of the next height, votes of far rounds, certificates of later heights.

Each validator fills its own share only, so none can push out another's messages.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypeAlias

from attrs import define, field

from lazai_core.api.consensus import Certificate
from lazai_core.api.types import Address

from .messages import Kind, Message, Vote
from .quorum import QuorumRule

MESSAGE_OVERHEAD_BYTES = 256
CERTIFICATES_A_HEIGHT_MAX = 4
Held: TypeAlias = tuple[Message, bytes, bytes]
"""A message, its payload and its signature."""


@define
class NextHeight:
    """Messages of the next height, up to `bytes_max` of each validator; what does not fit will be sent again."""

    bytes_max: int
    _held: dict[Address, dict[bytes, Held]] = field(factory=dict, init=False)
    _bytes: dict[Address, int] = field(factory=dict, init=False)

    def add(self, sender: Address, message: Message, payload: bytes, signature: bytes) -> None:
        """Keep a message."""
        size = len(payload) + len(signature) + MESSAGE_OVERHEAD_BYTES
        held = self._held.setdefault(sender, {})
        if payload in held or self._bytes.get(sender, 0) + size > self.bytes_max:
            return
        held[payload] = (message, payload, signature)
        self._bytes[sender] = self._bytes.get(sender, 0) + size

    def take(self) -> list[tuple[Address, Held]]:
        """Everything, in order of arrival by validator; the room is empty afterwards."""
        taken = [(sender, held) for sender, share in self._held.items() for held in share.values()]
        self._held.clear()
        self._bytes.clear()
        return taken

    @property
    def size_bytes(self) -> int:
        """Bytes held for all validators together."""
        return sum(self._bytes.values())


@define
class FarRounds:
    """Votes of rounds too far ahead to count: of each validator, those of its latest round."""

    _votes: dict[Address, dict[Kind, tuple[Vote, bytes]]] = field(factory=dict, init=False)
    _rounds: dict[Address, int] = field(factory=dict, init=False)

    def add(self, sender: Address, vote: Vote, signature: bytes) -> None:
        """Keep a vote unless a later round of its author is known."""
        known = self._rounds.get(sender, -1)
        if vote.round < known:
            return
        if vote.round > known:
            self._rounds[sender] = vote.round
            self._votes[sender] = {}
        self._votes[sender].setdefault(vote.kind, (vote, signature))

    def reachable(self, rule: QuorumRule) -> int | None:
        """The latest round that validators who hit every quorum have reached or passed."""
        tally = rule.tally()
        for sender, round_number in sorted(self._rounds.items(), key=lambda item: -item[1]):
            tally.add(sender)
            if tally.hits_every_quorum:
                return round_number
        return None

    def take_up_to(self, round_number: int) -> Iterator[tuple[Address, Vote, bytes]]:
        """Votes of rounds up to this one; they leave the room."""
        for sender in [sender for sender, number in self._rounds.items() if number <= round_number]:
            del self._rounds[sender]
            for vote, signature in self._votes.pop(sender).values():
                yield sender, vote, signature

    def __len__(self) -> int:
        return len(self._rounds)


@define
class LaterCertificates:
    """Certificates of heights to come; they cannot be verified before their height begins."""

    heights_max: int
    _held: dict[int, list[Certificate]] = field(factory=dict, init=False)

    def add(self, certificate: Certificate, current_height: int) -> None:
        """Keep a certificate of one of the next `heights_max` heights."""
        if not current_height < certificate.height <= current_height + self.heights_max:
            return
        held = self._held.setdefault(certificate.height, [])
        if len(held) < CERTIFICATES_A_HEIGHT_MAX and certificate not in held:
            held.append(certificate)

    def take(self, height: int) -> list[Certificate]:
        """The certificates of a height; those of earlier heights are forgotten with them."""
        taken = self._held.pop(height, [])
        for earlier in [number for number in self._held if number < height]:
            del self._held[earlier]
        return taken

    def __len__(self) -> int:
        return sum(map(len, self._held.values()))
