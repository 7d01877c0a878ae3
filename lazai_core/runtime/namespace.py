"""A part of a store under a prefix, so that its user cannot touch anybody else's keys."""

from __future__ import annotations

from collections.abc import Iterator

from lazai_core.api.storage import KeyValueStore, WriteBatch


class _PrefixedBatch:
    def __init__(self, batch: WriteBatch, prefix: bytes) -> None:
        self._batch = batch
        self._prefix = prefix

    def put(self, key: bytes, value: bytes) -> None:
        self._batch.put(self._prefix + key, value)

    def delete(self, key: bytes) -> None:
        self._batch.delete(self._prefix + key)

    def commit(self) -> None:
        self._batch.commit()


class PrefixedStore:
    """`KeyValueStore` over the keys of another one that start with `prefix`."""

    def __init__(self, store: KeyValueStore, prefix: bytes) -> None:
        self._store = store
        self._prefix = prefix

    def get(self, key: bytes) -> bytes | None:
        """The value, or None."""
        return self._store.get(self._prefix + key)

    def scan(self, prefix: bytes) -> Iterator[tuple[bytes, bytes]]:
        """Entries in ascending order of key, without the namespace."""
        cut = len(self._prefix)
        return ((key[cut:], value) for key, value in self._store.scan(self._prefix + prefix))

    def batch(self) -> WriteBatch:
        """Writes inside the namespace."""
        return _PrefixedBatch(self._store.batch(), self._prefix)

    def close(self) -> None:
        """Nothing: the store belongs to whoever opened it."""
