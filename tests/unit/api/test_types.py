"""Hexadecimal addresses and hashes: one meaning or an error, never a short value."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lazai_core.api.types import address_from_hex, hash_from_hex, to_hex


@given(st.binary(min_size=20, max_size=20))
def test_addresses_come_back(data: bytes) -> None:
    assert address_from_hex(to_hex(data)) == data
    assert address_from_hex(data.hex().upper()) == data


@given(st.binary(min_size=32, max_size=32))
def test_hashes_come_back(data: bytes) -> None:
    assert hash_from_hex(to_hex(data)) == data


@pytest.mark.parametrize("text", ["", "0x", "0x12", "0x" + "1" * 39, "1" * 41, " " * 40, "12 " * 13 + "1", "g" * 40])
def test_anything_else_is_refused_with_its_text(text: str) -> None:
    with pytest.raises(ValueError, match="40 hexadecimal digits"):
        address_from_hex(text)
    with pytest.raises(ValueError, match="64 hexadecimal digits"):
        hash_from_hex(text)


@given(st.text(max_size=70))
def test_any_text_gives_full_length_or_an_error(text: str) -> None:
    for parse, size in ((address_from_hex, 20), (hash_from_hex, 32)):
        try:
            assert len(parse(text)) == size
        except ValueError:
            continue
