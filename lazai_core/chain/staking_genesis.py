"""A genesis whose validators have staked: the contract with its first storage, and the coins that it holds."""

from __future__ import annotations

from collections.abc import Mapping

from attrs import evolve

from lazai_core.api.errors import InvalidGenesis
from lazai_core.api.types import VALIDATORS_ADDRESS, ZERO_ADDRESS, Address

from .genesis import Genesis, GenesisContract
from .staking import DEFAULT_STAKING, StakingParameters, owner_in, staked, staking_storage
from .system_contracts import runtime_code


def with_staking(
    genesis: Genesis,
    staking: StakingParameters = DEFAULT_STAKING,
    owners: Mapping[Address, Address] | None = None,
) -> Genesis:
    """The genesis with the contract Validators and the stakes of its validators, beside all other balances.

    A validator that `owners` does not name owns itself. Raises InvalidGenesis for parameters or validators that the
    contract would not take.
    """
    storage = staking_storage(genesis.validators, staking, owners)
    contract = GenesisContract(code=runtime_code("Validators"), storage=storage)
    return evolve(
        genesis,
        staking=staking,
        contracts=dict(sorted({**genesis.contracts, VALIDATORS_ADDRESS: contract}.items())),
        balances={**genesis.balances, VALIDATORS_ADDRESS: staked(genesis.validators, staking)},
    )


def contradictions(genesis: Genesis) -> list[str]:
    """Where the staking, validators, contract and balances of a genesis do not belong together, one sentence each."""
    contract = genesis.contracts.get(VALIDATORS_ADDRESS)
    if genesis.staking is None or contract is None:
        given = "staking" if contract is None else "the contract Validators"
        return [] if genesis.staking is None and contract is None else [f"{given} stands there without the other"]
    held = dict(contract.storage)
    owners = {one.address: owner_in(held, one.address) for one in genesis.validators}
    try:
        wanted = staking_storage(genesis.validators, genesis.staking, owners)
    except InvalidGenesis as cause:
        return cause.message.splitlines()
    found = []
    if contract.code != runtime_code("Validators"):
        found.append("the contract Validators has other code than this version's")
    if ZERO_ADDRESS in owners.values():
        found.append("the contract Validators holds a validator without an owner, or not all of them")
    elif held != wanted:
        found.append("the contract Validators holds something else than these validators and parameters give")
    coins, needed = genesis.balances.get(VALIDATORS_ADDRESS, 0), staked(genesis.validators, genesis.staking)
    if coins != needed:
        found.append(f"the contract Validators holds {coins} wei; the stakes of its validators are {needed}")
    return found
