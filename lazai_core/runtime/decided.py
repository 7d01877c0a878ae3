"""Decided blocks that peers brought, until their turn comes. Bounded: what does not fit is asked for again."""

from __future__ import annotations

from attrs import field, frozen

from lazai_core.api.consensus import Certificate
from lazai_core.api.network import PeerId
from lazai_core.chain.block import Block

HEIGHTS_AHEAD_MAX = 64
BYTES_MAX = 128 << 20


@frozen(kw_only=True)
class DecidedBlock:
    """A block, what is said to decide it, and who said so."""

    peer: PeerId
    block: Block = field(repr=False)
    certificate: Certificate = field(repr=False)
    size_bytes: int


class DecidedBlocks:
    """By height; the first that comes counts until it is found wrong."""

    def __init__(self) -> None:
        self._held: dict[int, DecidedBlock] = {}
        self._bytes = 0

    def __len__(self) -> int:
        return len(self._held)

    def add(self, height: int, peer: PeerId, block: Block, certificate: Certificate) -> bool:
        """Keep a block of `height` or of one of the next; returns whether it is kept."""
        size = 1024 + sum(map(len, block.transactions)) + sum(len(record.output) for record in block.records)
        ahead = block.height - height
        fits = ahead == 0 or (ahead <= HEIGHTS_AHEAD_MAX and self._bytes + size <= BYTES_MAX)
        if ahead < 0 or not fits or block.height in self._held:
            return False
        self._held[block.height] = DecidedBlock(peer=peer, block=block, certificate=certificate, size_bytes=size)
        self._bytes += size
        return True

    def next(self, height: int) -> DecidedBlock | None:
        """The block of this height; those of earlier heights are forgotten."""
        for old in [known for known in self._held if known < height]:
            self.drop(old)
        return self._held.get(height)

    def drop(self, height: int) -> None:
        """Forget a block."""
        held = self._held.pop(height, None)
        if held is not None:
            self._bytes -= held.size_bytes
