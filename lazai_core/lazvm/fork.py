"""Prague's rules as classes over py-evm, with our precompiles and with what py-evm leaves out.

Differences from py-evm 0.12.1b1: creation fails where storage exists (EIP-7610); the origin's computation is the one
at depth 0, not every one whose sender is the origin; a transaction is checked once, by `validation`; accounts and
storage are ours (`accounts`), since py-evm's took more than half of a block's time.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lazai_core.api.errors import BadSignature
from lazai_core.api.hashing import keccak256
from lazai_core.api.types import Address
from lazai_core.chain.rlp_codec import encode, integer
from lazai_core.chain.transaction import NONCE_MAX, SET_CODE, Transaction

from .accounts import JournaledAccounts
from .engine import (
    DELEGATION_PREFIX,
    REFUND_EXISTING_AUTHORITY,
    ComputationAPI,
    Message,
    MessageAPI,
    PragueComputation,
    PragueState,
    PragueTransactionExecutor,
)
from .ethereum import PrecompileFunction
from .validation import is_delegation, require_valid

_SELFDESTRUCT = 0xFF
_RIPEMD160 = Address(bytes(19) + b"\x03")


def _opcodes() -> dict[int, Any]:
    """py-evm's opcodes as bound methods.

    An instance with `__call__` goes through C, whose recursion Python 3.12 limits to less than the EVM's 1,024 calls;
    a bound method does not. SELFDESTRUCT comes without its wrapper, which warns: `-W error` would stop a block.
    """
    plain = PragueComputation.opcodes | {_SELFDESTRUCT: PragueComputation.opcodes[_SELFDESTRUCT].__wrapped__}
    return {code: opcode.__call__ for code, opcode in plain.items()}


class LazComputation(PragueComputation):  # type: ignore[misc]
    """One message call. What a finished call leaves behind is added up in its caller, and the call is forgotten.

    py-evm keeps every call until the transaction ends and walks over them recursively: hundreds of megabytes, and a
    recursion through C. The table of precompiles is the state's, so that two nodes may differ in a process.
    """

    opcodes = _opcodes()

    def __init__(self, state: Any, message: MessageAPI, transaction_context: Any) -> None:
        super().__init__(state, message, transaction_context)
        self._inherited_refund = 0
        self._inherited_deletions: set[Address] = set()
        self._inherited_beneficiaries: set[Address] = set()
        self._inherited_touched: set[Address] = set()

    @property
    def precompiles(self) -> Mapping[Address, PrecompileFunction]:
        """Precompiles by address."""
        table: Mapping[Address, PrecompileFunction] = self.state.precompile_table
        return table

    @property
    def is_origin_computation(self) -> bool:
        """Whether this is the transaction's own call."""
        return bool(self.msg.depth == 0)

    def add_child_computation(self, child_computation: ComputationAPI) -> None:
        """Take over return data, refunds, logs, deletions and touched accounts of a finished call."""
        super().add_child_computation(child_computation)
        self.children.clear()
        self._inherited_refund += child_computation.get_gas_refund()
        self._inherited_touched |= child_computation.touched_accounts()
        if child_computation.is_success:
            self._log_entries += child_computation.get_raw_log_entries()
            self._inherited_deletions.update(child_computation.get_accounts_for_deletion())
            self._inherited_beneficiaries.update(child_computation.get_self_destruct_beneficiaries())

    def touched_accounts(self) -> set[Address]:
        """Accounts that this call and those below addressed, and that go when they are empty (EIP-161)."""
        touched = self._inherited_touched | self._inherited_beneficiaries | set(self.beneficiaries)
        if self.msg.to:
            touched.add(self.msg.to)
        # A failed call touches nothing but RIPEMD-160, whose account two clients once deleted so; it became the rule.
        return touched if self.is_success else touched & {_RIPEMD160}

    def get_gas_refund(self) -> int:
        """Refund of this call and those below."""
        if self.is_error:
            return int(self.msg.refund)
        return int(self.msg.refund + self._gas_meter.gas_refunded + self._inherited_refund)

    def get_accounts_for_deletion(self) -> list[Address]:
        """Accounts that SELFDESTRUCT deletes."""
        return [] if self.is_error else list(self._inherited_deletions.union(self.accounts_to_delete))

    def get_self_destruct_beneficiaries(self) -> list[Address]:
        """Accounts that got what was left of them."""
        return [] if self.is_error else list(self._inherited_beneficiaries.union(self.beneficiaries))

    def get_raw_log_entries(self) -> tuple[Any, ...]:
        """Logs of this call and those below, in their order."""
        return () if self.is_error else tuple(sorted(self._log_entries))


class LazTransactionExecutor(PragueTransactionExecutor):  # type: ignore[misc]
    """Runs one `chain.transaction.Transaction`; `gas_used` and `effective_price` are set when it is done."""

    gas_used = 0

    def validate_transaction(self, transaction: Transaction) -> None:
        """Raises InvalidTransaction."""
        require_valid(transaction, self.vm_state)

    def build_evm_message(self, transaction: Transaction) -> MessageAPI:
        """Buy the gas, count the nonce, process authorisations, and make the first message."""
        state, sender = self.vm_state, transaction.sender
        state.delta_balance(sender, -transaction.gas * state.get_gas_price(transaction))
        state.increment_nonce(sender)
        refund = self.calc_message_refund(transaction)
        create_address, data, code, delegation = None, transaction.data, transaction.data, None
        if transaction.to:
            code, delegation = self.get_code_at_address(transaction.to)
        else:
            create_address, data = contract_address(sender, transaction.nonce), b""
        return Message(
            gas=transaction.gas - transaction.intrinsic_gas,
            to=transaction.to,
            sender=sender,
            value=transaction.value,
            data=data,
            code=code,
            create_address=create_address,
            refund=refund,
            is_delegation=delegation is not None,
        )

    def finalize_computation(self, transaction: Transaction, computation: ComputationAPI) -> ComputationAPI:
        """Give gas back, pay the proposer, delete what must go (EIP-3529, EIP-7623, EIP-6780, EIP-161)."""
        state = self.vm_state
        used = transaction.gas - computation.get_gas_remaining()
        refund = self.calculate_gas_refund(computation, used)
        used += self.calc_data_floor_gas(transaction, used, refund) - refund
        computation.transaction_gas_used = used
        state.delta_balance(transaction.sender, (transaction.gas - used) * state.get_gas_price(transaction))
        state.delta_balance(state.coinbase, used * state.get_tip(transaction))
        for address in computation.get_accounts_for_deletion():
            state.delete_account(address)
        for address in computation.touched_accounts() | {state.coinbase}:
            if state.account_exists(address) and state.account_is_empty(address):
                state.delete_account(address)
        return computation


class LazState(PragueState):  # type: ignore[misc]
    """State during a block. Its execution context is a `context.LazContext`. A snapshot is a checkpoint."""

    computation_class = LazComputation
    account_db_class = JournaledAccounts
    transaction_executor_class = LazTransactionExecutor
    precompile_table: Mapping[Address, PrecompileFunction]

    def set_system_contracts(self) -> None:
        """Nothing: system contracts are in the genesis."""

    def snapshot(self) -> int:
        """A checkpoint to revert to."""
        checkpoint: int = self._account_db.record()
        return checkpoint

    def revert(self, snapshot: int) -> None:
        """Undo everything since the snapshot."""
        self._account_db.discard(snapshot)

    def commit(self, snapshot: int) -> None:
        """Nothing to do: an outer snapshot can still undo it."""

    def get_transient_storage(self, address: Address, slot: int) -> bytes:
        """EIP-1153."""
        return bytes(self._account_db.get_transient(address, slot))

    def set_transient_storage(self, address: Address, slot: int, value: bytes) -> None:
        """EIP-1153."""
        self._account_db.set_transient(address, slot, value)

    def clear_transient_storage(self) -> None:
        """A transaction has ended."""
        self._account_db.clear_transient()

    def is_address_warm(self, address: Address) -> bool:
        """EIP-2929, our precompiles included."""
        return bool(self._account_db.is_address_warm(address) or address in self.precompile_table)

    def has_code_or_nonce(self, address: Address) -> bool:
        """Whether a contract cannot be created here: code, nonce or storage exists (EIP-7610)."""
        return bool(super().has_code_or_nonce(address) or self._account_db.has_storage(address))

    def process_set_code_authorizations(self, transaction: Transaction) -> int:
        """Apply the authorisations of a type 4 transaction (EIP-7702); returns the refund in gas."""
        assert transaction.type_id == SET_CODE
        refund = 0
        for authorization in transaction.authorizations:
            if authorization.chain_id not in (0, self.execution_context.chain_id):
                continue
            if authorization.nonce > NONCE_MAX:
                continue
            try:
                authority = authorization.authority()
            except BadSignature:
                continue
            refund += self._set_code_of(authority, authorization.address, authorization.nonce)
        return refund

    def _set_code_of(self, authority: Address, target: Address, nonce: int) -> int:
        self.mark_address_warm(authority)
        code = self.get_code(authority)
        if (code and not is_delegation(code)) or self.get_nonce(authority) != nonce:
            return 0
        refund = REFUND_EXISTING_AUTHORITY if self.account_exists(authority) else 0
        if any(target):
            self.set_code(authority, DELEGATION_PREFIX + target)
        else:
            self.delete_code(authority)
        self.increment_nonce(authority)
        return refund


def contract_address(sender: Address, nonce: int) -> Address:
    """Address of the contract that `sender` creates with this nonce (yellow paper, equation 88)."""
    return Address(keccak256(encode([sender, integer(nonce)]))[12:])
