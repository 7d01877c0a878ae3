"""The contract room: everything a plugin may import, and nothing that is heavy to import.

Plugins import from here or from the modules below; core's other rooms are private. `HOOK_API` is the version of
this contract; `tests/golden/hook_api.txt` is its dump.
"""

from __future__ import annotations

from .entries import (
    ConsensusEntry,
    CoprocessorEntry,
    Entry,
    GasPolicyEntry,
    NoOptions,
    PluginInfo,
    PrecompileEntry,
    ProofSystemEntry,
    ServiceEntry,
    StorageEntry,
)
from .hookspecs import hookimpl, hookspec
from .proof import ProofKind
from .version import HOOK_API

__all__ = [
    "HOOK_API",
    "ConsensusEntry",
    "CoprocessorEntry",
    "Entry",
    "GasPolicyEntry",
    "NoOptions",
    "PluginInfo",
    "PrecompileEntry",
    "ProofKind",
    "ProofSystemEntry",
    "ServiceEntry",
    "StorageEntry",
    "hookimpl",
    "hookspec",
]
