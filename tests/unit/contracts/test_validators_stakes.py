"""Validators: who may register, how stake comes and goes, and what is refused."""

from __future__ import annotations

from typing import Any

import pytest
from eth.vm.message import Message

from lazai_core.api.hashing import SECP256K1_ORDER, sign_digest
from lazai_core.api.types import VALIDATORS_ADDRESS, ZERO_ADDRESS
from lazai_core.chain.abi import encode_call
from lazai_core.chain.staking import read_staking
from lazai_core.chain.staking_calls import (
    ACTIVATE,
    ADD_STAKE,
    CLAIM,
    MOVE,
    REGISTER_VALIDATOR,
    UNJAIL,
    WITHDRAW_STAKE,
    registration_digest,
)
from tests.unit.contracts.harness import address_of, key_of
from tests.unit.contracts.staking_world import (
    COIN,
    FIRST,
    GOVERNOR,
    IDAO,
    NEW,
    OWNER,
    SECOND,
    SMALL,
    StakingWorld,
    error,
    with_parameters,
)

ZERO_SIGNATURE = bytes(64) + b"\x1b"


def test_the_genesis_set_and_parameters_are_read_back_from_slots_and_from_the_contract() -> None:
    world = StakingWorld((10, 7))

    assert world.powers == {FIRST: 10, SECOND: 7}
    assert read_staking(world) == SMALL
    record = world.record(FIRST)
    assert (record.owner, record.stake, record.approved, record.in_set) == (OWNER, 10 * COIN, 10, True)
    (listed,) = world.view(VALIDATORS_ADDRESS, "validators()").values("address[]")
    assert set(listed) == {FIRST, SECOND}
    assert world.total_power == 17
    numbers = world.view(VALIDATORS_ADDRESS, "parameters()").values(*["uint256"] * 12)
    assert numbers == (COIN, 2 * COIN, 6, 50, 40, 10, 3, 7, 250_000, 100_000, 10_000, 340_000)


def test_a_validator_with_enough_stake_is_in_the_set_at_once() -> None:
    world = StakingWorld()

    outcome = world.register("newcomer", 5)

    assert outcome.error == ""
    assert world.powers[NEW] == 5
    assert world.total_power == 45
    assert world.balance(VALIDATORS_ADDRESS) == 45 * COIN
    assert world.record(NEW).owner == OWNER


def test_power_is_stake_over_the_unit_rounded_down() -> None:
    world = StakingWorld()
    digest = registration_digest(world.chain_id, NEW, OWNER, ZERO_ADDRESS)

    signature = sign_digest(digest, key_of("newcomer"))
    world.do(OWNER, REGISTER_VALIDATOR, NEW, ZERO_ADDRESS, signature, value=3 * COIN - 1)

    assert world.powers[NEW] == 2
    assert world.do(OWNER, ADD_STAKE, NEW, value=1).error == ""
    assert world.powers[NEW] == 3


def test_the_digest_is_the_contracts() -> None:
    world = StakingWorld()

    (digest,) = world.view(
        VALIDATORS_ADDRESS, "hashRegistration(address,address,address)", NEW, OWNER, IDAO
    ).values("bytes32")

    assert digest == registration_digest(world.chain_id, NEW, OWNER, IDAO)


def test_nobody_registers_a_key_that_he_does_not_hold() -> None:
    world = StakingWorld()

    outcome = world.register("newcomer", 5, signer="user")

    assert outcome.error == error("NotSignedByValidator", signer=address_of("user"), validator=NEW)
    assert world.powers.get(NEW) is None
    assert world.balance(VALIDATORS_ADDRESS) == 40 * COIN


def test_a_proof_for_one_owner_is_of_no_use_to_another() -> None:
    world = StakingWorld()
    for digest in (
        registration_digest(world.chain_id, NEW, OWNER, ZERO_ADDRESS),
        registration_digest(world.chain_id, NEW, GOVERNOR, IDAO),
        registration_digest(world.chain_id + 1, NEW, GOVERNOR, ZERO_ADDRESS),
    ):
        signature = sign_digest(digest, key_of("newcomer"))
        stolen = world.do(GOVERNOR, REGISTER_VALIDATOR, NEW, ZERO_ADDRESS, signature, value=5 * COIN)
        assert stolen.error.startswith("NotSignedByValidator(")


@pytest.mark.parametrize("signature", [b"", bytes(64), bytes(66), ZERO_SIGNATURE, bytes(64) + b"\x01"])
def test_a_signature_that_is_none_is_refused(signature: bytes) -> None:
    outcome = StakingWorld().do(OWNER, REGISTER_VALIDATOR, NEW, ZERO_ADDRESS, signature, value=5 * COIN)

    assert outcome.error == "MalformedSignature()"


def test_the_twin_of_a_signature_is_refused() -> None:
    world = StakingWorld()
    signature = sign_digest(registration_digest(world.chain_id, NEW, OWNER, ZERO_ADDRESS), key_of("newcomer"))
    s = SECP256K1_ORDER - int.from_bytes(signature[32:64], "big")
    twin = signature[:32] + s.to_bytes(32, "big") + bytes([55 - signature[64]])

    assert world.do(OWNER, REGISTER_VALIDATOR, NEW, ZERO_ADDRESS, twin, value=5 * COIN).error == "MalformedSignature()"


def test_a_validator_is_registered_once() -> None:
    world = StakingWorld()
    world.register("newcomer", 5)

    assert world.register("newcomer", 5).error == error("AlreadyRegistered", validator=NEW)
    assert world.register("validator 0", 5).error == error("AlreadyRegistered", validator=FIRST)


def test_stake_below_the_minimum_is_refused() -> None:
    outcome = StakingWorld().register("newcomer", 1)

    assert outcome.error == error("StakeTooSmall", stake=COIN, minimum=2 * COIN)


@pytest.mark.parametrize(
    ("signature", "values"),
    [(ADD_STAKE, (FIRST,)), (WITHDRAW_STAKE, (FIRST, COIN)), (CLAIM, (FIRST,)), (UNJAIL, (FIRST,)),
     (MOVE, (FIRST, ZERO_ADDRESS))],
)  # fmt: skip
def test_only_the_owner_acts_for_a_validator(signature: str, values: tuple[Any, ...]) -> None:
    world = StakingWorld()
    value = COIN if signature == ADD_STAKE else 0

    for stranger in (GOVERNOR, IDAO):
        refused = world.do(stranger, signature, *values, value=value)
        assert refused.error == error("NotOwner", caller=stranger, owner=OWNER)
    unknown = world.do(OWNER, signature, NEW, *values[1:], value=value)
    assert unknown.error == error("NotOwner", caller=OWNER, owner=ZERO_ADDRESS)


def test_empty_amounts_are_refused() -> None:
    world = StakingWorld()

    for outcome in (world.add(FIRST, 0), world.withdraw(FIRST, 0), world.do(OWNER, CLAIM, FIRST)):
        assert outcome.error == "ZeroAmount()"


def test_coins_without_a_call_are_refused() -> None:
    world = StakingWorld()

    assert world.send(OWNER, VALIDATORS_ADDRESS, value=1).error != ""
    assert world.balance(VALIDATORS_ADDRESS) == 40 * COIN


def test_withdrawn_stake_unbonds_and_is_paid_out_once() -> None:
    world = StakingWorld()
    release = world.height + SMALL.unbonding_blocks

    assert world.withdraw(FIRST, 4).error == ""
    assert world.powers[FIRST] == 6
    assert world.unbonding(FIRST) == [(4 * COIN, release)]
    world.advance(blocks=release - 1 - world.height)
    assert world.do(OWNER, CLAIM, FIRST).error == "ZeroAmount()"
    assert world.height == release
    before = world.balance(OWNER)
    paid = world.do(OWNER, CLAIM, FIRST)
    assert paid.error == ""
    assert paid.spent == before - world.balance(OWNER) < 0
    assert world.balance(VALIDATORS_ADDRESS) == 36 * COIN
    assert world.unbonding(FIRST) == []
    assert world.do(OWNER, CLAIM, FIRST).error == "ZeroAmount()"


def test_only_what_is_released_is_paid_out() -> None:
    world = StakingWorld()
    for coins in (1, 2, 3):
        world.withdraw(FIRST, coins)
    (_, first_release), *_ = world.unbonding(FIRST)
    world.advance(blocks=first_release + 1 - world.height)

    world.do(OWNER, CLAIM, FIRST)

    assert [amount for amount, _ in world.unbonding(FIRST)] == [3 * COIN]
    assert world.balance(VALIDATORS_ADDRESS) == 37 * COIN


def test_what_is_left_is_the_minimum_or_nothing() -> None:
    world = StakingWorld()

    assert world.withdraw(FIRST, 9).error == error("StakeTooSmall", stake=COIN, minimum=2 * COIN)
    assert world.withdraw(FIRST, 11).error == error("InsufficientStake", stake=10 * COIN, amount=11 * COIN)
    assert world.withdraw(FIRST, 8).error == ""
    assert world.powers[FIRST] == 2
    assert world.withdraw(FIRST, 2).error == ""
    assert FIRST not in world.powers
    assert world.total_power == 30


def test_who_left_may_come_back() -> None:
    world = StakingWorld()
    world.withdraw(FIRST, 10)

    assert world.add(FIRST, 1).error == ""
    assert FIRST not in world.powers
    assert world.add(FIRST, 1).error == ""
    assert world.powers[FIRST] == 2


def test_the_last_validator_cannot_leave() -> None:
    world = StakingWorld((10,))

    assert world.withdraw(FIRST, 10).error == error("LastValidator", validator=FIRST)
    assert world.powers == {FIRST: 10}
    assert world.withdraw(FIRST, 8).error == ""
    assert world.powers == {FIRST: 2}


def test_so_many_pieces_unbond_at_a_time() -> None:
    world = StakingWorld((100, 100))
    for _ in range(16):
        assert world.withdraw(FIRST, 1).error == ""

    assert world.withdraw(FIRST, 1).error == error("TooManyUnbondings", count=16)
    world.advance(blocks=SMALL.unbonding_blocks)
    assert world.do(OWNER, CLAIM, FIRST).error == ""
    assert world.withdraw(FIRST, 1).error == ""


def test_stake_has_an_upper_limit() -> None:
    world = StakingWorld()
    world.state.set_balance(OWNER, 2**200)

    assert world.do(OWNER, ADD_STAKE, FIRST, value=2**127).error.startswith("StakeTooLarge(")


def test_an_owner_that_calls_back_while_claiming_gets_nothing_twice() -> None:
    world, thief = _puppet_with_unbonding()
    claim = encode_call(CLAIM, NEW)
    world.send(OWNER, thief, encode_call("react((address,bytes),bool)", (VALIDATORS_ADDRESS, claim), True))

    refused = world.send(OWNER, thief, _perform(CLAIM, NEW))

    # The inner call is refused, the thief insists and refuses the coins, and so the outer call fails as a whole.
    assert refused.error == error("TransferFailed", to=thief, amount=3 * COIN)
    assert world.balance(thief) == 0
    world.send(OWNER, thief, encode_call("react((address,bytes),bool)", (VALIDATORS_ADDRESS, claim), False))
    assert world.send(OWNER, thief, _perform(CLAIM, NEW)).error == ""
    assert world.balance(thief) == 3 * COIN
    assert world.balance(VALIDATORS_ADDRESS) == 40 * COIN


def test_calls_back_into_other_functions_while_claiming_conserve_coins() -> None:
    world, thief = _puppet_with_unbonding(left=3)
    again = encode_call(WITHDRAW_STAKE, NEW, 3 * COIN)
    world.send(OWNER, thief, encode_call("react((address,bytes),bool)", (VALIDATORS_ADDRESS, again), True))

    assert world.send(OWNER, thief, _perform(CLAIM, NEW)).error == ""

    assert world.balance(thief) == 3 * COIN
    assert [amount for amount, _ in world.unbonding(NEW)] == [3 * COIN]
    assert world.balance(VALIDATORS_ADDRESS) == 43 * COIN


def _perform(signature: str, *values: Any) -> bytes:
    return encode_call("perform((address,bytes)[])", [(VALIDATORS_ADDRESS, encode_call(signature, *values))])


def _puppet_with_unbonding(left: int = 0) -> tuple[StakingWorld, Any]:
    """A contract that owns a validator of which three coins are released."""
    world = StakingWorld(parameters=with_parameters(minimum_stake=COIN))
    thief = world.deploy(OWNER, "Puppet")
    world.state.set_balance(thief, (3 + left) * COIN)
    signature = sign_digest(registration_digest(world.chain_id, NEW, thief, ZERO_ADDRESS), key_of("newcomer"))
    data = encode_call(REGISTER_VALIDATOR, NEW, ZERO_ADDRESS, signature)
    _call_from(world, thief, data, (3 + left) * COIN)
    assert world.send(OWNER, thief, _perform(WITHDRAW_STAKE, NEW, 3 * COIN)).error == ""
    world.advance(blocks=SMALL.unbonding_blocks)
    return world, thief


def _call_from(world: StakingWorld, sender: Any, data: bytes, value: int) -> None:
    """A call with coins in the name of a contract, whose own code cannot send any."""
    to = VALIDATORS_ADDRESS
    message = Message(gas=10_000_000, to=to, sender=sender, value=value, data=data, code=world.code(to))
    context = world.state.get_transaction_context_class()(gas_price=0, origin=sender)
    computation = world.state.computation_class.apply_message(world.state, message, context)
    assert not computation.is_error
    world.state.lock_changes()


def test_activate_names_what_stands_against_it() -> None:
    world = StakingWorld()
    names = ("None", "Convicted", "Jailed", "StakeTooSmall", "EntryLimit", "SetFull")

    def obstacle(validator: bytes) -> str:
        found = world.do(GOVERNOR, ACTIVATE, validator).error
        return names[int(found.split("obstacle=")[1][:-1])] if found else names[0]

    assert obstacle(FIRST) == "None"
    assert obstacle(NEW) == "StakeTooSmall"
    world.register("newcomer", 100)
    assert world.powers[NEW] == 13
    assert obstacle(NEW) == "EntryLimit"
