"""The kinds of entries a plugin can offer, and the hook, class and words that belong to each."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType

from attrs import frozen

from lazai_core.api.entries import (
    ConsensusEntry,
    CoprocessorEntry,
    Entry,
    GasPolicyEntry,
    PrecompileEntry,
    ProofSystemEntry,
    ServiceEntry,
    StorageEntry,
)


class Kind(StrEnum):
    """What an entry is; the value is its word in genesis files ("proof/attestation") and in `--json`."""

    PRECOMPILE = "precompile"
    COPROCESSOR = "coprocessor"
    PROOF_SYSTEM = "proof"
    CONSENSUS = "consensus"
    GAS_POLICY = "gas"
    STORAGE = "storage"
    SERVICE = "service"


@frozen(kw_only=True)
class KindRules:
    """Hook that offers entries of a kind, their class, and what people call one of them."""

    hook: str
    entry_class: type[Entry]
    noun: str


KIND_RULES: Mapping[Kind, KindRules] = MappingProxyType(
    {
        Kind.PRECOMPILE: KindRules(hook="lazai_precompiles", entry_class=PrecompileEntry, noun="precompile"),
        Kind.COPROCESSOR: KindRules(hook="lazai_coprocessors", entry_class=CoprocessorEntry, noun="coprocessor"),
        Kind.PROOF_SYSTEM: KindRules(hook="lazai_proof_systems", entry_class=ProofSystemEntry, noun="proof system"),
        Kind.CONSENSUS: KindRules(hook="lazai_consensus_engines", entry_class=ConsensusEntry, noun="consensus engine"),
        Kind.GAS_POLICY: KindRules(hook="lazai_gas_policies", entry_class=GasPolicyEntry, noun="gas policy"),
        Kind.STORAGE: KindRules(hook="lazai_storage_backends", entry_class=StorageEntry, noun="storage backend"),
        Kind.SERVICE: KindRules(hook="lazai_services", entry_class=ServiceEntry, noun="service"),
    }
)

CONSENSUS_CRITICAL = frozenset({Kind.PRECOMPILE, Kind.PROOF_SYSTEM, Kind.GAS_POLICY})
"""Kinds whose names and versions the genesis fixes."""
