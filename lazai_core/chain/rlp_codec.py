"""Recursive length prefix (Ethereum yellow paper, appendix B), strict and bounded.

The `rlp` package recurses as deep as hostile bytes ask for and infers a serialiser for every item; blocks need a
bound on depth and speed, so that the two functions are here.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

from lazai_core.api.errors import EncodingError

Item: TypeAlias = bytes | Sequence["Item"]
DEPTH_MAX = 16


def encode(item: Item) -> bytes:
    """Canonical bytes of a byte string or of a nested sequence of byte strings."""
    if isinstance(item, bytes):
        if len(item) == 1 and item[0] < 0x80:
            return item
        return _prefix(len(item), 0x80) + item
    parts: list[bytes] = []
    for part in item:
        if isinstance(part, bytes) and len(part) == 32:
            # Hashes, by far the most frequent items, without a call of their own.
            parts += (b"\xa0", part)
        else:
            parts.append(encode(part))
    payload = b"".join(parts)
    return _prefix(len(payload), 0xC0) + payload


def _prefix(length: int, offset: int) -> bytes:
    if length < 56:
        return bytes((offset + length,))
    width = (length.bit_length() + 7) // 8
    return bytes((offset + 55 + width,)) + length.to_bytes(width, "big")


def integer(value: int) -> bytes:
    """Big-endian bytes without leading zeros, as RLP holds a number."""
    return value.to_bytes((value.bit_length() + 7) // 8, "big")


def to_integer(data: Item, width_max: int = 32) -> int:
    """Inverse of `integer`. Raises EncodingError for a list, leading zeros or more than `width_max` bytes."""
    if not isinstance(data, bytes):
        raise EncodingError("a number is expected, a list was found")
    if len(data) > width_max:
        raise EncodingError(f"a number has {len(data)} bytes, more than {width_max}")
    if data[:1] == b"\x00":
        raise EncodingError("a number has leading zeros")
    return int.from_bytes(data, "big")


def to_bytes(data: Item, length: int | None = None) -> bytes:
    """The item as a byte string. Raises EncodingError for a list or for another length."""
    if not isinstance(data, bytes):
        raise EncodingError("a byte string is expected, a list was found")
    if length is not None and len(data) != length:
        raise EncodingError(f"{length} bytes are expected, {len(data)} were found")
    return data


def to_list(data: Item, length: int | None = None) -> list[Item]:
    """The item as a list. Raises EncodingError for a byte string or for another length."""
    if isinstance(data, bytes):
        raise EncodingError("a list is expected, a byte string was found")
    if length is not None and len(data) != length:
        raise EncodingError(f"a list of {length} is expected, {len(data)} items were found")
    return list(data)


def decode(data: bytes) -> Item:
    """The one item that `data` encodes. Raises EncodingError for anything that is not canonical."""
    item, end = _read(data, 0, len(data), 0)
    if end != len(data):
        raise EncodingError(f"{len(data) - end} trailing bytes after an RLP item")
    return item


def _read(data: bytes, start: int, limit: int, depth: int) -> tuple[Item, int]:
    if start >= limit:
        raise EncodingError(f"RLP ends at offset {start} where an item is expected")
    first = data[start]
    if first < 0x80:
        return data[start : start + 1], start + 1
    is_list = first >= 0xC0
    begin, end = _payload(data, start, limit, first - (0xC0 if is_list else 0x80))
    if not is_list:
        if end - begin == 1 and data[begin] < 0x80:
            raise EncodingError(f"a single byte below 0x80 must stand for itself, offset {start}")
        return data[begin:end], end
    if depth >= DEPTH_MAX:
        raise EncodingError(f"RLP lists are nested deeper than {DEPTH_MAX}")
    items: list[Item] = []
    while begin < end:
        # Hashes and empty strings, by far the most frequent items, without a call of their own.
        code = data[begin]
        if code == 0xA0 and begin + 33 <= end:
            items.append(data[begin + 1 : begin + 33])
            begin += 33
        elif code == 0x80:
            items.append(b"")
            begin += 1
        else:
            item, begin = _read(data, begin, end, depth + 1)
            items.append(item)
    return items, end


def _payload(data: bytes, start: int, limit: int, code: int) -> tuple[int, int]:
    begin, length = start + 1, code
    if code > 55:
        width = code - 55
        begin += width
        if begin > limit:
            raise EncodingError(f"RLP ends inside a length at offset {start}")
        if data[start + 1] == 0:
            raise EncodingError(f"an RLP length has leading zeros at offset {start}")
        length = int.from_bytes(data[start + 1 : begin], "big")
        if length < 56:
            raise EncodingError(f"an RLP length below 56 is written long at offset {start}")
    if begin + length > limit:
        raise EncodingError(f"an RLP item of {length} bytes at offset {start} leaves its surroundings")
    return begin, begin + length
