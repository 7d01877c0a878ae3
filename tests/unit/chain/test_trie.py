"""List tries against the `trie` package, and proofs against every change of theirs."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from trie import HexaryTrie

from lazai_core.api.errors import EncodingError
from lazai_core.api.hashing import keccak256
from lazai_core.chain.rlp_codec import encode
from lazai_core.chain.trie import EMPTY_ROOT, list_key, list_proof, list_root, prove_list_item

items = st.lists(st.binary(min_size=1, max_size=60), max_size=200)


@given(items)
def test_roots_equal_the_reference(values: list[bytes]) -> None:
    reference = HexaryTrie({})
    for index, value in enumerate(values):
        reference[list_key(index)] = value

    assert list_root(values) == reference.root_hash


@pytest.mark.parametrize("count", [0, 1, 2, 15, 16, 17, 127, 128, 129, 255, 256, 257, 1000])
def test_roots_at_the_edges_of_key_lengths(count: int) -> None:
    values = [index.to_bytes(4, "big") * 9 for index in range(count)]
    reference = HexaryTrie({})
    for index, value in enumerate(values):
        reference[list_key(index)] = value

    assert list_root(values) == reference.root_hash
    for index in {0, 1, 16, 127, 128, 255, 256, count - 1} & set(range(count)):
        assert prove_list_item(list_root(values), index, list_proof(values, index)) == values[index]


def test_the_empty_list_has_the_known_root() -> None:
    assert list_root([]) == EMPTY_ROOT == keccak256(b"\x80")


@given(items.filter(bool), st.data())
def test_a_proof_shows_its_item_and_nothing_else(values: list[bytes], data: st.DataObject) -> None:
    index = data.draw(st.integers(0, len(values) - 1))
    proof, root = list_proof(values, index), list_root(values)

    assert prove_list_item(root, index, proof) == values[index]
    other = data.draw(st.integers(0, len(values) + 5).filter(lambda number: number != index))
    # Short items lie in one node together, so that a proof may show another item as well: the right one.
    with contextlib.suppress(EncodingError):
        assert prove_list_item(root, other, proof) == values[other]


@given(items.filter(bool), st.data())
def test_a_changed_proof_is_refused(values: list[bytes], data: st.DataObject) -> None:
    index = data.draw(st.integers(0, len(values) - 1))
    proof, root = list(list_proof(values, index)), list_root(values)
    node = data.draw(st.integers(0, len(proof) - 1))
    position = data.draw(st.integers(0, len(proof[node]) - 1))
    changed = bytearray(proof[node])
    changed[position] ^= data.draw(st.integers(1, 255))

    for wrong in (
        [*proof[:node], bytes(changed), *proof[node + 1 :]],
        [*proof[:node], *proof[node + 1 :]],
        [*proof, proof[node]],
    ):
        with pytest.raises(EncodingError):
            prove_list_item(root, index, wrong)


@given(st.lists(st.binary(max_size=80), max_size=4))
def test_any_proof_is_refused_by_name(proof: list[bytes]) -> None:
    with pytest.raises(EncodingError):
        prove_list_item(b"\x01" * 32, 0, proof)


@pytest.mark.parametrize(
    "node", [[b"", b"x"], [b"\x40", b"x"], [b"\x0f", b"x"], [[], b"x"], [b"\x20"], b"x", [b"\x20", [b"x"]]]
)
def test_malformed_nodes_are_refused(node: object) -> None:
    encoded = encode(node)  # type: ignore[arg-type]

    with pytest.raises(EncodingError):
        prove_list_item(keccak256(encoded), 0, [encoded])
