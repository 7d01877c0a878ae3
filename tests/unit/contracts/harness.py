"""A chain of one-transaction blocks on py-evm with the genesis contracts and a stand-in for the AI precompile."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

from attrs import define, field, frozen
from eth.constants import BLANK_ROOT_HASH
from eth.db.atomic import AtomicDB
from eth.exceptions import Revert
from eth.vm.execution_context import ExecutionContext
from eth.vm.forks.prague.computation import PragueComputation
from eth.vm.forks.prague.state import PragueState
from eth.vm.forks.prague.transactions import PragueTransactionBuilder
from eth.vm.message import Message
from eth.vm.spoof import SpoofTransaction

from lazai_core.api.gas_parameters import GasParameters
from lazai_core.api.hashing import address_of_private_key
from lazai_core.api.types import AI_CALL_ADDRESS, SYSTEM_ADDRESS, VALIDATORS_ADDRESS, Address, Wei
from lazai_core.chain.abi import decode_arguments, describe_revert, encode_arguments, encode_call, selector
from lazai_core.chain.system_calls import INFER_INLINE, InferCall, InferResult
from lazai_core.chain.system_contracts import (
    DEFAULT_GAS_PARAMETERS,
    creation_code,
    genesis_contracts,
    runtime_code,
)

CHAIN_ID = 52_924
COIN = 10**18
BASE_FEE = 1_000_000_000
GAS_LIMIT = 60_000_000
START = 1_700_000_000


def key_of(name: str) -> bytes:
    """Private key of a test account."""
    return name.encode().rjust(32, b"\x01")


def address_of(name: str) -> Address:
    """Address of a test account."""
    return address_of_private_key(key_of(name))


GOVERNOR, USER, NODE, WORKER, AUTHOR, OTHER = (
    address_of(name) for name in ("governor", "user", "node", "worker", "author", "other")
)


@frozen(kw_only=True)
class Outcome:
    """What a transaction did. `error` describes the revert, empty on success; `spent` is the sender's loss in wei."""

    error: str
    output: bytes
    logs: tuple[tuple[Address, tuple[bytes, ...], bytes], ...]
    gas_used: int
    spent: Wei

    def values(self, *types: str) -> tuple[Any, ...]:
        """The decoded return data of a call that succeeded."""
        assert not self.error, self.error
        return decode_arguments(types, self.output)


@define(kw_only=True)
class FakeAI:
    """Answers `infer` with the input reversed; what it charges and who worked can be set."""

    gas: int = 30_000
    compute_gas: int = 40_000
    worker: Address = WORKER
    calls: list[InferCall] = field(factory=list)
    refusal: bytes = b""
    inline_output: bytes = b""

    def __call__(self, computation: Any) -> Any:
        data = computation.msg.data_as_bytes
        computation.consume_gas(self.gas, reason="stand-in")
        if self.refusal:
            computation.output = self.refusal
            raise Revert(self.refusal)
        if data[:4] == selector(INFER_INLINE):
            computation.output = encode_arguments(["bytes"], [self.inline_output])
            return computation
        call = InferCall.decode(data)
        self.calls.append(call)
        result = InferResult(output=call.input[::-1], compute_gas=self.compute_gas, worker=self.worker)
        computation.output = result.encode()
        return computation


def _state_class(artificial_intelligence: Callable[[Any], Any]) -> type[PragueState]:
    table = {**PragueComputation.get_precompiles(), AI_CALL_ADDRESS: artificial_intelligence}

    class Computation(PragueComputation):  # type: ignore[misc]
        _precompiles = table

    class State(PragueState):  # type: ignore[misc]
        computation_class = Computation

    return State


class World:
    """State, time and the accounts of a test."""

    def __init__(
        self,
        parameters: GasParameters = DEFAULT_GAS_PARAMETERS,
        chain_id: int = CHAIN_ID,
        staking: Mapping[int, int] = MappingProxyType({}),
    ) -> None:
        self.ai = FakeAI()
        self.chain_id = chain_id
        self.timestamp = START
        self.height = 1
        self.state = _state_class(self.ai)(AtomicDB(), self._context(), BLANK_ROOT_HASH)
        for address, contract in genesis_contracts(governor=GOVERNOR, gas_parameters=parameters).items():
            self.state.set_code(address, contract.code)
            for slot, value in contract.storage.items():
                self.state.set_storage(address, slot, value)
        if staking:
            self.state.set_code(VALIDATORS_ADDRESS, runtime_code("Validators"))
        for slot, value in staking.items():
            self.state.set_storage(VALIDATORS_ADDRESS, slot, value)
        for account in (GOVERNOR, USER, NODE, WORKER, AUTHOR, OTHER):
            self.state.set_balance(account, 1_000_000 * COIN)
        self.state.lock_changes()

    def _context(self) -> ExecutionContext:
        return ExecutionContext(
            coinbase=bytes(19) + b"\xcc",
            timestamp=self.timestamp,
            block_number=self.height,
            difficulty=0,
            mix_hash=bytes(32),
            gas_limit=GAS_LIMIT,
            prev_hashes=(),
            chain_id=self.chain_id,
            base_fee_per_gas=BASE_FEE,
            excess_blob_gas=0,
        )

    def advance(self, seconds: int = 1, blocks: int = 1) -> None:
        """Let time pass."""
        self.timestamp += seconds
        self.height += blocks
        self.state.execution_context = self._context()

    def balance(self, address: Address) -> Wei:
        """StatePort."""
        return Wei(self.state.get_balance(address))

    def code(self, address: Address) -> bytes:
        """StatePort."""
        return bytes(self.state.get_code(address))

    def storage(self, address: Address, slot: int) -> int:
        """StatePort."""
        return int(self.state.get_storage(address, slot))

    def send(
        self,
        sender: Address,
        to: Address,
        data: bytes = b"",
        *,
        value: int = 0,
        gas: int = GAS_LIMIT,
        gas_price: int = 2 * BASE_FEE,
    ) -> Outcome:
        """Run one transaction in a block of its own."""
        before = self.balance(sender)
        transaction = PragueTransactionBuilder.create_unsigned_transaction(
            nonce=self.state.get_nonce(sender), gas_price=gas_price, gas=gas, to=to, value=value, data=data
        )
        computation = self.state.apply_transaction(SpoofTransaction(transaction, from_=sender))
        self.state.lock_changes()
        failed = computation.is_error
        self.advance()
        return Outcome(
            error=_error_of(computation),
            output=b"" if failed else bytes(computation.output),
            logs=tuple(_log(*entry) for entry in computation.get_log_entries()),
            gas_used=_gas_used(computation, data, gas),
            spent=Wei(before - self.balance(sender)),
        )

    def deploy(self, sender: Address, name: str, types: Sequence[str] = (), values: Sequence[Any] = ()) -> Address:
        """Create a contract from its artifact."""
        return self.create(sender, creation_code(name) + encode_arguments(types, values))

    def create(self, sender: Address, code: bytes) -> Address:
        """Create a contract from creation code."""
        from eth._utils.address import generate_contract_address

        address = Address(generate_contract_address(sender, self.state.get_nonce(sender)))
        outcome = self.send(sender, Address(b""), code)
        assert not outcome.error, outcome.error
        return address

    def system(self, to: Address, data: bytes) -> str:
        """A call that the chain makes itself, in a block of its own; returns the error."""
        message = Message(gas=GAS_LIMIT, to=to, sender=SYSTEM_ADDRESS, value=0, data=data, code=self.code(to))
        context = self.state.get_transaction_context_class()(gas_price=0, origin=SYSTEM_ADDRESS)
        computation = self.state.computation_class.apply_message(self.state, message, context)
        self.state.lock_changes()
        self.advance()
        return _error_of(computation)

    def view(self, to: Address, signature: str, *values: Any, sender: Address = OTHER) -> Outcome:
        """Run a call that is not part of any block; its changes are dropped."""
        snapshot = self.state.snapshot()
        message = Message(
            gas=GAS_LIMIT, to=to, sender=sender, value=0, data=encode_call(signature, *values), code=self.code(to)
        )
        context = self.state.get_transaction_context_class()(gas_price=0, origin=sender)
        computation = self.state.computation_class.apply_message(self.state, message, context)
        self.state.revert(snapshot)
        output, error = bytes(computation.output), _error_of(computation)
        return Outcome(error=error, output=output, logs=(), gas_used=0, spent=Wei(0))


def _gas_used(computation: Any, data: bytes, gas: int) -> int:
    """Gas of a receipt: refunds up to a fifth (EIP-3529), calldata at its floor or more (EIP-7623)."""
    used = gas - int(computation.get_gas_remaining())
    used -= min(int(computation.get_gas_refund()), used // 5)
    zeros = data.count(0)
    return max(used, 21_000 + 10 * zeros + 40 * (len(data) - zeros))


def _log(address: bytes, topics: Sequence[int], data: bytes) -> tuple[Address, tuple[bytes, ...], bytes]:
    return Address(address), tuple(topic.to_bytes(32, "big") for topic in topics), data


def _error_of(computation: Any) -> str:
    if not computation.is_error:
        return ""
    if isinstance(computation.error, Revert):
        return describe_revert(bytes(computation.output))
    return type(computation.error).__name__
