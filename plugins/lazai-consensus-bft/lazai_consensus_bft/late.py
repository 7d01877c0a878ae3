"""Signatures that come after a block is decided: a decision needs a quorum, and the others signed as well, or twice."""

from __future__ import annotations

from attrs import evolve

from lazai_core.api.consensus import Certificate
from lazai_core.api.types import Address

from .certificate import commit_vote, ordered_signatures
from .committee import Committee
from .messages import Kind, Message, Vote
from .vote_keeper import Conflict, SignedVote


class LateSignatures:
    """The newest decision, and whoever joins it. Bounded by the committee."""

    def __init__(self) -> None:
        self._certificate: Certificate | None = None
        self._committee: Committee | None = None
        self._signatures: dict[Address, bytes] = {}
        self._accused: set[Address] = set()

    def decided(self, certificate: Certificate, committee: Committee) -> None:
        """A block is decided; the one before is of no interest any more."""
        self._certificate, self._committee = certificate, committee
        self._signatures = {entry.validator: entry.signature for entry in certificate.signatures}
        self._accused.clear()

    def add(self, sender: Address, message: Message, signature: bytes) -> Certificate | None:
        """The fuller certificate, where this authentic message of a validator makes it one."""
        certificate = self._certificate
        if certificate is None or self._committee is None or message.kind is not Kind.PRECOMMIT:
            return None
        place = (message.height, message.round, message.block_id)
        if place != (certificate.height, certificate.round, certificate.block_id):
            return None
        if sender not in self._committee or sender in self._signatures:
            return None
        self._signatures[sender] = signature
        self._certificate = evolve(certificate, signatures=ordered_signatures(self._signatures.items()))
        return self._certificate

    def conflict(self, sender: Address, message: Message, signature: bytes) -> Conflict | None:
        """A precommit of the decided round that contradicts its author's signature under the decision; told once."""
        certificate = self._certificate
        if certificate is None or not isinstance(message, Vote) or message.kind is not Kind.PRECOMMIT:
            return None
        if (message.height, message.round) != (certificate.height, certificate.round):
            return None
        first = self._signatures.get(sender)
        if first is None or message.block_id == certificate.block_id or sender in self._accused:
            return None
        self._accused.add(sender)
        return Conflict(
            SignedVote(sender, commit_vote(certificate), first), SignedVote(sender, message, signature)
        )
