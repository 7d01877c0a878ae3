"""Validators: whatever is done in whatever order, the contract owes exactly what it holds, and the set is sound."""

from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from lazai_core.api.consensus import OffenceKind
from lazai_core.api.types import VALIDATORS_ADDRESS
from lazai_core.chain.staking import read_record
from lazai_core.chain.staking_calls import ACTIVATE, APPROVE, CLAIM, UNJAIL
from tests.unit.contracts.harness import NODE, address_of
from tests.unit.contracts.staking_world import COIN, GOVERNOR, OWNER, SMALL, StakingWorld, with_parameters

NAMES = [f"validator {number}" for number in range(7)]
GENESIS = 4


class Stakes(RuleBasedStateMachine):
    """Stakes, withdrawals, absences and offences of seven validators, four of which are there from the start."""

    names = st.sampled_from(NAMES)
    coins = st.integers(1, 15)

    @initialize()
    def start(self) -> None:
        parameters = with_parameters(count_max=5, unbonding_blocks=12, evidence_blocks=10, downtime_share=33_333)
        self.world = StakingWorld((10, 7, 5, 3), parameters)
        self.paid_in = 25 * COIN
        self.paid_out = 0

    @rule(name=names, coins=coins)
    def stake(self, name: str, coins: int) -> None:
        known = read_record(self.world, address_of(name)) is not None
        outcome = self.world.add(address_of(name), coins) if known else self.world.register(name, coins)
        self.paid_in += 0 if outcome.error else coins * COIN

    @rule(name=names, wei=st.sampled_from([1, COIN, 2 * COIN + 1, 5 * COIN]), everything=st.booleans())
    def withdraw(self, name: str, wei: int, everything: bool) -> None:
        record = read_record(self.world, address_of(name))
        if record is not None:
            amount = record.stake if everything else wei
            self.world.do(OWNER, "withdrawStake(address,uint256)", address_of(name), amount)

    @rule(name=names)
    def claim(self, name: str) -> None:
        before = self.world.balance(VALIDATORS_ADDRESS)
        released = sum(amount for amount, block in self.world.unbonding(address_of(name)) if block <= self.world.height)
        self.world.do(OWNER, CLAIM, address_of(name))
        assert before - self.world.balance(VALIDATORS_ADDRESS) == released
        self.paid_out += released

    @rule(name=names, blocks=st.integers(0, 8))
    def wait_and_activate(self, name: str, blocks: int) -> None:
        self.world.advance(blocks=blocks)
        self.world.do(OWNER, UNJAIL, address_of(name))
        self.world.do(NODE, ACTIVATE, address_of(name))

    @rule(absent=st.lists(names, unique=True), times=st.integers(1, 5))
    def miss(self, absent: list[str], times: int) -> None:
        for _ in range(times):
            self.world.begin([address_of(name) for name in absent])

    @rule(name=names, kind=st.sampled_from(OffenceKind))
    def convict(self, name: str, kind: OffenceKind) -> None:
        self.world.convict(address_of(name), kind)

    @rule(name=names, power=st.integers(0, 20))
    def approve(self, name: str, power: int) -> None:
        assert self.world.do(GOVERNOR, APPROVE, address_of(name), power).error == ""

    @precondition(lambda self: hasattr(self, "world"))
    @invariant()
    def owes_what_it_holds(self) -> None:
        world, owed = self.world, 0
        for name in NAMES:
            record = read_record(world, address_of(name))
            owed += 0 if record is None else record.stake
            owed += sum(amount for amount, _ in world.unbonding(address_of(name)))
        assert world.balance(VALIDATORS_ADDRESS) == owed + world.burnt == self.paid_in - self.paid_out

    @precondition(lambda self: hasattr(self, "world"))
    @invariant()
    def set_is_sound(self) -> None:
        powers = self.world.powers
        assert 1 <= len(powers) <= 5
        assert all(power >= 1 for power in powers.values())
        assert self.world.total_power == sum(powers.values())
        for name in NAMES:
            record = read_record(self.world, address_of(name))
            if record is None:
                assert address_of(name) not in powers
                continue
            assert record.in_set == (address_of(name) in powers)
            assert record.power == powers.get(address_of(name), 0)
            lingers = record.convicted and len(powers) == 1
            assert not record.in_set or lingers or (not record.convicted and not record.jailed_until)
            # Nobody votes with more than he stands for.
            assert lingers or record.power * SMALL.power_unit <= record.stake


TestStakes = Stakes.TestCase
TestStakes.settings = settings(max_examples=6, stateful_step_count=20, deadline=None)
