"""JSON responses."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
from starlette.responses import Response

from .failures import ApiFailure

_JSON = "application/json"


def json_response(content: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """A response whose body is `content` as JSON."""
    return Response(msgspec.json.encode(content), status, dict(headers or {}), media_type=_JSON)


def failure_response(failure: ApiFailure) -> Response:
    """A response in OpenAI's error shape."""
    return json_response(failure.body(), failure.status, failure.headers)
