"""Entries that build nothing, for texts about plugins."""

from __future__ import annotations

from typing import Any

from lazai_core.api import GasPolicyEntry, PrecompileEntry
from lazai_core.api.types import Address


def _build() -> Any:
    raise AssertionError("nothing is built here")


def gas_entry(name: str) -> GasPolicyEntry:
    return GasPolicyEntry(name=name, summary="A gas policy", build=_build)


def precompile_entry(name: str, address: Address) -> PrecompileEntry:
    return PrecompileEntry(name=name, summary="A precompile", build=_build, address=address)
