"""What every gas policy must do: the same integers on every node, prices that grow with work, quotes that hold."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from attrs import evolve

from lazai_core.api.entries import GasPolicyEntry
from lazai_core.api.gas import FeeState, GasPolicy
from lazai_core.api.job import JobKind, ResourceUsage
from lazai_core.api.precompile import StatePort
from lazai_core.api.types import Gas, Wei
from lazai_core.testing.cases import Case, cases
from lazai_core.testing.chain_port import gas_parameter_state
from lazai_core.testing.parts import build_entry

USAGES = tuple(
    ResourceUsage(flops=flops, memory_bytes_peak=memory)
    for flops, memory in (
        (0, 0),
        (1, 0),
        (0, 1),
        (999, 1_000),
        (1_000_000, 50_000),
        (10**12, 10**10),
        (2**62, 2**62),
        (2**64 - 1, 2**64 - 1),
    )
)
GWEI = 10**9


def fee_state(
    *,
    base_fee: int = GWEI,
    compute_base_fee: int = GWEI,
    gas_used: int = 15_000_000,
    gas_target: int = 15_000_000,
    compute_gas_used: int = 50_000_000,
    compute_gas_target: int = 50_000_000,
) -> FeeState:
    """Fee fields of a block; both kinds of gas at their targets unless said otherwise."""
    return FeeState(
        base_fee_per_gas=Wei(base_fee),
        gas_used=Gas(gas_used),
        gas_target=Gas(gas_target),
        compute_base_fee_per_gas=Wei(compute_base_fee),
        compute_gas_used=Gas(compute_gas_used),
        compute_gas_target=Gas(compute_gas_target),
    )


def random_fees(case: Case) -> FeeState:
    """Fee fields from tiny to huge; a header holds each in 64 bits."""
    target, compute_target = case.integer(1, 2 ** case.integer(1, 60)), case.integer(1, 2 ** case.integer(1, 60))
    return fee_state(
        base_fee=case.integer(1, 2 ** case.integer(1, 63)),
        compute_base_fee=case.integer(1, 2 ** case.integer(1, 63)),
        gas_target=target,
        gas_used=case.integer(0, 2 * target),
        compute_gas_target=compute_target,
        compute_gas_used=case.integer(0, 2 * compute_target),
    )


class GasPolicyConformance:
    """Subclass it and give the fixture `entry`; override `state` for a policy that reads its own contract."""

    @pytest.fixture
    def entry(self) -> GasPolicyEntry:
        """The entry under test."""
        raise NotImplementedError("give a fixture `entry` that returns your GasPolicyEntry")

    @pytest.fixture
    def options(self, entry: GasPolicyEntry) -> Any:
        """Options the policy is built with."""
        return entry.options()

    @pytest.fixture
    def state(self) -> StatePort:
        """Chain state that holds the parameters."""
        return gas_parameter_state()

    @pytest.fixture
    def policy(self, entry: GasPolicyEntry, options: Any) -> GasPolicy:
        """The policy."""
        built: GasPolicy = build_entry(entry, options=options)
        return built

    @pytest.fixture
    def quote_blocks(self, options: Any) -> int:
        """For how many blocks a quote holds; the option of that name where there is one."""
        return int(getattr(options, "quote_blocks", 1))

    def test_the_policy_is_what_the_entry_says(self, entry: GasPolicyEntry, policy: GasPolicy) -> None:
        assert (policy.name, policy.version) == (entry.name, entry.version)

    # Work becomes gas.

    @pytest.mark.parametrize("usage", USAGES, ids=lambda usage: f"{usage.flops}-{usage.memory_bytes_peak}")
    def test_compute_gas_is_a_non_negative_integer(
        self, policy: GasPolicy, state: StatePort, usage: ResourceUsage
    ) -> None:
        gas = policy.compute_gas(JobKind.INFERENCE, usage, state)

        assert type(gas) is int
        assert gas >= 0

    def test_more_work_never_costs_less(self, policy: GasPolicy, state: StatePort) -> None:
        for case in cases(60):
            with case:
                usage = _random_usage(case)
                gas = policy.compute_gas(JobKind.INFERENCE, usage, state)
                more_flops = evolve(usage, flops=usage.flops + case.integer(1, 2**40))
                more_memory = evolve(usage, memory_bytes_peak=usage.memory_bytes_peak + case.integer(1, 2**40))

                assert policy.compute_gas(JobKind.INFERENCE, more_flops, state) >= gas
                assert policy.compute_gas(JobKind.INFERENCE, more_memory, state) >= gas

    def test_two_nodes_get_the_same_numbers(
        self, entry: GasPolicyEntry, options: Any, policy: GasPolicy, state: StatePort
    ) -> None:
        other: GasPolicy = build_entry(entry, options=options)
        for case in cases(40):
            with case:
                usage, fees, tip = _random_usage(case), random_fees(case), Wei(case.integer(0, 10**12))
                for _ in range(2):
                    assert policy.quote(JobKind.INFERENCE, usage, fees, state, tip) == other.quote(
                        JobKind.INFERENCE, usage, fees, state, tip
                    )
                    assert policy.next_base_fees(fees) == other.next_base_fees(fees)

    def test_the_target_is_a_positive_integer(self, policy: GasPolicy, state: StatePort) -> None:
        target = policy.compute_gas_target(state)

        assert type(target) is int
        assert target > 0

    # Quotes.

    def test_a_quote_is_price_times_gas(self, policy: GasPolicy, state: StatePort) -> None:
        for case in cases(60):
            with case:
                usage, fees, tip = _random_usage(case), random_fees(case), Wei(case.integer(0, 10**12))
                quote = policy.quote(JobKind.INFERENCE, usage, fees, state, tip)

                numbers = (
                    quote.gas_ai,
                    quote.gas_inference,
                    quote.compute_gas,
                    quote.price_per_gas,
                    quote.cost_max,
                )
                assert all(_is_amount(number) for number in numbers)
                assert quote.compute_gas == policy.compute_gas(JobKind.INFERENCE, usage, state)
                assert quote.gas_ai + quote.gas_inference == quote.compute_gas
                assert quote.cost_max == quote.compute_gas * quote.price_per_gas

    def test_a_quote_is_never_below_the_charge(self, policy: GasPolicy, state: StatePort, quote_blocks: int) -> None:
        for case in cases(60):
            with case:
                usage, fees, tip = _random_usage(case), random_fees(case), Wei(case.integer(0, 10**12))
                quote = policy.quote(JobKind.INFERENCE, usage, fees, state, tip)
                gas = policy.compute_gas(JobKind.INFERENCE, usage, state)

                for child in self._children(policy, fees, quote_blocks):
                    assert quote.cost_max >= gas * (child.compute_base_fee_per_gas + tip)

    def _children(self, policy: GasPolicy, parent: FeeState, count: int) -> Iterator[FeeState]:
        """The next blocks, each of them as full as a block can be, so that fees rise as fast as they can."""
        for _ in range(count):
            base_fee, compute_base_fee = policy.next_base_fees(parent)
            parent = evolve(
                parent,
                base_fee_per_gas=base_fee,
                gas_used=Gas(2 * parent.gas_target),
                compute_base_fee_per_gas=compute_base_fee,
                compute_gas_used=Gas(2 * parent.compute_gas_target),
            )
            yield parent

    # Base fees.

    def test_base_fees_are_non_negative_integers(self, policy: GasPolicy) -> None:
        for case in cases(60):
            with case:
                fees = policy.next_base_fees(random_fees(case))

                assert len(fees) == 2
                assert all(_is_amount(fee) for fee in fees)

    def test_base_fees_fall_to_a_floor_and_rise_again(self, policy: GasPolicy) -> None:
        fees = fee_state(gas_used=0, compute_gas_used=0)
        for _ in range(400):
            base_fee, compute_base_fee = policy.next_base_fees(fees)
            fees = evolve(fees, base_fee_per_gas=base_fee, compute_base_fee_per_gas=compute_base_fee)
        assert (fees.base_fee_per_gas, fees.compute_base_fee_per_gas) == policy.next_base_fees(fees)

        full = evolve(
            fees, gas_used=Gas(2 * fees.gas_target), compute_gas_used=Gas(2 * fees.compute_gas_target)
        )
        raised = policy.next_base_fees(full)
        assert raised[0] >= fees.base_fee_per_gas
        assert raised[1] >= fees.compute_base_fee_per_gas

    def test_a_base_fee_never_rises_by_more_than_an_eighth(self, policy: GasPolicy) -> None:
        for case in cases(60):
            with case:
                fees = random_fees(case)
                base_fee, compute_base_fee = policy.next_base_fees(fees)
                floor = policy.next_base_fees(
                    evolve(fees, base_fee_per_gas=Wei(0), gas_used=Gas(0), compute_base_fee_per_gas=Wei(0))
                )

                # The smallest step is 1, and a fee below a floor is lifted to it.
                assert base_fee <= max(fees.base_fee_per_gas + max(1, fees.base_fee_per_gas // 8), floor[0])
                limit = fees.compute_base_fee_per_gas + max(1, fees.compute_base_fee_per_gas // 8)
                assert compute_base_fee <= max(limit, floor[1])

    # Compute gas as EVM gas.

    def test_evm_gas_pays_for_the_compute_gas_and_hardly_more(self, policy: GasPolicy) -> None:
        for case in cases(100):
            with case:
                gas = Gas(case.integer(0, 2 ** case.integer(1, 64)))
                base_fee, compute_base_fee = Wei(case.integer(1, 10**14)), Wei(case.integer(1, 10**14))

                evm_gas = policy.evm_gas(gas, base_fee, compute_base_fee)

                assert type(evm_gas) is int
                owed = gas * compute_base_fee
                assert owed <= evm_gas * base_fee < owed + base_fee

    def test_no_compute_gas_is_no_evm_gas(self, policy: GasPolicy) -> None:
        assert policy.evm_gas(Gas(0), Wei(GWEI), Wei(GWEI)) == 0


class Eip1559Conformance(GasPolicyConformance):
    """For policies that say they follow EIP-1559: the published vectors, on both base fees."""

    # (parent base fee, gas used, gas target, child base fee): the vectors of EIP-1559's reference
    # implementations for a gas limit of 20 million, then its formula worked out by hand at the edges.
    VECTORS = (
        (1_000_000_000, 10_000_000, 10_000_000, 1_000_000_000),
        (1_000_000_000, 9_000_000, 10_000_000, 987_500_000),
        (1_000_000_000, 11_000_000, 10_000_000, 1_012_500_000),
        (1_000_000_000, 20_000_000, 10_000_000, 1_125_000_000),
        (1_000_000_000, 0, 10_000_000, 875_000_000),
        (1_000_000_000, 10_000_001, 10_000_000, 1_000_000_012),
        (1_000_000_000, 9_999_999, 10_000_000, 999_999_988),
        (10**18, 20_000_000, 10_000_000, 1_125 * 10**15),
        (16, 10_000_001, 10_000_000, 17),
        (16, 0, 10_000_000, 14),
    )

    @pytest.mark.parametrize(("base_fee", "used", "target", "child"), VECTORS)
    def test_eip_1559_vectors(self, policy: GasPolicy, base_fee: int, used: int, target: int, child: int) -> None:
        evm = fee_state(base_fee=base_fee, gas_used=used, gas_target=target)
        compute = fee_state(compute_base_fee=base_fee, compute_gas_used=used, compute_gas_target=target)

        assert policy.next_base_fees(evm) == (child, GWEI)
        assert policy.next_base_fees(compute) == (GWEI, child)


def _random_usage(case: Case) -> ResourceUsage:
    return ResourceUsage(
        flops=case.integer(0, 2 ** case.integer(1, 62)), memory_bytes_peak=case.integer(0, 2 ** case.integer(1, 62))
    )


def _is_amount(number: object) -> bool:
    # A boolean or a numpy integer would encode and compare alike here and fail on another node.
    return type(number) is int and number >= 0
