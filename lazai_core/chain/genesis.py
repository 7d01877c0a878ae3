"""What a chain begins with: the genesis value, its canonical JSON and its hash (docs/CHAIN.md, section 2)."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import cached_property

from attrs import asdict, field, frozen

from lazai_core.api.consensus import Validator
from lazai_core.api.encoding import domain_hash
from lazai_core.api.gas import Ratio
from lazai_core.api.gas_parameters import GasParameters
from lazai_core.api.needs import ChainParameters
from lazai_core.api.types import ZERO_ADDRESS, Address, Gas, Hash32, Wei, to_hex

from .staking import STAKES, StakingParameters

FORMAT = "lazai/genesis/v1"


@frozen(kw_only=True)
class GenesisContract:
    """A contract that exists from the start: runtime code and storage by slot."""

    code: bytes = field(repr=lambda code: f"<{len(code)} bytes>")
    storage: Mapping[int, int] = field(factory=dict, repr=lambda storage: f"<{len(storage)} slots>")


@frozen(kw_only=True)
class Genesis:
    """Everything that the nodes of a chain must agree on before its first block.

    Without `staking` the chain has no contract Validators, and the validators never change.
    """

    chain_id: int
    timestamp: int
    block_gas_limit: Gas
    base_fee_per_gas: Wei
    compute_base_fee_per_gas: Wei
    inline_flops_max: int
    inline_memory_bytes_max: int
    validators: tuple[Validator, ...]
    governor: Address
    gas_parameters: GasParameters
    balances: Mapping[Address, Wei] = field(factory=dict)
    plugins: Mapping[str, int] = field(factory=dict)
    contracts: Mapping[Address, GenesisContract] = field(factory=dict)
    staking: StakingParameters | None = None

    @cached_property
    def canonical(self) -> bytes:
        """Canonical JSON: sorted keys, no spaces, one line."""
        return canonical_json(_document(self))

    @cached_property
    def hash(self) -> Hash32:
        """Identity of the chain, the genesis block's parent hash."""
        return Hash32(domain_hash(FORMAT, self.canonical))

    @property
    def parameters(self) -> ChainParameters:
        """What plugins may learn of the chain."""
        return ChainParameters(
            chain_id=self.chain_id,
            genesis_hash=self.hash,
            block_gas_limit=self.block_gas_limit,
            inline_flops_max=self.inline_flops_max,
            inline_memory_bytes_max=self.inline_memory_bytes_max,
            validators=self.validators,
            plugins=dict(self.plugins),
        )


def canonical_json(document: object) -> bytes:
    """One byte string per document: sorted keys, no spaces, ASCII."""
    return json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=True).encode("ascii")


def validator_document(validator: Validator) -> dict[str, object]:
    """A validator as JSON documents show it; one without an iDAO has no such key."""
    document: dict[str, object] = {"address": to_hex(validator.address), "power": validator.power}
    if validator.idao != ZERO_ADDRESS:
        document["idao"] = to_hex(validator.idao)
    return document


def _ratio(ratio: Ratio) -> list[int]:
    return [ratio.numerator, ratio.denominator]


def staking_document(staking: StakingParameters) -> dict[str, object]:
    """Staking parameters as the genesis shows them: wei in quotes."""
    return {
        name: str(value) if name in STAKES else value
        for name, value in asdict(staking).items()
    }


def _document(genesis: Genesis) -> dict[str, object]:
    document = _unstaked(genesis)
    return document if genesis.staking is None else {**document, "staking": staking_document(genesis.staking)}


def _unstaked(genesis: Genesis) -> dict[str, object]:
    gas = genesis.gas_parameters
    return {
        "format": FORMAT,
        "chain_id": genesis.chain_id,
        "timestamp": genesis.timestamp,
        "block_gas_limit": genesis.block_gas_limit,
        "base_fee_per_gas": str(genesis.base_fee_per_gas),
        "compute_base_fee_per_gas": str(genesis.compute_base_fee_per_gas),
        "inline_flops_max": genesis.inline_flops_max,
        "inline_memory_bytes_max": genesis.inline_memory_bytes_max,
        "validators": [validator_document(validator) for validator in genesis.validators],
        "governor": to_hex(genesis.governor),
        "gas_parameters": {
            "alpha": _ratio(gas.alpha),
            "beta": _ratio(gas.beta),
            "gamma": gas.gamma,
            "compute_gas_target": gas.compute_gas_target,
            "tip": str(gas.tip),
        },
        "balances": {to_hex(address): str(wei) for address, wei in genesis.balances.items()},
        "plugins": dict(genesis.plugins),
        "contracts": {
            to_hex(address): {
                "code": to_hex(contract.code),
                "storage": {hex(slot): hex(value) for slot, value in contract.storage.items()},
            }
            for address, contract in genesis.contracts.items()
        },
    }


def plugin_differences(fixed: Mapping[str, int], chosen: Mapping[str, int]) -> Sequence[str]:
    """Each difference between the plugins a genesis fixes and those a node chose, one sentence each."""
    found = []
    for name in sorted(fixed.keys() | chosen.keys()):
        if name not in chosen:
            found.append(f"{name}: the genesis fixes version {fixed[name]}, this node has none; choose it")
        elif name not in fixed:
            found.append(f"{name}: the genesis does not know it; leave it out of the configuration")
        elif fixed[name] != chosen[name]:
            found.append(
                f"{name}: the genesis fixes version {fixed[name]}, this node has version {chosen[name]}; "
                f"install the distribution that provides version {fixed[name]}"
            )
    return found
