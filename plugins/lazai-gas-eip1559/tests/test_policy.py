"""Compute gas and quotes: exact, monotone, integers, and never below the charge."""

from __future__ import annotations

import re
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from lazai_core.api.gas import FeeState, GasPolicy, GasQuote, Ratio
from lazai_core.api.gas_parameters import PARAMETER_MAX, GasParameters
from lazai_core.api.job import JobKind, ResourceUsage
from lazai_core.api.types import Gas, Wei
from lazai_core.testing.chain_port import MemoryState, gas_parameter_state
from lazai_gas_eip1559.base_fee import next_base_fee
from lazai_gas_eip1559.options import Eip1559Options
from lazai_gas_eip1559.plugin import build_eip1559, lazai_gas_policies, lazai_plugin
from lazai_gas_eip1559.policy import Eip1559GasPolicy

KIND = JobKind.INFERENCE
HUGE = 2**300
FEE = st.one_of(st.integers(1, 20), st.integers(1, 2**64 - 1))
WORK = st.one_of(st.just(0), st.integers(0, 10**6), st.integers(0, HUGE))
NUMBER = st.integers(1, PARAMETER_MAX)


def usage_of(flops: int, memory: int) -> ResourceUsage:
    return ResourceUsage(flops=flops, memory_bytes_peak=memory)


@st.composite
def parameters(draw: st.DrawFn) -> GasParameters:
    return GasParameters(
        alpha=Ratio(numerator=draw(NUMBER), denominator=draw(NUMBER)),
        beta=Ratio(numerator=draw(NUMBER), denominator=draw(NUMBER)),
        gamma=Gas(draw(st.integers(0, 10**9))),
        compute_gas_target=Gas(draw(NUMBER)),
        tip=Wei(draw(st.integers(0, 2**64 - 1))),
    )


@st.composite
def fee_states(draw: st.DrawFn) -> FeeState:
    target, compute_target = draw(st.integers(1, 2**60)), draw(st.integers(1, 2**60))
    return FeeState(
        base_fee_per_gas=Wei(draw(FEE)),
        gas_used=Gas(draw(st.integers(0, 2 * target))),
        gas_target=Gas(target),
        compute_base_fee_per_gas=Wei(draw(FEE)),
        compute_gas_used=Gas(draw(st.integers(0, 2 * compute_target))),
        compute_gas_target=Gas(compute_target),
    )


def charge(policy: GasPolicy, quote: GasQuote, base_fee: Wei, compute_base_fee: Wei, tip: Wei) -> int:
    """What a job costs in a block with these fees: gas at the base fee, and the tip."""
    gas = policy.evm_gas(quote.compute_gas, base_fee, compute_base_fee)
    return gas * base_fee + quote.compute_gas * tip


@given(held=parameters(), flops=WORK, memory=WORK)
def test_compute_gas_is_the_formula_over_the_rationals(held: GasParameters, flops: int, memory: int) -> None:
    state = gas_parameter_state(held)
    gas_ai = -(-(Fraction(flops) * held.alpha.fraction()) // 1) + held.gamma
    gas_inference = -(-(Fraction(memory) * held.beta.fraction()) // 1)

    found = Eip1559GasPolicy().compute_gas(KIND, usage_of(flops, memory), state)

    assert type(found) is int
    assert found == gas_ai + gas_inference


@given(flops=WORK, more_flops=WORK, memory=WORK, more_memory=WORK)
def test_more_work_never_costs_less(flops: int, more_flops: int, memory: int, more_memory: int) -> None:
    policy, state = Eip1559GasPolicy(), gas_parameter_state()

    less = policy.compute_gas(KIND, usage_of(flops, memory), state)
    more = policy.compute_gas(KIND, usage_of(flops + more_flops, memory + more_memory), state)

    assert less <= more


@given(
    held=parameters(),
    fees=fee_states(),
    flops=WORK,
    memory=WORK,
    tip=st.integers(0, 2**64 - 1),
    blocks=st.integers(1, 6),
    data=st.data(),
)
def test_a_quote_covers_the_charge_in_every_block_it_holds_for(
    held: GasParameters, fees: FeeState, flops: int, memory: int, tip: int, blocks: int, data: st.DataObject
) -> None:
    policy = Eip1559GasPolicy(Eip1559Options(quote_blocks=blocks))
    quote = policy.quote(KIND, usage_of(flops, memory), fees, gas_parameter_state(held), Wei(tip))
    assert quote.cost_max == quote.price_per_gas * quote.compute_gas
    assert quote.compute_gas == quote.gas_ai + quote.gas_inference

    now = policy.next_base_fees(fees)
    for _ in range(blocks):
        assert charge(policy, quote, *now, Wei(tip)) <= quote.cost_max
        used = data.draw(st.sampled_from([(0, 0), (2, 2), (2, 0), (0, 2), (1, 1)]))
        now = tuple(next_base_fee(fee, Gas(gas), Gas(1)) for fee, gas in zip(now, used, strict=True))  # type: ignore[assignment]


@given(compute_gas=WORK, base_fee=FEE, compute_base_fee=FEE)
def test_evm_gas_is_worth_the_compute_gas_and_less_than_one_unit_more(
    compute_gas: int, base_fee: int, compute_base_fee: int
) -> None:
    policy = Eip1559GasPolicy()

    gas = policy.evm_gas(Gas(compute_gas), Wei(base_fee), Wei(compute_base_fee))

    assert 0 <= gas * base_fee - compute_gas * compute_base_fee < base_fee
    assert policy.evm_gas(Gas(compute_gas), Wei(base_fee), Wei(base_fee)) == compute_gas


def test_nothing_costs_gamma_and_a_schedule_without_gamma_nothing() -> None:
    policy = Eip1559GasPolicy()
    fees = FeeState(
        base_fee_per_gas=Wei(10),
        gas_used=Gas(0),
        gas_target=Gas(1),
        compute_base_fee_per_gas=Wei(10),
        compute_gas_used=Gas(0),
        compute_gas_target=Gas(1),
    )
    held = GasParameters(
        alpha=Ratio(numerator=1, denominator=3),
        beta=Ratio(numerator=1, denominator=3),
        gamma=Gas(0),
        compute_gas_target=Gas(1),
        tip=Wei(0),
    )

    assert policy.compute_gas(KIND, usage_of(0, 0), gas_parameter_state(evolve(held, gamma=Gas(5)))) == 5
    assert policy.quote(KIND, usage_of(0, 0), fees, gas_parameter_state(held), Wei(3)).cost_max == 0
    assert policy.compute_gas(KIND, usage_of(1, 1), gas_parameter_state(held)) == 2


def test_a_longer_quote_is_never_cheaper() -> None:
    fees = FeeState(
        base_fee_per_gas=Wei(10**9),
        gas_used=Gas(9),
        gas_target=Gas(10),
        compute_base_fee_per_gas=Wei(10**9),
        compute_gas_used=Gas(9),
        compute_gas_target=Gas(10),
    )
    costs = [
        Eip1559GasPolicy(Eip1559Options(quote_blocks=blocks))
        .quote(KIND, usage_of(10**6, 10**6), fees, gas_parameter_state(), Wei(1))
        .cost_max
        for blocks in range(1, 20)
    ]

    assert costs == sorted(set(costs))


def test_the_target_follows_the_chain() -> None:
    held = gas_parameter_state()

    assert Eip1559GasPolicy().compute_gas_target(held) == 50_000_000


@pytest.mark.parametrize("value", [0, 257, -1])
def test_options_out_of_range_are_refused(value: int) -> None:
    with pytest.raises(ValueError, match="quote_blocks"):
        Eip1559Options(quote_blocks=value)


def test_the_plugin_offers_one_policy_by_name() -> None:
    (entry,) = lazai_gas_policies()
    policy = entry.build(options=entry.options())

    assert lazai_plugin().name == "gas-eip1559"
    assert (entry.name, entry.version) == (policy.name, policy.version) == ("eip1559", 1)
    assert entry.build is build_eip1559


def test_the_readme_example_runs() -> None:
    text = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")
    (example,) = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    names: dict[str, Any] = {}

    exec(compile(example.replace("print(", "shown = ("), "README.md", "exec"), names)

    quote = names["quote"]
    assert names["shown"] == (quote.compute_gas, quote.price_per_gas, quote.cost_max)
    assert isinstance(names["state"], MemoryState)
