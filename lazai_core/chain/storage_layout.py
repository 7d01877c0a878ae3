"""Where Solidity keeps values in storage, and how to read them through a `StatePort`.

Source: "Layout of State Variables in Storage", Solidity 0.8 documentation. Slot numbers come from the
`storageLayout` of the artifacts.
"""

from __future__ import annotations

from lazai_core.api.errors import StorageError
from lazai_core.api.hashing import keccak256
from lazai_core.api.precompile import StatePort
from lazai_core.api.types import ADDRESS_BYTES, Address, to_hex

_WORD_BYTES = 32
_SLOTS = 2**256


def mapping_slot(slot: int, *keys: bytes | int) -> int:
    """Slot of `mapping[key][key]…` for a mapping declared at `slot`.

    A key is a whole number, an address (20 bytes) or a bytes32; both kinds of bytes are padded as Solidity does.
    """
    for key in keys:
        word = key.to_bytes(_WORD_BYTES, "big") if isinstance(key, int) else bytes(key).rjust(_WORD_BYTES, b"\x00")
        slot = int.from_bytes(keccak256(word + slot.to_bytes(_WORD_BYTES, "big")), "big")
    return slot


def array_slot(slot: int, index: int = 0, item_slots: int = 1) -> int:
    """First slot of an item of a dynamic array declared at `slot`, where an item fills whole slots."""
    start = int.from_bytes(keccak256(slot.to_bytes(_WORD_BYTES, "big")), "big")
    return (start + index * item_slots) % _SLOTS


def packed_field(word: int, offset_bytes: int, size_bytes: int) -> int:
    """Unsigned field of a slot that several values share; the first value has offset 0, at the low end."""
    return (word >> (8 * offset_bytes)) & ((1 << (8 * size_bytes)) - 1)


def word_address(word: int) -> Address:
    """Address in the low 20 bytes of a slot."""
    return Address(packed_field(word, 0, ADDRESS_BYTES).to_bytes(ADDRESS_BYTES, "big"))


def read_bytes(state: StatePort, contract: Address, slot: int, size_max: int) -> bytes:
    """A `bytes` or `string` declared at `slot`. Raises StorageError when it is longer than `size_max`."""
    word = state.storage(contract, slot)
    if word & 1 == 0:
        return word.to_bytes(_WORD_BYTES, "big")[: min((word & 0xFF) >> 1, _WORD_BYTES - 1)]
    size = word >> 1
    if size > size_max:
        raise _too_long(contract, slot, size, size_max)
    words = [
        state.storage(contract, array_slot(slot, index)).to_bytes(_WORD_BYTES, "big")
        for index in range(-(-size // _WORD_BYTES))
    ]
    return b"".join(words)[:size]


def read_blob(state: StatePort, contract: Address, slot: int, size_max: int) -> bytes:
    """A `ChunkStore.Blob` declared at `slot`: its size, then the accounts whose code holds the chunks.

    Raises StorageError when it is longer than `size_max` or its chunks do not add up to its size.
    """
    size = state.storage(contract, slot)
    if size > size_max:
        raise _too_long(contract, slot, size, size_max)
    chunks = []
    missing = size
    for index in range(state.storage(contract, slot + 1)):
        chunk = state.code(word_address(state.storage(contract, array_slot(slot + 1, index))))[1:]
        missing -= len(chunk)
        if not chunk or missing < 0:
            break
        chunks.append(chunk)
    if missing:
        raise StorageError(f"the chunks at slot {slot:#x} of {to_hex(contract)} do not hold its {size} bytes")
    return b"".join(chunks)


def _too_long(contract: Address, slot: int, size: int, size_max: int) -> StorageError:
    return StorageError(f"slot {slot:#x} of {to_hex(contract)} announces {size} bytes, more than {size_max}")
