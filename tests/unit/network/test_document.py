"""docs/NETWORK.md against the code: every option with its default, every fault with its points."""

from __future__ import annotations

import re
from pathlib import Path

from attrs import fields

from lazai_core.api.network import PeerFault
from lazai_core.config.render import toml_value
from lazai_core.config.schema import NetworkSection
from lazai_core.network.standing import POINTS

TEXT = (Path(__file__).resolve().parents[3] / "docs" / "NETWORK.md").read_text(encoding="utf-8")


def test_the_document_tells_every_option_with_its_default() -> None:
    for option in fields(NetworkSection):
        line = f"| `{option.name}` | `{toml_value(option.default)}` | {option.metadata['doc']} |"
        assert line in TEXT


def test_the_document_tells_every_fault_with_its_points() -> None:
    told = {}
    for points, names in re.findall(r"^\| (\d+) \| (.*) \|$", TEXT, re.MULTILINE):
        told |= {PeerFault(name): int(points) for name in re.findall(r"`([a-z-]+)`", names)}
    assert told == dict(POINTS)
