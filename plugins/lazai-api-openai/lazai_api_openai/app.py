"""The ASGI application: routes, and one place where every error becomes an answer."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import cast

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from lazai_core.api.errors import LazAIError
from lazai_core.api.service import Gateway

from .api_keys import ApiKeys
from .bodies import ClientGone
from .context import Api
from .failures import ApiFailure, failure_of
from .frame import CLIENT_GONE_STATUS, Frame
from .options import ApiOptions
from .replies import failure_response
from .routes import Operation, operations

_log = logging.getLogger("lazai.api.openai")


def build_app(options: ApiOptions, gateway: Gateway, keys: ApiKeys) -> Frame:
    """The whole application. `Frame.close` gives its threads back."""
    api = Api(options, gateway, keys)
    by_path: dict[str, list[Operation]] = {}
    for operation in operations():
        by_path.setdefault(operation.path, []).append(operation)
    app = Starlette(
        routes=[_route(api, path, group) for path, group in by_path.items()],
        exception_handlers={HTTPException: _answer_http_exception},
    )
    app.router.redirect_slashes = False
    return Frame(app, api)


def _route(api: Api, path: str, group: Sequence[Operation]) -> Route:
    by_method = {operation.method: operation.endpoint for operation in group}

    async def serve(request: Request) -> Response:
        request.state.route = path
        endpoint = by_method["GET" if request.method == "HEAD" else request.method]
        try:
            return await endpoint(api, request)
        except ClientGone:
            return Response(status_code=CLIENT_GONE_STATUS)
        except Exception as error:
            return _answer_error(api, request, error)

    return Route(path, cast(Callable[[Request], Awaitable[Response]], serve), methods=list(by_method))


def _answer_error(api: Api, request: Request, error: Exception) -> Response:
    failure = failure_of(error, retry_after_ms=api.options.retry_after_ms)
    if failure.status >= 500 and not isinstance(error, ApiFailure):
        known = isinstance(error, LazAIError)
        text = "%s: %s: %s" if known else "%s: unexpected %s: %s"
        _log.error(text, request.state.request_id, type(error).__name__, error, exc_info=not known)
    api.meters.failures.labels(failure.code).inc()
    return failure_response(failure)


async def _answer_http_exception(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    if error.status_code == 404:
        message = f"{request.method[:16]} {request.url.path[:200]} is not served here; GET /openapi.json lists what is"
        return failure_response(ApiFailure(404, "not_found", message))
    headers = dict(error.headers or {})
    if error.status_code == 405:
        message = f"{request.url.path[:200]} is served with {headers.get('Allow', 'another method')} only"
        return failure_response(ApiFailure(405, "method_not_allowed", message, headers=headers))
    return failure_response(ApiFailure(error.status_code, "http_error", str(error.detail), headers=headers))
