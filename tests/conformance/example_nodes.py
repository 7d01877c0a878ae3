"""Nodes of the examples' node.toml files, on a chain whose genesis fixes exactly what they choose."""

from __future__ import annotations

import shutil
from pathlib import Path

from lazai_core.chain.genesis import Genesis
from lazai_core.cli.new_node import new_genesis, selected_parts
from lazai_core.cli.selection import Selection
from lazai_core.config import LoadedConfig, load_config
from lazai_core.registry import Catalog
from lazai_core.testing.parts import KnownIdentity
from lazai_core.testing.sample import CHAIN_ID
from tests.conformance.examples import EXAMPLES


def copied_config(folder: str, into: Path, file: str = "node.toml") -> LoadedConfig:
    """The example's configuration, in a folder of the test's own."""
    return load_config(Path(shutil.copy(EXAMPLES / folder / file, into / file)), environ={})


def matching_genesis(loaded: LoadedConfig, catalog: Catalog) -> Genesis:
    """A chain of test account 0 with the plugins that the configuration chooses."""
    parts = selected_parts(Selection(loaded=loaded, catalog=catalog))
    return new_genesis(parts, chain_id=CHAIN_ID, validator=KnownIdentity().address, timestamp=1_700_000_000)
