"""Hooks of the example. Nothing heavy is imported here."""

from __future__ import annotations

from collections.abc import Iterable

from lazai_core.api import PluginInfo, PrecompileEntry, hookimpl
from lazai_core.api.precompile import Precompile
from lazai_core.api.types import Address

MEDIAN_ADDRESS = Address(bytes.fromhex("0000000000000000000000000000000000000b01"))


def build_median() -> Precompile:
    """The precompile; it has no options and needs nothing of the node."""
    from .median import MedianPrecompile

    return MedianPrecompile()


@hookimpl
def lazai_plugin() -> PluginInfo:
    return PluginInfo(name="median", hook_api=(1, 0), summary="Example: the median of 256-bit integers")


@hookimpl
def lazai_precompiles() -> Iterable[PrecompileEntry]:
    yield PrecompileEntry(
        name="median",
        summary="Median of the 32-byte words of the calldata",
        address=MEDIAN_ADDRESS,
        build=build_median,
    )
