"""Checks of `lazai doctor`: address, key file, and whether strangers can spend the operator's money."""

from __future__ import annotations

import socket
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from lazai_core.api.errors import ConfigError
from lazai_core.api.service import HealthFinding, Severity

from .api_keys import load_api_keys
from .options import ApiOptions, parse_listen

_LOOPBACK = ("127.", "localhost", "::1")


def check_service(config: Mapping[str, object]) -> Sequence[HealthFinding]:
    """Look at every `[[service]]` of the configuration that uses `openai`."""
    services = config.get("service")
    tables = services if isinstance(services, list) else []
    findings: list[HealthFinding] = []
    for table in tables:
        if isinstance(table, Mapping) and table.get("use") == "openai":
            findings += _check_options(table.get("options", {}))
    return findings


def _check_options(table: Any) -> Iterator[HealthFinding]:
    try:
        values: dict[str, Any] = {}
        for name, value in table.items():
            values[name] = tuple(value) if isinstance(value, list) else value
        options = ApiOptions(**values)
    except (AttributeError, TypeError, ValueError) as cause:
        yield _failure(f"service openai: {cause}", "correct [service.options]; lazai run names the line")
        return
    yield _check_address(options)
    yield from _check_payment(options)


def _check_address(options: ApiOptions) -> HealthFinding:
    host, port = parse_listen(options.listen)
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind, protocol) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
    except OSError as cause:
        return HealthFinding(
            severity=Severity.WARNING,
            summary=f"{options.listen} cannot be bound now: {cause.strerror or cause}",
            fix="if no node of yours runs there, choose another address in `listen`",
        )
    return HealthFinding(severity=Severity.OK, summary=f"the API can listen on {options.listen}")


def _check_payment(options: ApiOptions) -> Iterator[HealthFinding]:
    try:
        keys = load_api_keys(options.api_keys_file)
    except ConfigError as cause:
        yield from (_failure(f"{problem.file}: {problem.message}", problem.hint) for problem in cause.problems)
        return
    if options.api_keys_file:
        yield HealthFinding(severity=Severity.OK, summary=f"{len(keys)} API keys, readable by their owner only")
    host, _ = parse_listen(options.listen)
    if options.unsigned == "operator-pays" and not host.startswith(_LOOPBACK):
        yield HealthFinding(
            severity=Severity.WARNING,
            summary=f"whoever reaches {options.listen} has the operator pay",
            fix='set unsigned = "reject", or listen on 127.0.0.1',
        )


def _failure(summary: str, fix: str) -> HealthFinding:
    return HealthFinding(severity=Severity.FAILURE, summary=summary, fix=fix)
