"""Compute records between nodes: offered by digest, fetched in chunks by those that need them."""

from __future__ import annotations

from attrs import field, frozen

from lazai_core.api.encoding import Reader, Writer, domain_hash
from lazai_core.api.errors import EncodingError
from lazai_core.api.types import Hash32, JobId
from lazai_core.chain.block import RECORD_BYTES_MAX

OFFERS_MAX = 1024
CHUNK_BYTES = 256 << 10


def record_digest(encoded: bytes) -> Hash32:
    """Digest of a record's bytes: what an offer promises."""
    return Hash32(domain_hash("lazai/gossip/record/v1", encoded))


@frozen(kw_only=True)
class Offer:
    """A peer holds a record of this job."""

    job_id: JobId
    digest: Hash32
    size_bytes: int

    def write(self, writer: Writer) -> None:
        """Append the canonical bytes."""
        writer.raw(self.job_id).raw(self.digest).u32(self.size_bytes)

    @classmethod
    def read(cls, reader: Reader) -> Offer:
        """Inverse of `write`. Raises EncodingError."""
        offer = cls(job_id=JobId(reader.raw(32)), digest=Hash32(reader.raw(32)), size_bytes=reader.u32())
        if not 0 < offer.size_bytes <= RECORD_BYTES_MAX:
            raise reader.fail(f"a record of {offer.size_bytes} bytes")
        return offer


def encode_offers(offers: list[Offer]) -> bytes:
    """Canonical bytes."""
    return Writer().sequence(offers, lambda out, offer: offer.write(out)).finish()


def decode_offers(data: bytes) -> tuple[Offer, ...]:
    """Inverse of `encode_offers`. Raises EncodingError."""
    reader = Reader(data)
    offers = reader.sequence(Offer.read, limit=OFFERS_MAX, item_bytes_min=68)
    reader.finish()
    if not offers:
        raise EncodingError("an envelope of offers holds none")
    return offers


@frozen(kw_only=True)
class GetRecord:
    """Wanted: the chunk of a record that begins at this byte."""

    digest: Hash32
    job_id: JobId
    offset: int

    def encode(self) -> bytes:
        """Canonical bytes."""
        return Writer().raw(self.digest).raw(self.job_id).u32(self.offset).finish()

    @classmethod
    def decode(cls, data: bytes) -> GetRecord:
        """Inverse of `encode`. Raises EncodingError."""
        reader = Reader(data)
        wanted = cls(digest=Hash32(reader.raw(32)), job_id=JobId(reader.raw(32)), offset=reader.u32())
        reader.finish()
        return wanted


@frozen(kw_only=True)
class RecordChunk:
    """A piece of a record; empty where the peer does not hold the record any more."""

    digest: Hash32
    offset: int
    data: bytes = field(repr=lambda data: f"<{len(data)} bytes>")

    def encode(self) -> bytes:
        """Canonical bytes."""
        return Writer().raw(self.digest).u32(self.offset).bytes_(self.data).finish()

    @classmethod
    def decode(cls, data: bytes) -> RecordChunk:
        """Inverse of `encode`. Raises EncodingError."""
        reader = Reader(data)
        chunk = cls(digest=Hash32(reader.raw(32)), offset=reader.u32(), data=reader.bytes_(CHUNK_BYTES))
        reader.finish()
        return chunk
