"""Merkle Patricia tries over whole lists: root, proof and check (Ethereum yellow paper, appendix D).

A block's transaction and receipt tries are built once from all their items, so that building bottom-up replaces
inserting one by one; the state trie is py-evm's.
"""

from __future__ import annotations

from collections.abc import Sequence

from lazai_core.api.errors import EncodingError
from lazai_core.api.hashing import keccak256
from lazai_core.api.types import Hash32

from .rlp_codec import Item, decode, encode, integer, to_bytes, to_list

EMPTY_ROOT = Hash32(bytes.fromhex("56e81f171bcc55a6ff8345e692c0f86e5b48e01b996cadc001622fb5e363b421"))

_Pair = tuple[bytes, bytes]
"""Nibbles of the key, one a byte, and the value."""


def list_key(index: int) -> bytes:
    """Key of item `index` in a trie that stands for a list."""
    return encode(integer(index))


def list_root(items: Sequence[bytes]) -> Hash32:
    """Root of the trie that maps each index to its item. Items are not empty."""
    return list_root_and_proof(items, None)[0]


def list_proof(items: Sequence[bytes], index: int) -> tuple[bytes, ...]:
    """Encoded nodes from the root to item `index`, those embedded in their parent left out."""
    if not 0 <= index < len(items):
        raise IndexError(f"item {index} of {len(items)}")
    return list_root_and_proof(items, index)[1]


def list_root_and_proof(items: Sequence[bytes], index: int | None) -> tuple[Hash32, tuple[bytes, ...]]:
    """Root, and the proof of item `index` (empty where there is none)."""
    if not items:
        return EMPTY_ROOT, ()
    pairs = sorted((_nibbles(list_key(position)), value) for position, value in enumerate(items))
    wanted = None if index is None else _nibbles(list_key(index))
    proof: list[bytes] = []
    encoded = encode(_node(pairs, 0, wanted, proof))
    if wanted is not None:
        proof.append(encoded)
    return keccak256(encoded), tuple(reversed(proof))


def _nibbles(key: bytes) -> bytes:
    return bytes(nibble for byte in key for nibble in (byte >> 4, byte & 15))


def _hex_prefix(nibbles: bytes, is_leaf: bool) -> bytes:
    flag = 2 if is_leaf else 0
    padded = bytes((flag + 1,)) + nibbles if len(nibbles) % 2 else bytes((flag, 0)) + nibbles
    return bytes(padded[i] << 4 | padded[i + 1] for i in range(0, len(padded), 2))


def _node(pairs: Sequence[_Pair], depth: int, wanted: bytes | None, proof: list[bytes]) -> Item:
    """The node over `pairs`, sorted, which agree in their first `depth` nibbles."""
    if len(pairs) == 1:
        return [_hex_prefix(pairs[0][0][depth:], True), pairs[0][1]]
    first, last = pairs[0][0], pairs[-1][0]
    common = depth
    while common < min(len(first), len(last)) and first[common] == last[common]:
        common += 1
    if common > depth:
        below = _reference(pairs, common, wanted, proof)
        return [_hex_prefix(first[depth:common], False), below]
    return _branch(pairs, depth, wanted, proof)


def _branch(pairs: Sequence[_Pair], depth: int, wanted: bytes | None, proof: list[bytes]) -> Item:
    value, start = b"", 0
    if len(pairs[0][0]) == depth:
        value, start = pairs[0][1], 1
    children: list[Item] = [b""] * 16
    while start < len(pairs):
        nibble, end = pairs[start][0][depth], start
        while end < len(pairs) and pairs[end][0][depth] == nibble:
            end += 1
        children[nibble] = _reference(pairs[start:end], depth + 1, wanted, proof)
        start = end
    return [*children, value]


def _reference(pairs: Sequence[_Pair], depth: int, wanted: bytes | None, proof: list[bytes]) -> Item:
    node = _node(pairs, depth, wanted, proof)
    encoded = encode(node)
    if len(encoded) < 32:
        return node
    if wanted is not None and wanted[:depth] == pairs[0][0][:depth]:
        proof.append(encoded)
    return keccak256(encoded)


def prove_list_item(root: bytes, index: int, proof: Sequence[bytes]) -> bytes:
    """The item that `proof` shows at `index` under `root`.

    Raises EncodingError when it shows none: a wrong hash, a wrong path, or nodes that are not needed.
    """
    remaining = list(proof)
    node = _take(root, remaining)
    path = _nibbles(list_key(index))
    while True:
        parts = to_list(node)
        if len(parts) == 17:
            if not path:
                below = parts[16]
                break
            below, path = parts[path[0]], path[1:]
        elif len(parts) == 2:
            nibbles, is_leaf = _from_hex_prefix(to_bytes(parts[0]))
            if path[: len(nibbles)] != nibbles or (is_leaf and path != nibbles):
                raise EncodingError("the trie proof leads to another key")
            below, path = parts[1], path[len(nibbles) :]
            if is_leaf:
                break
        else:
            raise EncodingError(f"a trie node has 2 or 17 items, not {len(parts)}")
        node = below if not isinstance(below, bytes) else _take(below, remaining)
    value = to_bytes(below)
    if remaining or not value:
        raise EncodingError("the trie proof holds nodes that are not needed, or no value")
    return value


def _take(digest: bytes, remaining: list[bytes]) -> Item:
    if len(digest) != 32 or not remaining:
        raise EncodingError("the trie proof ends before the item")
    encoded = remaining.pop(0)
    if keccak256(encoded) != digest:
        raise EncodingError("a node of the trie proof has another hash than its parent says")
    return decode(encoded)


def _from_hex_prefix(data: bytes) -> tuple[bytes, bool]:
    nibbles = _nibbles(data)
    if len(nibbles) < 2 or nibbles[0] > 3 or (nibbles[0] % 2 == 0 and nibbles[1] != 0):
        raise EncodingError("a trie node's path is malformed")
    return nibbles[1 if nibbles[0] % 2 else 2 :], nibbles[0] >= 2
