"""The plugin in the box: every built-in, through the hooks that any plugin uses. Nothing heavy is imported here."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from lazai_core.api import (
    HOOK_API,
    ConsensusEntry,
    CoprocessorEntry,
    GasPolicyEntry,
    PluginInfo,
    PrecompileEntry,
    ProofKind,
    ProofSystemEntry,
    StorageEntry,
    hookimpl,
)
from lazai_core.api.compute import Capability, Coprocessor
from lazai_core.api.consensus import ConsensusEngine
from lazai_core.api.gas import GasPolicy
from lazai_core.api.job import ComputeJob
from lazai_core.api.needs import ChainParameters, NodeIdentity, ProgramStore, ProofSystems
from lazai_core.api.precompile import Precompile
from lazai_core.api.proof import ProofSystem
from lazai_core.api.service import Benchmark, HealthCheck
from lazai_core.api.storage import KeyValueStore
from lazai_core.api.types import AI_CALL_ADDRESS, PROOF_CHECK_ADDRESS

from .options import AttestationOptions
from .sqlite_store import SqliteOptions


def _ai_call(gas_policy: GasPolicy, chain: ChainParameters) -> Precompile:
    from .precompiles.ai_call import build_ai_call

    return build_ai_call(gas_policy, chain)


def _proof_check(systems: ProofSystems) -> Precompile:
    from .precompiles.proof_check import build_proof_check

    return build_proof_check(systems)


def _reference() -> Coprocessor:
    from .reference_coprocessor import build_reference

    return build_reference()


def _attestation(
    options: AttestationOptions, identity: NodeIdentity, coprocessor: Coprocessor, programs: ProgramStore
) -> ProofSystem:
    from .attestation_proof import build_attestation

    return build_attestation(options, identity, coprocessor, programs)


def _solo(identity: NodeIdentity, chain: ChainParameters) -> ConsensusEngine:
    from .solo_consensus import build_solo

    return build_solo(identity, chain)


def _flat() -> GasPolicy:
    from .flat_gas import build_flat_gas

    return build_flat_gas()


def _memory(path: Path) -> KeyValueStore:
    from .stores import MemoryStore

    return MemoryStore()


def _sqlite(path: Path, options: SqliteOptions) -> KeyValueStore:
    from .sqlite_store import build_sqlite

    return build_sqlite(path, options)


@hookimpl
def lazai_plugin() -> PluginInfo:
    """Who this is."""
    return PluginInfo(name="builtin", hook_api=HOOK_API, summary="What every node has without installing anything")


@hookimpl
def lazai_precompiles() -> Iterable[PrecompileEntry]:
    """AI calls and proof checks."""
    yield PrecompileEntry(
        name="ai-call", summary="Answers of models inside transactions", address=AI_CALL_ADDRESS, build=_ai_call
    )
    yield PrecompileEntry(
        name="proof-check",
        summary="Checks proofs of every proof system of the chain",
        address=PROOF_CHECK_ADDRESS,
        build=_proof_check,
    )


@hookimpl
def lazai_coprocessors() -> Iterable[CoprocessorEntry]:
    """The reference backend."""
    yield CoprocessorEntry(
        name="reference",
        summary="Plain numpy, one operation after the other: slow, and right by definition",
        build=_reference,
        capabilities=frozenset({Capability.EXACT_TENSORS, Capability.TRACE}),
    )


@hookimpl
def lazai_proof_systems() -> Iterable[ProofSystemEntry]:
    """Attestation."""
    yield ProofSystemEntry(
        name="attestation",
        summary="The worker signs, validators run the program again",
        kind=ProofKind.ATTESTATION,
        build=_attestation,
        options=AttestationOptions,
        requires=frozenset({Capability.EXACT_TENSORS}),
    )


@hookimpl
def lazai_consensus_engines() -> Iterable[ConsensusEntry]:
    """Consensus of one."""
    yield ConsensusEntry(name="solo", summary="One validator decides alone; for development", build=_solo)


@hookimpl
def lazai_gas_policies() -> Iterable[GasPolicyEntry]:
    """Flat prices."""
    yield GasPolicyEntry(name="flat", summary="Base fees that never move; for development", build=_flat)


@hookimpl
def lazai_storage_backends() -> Iterable[StorageEntry]:
    """Stores in memory and on disk."""
    yield StorageEntry(name="memory", summary="Forgets everything at the end", build=_memory, durable=False)
    yield StorageEntry(
        name="sqlite",
        summary="One SQLite file, flushed at every commit: survives power loss",
        build=_sqlite,
        options=SqliteOptions,
    )


@hookimpl
def lazai_health_checks() -> Iterable[HealthCheck]:
    """What `lazai doctor` asks of the core."""
    from .health import health_checks

    yield from health_checks()


@hookimpl
def lazai_benchmarks() -> Iterable[Benchmark]:
    """What `lazai bench` measures of the core."""
    from .bench import benchmarks

    yield from benchmarks()


@hookimpl(trylast=True)
def lazai_route_job(job: ComputeJob, candidates: Sequence[str]) -> str | None:
    """The job's own wish, where it can be met; asked after every other plugin."""
    return job.proof_system if job.proof_system in candidates else None
