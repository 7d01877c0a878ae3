"""Ethereum's own precompiles as they run here: py-evm's, two of them corrected, the slow ones counted.

py-evm's curve arithmetic is pure Python: a pairing check that costs 113,000 gas takes half a second, so that a
block of them would stop the chain. The gas is Ethereum's and stays; a block holds only so much of this work
(`chain.rules.SLOW_WORK_MAX`), and a transaction that does not fit waits for the next one.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

from lazai_core.api.types import Address

from .engine import ComputationAPI, PragueComputation, VMError, kzg_setup_path

PrecompileFunction = Callable[[ComputationAPI], Any]

_MODEXP, _POINT_EVALUATION = 0x05, 0x0A
_GAS_POINT_EVALUATION = 50_000
_BLS_MODULUS = 0x73EDA753299D7D483339D80809A1D80553BDA402FFFE5BFEFFFFFFFF00000001
_POINT_EVALUATION_OUTPUT = (4096).to_bytes(32, "big") + _BLS_MODULUS.to_bytes(32, "big")

_SLOW_WORK: dict[int, tuple[int, int, int]] = {
    # address: units of a call, bytes of an item, units of an item; a unit is about a millisecond
    0x07: (9, 0, 0),  # BN254 multiplication
    0x08: (100, 192, 230),  # BN254 pairing, by pair
    0x0C: (0, 160, 28),  # BLS12-381 G1 multi-exponentiation, by point
    0x0E: (0, 288, 110),  # BLS12-381 G2 multi-exponentiation, by point
    0x0F: (0, 384, 450),  # BLS12-381 pairing, by pair
    0x10: (3, 0, 0),  # BLS12-381 map to G1
    0x11: (100, 0, 0),  # BLS12-381 map to G2
}


def ethereum_precompiles() -> dict[Address, PrecompileFunction]:
    """Prague's precompiles by address. The state's execution context must hold a meter `slow_work`."""
    table: dict[Address, PrecompileFunction] = dict(PragueComputation.get_precompiles())
    table[_address(_MODEXP)] = _corrected_modexp(table[_address(_MODEXP)])
    table[_address(_POINT_EVALUATION)] = _point_evaluation
    for number, (fixed, item_bytes, item_units) in _SLOW_WORK.items():
        table[_address(number)] = _counted(table[_address(number)], fixed, item_bytes, item_units)
    return table


def _address(number: int) -> Address:
    return Address(number.to_bytes(20, "big"))


def _counted(function: PrecompileFunction, fixed: int, item_bytes: int, item_units: int) -> PrecompileFunction:
    def run(computation: ComputationAPI) -> Any:
        items = len(computation.msg.data) // item_bytes if item_bytes else 0
        charge = type(computation).consume_gas

        def consume_gas(amount: int, reason: str) -> None:
            charge(computation, amount, reason)
            # Only work that is paid for counts: otherwise calls without gas would fill the block for nothing.
            computation.state.execution_context.slow_work.add(fixed + items * item_units)

        computation.consume_gas = consume_gas
        try:
            return function(computation)
        finally:
            del computation.consume_gas

    return run


def _corrected_modexp(function: PrecompileFunction) -> PrecompileFunction:
    """py-evm gives 0 for an empty base whatever the exponent; 0^0 is 1 (EIP-198)."""

    def run(computation: ComputationAPI) -> Any:
        function(computation)
        data = computation.msg.data_as_bytes
        padded = data[:96].ljust(96, b"\x00")
        base, exponent, modulus = (int.from_bytes(padded[i : i + 32], "big") for i in (0, 32, 64))
        if base == 0 and modulus:
            exponent_value = int.from_bytes(data[96 : 96 + exponent], "big")
            modulus_value = _padded_number(data[96 + exponent :], modulus)
            result = 1 if exponent_value == 0 and modulus_value > 1 else 0
            computation.output = result.to_bytes(modulus, "big")
        return computation

    return run


def _padded_number(data: bytes, length: int) -> int:
    return int.from_bytes(data[:length].ljust(length, b"\x00"), "big")


@cache
def _trusted_setup() -> Any:
    import ckzg

    return ckzg.load_trusted_setup(str(Path(kzg_setup_path())), 0)


def _point_evaluation(computation: ComputationAPI) -> ComputationAPI:
    """EIP-4844, with the setup loaded once: py-evm reads it from disk at every call, which takes seconds."""
    import ckzg

    computation.consume_gas(_GAS_POINT_EVALUATION, reason="point evaluation")
    data = computation.msg.data_as_bytes
    if len(data) != 192:
        raise VMError("point evaluation takes 192 bytes")
    versioned_hash, z, y, commitment, proof = data[:32], data[32:64], data[64:96], data[96:144], data[144:]
    if b"\x01" + hashlib.sha256(commitment).digest()[1:] != versioned_hash:
        raise VMError("the commitment has another versioned hash")
    try:
        holds = ckzg.verify_kzg_proof(commitment, z, y, proof, _trusted_setup())
    except RuntimeError as error:  # a point that is not on the curve, or a number above the modulus
        raise VMError(f"the proof cannot be read: {error}") from error
    if not holds:
        raise VMError("the proof is refused")
    computation.output = _POINT_EVALUATION_OUTPUT
    return computation
