"""Plain identifiers and amounts used everywhere.

They are `NewType`s: no cost at run time, and the type checker keeps an address from being used as a hash.
"""

from __future__ import annotations

from typing import NewType

Address = NewType("Address", bytes)
"""20 bytes."""
Hash32 = NewType("Hash32", bytes)
"""32 bytes."""
ModelId = NewType("ModelId", bytes)
"""32 bytes: the program digest of an exact program (docs/EXACT.md, section 1)."""
JobId = NewType("JobId", bytes)
"""32 bytes: the content hash of a `ComputeJob`."""
DatId = NewType("DatId", int)
"""Number of a data anchoring token in the DAT registry, 1 and up."""
Height = NewType("Height", int)
"""Block number; the genesis block has height 0."""
Gas = NewType("Gas", int)
"""Units of gas, EVM or compute as the name of the value says."""
Wei = NewType("Wei", int)
"""Smallest unit of the chain's coin."""

ADDRESS_BYTES = 20
HASH_BYTES = 32

ZERO_ADDRESS = Address(bytes(ADDRESS_BYTES))
ZERO_HASH = Hash32(bytes(HASH_BYTES))

AI_CALL_ADDRESS = Address(bytes.fromhex("0000000000000000000000000000000000000a01"))
"""Precompile that answers inference calls."""
PROOF_CHECK_ADDRESS = Address(bytes.fromhex("0000000000000000000000000000000000000a02"))
"""Precompile that verifies a proof of any installed proof system."""
GAS_PARAMETERS_ADDRESS = Address(bytes.fromhex("0000000000000000000000000000000000000a10"))
"""Genesis contract that holds alpha, beta, gamma and the compute gas target, changed by governance."""
MODEL_REGISTRY_ADDRESS = Address(bytes.fromhex("0000000000000000000000000000000000000a11"))
"""Genesis contract that holds program skeletons, inline constants, owners and prices of models."""
DATA_REGISTRY_ADDRESS = Address(bytes.fromhex("0000000000000000000000000000000000000a12"))
"""Genesis contract that holds data anchoring tokens: owner, digest, price, permissions."""
SETTLEMENT_ADDRESS = Address(bytes.fromhex("0000000000000000000000000000000000000a13"))
"""Genesis contract that holds escrow and settles signed requests."""
VALIDATORS_ADDRESS = Address(bytes.fromhex("0000000000000000000000000000000000000a14"))
"""Genesis contract that holds the validators' stakes, keys and iDAOs, and decides who is in the set."""
SYSTEM_ADDRESS = Address(bytes.fromhex("fffffffffffffffffffffffffffffffffffffffe"))
"""Sender of the calls that blocks make themselves (EIP-4788); nobody has its key."""


_HEXADECIMAL = frozenset("0123456789abcdefABCDEF")


def _digits(text: str, count: int, what: str) -> bytes:
    digits = text[2:] if text[:2] in ("0x", "0X") else text
    if len(digits) != count or not _HEXADECIMAL.issuperset(digits):
        raise ValueError(f"{what} has {count} hexadecimal digits, got {text!r}")
    return bytes.fromhex(digits)


def address_from_hex(text: str) -> Address:
    """Parse 40 hexadecimal digits with or without `0x`, in any letter case.

    Raises ValueError with the offending text.
    """
    return Address(_digits(text, 2 * ADDRESS_BYTES, "an address"))


def hash_from_hex(text: str) -> Hash32:
    """Parse 64 hexadecimal digits with or without `0x`. Raises ValueError with the offending text."""
    return Hash32(_digits(text, 2 * HASH_BYTES, "a hash"))


def to_hex(data: bytes) -> str:
    """Lower-case hexadecimal with `0x`."""
    return "0x" + data.hex()
