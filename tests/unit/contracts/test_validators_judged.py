"""Validators: absence, jail, conviction and slashing, which the chain itself brings at the start of a block."""

from __future__ import annotations

import pytest
from eth.vm.message import Message

from lazai_core.api.consensus import Offence, OffenceKind
from lazai_core.api.types import SYSTEM_ADDRESS, VALIDATORS_ADDRESS, Height
from lazai_core.chain.abi import encode_call
from lazai_core.chain.staking import is_convicted
from lazai_core.chain.staking_calls import ACTIVATE, BEGIN_BLOCK, CLAIM, UNJAIL, encode_begin_block
from lazai_core.lazvm.execute import SYSTEM_CALL_GAS
from tests.unit.contracts.harness import NODE, address_of
from tests.unit.contracts.staking_world import (
    COIN,
    FIRST,
    FOURTH,
    GOVERNOR,
    NEW,
    OWNER,
    SECOND,
    SMALL,
    THIRD,
    StakingWorld,
    error,
    with_parameters,
)

CONVICTED = 1


def test_only_the_chain_itself_begins_blocks() -> None:
    world = StakingWorld()

    for sender in (OWNER, GOVERNOR, NODE):
        refused = world.do(sender, BEGIN_BLOCK, [FIRST], [(SECOND, 0)])
        assert refused.error == error("NotSystem", caller=sender)
    assert len(world.powers) == 4
    assert world.burnt == 0
    assert SYSTEM_ADDRESS == bytes.fromhex("fffffffffffffffffffffffffffffffffffffffe")


# Absence.


def test_who_is_absent_too_often_goes_to_jail_and_pays() -> None:
    world = StakingWorld()

    world.miss(FIRST, 3)
    assert world.powers[FIRST] == 10
    until = world.height + SMALL.jail_blocks
    world.miss(FIRST, 1)

    assert FIRST not in world.powers
    assert world.total_power == 30
    record = world.record(FIRST)
    assert (record.jailed_until, record.stake) == (until, 10 * COIN - COIN // 10)
    assert world.burnt == COIN // 10


def test_absences_count_within_a_window() -> None:
    world = StakingWorld()
    world.miss(FIRST, 3)
    world.next_window()
    world.miss(FIRST, 3)

    assert world.powers[FIRST] == 10
    world.miss(FIRST, 1)
    assert FIRST not in world.powers


def test_strangers_and_those_outside_of_the_set_are_not_counted() -> None:
    world = StakingWorld()
    world.register("another", 2)
    world.withdraw(address_of("another"), 2)

    for _ in range(9):
        world.begin([NEW, address_of("another")])

    assert world.record(address_of("another")).jailed_until == 0
    assert world.burnt == 0


def test_jail_ends_when_its_owner_ends_it_after_its_time() -> None:
    world = StakingWorld()
    assert world.do(OWNER, UNJAIL, FIRST).error == error("NotJailed", validator=FIRST)
    world.miss(FIRST, 4)
    until = world.record(FIRST).jailed_until

    assert world.do(OWNER, ACTIVATE, FIRST).error == error("CannotEnter", validator=FIRST, obstacle=2)
    assert world.add(FIRST, 5).error == ""
    assert FIRST not in world.powers
    early = world.do(OWNER, UNJAIL, FIRST)
    assert early.error == error("StillJailed", blockNumber=world.height - 1, until=until)
    world.advance(blocks=until - world.height)
    assert world.do(OWNER, UNJAIL, FIRST).error == ""
    # What was approved, ten, and of the rest what a window lets in.
    assert world.powers[FIRST] == 10 + 4
    world.next_window()
    world.miss(FIRST, 3)
    assert FIRST in world.powers


def test_who_comes_from_jail_with_too_little_stake_waits_for_more() -> None:
    world = StakingWorld((2, 10, 10))
    world.miss(FIRST, 4)
    world.advance(blocks=SMALL.jail_blocks)

    assert world.do(OWNER, UNJAIL, FIRST).error == ""
    assert FIRST not in world.powers
    world.add(FIRST, 1)
    assert world.powers[FIRST] == 2


def test_jail_takes_no_more_than_a_third_of_the_power_in_a_window() -> None:
    world = StakingWorld((10, 10, 10))
    for _ in range(4):
        world.begin([FIRST, SECOND, THIRD])

    # A third is gone, so that the others stay, and go in the next window if they are still absent.
    assert world.powers == {SECOND: 10, THIRD: 10}
    world.miss(SECOND, 3)
    assert SECOND in world.powers
    world.next_window()
    for _ in range(4):
        world.begin([SECOND, THIRD])
    assert world.powers == {SECOND: 10, THIRD: 10}


def test_jail_never_takes_somebody_with_more_than_a_third() -> None:
    world = StakingWorld((14, 10, 10, 6))
    world.miss(FIRST, 9)

    assert world.powers[FIRST] == 14


def test_the_last_validator_is_not_jailed() -> None:
    world = StakingWorld((10,))

    world.miss(FIRST, 9)

    assert world.powers == {FIRST: 10}
    assert world.burnt == 0


# Offences.


@pytest.mark.parametrize(
    ("kind", "share"),
    [
        (OffenceKind.DOUBLE_VOTE, 250_000),
        (OffenceKind.DOUBLE_PROPOSAL, 250_000),
        (OffenceKind.AMNESIA, 100_000),
    ],
)
def test_an_offence_costs_its_share_and_the_seat(kind: OffenceKind, share: int) -> None:
    world = StakingWorld()

    world.convict(FIRST, kind)

    loss = 10 * COIN * share // 1_000_000
    assert FIRST not in world.powers
    assert is_convicted(world, FIRST)
    assert world.record(FIRST).stake == 10 * COIN - loss
    assert world.burnt == loss
    assert world.balance(VALIDATORS_ADDRESS) == 40 * COIN


def test_nobody_is_convicted_twice() -> None:
    world = StakingWorld()
    world.convict(FIRST)
    burnt = world.burnt

    world.begin(offences=[(FIRST, OffenceKind.AMNESIA), (FIRST, OffenceKind.DOUBLE_VOTE)])

    assert world.burnt == burnt


def test_a_convict_never_comes_back_but_may_take_what_is_left() -> None:
    world = StakingWorld()
    world.convict(FIRST)

    assert world.do(OWNER, ACTIVATE, FIRST).error == error("CannotEnter", validator=FIRST, obstacle=CONVICTED)
    assert world.add(FIRST, 5).error == error("IsConvicted", validator=FIRST)
    assert world.do(OWNER, UNJAIL, FIRST).error == error("IsConvicted", validator=FIRST)
    assert world.do(OWNER, "withdrawStake(address,uint256)", FIRST, world.record(FIRST).stake).error == ""
    world.advance(blocks=SMALL.unbonding_blocks)
    assert world.do(OWNER, CLAIM, FIRST).error == ""
    assert world.balance(VALIDATORS_ADDRESS) == 30 * COIN + world.burnt


def test_unbonding_stake_is_slashed_until_it_is_released() -> None:
    world = StakingWorld()
    world.withdraw(FIRST, 2)
    (_, release), = world.unbonding(FIRST)
    world.withdraw(FIRST, 4)
    # The first piece is released in the block of the conviction, the second one block later.
    world.advance(blocks=release - world.height)
    world.convict(FIRST)

    assert [amount for amount, _ in world.unbonding(FIRST)] == [2 * COIN, 3 * COIN]
    assert world.record(FIRST).stake == 3 * COIN
    assert world.burnt == 2 * COIN


def test_who_left_the_set_is_convicted_all_the_same() -> None:
    world = StakingWorld()
    world.withdraw(FIRST, 10)

    world.convict(FIRST)

    assert is_convicted(world, FIRST)
    assert [amount for amount, _ in world.unbonding(FIRST)] == [10 * COIN * 3 // 4]


def test_stake_is_there_for_the_latest_evidence_of_the_last_vote() -> None:
    # Who withdraws its stake in block h - 1 still decides h; evidence of that comes up to `evidence_blocks` later.
    world = StakingWorld(parameters=with_parameters(evidence_blocks=SMALL.unbonding_blocks - 2))
    last_vote = world.height + 1
    world.withdraw(FIRST, 10)
    world.advance(blocks=last_vote + SMALL.unbonding_blocks - 2 - world.height)
    world.convict(FIRST)

    assert world.burnt == 10 * COIN // 4


def test_a_stranger_is_nobodys_business() -> None:
    world = StakingWorld()

    world.convict(NEW)

    assert not is_convicted(world, NEW)
    assert world.register("newcomer", 5).error == ""


def test_the_last_validator_pays_but_stays_until_another_comes() -> None:
    world = StakingWorld((10,))
    world.do(GOVERNOR, "approve(address,uint64)", NEW, 5)

    world.convict(FIRST)

    assert world.powers == {FIRST: 10}
    assert world.burnt == 10 * COIN // 4
    assert world.register("newcomer", 5).error == ""
    assert world.powers == {NEW: 5}
    assert world.total_power == 5


def test_a_convict_goes_for_a_weaker_one_where_the_set_holds_one() -> None:
    world = StakingWorld((10,), with_parameters(count_max=1))
    world.do(GOVERNOR, "approve(address,uint64)", NEW, 5)
    world.register("newcomer", 5)
    assert world.powers == {FIRST: 10}

    world.convict(FIRST)
    assert world.do(OWNER, ACTIVATE, NEW).error == ""

    assert world.powers == {NEW: 5}
    assert world.total_power == 5


def test_everybody_may_be_guilty_at_once() -> None:
    world = StakingWorld()

    world.begin(offences=[(who, OffenceKind.DOUBLE_VOTE) for who in (FIRST, SECOND, THIRD, FOURTH)])

    assert len(world.powers) == 1
    assert all(is_convicted(world, who) for who in (FIRST, SECOND, THIRD, FOURTH))
    assert world.burnt == 10 * COIN


def test_a_convict_is_not_counted_as_absent() -> None:
    world = StakingWorld()
    for _ in range(6):
        world.begin([FIRST], [(FIRST, OffenceKind.AMNESIA)])

    assert world.record(FIRST).jailed_until == 0
    assert world.burnt == COIN


def test_a_malformed_call_of_the_chain_changes_nothing() -> None:
    world = StakingWorld()

    assert world.system(VALIDATORS_ADDRESS, encode_call(BEGIN_BLOCK, [FIRST], [])[:-1]) != ""
    assert len(world.powers) == 4


def test_the_largest_set_fits_the_calls_gas() -> None:
    """A third of 512 validators goes to jail in one call, and the largest number of convicts with full queues."""
    world = StakingWorld((100,) * 512, with_parameters(count_max=512, absences_max=1))
    names = [address_of(f"validator {number}") for number in range(512)]
    guilty = names[:16]
    for who in guilty:
        for _ in range(16):
            world.withdraw(who, 1)
    world.next_window()
    world.begin(names[16:])

    offences = [Offence(validator=who, height=Height(1), kind=OffenceKind.DOUBLE_VOTE) for who in guilty]
    data = encode_begin_block(names[16:], offences)
    to = VALIDATORS_ADDRESS
    message = Message(gas=SYSTEM_CALL_GAS, to=to, sender=SYSTEM_ADDRESS, value=0, data=data, code=world.code(to))
    context = world.state.get_transaction_context_class()(gas_price=0, origin=SYSTEM_ADDRESS)
    computation = world.state.computation_class.apply_message(world.state, message, context)

    assert not computation.is_error
    assert len(world.powers) == 512 - 16 - 496 // 3
    assert computation.get_gas_used() < SYSTEM_CALL_GAS // 3
