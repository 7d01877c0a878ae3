"""A small whole configuration, and ways to load it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from lazai_core.api.errors import ConfigError
from lazai_core.config import LoadedConfig, parse_config

SMALL = """
[node]
name = "alpha"

[consensus]
use = "solo"

[coprocessor]
use = "reference"

[[proof]]
use = "attestation"

[gas]
use = "flat"

[storage]
use = "lmdb"
"""


def parse(text: str, environ: Mapping[str, str] | None = None) -> LoadedConfig:
    """Parse a text as the file home/node.toml."""
    return parse_config(text.encode(), path=Path("home/node.toml"), environ=environ)


def problems(text: str, environ: Mapping[str, str] | None = None) -> list[str]:
    """The lines of the ConfigError that the text gives, without its last."""
    with pytest.raises(ConfigError) as caught:
        parse(text, environ)
    return [str(problem) for problem in caught.value.problems]
