"""The field, its transforms and keyed BLAKE3 in plain Python: what field kernels are held to. Slow by intent."""

from __future__ import annotations

import struct
from collections.abc import Sequence

from lazai_core.api.field_kernels import EXTENSION_DEGREE, FIELD_MODULUS, Element

P = FIELD_MODULUS
MONTGOMERY = (1 << 32) % P
GENERATOR = 3
ZERO: Element = (0, 0, 0, 0, 0)
ONE: Element = (1, 0, 0, 0, 0)

_MASK = 0xFFFFFFFF
_IV = (0x6A09E667, 0xBB67AE85, 0x3C6EF372, 0xA54FF53A, 0x510E527F, 0x9B05688C, 0x1F83D9AB, 0x5BE0CD19)
_PERMUTATION = (2, 6, 3, 10, 7, 0, 4, 13, 1, 11, 12, 5, 9, 14, 15, 8)
_CHUNK_START, _CHUNK_END, _ROOT, _KEYED_HASH = 1, 2, 8, 16


def lift(value: int) -> Element:
    """An element of F in K."""
    return (value % P, 0, 0, 0, 0)


def add(a: Element, b: Element) -> Element:
    """a + b."""
    return _element([x + y for x, y in zip(a, b, strict=True)])


def subtract(a: Element, b: Element) -> Element:
    """a - b."""
    return _element([x - y for x, y in zip(a, b, strict=True)])


def multiply(a: Element, b: Element) -> Element:
    """a b: the product of polynomials, then X^k = X^(k-5) - X^(k-3) from the top down."""
    product = [0] * (2 * EXTENSION_DEGREE - 1)
    for i, x in enumerate(a):
        for j, y in enumerate(b):
            product[i + j] += x * y
    for power in range(len(product) - 1, EXTENSION_DEGREE - 1, -1):
        product[power - 5] += product[power]
        product[power - 3] -= product[power]
    return _element(product[:EXTENSION_DEGREE])


def total(values: Sequence[Element]) -> Element:
    """The sum."""
    return _element([sum(column) for column in zip(*values, strict=True)]) if values else ZERO


def _element(coefficients: Sequence[int]) -> Element:
    a, b, c, d, e = (coefficient % P for coefficient in coefficients)
    return (a, b, c, d, e)


def root_of_unity(log_order: int) -> int:
    """3^((p - 1) / 2^k)."""
    return pow(GENERATOR, (P - 1) >> log_order, P)


def reversed_bits(index: int, bits: int) -> int:
    """The index whose bits are in the other order."""
    return int(f"{index:0{bits}b}"[::-1], 2) if bits else 0


def code_word(message: Sequence[Element], log_length: int) -> list[Element]:
    """sum_i m[i] w^(k rev(i)) for every k below 2^log_length."""
    bits = len(message).bit_length() - 1
    root = root_of_unity(log_length)
    powers = [pow(root, exponent, P) for exponent in range(1 << log_length)]
    return [
        total([_scaled(value, powers[k * reversed_bits(i, bits) % len(powers)]) for i, value in enumerate(message)])
        for k in range(len(powers))
    ]


def _scaled(value: Element, factor: int) -> Element:
    return _element([coefficient * factor for coefficient in value])


def eq_table(point: Sequence[Element]) -> list[Element]:
    """prod_i (z_i x_i + (1 - z_i)(1 - x_i)) for every x."""
    table = []
    for index in range(1 << len(point)):
        value = ONE
        for bit, coordinate in enumerate(point):
            value = multiply(value, coordinate if index >> bit & 1 else subtract(ONE, coordinate))
        table.append(value)
    return table


def fold(values: Sequence[Element], challenge: Element) -> list[Element]:
    """low + r (high - low)."""
    half = len(values) // 2
    pairs = zip(values[:half], values[half:], strict=True)
    return [add(low, multiply(challenge, subtract(high, low))) for low, high in pairs]


def residue_bytes(values: Sequence[int]) -> bytes:
    """Elements of F as they are hashed: Montgomery residues, four bytes little-endian each."""
    return b"".join(struct.pack("<I", value * MONTGOMERY % P) for value in values)


def keyed_blake3(key: bytes, data: bytes) -> bytes:
    """BLAKE3 of at most one chunk in keyed mode (the BLAKE3 specification, sections 2.1 to 2.6)."""
    if len(key) != 32 or not 1 <= len(data) <= 1024:
        raise ValueError(f"one chunk has 1 to 1024 bytes and a key 32, got {len(data)} and {len(key)}")
    chaining = struct.unpack("<8I", key)
    blocks = [data[start : start + 64] for start in range(0, len(data), 64)]
    for index, block in enumerate(blocks):
        flags = _KEYED_HASH | (_CHUNK_START if index == 0 else 0)
        flags |= _CHUNK_END | _ROOT if index == len(blocks) - 1 else 0
        chaining = _compress(chaining, block, flags)
    return struct.pack("<8I", *chaining)


def _compress(chaining: tuple[int, ...], block: bytes, flags: int) -> tuple[int, ...]:
    message = list(struct.unpack("<16I", block.ljust(64, b"\0")))
    state = [*chaining, *_IV[:4], 0, 0, len(block), flags]
    for _ in range(7):
        for column in range(4):
            _mix(state, column, 4 + column, 8 + column, 12 + column, message[2 * column], message[2 * column + 1])
        for column in range(4):
            places = (column, 4 + (column + 1) % 4, 8 + (column + 2) % 4, 12 + (column + 3) % 4)
            _mix(state, *places, message[8 + 2 * column], message[9 + 2 * column])
        message = [message[place] for place in _PERMUTATION]
    return tuple(state[i] ^ state[i + 8] for i in range(8))


def _mix(state: list[int], a: int, b: int, c: int, d: int, first: int, second: int) -> None:
    for word, d_turn, b_turn in ((first, 16, 12), (second, 8, 7)):
        state[a] = (state[a] + state[b] + word) & _MASK
        state[d] = _turned(state[d] ^ state[a], d_turn)
        state[c] = (state[c] + state[d]) & _MASK
        state[b] = _turned(state[b] ^ state[c], b_turn)


def _turned(word: int, bits: int) -> int:
    return (word >> bits | word << (32 - bits)) & _MASK
