"""Embedded key-value store."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol


class WriteBatch(Protocol):
    """Writes that become visible and durable together. Not usable after `commit`."""

    def put(self, key: bytes, value: bytes) -> None:
        """Set a value; the last write to a key in a batch counts."""

    def delete(self, key: bytes) -> None:
        """Remove a key; one that is not there is no error."""

    def commit(self) -> None:
        """Apply all writes atomically; when it returns they survive a power loss. Raises StorageError."""


class KeyValueStore(Protocol):
    """One writer, many readers. Keys are 1 to 480 bytes, values up to 64 MiB. Raises StorageError."""

    def get(self, key: bytes) -> bytes | None:
        """The value, or None."""

    def scan(self, prefix: bytes) -> Iterator[tuple[bytes, bytes]]:
        """Entries whose key starts with `prefix`, in ascending byte order of the key."""

    def batch(self) -> WriteBatch:
        """A fresh, empty batch."""

    def close(self) -> None:
        """Release the files. Idempotent."""
