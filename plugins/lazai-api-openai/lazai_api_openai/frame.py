"""Around every request: its identifier, clean path, CORS, meters and one line of log."""

from __future__ import annotations

import asyncio
import logging
import re
import secrets
import time
from typing import TYPE_CHECKING

from starlette.datastructures import Headers, MutableHeaders

from .failures import ApiFailure, retry_headers
from .replies import failure_response

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from .context import Api

CLIENT_GONE_STATUS = 499
_SLASHES = re.compile(r"//+")
_log = logging.getLogger("lazai.api.openai")

_ALLOWED_METHODS = "GET, POST, OPTIONS"
_ALLOWED_HEADERS = (
    "authorization, content-type, accept, x-request-id, x-lazai-authorization, openai-organization, openai-project, "
    "x-stainless-lang, x-stainless-package-version, x-stainless-os, x-stainless-arch, x-stainless-runtime, "
    "x-stainless-runtime-version, x-stainless-async, x-stainless-retry-count, x-stainless-read-timeout, "
    "x-stainless-timeout, x-stainless-helper-method, x-stainless-poll-helper, x-stainless-custom-poll-interval, "
    "idempotency-key"
)
_EXPOSED_HEADERS = (
    "x-request-id, x-should-retry, retry-after, retry-after-ms, payment-required, x-lazai-ignored, x-lazai-replayed, "
    "x-lazai-job-id, x-lazai-receipt, x-lazai-transaction, x-lazai-height, x-lazai-compute-gas, x-lazai-cost"
)


class Frame:
    """The outermost application. Nothing leaves it without `x-request-id`."""

    def __init__(self, app: ASGIApp, api: Api) -> None:
        self._app = app
        self.api = api

    def close(self) -> None:
        """Give threads back. Idempotent."""
        self.api.close()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one ASGI connection."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        await _Exchange(self.api, scope, send).run(self._app, receive)


class _Exchange:
    """One request and its response."""

    def __init__(self, api: Api, scope: Scope, send: Send) -> None:
        self._api = api
        self._scope = scope
        self._send = send
        self._status = 0
        self._started_s = time.monotonic()
        self._state = scope.setdefault("state", {})
        self._state["request_id"] = f"req_{secrets.token_hex(16)}"
        # Clients whose base URL ends with a slash ask for //embeddings.
        path = _SLASHES.sub("/", scope["path"])
        scope["path"] = path.rstrip("/") or "/"
        headers = Headers(scope=scope)
        self._cors = _cors_headers(headers.get("origin", ""), api.options.cors_origins)
        self._is_preflight = scope["method"] == "OPTIONS" and "access-control-request-method" in headers

    async def run(self, app: ASGIApp, receive: Receive) -> None:
        try:
            if self._is_preflight and self._cors:
                await self._answer_preflight()
            else:
                await app(self._scope, receive, self._forward)
        except asyncio.CancelledError:
            # The node stops and the time for open requests is over. This task ends here in any case.
            if self._status:
                raise
            repeatable = self._state.get("repeatable", True)
            headers = retry_headers(1_000) if repeatable else {"x-should-retry": "false"}
            failure = ApiFailure(503, "node_stopping", "the node is stopping", headers=headers)
            await failure_response(failure)(self._scope, receive, self._forward)
        finally:
            self._finish()

    async def _answer_preflight(self) -> None:
        await self._forward({"type": "http.response.start", "status": 204, "headers": []})
        await self._forward({"type": "http.response.body", "body": b""})

    async def _forward(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self._status = message["status"]
            headers = MutableHeaders(scope=message)
            headers["x-request-id"] = self._state["request_id"]
            for name, value in self._cors.items():
                headers[name] = value
            if self._is_preflight and self._cors:
                headers["access-control-allow-methods"] = _ALLOWED_METHODS
                headers["access-control-allow-headers"] = _ALLOWED_HEADERS
                headers["access-control-max-age"] = "600"
        if self._status != CLIENT_GONE_STATUS:
            await self._send(message)

    def _finish(self) -> None:
        route = self._state.get("route", "other")
        seconds = time.monotonic() - self._started_s
        self._api.meters.observe(route, self._scope["method"], self._status or 500, seconds)
        _log.info(
            "%s %s %s %d %.1f ms payer=%s",
            self._state["request_id"],
            self._scope["method"],
            route,
            self._status,
            seconds * 1000,
            self._state.get("payer", "-"),
        )


def _cors_headers(origin: str, allowed: tuple[str, ...]) -> dict[str, str]:
    """Headers for an origin that may read the answer; none for any other."""
    if not origin or not ("*" in allowed or origin in allowed):
        return {}
    return {
        "access-control-allow-origin": "*" if "*" in allowed else origin,
        "access-control-expose-headers": _EXPOSED_HEADERS,
        "vary": "Origin",
    }
