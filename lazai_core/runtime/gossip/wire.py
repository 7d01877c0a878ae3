"""Topics, and the canonical bytes of what nodes tell each other about themselves and about consensus messages."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from enum import StrEnum

from attrs import field, frozen

from lazai_core.api.consensus import signing_digest
from lazai_core.api.encoding import Reader, Writer, domain_hash
from lazai_core.api.errors import EncodingError
from lazai_core.api.hashing import SIGNATURE_BYTES
from lazai_core.api.network import PeerId, Priority
from lazai_core.api.types import Hash32, Height

PROTOCOL = 1
ENVELOPE_BYTES_MAX = 1 << 20
"""No payload is larger; a transport may refuse larger ones."""
MESSAGE_BYTES_MAX = 512 << 10
MESSAGES_MAX = 4096
NEIGHBOURS_MAX = 1024
HEIGHT_MAX = 2**63 - 1
NAME_BYTES = 16
"""Bytes by which a consensus message is named among peers."""


class Topic(StrEnum):
    """What an envelope holds."""

    STATUS = "status"
    NEIGHBOURS = "neighbours"
    MESSAGES = "messages"
    HAVE = "have"
    CERTIFICATE = "certificate"
    PART = "part"
    WANT_PARTS = "want-parts"
    GET_BLOCKS = "get-blocks"
    BLOCKS = "blocks"
    TRANSACTIONS = "transactions"
    ANNOUNCE = "announce"
    GET_TRANSACTIONS = "get-transactions"
    EVIDENCE = "evidence"
    RECORD_OFFERS = "record-offers"
    WANT_RECORDS = "want-records"
    GET_RECORD = "get-record"
    RECORD_CHUNK = "record-chunk"
    GET_HEADERS = "get-headers"
    HEADERS = "headers"
    GET_ENTRIES = "get-entries"
    ENTRIES = "entries"
    GET_SETS = "get-sets"
    SETS = "sets"


PRIORITIES = {
    Topic.STATUS: Priority.VOTE,
    Topic.NEIGHBOURS: Priority.VOTE,
    Topic.MESSAGES: Priority.VOTE,
    Topic.HAVE: Priority.VOTE,
    Topic.CERTIFICATE: Priority.VOTE,
    Topic.PART: Priority.BLOCK,
    Topic.WANT_PARTS: Priority.BLOCK,
    Topic.GET_BLOCKS: Priority.BLOCK,
    Topic.BLOCKS: Priority.BLOCK,
    Topic.TRANSACTIONS: Priority.TRANSACTION,
    Topic.ANNOUNCE: Priority.TRANSACTION,
    Topic.GET_TRANSACTIONS: Priority.TRANSACTION,
    Topic.EVIDENCE: Priority.VOTE,
    Topic.RECORD_OFFERS: Priority.TRANSACTION,
    Topic.WANT_RECORDS: Priority.TRANSACTION,
    Topic.GET_RECORD: Priority.TRANSACTION,
    Topic.RECORD_CHUNK: Priority.TRANSACTION,
    Topic.GET_HEADERS: Priority.TRANSACTION,
    Topic.HEADERS: Priority.TRANSACTION,
    Topic.GET_ENTRIES: Priority.TRANSACTION,
    Topic.ENTRIES: Priority.TRANSACTION,
    Topic.GET_SETS: Priority.TRANSACTION,
    Topic.SETS: Priority.TRANSACTION,
}


@frozen(kw_only=True)
class Status:
    """Where a node stands: the height it decides, the lowest block it can give, the hash of the newest (zero: none).

    `sequence` grows with every status of a connection, since envelopes may overtake each other.
    """

    protocol: int
    chain_id: int
    genesis: Hash32
    sequence: int
    height: Height
    lowest: Height
    head: Hash32

    def encode(self) -> bytes:
        """Canonical bytes."""
        writer = Writer().u16(self.protocol).u64(self.chain_id).raw(self.genesis).u64(self.sequence)
        return writer.u64(self.height).u64(self.lowest).raw(self.head).finish()

    @classmethod
    def decode(cls, data: bytes) -> Status:
        """Inverse of `encode`. Raises EncodingError."""
        reader = Reader(data)
        status = cls(
            protocol=reader.u16(),
            chain_id=reader.u64(),
            genesis=Hash32(reader.raw(32)),
            sequence=reader.u64(),
            height=read_height(reader),
            lowest=read_height(reader),
            head=Hash32(reader.raw(32)),
        )
        reader.finish()
        if not 0 < status.lowest <= status.height:
            raise EncodingError(f"a node that decides height {status.height} cannot begin at {status.lowest}")
        return status


def read_height(reader: Reader) -> Height:
    """A height that fits where heights are stored. Raises EncodingError."""
    height = reader.u64()
    if height > HEIGHT_MAX:
        raise reader.fail(f"the height {height} is larger than {HEIGHT_MAX}")
    return Height(height)


def encode_neighbours(peers: Sequence[PeerId]) -> bytes:
    """Canonical bytes: peers ascending."""
    return Writer().sequence(sorted(peers), Writer.raw).finish()


def decode_neighbours(data: bytes) -> frozenset[PeerId]:
    """Inverse of `encode_neighbours`. Raises EncodingError."""
    reader = Reader(data)
    listed = reader.sequence(lambda source: source.raw(20), limit=NEIGHBOURS_MAX, item_bytes_min=20)
    reader.finish()
    if any(earlier >= later for earlier, later in itertools.pairwise(listed)):
        raise EncodingError("neighbours come in ascending order, each once")
    return frozenset(PeerId(item) for item in listed)


@frozen(kw_only=True)
class SignedPayload:
    """A consensus message as it travels; its signer is whoever the signature gives."""

    payload: bytes = field(repr=lambda data: f"<{len(data)} bytes>")
    signature: bytes = field(repr=False)

    def encode(self) -> bytes:
        """Canonical bytes."""
        return Writer().bytes_(self.payload).raw(self.signature).finish()

    @property
    def digest(self) -> Hash32:
        """What the signature is over."""
        return signing_digest(self.payload)


def batch_messages(encoded: Sequence[bytes]) -> bytes:
    """Several messages, each as `SignedPayload.encode` gave it, in one envelope."""
    return Writer().u32(len(encoded)).raw(b"".join(encoded)).finish()


def decode_messages(data: bytes) -> tuple[SignedPayload, ...]:
    """Inverse of `batch_messages`. Raises EncodingError."""
    reader = Reader(data)
    messages = reader.sequence(_read_signed, limit=MESSAGES_MAX, item_bytes_min=4 + SIGNATURE_BYTES)
    reader.finish()
    if not messages:
        raise EncodingError("an envelope of messages holds none")
    return messages


def _read_signed(reader: Reader) -> SignedPayload:
    return SignedPayload(payload=reader.bytes_(MESSAGE_BYTES_MAX), signature=reader.raw(SIGNATURE_BYTES))


def name_of(payload: bytes, signer: bytes) -> bytes:
    """Short name of what a validator says. Another signature of it over the same bytes says nothing new."""
    return domain_hash("lazai/gossip/message/v1", signer, payload)[:NAME_BYTES]


@frozen(kw_only=True)
class Have:
    """Names of the messages of a height that a node holds: what is not among them, it lacks."""

    height: Height
    names: frozenset[bytes]

    def encode(self) -> bytes:
        """Canonical bytes: names ascending."""
        return Writer().u64(self.height).sequence(sorted(self.names), Writer.raw).finish()

    @classmethod
    def decode(cls, data: bytes) -> Have:
        """Inverse of `encode`. Raises EncodingError."""
        reader = Reader(data)
        height = read_height(reader)
        names = reader.sequence(
            lambda source: source.raw(NAME_BYTES), limit=MESSAGES_MAX, item_bytes_min=NAME_BYTES
        )
        reader.finish()
        if any(earlier >= later for earlier, later in itertools.pairwise(names)):
            raise EncodingError("names come in ascending order, each once")
        return cls(height=height, names=frozenset(names))
