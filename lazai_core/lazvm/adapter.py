"""Makes a `Precompile` callable by py-evm: charge, operate, output; a refusal reverts and keeps the gas left."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lazai_core.api.errors import PrecompileRevert
from lazai_core.api.hashing import keccak256
from lazai_core.api.precompile import Precompile, PrecompileCall
from lazai_core.api.types import Address, Height, Wei, to_hex

from .engine import ComputationAPI, Revert
from .ethereum import PrecompileFunction, ethereum_precompiles

REFUSAL_GAS = 3_000
REFUSAL_GAS_WORD = 3
"""EVM gas of a call that is refused while it is read, and what any call must bring: fixed, and for each 32 bytes."""

_NOT_CALLED_DIRECTLY = keccak256(b"NotCalledDirectly()")[:4]


class OpenStatePort:
    """The state in the middle of a transaction, as a precompile reads it."""

    def __init__(self, state: Any) -> None:
        self._state = state

    def balance(self, address: Address) -> Wei:
        """Balance in wei."""
        return Wei(self._state.get_balance(address))

    def code(self, address: Address) -> bytes:
        """Runtime code, empty where there is none."""
        return bytes(self._state.get_code(address))

    def storage(self, address: Address, slot: int) -> int:
        """The word at `slot`."""
        return int(self._state.get_storage(address, slot))


class PrecompileTables:
    """Prague's precompiles and ours by address, for each height: ours are there from their own height on.

    Raises ValueError where one of ours would hide one of Ethereum's.
    """

    def __init__(self, precompiles: Mapping[Address, Precompile], active_from: Mapping[Address, Height]) -> None:
        ethereum = ethereum_precompiles()
        for address in sorted(precompiles.keys() & ethereum.keys()):
            raise ValueError(f"the address {to_hex(address)} belongs to a precompile of Ethereum")
        starts = {address: active_from.get(address, Height(0)) for address in sorted(precompiles)}
        ours = {address: _adapt(precompiles[address], address) for address in starts}
        self._tables = [
            (height, ethereum | {address: ours[address] for address in ours if starts[address] <= height})
            for height in sorted({0, *starts.values()}, reverse=True)
        ]

    def at(self, height: Height) -> Mapping[Address, PrecompileFunction]:
        """The table of the block at `height`."""
        return next(table for start, table in self._tables if start <= height)


def _adapt(precompile: Precompile, address: Address) -> PrecompileFunction:
    def run(computation: ComputationAPI) -> ComputationAPI:
        try:
            # Under DELEGATECALL the sender is the caller's caller: a contract could speak in its users' names.
            if computation.msg.storage_address != address:
                raise PrecompileRevert("a precompile must be called directly", data=_NOT_CALLED_DIRECTLY)
            # Finding out that a call must be refused is work too: its price is taken first, and given back after.
            floor = REFUSAL_GAS + REFUSAL_GAS_WORD * ((len(computation.msg.data_as_bytes) + 31) // 32)
            computation.consume_gas(floor, reason="reading a call")
            call = _call_of(computation)
            gas = precompile.required_gas(call)
            computation.return_gas(floor)
            computation.consume_gas(gas, reason=type(precompile).__name__)
            computation.output = precompile.run(call)
        except PrecompileRevert as refusal:
            computation.output = refusal.data
            raise Revert(refusal.data) from refusal
        return computation

    return run


def _call_of(computation: ComputationAPI) -> PrecompileCall:
    message, state = computation.msg, computation.state
    context = state.execution_context
    return PrecompileCall(
        caller=Address(message.sender),
        origin=Address(computation.transaction_context.origin),
        value=Wei(message.value),
        data=message.data_as_bytes,
        is_static=message.is_static,
        block=context.block,
        witness=context.witness,
        state=OpenStatePort(state),
        compute_meter=context.compute_meter,
    )
