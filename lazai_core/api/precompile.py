"""What a precompiled contract promises, and what it may see of the chain.

No type of the EVM engine leaks through here. Order inside a call, as in the Ethereum specifications: parse,
charge gas, operate, output.
"""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from attrs import field, frozen

from .job import ComputeJob, ComputeRecord
from .types import Address, Gas, Hash32, Height, Wei


class NeedsCompute(Exception):
    """The transaction needs the record of `job`, which the block's witness does not hold.

    Deliberately outside the error tree: a proposer answers it with work, a validator with `InvalidBlock`.
    """

    def __init__(self, job: ComputeJob) -> None:
        super().__init__(f"needs the record of job {job.job_id.hex()}")
        self.job = job


@frozen(kw_only=True)
class BlockContext:
    """The block a call runs in. `timestamp` in seconds; base fees in wei per unit of gas."""

    chain_id: int
    height: Height
    timestamp: int
    coinbase: Address
    base_fee_per_gas: Wei
    compute_base_fee_per_gas: Wei
    gas_limit: Gas
    inline_flops_max: int
    """Genesis limit for models that run on every node inside the VM."""
    inline_memory_bytes_max: int


class StatePort(Protocol):
    """Read access to accounts during a call."""

    def balance(self, address: Address) -> Wei:
        """Wei held by the account."""

    def code(self, address: Address) -> bytes:
        """Its code, empty when there is none."""

    def storage(self, address: Address, slot: int) -> int:
        """Value of a storage slot as an unsigned 256-bit integer, 0 when never written."""


class WitnessReader(Protocol):
    """The compute records a block carries."""

    def record(self, job: ComputeJob) -> ComputeRecord:
        """The verified record of `job`. Raises NeedsCompute when there is none, InvalidBlock when it is wrong."""


class ComputeMeter(Protocol):
    """Counts compute gas of a block for the compute base fee; unaffected by reverts, as work was ordered."""

    def add(self, gas: Gas) -> None:
        """Count `gas` units of compute gas towards the block."""


@frozen(kw_only=True)
class PrecompileCall:
    """One call. `caller` is the direct caller, `origin` the transaction's sender; `value` in wei."""

    caller: Address
    origin: Address
    value: Wei
    data: bytes = field(repr=lambda data: f"<{len(data)} bytes>")
    is_static: bool
    block: BlockContext
    witness: WitnessReader
    state: StatePort
    compute_meter: ComputeMeter


@runtime_checkable
class Precompile(Protocol):
    """A contract implemented by the node. Both methods are pure functions of the call."""

    def required_gas(self, call: PrecompileCall) -> Gas:
        """EVM gas of the call, known before any work. Raises PrecompileRevert for calldata that cannot be parsed."""

    def run(self, call: PrecompileCall) -> bytes:
        """Output. Called after the gas was charged.

        Raises PrecompileRevert to revert the call with data, NeedsCompute to stop the transaction.
        """


@frozen(kw_only=True)
class BlockSummary:
    """What observers learn of a committed block."""

    height: Height
    block_hash: Hash32
    parent_hash: Hash32
    state_root: Hash32
    timestamp: int
    proposer: Address
    transactions: int
    records: int
    gas_used: Gas
    compute_gas_used: Gas
