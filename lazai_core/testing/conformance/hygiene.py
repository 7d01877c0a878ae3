"""What every plugin module must be: light to import, sound to the registry, with options that explain themselves."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import attrs
import pytest

from lazai_core.api import HOOK_API
from lazai_core.api.entries import Entry
from lazai_core.config.source import Source
from lazai_core.config.structure import Structurer
from lazai_core.config.toml_lines import index_lines
from lazai_core.node.injection import Need, read_needs
from lazai_core.registry import Catalog, Kind
from lazai_core.testing.plugin_modules import load_plugin

HEAVY_PACKAGES = frozenset(
    {
        "eth",
        "jax",
        "numba",
        "numpy",
        "onnx",
        "pandas",
        "scipy",
        "sklearn",
        "starlette",
        "tokenizers",
        "torch",
        "transformers",
        "uvicorn",
    }
)
IMPORT_TIMEOUT_S = 120

_REPORT = """
import sys, importlib
importlib.import_module(sys.argv[1])
sys.stdout.write(" ".join(sorted({name.partition(".")[0] for name in sys.modules})))
"""


class PluginHygiene:
    """Subclass it and give the fixture `module`: the dotted name that your entry point gives."""

    @pytest.fixture
    def module(self) -> str:
        """The plugin module under test."""
        raise NotImplementedError('give a fixture `module` that returns the dotted name, such as "acme_gas.plugin"')

    @pytest.fixture
    def catalog(self, module: str) -> Catalog:
        """The plugin as the registry loads it, alone."""
        return load_plugin(module)

    def entries(self, catalog: Catalog) -> list[tuple[Kind, Entry]]:
        """Everything the plugin offers."""
        return [(kind, offer.entry) for kind in Kind for offer in catalog.offers(kind)]

    def test_the_module_imports_nothing_heavy(self, module: str) -> None:
        found = subprocess.run(
            [sys.executable, "-c", _REPORT, module],
            capture_output=True,
            check=False,
            text=True,
            timeout=IMPORT_TIMEOUT_S,
        )

        assert found.returncode == 0, found.stderr
        heavy = HEAVY_PACKAGES & set(found.stdout.split())
        assert not heavy, f"import {sorted(heavy)} inside functions: every `lazai` command imports this module"

    def test_the_registry_finds_nothing_wrong(self, catalog: Catalog) -> None:
        (plugin,) = catalog.plugins

        assert plugin.info.summary
        assert plugin.info.hook_api[0] == HOOK_API[0]
        assert plugin.info.hook_api[1] <= HOOK_API[1]

    def test_entries_have_a_summary_of_one_line(self, catalog: Catalog) -> None:
        for _, entry in self.entries(catalog):
            assert entry.summary.strip(), entry.name
            assert "\n" not in entry.summary, entry.name

    def test_options_are_documented_and_frozen(self, catalog: Catalog) -> None:
        for _, entry in self.entries(catalog):
            blank = object.__new__(entry.options)
            for field in attrs.fields(entry.options):
                assert field.metadata.get("doc"), f"{entry.options.__name__}.{field.name} has no metadata['doc']"
                with pytest.raises(attrs.exceptions.FrozenInstanceError):
                    setattr(blank, field.name, None)

    def test_unknown_options_are_refused(self, catalog: Catalog) -> None:
        for _, entry in self.entries(catalog):
            structurer = Structurer(Source(file="node.toml", folder=Path(), lines=index_lines("")))

            assert structurer.structure(entry.options, {"no_such_option": 1}, ("options",)) is None
            assert any("no_such_option" in problem.key for problem in structurer.problems)

    def test_build_functions_ask_for_what_a_node_has(self, catalog: Catalog) -> None:
        for kind, entry in self.entries(catalog):
            needs = {parameter.need for parameter in read_needs(f"entry {entry.name}", entry.build, entry.options)}

            assert kind is Kind.STORAGE or Need.PATH not in needs, f"{entry.name}: only stores get a folder"
            assert kind is Kind.SERVICE or Need.GATEWAY not in needs, f"{entry.name}: only services get the gateway"
