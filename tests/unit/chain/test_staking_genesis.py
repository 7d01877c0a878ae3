"""A genesis with staked validators: what is written is read, and what does not belong together is named."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from attrs import asdict, evolve

from lazai_core.api.consensus import Validator
from lazai_core.api.errors import InvalidGenesis
from lazai_core.api.types import VALIDATORS_ADDRESS, Address, Wei, to_hex
from lazai_core.chain.genesis import Genesis
from lazai_core.chain.genesis_file import read_genesis
from lazai_core.chain.staking import (
    COIN_WEI,
    DEFAULT_STAKING,
    RANGES,
    STAKES,
    StakingParameters,
    staked,
    staking_storage,
)
from lazai_core.chain.staking_genesis import with_staking
from tests.unit.chain.test_genesis import ONE, TWO, genesis, problems_of

IDAO = Address(b"\x1d" * 20)
CONTRACT = to_hex(VALIDATORS_ADDRESS)
MEMBERS = (Validator(address=ONE, power=3), Validator(address=TWO, power=4, idao=IDAO))


def staked_genesis(**changes: Any) -> Genesis:
    return with_staking(evolve(genesis(), validators=MEMBERS), evolve(DEFAULT_STAKING, **changes), {TWO: ONE})


def document() -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads(staked_genesis().canonical)
    return loaded


def test_what_was_written_is_read() -> None:
    wanted = staked_genesis(count_max=9, minimum_stake=Wei(2 * COIN_WEI))

    assert read_genesis(wanted.canonical) == wanted
    assert read_genesis(wanted.canonical).hash == wanted.hash != staked_genesis().hash


def test_parameters_that_are_left_out_have_their_defaults() -> None:
    table = document()
    table["staking"] = {"window_blocks": DEFAULT_STAKING.window_blocks}

    assert read_genesis(json.dumps(table).encode()) == staked_genesis()
    assert read_genesis(json.dumps(table).encode()).hash == staked_genesis().hash


def test_the_stakes_are_coins_beside_all_others() -> None:
    before, after = evolve(genesis(), validators=MEMBERS).balances, staked_genesis().balances

    assert dict(after) == {**before, VALIDATORS_ADDRESS: 7 * COIN_WEI}
    assert staked(MEMBERS, DEFAULT_STAKING) == 7 * COIN_WEI


HARMS: dict[str, tuple[Callable[[dict[str, Any]], object], str]] = {
    "another power": (
        lambda table: table["validators"][0].update(power=4),
        "holds something else than these validators and parameters give",
    ),
    "another validator": (
        lambda table: table["validators"][0].update(address="0x" + "11" * 20),
        "holds a validator without an owner, or not all of them",
    ),
    "another iDAO": (
        lambda table: table["validators"][1].update(idao="0x" + "11" * 20),
        "holds something else",
    ),
    "another parameter": (lambda table: table["staking"].update(jail_blocks=5), "holds something else"),
    "a stranger's stake": (
        lambda table: table["contracts"][CONTRACT]["storage"].update({hex(2**200): "0x1"}),
        "holds something else",
    ),
    "other code": (lambda table: table["contracts"][CONTRACT].update(code="0x00"), "has other code"),
    "too few coins": (
        lambda table: table["balances"].update({CONTRACT: "1"}),
        f"holds 1 wei; the stakes of its validators are {7 * COIN_WEI}",
    ),
    "no coins": (lambda table: table["balances"].pop(CONTRACT), "holds 0 wei"),
    "no contract": (lambda table: table["contracts"].pop(CONTRACT), "staking stands there without the other"),
    "no staking": (lambda table: table.pop("staking"), "the contract Validators stands there without the other"),
}


@pytest.mark.parametrize("harm", HARMS)
def test_what_does_not_belong_together_is_named(harm: str) -> None:
    table = document()
    change, expected = HARMS[harm]
    change(table)

    problems = problems_of(table)

    assert all(problem.startswith("g.json: staking: ") for problem in problems)
    assert any(expected in problem for problem in problems), problems


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"count_max": 1}, "2 validators; 1 to count_max = 1 are possible"),
        ({"count_max": 513}, "count_max is 513, outside 1 to 512"),
        ({"minimum_stake": 5 * COIN_WEI}, "a power of 3 is less than the minimum stake gives"),
        ({"minimum_stake": COIN_WEI - 1}, "minimum_stake is below power_unit"),
        ({"power_unit": 0}, "power_unit is 0, outside"),
        ({"power_unit": 2**127, "minimum_stake": 2**127}, "a power of 3 stands for more stake than"),
        ({"evidence_blocks": 199_999}, "evidence_blocks is not two below unbonding_blocks"),
        ({"absences_max": 1000}, "absences_max is not below window_blocks"),
        ({"double_sign_share": 1_000_001}, "double_sign_share is 1000001, outside 0 to 1000000"),
        ({"entry_share": 500_000}, "entry_share is 500000, outside 0 to 499999"),
        ({"jail_blocks": 0}, "jail_blocks is 0, outside"),
    ],
)
def test_parameters_that_the_contract_would_not_take_are_named(change: dict[str, Any], expected: str) -> None:
    with pytest.raises(InvalidGenesis, match=expected):
        staked_genesis(**change)
    table = document()
    quoted = {key: str(value) if key in STAKES else value for key, value in change.items()}
    table["staking"].update(quoted)

    assert any(expected in problem for problem in problems_of(table))


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ({"colour": 1}, "staking.colour: unknown key"),
        ({"jail_blocks": "5"}, "staking.jail_blocks: expected a whole number"),
        ({"power_unit": 5}, "staking.power_unit: expected a decimal number in quotes"),
        ([], "staking: expected an object"),
    ],
)
def test_nonsense_in_the_table_is_named(value: object, expected: str) -> None:
    table = document()
    table["staking"] = value

    assert any(expected in problem for problem in problems_of(table))


def test_validators_without_power_or_twice_are_named() -> None:
    for power in (0, 2**48 + 1):
        with pytest.raises(InvalidGenesis, match="power"):
            staking_storage([Validator(address=ONE, power=power)])
    with pytest.raises(InvalidGenesis, match="0 validators"):
        staking_storage([])


def test_every_parameter_has_a_range() -> None:
    assert list(asdict(StakingParameters())) == list(RANGES)
