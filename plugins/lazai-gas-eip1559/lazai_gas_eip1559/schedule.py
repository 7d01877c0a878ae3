"""How much compute gas a job takes (docs/GAS.md). A function of planned usage and chain parameters alone."""

from __future__ import annotations

from attrs import frozen

from lazai_core.api.gas_parameters import GasParameters
from lazai_core.api.job import ResourceUsage
from lazai_core.api.types import Gas


@frozen(kw_only=True)
class ComputeGas:
    """The two parts of a job's compute gas."""

    gas_ai: Gas
    gas_inference: Gas

    @property
    def total(self) -> Gas:
        """T of `GasEstimate = P * T`."""
        return Gas(self.gas_ai + self.gas_inference)


def compute_gas_of(usage: ResourceUsage, parameters: GasParameters) -> ComputeGas:
    """`GasAI = ceil(alpha * FLOPs) + gamma` and `GasInference = ceil(beta * Mempeak)`, Mempeak in bytes.

    Each product is rounded up once, so that no work is free and no order of operations matters.
    """
    return ComputeGas(
        gas_ai=Gas(parameters.alpha.ceil_of(usage.flops) + parameters.gamma),
        gas_inference=Gas(parameters.beta.ceil_of(usage.memory_bytes_peak)),
    )
