"""Validators: who is in the set and with what power, iDAOs that must consent, and what the governor may do."""

from __future__ import annotations

from typing import Any

import pytest
from attrs import asdict
from hypothesis import given, settings
from hypothesis import strategies as st

from lazai_core.api.types import VALIDATORS_ADDRESS, ZERO_ADDRESS, Address
from lazai_core.chain.abi import encode_call
from lazai_core.chain.staking import StakingParameters, read_staking, read_validators
from lazai_core.chain.staking_calls import (
    ACTIVATE,
    APPROVE,
    CONSENT,
    DISMISS,
    MOVE,
    SET_ADMIN,
    SET_STAKING,
    STAKING_PARAMETERS,
)
from tests.unit.contracts.harness import NODE, address_of
from tests.unit.contracts.staking_world import (
    COIN,
    FIRST,
    FOURTH,
    GOVERNOR,
    IDAO,
    NEW,
    OWNER,
    SECOND,
    SMALL,
    THIRD,
    StakingWorld,
    error,
    with_parameters,
)

SET_FULL, ENTRY_LIMIT = 5, 4


def idao_of(world: StakingWorld, validator: Address) -> Address:
    return next(item.idao for item in read_validators(world) if item.address == validator)


# Who enters.


def test_newcomers_get_no_more_than_a_share_of_the_power_in_a_window() -> None:
    world = StakingWorld()

    world.register("newcomer", 100)

    # 34 hundredths of 40.
    assert world.powers[NEW] == 13
    another = address_of("another")
    assert world.register("another", 5).error == ""
    assert another not in world.powers
    refused = world.do(OWNER, ACTIVATE, another)
    assert refused.error == error("CannotEnter", validator=another, obstacle=ENTRY_LIMIT)
    world.next_window()
    # Who entered at the end of a window cannot have been jailed at the beginning of the next.
    refused = world.do(OWNER, ACTIVATE, another)
    assert refused.error == error("CannotEnter", validator=another, obstacle=ENTRY_LIMIT)
    world.next_window()
    assert world.do(OWNER, ACTIVATE, another).error == ""
    assert world.powers[another] == 5
    # 34 hundredths of the 53 that the set had when the window began, less the five.
    assert world.do(OWNER, ACTIVATE, NEW).error == ""
    assert world.powers[NEW] == 13 + 18 - 5
    world.next_window()
    # Of 71, of which 18 came a window ago: 34 hundredths of the others, less those 18.
    world.register("third", 50)
    assert world.do(OWNER, ACTIVATE, NEW).error == error("CannotEnter", validator=NEW, obstacle=ENTRY_LIMIT)


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(1, 200)), max_size=12))
@settings(max_examples=15, deadline=None)
def test_silent_newcomers_of_any_two_windows_leave_the_others_a_quorum(steps: list[tuple[int, int]]) -> None:
    """Whenever and however strong they come, and whomever they push out."""
    world = StakingWorld((10, 10, 10, 10), with_parameters(count_max=6, entry_share=340_000))
    came: dict[bytes, int] = {}
    window = 0
    for number, (windows, stake) in enumerate(steps):
        for _ in range(windows):
            world.next_window()
        window += windows
        world.register(f"piece {number}", stake)
        came[address_of(f"piece {number}")] = window
        recent = {who for who, when in came.items() if when >= window - 1}
        others = sum(power for who, power in world.powers.items() if who not in recent)
        assert 3 * others > 2 * world.total_power


def test_power_that_was_split_over_many_newcomers_is_limited_too() -> None:
    world = StakingWorld(parameters=with_parameters(count_max=100))
    for number in range(10):
        world.register(f"piece {number}", 3)

    assert sum(world.powers.values()) == world.total_power == 53


def test_the_governor_lets_somebody_in_with_any_power() -> None:
    world = StakingWorld()
    assert world.do(OWNER, APPROVE, NEW, 100).error == error("NotGovernor", caller=OWNER, governor=GOVERNOR)
    assert world.do(GOVERNOR, APPROVE, NEW, 60).error == ""

    world.register("newcomer", 100)

    # Up to what was approved without a limit, and from there on as everybody.
    assert world.powers[NEW] == 60 + 13


def test_a_chain_of_one_small_validator_is_not_taken_over() -> None:
    world = StakingWorld((1,), with_parameters(minimum_stake=COIN))

    world.register("newcomer", 1000)

    assert world.powers == {FIRST: 1}
    assert world.do(OWNER, ACTIVATE, NEW).error == error("CannotEnter", validator=NEW, obstacle=ENTRY_LIMIT)


def test_who_was_in_the_genesis_comes_back_without_a_limit() -> None:
    world = StakingWorld((10, 10), with_parameters(entry_share=0))
    world.withdraw(FIRST, 10)

    world.add(FIRST, 12)

    assert world.powers == {FIRST: 10, SECOND: 10}


def test_a_full_set_takes_the_stronger_and_lets_the_weakest_go() -> None:
    world = StakingWorld((10, 4, 10, 10), with_parameters(count_max=4))

    world.register("newcomer", 4)
    assert world.do(OWNER, ACTIVATE, NEW).error == error("CannotEnter", validator=NEW, obstacle=SET_FULL)
    world.add(NEW, 1)

    assert world.powers == {FIRST: 10, NEW: 5, THIRD: 10, FOURTH: 10}
    assert world.total_power == 35
    assert not world.record(SECOND).in_set
    world.withdraw(NEW, 5)
    assert world.do(NODE, ACTIVATE, SECOND).error == ""
    assert world.powers[SECOND] == 4


def test_any_order_of_leaving_keeps_the_set_whole() -> None:
    world = StakingWorld((1, 2, 3, 4, 5), with_parameters(minimum_stake=COIN))
    gone = []
    for number in (2, 4, 0, 1):
        gone.append(address_of(f"validator {number}"))
        assert world.withdraw(gone[-1], number + 1).error == ""
        left = {address_of(f"validator {other}"): other + 1 for other in range(5)}
        assert world.powers == {who: power for who, power in left.items() if who not in gone}
        assert world.total_power == sum(world.powers.values())


# iDAOs.


def test_nobody_joins_an_idao_by_himself() -> None:
    world = StakingWorld()

    assert world.register("newcomer", 5, idao=IDAO).error == error("NoConsent", idao=IDAO, validator=NEW)
    assert world.do(OWNER, MOVE, FIRST, IDAO).error == error("NoConsent", idao=IDAO, validator=FIRST)
    assert world.do(OWNER, CONSENT, IDAO, NEW).error == error("NotOfIdao", caller=OWNER, idao=IDAO)
    assert world.do(OWNER, CONSENT, ZERO_ADDRESS, NEW).error == "NoIdao()"
    assert all(item.idao == ZERO_ADDRESS for item in read_validators(world))


def test_an_idao_takes_and_dismisses_members() -> None:
    world = StakingWorld()
    world.do(IDAO, CONSENT, IDAO, NEW)
    world.do(IDAO, CONSENT, IDAO, FIRST)

    assert world.register("newcomer", 5, idao=IDAO).error == ""
    assert world.do(OWNER, MOVE, FIRST, IDAO).error == ""
    assert (idao_of(world, NEW), idao_of(world, FIRST)) == (IDAO, IDAO)
    assert world.do(OWNER, DISMISS, IDAO, NEW).error == error("NotOfIdao", caller=OWNER, idao=IDAO)
    assert world.do(IDAO, DISMISS, IDAO, NEW).error == ""
    assert idao_of(world, NEW) == ZERO_ADDRESS
    # The consent went with the membership.
    assert world.do(OWNER, MOVE, NEW, IDAO).error == error("NoConsent", idao=IDAO, validator=NEW)
    assert world.do(OWNER, MOVE, FIRST, ZERO_ADDRESS).error == ""
    assert idao_of(world, FIRST) == ZERO_ADDRESS
    assert world.powers[FIRST] == 10


def test_one_idao_cannot_dismiss_the_member_of_another() -> None:
    world = StakingWorld(idao=IDAO)

    assert world.do(NODE, DISMISS, NODE, FIRST).error == ""
    assert idao_of(world, FIRST) == IDAO
    assert world.do(NODE, DISMISS, IDAO, FIRST).error == error("NotOfIdao", caller=NODE, idao=IDAO)


def test_consents_stand_for_members_of_the_genesis() -> None:
    world = StakingWorld(idao=IDAO)
    world.do(OWNER, MOVE, FIRST, ZERO_ADDRESS)

    assert world.do(OWNER, MOVE, FIRST, IDAO).error == ""


def test_an_idao_names_an_admin_and_another() -> None:
    world = StakingWorld()
    assert world.do(IDAO, SET_ADMIN, NODE).error == ""

    assert world.do(NODE, CONSENT, IDAO, NEW).error == ""
    assert world.do(IDAO, SET_ADMIN, GOVERNOR).error == ""
    assert world.do(NODE, CONSENT, IDAO, FIRST).error == error("NotOfIdao", caller=NODE, idao=IDAO)
    assert world.do(IDAO, CONSENT, IDAO, FIRST).error == ""


# The governor.


def set_parameters(world: StakingWorld, parameters: StakingParameters, sender: Address = GOVERNOR) -> str:
    return world.do(sender, SET_STAKING, tuple(asdict(parameters).values())).error


def test_the_governor_sets_parameters() -> None:
    world = StakingWorld()
    wanted = with_parameters(minimum_stake=3 * COIN, evidence_blocks=30, entry_share=0, amnesia_share=1_000_000)

    assert set_parameters(world, wanted) == ""
    assert read_staking(world) == wanted
    assert set_parameters(world, SMALL, OWNER) == error("NotGovernor", caller=OWNER, governor=GOVERNOR)
    assert STAKING_PARAMETERS.count("uint256") == len(asdict(wanted))


@pytest.mark.parametrize(
    ("change", "name", "least", "most"),
    [
        ({"power_unit": COIN + 1}, "powerUnit", COIN, COIN),
        ({"minimum_stake": COIN - 1}, "minimumStake", COIN, 2**127),
        ({"minimum_stake": 2**127 + 1}, "minimumStake", COIN, 2**127),
        ({"count_max": 0}, "countMax", 1, 512),
        ({"count_max": 513}, "countMax", 1, 512),
        ({"unbonding_blocks": 41}, "unbondingBlocks", 42, 2**40),
        ({"unbonding_blocks": 2**40 + 1}, "unbondingBlocks", 42, 2**40),
        ({"evidence_blocks": 0}, "evidenceBlocks", 1, 40),
        ({"evidence_blocks": 41}, "evidenceBlocks", 1, 40),
        ({"window_blocks": 1}, "windowBlocks", 2, 2**40),
        ({"absences_max": 0}, "absencesMax", 1, 9),
        ({"absences_max": 10}, "absencesMax", 1, 9),
        ({"jail_blocks": 0}, "jailBlocks", 1, 2**40),
        ({"double_sign_share": 1_000_001}, "doubleSignShare", 0, 1_000_000),
        ({"amnesia_share": 1_000_001}, "amnesiaShare", 0, 1_000_000),
        ({"downtime_share": 1_000_001}, "downtimeShare", 0, 1_000_000),
        ({"entry_share": 500_000}, "entryShare", 0, 499_999),
    ],
)
def test_parameters_out_of_range_are_refused_by_name(change: dict[str, Any], name: str, least: int, most: int) -> None:
    world = StakingWorld()
    (value,) = change.values()

    refused = set_parameters(world, with_parameters(**change))

    assert refused == error("OutOfRange", parameter=name, value=value, minimum=least, maximum=most)
    assert read_staking(world) == SMALL


def test_the_time_for_evidence_never_grows() -> None:
    world = StakingWorld()
    assert set_parameters(world, with_parameters(evidence_blocks=20, unbonding_blocks=22)) == ""

    longer = with_parameters(evidence_blocks=21, unbonding_blocks=90)
    assert set_parameters(world, longer) == error(
        "OutOfRange", parameter="evidenceBlocks", value=21, minimum=1, maximum=20
    )
    assert set_parameters(world, with_parameters(evidence_blocks=20, unbonding_blocks=90)) == ""


def test_validators_below_a_new_minimum_stay_until_they_move() -> None:
    world = StakingWorld((10, 4))
    set_parameters(world, with_parameters(minimum_stake=5 * COIN))

    assert world.powers == {FIRST: 10, SECOND: 4}
    assert world.withdraw(SECOND, 1).error == error("StakeTooSmall", stake=3 * COIN, minimum=5 * COIN)
    assert world.withdraw(SECOND, 4).error == ""
    assert world.powers == {FIRST: 10}


def test_the_contract_has_no_governor_of_its_own() -> None:
    world = StakingWorld()
    world.send(GOVERNOR, Address(bytes(18) + b"\x0a\x10"), _propose(NODE))
    world.send(NODE, Address(bytes(18) + b"\x0a\x10"), _accept())

    assert set_parameters(world, SMALL) == error("NotGovernor", caller=GOVERNOR, governor=NODE)
    assert set_parameters(world, SMALL, NODE) == ""
    assert world.balance(VALIDATORS_ADDRESS) == 40 * COIN


def _propose(candidate: Address) -> bytes:
    return encode_call("proposeGovernor(address)", candidate)


def _accept() -> bytes:
    return encode_call("acceptGovernor()")
