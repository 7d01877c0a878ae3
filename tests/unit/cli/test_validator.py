"""`lazai validator register`: a call that the contract takes."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from attrs import evolve

from lazai_core.api.types import VALIDATORS_ADDRESS, ZERO_ADDRESS, to_hex
from lazai_core.chain.genesis_file import read_genesis
from lazai_core.chain.staking import COIN_WEI
from tests.unit.cli.box import Answer
from tests.unit.contracts.staking_world import IDAO, OWNER, StakingWorld

Lazai = Callable[..., Answer]
CONFIG = "alpha/node.toml"


@pytest.fixture
def node(lazai: Lazai) -> Lazai:
    assert lazai("init", "alpha").code == 0
    return lazai


def test_the_contract_takes_the_printed_call(node: Lazai) -> None:
    answer = node("validator", "register", CONFIG, "--owner", to_hex(OWNER), "--json")
    assert answer.code == 0, answer.err
    document = json.loads(answer.out)
    chain_id = read_genesis(Path("alpha/genesis.json").read_bytes()).chain_id
    world = StakingWorld()
    world.chain_id = chain_id
    world.advance(blocks=0)

    assert document["to"] == to_hex(VALIDATORS_ADDRESS)
    assert document["value_min"] == str(COIN_WEI)
    data = bytes.fromhex(document["data"][2:])
    stolen = world.send(IDAO, VALIDATORS_ADDRESS, data, value=5 * COIN_WEI)
    assert stolen.error.startswith("NotSignedByValidator(")
    assert world.send(OWNER, VALIDATORS_ADDRESS, data, value=5 * COIN_WEI).error == ""
    assert world.powers[bytes.fromhex(document["validator"][2:])] == 5  # type: ignore[index]


def test_an_idao_is_part_of_what_is_signed(node: Lazai) -> None:
    alone, member = (
        node("validator", "register", CONFIG, "--owner", to_hex(OWNER), *more).out
        for more in ((), ("--idao", to_hex(IDAO)))
    )

    assert to_hex(IDAO)[2:] in member
    assert alone != member
    assert alone == node("validator", "register", CONFIG, "--owner", to_hex(OWNER), "--idao", to_hex(ZERO_ADDRESS)).out


def test_what_is_no_address_and_a_chain_without_the_contract_are_named(node: Lazai) -> None:
    wrong = node("validator", "register", CONFIG, "--owner", "0x12")
    assert (wrong.code, "--owner" in wrong.err) == (2, True)
    place = Path("alpha/genesis.json")
    genesis = read_genesis(place.read_bytes())
    contracts = {address: code for address, code in genesis.contracts.items() if address != VALIDATORS_ADDRESS}
    place.write_bytes(evolve(genesis, staking=None, contracts=contracts).canonical)

    fixed = node("validator", "register", CONFIG, "--owner", to_hex(OWNER))

    assert fixed.code == 2
    assert "its validators never change" in fixed.err
