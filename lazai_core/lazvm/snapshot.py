"""A state put together from entries that come in any order, and the moment at which a store begins to have a chain.

An entry is written only after everything below it, so that one that is in the store stands for a whole subtree, also
after a crash. What names the head is written last, in one batch: until then the store has no chain at all.

Code and nodes share one space of hashes, and anybody may deploy the bytes of somebody's trie node as code. Code has
nothing below it; what could be read as a node is marked as code alone, and does not stand for the node's subtree.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from enum import IntEnum

from attrs import define, field, frozen

from lazai_core.api.consensus import Validator
from lazai_core.api.errors import EncodingError
from lazai_core.api.hashing import keccak256
from lazai_core.api.storage import KeyValueStore
from lazai_core.api.types import Hash32
from lazai_core.chain.block import Block
from lazai_core.chain.history import FIRST_KEY, GENESIS_KEY, HEAD_KEY, STATE_PREFIX, ChainHistory
from lazai_core.chain.rlp_codec import Item, decode, to_bytes, to_list
from lazai_core.chain.trie import EMPTY_ROOT

from .accounts import EMPTY_CODE_HASH, Account

BUFFERED_MAX = 1000
BUFFERED_BYTES_MAX = 4 << 20
CODE_ALONE_PREFIX = b"k"
"""Before the hash of code that could be read as a node, until the node's subtree is there too, or the chain begins."""
LIST_FROM = 0xC0
"""First byte of an encoded list, and so of every trie node."""


class EntryKind(IntEnum):
    """What an entry of the state is: how to read what lies below it."""

    ACCOUNTS = 0
    STORAGE = 1
    CODE = 2


def references(kind: EntryKind, data: bytes) -> list[tuple[EntryKind, Hash32]]:
    """Entries that this one needs below it. Raises EncodingError for what no state holds."""
    found: list[tuple[EntryKind, Hash32]] = []
    if kind is not EntryKind.CODE:
        _walk(kind, to_list(decode(data)), found)
    return found


def _walk(kind: EntryKind, node: Sequence[Item], found: list[tuple[EntryKind, Hash32]]) -> None:
    if len(node) == 17:
        for child in node[:16]:
            _below(kind, child, found)
    elif len(node) == 2:
        path = to_bytes(node[0])
        if not path:
            raise EncodingError("a trie node has an empty path")
        if path[0] >> 4 < 2:
            _below(kind, node[1], found)
        elif kind is EntryKind.ACCOUNTS:
            account = Account.decode(to_bytes(node[1]))
            if account.storage_root != EMPTY_ROOT:
                found.append((EntryKind.STORAGE, Hash32(to_bytes(account.storage_root, 32))))
            if account.code_hash != EMPTY_CODE_HASH:
                found.append((EntryKind.CODE, Hash32(to_bytes(account.code_hash, 32))))
    else:
        raise EncodingError(f"a trie node has 2 or 17 items, not {len(node)}")


def _below(kind: EntryKind, child: Item, found: list[tuple[EntryKind, Hash32]]) -> None:
    if not isinstance(child, bytes):
        _walk(kind, child, found)
    elif child:
        found.append((kind, Hash32(to_bytes(child, 32))))


@define(kw_only=True, eq=False)
class _Entry:
    """An entry that is wanted, or that waits for what lies below it."""

    digest: Hash32
    kind: EntryKind
    parents: list[_Entry] = field(factory=list)
    data: bytes | None = None
    missing: int = 0


@frozen(kw_only=True)
class _Written:
    """A complete entry on its way into the store; alone where only its code is known to be complete."""

    data: bytes
    is_code_alone: bool


class StateBuilder:
    """Says which entries of a state are wanted next, takes them in, and writes them from below."""

    def __init__(self, store: KeyValueStore, root: Hash32) -> None:
        self._store = store
        self._entries: dict[tuple[EntryKind, Hash32], _Entry] = {}
        self._stack: list[Hash32] = []
        self._buffer: dict[Hash32, _Written] = {}
        self._buffer_bytes = 0
        self._has_code_alone = next(store.scan(CODE_ALONE_PREFIX), None) is not None
        self.added = 0
        self.added_bytes = 0
        if root != EMPTY_ROOT and not self._is_whole(EntryKind.ACCOUNTS, root):
            self._want(EntryKind.ACCOUNTS, root)

    @property
    def is_whole(self) -> bool:
        """Whether everything is in the store."""
        return not self._entries and not self._buffer

    @property
    def open_entries(self) -> int:
        """Entries that are wanted or wait for others: what is held in memory."""
        return len(self._entries)

    def wanted(self, count_max: int) -> list[Hash32]:
        """The next entries to fetch; the caller gives those back that do not come."""
        taken = self._stack[-count_max:]
        del self._stack[len(self._stack) - len(taken) :]
        return taken

    def put_back(self, digests: Iterable[Hash32]) -> None:
        """These did not come; they are wanted again."""
        self._stack.extend(digest for digest in digests if self._awaited(digest))

    def _awaited(self, digest: Hash32) -> list[_Entry]:
        """What the bytes with this hash are wanted as."""
        found = (self._entries.get((kind, digest)) for kind in EntryKind)
        return [entry for entry in found if entry is not None and entry.data is None]

    def add(self, data: bytes) -> bool:
        """Take an entry in; False where it is not wanted. Raises EncodingError for a state that nobody can have."""
        entries = self._awaited(Hash32(keccak256(data)))
        if not entries:
            return False
        self.added += 1
        self.added_bytes += len(data)
        for entry in entries:
            entry.data = data
            for kind, below in dict.fromkeys(references(entry.kind, data)):
                if not self._is_whole(kind, below):
                    entry.missing += 1
                    self._want(kind, below).parents.append(entry)
            if not entry.missing:
                self._complete(entry)
        return True

    def _want(self, kind: EntryKind, digest: Hash32) -> _Entry:
        entry = self._entries.get((kind, digest))
        if entry is None:
            if not self._awaited(digest):
                self._stack.append(digest)
            entry = _Entry(digest=digest, kind=kind)
            self._entries[kind, digest] = entry
        return entry

    def _is_whole(self, kind: EntryKind, digest: Hash32) -> bool:
        """Whether the entry and all that this kind of it has below it are here."""
        written = self._buffer.get(digest)
        if written is not None:
            return kind is EntryKind.CODE or not written.is_code_alone
        if self._store.get(STATE_PREFIX + digest) is None:
            return False
        return kind is EntryKind.CODE or not self._was_code_alone(digest)

    def _was_code_alone(self, digest: Hash32) -> bool:
        return self._has_code_alone and self._store.get(CODE_ALONE_PREFIX + digest) is not None

    def _complete(self, first: _Entry) -> None:
        done = [first]
        while done:
            entry = done.pop()
            del self._entries[entry.kind, entry.digest]
            self._write(entry)
            for parent in entry.parents:
                parent.missing -= 1
                if not parent.missing:
                    done.append(parent)
        if len(self._buffer) >= BUFFERED_MAX or self._buffer_bytes >= BUFFERED_BYTES_MAX or not self._entries:
            self.flush()

    def _write(self, entry: _Entry) -> None:
        data = entry.data
        assert data is not None, "only what has come is complete"
        is_code = entry.kind is EntryKind.CODE
        if is_code and self._is_whole(EntryKind.CODE, entry.digest):
            # A node with the same bytes was complete before; it stands for more.
            return
        old = self._buffer.get(entry.digest)
        self._buffer[entry.digest] = _Written(data=data, is_code_alone=is_code and data[0] >= LIST_FROM)
        self._buffer_bytes += len(data) if old is None else 0

    def flush(self) -> None:
        """Write what is complete. What is below an entry is written with it or before it."""
        if not self._buffer:
            return
        batch = self._store.batch()
        for digest, written in self._buffer.items():
            batch.put(STATE_PREFIX + digest, written.data)
            if written.is_code_alone:
                self._has_code_alone = True
                batch.put(CODE_ALONE_PREFIX + digest, b"\x01")
            elif self._was_code_alone(digest):
                batch.delete(CODE_ALONE_PREFIX + digest)
        batch.commit()
        self._buffer, self._buffer_bytes = {}, 0


def begin_chain(
    store: KeyValueStore,
    *,
    genesis_hash: Hash32,
    block: Block,
    certificate: bytes,
    sets: Iterable[tuple[Validator, ...]],
) -> None:
    """Let the chain begin at this block, in one batch. State, headers before it and their sets are there already.

    The block's transactions and receipts are not indexed: nothing here has executed them.
    """
    history = ChainHistory(store)
    height = block.height.to_bytes(8, "big")
    batch = store.batch()
    for members in sets:
        history.put_validators(batch, members)
    history.put_header(batch, block.header)
    batch.put(b"b" + height, block.encode())
    batch.put(b"i" + height, block.hash)
    batch.put(b"n" + block.hash, height)
    batch.put(b"c" + height, certificate)
    batch.put(FIRST_KEY, height)
    batch.put(GENESIS_KEY, genesis_hash)
    batch.put(HEAD_KEY, height)
    for key, _ in store.scan(CODE_ALONE_PREFIX):
        batch.delete(key)
    batch.commit()


def missing_entries(store: KeyValueStore, root: Hash32) -> Iterator[Hash32]:
    """Entries of a state that the store lacks: none where the state is whole. Reads all of it."""
    waiting = [] if root == EMPTY_ROOT else [(EntryKind.ACCOUNTS, root)]
    # Code and a node may be the same bytes, and only the node has something below it.
    seen: set[tuple[EntryKind, Hash32]] = set()
    while waiting:
        kind, digest = waiting.pop()
        if (kind, digest) in seen:
            continue
        seen.add((kind, digest))
        data = store.get(STATE_PREFIX + digest)
        if data is None:
            yield digest
        else:
            waiting += references(kind, data)
