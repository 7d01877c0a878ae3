"""A block in parts, each of which stands for itself: header, place under a Merkle root, and the proposer's signature.

The header does not cover the parts' hashes, so that the block's proposer signs their root beside it: a part that does
not fit is then its sender's fault, and a root that does not give the block is the proposer's.
"""

from __future__ import annotations

from collections.abc import Callable

from attrs import field, frozen

from lazai_core.api.encoding import Reader, Writer, domain_hash
from lazai_core.api.errors import EncodingError
from lazai_core.api.hashing import SIGNATURE_BYTES
from lazai_core.api.merkle import merkle_tree
from lazai_core.api.types import Hash32, Height
from lazai_core.chain.block import Block, BlockHeader
from lazai_core.chain.rules import BLOCK_BYTES_MAX

from .wire import read_height

PART_BYTES = 64 << 10
PARTS_MAX = BLOCK_BYTES_MAX // PART_BYTES + 64
"""Transactions and records of the largest block, and what stands around them."""
HEADER_BYTES_MAX = 2048
PATH_MAX = 16
BITMAP_BYTES_MAX = (PARTS_MAX + 7) // 8


def parts_digest(block_id: Hash32, root: Hash32, count: int) -> Hash32:
    """What a proposer signs over the parts of its block."""
    return Hash32(domain_hash("lazai/gossip/parts/v1", block_id, root, count.to_bytes(4, "big")))


@frozen(kw_only=True)
class Part:
    """One part. `spread` asks the receiver to bring it to all its peers, since the sender gave it to nobody else.

    `signature` is the proposer's over `parts_digest`, or empty in an answer by a node that does not hold it.
    """

    spread: bool
    header: bytes = field(repr=lambda data: f"<{len(data)} bytes>")
    root: Hash32
    count: int
    index: int
    path: tuple[bytes, ...] = field(repr=lambda items: f"<{len(items)} hashes>")
    signature: bytes = field(repr=False)
    data: bytes = field(repr=lambda data: f"<{len(data)} bytes>")

    def encode(self) -> bytes:
        """Canonical bytes."""
        writer = Writer().boolean(self.spread).bytes_(self.header).raw(self.root).u16(self.count).u16(self.index)
        writer.sequence(self.path, Writer.raw).bytes_(self.signature)
        return writer.bytes_(self.data).finish()

    @classmethod
    def decode(cls, data: bytes) -> Part:
        """Inverse of `encode`. Raises EncodingError."""
        reader = Reader(data)
        part = cls(
            spread=reader.boolean(),
            header=reader.bytes_(HEADER_BYTES_MAX),
            root=Hash32(reader.raw(32)),
            count=reader.u16(),
            index=reader.u16(),
            path=reader.sequence(lambda source: source.raw(32), limit=PATH_MAX, item_bytes_min=32),
            signature=reader.bytes_(SIGNATURE_BYTES),
            data=reader.bytes_(PART_BYTES),
        )
        reader.finish()
        if not part.index < part.count <= PARTS_MAX:
            raise EncodingError(f"part {part.index} of {part.count}; a block has 1 to {PARTS_MAX} parts")
        if len(part.signature) not in (0, SIGNATURE_BYTES) or not part.data:
            raise EncodingError("a part has data, and a signature of the right length or none")
        return part


@frozen(kw_only=True)
class PartSet:
    """All parts of a block, ready to be sent."""

    block_id: Hash32
    height: Height
    header: bytes = field(repr=False)
    root: Hash32
    pieces: tuple[bytes, ...] = field(repr=lambda items: f"<{len(items)} parts>")
    paths: tuple[tuple[bytes, ...], ...] = field(repr=False)
    signature: bytes = field(repr=False)

    @classmethod
    def of(cls, block: Block, sign: Callable[[bytes], bytes] | None) -> PartSet:
        """Cut a block; without `sign` only peers that ask for it will take the parts."""
        return cls.cut(block.header, block.encode(), sign)

    @classmethod
    def cut(cls, header: BlockHeader, data: bytes, sign: Callable[[bytes], bytes] | None) -> PartSet:
        """The same of a block's bytes."""
        block_id = header.hash
        pieces = tuple(data[start : start + PART_BYTES] for start in range(0, len(data), PART_BYTES))
        root, paths = merkle_tree(pieces)
        return cls(
            block_id=block_id,
            height=header.height,
            header=header.encode(),
            root=root,
            pieces=pieces,
            paths=paths,
            signature=b"" if sign is None else sign(parts_digest(block_id, root, len(pieces))),
        )

    def part(self, index: int, *, spread: bool = False) -> Part:
        """One part as it travels."""
        return Part(
            spread=spread,
            header=self.header,
            root=self.root,
            count=len(self.pieces),
            index=index,
            path=self.paths[index],
            signature=self.signature,
            data=self.pieces[index],
        )


@frozen(kw_only=True)
class WantParts:
    """A request: parts of a block that the asking node lacks. Without a root any will do, and all are missing.

    Bit `i` of `missing` stands for part `i`.
    """

    height: Height
    block_id: Hash32
    root: Hash32 | None = None
    missing: int = 0

    def encode(self) -> bytes:
        """Canonical bytes."""
        writer = Writer().u64(self.height).raw(self.block_id).boolean(self.root is not None).raw(self.root or b"")
        return writer.bytes_(self.missing.to_bytes((self.missing.bit_length() + 7) // 8, "little")).finish()

    @classmethod
    def decode(cls, data: bytes) -> WantParts:
        """Inverse of `encode`. Raises EncodingError."""
        reader = Reader(data)
        height, block_id = read_height(reader), Hash32(reader.raw(32))
        root = Hash32(reader.raw(32)) if reader.boolean() else None
        bitmap = reader.bytes_(BITMAP_BYTES_MAX)
        reader.finish()
        if bitmap.endswith(b"\x00") or bool(bitmap) != (root is not None):
            raise EncodingError("a request names a root and missing parts, without zero bytes at the end, or neither")
        return cls(height=height, block_id=block_id, root=root, missing=int.from_bytes(bitmap, "little"))
