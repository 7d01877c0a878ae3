"""Prices of computation. Integers only: every node must get the same number."""

from __future__ import annotations

from fractions import Fraction
from typing import Protocol

from attrs import frozen

from .job import JobKind, ResourceUsage
from .precompile import StatePort
from .types import Gas, Wei


@frozen(kw_only=True)
class Ratio:
    """An exact non-negative ratio; the denominator is at least 1."""

    numerator: int
    denominator: int

    def ceil_of(self, amount: int) -> int:
        """`ceil(amount * numerator / denominator)`."""
        return -(-amount * self.numerator // self.denominator)

    def fraction(self) -> Fraction:
        """The same number as a `Fraction`, for display and tests."""
        return Fraction(self.numerator, self.denominator)


@frozen(kw_only=True)
class FeeState:
    """Fee fields of a block header. Base fees in wei per unit of gas; targets and uses in units of gas."""

    base_fee_per_gas: Wei
    gas_used: Gas
    gas_target: Gas
    compute_base_fee_per_gas: Wei
    compute_gas_used: Gas
    compute_gas_target: Gas


@frozen(kw_only=True)
class GasQuote:
    """Price of one job before it runs: GasEstimate = P * T.

    `compute_gas` is T, the total compute gas; `price_per_gas` is P in wei: compute base fee plus tip, with room
    for the base fee to rise until the block; `cost_max` = P * T is never below what will be charged.
    """

    gas_ai: Gas
    gas_inference: Gas
    compute_gas: Gas
    price_per_gas: Wei
    cost_max: Wei


class GasPolicy(Protocol):
    """How work becomes gas and how base fees move. Consensus critical: its name and version are in the genesis."""

    name: str
    version: int

    def compute_gas(self, kind: JobKind, usage: ResourceUsage, state: StatePort) -> Gas:
        """T: compute gas of a job with this planned usage under the parameters held in `state`."""

    def quote(self, kind: JobKind, planned: ResourceUsage, fees: FeeState, state: StatePort, tip: Wei) -> GasQuote:
        """Price of the job in the block after the one that `fees` describes, valid for `quote_blocks` blocks."""

    def next_base_fees(self, parent: FeeState) -> tuple[Wei, Wei]:
        """(EVM base fee, compute base fee) of the child of a block with these fees."""

    def compute_gas_target(self, state: StatePort) -> Gas:
        """Compute gas a block should use on average; a block may use at most twice as much."""

    def evm_gas(self, compute_gas: Gas, base_fee_per_gas: Wei, compute_base_fee_per_gas: Wei) -> Gas:
        """EVM gas that pays for `compute_gas` at the ratio of the two base fees, rounded up."""
