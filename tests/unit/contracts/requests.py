"""Signed requests for the settlement tests."""

from __future__ import annotations

from typing import Any

from attrs import evolve

from lazai_core.api.authorization import Authorization
from lazai_core.api.types import (
    DATA_REGISTRY_ADDRESS,
    MODEL_REGISTRY_ADDRESS,
    SETTLEMENT_ADDRESS,
    Address,
    DatId,
    Hash32,
    ModelId,
    Wei,
)
from lazai_core.chain.abi import encode_call
from lazai_core.chain.system_calls import DEPOSIT, GRANT, REGISTER_DAT, REGISTER_MODEL, encode_execute
from tests.unit.contracts.harness import AUTHOR, CHAIN_ID, COIN, NODE, START, USER, Outcome, World, key_of

MODEL_PRICE = 3_000_000
DAT_PRICE = 5_000_000
INPUT = bytes(range(1, 65))


def world_with_model(deposit: int = 10 * COIN) -> tuple[World, ModelId]:
    """A chain with a registered model and a user's deposit."""
    world = World()
    registered = world.send(
        AUTHOR, MODEL_REGISTRY_ADDRESS, encode_call(REGISTER_MODEL, b"skeleton", "digits", "", MODEL_PRICE)
    )
    if deposit:
        assert not world.send(USER, SETTLEMENT_ADDRESS, encode_call(DEPOSIT), value=deposit).error
    return world, ModelId(registered.values("bytes32")[0])


def register_dat(world: World, *, permitted: Address | None = USER, until: int = START + 10_000) -> DatId:
    """A DAT of the author, with a grant."""
    registered = world.send(AUTHOR, DATA_REGISTRY_ADDRESS, encode_call(REGISTER_DAT, b"\x07" * 32, "", DAT_PRICE))
    dat = DatId(registered.values("uint256")[0])
    if permitted is not None:
        granted = world.send(AUTHOR, DATA_REGISTRY_ADDRESS, encode_call(GRANT, dat, permitted, until))
        assert not granted.error
    return dat


def unsigned_request(model: ModelId, **changes: Any) -> Authorization:
    """A request that would be accepted, without its signature."""
    request = Authorization(
        user=USER,
        node=NODE,
        model=model,
        body_hash=Hash32(b"\x11" * 32),
        max_cost=Wei(COIN),
        expiry=START + 5_000,
        lane=0,
        counter=0,
    )
    return evolve(request, **changes)


def signed_request(
    model: ModelId,
    *,
    key: bytes = key_of("user"),
    chain_id: int = CHAIN_ID,
    contract: Address = SETTLEMENT_ADDRESS,
    **changes: Any,
) -> Authorization:
    """A signed request."""
    return unsigned_request(model, **changes).signed(key, chain_id, contract)


def execute(
    world: World,
    request: Authorization,
    inputs: tuple[bytes, ...] = (INPUT,),
    *,
    sender: Address = NODE,
    proof_system: str = "attestation",
    **options: Any,
) -> Outcome:
    """Send a request to the settlement contract."""
    return world.send(sender, SETTLEMENT_ADDRESS, encode_execute(request, inputs, proof_system), **options)
