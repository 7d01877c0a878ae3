"""Reading request bodies: bounded in bytes and time before anything is parsed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

from starlette.requests import Request

from .failures import ApiFailure, bad_request
from .strict_json import BadJson, decode_object

_DRAIN_MS = 2_000


class ClientGone(Exception):
    """The client hung up; there is nobody left to answer."""


def check_media_type(request: Request) -> None:
    """Raises ApiFailure (415) unless the body is plain JSON.

    Browsers send `text/plain` across origins without asking first, so only JSON may spend anything.
    """
    encoding = request.headers.get("content-encoding", "identity").strip().lower()
    if encoding not in ("", "identity"):
        raise ApiFailure(415, "unsupported_encoding", "send the body without Content-Encoding")
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type == "application/json" or (not media_type and "origin" not in request.headers):
        return
    raise ApiFailure(
        415,
        "unsupported_media_type",
        f"the body must be JSON with Content-Type: application/json, not {media_type[:80] or 'without a type'}",
    )


async def read_body(request: Request, bytes_max: int, timeout_ms: int) -> bytes:
    """The raw body. Raises ApiFailure (408, 413, 415) and ClientGone."""
    check_media_type(request)
    try:
        async with asyncio.timeout(timeout_ms / 1000):
            return await _collect(request, bytes_max)
    except TimeoutError:
        raise ApiFailure(
            408, "request_timeout", f"the body did not come within {timeout_ms} ms", headers={"connection": "close"}
        ) from None


async def _collect(request: Request, bytes_max: int) -> bytes:
    chunks: list[bytes] = []
    size = 0
    async for chunk, is_last in _chunks(request):
        size += len(chunk)
        if size > bytes_max:
            chunks.clear()
            if not is_last:
                await _drain(request, bytes_max)
            raise ApiFailure(
                413,
                "request_too_large",
                f"the body is larger than {bytes_max} bytes; send fewer inputs at a time",
                headers={"connection": "close"},
            )
        chunks.append(chunk)
    return b"".join(chunks)


async def _chunks(request: Request) -> AsyncIterator[tuple[bytes, bool]]:
    is_last = False
    while not is_last:
        message = await request.receive()
        if message["type"] != "http.request":
            raise ClientGone
        is_last = not message.get("more_body", False)
        yield message.get("body", b""), is_last


async def _drain(request: Request, bytes_max: int) -> None:
    # A client that is still writing when the connection closes never sees the answer.
    drained = 0
    try:
        async with asyncio.timeout(_DRAIN_MS / 1000):
            async for chunk, _ in _chunks(request):
                drained += len(chunk)
                if drained > bytes_max:
                    return
    except TimeoutError:
        return


def parse_object(body: bytes) -> dict[str, Any]:
    """The body's JSON object. Raises ApiFailure (400)."""
    try:
        return decode_object(body)
    except BadJson as cause:
        raise bad_request(f"the body is not valid JSON: {cause}", code="invalid_json") from None
