"""Where a transaction stands, for wallets."""

from __future__ import annotations

from lazai_core.api.hashing import keccak256
from lazai_core.api.service import TransactionStatus
from lazai_core.api.types import Address, Hash32
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


def _created(transaction: Transaction) -> Address | None:
    """Address of the contract that the transaction made (yellow paper, equation 86)."""
    if transaction.to:
        return None
    return Address(keccak256(encode([transaction.sender, integer(transaction.nonce)]))[12:])
