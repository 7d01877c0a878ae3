"""Hooks of lazai-gpu-torch. Importing this module does not import torch."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from lazai_core.api import CoprocessorEntry, PluginInfo, hookimpl
from lazai_core.api.service import Benchmark, HealthCheck

from .capabilities import CAPABILITIES
from .options import TorchOptions

if TYPE_CHECKING:
    from lazai_core.api.compute import Coprocessor


def build_torch(options: TorchOptions) -> Coprocessor:
    """The backend on the device the options name. Raises BackendUnavailable."""
    from .backend import TorchCoprocessor

    return TorchCoprocessor(options)


@hookimpl
def lazai_plugin() -> PluginInfo:
    return PluginInfo(name="gpu-torch", hook_api=(1, 0), summary="Exact programs on PyTorch, CPU or CUDA")


@hookimpl
def lazai_coprocessors() -> Iterable[CoprocessorEntry]:
    yield CoprocessorEntry(
        name="torch",
        summary="PyTorch on the CPU or a CUDA device",
        build=build_torch,
        capabilities=CAPABILITIES,
        options=TorchOptions,
    )


@hookimpl
def lazai_health_checks() -> Iterable[HealthCheck]:
    from .health import check_device

    yield HealthCheck(name="torch-device", run=check_device)


@hookimpl
def lazai_benchmarks() -> Iterable[Benchmark]:
    from .bench import benchmarks

    yield from benchmarks()
