"""Where transactions, blocks and the node itself stand, for services."""

from __future__ import annotations

from lazai_core.api.consensus import Certificate
from lazai_core.api.hashing import keccak256
from lazai_core.api.service import BlockInfo, TransactionStatus
from lazai_core.api.types import Address, Hash32
from lazai_core.chain.history import ChainHistory
from lazai_core.chain.rlp_codec import encode, integer
from lazai_core.chain.transaction import Transaction

from .work import Inclusion


def pending_status(transaction_hash: Hash32) -> TransactionStatus:
    """It waits for a block."""
    return TransactionStatus(transaction_hash=transaction_hash)


def included_status(inclusion: Inclusion) -> TransactionStatus:
    """A block holds it."""
    transaction, receipt = inclusion.transaction, inclusion.receipt
    return TransactionStatus(
        transaction_hash=Hash32(transaction.hash),
        height=inclusion.block.height,
        block_hash=inclusion.block.hash,
        index=inclusion.index,
        succeeded=receipt.succeeded,
        gas_used=inclusion.gas_used,
        contract=_created(transaction) if receipt.succeeded else None,
    )


def block_info(history: ChainHistory, height: int) -> BlockInfo | None:
    """The block of a height, read from the store; None where there is none."""
    block = history.block(height)
    if block is None:
        return None
    header, certificate = block.header, history.certificate(height)
    return BlockInfo(
        height=block.height,
        block_hash=block.hash,
        parent_hash=header.parent_hash,
        state_root=header.state_root,
        timestamp=header.timestamp,
        proposer=header.proposer,
        round=Certificate.decode(certificate).round if certificate else 0,
        transactions=tuple(keccak256(raw) for raw in block.transactions),
        records=len(block.records),
        gas_used=header.gas_used,
        size_bytes=len(block.encode()),
    )


def _created(transaction: Transaction) -> Address | None:
    """Address of the contract that the transaction made (yellow paper, equation 86)."""
    if transaction.to:
        return None
    return Address(keccak256(encode([transaction.sender, integer(transaction.nonce)]))[12:])
