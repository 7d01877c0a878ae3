"""The EIP-1559 rule against py-evm's own and against examples worked by hand."""

from __future__ import annotations

import pytest
from eth.vm.forks.london.blocks import LondonBlockHeader
from eth.vm.forks.london.headers import calculate_expected_base_fee_per_gas
from hypothesis import given
from hypothesis import strategies as st

from lazai_core.api.types import Gas, Wei
from lazai_gas_eip1559.base_fee import BASE_FEE_MAX, BASE_FEE_MIN, highest_base_fee, next_base_fee

FEES = st.one_of(st.integers(1, 100), st.integers(1, BASE_FEE_MAX))
TARGETS = st.integers(1, 2**63)


def by_py_evm(fee: int, used: int, target: int) -> int:
    """What Ethereum's rule gives for a parent whose gas limit is twice the target."""
    header = LondonBlockHeader(
        difficulty=0,
        block_number=5,
        gas_limit=2 * target,
        timestamp=1,
        base_fee_per_gas=fee,
        gas_used=used,
    )
    return int(calculate_expected_base_fee_per_gas(header))


@pytest.mark.parametrize(
    ("fee", "used", "target", "expected"),
    [
        (1_000_000_000, 10_000_000, 10_000_000, 1_000_000_000),
        (1_000_000_000, 20_000_000, 10_000_000, 1_125_000_000),
        (1_000_000_000, 0, 10_000_000, 875_000_000),
        (1_000_000_000, 9_000_000, 10_000_000, 987_500_000),
        (1_000_000_000, 11_000_000, 10_000_000, 1_012_500_000),
        (7, 20_000_000, 10_000_000, 8),
        (7, 0, 10_000_000, 7),
        (1, 10_000_001, 10_000_000, 2),
        (15_267_273_059, 29_994_592, 15_000_000, 17_174_994_146),
    ],
)
def test_examples(fee: int, used: int, target: int, expected: int) -> None:
    assert next_base_fee(Wei(fee), Gas(used), Gas(target)) == expected
    assert by_py_evm(fee, used, target) == expected


@given(fee=FEES, target=TARGETS, data=st.data())
def test_the_rule_is_ethereums(fee: int, target: int, data: st.DataObject) -> None:
    used = data.draw(st.integers(0, 2 * target))

    assert next_base_fee(Wei(fee), Gas(used), Gas(target)) == min(by_py_evm(fee, used, target), BASE_FEE_MAX)


@given(fee=FEES, target=TARGETS, data=st.data())
def test_the_fee_rises_with_use_and_stays_in_bounds(fee: int, target: int, data: st.DataObject) -> None:
    less, more = sorted(data.draw(st.tuples(st.integers(0, 2 * target), st.integers(0, 2 * target))))

    low, high = (next_base_fee(Wei(fee), Gas(used), Gas(target)) for used in (less, more))

    assert BASE_FEE_MIN <= low <= high <= BASE_FEE_MAX
    assert 8 * (high - fee) <= max(fee, 8)


@given(fee=FEES, uses=st.lists(st.integers(0, 2000), max_size=12))
def test_no_sequence_of_blocks_passes_the_highest_fee(fee: int, uses: list[int]) -> None:
    reached = Wei(fee)
    for used in uses:
        reached = next_base_fee(reached, Gas(used), Gas(1000))

    assert reached <= highest_base_fee(Wei(fee), len(uses))


def test_full_blocks_reach_the_highest_fee() -> None:
    fee = Wei(123_456_789)
    for _ in range(5):
        fee = next_base_fee(fee, Gas(60), Gas(30))

    assert fee == highest_base_fee(Wei(123_456_789), 5)


@pytest.mark.parametrize("fee", [0, BASE_FEE_MAX])
def test_the_ends_of_the_range_hold(fee: int) -> None:
    assert next_base_fee(Wei(fee), Gas(2), Gas(1)) == min(fee + max(fee // 8, 1), BASE_FEE_MAX)
    assert next_base_fee(Wei(0), Gas(0), Gas(1)) == BASE_FEE_MIN


def test_a_target_of_zero_does_not_divide_by_zero() -> None:
    assert next_base_fee(Wei(80), Gas(1), Gas(0)) == 80
    assert next_base_fee(Wei(80), Gas(2), Gas(0)) == 90
