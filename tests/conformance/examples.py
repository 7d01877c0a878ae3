"""The example plugins, importable and discoverable as if they were installed, without installing them."""

from __future__ import annotations

import sys
import tomllib
from collections.abc import Sequence
from importlib.metadata import EntryPoint
from pathlib import Path

from lazai_core.api import Entry
from lazai_core.registry import Catalog, Kind, discover, load_catalog
from lazai_core.registry.kinds import KIND_RULES

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"


def entry_points_of(folder: str) -> Sequence[EntryPoint]:
    """What the example's pyproject.toml announces; its folder becomes importable."""
    path = EXAMPLES / folder
    if str(path) not in sys.path:
        sys.path.append(str(path))
    project = tomllib.loads((path / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    points = project["entry-points"]["lazai"]
    return [EntryPoint(name=name, value=value, group="lazai") for name, value in points.items()]


def example_catalog(folder: str) -> Catalog:
    """The example beside everything that is installed."""
    from importlib.metadata import entry_points

    return load_catalog(discover(points=[*entry_points(group="lazai"), *entry_points_of(folder)]))


def example_entry(folder: str, kind: Kind, name: str) -> Entry:
    """One entry of an example."""
    entry = example_catalog(folder).find(kind, name).entry
    assert isinstance(entry, KIND_RULES[kind].entry_class)
    return entry


def example_module(folder: str) -> str:
    """Dotted name of the example's plugin module."""
    (point,) = entry_points_of(folder)
    return point.value
