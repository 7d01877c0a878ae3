"""The examples' configurations: planned, refused where a plugin or the genesis does not fit, and run."""

from __future__ import annotations

import asyncio
import re
import shlex
import sys
from importlib.metadata import entry_points
from pathlib import Path

import pytest
from attrs import evolve

from lazai_core.api.errors import ConfigError, InvalidGenesis
from lazai_core.api.types import Address
from lazai_core.chain.genesis_file import read_genesis
from lazai_core.cli.main import run_cli
from lazai_core.node.assemble import assemble
from lazai_core.node.blueprint import Blueprint, make_blueprint
from lazai_core.testing.clock import ManualClock
from lazai_core.testing.parts import KnownIdentity
from tests.conformance.example_nodes import copied_config, matching_genesis
from tests.conformance.examples import EXAMPLES as EXAMPLES_FOLDER
from tests.conformance.examples import entry_points_of, example_catalog
from tests.conformance.installed import catalog

EXAMPLES = {
    "custom_precompile": "precompile/median",
    "custom_gas_policy": "gas/tariff",
    "custom_proof_system": "proof/freivalds",
}
parametrize = pytest.mark.parametrize(("folder", "key"), EXAMPLES.items(), ids=EXAMPLES)


def planned(folder: str, into: Path) -> Blueprint:
    """The plan of an example's node."""
    loaded, found = copied_config(folder, into), example_catalog(folder)
    (into / "genesis.json").write_bytes(matching_genesis(loaded, found).canonical)
    return make_blueprint(loaded, found)


@parametrize
def test_the_node_is_planned_with_its_plugin(folder: str, key: str, tmp_path: Path) -> None:
    blueprint = planned(folder, tmp_path)

    assert blueprint.genesis.plugins[key] == 1
    assert key in {f"{part.kind}/{part.offer.name}" for part in blueprint.parts}


@parametrize
def test_init_makes_the_chain_of_the_configuration(
    folder: str, key: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    points = [*entry_points(group="lazai"), *entry_points_of(folder)]
    monkeypatch.setattr(sys.modules["lazai_core.registry.discover"], "entry_points", lambda group: points)
    config = copied_config(folder, tmp_path).path

    assert run_cli(["init", "--config", str(config)]) == 0

    assert read_genesis((tmp_path / "genesis.json").read_bytes()).plugins[key] == 1
    assert run_cli(["run", "--dry-run", str(config)]) == 0


@parametrize
def test_without_the_plugin_it_is_named(folder: str, key: str, tmp_path: Path) -> None:
    loaded = copied_config(folder, tmp_path)

    with pytest.raises(ConfigError) as failure:
        make_blueprint(loaded, catalog())
    assert key.partition("/")[2] in str(failure.value)


@parametrize
def test_a_chain_that_does_not_fix_the_plugin_is_refused(folder: str, key: str, tmp_path: Path) -> None:
    loaded, found = copied_config(folder, tmp_path), example_catalog(folder)
    genesis = matching_genesis(loaded, found)
    others = {name: version for name, version in genesis.plugins.items() if name != key}
    (tmp_path / "genesis.json").write_bytes(evolve(genesis, plugins=others).canonical)

    with pytest.raises(InvalidGenesis) as failure:
        make_blueprint(loaded, found)
    assert key in str(failure.value)


def test_the_virtual_machine_calls_the_precompile(tmp_path: Path) -> None:
    words = [7, 2**256 - 1, 3, 900, 5]
    node = assemble(planned("custom_precompile", tmp_path), identity=KnownIdentity(), clock=ManualClock())
    try:
        data = b"".join(word.to_bytes(32, "big") for word in words)
        answer = asyncio.run(node.gateway.call(Address(bytes(18) + b"\x0b\x01"), data))
    finally:
        node.close()

    assert int.from_bytes(answer, "big") == 7


@pytest.mark.parametrize("folder", EXAMPLES)
def test_the_readme_names_what_is_there(folder: str) -> None:
    readme = (EXAMPLES_FOLDER / folder / "README.md").read_text(encoding="utf-8")

    listed = re.findall(r"^\| `([^`]+)` \|", readme, re.MULTILINE)
    assert "node.toml" in listed
    assert [name for name in listed if not (EXAMPLES_FOLDER / folder / name).is_file()] == []
    modules = {f"{path.parent.name}/{path.name}" for path in (EXAMPLES_FOLDER / folder).glob("*/*.py")}
    assert {name for name in modules if not name.endswith("__init__.py")} <= set(listed)
    assert EXAMPLES[folder] in readme
    (test,) = re.findall(r"`(tests/conformance/test_\w+\.py)`", readme)
    assert (EXAMPLES_FOLDER.parent / test).is_file()


@pytest.mark.parametrize("folder", EXAMPLES)
def test_the_readmes_commands_work(
    folder: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    readme = (EXAMPLES_FOLDER / folder / "README.md").read_text(encoding="utf-8")
    (block,) = re.findall(r"^```sh\n(.*?)^```", readme, re.MULTILINE | re.DOTALL)
    install, show = block.splitlines()
    assert install == f"python -m pip install -e examples/{folder}"
    points = [*entry_points(group="lazai"), *entry_points_of(folder)]
    # The package has a function of the module's name.
    monkeypatch.setattr(sys.modules["lazai_core.registry.discover"], "entry_points", lambda group: points)

    program, *arguments = shlex.split(show)
    assert program == "lazai"
    assert run_cli(arguments) == 0
    assert EXAMPLES[folder].partition("/")[2] in capsys.readouterr().out
