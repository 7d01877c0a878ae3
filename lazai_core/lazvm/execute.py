"""One transaction, or one call, on an open state: what comes out, and nothing left behind when it stops half-way."""

from __future__ import annotations

from attrs import field, frozen

from lazai_core.api.job import ComputeRecord
from lazai_core.api.types import SYSTEM_ADDRESS, ZERO_ADDRESS, Address, Gas, Wei
from lazai_core.chain.receipts import Log
from lazai_core.chain.transaction import Transaction

from .engine import BaseTransactionContext, ComputationAPI, Message, VMError
from .fork import LazState, contract_address
from .validation import is_delegation

SYSTEM_CALL_GAS = Gas(100_000_000)
"""More than the call at the start of a block takes with the largest set and everything to be done at once."""


@frozen(kw_only=True)
class TransactionOutcome:
    """What a transaction did. `output` is return data, or revert data where `succeeded` is False.

    `gas_used` is what the sender pays for, refunds taken off; `compute_gas` what its jobs were charged.
    """

    transaction: Transaction
    succeeded: bool
    gas_used: Gas
    output: bytes = field(repr=lambda data: f"<{len(data)} bytes>")
    logs: tuple[Log, ...] = ()
    created: Address | None = None
    compute_gas: Gas = Gas(0)
    records: tuple[ComputeRecord, ...] = ()
    error: str = ""


@frozen(kw_only=True)
class CallRequest:
    """A message that enters no block. `to` is empty where code is created; no gas price is paid.

    With `is_static` the call may not write, as under STATICCALL.
    """

    to: bytes
    data: bytes = b""
    sender: Address = ZERO_ADDRESS
    value: Wei = Wei(0)
    gas: Gas | None = None
    is_static: bool = False


@frozen(kw_only=True)
class CallOutcome:
    """What a call gave. `output` is return data, or revert data where `succeeded` is False."""

    succeeded: bool
    output: bytes = field(repr=lambda data: f"<{len(data)} bytes>")
    gas_used: Gas
    logs: tuple[Log, ...] = ()
    error: str = ""


def run_transaction(state: LazState, transaction: Transaction) -> TransactionOutcome:
    """Execute on `state`. Whatever is raised (NeedsCompute, InvalidTransaction, …), the state is as before."""
    # A snapshot taken before `lock_changes` could not be reverted to: locking forgets older checkpoints.
    state.lock_changes()
    snapshot = state.snapshot()
    try:
        computation = state.apply_transaction(transaction)
    except BaseException:
        state.revert(snapshot)
        raise
    state.commit(snapshot)
    created = None
    if not transaction.to and computation.is_success:
        created = contract_address(transaction.sender, transaction.nonce)
    return TransactionOutcome(
        transaction=transaction,
        succeeded=computation.is_success,
        gas_used=Gas(computation.transaction_gas_used),
        output=bytes(computation.output),
        logs=_logs(computation),
        created=created,
        error=_error(computation),
    )


def run_call(state: LazState, request: CallRequest, gas_limit: Gas) -> CallOutcome:
    """Execute the message; the caller throws `state` away. Raises NeedsCompute."""
    sender = request.sender
    gas = gas_limit if request.gas is None else min(request.gas, gas_limit)
    context = BaseTransactionContext(gas_price=0, origin=sender)
    state.mark_address_warm(sender)
    try:
        computation = _apply(state, _message(state, request, gas), context)
    except VMError as error:
        return CallOutcome(succeeded=False, output=b"", gas_used=gas, error=_reason(error))
    return CallOutcome(
        succeeded=computation.is_success,
        output=bytes(computation.output),
        gas_used=Gas(computation.get_gas_used()),
        logs=_logs(computation),
        error=_error(computation),
    )


def run_system_call(state: LazState, to: Address, data: bytes) -> None:
    """A call that the block makes itself, with gas that nobody pays (as those of EIP-4788). It may not fail."""
    state.lock_changes()
    request = CallRequest(to=to, data=data, sender=SYSTEM_ADDRESS)
    outcome = run_call(state, request, SYSTEM_CALL_GAS)
    assert outcome.succeeded, f"the block's own call of 0x{to.hex()} failed: {outcome.error}"


def _apply(state: LazState, message: Message, context: BaseTransactionContext) -> ComputationAPI:
    run = state.computation_class
    if message.is_create:
        return run.apply_create_message(state, message, context)
    return run.apply_message(state, message, context)


def _message(state: LazState, request: CallRequest, gas: Gas) -> Message:
    create_address, data, code, delegated = None, request.data, request.data, False
    if request.to:
        code = state.get_code(Address(request.to))
        if is_delegation(code):
            code, delegated = state.get_code(Address(code[3:])), True
        state.mark_address_warm(Address(request.to))
    else:
        create_address, data = contract_address(request.sender, state.get_nonce(request.sender)), b""
    return Message(
        gas=gas,
        to=request.to,
        sender=request.sender,
        value=request.value,
        data=data,
        code=code,
        create_address=create_address,
        is_static=request.is_static,
        is_delegation=delegated,
    )


def _logs(computation: ComputationAPI) -> tuple[Log, ...]:
    return tuple(
        Log(address=address, topics=tuple(topic.to_bytes(32, "big") for topic in topics), data=bytes(data))
        for address, topics, data in computation.get_log_entries()
    )


def _error(computation: ComputationAPI) -> str:
    return _reason(computation.error) if computation.is_error else ""


def _reason(error: VMError) -> str:
    name = type(error).__name__
    # The message of a revert is its data, which stands in the outcome already.
    return name if name == "Revert" else f"{name}: {error}"[:200]
