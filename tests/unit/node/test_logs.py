"""Log lines: JSON for machines, levels by name, and no secret in them."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from typing import Any

import pytest
import structlog

from lazai_core.node.logs import configure_logs


@pytest.fixture(autouse=True)
def restored() -> Iterator[None]:
    yield
    structlog.reset_defaults()


def lines(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_json_lines_carry_event_level_time_and_hexadecimal_bytes() -> None:
    stream = io.StringIO()
    configure_logs("info", stream=stream)

    structlog.get_logger("lazai_core.x").info("block.committed", height=3, block_hash=b"\x01\x02")

    (line,) = lines(stream)
    assert (line["event"], line["level"], line["height"], line["block_hash"]) == (
        "block.committed",
        "info",
        3,
        "0x0102",
    )
    assert line["timestamp"].endswith("Z")


def test_secrets_are_not_written() -> None:
    stream = io.StringIO()
    configure_logs("info", stream=stream)

    structlog.get_logger("x").info("key.loaded", private_key=b"\x07" * 32, key_password="hunter2")

    assert "hunter2" not in stream.getvalue()
    assert "0707" not in stream.getvalue()


def test_levels_by_name_with_the_longest_prefix() -> None:
    stream = io.StringIO()
    configure_logs(
        "warning", stream=stream, levels={"lazai_core.runtime": "debug", "lazai_core.runtime.builder": "error"}
    )

    structlog.get_logger("lazai_core.runtime.gateway").debug("heard")
    structlog.get_logger("lazai_core.runtime.builder").warning("not heard")
    structlog.get_logger("lazai_core.runtimes").info("not heard")
    structlog.get_logger("lazai_core.node").warning("heard too")

    assert [line["event"] for line in lines(stream)] == ["heard", "heard too"]


def test_console_lines_are_for_people() -> None:
    stream = io.StringIO()
    configure_logs("info", stream=stream, json_lines=False)

    structlog.get_logger("x").info("node.ready", name="alpha")

    assert "node.ready" in stream.getvalue()
    assert "name=alpha" in stream.getvalue()
