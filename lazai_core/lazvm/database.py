"""The state database: trie nodes and code by hash, read from the store, written to a layer on top of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from lazai_core.api.errors import EncodingError, StorageError
from lazai_core.api.storage import KeyValueStore
from lazai_core.chain.history import STATE_PREFIX
from lazai_core.chain.rlp_codec import Item, decode, to_list
from lazai_core.chain.trie import EMPTY_ROOT

ENTRIES_CACHED_MAX = 50_000
NODES_CACHED_MAX = 20_000
_HINT = "the data folder is damaged; synchronise from peers into an empty folder"


class NodeReader:
    """Entries by hash with bounded caches; what was written once never changes."""

    def __init__(self, store: KeyValueStore) -> None:
        self._store = store
        self._entries: dict[bytes, bytes] = {}
        self._nodes: dict[bytes, Sequence[Item]] = {}

    def get(self, key: bytes) -> bytes | None:
        """The stored bytes, or None."""
        value = self._entries.get(key)
        if value is None:
            value = self._store.get(STATE_PREFIX + key)
            if value is not None:
                self.remember({key: value})
        return value

    def node(self, digest: bytes) -> Sequence[Item]:
        """The decoded trie node; it must not be changed. Raises StorageError when the store lacks it."""
        found = self._nodes.get(digest)
        if found is None:
            found = _decoded(digest, self.get(digest))
            if len(self._nodes) >= NODES_CACHED_MAX:
                self._nodes = dict(list(self._nodes.items())[NODES_CACHED_MAX // 2 :])
            self._nodes[digest] = found
        return found

    def remember(self, entries: Mapping[bytes, bytes]) -> None:
        """Keep entries in the cache; when it is full the older half goes."""
        if len(self._entries) + len(entries) > ENTRIES_CACHED_MAX:
            self._entries = dict(list(self._entries.items())[ENTRIES_CACHED_MAX // 2 :])
        self._entries.update(entries)


class StateDatabase:
    """Entries of the store with a layer of new ones on top; `written` is that layer."""

    def __init__(self, reader: NodeReader) -> None:
        self._reader = reader
        self.written: dict[bytes, bytes] = {}

    def __getitem__(self, key: bytes) -> bytes:
        value = self.written.get(key)
        if value is None:
            value = self._reader.get(key)
        if value is None:
            raise KeyError(key)
        return value

    def __setitem__(self, key: bytes, value: bytes) -> None:
        self.written[key] = value

    def __contains__(self, key: bytes) -> bool:
        return key in self.written or self._reader.get(key) is not None

    def node(self, digest: bytes) -> Sequence[Item]:
        """The decoded trie node; it must not be changed. Raises StorageError when it is not there."""
        encoded = self.written.get(digest)
        return self._reader.node(digest) if encoded is None else _decoded(digest, encoded)


def _decoded(digest: bytes, encoded: bytes | None) -> Sequence[Item]:
    if encoded is None:
        raise StorageError(f"the store lacks the state node 0x{digest.hex()}", hint=_HINT)
    try:
        return to_list(decode(encoded))
    except EncodingError as cause:
        raise StorageError(f"the state node 0x{digest.hex()} cannot be read: {cause.message}", hint=_HINT) from cause


def require_root(reader: NodeReader, state_root: bytes) -> None:
    """Raises StorageError when the store does not hold this state."""
    if state_root != EMPTY_ROOT:
        reader.node(state_root)
