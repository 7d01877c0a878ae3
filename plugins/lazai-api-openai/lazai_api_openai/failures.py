"""From errors to HTTP: the status map, in OpenAI's error shape.

The stock client retries 408, 409, 429 and every 5xx by itself. So nothing that must not be repeated has one of
these without `x-should-retry: false`, and a reused nonce is 400, not 409.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from attrs import frozen

from lazai_core.api.errors import (
    AccessDenied,
    BackendUnavailable,
    BadSignature,
    Busy,
    Cancelled,
    ComputeError,
    ComputeLimitExceeded,
    FeeTooLow,
    InsufficientFunds,
    InvalidInput,
    LazAIError,
    OutOfMemory,
    OverLimit,
    PaymentRequired,
    RequestRejected,
    UnknownDat,
    UnknownModel,
)

_TYPES = {
    401: "authentication_error",
    402: "payment_error",
    403: "permission_error",
    404: "not_found_error",
    429: "rate_limit_error",
}
RETRY_AFTER_MS_MAX = 120_000
"""The stock client takes a longer wait as: do not retry."""


class ApiFailure(Exception):
    """An answer that is an error. `extra` joins the error object, `headers` the response."""

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        *,
        param: str | None = None,
        headers: Mapping[str, str] | None = None,
        extra: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.param = param
        self.headers = dict(headers or {})
        self.extra = dict(extra or {})

    @property
    def type(self) -> str:
        """OpenAI's class of error, from the status."""
        return _TYPES.get(self.status, "server_error" if self.status >= 500 else "invalid_request_error")

    def body(self) -> dict[str, Any]:
        """The JSON body."""
        error = {"message": self.message, "type": self.type, "param": self.param, "code": self.code}
        return {"error": error | self.extra}


@frozen
class _Rule:
    status: int
    code: str = ""
    param: str | None = None
    retry: str = ""


# The first class that fits decides; an empty code means the error's own.
_RULES: tuple[tuple[type[LazAIError], _Rule], ...] = (
    (BadSignature, _Rule(401)),
    (PaymentRequired, _Rule(402)),
    (FeeTooLow, _Rule(402)),
    (InsufficientFunds, _Rule(402)),
    (AccessDenied, _Rule(403)),
    (UnknownDat, _Rule(404)),
    (UnknownModel, _Rule(404, param="model")),
    (OverLimit, _Rule(400, param="input")),
    (InvalidInput, _Rule(400, param="input")),
    (Busy, _Rule(429)),
    (RequestRejected, _Rule(400)),
    (ComputeLimitExceeded, _Rule(400, "compute_limit_exceeded", param="input")),
    (BackendUnavailable, _Rule(503, "model_loading", retry="after")),
    (OutOfMemory, _Rule(503, "out_of_memory", retry="after")),
    (Cancelled, _Rule(503, "cancelled", retry="after")),
    (ComputeError, _Rule(500, "engine_error", retry="never")),
)
_INTERNAL = _Rule(500, "engine_error", retry="never")
_INTERNAL_TEXT = "the node failed while it served this request; give its operator the x-request-id"


def failure_of(error: Exception, *, retry_after_ms: int = 500) -> ApiFailure:
    """The answer for whatever went wrong. Errors that are not the user's tell nothing of the node's inside."""
    if isinstance(error, ApiFailure):
        return error
    rule = next((rule for kind, rule in _RULES if isinstance(error, kind)), _INTERNAL)
    code = rule.code or (error.code if isinstance(error, RequestRejected) else _INTERNAL.code)
    headers: dict[str, str] = {}
    if isinstance(error, Busy):
        headers = retry_headers(error.retry_after_ms)
    elif rule.retry == "after":
        headers = retry_headers(retry_after_ms)
    elif rule.retry == "never":
        headers = {"x-should-retry": "false"}
    message = str(error) if rule.status < 500 else _INTERNAL_TEXT
    if isinstance(error, ComputeError) and rule.status >= 500:
        message = f"the coprocessor could not do the work ({code}); {_INTERNAL_TEXT}"
    return ApiFailure(rule.status, code, message, param=rule.param, headers=headers)


def retry_headers(wait_ms: int) -> dict[str, str]:
    """`retry-after-ms` for clients that know it, and `Retry-After` in whole seconds for the others."""
    bounded = max(1, min(wait_ms, RETRY_AFTER_MS_MAX))
    return {"retry-after-ms": str(bounded), "retry-after": str(-(-bounded // 1000))}


def bad_request(message: str, param: str | None = None, code: str = "invalid_request") -> ApiFailure:
    """400 with the parameter that is wrong."""
    return ApiFailure(400, code, message, param=param)


def unsupported(param: str, why: str) -> ApiFailure:
    """400 for a parameter this server knows and does not serve."""
    return ApiFailure(400, "unsupported_parameter", f"{param} is not supported: {why}", param=param)
