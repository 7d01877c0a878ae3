"""The parameters of computation's price, as the genesis sets them and the contract GasParameters holds them.

A gas policy reads them from state, so that a governance call changes them for every node in the same block.
"""

from __future__ import annotations

from attrs import frozen

from .errors import InvalidGenesis
from .gas import Ratio
from .precompile import StatePort
from .types import GAS_PARAMETERS_ADDRESS, Gas, Wei, to_hex

PARAMETER_MAX = 2**64 - 1
"""Largest value of every parameter, numerators and denominators included."""

ALPHA_SLOT = 1
"""Numerator of alpha; the denominator follows."""
BETA_SLOT = 3
"""Numerator of beta; the denominator follows."""
GAMMA_SLOT = 5
COMPUTE_GAS_TARGET_SLOT = 6
TIP_SLOT = 7


@frozen(kw_only=True)
class GasParameters:
    """Compute gas of a run is `ceil(alpha * flops) + gamma + ceil(beta * memory_bytes_peak)`.

    `alpha` is compute gas a FLOP, `beta` compute gas a byte, `gamma` compute gas a run, `compute_gas_target`
    compute gas a block, `tip` wei a unit of compute gas that settlements pay to workers.
    """

    alpha: Ratio
    beta: Ratio
    gamma: Gas
    compute_gas_target: Gas
    tip: Wei


def read_gas_parameters(state: StatePort) -> GasParameters:
    """The parameters that hold in `state`. Raises InvalidGenesis where the contract was never set up."""

    def word(slot: int) -> int:
        return state.storage(GAS_PARAMETERS_ADDRESS, slot)

    alpha = Ratio(numerator=word(ALPHA_SLOT), denominator=word(ALPHA_SLOT + 1))
    beta = Ratio(numerator=word(BETA_SLOT), denominator=word(BETA_SLOT + 1))
    if alpha.denominator == 0 or beta.denominator == 0:
        raise InvalidGenesis(
            f"the contract at {to_hex(GAS_PARAMETERS_ADDRESS)} holds no gas parameters",
            hint="start the chain from a genesis file that sets up the system contracts",
        )
    return GasParameters(
        alpha=alpha,
        beta=beta,
        gamma=Gas(word(GAMMA_SLOT)),
        compute_gas_target=Gas(word(COMPUTE_GAS_TARGET_SLOT)),
        tip=Wei(word(TIP_SLOT)),
    )
