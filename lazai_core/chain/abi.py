"""Solidity ABI: calls to the precompiles and system contracts, their results and their errors.

What a precompile is called with decides consensus, so `AbiReader` decodes it by rules written down here. Everything
else is encoded and decoded by `eth_abi`, which is imported on first use.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cache
from typing import Any

from lazai_core.api.errors import EncodingError
from lazai_core.api.hashing import keccak256
from lazai_core.api.types import ADDRESS_BYTES, Address, to_hex

SELECTOR_BYTES = 4
_WORD_BYTES = 32


@cache
def selector(signature: str) -> bytes:
    """First four bytes of the hash of a function or error, written like `transfer(address,uint256)`."""
    return keccak256(signature.encode("ascii"))[:SELECTOR_BYTES]


def _types_of(signature: str) -> list[str]:
    """Types of the arguments in a signature, split at the commas outside inner parentheses."""
    found, depth, start = [], 0, signature.index("(") + 1
    for position in range(start, len(signature)):
        character = signature[position]
        if (character == "," and depth == 0) or position == len(signature) - 1:
            found.append(signature[start:position])
            start = position + 1
        depth += (character == "(") - (character == ")")
    return [item for item in found if item]


def encode_arguments(types: Sequence[str], values: Sequence[Any]) -> bytes:
    """Values by the ABI. Addresses are 20 bytes. Raises ValueError for a value that does not fit its type."""
    from eth_abi.abi import encode
    from eth_abi.exceptions import EncodingError as CannotEncode

    try:
        return encode(list(types), list(values))
    except (CannotEncode, TypeError, OverflowError) as cause:
        raise ValueError(f"cannot encode as ({','.join(types)}): {cause}") from cause


def decode_arguments(types: Sequence[str], data: bytes) -> tuple[Any, ...]:
    """Inverse of `encode_arguments`; addresses come as 20 bytes. Raises EncodingError."""
    from eth_abi.abi import decode
    from eth_abi.exceptions import DecodingError

    try:
        values = decode(list(types), data)
    except (DecodingError, OverflowError, UnicodeDecodeError, ValueError) as cause:
        raise EncodingError(f"not the ABI encoding of ({','.join(types)}): {cause}") from cause
    return tuple(_bytes_addresses(kind, value) for kind, value in zip(types, values, strict=True))


def _bytes_addresses(kind: str, value: Any) -> Any:
    if kind == "address":
        return Address(bytes.fromhex(value[2:]))
    return tuple(_bytes_addresses("address", item) for item in value) if kind == "address[]" else value


def encode_call(signature: str, *values: Any) -> bytes:
    """Calldata of a function written like `grant(uint256,address,uint64)`; also the revert data of a custom error."""
    return selector(signature) + encode_arguments(_types_of(signature), values)


def decode_call(signature: str, data: bytes) -> tuple[Any, ...]:
    """Arguments of calldata or of an error's data. Raises EncodingError when it belongs to another signature."""
    if data[:SELECTOR_BYTES] != selector(signature):
        raise EncodingError(f"expected {signature}, selector {selector(signature).hex()}, got {data[:4].hex()}")
    return decode_arguments(_types_of(signature), data[SELECTOR_BYTES:])


class AbiReader:
    """Decodes calldata by position. Every method raises EncodingError and nothing else.

    Numbers must have their unused high bytes zero; an offset counts from the start of the arguments, is a multiple of
    32 and points behind the head; padding may hold anything, and two offsets may meet, as in the EVM's own decoder.
    """

    def __init__(self, arguments: bytes, head_words: int) -> None:
        self._data = arguments
        self._head_bytes = head_words * _WORD_BYTES
        if len(arguments) < self._head_bytes:
            raise EncodingError(f"the arguments need {self._head_bytes} bytes at least, got {len(arguments)}")

    def word(self, position: int) -> bytes:
        """Bytes32 at a position of the head, in words."""
        return self._data[position * _WORD_BYTES : (position + 1) * _WORD_BYTES]

    def number(self, position: int, bits: int = 256) -> int:
        """Unsigned number at a position of the head."""
        value = int.from_bytes(self.word(position), "big")
        if value >> bits:
            raise EncodingError(f"word {position} does not fit {bits} bits")
        return value

    def address(self, position: int) -> Address:
        """Address at a position of the head."""
        return Address(self.number(position, 8 * ADDRESS_BYTES).to_bytes(ADDRESS_BYTES, "big"))

    def bytes_(self, position: int, size_max: int) -> bytes:
        """Byte string whose offset stands at a position of the head."""
        start, size = self._tail(position, size_max)
        return self._part(start, size, position)

    def text(self, position: int, size_max: int) -> str:
        """UTF-8 text whose offset stands at a position of the head."""
        try:
            return self.bytes_(position, size_max).decode("utf-8")
        except UnicodeDecodeError as cause:
            raise EncodingError(f"the text at word {position} is not UTF-8: {cause.reason}") from None

    def numbers(self, position: int, count_max: int) -> tuple[int, ...]:
        """List of uint256 whose offset stands at a position of the head."""
        start, count = self._tail(position, count_max)
        data = self._part(start, count * _WORD_BYTES, position)
        return tuple(
            int.from_bytes(data[index : index + _WORD_BYTES], "big") for index in range(0, len(data), _WORD_BYTES)
        )

    def byte_strings(self, position: int, count_max: int) -> tuple[bytes, ...]:
        """List of byte strings whose offset stands at a position of the head; together no longer than the arguments."""
        start, count = self._tail(position, count_max)
        if count * _WORD_BYTES > len(self._data) - start:
            raise EncodingError(f"the list at word {position} is longer than the arguments")
        items = AbiReader(self._data[start:], count)
        found: list[bytes] = []
        left = len(self._data)
        for index in range(count):
            found.append(items.bytes_(index, left))
            left -= len(found[-1])
        return tuple(found)

    def nested(self, position: int, head_words: int) -> AbiReader:
        """Reader of a tuple whose offset stands at a position of the head."""
        return AbiReader(self._data[self._offset(position) :], head_words)

    def _tail(self, position: int, length_max: int) -> tuple[int, int]:
        offset = self._offset(position)
        length = int.from_bytes(self._data[offset : offset + _WORD_BYTES], "big")
        if length > length_max:
            raise EncodingError(f"the value at word {position} announces a length above {length_max}")
        return offset + _WORD_BYTES, length

    def _offset(self, position: int) -> int:
        offset = self.number(position)
        if offset % _WORD_BYTES or not self._head_bytes <= offset <= len(self._data) - _WORD_BYTES:
            raise EncodingError(f"the offset at word {position} points outside the arguments")
        return offset

    def _part(self, start: int, size: int, position: int) -> bytes:
        if start + size > len(self._data):
            raise EncodingError(f"the value at word {position} is longer than the arguments")
        return self._data[start : start + size]


_ERROR_SOURCES = (
    "IArtificialIntelligence",
    "IProofCheck",
    "GasParameters",
    "ModelRegistry",
    "DataRegistry",
    "Settlement",
    "Validators",
    "ChunkStore",
    "DigitReader",
)
_BUILT_IN_ERRORS = {"Error(string)": ("reason",), "Panic(uint256)": ("code",)}
_TEXT_CHARACTERS_MAX = 200


@cache
def _known_errors() -> dict[bytes, tuple[str, tuple[str, ...]]]:
    """Signature and argument names of every error that precompiles and system contracts raise, by selector."""
    from .system_contracts import artifact

    found: dict[bytes, tuple[str, tuple[str, ...]]] = {
        selector(signature): (signature, names) for signature, names in _BUILT_IN_ERRORS.items()
    }
    for name in _ERROR_SOURCES:
        for item in artifact(name)["abi"]:
            if item["type"] == "error":
                types = ",".join(argument["type"] for argument in item["inputs"])
                signature = f"{item['name']}({types})"
                found[selector(signature)] = (signature, tuple(argument["name"] for argument in item["inputs"]))
    return found


def describe_revert(data: bytes) -> str:
    """Revert data as a short text: `WrongCounter(lane=0, counter=1, expected=2)`. Never raises."""
    signature, names = _known_errors().get(data[:SELECTOR_BYTES], ("", ()))
    if not signature:
        return "no reason" if not data else f"unknown error {to_hex(data[:36])}"
    try:
        values = decode_call(signature, data)
    except EncodingError:
        return f"malformed {signature.split('(')[0]}"
    shown = ", ".join(_shown_arguments(names, values))
    return f"{signature.split('(')[0]}({shown})"


def _shown_arguments(names: Sequence[str], values: Sequence[Any]) -> Iterator[str]:
    for name, value in zip(names, values, strict=True):
        text = to_hex(value) if isinstance(value, bytes) else str(value)
        yield f"{name}={text[:_TEXT_CHARACTERS_MAX]}"


def address_word(address: Address) -> bytes:
    """An address as a 32-byte word."""
    return bytes(_WORD_BYTES - ADDRESS_BYTES) + address
