"""Merkle Patricia tries with 32-byte keys: one read, or one pass over many changes (yellow paper, appendix D).

py-evm's trie inserts keys one after the other and hashes the upper nodes anew for each; a block changes hundreds of
keys, so that one pass that hashes every changed node once is several times faster. Paths are hexadecimal text.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, MutableMapping, Sequence
from typing import TypeAlias

from lazai_core.api.errors import StorageError
from lazai_core.api.hashing import keccak256
from lazai_core.chain.rlp_codec import Item, encode
from lazai_core.chain.trie import EMPTY_ROOT

Node: TypeAlias = Sequence[Item]
"""A leaf or extension (path, value or child), or a branch (16 children and an unused value). Never changed in place."""
Load: TypeAlias = Callable[[bytes], Node]
"""Decoded node by its hash. Raises StorageError when the store lacks it."""
Changes: TypeAlias = Sequence[tuple[str, bytes]]
"""Path and new value, empty to delete; sorted by path, no path twice."""

_DIGITS = "0123456789abcdef"
_DIGIT = {character: number for number, character in enumerate(_DIGITS)}


def read(load: Load, root: bytes, key: bytes) -> bytes:
    """Value of a key (32 bytes, hashed already), empty where there is none."""
    if root == EMPTY_ROOT:
        return b""
    node, path, depth = load(root), key.hex(), 0
    while True:
        if len(node) == 17:
            reference = node[_DIGIT[path[depth]]]
            depth += 1
        else:
            part, is_leaf = _path_of(node)
            if not path.startswith(part, depth):
                return b""
            if is_leaf:
                return _value(node[1])
            reference = node[1]
            depth += len(part)
        if not reference:
            return b""
        node = load(reference) if isinstance(reference, bytes) else reference


def update(load: Load, root: bytes, changes: Mapping[bytes, bytes], written: MutableMapping[bytes, bytes]) -> bytes:
    """Root after setting each key (32 bytes, hashed already) to its value, or deleting it where that is empty.

    New nodes are added to `written` by their hash; old ones are left alone.
    """
    ordered = sorted((key.hex(), value) for key, value in changes.items())
    if not ordered:
        return root
    writer = _Writer(load, written)
    node = writer.change(None if root == EMPTY_ROOT else load(root), ordered, 0)
    if node is None:
        return EMPTY_ROOT
    encoded = encode(node)
    digest = keccak256(encoded)
    written[digest] = encoded
    return digest


def _value(item: Item) -> bytes:
    if not isinstance(item, bytes):
        raise StorageError("a trie leaf in the store holds a list where a value belongs")
    return item


def _path_of(node: Node) -> tuple[str, bool]:
    text = _value(node[0]).hex()
    flag = _DIGIT[text[0]]
    return text[1 if flag & 1 else 2 :], flag >= 2


def _short(path: str, is_leaf: bool, item: Item) -> Node:
    flag = 2 if is_leaf else 0
    head = _DIGITS[flag + 1] if len(path) % 2 else _DIGITS[flag] + "0"
    return [bytes.fromhex(head + path), item]


class _Writer:
    def __init__(self, load: Load, written: MutableMapping[bytes, bytes]) -> None:
        self._load = load
        self._written = written

    def change(self, node: Node | None, changes: Changes, depth: int) -> Node | None:
        """The node with all changes, which agree in their first `depth` digits."""
        if node is None:
            return self._fresh([change for change in changes if change[1]], depth)
        if len(node) == 17:
            return self._branch(list(node), changes, depth)
        part, is_leaf = _path_of(node)
        if not is_leaf:
            return self._extension(part, node[1], changes, depth)
        pairs = dict(changes)
        pairs.setdefault(changes[0][0][:depth] + part, _value(node[1]))
        return self._fresh(sorted(pair for pair in pairs.items() if pair[1]), depth)

    def _fresh(self, pairs: Changes, depth: int) -> Node | None:
        if len(pairs) <= 1:
            return _short(pairs[0][0][depth:], True, pairs[0][1]) if pairs else None
        first, last = pairs[0][0], pairs[-1][0]
        common = depth
        while first[common] == last[common]:
            common += 1
        branch = self._branch([b""] * 17, pairs, common)
        assert branch is not None
        return branch if common == depth else _short(first[depth:common], False, self._reference(branch))

    def _branch(self, children: list[Item], changes: Changes, depth: int) -> Node | None:
        start = 0
        while start < len(changes):
            digit, end = changes[start][0][depth], start + 1
            while end < len(changes) and changes[end][0][depth] == digit:
                end += 1
            index = _DIGIT[digit]
            below = self.change(self._child(children[index]), changes[start:end], depth + 1)
            children[index] = b"" if below is None else self._reference(below)
            start = end
        present = [index for index in range(16) if children[index]]
        if len(present) > 1:
            return children
        if not present:
            return None
        return self._joined(_DIGITS[present[0]], children[present[0]])

    def _extension(self, part: str, below: Item, changes: Changes, depth: int) -> Node | None:
        """Changes beside the extension's path split it; deletions there concern nothing."""
        wanted = [change for change in changes if change[1] or change[0].startswith(part, depth)]
        if not wanted:
            return _short(part, False, below)
        common = min(_common(part, path, depth) for path, _ in wanted)
        if common == len(part):
            child = self.change(self._child(below), wanted, depth + common)
            return None if child is None else self._prefixed(part, child)
        children: list[Item] = [b""] * 17
        rest = part[common + 1 :]
        children[_DIGIT[part[common]]] = self._reference(_short(rest, False, below)) if rest else below
        child = self._branch(children, wanted, depth + common)
        return None if child is None else self._prefixed(part[:common], child)

    def _joined(self, digit: str, reference: Item) -> Node:
        child = self._child(reference)
        assert child is not None
        return _short(digit, False, reference) if len(child) == 17 else self._prefixed(digit, child)

    def _prefixed(self, prefix: str, child: Node) -> Node:
        if not prefix:
            return child
        if len(child) == 17:
            return _short(prefix, False, self._reference(child))
        part, is_leaf = _path_of(child)
        return _short(prefix + part, is_leaf, child[1])

    def _child(self, reference: Item) -> Node | None:
        if not reference:
            return None
        if not isinstance(reference, bytes):
            return reference
        encoded = self._written.get(reference)
        return self._load(reference) if encoded is None else _decoded(encoded)

    def _reference(self, node: Node) -> Item:
        encoded = encode(node)
        if len(encoded) < 32:
            return node
        digest = keccak256(encoded)
        self._written[digest] = encoded
        return digest


def _decoded(encoded: bytes) -> Node:
    from lazai_core.chain.rlp_codec import decode, to_list

    return to_list(decode(encoded))


def _common(part: str, path: str, depth: int) -> int:
    for index, digit in enumerate(part):
        if path[depth + index] != digit:
            return index
    return len(part)
