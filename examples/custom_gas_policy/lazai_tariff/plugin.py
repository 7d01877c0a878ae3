"""Hooks of the example. Nothing heavy is imported here."""

from __future__ import annotations

from collections.abc import Iterable

from lazai_core.api import GasPolicyEntry, PluginInfo, hookimpl
from lazai_core.api.gas import GasPolicy


def build_tariff() -> GasPolicy:
    """The policy; it has no options, because every node must charge the same."""
    from .tariff import TariffGasPolicy

    return TariffGasPolicy()


@hookimpl
def lazai_plugin() -> PluginInfo:
    return PluginInfo(name="tariff", hook_api=(1, 0), summary="Example: a tariff with a few steps")


@hookimpl
def lazai_gas_policies() -> Iterable[GasPolicyEntry]:
    yield GasPolicyEntry(name="tariff", summary="A price list by size; base fees stand still", build=build_tariff)
