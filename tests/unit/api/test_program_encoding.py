"""Canonical bytes: what is written is read, and nothing else is."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lazai_core.api.encoding import Reader, Writer, domain_hash
from lazai_core.api.errors import EncodingError


def test_fields_have_fixed_widths() -> None:
    data = Writer().u8(1).u16(2).u32(3).u64(4).i64(-5).boolean(True).bytes_(b"ab").text("ü").finish()

    assert data.hex() == "010002000000030000000000000004fffffffffffffffb0100000002616200000002c3bc"


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 2**64 - 1), st.integers(-(2**63), 2**63 - 1), st.binary(), st.text(), st.lists(st.booleans()))
def test_round_trip(unsigned: int, signed: int, data: bytes, text: str, flags: list[bool]) -> None:
    written = Writer().u64(unsigned).i64(signed).bytes_(data).text(text).sequence(flags, Writer.boolean).finish()
    reader = Reader(written)

    assert (reader.u64(), reader.i64(), reader.bytes_(10**6), reader.text(10**6)) == (unsigned, signed, data, text)
    assert reader.sequence(Reader.boolean, limit=10**6) == tuple(flags)
    reader.finish()


@pytest.mark.parametrize(("method", "value"), [("u8", 256), ("u16", -1), ("u32", 2**32), ("u64", -1), ("i64", 2**63)])
def test_numbers_out_of_range_are_our_own_mistake(method: str, value: int) -> None:
    with pytest.raises(ValueError, match="does not fit"):
        getattr(Writer(), method)(value)


def test_numbers_are_read_at_once() -> None:
    written = Writer().sequence([1, 2**32 - 1], Writer.u32).sequence([], Writer.u32).finish()
    reader = Reader(written)

    assert (reader.u32_sequence(2), reader.u32_sequence(0)) == ((1, 2**32 - 1), ())
    reader.finish()


def test_a_short_read_names_the_offset() -> None:
    reader = Reader(bytes(5))
    reader.u32()
    with pytest.raises(EncodingError, match="offset 4: 8 bytes are needed, 1 are left"):
        reader.u64()


@pytest.mark.parametrize(
    ("data", "read", "reason"),
    [
        (b"\x02", Reader.boolean, "0 or 1"),
        (b"\x00\x00\x00\x05hello", lambda reader: reader.bytes_(4), "exceeds the limit of 4"),
        (b"\x00\x00\x00\x05hell", lambda reader: reader.bytes_(9), "5 bytes are needed, 4 are left"),
        (b"\x00\x00\x00\x01\xff", lambda reader: reader.text(9), "not UTF-8"),
        (b"\xff\xff\xff\xff", lambda reader: reader.sequence(Reader.u8, limit=2**32), "does not fit"),
        (b"\x00\x00\x00\x03abc", lambda reader: reader.sequence(Reader.u8, limit=2), "limit of 2"),
        (b"\xff\xff\xff\xff", lambda reader: reader.u32_sequence(2**32), "does not fit"),
        (b"\x00\x00\x00\x03" + bytes(12), lambda reader: reader.u32_sequence(2), "limit of 2"),
        (b"a", Reader.finish, "1 trailing bytes"),
    ],
)
def test_everything_else_is_refused(data: bytes, read: object, reason: str) -> None:
    assert callable(read)
    with pytest.raises(EncodingError, match=reason):
        read(Reader(data))


def test_domain_hash_separates_domains_and_parts() -> None:
    expected = hashlib.sha256(b"d\x00" + (2).to_bytes(8, "big") + b"ab" + bytes(8)).digest()

    assert domain_hash("d", b"ab", b"") == expected
    assert len({domain_hash("d", b"ab"), domain_hash("d", b"a", b"b"), domain_hash("e", b"ab")}) == 3
