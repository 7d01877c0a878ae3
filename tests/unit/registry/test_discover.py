from __future__ import annotations

import sys
from pathlib import Path

import pytest

from lazai_core.registry import discover
from tests.unit.registry.plugins import Workshop


def names(found: object) -> list[str]:
    return [item.name for item in found]  # type: ignore[attr-defined]


def test_finding_imports_nothing(workshop: Workshop) -> None:
    module = workshop.add("one")

    assert names(workshop.discover().candidates) == ["one"]
    assert module not in sys.modules


def test_order_is_by_distribution_then_name(workshop: Workshop) -> None:
    workshop.add("b", distribution="zeta")
    workshop.add("c", distribution="alpha")
    workshop.add("a", distribution="zeta")

    assert names(workshop.discover().candidates) == ["c", "a", "b"]


@pytest.mark.parametrize("word", ["acme-two", "ACME_Two", "two", "acme.two"])
def test_deny_takes_names_of_plugins_and_distributions(workshop: Workshop, word: str) -> None:
    workshop.add("one")
    workshop.add("two")

    found = workshop.discover(deny=(word,))

    assert (names(found.candidates), names(found.denied)) == (["one"], ["two"])


def test_allow_keeps_everything_else_out_and_deny_wins(workshop: Workshop) -> None:
    for name in ("one", "two", "three"):
        workshop.add(name)

    found = workshop.discover(allow=("one", "two", "absent"), deny=("two",))

    assert names(found.candidates) == ["one"]
    assert sorted(names(found.denied)) == ["three", "two"]
    assert found.unknown_names == ("absent",)


def test_the_built_in_plugin_comes_first_and_stays() -> None:
    found = discover(points=[], allow=(), deny=("lazai-core", "builtin"))

    assert [(item.name, item.source) for item in found.candidates] == [("builtin", "built in")]


def test_plugins_of_installed_distributions_are_found_by_their_metadata(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    metadata = tmp_path / "acme_gas-2.5.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: acme-gas\nVersion: 2.5\n", encoding="utf-8")
    (metadata / "entry_points.txt").write_text("[lazai]\ngas-moon = acme_gas.plugin\n", encoding="utf-8")
    monkeypatch.syspath_prepend(str(tmp_path))

    (found,) = [item for item in discover().candidates if item.distribution == "acme-gas"]

    assert (found.name, found.module, found.source) == ("gas-moon", "acme_gas.plugin", "acme-gas 2.5")
    assert "acme_gas" not in sys.modules
