"""Batched trie updates against the `trie` package, which inserts one key after the other."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence

import pytest
from trie import HexaryTrie

from lazai_core.api.errors import StorageError
from lazai_core.builtin.stores import MemoryStore
from lazai_core.chain.rlp_codec import Item, decode, to_list
from lazai_core.chain.trie import EMPTY_ROOT
from lazai_core.lazvm.database import NodeReader, StateDatabase
from lazai_core.lazvm.state_trie import read, update


class Nodes:
    def __init__(self) -> None:
        self.written: dict[bytes, bytes] = {}

    def load(self, digest: bytes) -> Sequence[Item]:
        return to_list(decode(self.written[digest]))


def random_key(case: random.Random, key_bytes: int) -> bytes:
    """Few different bytes, at either end, so that keys share long prefixes."""
    digits = bytes(case.randrange(256) & (0x11 if key_bytes < 3 else 0xFF) for _ in range(key_bytes))
    return digits.rjust(32, b"\x00") if case.random() < 0.5 else digits.ljust(32, b"\x00")


def random_changes(case: random.Random, known: Mapping[bytes, bytes], key_bytes: int) -> dict[bytes, bytes]:
    changes = {}
    for _ in range(case.randrange(1, 30)):
        fresh = case.random() < 0.6 or not known
        key = random_key(case, key_bytes) if fresh else case.choice(sorted(known))
        short = case.choice((1, 2, 33, 80))
        changes[key] = b"" if case.random() < 0.4 else bytes([case.randrange(1, 256)]) * short
    return changes


@pytest.mark.parametrize("seed", range(80))
def test_roots_and_values_equal_the_reference(seed: int) -> None:
    case = random.Random(seed)
    key_bytes = case.choice((1, 2, 4, 8, 32))
    reference, nodes, root = HexaryTrie({}), Nodes(), bytes(EMPTY_ROOT)
    model: dict[bytes, bytes] = {}
    for _ in range(case.randrange(1, 8)):
        changes = random_changes(case, model, key_bytes)
        root = update(nodes.load, root, changes, nodes.written)
        for key, value in changes.items():
            if value:
                model[key] = reference[key] = value
            elif model.pop(key, None) is not None:
                del reference[key]

        assert root == reference.root_hash
        for key in [*model, *(random_key(case, key_bytes) for _ in range(5))]:
            assert read(nodes.load, root, key) == model.get(key, b"")


def test_old_roots_stay_readable() -> None:
    nodes, key = Nodes(), b"\x01" * 32
    first = update(nodes.load, EMPTY_ROOT, {key: b"old"}, nodes.written)
    second = update(nodes.load, first, {key: b"new"}, nodes.written)
    third = update(nodes.load, second, {key: b""}, nodes.written)

    assert (read(nodes.load, first, key), read(nodes.load, second, key)) == (b"old", b"new")
    assert third == EMPTY_ROOT


def test_a_missing_node_is_a_storage_error() -> None:
    database = StateDatabase(NodeReader(MemoryStore()))

    with pytest.raises(StorageError, match="lacks the state node"):
        read(database.node, b"\x07" * 32, bytes(32))


def test_a_damaged_node_is_a_storage_error() -> None:
    database = StateDatabase(NodeReader(MemoryStore()))
    database[b"\x07" * 32] = b"\xc5junk"

    with pytest.raises(StorageError, match="cannot be read"):
        read(database.node, b"\x07" * 32, bytes(32))
