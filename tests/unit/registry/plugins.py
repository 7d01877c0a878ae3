"""Plugins made on the spot: source text on disk, found through entry points that no distribution installed."""

from __future__ import annotations

import sys
import textwrap
from collections.abc import Iterator
from importlib.metadata import Distribution, EntryPoint
from pathlib import Path
from typing import Any

import pytest

from lazai_core.registry import Candidate, Catalog, Discovery, discover, load_catalog

HEADER = """
from attrs import field, frozen
from lazai_core.api import *
from lazai_core.api.service import Benchmark, HealthCheck

def build(): ...

@hookimpl
def lazai_plugin():
    return PluginInfo(name=NAME, hook_api=(1, 0), summary="A plugin for tests")
"""


class Workshop:
    """Writes plugin modules into a folder on the import path."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.points: list[EntryPoint] = []
        self.modules: list[str] = []

    def add(
        self, name: str, body: str = "", *, distribution: str = "", version: str = "0.1.0", header: str = HEADER
    ) -> str:
        """Write a plugin and its entry point; returns the module's name."""
        module = f"plugin_{self.folder.name}_{len(self.modules)}".replace("-", "_")
        text = f"NAME = {name!r}\n{header}\n{textwrap.dedent(body)}"
        (self.folder / f"{module}.py").write_text(text, encoding="utf-8")
        self.modules.append(module)
        point = EntryPoint(name=name, value=module, group="lazai")
        owner: Any = _Installed(distribution or f"acme-{name}", version)
        self.points.append(point._for(owner))  # type: ignore[attr-defined]
        return module

    def discover(self, **lists: Any) -> Discovery:
        """The plugins of this workshop only, without the built-in one."""
        return discover(points=self.points, built_in=None, **lists)

    def catalog(self, **lists: Any) -> Catalog:
        """The catalog of these plugins."""
        return load_catalog(self.discover(**lists))

    def candidate(self, name: str) -> Candidate:
        """The candidate of this name."""
        return next(item for item in self.discover().candidates if item.name == name)


class _Installed(Distribution):
    """A distribution of which only name and version matter."""

    def __init__(self, name: str, version: str) -> None:
        self._name, self._version = name, version

    @property
    def name(self) -> str:
        return self._name

    @property
    def version(self) -> str:
        return self._version

    def read_text(self, filename: str) -> str | None:
        return None

    def locate_file(self, path: object) -> Any:
        raise NotImplementedError


def open_workshop(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Workshop]:
    """A workshop whose modules are forgotten afterwards."""
    monkeypatch.syspath_prepend(str(folder))
    workshop = Workshop(folder)
    yield workshop
    for module in workshop.modules:
        sys.modules.pop(module, None)
