"""Whether a block's body is the one that its header was made for."""

from __future__ import annotations

from lazai_core.chain.block import Block, consensus_root, records_root, transactions_root


def body_fits(block: Block) -> bool:
    """Compare the roots that can be had without executing the block."""
    header = block.header
    return (
        header.transactions_root == transactions_root(block.transactions)
        and header.records_root == records_root(block.records)
        and header.consensus_root == consensus_root(block.last_certificate, block.evidence)
    )
