"""Canonical bytes: one byte string per value, and no other byte string decodes to it.

Numbers are big-endian and of fixed width, byte strings and texts carry a u32 length, lists a u32 count.
The reader is strict: it checks every length against what is left *before* it allocates, and `finish`
refuses trailing bytes. Hashes are SHA-256 under a domain name, so that no two uses of a hash can collide.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Callable, Iterable
from typing import TypeVar

from .errors import EncodingError

T = TypeVar("T")


class Writer:
    """Collects canonical bytes. Out-of-range numbers raise `ValueError` (our own mistake, not input)."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []

    def _number(self, layout: str, value: int) -> Writer:
        try:
            self._parts.append(struct.pack(layout, value))
        except struct.error as error:
            raise ValueError(f"{value!r} does not fit the fixed-width field {layout!r}: {error}") from None
        return self

    def u8(self, value: int) -> Writer:
        """One unsigned byte."""
        return self._number(">B", value)

    def u16(self, value: int) -> Writer:
        """Two bytes, unsigned, big-endian."""
        return self._number(">H", value)

    def u32(self, value: int) -> Writer:
        """Four bytes, unsigned, big-endian."""
        return self._number(">I", value)

    def u64(self, value: int) -> Writer:
        """Eight bytes, unsigned, big-endian."""
        return self._number(">Q", value)

    def i64(self, value: int) -> Writer:
        """Eight bytes, two's complement, big-endian."""
        return self._number(">q", value)

    def boolean(self, value: bool) -> Writer:
        """One byte, 0 or 1."""
        return self.u8(1 if value else 0)

    def raw(self, value: bytes) -> Writer:
        """Bytes as they are: the reader must know their number."""
        self._parts.append(bytes(value))
        return self

    def bytes_(self, value: bytes) -> Writer:
        """A u32 length, then the bytes."""
        return self.u32(len(value)).raw(value)

    def text(self, value: str) -> Writer:
        """A u32 length in bytes, then the text in UTF-8."""
        return self.bytes_(value.encode("utf-8"))

    def sequence(self, items: Iterable[T], write: Callable[[Writer, T], object]) -> Writer:
        """A u32 count, then each item as `write` puts it."""
        listed = list(items)
        self.u32(len(listed))
        for item in listed:
            write(self, item)
        return self

    def finish(self) -> bytes:
        """All bytes written so far."""
        return b"".join(self._parts)


class Reader:
    """Reads what `Writer` wrote; every method raises `EncodingError` on anything else."""

    def __init__(self, data: bytes) -> None:
        self._data = bytes(data)
        self._offset = 0

    @property
    def offset(self) -> int:
        """Bytes read so far."""
        return self._offset

    @property
    def remaining(self) -> int:
        """Bytes not read yet."""
        return len(self._data) - self._offset

    def fail(self, message: str) -> EncodingError:
        """The error for what was just read; the caller raises it."""
        return EncodingError(f"malformed bytes at offset {self._offset}: {message}")

    def raw(self, length: int) -> bytes:
        """Exactly `length` bytes."""
        if length > self.remaining:
            raise self.fail(f"{length} bytes are needed, {self.remaining} are left")
        start = self._offset
        self._offset = start + length
        return self._data[start : self._offset]

    def _number(self, layout: str, size: int) -> int:
        value: int = struct.unpack(layout, self.raw(size))[0]
        return value

    def u8(self) -> int:
        """One unsigned byte."""
        return self._number(">B", 1)

    def u16(self) -> int:
        """Two bytes, unsigned, big-endian."""
        return self._number(">H", 2)

    def u32(self) -> int:
        """Four bytes, unsigned, big-endian."""
        return self._number(">I", 4)

    def u64(self) -> int:
        """Eight bytes, unsigned, big-endian."""
        return self._number(">Q", 8)

    def i64(self) -> int:
        """Eight bytes, two's complement, big-endian."""
        return self._number(">q", 8)

    def boolean(self) -> bool:
        """One byte that is 0 or 1; another value is refused."""
        value = self.u8()
        if value > 1:
            raise self.fail(f"a boolean must be 0 or 1, not {value}")
        return value == 1

    def bytes_(self, limit: int) -> bytes:
        """A u32 length of at most `limit`, then that many bytes."""
        length = self.u32()
        if length > limit:
            raise self.fail(f"a byte string of {length} bytes exceeds the limit of {limit}")
        return self.raw(length)

    def text(self, limit: int) -> str:
        """A u32 length in bytes of at most `limit`, then UTF-8."""
        data = self.bytes_(limit)
        try:
            return data.decode("utf-8")
        except UnicodeDecodeError as error:
            raise self.fail(f"a text is not UTF-8: {error.reason}") from None

    def count(self, limit: int, item_bytes_min: int) -> int:
        """A u32 count of at most `limit` whose items, of `item_bytes_min` each, fit in what is left."""
        count = self.u32()
        if count > limit:
            raise self.fail(f"a list of {count} items exceeds the limit of {limit}")
        if count * item_bytes_min > self.remaining:
            raise self.fail(f"a list of {count} items does not fit in the {self.remaining} bytes left")
        return count

    def sequence(self, read: Callable[[Reader], T], *, limit: int, item_bytes_min: int = 1) -> tuple[T, ...]:
        """A u32 count, then each item as `read` takes it."""
        return tuple(read(self) for _ in range(self.count(limit, item_bytes_min)))

    def u32_sequence(self, limit: int) -> tuple[int, ...]:
        """A u32 count of at most `limit`, then that many u32, read at once: long lists stay cheap."""
        count = self.count(limit, 4)
        return struct.unpack(f">{count}I", self.raw(4 * count))

    def finish(self) -> None:
        """Refuse trailing bytes."""
        if self.remaining:
            raise self.fail(f"{self.remaining} trailing bytes")


def domain_hash(domain: str, *parts: bytes) -> bytes:
    """SHA-256 of the domain in UTF-8, a zero byte, then each part after its u64 length (32 bytes)."""
    state = hashlib.sha256(domain.encode("utf-8") + b"\x00")
    for part in parts:
        state.update(struct.pack(">Q", len(part)))
        state.update(part)
    return state.digest()
