"""Merkle trees: honest openings, and the classical confusions of leaves, nodes, depths and indices."""

from __future__ import annotations

from random import Random
from typing import Any

import numpy as np
import pytest

from lazai_proof_stark.merkle import (
    LEAF_KEY,
    NODE_KEY,
    MerkleTree,
    blake3_key,
    check_leaves,
    hash_leaves,
    padded_words,
    sibling_count,
)

Array = np.ndarray[Any, Any]


def rows_of(log_leaves: int, words: int = 16, seed: int = 0) -> Array:
    """Random rows."""
    return np.random.default_rng(seed).integers(0, 1 << 31, (1 << log_leaves, words), dtype=np.uint32)


def opened(log_leaves: int, cap_height: int, indices: list[int], words: int = 16) -> tuple[Array, MerkleTree, Array]:
    """Rows, their tree and the siblings of some leaves."""
    rows = rows_of(log_leaves, words)
    tree = MerkleTree.build(hash_leaves(rows), cap_height)
    return rows, tree, tree.siblings(indices)


@pytest.mark.parametrize(("log_leaves", "cap_height"), [(4, 0), (4, 4), (4, 9), (6, 2), (9, 4)])
def test_honest_openings(log_leaves: int, cap_height: int) -> None:
    random = Random(log_leaves)
    for count in (1, 2, 7, 1 << log_leaves):
        indices = sorted(random.sample(range(1 << log_leaves), min(count, 1 << log_leaves)))
        rows, tree, siblings = opened(log_leaves, cap_height, indices)
        assert len(siblings) == sibling_count(indices, log_leaves, cap_height)
        assert check_leaves(rows[indices], indices, log_leaves, siblings, tree.cap)
        assert len(tree.cap) == 1 << min(cap_height, log_leaves)


def test_against_another_implementation() -> None:
    blake3 = pytest.importorskip("blake3")
    rows, tree, _ = opened(4, 0, [0], words=20)
    padded = np.zeros((16, padded_words(20)), dtype=np.uint32)
    padded[:, :20] = rows
    level = [blake3.blake3(row.tobytes(), key=LEAF_KEY.tobytes()).digest() for row in padded]
    while len(level) > 1:
        pairs = zip(level[::2], level[1::2], strict=True)
        level = [blake3.blake3(a + b, key=NODE_KEY.tobytes()).digest() for a, b in pairs]
    assert tree.cap.tobytes() == level[0]


@pytest.mark.parametrize("word", [0, 7, 15])
def test_a_changed_row_or_sibling_or_cap_is_refused(word: int) -> None:
    indices = [1, 5, 6, 33]
    rows, tree, siblings = opened(6, 2, indices)
    for position in range(len(indices)):
        changed = rows[indices].copy()
        changed[position, word] ^= 1
        assert not check_leaves(changed, indices, 6, siblings, tree.cap)
    for position in range(len(siblings)):
        changed = siblings.copy()
        changed[position, word % 8] ^= 1
        assert not check_leaves(rows[indices], indices, 6, changed, tree.cap)
    cap = tree.cap.copy()
    cap[0, word % 8] ^= 1
    assert not check_leaves(rows[indices], indices, 6, siblings, cap)


def test_rows_at_other_places_are_refused() -> None:
    rows, tree, siblings = opened(6, 2, [3, 9])
    assert not check_leaves(rows[[9, 3]], [3, 9], 6, siblings, tree.cap)
    assert not check_leaves(rows[[3, 9]], [3, 8], 6, tree.siblings([3, 8]), tree.cap)
    assert not check_leaves(rows[[3, 3]], [3, 9], 6, siblings, tree.cap)


def test_an_index_beyond_the_depth_is_not_cut_off() -> None:
    """Index + 2^depth leads beyond the cap's end, or to another cap entry; it never passes for the index."""
    rows, tree, siblings = opened(6, 2, [3])
    wide = np.concatenate([tree.cap, tree.cap[::-1]])
    assert check_leaves(rows[[3]], [3], 6, siblings, tree.cap)
    assert not check_leaves(rows[[3]], [3 + 16], 6, siblings, tree.cap)
    assert not check_leaves(rows[[3]], [3 + 64], 7, siblings, wide)


def test_unused_and_missing_siblings_are_refused() -> None:
    indices = [2, 40]
    rows, tree, siblings = opened(6, 2, indices)
    extra = np.concatenate([siblings, siblings[:1]])
    assert not check_leaves(rows[indices], indices, 6, extra, tree.cap)
    assert not check_leaves(rows[indices], indices, 6, siblings[:-1], tree.cap)
    assert not check_leaves(rows[indices], indices, 6, siblings[:0], tree.cap)


def test_a_shorter_path_is_refused() -> None:
    """A node offered as a leaf one level up: two keys keep leaves and nodes apart, and the depth is the circuit's."""
    _, tree, _ = opened(6, 2, [0])
    nodes = tree.levels[0].reshape(32, 16)
    upper = MerkleTree(levels=tree.levels[1:], cap_height=2)
    assert not check_leaves(nodes[[0]], [0], 5, upper.siblings([0]), tree.cap)
    assert not np.array_equal(hash_leaves(nodes)[:, :], tree.levels[1])


def test_equal_leaves_at_two_places_need_both_paths() -> None:
    rows = rows_of(5)
    rows[7] = rows[20]
    tree = MerkleTree.build(hash_leaves(rows), 1)
    assert check_leaves(rows[[7, 20]], [7, 20], 5, tree.siblings([7, 20]), tree.cap)
    assert not check_leaves(rows[[7]], [20], 5, tree.siblings([7]), tree.cap)


def test_uses_of_the_hash_have_different_keys() -> None:
    names = ["merkle leaf", "merkle node", "grinding"]
    assert len({blake3_key(name).tobytes() for name in names}) == len(names)
    rows = rows_of(4)
    assert not np.array_equal(hash_leaves(rows), MerkleTree.build(rows.reshape(32, 8), 4).levels[-1])


def test_short_rows_are_filled_with_zeros_and_only_their_length_tells() -> None:
    """Lengths are fixed by the circuit: within one tree all rows are of one length, so filling is no confusion."""
    rows = rows_of(4, words=20)
    filled = np.zeros((16, 32), dtype=np.uint32)
    filled[:, :20] = rows
    assert np.array_equal(hash_leaves(rows), hash_leaves(filled))
    changed = rows.copy()
    changed[0, 19] ^= 1
    assert not np.array_equal(hash_leaves(rows)[0], hash_leaves(changed)[0])
