"""The gas policy: schedule, base fees and quotes put together."""

from __future__ import annotations

from lazai_core.api.gas import FeeState, GasQuote
from lazai_core.api.gas_parameters import read_gas_parameters
from lazai_core.api.job import JobKind, ResourceUsage
from lazai_core.api.precompile import StatePort
from lazai_core.api.types import Gas, Wei

from .base_fee import highest_base_fee, next_base_fee
from .options import Eip1559Options
from .schedule import compute_gas_of


class Eip1559GasPolicy:
    """`GasPolicy` with two base fees. Version 1 is the rules of docs/GAS.md; other rules get another version."""

    name = "eip1559"
    version = 1

    def __init__(self, options: Eip1559Options | None = None) -> None:
        self._options = options or Eip1559Options()

    def compute_gas(self, kind: JobKind, usage: ResourceUsage, state: StatePort) -> Gas:
        """T under the parameters in `state`; every kind of job has the same price for the same usage."""
        return compute_gas_of(usage, read_gas_parameters(state)).total

    def quote(self, kind: JobKind, planned: ResourceUsage, fees: FeeState, state: StatePort, tip: Wei) -> GasQuote:
        """P * T that covers the job in each of the next `quote_blocks` blocks, under today's parameters.

        What a job is charged there is `evm_gas(T) * base fee + T * tip`. The first factor is rounded up, which adds
        less than one base fee; P includes it, spread over T and rounded up.
        """
        parts = compute_gas_of(planned, read_gas_parameters(state))
        base_fee, compute_base_fee = self.next_base_fees(fees)
        rises = self._options.quote_blocks - 1
        compute_base_fee = highest_base_fee(compute_base_fee, rises)
        rounding = highest_base_fee(base_fee, rises) - 1
        price = compute_base_fee + tip + -(-rounding // max(parts.total, 1))
        return GasQuote(
            gas_ai=parts.gas_ai,
            gas_inference=parts.gas_inference,
            compute_gas=parts.total,
            price_per_gas=Wei(price),
            cost_max=Wei(price * parts.total),
        )

    def next_base_fees(self, parent: FeeState) -> tuple[Wei, Wei]:
        """Each fee by its own use and target."""
        return (
            next_base_fee(parent.base_fee_per_gas, parent.gas_used, parent.gas_target),
            next_base_fee(parent.compute_base_fee_per_gas, parent.compute_gas_used, parent.compute_gas_target),
        )

    def compute_gas_target(self, state: StatePort) -> Gas:
        """The governed target."""
        return read_gas_parameters(state).compute_gas_target

    def evm_gas(self, compute_gas: Gas, base_fee_per_gas: Wei, compute_base_fee_per_gas: Wei) -> Gas:
        """`ceil(compute gas * compute base fee / base fee)`: paid at the EVM's base fee, it is worth the compute's."""
        return Gas(-(-compute_gas * compute_base_fee_per_gas // max(base_fee_per_gas, 1)))
