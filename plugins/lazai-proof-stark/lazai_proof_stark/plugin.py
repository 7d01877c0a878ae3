"""Hooks of lazai-proof-stark. Importing this module imports neither numpy nor numba."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from lazai_core.api import PluginInfo, ProofSystemEntry, hookimpl
from lazai_core.api.compute import Capability, Coprocessor
from lazai_core.api.proof import ProofKind
from lazai_core.api.service import Benchmark, HealthCheck

from .options import StarkOptions

if TYPE_CHECKING:
    from lazai_core.api.proof import ProofSystem


def build_stark(options: StarkOptions, coprocessor: Coprocessor | None) -> ProofSystem:
    """The proof system with this node's options. Raises AssemblyError for sets and kernels that are not there."""
    from .system import StarkProofSystem

    return StarkProofSystem(options, coprocessor)


@hookimpl
def lazai_plugin() -> PluginInfo:
    return PluginInfo(name="proof-stark", hook_api=(1, 0), summary="Transparent proofs of exact programs")


@hookimpl
def lazai_proof_systems() -> Iterable[ProofSystemEntry]:
    yield ProofSystemEntry(
        name="stark",
        summary="Hash-based validity proofs without a trusted set-up (KoalaBear, BaseFold, logup-GKR)",
        kind=ProofKind.VALIDITY,
        build=build_stark,
        version=1,
        options=StarkOptions,
        requires=frozenset({Capability.TRACE}),
    )


@hookimpl
def lazai_health_checks() -> Iterable[HealthCheck]:
    from .health import check_golden_proof

    yield HealthCheck(name="stark-golden-proof", run=check_golden_proof)


@hookimpl
def lazai_benchmarks() -> Iterable[Benchmark]:
    from .bench import benchmarks

    yield from benchmarks()
