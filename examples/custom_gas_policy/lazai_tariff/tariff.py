"""Compute gas from a price list, as a telephone company would: small, medium and large jobs, then by the piece.

| FLOPs up to | GasAI |
|---|---|
| 1 million | 10,000 |
| 100 million | 100,000 |
| 10,000 million | 2,000,000 |
| more | 2,000,000 for each 10,000 million begun |

GasInference is 1 for each 1,024 bytes of planned peak memory begun. Base fees never move. The list is part of the
policy's version, which the genesis fixes; a chain that wants other prices needs another version.
"""

from __future__ import annotations

from lazai_core.api.gas import FeeState, GasQuote
from lazai_core.api.job import JobKind, ResourceUsage
from lazai_core.api.precompile import StatePort
from lazai_core.api.types import Gas, Wei

STEPS = ((1_000_000, 10_000), (100_000_000, 100_000), (10_000_000_000, 2_000_000))
PAGE_BYTES = 1024
COMPUTE_GAS_TARGET = Gas(100_000_000)


class TariffGasPolicy:
    """`GasPolicy`. Integers only, and nothing is read from state."""

    name = "tariff"
    version = 1

    def compute_gas(self, kind: JobKind, usage: ResourceUsage, state: StatePort) -> Gas:
        """GasAI + GasInference."""
        return Gas(gas_ai(usage) + gas_inference(usage))

    def quote(self, kind: JobKind, planned: ResourceUsage, fees: FeeState, state: StatePort, tip: Wei) -> GasQuote:
        """Fees do not move, so a quote holds for ever; the last term covers the rounding up of `evm_gas`."""
        total = gas_ai(planned) + gas_inference(planned)
        price = fees.compute_base_fee_per_gas + tip + ceil_div(fees.base_fee_per_gas, total)
        return GasQuote(
            gas_ai=Gas(gas_ai(planned)),
            gas_inference=Gas(gas_inference(planned)),
            compute_gas=Gas(total),
            price_per_gas=Wei(price),
            cost_max=Wei(price * total),
        )

    def next_base_fees(self, parent: FeeState) -> tuple[Wei, Wei]:
        """The parent's."""
        return parent.base_fee_per_gas, parent.compute_base_fee_per_gas

    def compute_gas_target(self, state: StatePort) -> Gas:
        """Half of what a block may hold."""
        return COMPUTE_GAS_TARGET

    def evm_gas(self, compute_gas: Gas, base_fee_per_gas: Wei, compute_base_fee_per_gas: Wei) -> Gas:
        """What pays for it at the EVM's base fee, rounded up."""
        return Gas(ceil_div(compute_gas * compute_base_fee_per_gas, max(base_fee_per_gas, 1)))


def gas_ai(usage: ResourceUsage) -> int:
    """The tariff's step for the FLOPs."""
    for limit, price in STEPS:
        if usage.flops <= limit:
            return price
    limit, price = STEPS[-1]
    return price * ceil_div(usage.flops, limit)


def gas_inference(usage: ResourceUsage) -> int:
    """Pages of planned peak memory."""
    return ceil_div(usage.memory_bytes_peak, PAGE_BYTES)


def ceil_div(amount: int, unit: int) -> int:
    """`amount / unit`, rounded up."""
    return -(-amount // unit)
