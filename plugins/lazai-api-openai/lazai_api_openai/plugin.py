"""The hooks of this plugin. Nothing heavy is imported here."""

from __future__ import annotations

from collections.abc import Iterable

from lazai_core.api import PluginInfo, ServiceEntry, hookimpl
from lazai_core.api.service import HealthCheck

from .checks import check_service
from .options import ApiOptions
from .service import build_api


@hookimpl
def lazai_plugin() -> PluginInfo:
    return PluginInfo(
        name="api-openai",
        hook_api=(1, 0),
        summary="OpenAI-compatible API and the Open Inference Protocol",
    )


@hookimpl
def lazai_services() -> Iterable[ServiceEntry]:
    yield ServiceEntry(
        name="openai",
        summary="HTTP: /v1/embeddings, /v1/models, /v2/models/{name}/infer, /metrics",
        build=build_api,
        options=ApiOptions,
    )


@hookimpl
def lazai_health_checks() -> Iterable[HealthCheck]:
    yield HealthCheck(name="api-openai", run=check_service)
