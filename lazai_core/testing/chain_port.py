"""The chain as a precompile or a gas policy sees it: state, records and the current block, held in memory."""

from __future__ import annotations

from collections.abc import Mapping

from attrs import field, frozen

from lazai_core.api.encoding import domain_hash
from lazai_core.api.gas import Ratio
from lazai_core.api.gas_parameters import (
    ALPHA_SLOT,
    BETA_SLOT,
    COMPUTE_GAS_TARGET_SLOT,
    GAMMA_SLOT,
    TIP_SLOT,
    GasParameters,
)
from lazai_core.api.job import ComputeJob, ComputeRecord
from lazai_core.api.precompile import BlockContext, ComputeMeter, NeedsCompute, PrecompileCall, StatePort, WitnessReader
from lazai_core.api.types import GAS_PARAMETERS_ADDRESS, Address, Gas, Hash32, Height, JobId, Wei
from lazai_core.testing.sample import CHAIN_ID

GENESIS_HASH = Hash32(domain_hash("lazai/testing/genesis/v1"))
CALLER = Address(bytes(19) + b"\xca")
ORIGIN = Address(bytes(19) + b"\x0e")


@frozen(kw_only=True)
class MemoryState:
    """`StatePort` over three mappings; what they do not hold is zero or empty, as on a chain."""

    balances: Mapping[Address, int] = field(factory=dict)
    codes: Mapping[Address, bytes] = field(factory=dict)
    slots: Mapping[tuple[Address, int], int] = field(factory=dict)

    def balance(self, address: Address) -> Wei:
        """Wei held by the account."""
        return Wei(self.balances.get(address, 0))

    def code(self, address: Address) -> bytes:
        """Its code."""
        return self.codes.get(address, b"")

    def storage(self, address: Address, slot: int) -> int:
        """Value of a storage slot."""
        return self.slots.get((address, slot), 0)


def gas_parameter_state(parameters: GasParameters | None = None) -> MemoryState:
    """State in which the contract GasParameters holds these parameters, or ordinary ones."""
    held = parameters or GasParameters(
        alpha=Ratio(numerator=3, denominator=1000),
        beta=Ratio(numerator=1, denominator=64),
        gamma=Gas(1000),
        compute_gas_target=Gas(50_000_000),
        tip=Wei(10**8),
    )
    words = {
        ALPHA_SLOT: held.alpha.numerator,
        ALPHA_SLOT + 1: held.alpha.denominator,
        BETA_SLOT: held.beta.numerator,
        BETA_SLOT + 1: held.beta.denominator,
        GAMMA_SLOT: held.gamma,
        COMPUTE_GAS_TARGET_SLOT: held.compute_gas_target,
        TIP_SLOT: held.tip,
    }
    return MemoryState(slots={(GAS_PARAMETERS_ADDRESS, slot): word for slot, word in words.items()})


class MemoryWitness:
    """`WitnessReader` over given records. `asked` lists the jobs that were looked for."""

    def __init__(self, records: Mapping[JobId, ComputeRecord] | None = None) -> None:
        self._records = dict(records or {})
        self.asked: list[ComputeJob] = []

    def record(self, job: ComputeJob) -> ComputeRecord:
        """The record of `job`. Raises NeedsCompute."""
        self.asked.append(job)
        found = self._records.get(job.job_id)
        if found is None:
            raise NeedsCompute(job)
        return found


class CountingMeter:
    """`ComputeMeter` that remembers the total."""

    def __init__(self) -> None:
        self.total = 0

    def add(self, gas: Gas) -> None:
        """Count."""
        self.total += gas


def block_context(height: int = 7) -> BlockContext:
    """An ordinary block."""
    return BlockContext(
        chain_id=CHAIN_ID,
        height=Height(height),
        timestamp=1_700_000_000 + height,
        coinbase=Address(bytes(19) + b"\xcb"),
        base_fee_per_gas=Wei(10**9),
        compute_base_fee_per_gas=Wei(10**9),
        gas_limit=Gas(30_000_000),
        inline_flops_max=10_000_000,
        inline_memory_bytes_max=1 << 20,
    )


def precompile_call(
    data: bytes,
    *,
    is_static: bool = False,
    value: int = 0,
    caller: Address = CALLER,
    origin: Address = ORIGIN,
    block: BlockContext | None = None,
    witness: WitnessReader | None = None,
    state: StatePort | None = None,
    compute_meter: ComputeMeter | None = None,
) -> PrecompileCall:
    """A call with this calldata, from a contract called by `origin`, over an empty state unless one is given."""
    return PrecompileCall(
        caller=caller,
        origin=origin,
        value=Wei(value),
        data=data,
        is_static=is_static,
        block=block or block_context(),
        witness=witness or MemoryWitness(),
        state=state or MemoryState(),
        compute_meter=compute_meter or CountingMeter(),
    )
