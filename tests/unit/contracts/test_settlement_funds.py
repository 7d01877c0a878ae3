"""Coins in and out of the settlement contract: what comes in is credited, what goes out is debited, once."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from lazai_core.api.types import SETTLEMENT_ADDRESS, ZERO_ADDRESS, Address
from lazai_core.chain.abi import encode_call
from lazai_core.chain.system_calls import (
    DEPOSIT,
    DEPOSIT_FOR,
    LOCK,
    UNLOCK,
    WITHDRAW,
    WITHDRAW_EARNINGS,
    Settled,
)
from lazai_core.chain.system_state import earnings_of, escrow_of, next_counter, unlocks_at
from tests.unit.contracts.harness import (
    AUTHOR,
    BASE_FEE,
    COIN,
    NODE,
    OTHER,
    START,
    USER,
    WORKER,
    Outcome,
    World,
    key_of,
)
from tests.unit.contracts.requests import execute, signed_request, world_with_model

DELAY = 600
REACT = "react((address,bytes),bool)"
PERFORM = "perform((address,bytes)[])"


def call(world: World, sender: Address, signature: str, *values: Any, value: int = 0) -> Outcome:
    return world.send(sender, SETTLEMENT_ADDRESS, encode_call(signature, *values), value=value)


def held(world: World) -> int:
    return world.balance(SETTLEMENT_ADDRESS)


def test_a_deposit_is_credited_and_every_deposit_again() -> None:
    world = World()

    assert call(world, USER, DEPOSIT, value=7).error == ""
    assert call(world, USER, DEPOSIT, value=5).error == ""
    assert call(world, OTHER, DEPOSIT_FOR, USER, value=3).error == ""
    assert world.send(USER, SETTLEMENT_ADDRESS, value=2).error == ""

    assert (escrow_of(world, USER), escrow_of(world, OTHER), held(world)) == (17, 0, 17)


def test_a_withdrawal_is_debited_and_cannot_be_repeated() -> None:
    world = World()
    call(world, USER, DEPOSIT, value=1000)
    call(world, OTHER, DEPOSIT, value=9000)
    call(world, USER, UNLOCK)
    world.advance(DELAY)
    before = world.balance(USER)

    outcome = call(world, USER, WITHDRAW, 700)

    assert outcome.error == ""
    assert world.balance(USER) == before - outcome.gas_used * 2 * BASE_FEE + 700
    assert (escrow_of(world, USER), held(world)) == (300, 9300)
    again = call(world, USER, WITHDRAW, 700)
    assert again.error == f"InsufficientEscrow(user=0x{USER.hex()}, available=300, needed=700)"
    assert call(world, USER, WITHDRAW, 300).error == ""
    assert (escrow_of(world, USER), escrow_of(world, OTHER), held(world)) == (0, 9000, 9000)


def test_escrow_opens_after_the_delay_and_closes_with_a_deposit() -> None:
    world = World()
    call(world, USER, DEPOSIT, value=10)
    assert call(world, USER, WITHDRAW, 1).error == f"StillLocked(user=0x{USER.hex()}, unlocksAt=0)"

    opened = world.timestamp + DELAY
    call(world, USER, UNLOCK)
    assert unlocks_at(world, USER) == opened
    assert call(world, USER, WITHDRAW, 1).error == f"StillLocked(user=0x{USER.hex()}, unlocksAt={opened})"
    world.advance(opened - 1 - world.timestamp)
    assert call(world, USER, WITHDRAW, 1).error.startswith("StillLocked(")
    assert call(world, USER, WITHDRAW, 1).error == ""

    call(world, OTHER, DEPOSIT_FOR, USER, value=5)
    assert call(world, USER, WITHDRAW, 1).error == ""
    call(world, USER, DEPOSIT, value=5)
    assert call(world, USER, WITHDRAW, 1).error.startswith("StillLocked(")
    call(world, USER, UNLOCK)
    call(world, USER, LOCK)
    world.advance(DELAY)
    assert call(world, USER, WITHDRAW, 1).error.startswith("StillLocked(")


@pytest.mark.parametrize(
    ("signature", "values", "error"),
    [
        (DEPOSIT, (), "ZeroAmount()"),
        (DEPOSIT_FOR, (OTHER,), "ZeroAmount()"),
        (WITHDRAW, (0,), "ZeroAmount()"),
        (WITHDRAW_EARNINGS, (0,), "ZeroAmount()"),
        (WITHDRAW_EARNINGS, (1,), f"InsufficientEarnings(payee=0x{USER.hex()}, available=0, needed=1)"),
    ],
)
def test_empty_and_uncovered_amounts_are_refused(signature: str, values: tuple[Any, ...], error: str) -> None:
    assert call(World(), USER, signature, *values).error == error


def test_nobody_deposits_for_the_zero_address() -> None:
    assert call(World(), USER, DEPOSIT_FOR, ZERO_ADDRESS, value=1).error == "ZeroUser()"


def test_escrow_is_not_earnings_and_the_other_way_round() -> None:
    world, model = world_with_model()
    execute(world, signed_request(model))

    assert call(world, USER, WITHDRAW_EARNINGS, 1).error.startswith("InsufficientEarnings(")
    call(world, NODE, UNLOCK)
    world.advance(DELAY)
    assert call(world, NODE, WITHDRAW, 1).error.startswith("InsufficientEscrow(")


def test_a_payee_that_calls_back_gets_nothing_twice() -> None:
    world, model = world_with_model()
    thief = world.deploy(OTHER, "Puppet")
    world.ai.worker = thief
    execute(world, signed_request(model))
    earned = earnings_of(world, thief)
    take = encode_call(WITHDRAW_EARNINGS, earned // 2)
    world.send(OTHER, thief, encode_call(REACT, (SETTLEMENT_ADDRESS, take), False))
    total = held(world)

    outcome = world.send(OTHER, thief, encode_call(PERFORM, [(SETTLEMENT_ADDRESS, take)]))

    assert outcome.error == ""
    assert world.balance(thief) == earned // 2
    assert earnings_of(world, thief) == earned - earned // 2
    assert held(world) == total - earned // 2


def test_a_user_that_calls_back_while_withdrawing_gets_nothing_twice() -> None:
    world = World()
    thief = world.deploy(OTHER, "Puppet")
    call(world, OTHER, DEPOSIT_FOR, thief, value=100)
    call(world, USER, DEPOSIT, value=1000)
    world.send(OTHER, thief, encode_call(PERFORM, [(SETTLEMENT_ADDRESS, encode_call(UNLOCK))]))
    world.advance(DELAY)
    take = encode_call(WITHDRAW, 50)
    world.send(OTHER, thief, encode_call(REACT, (SETTLEMENT_ADDRESS, take), True))
    perform = encode_call(PERFORM, [(SETTLEMENT_ADDRESS, take)])

    refused = world.send(OTHER, thief, perform)

    # The inner call is refused, the thief insists and refuses the coins, and so the outer call fails as a whole.
    assert refused.error == f"TransferFailed(to=0x{thief.hex()}, amount=50)"
    assert (world.balance(thief), escrow_of(world, thief), held(world)) == (0, 100, 1100)


def test_a_payee_that_refuses_coins_keeps_its_claim() -> None:
    world, model = world_with_model()
    stubborn = world.deploy(OTHER, "Puppet")
    world.ai.worker = stubborn
    execute(world, signed_request(model))
    earned = earnings_of(world, stubborn)
    fails = (SETTLEMENT_ADDRESS, encode_call(DEPOSIT))
    world.send(OTHER, stubborn, encode_call(REACT, fails, True))

    outcome = world.send(
        OTHER, stubborn, encode_call(PERFORM, [(SETTLEMENT_ADDRESS, encode_call(WITHDRAW_EARNINGS, earned))])
    )

    assert outcome.error == f"TransferFailed(to=0x{stubborn.hex()}, amount={earned})"
    assert earnings_of(world, stubborn) == earned
    assert execute(world, signed_request(model, counter=1)).error == ""


def test_the_whole_escrow_may_be_the_maximum_cost() -> None:
    world, model = world_with_model(deposit=COIN)

    outcome = execute(world, signed_request(model, max_cost=COIN))

    assert outcome.error == ""
    assert escrow_of(world, USER) == COIN - Settled.from_log(*outcome.logs[0][1:]).cost


NAMES = {"user": USER, "node": NODE, "worker": WORKER, "author": AUTHOR, "other": OTHER}


class Funds(RuleBasedStateMachine):
    """Any order of deposits, requests and withdrawals: the contract owes exactly what it holds."""

    people = st.sampled_from(sorted(NAMES))
    amounts = st.sampled_from([1, 1000, COIN // 1000, COIN, 3 * COIN])

    @initialize()
    def start(self) -> None:
        self.world, self.model = world_with_model(deposit=COIN)
        self.deposited = COIN
        self.paid_out = 0

    @rule(person=people, amount=amounts)
    def deposit(self, person: str, amount: int) -> None:
        assert call(self.world, NAMES[person], DEPOSIT, value=amount).error == ""
        self.deposited += amount

    @rule(person=people)
    def unlock_and_wait(self, person: str) -> None:
        call(self.world, NAMES[person], UNLOCK)
        self.world.advance(DELAY)

    @rule(person=people, amount=amounts)
    def withdraw(self, person: str, amount: int) -> None:
        who = NAMES[person]
        before, available = self.world.balance(who), escrow_of(self.world, who)
        unlocked = 0 < unlocks_at(self.world, who) <= self.world.timestamp
        outcome = call(self.world, who, WITHDRAW, amount)
        done = unlocked and amount <= available
        assert (outcome.error == "") == done
        self._check_payout(who, before, outcome, amount if done else 0)

    @rule(person=people, part=st.integers(1, 3))
    def withdraw_earnings(self, person: str, part: int) -> None:
        who = NAMES[person]
        before, available = self.world.balance(who), earnings_of(self.world, who)
        amount = available // part + (part == 3)
        outcome = call(self.world, who, WITHDRAW_EARNINGS, amount)
        done = 0 < amount <= available
        assert (outcome.error == "") == done
        self._check_payout(who, before, outcome, amount if done else 0)

    @rule(
        person=people,
        node=people,
        worker=people,
        compute_gas=st.sampled_from([0, 50_000, 10**9]),
        count=st.integers(1, 2),
    )
    def request(self, person: str, node: str, worker: str, compute_gas: int, count: int) -> None:
        world, user = self.world, NAMES[person]
        world.ai.worker, world.ai.compute_gas = NAMES[worker], compute_gas
        counter = next_counter(world, user, 0)
        request = signed_request(
            self.model, key=key_of(person), user=user, node=NAMES[node], max_cost=COIN // 100,
            counter=counter, expiry=START + 10**9,
        )
        covered = escrow_of(world, user) >= COIN // 100
        outcome = execute(world, request, (b"x",) * count, sender=NAMES[node])
        if outcome.error:
            assert outcome.error.startswith("CostAboveMaximum(" if covered else "InsufficientEscrow(")
        assert next_counter(world, user, 0) == counter + (outcome.error == "")

    @precondition(lambda self: hasattr(self, "world"))
    @invariant()
    def owes_what_it_holds(self) -> None:
        owed = sum(escrow_of(self.world, who) + earnings_of(self.world, who) for who in NAMES.values())
        assert owed == held(self.world) == self.deposited - self.paid_out

    def _check_payout(self, who: Address, before: int, outcome: Outcome, amount: int) -> None:
        assert self.world.balance(who) == before + amount - outcome.gas_used * 2 * BASE_FEE
        self.paid_out += amount


TestFunds = Funds.TestCase
TestFunds.settings = settings(max_examples=12, stateful_step_count=25, deadline=None)
