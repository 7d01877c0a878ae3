"""The node is made whole: what the contract pays it for gas is what the transaction took."""

from __future__ import annotations

import pytest

from lazai_core.api.types import SETTLEMENT_ADDRESS
from lazai_core.chain.abi import encode_call
from lazai_core.chain.system_calls import encode_execute
from lazai_core.chain.system_state import earnings_of
from tests.unit.contracts.harness import BASE_FEE, COIN, NODE
from tests.unit.contracts.requests import INPUT, execute, register_dat, signed_request, world_with_model

TOLERANCE_PERCENT = 1


def ratio_of(inputs: tuple[bytes, ...], dats: int = 0, runs: int = 1, gas: int = 30_000) -> list[tuple[int, int]]:
    """(paid to the node in gas, gas used) of each of `runs` requests."""
    world, model = world_with_model(1000 * COIN)
    world.ai.gas = gas
    names = tuple(register_dat(world) for _ in range(dats))
    found = []
    for counter in range(runs):
        before = earnings_of(world, NODE)
        outcome = execute(
            world, signed_request(model, dats=names, counter=counter, max_cost=10 * COIN), inputs, gas_price=BASE_FEE
        )
        assert not outcome.error, outcome.error
        assert outcome.spent == outcome.gas_used * BASE_FEE
        found.append(((earnings_of(world, NODE) - before) // BASE_FEE, outcome.gas_used))
    return found


@pytest.mark.parametrize(
    ("inputs", "dats", "gas"),
    [
        ((b"\x01" * 68,), 0, 30_000),
        ((b"",), 0, 0),
        ((bytes(384),), 0, 2_000_000),
        ((bytes(range(256)) * 20,), 0, 30_000),
        ((bytes(100_000),), 0, 10_000_000),
        ((b"\xff" * 60_000,), 0, 0),
        ((b"\x01" * 68,) * 8, 0, 30_000),
        ((b"\x01" * 68,), 3, 30_000),
    ],
)
def test_the_first_and_later_requests_pay_the_node_what_it_spent(
    inputs: tuple[bytes, ...], dats: int, gas: int
) -> None:
    for paid, used in ratio_of(inputs, dats, runs=3, gas=gas):
        assert 0 <= 100 * (paid - used) <= TOLERANCE_PERCENT * used, (paid, used, paid - used)


def test_two_requests_in_one_transaction_pay_for_one_transaction() -> None:
    world, model = world_with_model()
    batch = world.deploy(NODE, "Puppet")
    requests = [signed_request(model, node=batch, counter=counter) for counter in range(2)]
    calls = [(SETTLEMENT_ADDRESS, encode_execute(request, (INPUT,), "attestation")) for request in requests]

    outcome = world.send(NODE, batch, encode_call("perform((address,bytes)[])", calls), gas_price=BASE_FEE)

    assert not outcome.error, outcome.error
    assert earnings_of(world, batch) <= outcome.gas_used * BASE_FEE


def test_nodes_are_not_paid_twice_for_calldata_that_costs_its_floor() -> None:
    for paid, used in ratio_of((b"\xff" * 200_000,), gas=0):
        assert 0 <= 100 * (paid - used) <= TOLERANCE_PERCENT * used
