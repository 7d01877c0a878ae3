"""The contracts that every chain has from its first block: their addresses, code and first storage."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import cache
from importlib.resources import files
from typing import Any

from lazai_core.api.errors import InvalidGenesis
from lazai_core.api.gas import Ratio
from lazai_core.api.gas_parameters import (
    ALPHA_SLOT,
    BETA_SLOT,
    COMPUTE_GAS_TARGET_SLOT,
    GAMMA_SLOT,
    PARAMETER_MAX,
    TIP_SLOT,
    GasParameters,
)
from lazai_core.api.types import (
    AI_CALL_ADDRESS,
    DATA_REGISTRY_ADDRESS,
    GAS_PARAMETERS_ADDRESS,
    MODEL_REGISTRY_ADDRESS,
    PROOF_CHECK_ADDRESS,
    SETTLEMENT_ADDRESS,
    VALIDATORS_ADDRESS,
    ZERO_ADDRESS,
    Address,
    Gas,
    Wei,
)

from .genesis import GenesisContract

SYSTEM_CONTRACTS: Mapping[Address, str] = {
    GAS_PARAMETERS_ADDRESS: "GasParameters",
    MODEL_REGISTRY_ADDRESS: "ModelRegistry",
    DATA_REGISTRY_ADDRESS: "DataRegistry",
    SETTLEMENT_ADDRESS: "Settlement",
    VALIDATORS_ADDRESS: "Validators",
}
"""Name of the artifact of each genesis contract."""

PRECOMPILE_CODE = b"\xfe"
"""Code at the address of a precompile: never executed, but there, so that contracts see an account with code."""

HISTORY_STORAGE_ADDRESS = Address(bytes.fromhex("0000f90827f1c53a10cb7a02335b175320002935"))
"""Ethereum's contract that answers with the hashes of the last 8,191 blocks (EIP-2935); blocks write its storage."""
HISTORY_STORAGE_CODE = bytes.fromhex(
    "3373fffffffffffffffffffffffffffffffffffffffe14604657602036036042575f35600143038111604257611fff8143031160"
    "4257611fff9006545f5260205ff35b5f5ffd5b5f35611fff60014303065500"
)

GOVERNOR_SLOT = 0

DEFAULT_GAS_PARAMETERS = GasParameters(
    alpha=Ratio(numerator=1, denominator=500),
    beta=Ratio(numerator=1, denominator=20),
    gamma=Gas(25_000),
    compute_gas_target=Gas(15_000_000),
    tip=Wei(100_000_000),
)
"""For a new chain; docs/GAS.md says why these."""


@cache
def artifact(name: str) -> Mapping[str, Any]:
    """Compiled contract by name: `abi`, `bytecode`, `runtime`, `storageLayout`. Raises KeyError for an unknown name."""
    source = files("lazai_core").joinpath("lazvm", "contracts", f"{name}.json")
    if not name.isalnum() or not source.is_file():
        raise KeyError(f"there is no compiled contract called {name!r}")
    document: Mapping[str, Any] = json.loads(source.read_text(encoding="utf-8"))
    return document


def runtime_code(name: str) -> bytes:
    """Code of a deployed contract."""
    return bytes.fromhex(artifact(name)["runtime"][2:])


def creation_code(name: str) -> bytes:
    """Code that deploys a contract; ABI-encoded constructor arguments go behind it."""
    return bytes.fromhex(artifact(name)["bytecode"][2:])


def genesis_contracts(
    *,
    governor: Address,
    gas_parameters: GasParameters,
    precompiles: Sequence[Address] = (AI_CALL_ADDRESS, PROOF_CHECK_ADDRESS),
) -> dict[Address, GenesisContract]:
    """System contracts, Ethereum's block hash contract and precompile accounts, by address in ascending order.

    The contract Validators is not among them: `staking_genesis.with_staking` adds it with its stakes.
    Raises InvalidGenesis when a gas parameter is outside its range or the governor is the zero address.
    """
    if governor == ZERO_ADDRESS:
        raise InvalidGenesis("the governor is the zero address", hint="name the account that may change gas parameters")
    storage = {GAS_PARAMETERS_ADDRESS: {GOVERNOR_SLOT: int.from_bytes(governor, "big"), **_slots(gas_parameters)}}
    found = {address: GenesisContract(code=PRECOMPILE_CODE) for address in precompiles}
    found[HISTORY_STORAGE_ADDRESS] = GenesisContract(code=HISTORY_STORAGE_CODE)
    for address, name in SYSTEM_CONTRACTS.items():
        if address != VALIDATORS_ADDRESS:
            found[address] = GenesisContract(code=runtime_code(name), storage=storage.get(address, {}))
    return dict(sorted(found.items()))


def _slots(parameters: GasParameters) -> dict[int, int]:
    alpha, beta = parameters.alpha, parameters.beta
    slots = {
        ALPHA_SLOT: _checked("alpha's numerator", alpha.numerator, 1),
        ALPHA_SLOT + 1: _checked("alpha's denominator", alpha.denominator, 1),
        BETA_SLOT: _checked("beta's numerator", beta.numerator, 1),
        BETA_SLOT + 1: _checked("beta's denominator", beta.denominator, 1),
        GAMMA_SLOT: _checked("gamma", parameters.gamma, 0),
        COMPUTE_GAS_TARGET_SLOT: _checked("the compute gas target", parameters.compute_gas_target, 1),
        TIP_SLOT: _checked("the tip", parameters.tip, 0),
    }
    return {slot: value for slot, value in slots.items() if value}


def _checked(what: str, value: int, least: int) -> int:
    if not least <= value <= PARAMETER_MAX:
        raise InvalidGenesis(f"{what} is {value}, outside {least} to {PARAMETER_MAX}")
    return value
