"""Is it alive, is it ready, what is it: for people, load balancers and scrapers."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from lazai_core.api.version import HOOK_API

from .chain import standing_fields
from .context import Api
from .failures import ApiFailure, retry_headers
from .meters import CONTENT_TYPE
from .oip import MODEL_VERSION, describe_model
from .quotes import signing_domain
from .replies import json_response


def _version_of(distribution: str) -> str:
    try:
        return version(distribution)
    except PackageNotFoundError:
        return "not installed"


async def live(_api: Api, _request: Request) -> Response:
    """The process answers."""
    return json_response({"live": True, "status": "ok"})


async def ready(api: Api, _request: Request) -> Response:
    """200 when requests can be served now, else 503; `failing` names what is not ready."""
    readiness = api.gateway.readiness()
    state: dict[str, Any] = {
        "ready": readiness.ready,
        "failing": list(readiness.failing),
        "height": readiness.height,
    }
    if readiness.ready:
        return json_response(state)
    why = ", ".join(readiness.failing) or "the node is starting"
    failure = ApiFailure(503, "node_syncing", f"not ready: {why}", headers=retry_headers(2_000))
    return json_response(failure.body() | state, 503, failure.headers)


async def status(api: Api, _request: Request) -> Response:
    """What this node is and does now."""
    readiness = api.gateway.readiness()
    return json_response(
        {
            "ready": readiness.ready,
            "failing": list(readiness.failing),
            "height": readiness.height,
            **standing_fields(api.gateway.node_status()),
            "models": [model.name for model in api.gateway.served_models()],
            "requests_in_work": api.in_work,
            "requests_max": api.options.requests_max,
            "unsigned": api.options.unsigned,
            **signing_domain(api),
        }
    )


async def versions(_api: Api, _request: Request) -> Response:
    """Versions of the parts behind this API."""
    return json_response(
        {
            "lazai_core": _version_of("lazai-core"),
            "lazai_api_openai": _version_of("lazai-api-openai"),
            "hook_api": list(HOOK_API),
        }
    )


async def metrics(api: Api, _request: Request) -> Response:
    """Meters in Prometheus' text format."""
    readiness = api.gateway.readiness()
    api.meters.ready.set(int(readiness.ready))
    api.meters.height.set(readiness.height)
    api.meters.observe_node(api.gateway.node_status())
    return Response(api.meters.render(), 200, {"content-type": CONTENT_TYPE})


async def oip_server(_api: Api, _request: Request) -> Response:
    """Metadata of the Open Inference Protocol."""
    return json_response({"name": "lazai", "version": _version_of("lazai-core"), "extensions": []})


async def oip_model(api: Api, request: Request) -> Response:
    """Inputs and outputs of a model. Raises UnknownModel."""
    _check_version(request)
    return json_response(describe_model(api.gateway.find_model(request.path_params["model"])))


async def oip_model_ready(api: Api, request: Request) -> Response:
    """200 when this model can be asked now. Raises UnknownModel."""
    _check_version(request)
    model = api.gateway.find_model(request.path_params["model"])
    api.require_ready()
    return json_response({"name": model.name, "ready": True})


def _check_version(request: Request) -> None:
    wanted = request.path_params.get("version", MODEL_VERSION)
    if wanted != MODEL_VERSION:
        raise ApiFailure(404, "model_not_found", f"models have only version {MODEL_VERSION}", param="version")
