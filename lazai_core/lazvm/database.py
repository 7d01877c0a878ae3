"""A key-value store as py-evm's atomic database: reads go through, writes stay in memory until a block is committed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from lazai_core.api.errors import StorageError
from lazai_core.api.storage import KeyValueStore
from lazai_core.chain.history import STATE_PREFIX

from .engine import BaseAtomicDB

CACHE_ENTRIES_MAX = 50_000


class NodeReader:
    """Trie nodes and code by hash, with a bounded cache; both never change once written."""

    def __init__(self, store: KeyValueStore) -> None:
        self._store = store
        self._cache: dict[bytes, bytes] = {}

    def get(self, key: bytes) -> bytes | None:
        """The stored value, or None."""
        value = self._cache.get(key)
        if value is None:
            value = self._store.get(STATE_PREFIX + key)
            if value is not None:
                self.remember({key: value})
        return value

    def remember(self, nodes: Mapping[bytes, bytes]) -> None:
        """Keep `nodes` in the cache; when it is full the older half goes."""
        if len(self._cache) + len(nodes) > CACHE_ENTRIES_MAX:
            self._cache = dict(list(self._cache.items())[CACHE_ENTRIES_MAX // 2 :])
        self._cache.update(nodes)


class StateDatabase(BaseAtomicDB):  # type: ignore[misc]
    """Nodes of the store with a layer of new ones on top; `written` is that layer.

    Deleting takes a node out of the layer only: older states stay readable.
    """

    def __init__(self, nodes: NodeReader) -> None:
        self._nodes = nodes
        self.written: dict[bytes, bytes] = {}

    def __getitem__(self, key: bytes) -> bytes:
        value = self.written.get(key)
        if value is None:
            value = self._nodes.get(key)
        if value is None:
            raise KeyError(key)
        return value

    def __setitem__(self, key: bytes, value: bytes) -> None:
        self.written[key] = value

    def __delitem__(self, key: bytes) -> None:
        self.written.pop(key, None)

    def _exists(self, key: bytes) -> bool:
        return key in self.written or self._nodes.get(key) is not None

    @contextmanager
    def atomic_batch(self) -> Iterator[StateDatabase]:
        """The layer itself: it is thrown away as a whole when a block fails."""
        yield self


def require_root(nodes: NodeReader, state_root: bytes, empty_root: bytes) -> None:
    """Raises StorageError when the store does not hold this state."""
    if state_root != empty_root and nodes.get(state_root) is None:
        raise StorageError(
            f"the store holds no state with root 0x{state_root.hex()}",
            hint="the data folder is damaged; synchronise from peers into an empty folder",
        )
