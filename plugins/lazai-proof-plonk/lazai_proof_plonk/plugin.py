"""Hooks of the PLONK plugin. Nothing heavy is imported here."""

from __future__ import annotations

from collections.abc import Iterable

from lazai_core.api import PluginInfo, ProofKind, ProofSystemEntry, hookimpl
from lazai_core.api.compute import Coprocessor
from lazai_core.api.proof import ProofSystem
from lazai_core.api.service import Benchmark

from .options import PlonkOptions


def build_plonk(options: PlonkOptions, coprocessor: Coprocessor | None) -> ProofSystem:
    """The system, native mode; keys are made when they are asked for, and the coprocessor is not opened before."""
    from .system import PlonkProofSystem

    return PlonkProofSystem(options, coprocessor)


@hookimpl
def lazai_plugin() -> PluginInfo:
    return PluginInfo(name="proof-plonk", hook_api=(1, 0), summary="PLONK over BN254, for nodes and for any EVM")


@hookimpl
def lazai_proof_systems() -> Iterable[ProofSystemEntry]:
    yield ProofSystemEntry(
        name="plonk",
        summary="PLONK over BN254 with lookups; weights are part of the key",
        kind=ProofKind.VALIDITY,
        build=build_plonk,
        options=PlonkOptions,
    )


@hookimpl
def lazai_benchmarks() -> Iterable[Benchmark]:
    from .bench import benchmarks

    yield from benchmarks()
