"""Merkle trees over rows of field elements, with BLAKE3 under different keys for leaves and nodes.

Every tree has 2^k leaves, at least sixteen; the top `2^cap_height` nodes stand in place of the root, which saves the
upper
levels of every path. Leaf and node cannot be confused (two keys), nor can depth or index: the verifier knows both from
the circuit.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np
from attrs import frozen

from . import workspace
from .kernels.arrays import Words
from .kernels.hashing import hash_rows, sibling_places, verify_paths
from .workers import split

LEAVES_MIN = 16
HASH_RANGE_MIN = 1024


def blake3_key(name: str) -> Words:
    """The key of one use of BLAKE3: SHA-256 of its name."""
    return np.frombuffer(hashlib.sha256(f"lazai/stark/{name}/v1".encode()).digest(), dtype="<u4").astype(np.uint32)


LEAF_KEY, NODE_KEY = blake3_key("merkle leaf"), blake3_key("merkle node")


def padded_words(words: int) -> int:
    """Rows are hashed in whole 64-byte blocks; shorter ones are filled up with zeros."""
    return -(-words // 16) * 16


def hash_leaves(rows: Words) -> Words:
    """Digests `uint32[n, 8]` of rows `uint32[n, words]`; n a multiple of sixteen."""
    count, words = rows.shape
    if words % 16:
        filled = workspace.room((count, padded_words(words)))
        filled[:, :words], filled[:, words:] = rows, 0
        rows = filled
    digests = workspace.room((count, 8))
    split(
        count,
        lambda begin, end: hash_rows(rows, LEAF_KEY, digests, begin, end),
        multiple=16,
        smallest=HASH_RANGE_MIN,
    )
    return digests


@frozen(eq=False)
class MerkleTree:
    """All levels, leaves' digests first, up to the cap."""

    levels: tuple[Words, ...]
    cap_height: int

    @classmethod
    def build(cls, leaf_digests: Words, cap_height: int) -> MerkleTree:
        """Tree over `uint32[2^k, 8]` digests; the cap is no lower than the leaves."""
        log_leaves = len(leaf_digests).bit_length() - 1
        cap_height = min(cap_height, log_leaves)
        levels = [leaf_digests]
        while len(levels[-1]) > 1 << cap_height:
            below = levels[-1]
            pairs = below.reshape(len(below) // 2, 16)
            count = len(pairs)
            if count % 16:
                pairs = np.concatenate([pairs, np.zeros((-count % 16, 16), dtype=np.uint32)])
            above = workspace.room((len(pairs), 8))

            def run(begin: int, end: int, below: Words = pairs, target: Words = above) -> None:
                hash_rows(below, NODE_KEY, target, begin, end)

            split(len(pairs), run, multiple=16, smallest=HASH_RANGE_MIN)
            levels.append(above[:count])
        return cls(tuple(levels), cap_height)

    @property
    def cap(self) -> Words:
        """The commitment, `uint32[2^cap_height, 8]`."""
        return self.levels[-1]

    def siblings(self, indices: Sequence[int]) -> Words:
        """What a verifier needs beside the leaves at these ascending distinct indices."""
        places = np.array(indices, dtype=np.int64)
        log_leaves = len(self.levels[0]).bit_length() - 1
        room = max(1, len(places) * max(1, log_leaves))
        levels, nodes = np.empty(room, dtype=np.int64), np.empty(room, dtype=np.int64)
        needed = sibling_places(places, log_leaves, self.cap_height, levels, nodes)
        result = np.empty((needed, 8), dtype=np.uint32)
        for level in range(log_leaves - self.cap_height):
            mine = levels[:needed] == level
            result[mine] = self.levels[level][nodes[:needed][mine]]
        return result


def sibling_count(indices: Sequence[int], log_leaves: int, cap_height: int) -> int:
    """How many siblings a proof for these indices holds: the verifier reads exactly as many."""
    places = np.array(indices, dtype=np.int64)
    room = max(1, len(places) * max(1, log_leaves))
    return int(
        sibling_places(
            places, log_leaves, min(cap_height, log_leaves), np.empty(room, np.int64), np.empty(room, np.int64)
        )
    )


def check_leaves(rows: Words, indices: Sequence[int], log_leaves: int, siblings: Words, cap: Words) -> bool:
    """Whether the rows at these ascending distinct indices are under the cap, all siblings used."""
    count = len(indices)
    padded = np.zeros((-(-count // 16) * 16, rows.shape[1]), dtype=np.uint32)
    padded[:count] = rows
    digests = hash_leaves(padded)[:count]
    cap_height = len(cap).bit_length() - 1
    places = np.array(indices, dtype=np.int64)
    used = verify_paths(digests, places, log_leaves, cap_height, siblings, cap, NODE_KEY)
    return bool(used == len(siblings))
