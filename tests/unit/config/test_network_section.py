"""`[network]`: every mistake with its line, and no secrets."""

from __future__ import annotations

from pathlib import Path

import pytest

from lazai_core.api.errors import ConfigError
from lazai_core.config import load_config

BASE = """\
[node]
name = "alpha"
[consensus]
use = "bft"
[coprocessor]
use = "reference"
[[proof]]
use = "attestation"
[gas]
use = "flat"
[storage]
use = "memory"
"""
PEER = "0x" + "ab" * 20


def load(tmp_path: Path, text: str) -> object:
    path = tmp_path / "node.toml"
    path.write_text(BASE + text, encoding="utf-8")
    return load_config(path).config.network


def test_without_the_section_a_node_is_alone(tmp_path: Path) -> None:
    assert load(tmp_path, "") is None


def test_peers_and_places(tmp_path: Path) -> None:
    section = load(tmp_path, f'[network]\nlisten = "[::1]:0"\npeers = ["{PEER}@node.example:26700"]\n')
    assert section.peers == (f"{PEER}@node.example:26700",)  # type: ignore[attr-defined]
    assert load(tmp_path, '[network]\nlisten = ""\n').listen == ""  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('listen = "26700"', "does not end in a port"),
        ('advertise = "::1:5"', "an IPv6 address stands in brackets"),
        ('peers = ["10.0.0.1:26700"]', "has no '@'"),
        (f'peers = ["{PEER}@10.0.0.1:26700", "{PEER}@10.0.0.2:26700"]', "is listed twice"),
        ('seeds = ["0x12@10.0.0.1:26700"]', "an address has 40 hexadecimal digits"),
        ("ping_ms = 0", "must be at least 1"),
        ("queue_bytes_max = 5", "must be at least 1048576"),
        ("peer = []", "did you mean 'peers'"),
        ('private_key = "0x00"', "secret"),
    ],
)
def test_mistakes_are_told_with_file_and_line(tmp_path: Path, line: str, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load(tmp_path, f"[network]\n{line}\n")
    (problem,) = caught.value.problems
    assert problem.line == BASE.count("\n") + 2
    assert problem.file.endswith("node.toml")
    assert message in str(problem)
