"""The authorisation binds every field, and one signature only is valid."""

from __future__ import annotations

import pytest
from attrs import evolve

from lazai_core.api.authorization import Authorization
from lazai_core.api.errors import BadSignature
from lazai_core.api.hashing import (
    SECP256K1_ORDER,
    address_of_private_key,
    keccak256,
    recover_address,
    sign_digest,
)
from lazai_core.api.types import SETTLEMENT_ADDRESS, Address, DatId, Hash32, ModelId, Wei

KEY = b"\x46" * 32
USER = address_of_private_key(KEY)
NODE = address_of_private_key(b"\x47" * 32)
CHAIN = 133718


def authorization() -> Authorization:
    return Authorization(
        user=USER,
        node=NODE,
        model=ModelId(b"\x01" * 32),
        body_hash=Hash32(keccak256(b"{}")),
        dats=(DatId(1), DatId(9)),
        max_cost=Wei(10**15),
        expiry=2_000_000_000,
        lane=3,
        counter=0,
    ).signed(KEY, CHAIN, SETTLEMENT_ADDRESS)


def test_known_keys_have_their_known_addresses() -> None:
    assert USER.hex() == "9d8a62f656a8d1615c1294fd71e9cfb3e4855a4f"
    assert NODE.hex() == "b595b18c88b1f651ca387489067f855b5c8e6720"


def test_an_honest_authorization_verifies() -> None:
    authorization().verify(CHAIN, SETTLEMENT_ADDRESS)


@pytest.mark.parametrize(
    "changes",
    [
        {"node": USER},
        {"model": ModelId(bytes(32))},
        {"body_hash": Hash32(bytes(32))},
        {"dats": (DatId(1),)},
        {"dats": ()},
        {"max_cost": Wei(10**15 + 1)},
        {"expiry": 2_000_000_001},
        {"lane": 4},
        {"counter": 1},
        {"user": NODE},
    ],
)
def test_a_changed_field_is_refused(changes: dict[str, object]) -> None:
    with pytest.raises(BadSignature):
        evolve(authorization(), **changes).verify(CHAIN, SETTLEMENT_ADDRESS)


def test_another_chain_or_contract_is_refused() -> None:
    with pytest.raises(BadSignature):
        authorization().verify(CHAIN + 1, SETTLEMENT_ADDRESS)
    with pytest.raises(BadSignature):
        authorization().verify(CHAIN, Address(b"\x05" * 20))


def test_the_mirrored_signature_is_refused() -> None:
    signature = authorization().signature
    s = SECP256K1_ORDER - int.from_bytes(signature[32:64], "big")
    mirrored = signature[:32] + s.to_bytes(32, "big") + bytes([27 + 28 - signature[64]])
    with pytest.raises(BadSignature, match="upper half"):
        evolve(authorization(), signature=mirrored).verify(CHAIN, SETTLEMENT_ADDRESS)


@pytest.mark.parametrize("size", [0, 64, 66])
def test_signatures_of_another_size_are_refused(size: int) -> None:
    with pytest.raises(BadSignature, match="65 bytes"):
        recover_address(bytes(32), bytes(size))


@pytest.mark.parametrize("v", [0, 1, 26, 29, 255])
def test_other_recovery_numbers_are_refused(v: int) -> None:
    signature = sign_digest(bytes(32), KEY)[:64] + bytes([v])
    with pytest.raises(BadSignature, match="27 or 28"):
        recover_address(bytes(32), signature)


def test_an_unrecoverable_signature_is_a_bad_signature() -> None:
    with pytest.raises(BadSignature):
        recover_address(bytes(32), bytes(63) + b"\x01" + b"\x1b")
