"""Logging, set up once: lines for people on a terminal, JSON otherwise. Everybody else only calls `get_logger`."""

from __future__ import annotations

import logging
import sys
from collections.abc import Mapping, MutableMapping
from typing import Any, TextIO

import structlog

_LEVELS = {"debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}
_SECRET_WORDS = ("password", "private_key", "secret", "api_key", "authorization_header")


def configure_logs(
    level: str = "info",
    *,
    json_lines: bool | None = None,
    levels: Mapping[str, str] | None = None,
    stream: TextIO | None = None,
) -> None:
    """Send events to `stream` (standard error). `json_lines` None decides by whether it is a terminal.

    `levels` holds other levels by logger name; the longest prefix of whole words wins.
    """
    target = sys.stderr if stream is None else stream
    as_json = not target.isatty() if json_lines is None else json_lines
    thresholds = {name: _LEVELS[text] for name, text in (levels or {}).items()}
    threshold = min([_LEVELS[level], *thresholds.values()])
    processors: list[Any] = [
        _Filter(_LEVELS[level], thresholds),
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _printable,
    ]
    if as_json:
        processors += [structlog.processors.format_exc_info, structlog.processors.JSONRenderer(sort_keys=True)]
    else:
        processors.append(structlog.dev.ConsoleRenderer(colors=target.isatty(), pad_event_to=24))
    structlog.configure(
        processors=processors,
        wrapper_class=structlog.make_filtering_bound_logger(threshold),
        logger_factory=lambda *names: NamedLogger(target, names[0] if names else ""),
        cache_logger_on_first_use=False,
    )
    logging.basicConfig(
        level=max(threshold, logging.WARNING), stream=target, format="%(levelname)s %(name)s %(message)s"
    )


class NamedLogger(structlog.PrintLogger):
    """A logger that knows the name it was asked for by."""

    def __init__(self, file: TextIO, name: str) -> None:
        super().__init__(file)
        self.name = name


class _Filter:
    """Drops events below the level of their logger."""

    def __init__(self, level: int, by_name: Mapping[str, int]) -> None:
        self._level = level
        self._by_name = by_name

    def _threshold(self, name: str) -> int:
        while name:
            if name in self._by_name:
                return self._by_name[name]
            name = name.rpartition(".")[0]
        return self._level

    def __call__(self, logger: Any, method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        level = _LEVELS.get(method, logging.CRITICAL if method == "critical" else logging.ERROR)
        if level < self._threshold(getattr(logger, "name", "")):
            raise structlog.DropEvent
        return event


def _printable(_logger: object, _method: str, event: MutableMapping[str, Any]) -> Mapping[str, Any]:
    """Bytes as hexadecimal, secrets as an ellipsis."""
    for key, value in event.items():
        if any(word in key for word in _SECRET_WORDS):
            event[key] = "…"
        elif isinstance(value, bytes | bytearray | memoryview):
            event[key] = "0x" + bytes(value).hex()
    return event
