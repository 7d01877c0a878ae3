"""Decided blocks that are too large for an answer: the lowest few that were claimed, two of them on their way in parts.

A claim is a certificate without a block. It can be verified for the two heights after the head, and only then its block
is asked for: a claim that is wrong costs nothing, and names its liar.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import Protocol

import structlog
from attrs import define

from lazai_core.api.consensus import Certificate, Validator
from lazai_core.api.errors import ConsensusFault
from lazai_core.api.network import PeerFault, PeerId
from lazai_core.api.types import Height
from lazai_core.chain.block import Block

from .blocks import BlockRoom
from .peers import PeerTable
from .wants import Waiting

log = structlog.get_logger(__name__)

CLAIMS_MAX = 4
KNOWN_AHEAD = 2
"""For so many heights after the head it is known who decides them."""
VerifyCertificate = Callable[[Certificate, Sequence[Validator], int], None]
"""`ConsensusEngine.verify_certificate`."""


class Reader(Protocol):
    """Who is told how it went."""

    def large_arrived(self, peer: PeerId, block: Block, certificate: Certificate) -> None:
        """A block of the height that its certificate is of."""

    def large_failed(self, peer: PeerId, fault: PeerFault, reason: str) -> None:
        """What this peer claimed is wrong, or never came."""


@define(kw_only=True, eq=False)
class _Claim:
    """Whoever `peer` is, it says that the block with this certificate is large."""

    peer: PeerId
    certificate: Certificate
    is_wanted: bool = False
    since: float = 0.0


class LargeBlocks:
    """The lowest heights come first; where there are enough claims, a lower one takes the place of the highest."""

    def __init__(self, peers: PeerTable, blocks: BlockRoom, verify: VerifyCertificate, reader: Reader) -> None:
        self._peers = peers
        self._blocks = blocks
        self._verify = verify
        self._reader = reader
        self._claims: dict[int, _Claim] = {}

    def __len__(self) -> int:
        return len(self._claims)

    @property
    def heights(self) -> Collection[int]:
        """Heights that need not be asked for."""
        return self._claims.keys()

    @property
    def is_full(self) -> bool:
        """Whether heights above these must wait."""
        return len(self._claims) >= CLAIMS_MAX

    def claim(self, peer: PeerId, certificate: Certificate) -> None:
        """A peer says that a decided block is large."""
        number = int(certificate.height)
        if number in self._claims:
            return
        if self.is_full:
            highest = max(self._claims)
            if highest < number:
                return
            self._drop(highest)
        self._claims[number] = _Claim(peer=peer, certificate=certificate)
        self.step()

    def step(self) -> None:
        """Ask for what can be verified by now, and give up what does not come."""
        head = self._peers.chain.head.height
        for number in sorted(self._claims):
            claim = self._claims.get(number)
            if claim is not None and not claim.is_wanted and head < number <= head + KNOWN_AHEAD:
                self._begin(number, claim)
        self._give_up()

    def _begin(self, number: int, claim: _Claim) -> None:
        chain = self._peers.chain
        try:
            self._verify(claim.certificate, chain.validators(Height(number)), chain.genesis.chain_id)
        except ConsensusFault as error:
            self._drop(number)
            reason = f"the large block {number}: {error.message}"
            self._reader.large_failed(claim.peer, PeerFault.FORGED_CERTIFICATE, reason)
            return
        claim.since = self._peers.now
        claim.is_wanted = self._blocks.want(
            Height(number),
            claim.certificate.block_id,
            lambda _, block: self._arrived(number, claim, block),
            first=claim.peer,
            waiting=Waiting.SYNC,
        )

    def _arrived(self, number: int, claim: _Claim, block: Block) -> None:
        if self._claims.get(number) is not claim:
            return
        del self._claims[number]
        if block.height == number:
            self._reader.large_arrived(claim.peer, block, claim.certificate)
        # The next one had this one before it on the line.
        for other in self._claims.values():
            other.since = self._peers.now

    def _give_up(self) -> None:
        """The lowest comes, or whoever said that it is there is left out. The others may have to wait for it."""
        number = min(self._claims, default=0)
        claim = self._claims.get(number)
        if claim is None or not claim.is_wanted:
            return
        came_at = self._blocks.progress_at(claim.certificate.block_id)
        since = claim.since if came_at is None else max(claim.since, came_at)
        if (self._peers.now - since) * 1000 >= self._peers.options.sync_large_timeout_ms:
            self._drop(number)
            self._reader.large_failed(claim.peer, PeerFault.BROKEN_PROMISE, f"block {number} never came")

    def _drop(self, number: int) -> None:
        claim = self._claims.pop(number)
        if claim.is_wanted:
            self._blocks.unwant(claim.certificate.block_id, Waiting.SYNC)

    def drop_of(self, peer: PeerId) -> None:
        """Forget what a peer claimed."""
        for number in [number for number, claim in self._claims.items() if claim.peer == peer]:
            self._drop(number)

    def height_started(self) -> None:
        """Forget what is decided here."""
        for number in [number for number in self._claims if number < self._peers.height]:
            self._drop(number)
