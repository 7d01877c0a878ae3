"""A plugin whose coprocessor lies: it computes as the reference does, then turns over the output's last bit."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from attrs import evolve, field, frozen

from lazai_core.api import CoprocessorEntry, PluginInfo, hookimpl
from lazai_core.api.compute import Capability, Coprocessor
from lazai_core.builtin.reference_coprocessor import ReferenceCoprocessor


@frozen(kw_only=True)
class FlippingOptions:
    """How often it lies."""

    lies: int = field(default=1_000_000, metadata={"doc": "Runs that give a wrong output, from the first on."})


class FlippingCoprocessor(ReferenceCoprocessor):
    """Wrong for as many runs as it was told."""

    def __init__(self, lies: int) -> None:
        super().__init__()
        self._lies = lies

    def execute(self, *arguments: Any, **options: Any) -> Any:
        result = super().execute(*arguments, **options)
        if self._lies <= 0:
            return result
        self._lies -= 1
        return evolve(result, output=result.output[:-1] + bytes([result.output[-1] ^ 1]))


def build_flipping(options: FlippingOptions) -> Coprocessor:
    return FlippingCoprocessor(options.lies)


@hookimpl
def lazai_plugin() -> PluginInfo:
    return PluginInfo(name="flipping", hook_api=(1, 0), summary="A coprocessor that lies")


@hookimpl
def lazai_coprocessors() -> Iterable[CoprocessorEntry]:
    yield CoprocessorEntry(
        name="flipping",
        summary="The reference with its last bit turned over",
        build=build_flipping,
        capabilities=frozenset({Capability.EXACT_TENSORS, Capability.TRACE}),
        options=FlippingOptions,
    )
