"""docs/GAS.md against the code: its table, its worked example and its parameters."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

from lazai_core.api.gas import FeeState, Ratio
from lazai_core.api.gas_parameters import GasParameters
from lazai_core.api.job import JobKind, ResourceUsage
from lazai_core.api.types import Gas, Wei
from lazai_core.testing.chain_port import gas_parameter_state
from lazai_gas_eip1559.base_fee import highest_base_fee
from lazai_gas_eip1559.options import Eip1559Options
from lazai_gas_eip1559.policy import Eip1559GasPolicy

DOCUMENT = Path(__file__).parents[3] / "docs" / "GAS.md"
BLOCK_GAS = 30_000_000


@cache
def text() -> str:
    return DOCUMENT.read_text(encoding="utf-8")


def number(cell: str) -> int:
    return int(cell.replace(",", ""))


def parameters() -> GasParameters:
    """The defaults as the document's table gives them."""

    def default(name: str) -> str:
        (found,) = re.findall(rf"^\| {name} \| [\d, ]+ \| ([\d,/ ]+?)(?: wei)? \|", text(), re.MULTILINE)
        return str(found)

    def ratio(name: str) -> Ratio:
        numerator, denominator = default(name).split("/")
        return Ratio(numerator=int(numerator), denominator=int(denominator))

    return GasParameters(
        alpha=ratio("alpha"),
        beta=ratio("beta"),
        gamma=Gas(number(default("gamma"))),
        compute_gas_target=Gas(number(default("compute gas target"))),
        tip=Wei(number(default("tip"))),
    )


def rows() -> list[tuple[str, list[int]]]:
    """Runs of the table: name, then FLOPs, bytes, and the three parts of the gas."""
    lines = re.findall(r"^\| ([^|]+) " + r"\| ([\d,]+) " * 5 + r"\|$", text(), re.MULTILINE)
    return [(line[0], [number(cell) for cell in line[1:]]) for line in lines]


PARENT = FeeState(
    base_fee_per_gas=Wei(1_000_000_000),
    gas_used=Gas(20_000_000),
    gas_target=Gas(15_000_000),
    compute_base_fee_per_gas=Wei(2_000_000_000),
    compute_gas_used=Gas(30_000_000),
    compute_gas_target=Gas(15_000_000),
)
DIGIT = ResourceUsage(flops=4_778, memory_bytes_peak=2_770)


def test_the_table_is_what_the_policy_computes() -> None:
    state, gamma = gas_parameter_state(parameters()), parameters().gamma
    assert len(rows()) == 5
    for name, (flops, memory, work, inference, total) in rows():
        usage = ResourceUsage(flops=flops, memory_bytes_peak=memory)
        quote = Eip1559GasPolicy().quote(JobKind.INFERENCE, usage, PARENT, state, Wei(0))

        assert (quote.gas_ai, quote.gas_inference, quote.compute_gas) == (work + gamma, inference, total), name
        assert total < BLOCK_GAS, name


def test_the_defaults_reach_their_aims() -> None:
    held = parameters()
    cost = {name: cells[-1] for name, cells in rows()}

    assert 21_000 <= cost["digit classifier, 64 x 32 x 10"] <= 65_000
    assert 2 * held.compute_gas_target == BLOCK_GAS
    assert BLOCK_GAS * held.alpha.denominator == 15 * 10**9 * held.alpha.numerator
    assert BLOCK_GAS * held.beta.denominator == 600 * 10**6 * held.beta.numerator


def test_the_worked_example_is_what_the_policy_computes() -> None:
    state, tip = gas_parameter_state(parameters()), parameters().tip
    policy = Eip1559GasPolicy(Eip1559Options(quote_blocks=8))
    base_fee, compute_base_fee = policy.next_base_fees(PARENT)
    total = policy.compute_gas(JobKind.INFERENCE, DIGIT, state)
    gas = policy.evm_gas(total, base_fee, compute_base_fee)
    quote = policy.quote(JobKind.INFERENCE, DIGIT, PARENT, state, tip)
    short = Eip1559GasPolicy(Eip1559Options(quote_blocks=1)).quote(JobKind.INFERENCE, DIGIT, PARENT, state, tip)
    example = text().split("## 6.")[1]

    bold = [number(found) for found in re.findall(r"\*\*([\d,]+)\*\*", example)]
    assert bold == [
        total,
        base_fee,
        compute_base_fee,
        gas,
        gas * base_fee + total * tip,
        quote.price_per_gas,
        quote.cost_max,
        short.price_per_gas,
    ]
    assert f"{highest_base_fee(compute_base_fee, 7):,}" in example
    assert f"{highest_base_fee(base_fee, 7):,}" in example
