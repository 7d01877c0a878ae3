"""Whether a transaction can be executed on a state: Prague's rules, each with its reason."""

from __future__ import annotations

from typing import Any

from lazai_core.api.errors import InvalidTransaction
from lazai_core.api.types import to_hex
from lazai_core.chain.transaction import INITCODE_BYTES_MAX, NONCE_MAX, Transaction

_DELEGATION_PREFIX = b"\xef\x01\x00"
_UINT256_MAX = 2**256 - 1


class NonceAhead(InvalidTransaction):
    """The nonce comes later: a transaction of the same sender is missing before this one."""


def is_delegation(code: bytes) -> bool:
    """Whether `code` only points to another account's code (EIP-7702)."""
    return len(code) == 23 and code[:3] == _DELEGATION_PREFIX


def require_valid(transaction: Transaction, state: Any) -> None:
    """Raises InvalidTransaction with the reason. `state` is the `LazState` before the transaction."""
    context = state.execution_context
    if transaction.chain_id not in (None, context.chain_id):
        raise InvalidTransaction(
            f"the transaction is for chain {transaction.chain_id}, this chain is {context.chain_id}",
            hint="sign it for this chain id",
        )
    _require_fees(transaction, context.base_fee_per_gas)
    _require_gas(transaction, context.gas_limit)
    _require_account(transaction, state)


def _require_fees(transaction: Transaction, base_fee: int) -> None:
    if transaction.max_fee_per_gas < transaction.max_priority_fee_per_gas:
        raise InvalidTransaction(
            f"max_priority_fee_per_gas {transaction.max_priority_fee_per_gas} is above "
            f"max_fee_per_gas {transaction.max_fee_per_gas}"
        )
    if transaction.max_fee_per_gas < base_fee:
        raise InvalidTransaction(
            f"max_fee_per_gas {transaction.max_fee_per_gas} wei is below the block's base fee of {base_fee} wei",
            hint="offer more or wait for a lower base fee",
        )
    if transaction.gas * transaction.max_fee_per_gas > _UINT256_MAX:
        raise InvalidTransaction("gas times max_fee_per_gas exceeds 256 bits")


def _require_gas(transaction: Transaction, gas_limit: int) -> None:
    if transaction.gas > gas_limit:
        raise InvalidTransaction(f"the gas limit {transaction.gas} is above the block's {gas_limit}")
    if transaction.gas < transaction.gas_least:
        raise InvalidTransaction(
            f"the gas limit {transaction.gas} is below the {transaction.gas_least} that the transaction costs "
            "before it runs"
        )
    if not transaction.to and len(transaction.data) > INITCODE_BYTES_MAX:
        raise InvalidTransaction(
            f"the init code has {len(transaction.data)} bytes, more than {INITCODE_BYTES_MAX} (EIP-3860)"
        )


def _require_account(transaction: Transaction, state: Any) -> None:
    sender = transaction.sender
    nonce = state.get_nonce(sender)
    if transaction.nonce != nonce or nonce > NONCE_MAX:
        kind = NonceAhead if transaction.nonce > nonce else InvalidTransaction
        raise kind(f"the nonce is {transaction.nonce}, the next one of {to_hex(sender)} is {nonce}")
    code = state.get_code(sender)
    if code and not is_delegation(code):
        raise InvalidTransaction(f"{to_hex(sender)} is a contract and cannot send a transaction (EIP-3607)")
    needed = transaction.gas * transaction.max_fee_per_gas + transaction.value
    balance = state.get_balance(sender)
    if balance < needed:
        raise InvalidTransaction(f"{to_hex(sender)} has {balance} wei, the transaction may cost {needed} wei")
