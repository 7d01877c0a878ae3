"""A gas policy whose prices never move: for development, and as the simplest example of one.

Compute gas follows the parameters on chain, as with every policy; both base fees stay what the genesis says.
"""

from __future__ import annotations

from lazai_core.api.gas import FeeState, GasPolicy, GasQuote
from lazai_core.api.gas_parameters import read_gas_parameters
from lazai_core.api.job import JobKind, ResourceUsage
from lazai_core.api.precompile import StatePort
from lazai_core.api.types import Gas, Wei


class FlatGasPolicy:
    """`GasPolicy` with constant base fees."""

    name = "flat"
    version = 1

    def compute_gas(self, kind: JobKind, usage: ResourceUsage, state: StatePort) -> Gas:
        """`ceil(alpha * FLOPs) + gamma + ceil(beta * bytes)`."""
        return Gas(sum(_parts(usage, state)))

    def quote(self, kind: JobKind, planned: ResourceUsage, fees: FeeState, state: StatePort, tip: Wei) -> GasQuote:
        """P * T with P = compute base fee + tip, and less than one base fee more for the rounding of `evm_gas`."""
        gas_ai, gas_inference = _parts(planned, state)
        total = gas_ai + gas_inference
        rounding = -(-max(fees.base_fee_per_gas - 1, 0) // max(total, 1))
        price = fees.compute_base_fee_per_gas + tip + rounding
        return GasQuote(
            gas_ai=gas_ai,
            gas_inference=gas_inference,
            compute_gas=Gas(total),
            price_per_gas=Wei(price),
            cost_max=Wei(price * total),
        )

    def next_base_fees(self, parent: FeeState) -> tuple[Wei, Wei]:
        """The parent's."""
        return parent.base_fee_per_gas, parent.compute_base_fee_per_gas

    def compute_gas_target(self, state: StatePort) -> Gas:
        """The governed target; it bounds a block, though no price follows it."""
        return read_gas_parameters(state).compute_gas_target

    def evm_gas(self, compute_gas: Gas, base_fee_per_gas: Wei, compute_base_fee_per_gas: Wei) -> Gas:
        """`ceil(compute gas * compute base fee / base fee)`."""
        return Gas(-(-compute_gas * compute_base_fee_per_gas // max(base_fee_per_gas, 1)))


def build_flat_gas() -> GasPolicy:
    """The policy; it has no options."""
    return FlatGasPolicy()


def _parts(usage: ResourceUsage, state: StatePort) -> tuple[Gas, Gas]:
    """GasAI and GasInference (docs/GAS.md)."""
    parameters = read_gas_parameters(state)
    return (
        Gas(parameters.alpha.ceil_of(usage.flops) + parameters.gamma),
        Gas(parameters.beta.ceil_of(usage.memory_bytes_peak)),
    )
