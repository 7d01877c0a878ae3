"""The store that forgets, and the batch that both stores use; the durable one is in `sqlite_store`."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping

from lazai_core.api.errors import StorageError
from lazai_core.api.storage import KeyValueStore

KEY_BYTES_MAX = 480
VALUE_BYTES_MAX = 64 * 1024 * 1024


class MemoryStore:
    """`KeyValueStore` that forgets: for tests and for chains that need not last."""

    def __init__(self) -> None:
        self._entries: dict[bytes, bytes] = {}
        self._lock = threading.Lock()
        self._closed = False

    def get(self, key: bytes) -> bytes | None:
        """The value, or None."""
        self.require_open()
        return self._entries.get(key)

    def scan(self, prefix: bytes) -> Iterator[tuple[bytes, bytes]]:
        """Entries under `prefix` in ascending order of the key, as they are now."""
        self.require_open()
        # No reader sees half of a batch.
        with self._lock:
            found = sorted((key, value) for key, value in self._entries.items() if key.startswith(prefix))
        return iter(found)

    def batch(self) -> Batch:
        """A fresh batch."""
        self.require_open()
        return Batch(self._apply)

    def _apply(self, writes: Mapping[bytes, bytes | None]) -> None:
        """Take over the writes of a batch."""
        self.require_open()
        with self._lock:
            for key, value in writes.items():
                if value is None:
                    self._entries.pop(key, None)
                else:
                    self._entries[key] = value

    def require_open(self) -> None:
        """Raises StorageError once the store is closed."""
        if self._closed:
            raise StorageError("the store is closed")

    def close(self) -> None:
        """Forget everything. Idempotent."""
        self._closed = True
        self._entries = {}


class Batch:
    """`WriteBatch` that collects writes and hands them over at once; the last write of a key counts."""

    def __init__(self, apply: Callable[[Mapping[bytes, bytes | None]], None]) -> None:
        self._apply = apply
        self._writes: dict[bytes, bytes | None] | None = {}

    def put(self, key: bytes, value: bytes) -> None:
        """Set `key` when the batch is committed."""
        if len(value) > VALUE_BYTES_MAX:
            raise StorageError(f"a value has {len(value)} bytes, more than {VALUE_BYTES_MAX}")
        self._checked(key)[key] = value

    def delete(self, key: bytes) -> None:
        """Remove `key` when the batch is committed."""
        self._checked(key)[key] = None

    def commit(self) -> None:
        """Write everything or nothing; durable when it returns, if the store is. Raises StorageError.

        The batch is not usable after it.
        """
        self._apply(self._open())
        self._writes = None

    def _checked(self, key: bytes) -> dict[bytes, bytes | None]:
        if not 1 <= len(key) <= KEY_BYTES_MAX:
            raise StorageError(f"a key has {len(key)} bytes; it must have 1 to {KEY_BYTES_MAX}")
        return self._open()

    def _open(self) -> dict[bytes, bytes | None]:
        if self._writes is None:
            raise StorageError("the batch was committed already")
        return self._writes


def build_memory() -> KeyValueStore:
    """An empty store in memory."""
    return MemoryStore()
