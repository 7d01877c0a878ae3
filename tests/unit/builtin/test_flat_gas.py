"""The built-in policy whose prices never move."""

from __future__ import annotations

from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from lazai_core.api.gas import FeeState, Ratio
from lazai_core.api.gas_parameters import GasParameters
from lazai_core.api.job import JobKind, ResourceUsage
from lazai_core.api.types import Gas, Wei
from lazai_core.builtin.flat_gas import FlatGasPolicy, build_flat_gas
from lazai_core.testing.chain_port import gas_parameter_state

PARAMETERS = GasParameters(
    alpha=Ratio(numerator=3, denominator=7),
    beta=Ratio(numerator=2, denominator=9),
    gamma=Gas(11),
    compute_gas_target=Gas(1_000_000),
    tip=Wei(5),
)
WORK = st.integers(0, 2**100)
FEE = st.integers(1, 2**64 - 1)


def fee_state(base_fee: int, compute_base_fee: int, gas_used: int = 0) -> FeeState:
    return FeeState(
        base_fee_per_gas=Wei(base_fee),
        gas_used=Gas(gas_used),
        gas_target=Gas(10),
        compute_base_fee_per_gas=Wei(compute_base_fee),
        compute_gas_used=Gas(gas_used),
        compute_gas_target=Gas(10),
    )


@given(flops=WORK, memory=WORK)
def test_compute_gas_is_the_formula_over_the_rationals(flops: int, memory: int) -> None:
    usage = ResourceUsage(flops=flops, memory_bytes_peak=memory)
    expected = -(-Fraction(3 * flops, 7) // 1) + 11 - (-Fraction(2 * memory, 9) // 1)

    assert FlatGasPolicy().compute_gas(JobKind.INFERENCE, usage, gas_parameter_state(PARAMETERS)) == expected


@given(flops=WORK, memory=WORK, base_fee=FEE, compute_base_fee=FEE, tip=st.integers(0, 2**64 - 1))
def test_a_quote_covers_the_charge_and_is_the_price_times_the_gas(
    flops: int, memory: int, base_fee: int, compute_base_fee: int, tip: int
) -> None:
    policy, usage = FlatGasPolicy(), ResourceUsage(flops=flops, memory_bytes_peak=memory)
    fees = fee_state(base_fee, compute_base_fee)

    quote = policy.quote(JobKind.INFERENCE, usage, fees, gas_parameter_state(PARAMETERS), Wei(tip))
    gas = policy.evm_gas(quote.compute_gas, *policy.next_base_fees(fees))

    assert gas * base_fee + quote.compute_gas * tip <= quote.cost_max
    assert quote.cost_max == quote.price_per_gas * quote.compute_gas
    assert quote.compute_gas == quote.gas_ai + quote.gas_inference


@given(gas_used=st.integers(0, 20), base_fee=FEE, compute_base_fee=FEE)
def test_fees_never_move(gas_used: int, base_fee: int, compute_base_fee: int) -> None:
    moved = FlatGasPolicy().next_base_fees(fee_state(base_fee, compute_base_fee, gas_used))

    assert moved == (base_fee, compute_base_fee)


def test_the_target_is_the_chains() -> None:
    policy = build_flat_gas()

    assert policy.compute_gas_target(gas_parameter_state(PARAMETERS)) == 1_000_000
    assert (policy.name, policy.version) == ("flat", 1)
