"""What an operator may set under `[service.options]`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from attrs import Attribute, field, frozen

UNSIGNED_MODES = ("reject", "operator-pays")

_Validator = Callable[[object, "Attribute[Any]", Any], None]


def parse_listen(text: str) -> tuple[str, int]:
    """Split `host:port` or `[ipv6]:port`. Port 0 means any free port. Raises ValueError."""
    host, separator, port = text.rpartition(":")
    bracketed = host.startswith("[") and host.endswith("]")
    if not separator or not host or (":" in host and not bracketed):
        raise ValueError(f"{text!r} is not host:port; write for example 127.0.0.1:8000 or [::1]:8000")
    if not (port.isascii() and port.isdigit() and int(port) <= 65_535):
        raise ValueError(f"{text!r}: the port must be a number from 0 to 65535")
    return (host[1:-1] if bracketed else host), int(port)


def _check_listen(_instance: object, _attribute: Attribute[Any], value: str) -> None:
    parse_listen(value)


def _between(low: int, high: int) -> _Validator:
    def check(_instance: object, attribute: Attribute[Any], value: object) -> None:
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            raise ValueError(f"{attribute.name} must be a whole number from {low} to {high}, not {value!r}")

    return check


def _check_unsigned(_instance: object, _attribute: Attribute[Any], value: str) -> None:
    if value not in UNSIGNED_MODES:
        raise ValueError(f"unsigned must be one of {', '.join(UNSIGNED_MODES)}, not {value!r}")


def _check_origins(_instance: object, _attribute: Attribute[Any], value: tuple[str, ...]) -> None:
    for origin in value:
        if origin != "*" and (not origin.startswith(("http://", "https://")) or origin.endswith("/")):
            raise ValueError(f"the origin {origin!r} must look like https://app.example, or be *")


def _option(default: Any, doc: str, validator: _Validator | None = None) -> Any:
    return field(default=default, validator=validator, metadata={"doc": doc})


@frozen(kw_only=True)
class ApiOptions:
    """Options of the service `openai`. Every limit exists so that a stranger cannot exhaust the node."""

    listen: str = _option("127.0.0.1:8000", "address and port, host:port; port 0 takes a free one", _check_listen)
    unsigned: str = _option(
        "reject",
        "requests without authorisation: reject (402 with a quote) or operator-pays",
        _check_unsigned,
    )
    api_keys_file: str = _option("", "file of hashed API keys whose requests the operator pays; empty for none")
    cors_origins: tuple[str, ...] = _option(
        (), "browser origins that may call the API, or * for any; empty for none", _check_origins
    )
    requests_max: int = _option(64, "requests in work at a time; more get 429", _between(1, 65_536))
    connections_max: int = _option(1_024, "open connections; more are closed at once", _between(1, 65_536))
    body_bytes_max: int = _option(4 * 2**20, "bytes of a request body; more get 413", _between(1_024, 64 * 2**20))
    inputs_max: int = _option(256, "inputs (jobs) of one request; more get 400", _between(1, 2_048))
    timeout_ms: int = _option(600_000, "wait for a block until 504 is answered", _between(1, 86_400_000))
    body_timeout_ms: int = _option(20_000, "wait for a request's head and for its body", _between(1, 600_000))
    stop_timeout_ms: int = _option(5_000, "wait for open requests when the node stops", _between(0, 600_000))
    retry_after_ms: int = _option(500, "wait that a 429 asks of the client", _between(1, 120_000))
