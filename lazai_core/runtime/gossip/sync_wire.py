"""Requests for decided blocks, and their answers."""

from __future__ import annotations

from attrs import field, frozen

from lazai_core.api.consensus import Certificate
from lazai_core.api.encoding import Reader, Writer
from lazai_core.api.errors import EncodingError
from lazai_core.api.types import Height
from lazai_core.chain.block import Block

from .wire import ENVELOPE_BYTES_MAX, read_height

BLOCKS_MAX = 64
ANSWER_BYTES_MAX = ENVELOPE_BYTES_MAX - 4096
CERTIFICATE_BYTES_MAX = ENVELOPE_BYTES_MAX


@frozen(kw_only=True)
class GetBlocks:
    """Wanted: `count` decided blocks from height `start` on. `request` comes back with the answer."""

    request: int
    start: Height
    count: int

    def encode(self) -> bytes:
        """Canonical bytes."""
        return Writer().u32(self.request).u64(self.start).u16(self.count).finish()

    @classmethod
    def decode(cls, data: bytes) -> GetBlocks:
        """Inverse of `encode`. Raises EncodingError."""
        reader = Reader(data)
        wanted = cls(request=reader.u32(), start=read_height(reader), count=reader.u16())
        reader.finish()
        if not 0 < wanted.count <= BLOCKS_MAX or not wanted.start:
            raise EncodingError(f"{wanted.count} blocks from {wanted.start}: one asks for 1 to {BLOCKS_MAX} from 1 on")
        return wanted


@frozen(kw_only=True)
class DecidedBlock:
    """A certificate and its block; a block that is too large for an answer stays out and is asked for in parts."""

    certificate: Certificate
    block: Block | None
    size_bytes: int = field(eq=False)


@frozen(kw_only=True)
class Blocks:
    """An answer: blocks from the height that was asked for, fewer than wanted where they are large; maybe none."""

    request: int
    blocks: tuple[DecidedBlock, ...]

    @classmethod
    def decode(cls, data: bytes) -> Blocks:
        """Inverse of `encode_blocks`. Raises EncodingError."""
        reader = Reader(data)
        request = reader.u32()
        blocks = reader.sequence(_read_decided, limit=BLOCKS_MAX, item_bytes_min=8)
        reader.finish()
        return cls(request=request, blocks=blocks)


def encode_blocks(request: int, blocks: list[tuple[bytes, bytes]]) -> bytes:
    """Certificate and block bytes of each height; the latter empty for a block that is too large."""
    writer = Writer().u32(request)
    return writer.sequence(blocks, lambda out, one: out.bytes_(one[0]).bytes_(one[1])).finish()


def _read_decided(reader: Reader) -> DecidedBlock:
    certificate = Certificate.decode(reader.bytes_(CERTIFICATE_BYTES_MAX))
    data = reader.bytes_(ENVELOPE_BYTES_MAX)
    if not data:
        return DecidedBlock(certificate=certificate, block=None, size_bytes=0)
    block = Block.decode(data)
    if (block.hash, block.height) != (certificate.block_id, certificate.height):
        raise EncodingError(f"the certificate of height {certificate.height} is for another block")
    return DecidedBlock(certificate=certificate, block=block, size_bytes=len(data))
