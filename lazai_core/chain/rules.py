"""What a header must say before its block is executed, given its parent; and what the parent's fees are."""

from __future__ import annotations

from attrs import frozen

from lazai_core.api.errors import InvalidBlock
from lazai_core.api.gas import FeeState
from lazai_core.api.types import Gas, Hash32, Wei

from .block import Block, BlockHeader, consensus_root

COMPUTE_ELASTICITY = 2
"""A block may use this many times the compute gas target."""
EVM_ELASTICITY = 2
"""The EVM gas target is the block's limit divided by this (EIP-1559)."""

BLOCK_BYTES_MAX = 32 * 1024 * 1024
"""Most bytes of a block's transactions and records together; a store keeps a block as one value."""
EVIDENCE_BLOCK_BYTES_MAX = 1024 * 1024
"""Most bytes of a block's evidence together, beside the other bytes."""
SLOW_WORK_MAX = 4_000
"""Milliseconds, about, that a block may spend in curve precompiles, whose gas is far below what they cost here."""


def fee_state(header: BlockHeader) -> FeeState:
    """Fee fields of a header as gas policies take them."""
    return FeeState(
        base_fee_per_gas=header.base_fee_per_gas,
        gas_used=header.gas_used,
        gas_target=Gas(header.gas_limit // EVM_ELASTICITY),
        compute_base_fee_per_gas=header.compute_base_fee_per_gas,
        compute_gas_used=header.compute_gas_used,
        compute_gas_target=header.compute_gas_target,
    )


@frozen(kw_only=True)
class ChildRules:
    """What the parent, its state and the genesis fix for the next block."""

    chain_id: int
    parent: BlockHeader
    gas_limit: Gas
    base_fee_per_gas: Wei
    compute_base_fee_per_gas: Wei
    compute_gas_target: Gas
    validators_hash: Hash32
    next_validators_hash: Hash32

    @property
    def compute_gas_limit(self) -> Gas:
        """Most compute gas of the block."""
        return Gas(COMPUTE_ELASTICITY * self.compute_gas_target)


def check_header(header: BlockHeader, rules: ChildRules) -> None:
    """Raises InvalidBlock, blaming the proposer, unless the header is what `rules` fix."""
    expected = (
        ("chain id", header.chain_id, rules.chain_id),
        ("height", header.height, rules.parent.height + 1),
        ("parent", header.parent_hash, rules.parent.hash),
        ("gas limit", header.gas_limit, rules.gas_limit),
        ("base fee", header.base_fee_per_gas, rules.base_fee_per_gas),
        ("compute base fee", header.compute_base_fee_per_gas, rules.compute_base_fee_per_gas),
        ("compute gas target", header.compute_gas_target, rules.compute_gas_target),
        ("validators", header.validators_hash, rules.validators_hash),
        ("next validators", header.next_validators_hash, rules.next_validators_hash),
    )
    for check, got, wanted in expected:
        require_equal(check, got, wanted, header)
    if header.timestamp <= rules.parent.timestamp:
        raise InvalidBlock(
            f"{header.timestamp} s is not after the parent's {rules.parent.timestamp} s",
            check="timestamp",
            blame=header.proposer,
        )


def check_consensus_root(block: Block) -> None:
    """Raises InvalidBlock, blaming the proposer, unless the header covers the last certificate and the evidence."""
    found = consensus_root(block.last_certificate, block.evidence)
    require_equal("consensus root", block.header.consensus_root, found, block.header)


def require_equal(check: str, got: int | bytes, wanted: int | bytes, header: BlockHeader) -> None:
    """Raises InvalidBlock, blaming the proposer, unless both are equal."""
    if got != wanted:
        raise InvalidBlock(f"the header says {_shown(got)}, it is {_shown(wanted)}", check=check, blame=header.proposer)


def _shown(value: int | bytes) -> str:
    return str(value) if isinstance(value, int) else "0x" + value.hex()
