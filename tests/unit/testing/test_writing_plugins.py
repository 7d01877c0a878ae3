"""WRITING_PLUGINS.md: its files make plugins that pass, its excerpts are in the sources, its commands work."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from attrs import frozen

from lazai_core.api.hookspecs import ENTRY_POINT_GROUP
from lazai_core.config import load_config
from lazai_core.node.injection import Need
from lazai_core.registry import Kind
from lazai_core.testing import conformance
from lazai_core.testing.plugin_modules import load_plugin
from tests.conformance.examples import example_catalog

REPOSITORY = Path(__file__).resolve().parents[3]
DOCUMENT = REPOSITORY / "WRITING_PLUGINS.md"
_BLOCK = re.compile(r"^```(\S+)(?: (\w+)=(\S+))?\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@frozen
class Block:
    language: str
    role: str
    name: str
    text: str


BLOCKS = [Block(*match.groups("")) for match in _BLOCK.finditer(DOCUMENT.read_text(encoding="utf-8"))]
FILES = {block.name: block.text for block in BLOCKS if block.role == "file"}
EXCERPTS = [block for block in BLOCKS if block.role == "from"]


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """The document's files, with the metadata that installing the ten-line plugin would leave."""
    for name, text in FILES.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    table = tomllib.loads(FILES["pyproject.toml"])["project"]
    metadata = tmp_path / f"{table['name'].replace('-', '_')}-{table['version']}.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {table['name']}\nVersion: {table['version']}\n")
    points = table["entry-points"][ENTRY_POINT_GROUP].items()
    lines = [f"[{ENTRY_POINT_GROUP}]", *(f"{name} = {value}" for name, value in points)]
    (metadata / "entry_points.txt").write_text("\n".join(lines) + "\n")
    return tmp_path


def run(project: Path, *command: str) -> subprocess.CompletedProcess[str]:
    """Run a command with the project importable and discoverable."""
    environment = {**os.environ, "PYTHONPATH": str(project), "COLUMNS": "120"}
    environment.pop("PYTEST_ADDOPTS", None)
    return subprocess.run(
        command, cwd=project, env=environment, check=False, capture_output=True, text=True, timeout=300
    )


def test_every_block_is_a_file_an_excerpt_or_commands() -> None:
    assert {(block.language, block.role) for block in BLOCKS} == {
        ("python", "file"),
        ("python", "from"),
        ("toml", "file"),
        ("toml", "from"),
        ("json", "file"),
        ("sh", ""),
    }


def test_the_ten_line_plugin_has_ten_lines() -> None:
    assert len(FILES["acme_reverse.py"].splitlines()) == 10


@pytest.mark.parametrize("block", EXCERPTS, ids=lambda block: block.name)
def test_excerpts_stand_in_the_sources(block: Block) -> None:
    assert block.text in (REPOSITORY / block.name).read_text(encoding="utf-8")


def test_the_documents_own_tests_pass(project: Path) -> None:
    tests = sorted(name for name in FILES if name.startswith("test_"))

    finished = run(project, sys.executable, "-m", "pytest", "-q", "-W", "error", "-p", "no:cacheprovider", *tests)

    assert finished.returncode == 0, finished.stdout + finished.stderr
    assert " passed" in finished.stdout
    assert "skipped" not in finished.stdout


def test_the_documents_commands_work(project: Path) -> None:
    lines = [line for block in BLOCKS if block.language == "sh" for line in block.text.splitlines()]
    commands = [shlex.split(line) for line in lines]
    ours = [command[1:] for command in commands if command[0] == "lazai"]

    assert ["plugins", "reverse"] in ours
    for arguments in ours:
        finished = run(project, sys.executable, "-c", "from lazai_core.cli.main import main; main()", *arguments)
        assert finished.returncode == 0, finished.stdout + finished.stderr
        assert "acme-reverse" in finished.stdout


@pytest.mark.parametrize("name", sorted(name for name in FILES if name.startswith("acme_")))
def test_the_documents_plugins_are_sound(project: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(project))
    module = name.removesuffix(".py")

    catalog = load_plugin(module)

    assert catalog.plugins[0].info.name == module.replace("_", "-")
    monkeypatch.delitem(sys.modules, module)


def test_the_genesis_of_the_document_fits_its_configuration() -> None:
    catalog = example_catalog("custom_precompile")
    config = load_config(REPOSITORY / "examples" / "custom_precompile" / "node.toml", environ={}).config
    chosen = [catalog.find(Kind(choice.kind), choice.name) for choice in config.choices()]

    expected = {offer.genesis_key: offer.genesis_version for offer in chosen if offer.genesis_version}
    assert json.loads(FILES["genesis-plugins.json"]) == expected


def test_every_suite_and_every_need_is_named() -> None:
    text = DOCUMENT.read_text(encoding="utf-8")

    missing = [name for name in conformance.__all__ if f"`{name}`" not in text and name != "Example"]
    missing += [need.value for need in Need if need not in (Need.OPTIONS, Need.PATH) and f"`{need}`" not in text]
    assert missing == []
    assert len(re.findall(r"^## \d+\. A ", text, re.MULTILINE)) == len(Kind)
