"""Hooks of the example. Nothing heavy is imported here."""

from __future__ import annotations

from collections.abc import Iterable

from lazai_core.api import PluginInfo, ProofKind, ProofSystemEntry, hookimpl
from lazai_core.api.proof import ProofSystem


def build_freivalds() -> ProofSystem:
    """The system; it has no options and needs nothing of the node."""
    from .system import FreivaldsProofSystem

    return FreivaldsProofSystem()


@hookimpl
def lazai_plugin() -> PluginInfo:
    return PluginInfo(name="freivalds", hook_api=(1, 0), summary="Example: dense layers checked by random projection")


@hookimpl
def lazai_proof_systems() -> Iterable[ProofSystemEntry]:
    yield ProofSystemEntry(
        name="freivalds",
        summary="Dense layers by random projection; public weights, everything else recomputed",
        kind=ProofKind.VALIDITY,
        build=build_freivalds,
    )
