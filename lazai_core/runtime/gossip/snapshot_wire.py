"""What a node asks for that begins from a snapshot: headers, entries of the state, validator sets; and the answers."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from attrs import field, frozen

from lazai_core.api.encoding import Reader, Writer
from lazai_core.api.errors import EncodingError
from lazai_core.api.types import Height

from .wire import ENVELOPE_BYTES_MAX, read_height

HEADERS_MAX = 1024
ENTRIES_MAX = 512
SETS_MAX = 64
ITEMS_MAX = 1024
ITEMS_BYTES_MAX = ENVELOPE_BYTES_MAX - 8 * ITEMS_MAX


@frozen(kw_only=True)
class GetHeaders:
    """Wanted: `count` headers from height `newest` downwards."""

    request: int
    newest: Height
    count: int

    def encode(self) -> bytes:
        """Canonical bytes."""
        return Writer().u32(self.request).u64(self.newest).u16(self.count).finish()

    @classmethod
    def decode(cls, data: bytes) -> GetHeaders:
        """Inverse of `encode`. Raises EncodingError."""
        reader = Reader(data)
        wanted = cls(request=reader.u32(), newest=read_height(reader), count=reader.u16())
        reader.finish()
        if not 0 < wanted.count <= HEADERS_MAX:
            raise EncodingError(f"one asks for 1 to {HEADERS_MAX} headers, not {wanted.count}")
        return wanted


@frozen(kw_only=True)
class GetByHash:
    """Wanted: entries of the state, or validator sets, by their hashes."""

    request: int
    hashes: tuple[bytes, ...] = field(repr=lambda items: f"<{len(items)} hashes>")

    def encode(self) -> bytes:
        """Canonical bytes."""
        return Writer().u32(self.request).sequence(self.hashes, Writer.raw).finish()

    @classmethod
    def asking(cls, hashes: Iterable[bytes]) -> Callable[[int], bytes]:
        """The message for these hashes, whatever number the request will have."""
        wanted = tuple(hashes)
        return lambda number: cls(request=number, hashes=wanted).encode()

    @classmethod
    def decode(cls, data: bytes, count_max: int) -> GetByHash:
        """Inverse of `encode`. Raises EncodingError."""
        reader = Reader(data)
        wanted = cls(
            request=reader.u32(),
            hashes=reader.sequence(lambda source: source.raw(32), limit=count_max, item_bytes_min=32),
        )
        reader.finish()
        return wanted


@frozen(kw_only=True)
class Items:
    """An answer: what was asked for, in that order, as far as it is there and fits."""

    request: int
    items: tuple[bytes, ...] = field(repr=lambda items: f"<{len(items)} items>")

    def encode(self) -> bytes:
        """Canonical bytes."""
        return Writer().u32(self.request).sequence(self.items, Writer.bytes_).finish()

    @classmethod
    def decode(cls, data: bytes) -> Items:
        """Inverse of `encode`. Raises EncodingError."""
        reader = Reader(data)
        answer = cls(
            request=reader.u32(),
            items=reader.sequence(
                lambda source: source.bytes_(ENVELOPE_BYTES_MAX), limit=ITEMS_MAX, item_bytes_min=4
            ),
        )
        reader.finish()
        return answer


def fitting(items: Sequence[bytes]) -> tuple[bytes, ...]:
    """The first items, as many as one answer holds."""
    size = 0
    for number, item in enumerate(items):
        size += len(item)
        if size > ITEMS_BYTES_MAX:
            return tuple(items[:number])
    return tuple(items)
