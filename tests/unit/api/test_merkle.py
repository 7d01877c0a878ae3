"""The Merkle tree refuses everything but the right leaf at the right place (attack class 24)."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lazai_core.api.encoding import domain_hash
from lazai_core.api.errors import EncodingError
from lazai_core.api.merkle import merkle_path, merkle_root, verify_merkle_path

LEAVES = [b"leaf %d" % index for index in range(13)]


@pytest.mark.parametrize("count", range(1, 14))
def test_every_leaf_has_a_path(count: int) -> None:
    leaves = LEAVES[:count]
    root = merkle_root(leaves)
    for index, leaf in enumerate(leaves):
        assert verify_merkle_path(root, leaf, index, count, merkle_path(leaves, index))


def test_another_index_count_leaf_or_root_is_refused() -> None:
    root, path = merkle_root(LEAVES), merkle_path(LEAVES, 5)
    assert not verify_merkle_path(root, b"other", 5, 13, path)
    assert not verify_merkle_path(root, LEAVES[5], 4, 13, path)
    assert not verify_merkle_path(root, LEAVES[5], 5, 14, path)
    assert not verify_merkle_path(bytes(32), LEAVES[5], 5, 13, path)


def test_index_beyond_the_tree_is_refused_not_truncated() -> None:
    root, path = merkle_root(LEAVES[:4]), merkle_path(LEAVES[:4], 1)
    with pytest.raises(EncodingError):
        verify_merkle_path(root, LEAVES[1], 1 + 4, 4, path)


def test_shorter_and_longer_paths_are_refused() -> None:
    root, path = merkle_root(LEAVES), merkle_path(LEAVES, 5)
    with pytest.raises(EncodingError):
        verify_merkle_path(root, LEAVES[5], 5, 13, path[:-1])
    with pytest.raises(EncodingError):
        verify_merkle_path(root, LEAVES[5], 5, 13, (*path, bytes(32)))


def test_a_leaf_that_spells_two_nodes_is_no_node() -> None:
    left, right = (domain_hash("lazai/merkle/leaf/v1", leaf) for leaf in LEAVES[:2])
    assert merkle_root([left + right]) != merkle_root(LEAVES[:2])


def test_the_last_leaf_is_not_duplicated() -> None:
    assert merkle_root(LEAVES[:3]) != merkle_root([*LEAVES[:3], LEAVES[2]])


@settings(max_examples=50, deadline=None)
@given(st.lists(st.binary(max_size=8), min_size=1, max_size=20), st.data())
def test_any_changed_sibling_is_refused(leaves: list[bytes], data: st.DataObject) -> None:
    index = data.draw(st.integers(0, len(leaves) - 1))
    path = list(merkle_path(leaves, index))
    if path:
        level = data.draw(st.integers(0, len(path) - 1))
        path[level] = bytes([path[level][0] ^ 1]) + path[level][1:]
        assert not verify_merkle_path(merkle_root(leaves), leaves[index], index, len(leaves), path)
