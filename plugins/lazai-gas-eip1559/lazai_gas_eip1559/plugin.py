"""Hooks of lazai-gas-eip1559."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from lazai_core.api import GasPolicyEntry, PluginInfo, hookimpl

from .options import Eip1559Options

if TYPE_CHECKING:
    from lazai_core.api.gas import GasPolicy


def build_eip1559(options: Eip1559Options) -> GasPolicy:
    """The policy with these options."""
    from .policy import Eip1559GasPolicy

    return Eip1559GasPolicy(options)


@hookimpl
def lazai_plugin() -> PluginInfo:
    return PluginInfo(name="gas-eip1559", hook_api=(1, 0), summary="Base fees by EIP-1559 for EVM gas and compute gas")


@hookimpl
def lazai_gas_policies() -> Iterable[GasPolicyEntry]:
    yield GasPolicyEntry(
        name="eip1559",
        summary="EIP-1559 base fees, one for EVM gas and one for compute gas",
        build=build_eip1559,
        options=Eip1559Options,
    )
