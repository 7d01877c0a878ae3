"""Binary Merkle tree over byte strings, with the number of leaves bound into the root.

Leaves and nodes are hashed under different domains, a lone node is carried up unchanged, and the root covers the
count, so that neither a node nor a leaf of another depth nor a shorter tree can stand in (zk.md 5, row 24).
"""

from __future__ import annotations

from collections.abc import Sequence

from .encoding import domain_hash
from .errors import EncodingError
from .types import Hash32

_LEAF = "lazai/merkle/leaf/v1"
_NODE = "lazai/merkle/node/v1"
_ROOT = "lazai/merkle/root/v1"

DEPTH_MAX = 32


def _levels(leaves: Sequence[bytes]) -> list[list[bytes]]:
    levels = [[domain_hash(_LEAF, leaf) for leaf in leaves]]
    while len(levels[-1]) > 1:
        below = levels[-1]
        above = [domain_hash(_NODE, below[i], below[i + 1]) for i in range(0, len(below) - 1, 2)]
        if len(below) % 2:
            above.append(below[-1])
        levels.append(above)
    return levels


def _root(count: int, top: bytes) -> Hash32:
    return Hash32(domain_hash(_ROOT, count.to_bytes(8, "big"), top))


def merkle_root(leaves: Sequence[bytes]) -> Hash32:
    """Root over the leaves in order; the empty tree has a root of its own."""
    levels = _levels(leaves)
    return _root(len(leaves), levels[-1][0] if leaves else b"")


def merkle_path(leaves: Sequence[bytes], index: int) -> tuple[bytes, ...]:
    """Sibling hashes from the leaf `index` up to the top; a level without a sibling adds none."""
    if not 0 <= index < len(leaves):
        raise IndexError(f"leaf {index} of {len(leaves)}")
    return _path(_levels(leaves), index)


def merkle_tree(leaves: Sequence[bytes]) -> tuple[Hash32, tuple[tuple[bytes, ...], ...]]:
    """Root and the path of every leaf in order, each leaf hashed once."""
    levels = _levels(leaves)
    root = _root(len(leaves), levels[-1][0] if leaves else b"")
    return root, tuple(_path(levels, index) for index in range(len(leaves)))


def _path(levels: list[list[bytes]], index: int) -> tuple[bytes, ...]:
    path = []
    for level in levels[:-1]:
        sibling = index ^ 1
        if sibling < len(level):
            path.append(level[sibling])
        index //= 2
    return tuple(path)


def verify_merkle_path(root: bytes, leaf: bytes, index: int, count: int, path: Sequence[bytes]) -> bool:
    """Whether `leaf` is number `index` of the `count` leaves under `root`.

    Raises EncodingError when the path's shape cannot belong to such a tree at all.
    """
    if not 0 <= index < count or count > 1 << DEPTH_MAX:
        raise EncodingError(f"leaf {index} of {count} is outside the tree")
    node = domain_hash(_LEAF, leaf)
    remaining = list(path)
    position, width = index, count
    while width > 1:
        sibling = position ^ 1
        if sibling < width:
            if not remaining:
                raise EncodingError("the Merkle path is too short")
            other = remaining.pop(0)
            node = domain_hash(_NODE, other, node) if position % 2 else domain_hash(_NODE, node, other)
        position //= 2
        width = (width + 1) // 2
    if remaining:
        raise EncodingError("the Merkle path is too long")
    return _root(count, node) == root
