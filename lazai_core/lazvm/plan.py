"""What goes into the building of a block and what comes out, besides the block itself."""

from __future__ import annotations

from collections.abc import Sequence

from attrs import field, frozen

from lazai_core.api.consensus import Certificate
from lazai_core.api.errors import LazAIError
from lazai_core.api.job import ComputeJob
from lazai_core.api.precompile import BlockSummary
from lazai_core.api.types import Address, Gas, Height
from lazai_core.chain.block import Block, BlockHeader

from .production import ExecutedBlock


@frozen(kw_only=True)
class BlockPlan:
    """What a proposer wants in a block, in this order. `timestamp` in seconds.

    `last_certificate` is the fullest one of the head that the proposer has; without it the one committed with the head
    is taken. Evidence that cannot stand in the block is left out.
    """

    transactions: Sequence[bytes]
    timestamp: int
    proposer: Address
    extra_data: bytes = b""
    last_certificate: Certificate | None = None
    evidence: Sequence[bytes] = ()


@frozen(kw_only=True)
class BuiltBlock:
    """A proposer's block, and what became of the transactions that are not in it.

    `waiting` need a record first; `refused` cannot be included (InvalidTransaction) or met a wrong record
    (InvalidBlock with the worker to blame); `left_over` may come in a later block.
    """

    executed: ExecutedBlock
    waiting: tuple[tuple[bytes, ComputeJob], ...] = ()
    refused: tuple[tuple[bytes, LazAIError], ...] = ()
    left_over: tuple[bytes, ...] = field(default=(), repr=lambda items: f"<{len(items)} transactions>")


def summary_of(block: Block) -> BlockSummary:
    """What observers learn of a block."""
    header: BlockHeader = block.header
    return BlockSummary(
        height=Height(header.height),
        block_hash=header.hash,
        parent_hash=header.parent_hash,
        state_root=header.state_root,
        timestamp=header.timestamp,
        proposer=header.proposer,
        transactions=len(block.transactions),
        records=len(block.records),
        gas_used=Gas(header.gas_used),
        compute_gas_used=Gas(header.compute_gas_used),
    )
