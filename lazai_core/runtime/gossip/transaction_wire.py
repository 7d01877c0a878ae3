"""Transactions, their hashes, and evidence: lists in canonical bytes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from lazai_core.api.consensus import EVIDENCE_BYTES_MAX
from lazai_core.api.encoding import Reader, Writer
from lazai_core.api.errors import EncodingError

from .wire import ENVELOPE_BYTES_MAX

TRANSACTIONS_MAX = 2048
HASHES_MAX = 4096
FRAME_BYTES_MAX = ENVELOPE_BYTES_MAX // 2
TRAVELLING_BYTES_MAX = ENVELOPE_BYTES_MAX - 64
"""A larger transaction waits at the node it was given to, until that node proposes."""


def encode_hashes(hashes: Sequence[bytes]) -> bytes:
    """Canonical bytes: 32 bytes each, in any order."""
    return Writer().sequence(hashes, Writer.raw).finish()


def decode_hashes(data: bytes) -> tuple[bytes, ...]:
    """Inverse of `encode_hashes`. Raises EncodingError."""
    return _all(data, lambda source: source.raw(32), HASHES_MAX, 32)


def frames_of(items: Sequence[bytes]) -> Iterator[bytes]:
    """Envelopes that hold the items, several in one as long as they are small."""
    batch: list[bytes] = []
    size = 0
    for item in items:
        if batch and (size + len(item) > FRAME_BYTES_MAX or len(batch) >= TRANSACTIONS_MAX):
            yield Writer().sequence(batch, Writer.bytes_).finish()
            batch, size = [], 0
        batch.append(item)
        size += len(item) + 4
    if batch:
        yield Writer().sequence(batch, Writer.bytes_).finish()


def decode_transactions(data: bytes) -> tuple[bytes, ...]:
    """Raw transactions of one envelope. Raises EncodingError."""
    return _all(data, lambda source: source.bytes_(TRAVELLING_BYTES_MAX), TRANSACTIONS_MAX, 4)


def decode_evidence(data: bytes) -> tuple[bytes, ...]:
    """Pieces of evidence of one envelope. Raises EncodingError."""
    return _all(data, lambda source: source.bytes_(EVIDENCE_BYTES_MAX), 64, 4)


def _all(data: bytes, read: Callable[[Reader], bytes], limit: int, item_bytes_min: int) -> tuple[bytes, ...]:
    reader = Reader(data)
    found = reader.sequence(read, limit=limit, item_bytes_min=item_bytes_min)
    reader.finish()
    if not found:
        raise EncodingError("an envelope holds an empty list")
    return found
