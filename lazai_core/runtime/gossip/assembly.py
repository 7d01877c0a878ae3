"""Blocks of which not all parts are here yet."""

from __future__ import annotations

from collections.abc import Iterator

from attrs import define, field

from lazai_core.api.network import PeerId
from lazai_core.api.types import Hash32
from lazai_core.chain.block import Block, BlockHeader

from .part_set import Part, PartSet


@define(kw_only=True, eq=False)
class Assembly:
    """The parts under one root that are here. `vouchers` sent parts without the proposer's signature."""

    header: BlockHeader
    header_bytes: bytes = field(repr=False)
    root: Hash32
    count: int
    signature: bytes = field(repr=False)
    pieces: list[bytes | None] = field(repr=False)
    paths: list[tuple[bytes, ...]] = field(repr=False)
    size_bytes: int = 0
    known: dict[PeerId, int] = field(factory=dict, repr=False)
    vouchers: set[PeerId] = field(factory=set)
    block: Block | None = None
    unfit: bool = False

    @classmethod
    def begin(cls, header: BlockHeader, part: Part) -> Assembly:
        """Without any part yet."""
        return cls(
            header=header,
            header_bytes=part.header,
            root=part.root,
            count=part.count,
            signature=part.signature,
            pieces=[None] * part.count,
            paths=[()] * part.count,
        )

    @classmethod
    def whole(cls, header: BlockHeader, parts: PartSet, block: Block | None = None) -> Assembly:
        """Of a block that is here, in memory or in the store."""
        return cls(
            header=header,
            header_bytes=parts.header,
            root=parts.root,
            count=len(parts.pieces),
            signature=parts.signature,
            pieces=list(parts.pieces),
            paths=list(parts.paths),
            size_bytes=sum(map(len, parts.pieces)),
            block=block,
        )

    @property
    def missing(self) -> int:
        """Bit `i` is set where part `i` is not here."""
        return sum(1 << index for index, piece in enumerate(self.pieces) if piece is None)

    @property
    def is_whole(self) -> bool:
        """Whether every part is here."""
        return None not in self.pieces

    def add(self, part: Part) -> None:
        """Keep a part that was checked."""
        self.pieces[part.index] = part.data
        self.paths[part.index] = part.path
        self.size_bytes += len(part.data)

    def knows(self, peer: PeerId, index: int) -> None:
        """The peer has this part."""
        self.known[peer] = self.known.get(peer, 0) | 1 << index

    def joined(self) -> bytes:
        """The bytes of the block."""
        return b"".join(piece for piece in self.pieces if piece is not None)

    def parts(self, wanted: int) -> Iterator[Part]:
        """Those of the wanted parts that are here, in order."""
        for index, piece in enumerate(self.pieces):
            if piece is not None and wanted >> index & 1:
                yield self.part(index, piece)

    def part(self, index: int, piece: bytes, *, spread: bool = False) -> Part:
        """One part as it travels."""
        return Part(
            spread=spread,
            header=self.header_bytes,
            root=self.root,
            count=self.count,
            index=index,
            path=self.paths[index],
            signature=self.signature,
            data=piece,
        )
