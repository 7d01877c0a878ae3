"""The distributions agree with each other, and the pinned versions with what they ask for."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from tests.tidy.tree import REPOSITORY, plugin_folders

ALLOWED_PRERELEASES = {"py-evm"}
PEERS = {"ezkl"}
"""Programs that benchmarks compare with where they are installed; no build needs them, so they have no pin."""


def project(folder: Path) -> dict[str, Any]:
    """Return the `[project]` table of the distribution in `folder`."""
    table: dict[str, Any] = tomllib.loads((folder / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return table


def pinned_versions() -> dict[str, Version]:
    """Return name -> version of constraints.txt; a repeated name or a loose pin is refused."""
    lines = (REPOSITORY / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pairs = [line.split("==") for line in lines if line and not line.startswith("#")]
    assert all(len(pair) == 2 for pair in pairs), "every line is name==version"
    versions = {str(canonicalize_name(name)): Version(version) for name, version in pairs}
    assert len(versions) == len(pairs), "a name is pinned twice"
    return versions


def requirements(folder: Path) -> list[Requirement]:
    """Return what the distribution in `folder` asks for, extras included."""
    table = project(folder)
    extras = table.get("optional-dependencies", {}).values()
    texts = [*table["dependencies"], *(text for extra in extras for text in extra)]
    parsed = [Requirement(text) for text in texts]
    return [requirement for requirement in parsed if requirement.name != "lazai-core"]


FOLDERS = [REPOSITORY, *plugin_folders()]


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_pins_satisfy_requirements(folder: Path) -> None:
    pins = pinned_versions()

    wrong = [
        str(requirement)
        for requirement in requirements(folder)
        if requirement.name not in PEERS
        and (
            canonicalize_name(requirement.name) not in pins
            or not requirement.specifier.contains(pins[canonicalize_name(requirement.name)], prereleases=True)
        )
    ]

    assert wrong == []


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_requirements_are_capped(folder: Path) -> None:
    uncapped = [
        str(requirement)
        for requirement in requirements(folder)
        if not any(part.operator in ("<", "==", "~=") for part in requirement.specifier)
    ]

    assert uncapped == [], "a major that was never tested must not be pulled"


def test_only_known_prereleases_are_pinned() -> None:
    prereleases = {name for name, version in pinned_versions().items() if version.is_prerelease}

    assert prereleases <= ALLOWED_PRERELEASES


@pytest.mark.parametrize("folder", plugin_folders(), ids=lambda folder: folder.name)
def test_plugin_matches_the_core(folder: Path) -> None:
    core = project(REPOSITORY)
    plugin = project(folder)
    package = folder.name.replace("-", "_")
    entry_name = folder.name.removeprefix("lazai-")

    assert plugin["name"] == folder.name
    assert plugin["version"] == core["version"]
    assert plugin["requires-python"] == core["requires-python"]
    assert plugin["license"] == core["license"] == "Apache-2.0"
    assert plugin["entry-points"]["lazai"] == {entry_name: f"{package}.plugin"}
    commands = plugin["entry-points"].get("lazai_commands", {})
    assert set(plugin["entry-points"]) <= {"lazai", "lazai_commands"}
    assert all(target.startswith(f"{package}.") for target in commands.values())
    assert (folder / package / "py.typed").exists()
    needed = [Requirement(text) for text in plugin["dependencies"]]
    (on_core,) = [requirement for requirement in needed if requirement.name == "lazai-core"]
    assert on_core.specifier.contains(core["version"])


def test_the_changelog_knows_the_version() -> None:
    changelog = (REPOSITORY / "CHANGELOG.md").read_text(encoding="utf-8")
    newest = re.search(r"^## (\d\S*)", changelog, re.MULTILINE)

    assert newest is not None
    assert newest.group(1) == project(REPOSITORY)["version"]
