"""Commands from plugins: found without importing, charged to their distribution when they fail."""

from __future__ import annotations

from importlib.metadata import EntryPoint

import click
import pytest

from lazai_core.api.errors import PluginBroken, PluginConflict
from lazai_core.cli import lazy
from lazai_core.cli.main import COMMANDS
from lazai_core.cli.plugin_commands import GROUP, load_command


def entry(name: str, value: str) -> EntryPoint:
    return EntryPoint(name=name, value=value, group=GROUP)


def test_a_command_is_imported_when_it_is_called() -> None:
    assert isinstance(load_command("version", (entry("version", "lazai_core.cli.version:version"),)), click.Command)


@pytest.mark.parametrize("value", ["no_such_module_anywhere:command", "lazai_core.cli.version:nothing"])
def test_a_command_that_cannot_be_imported_is_a_broken_plugin(value: str) -> None:
    with pytest.raises(PluginBroken, match="cannot be imported"):
        load_command("x", (entry("x", value),))


def test_something_else_than_a_command_is_a_broken_plugin() -> None:
    with pytest.raises(PluginBroken, match="is no click command"):
        load_command("x", (entry("x", "lazai_core.cli.main:COMMANDS"),))


def test_two_plugins_cannot_share_a_name() -> None:
    with pytest.raises(PluginConflict, match="uninstall one"):
        load_command("x", (entry("x", "a:b"), entry("x", "c:d")))


def test_core_commands_cannot_be_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    offered = [entry("run", "evil:run"), entry("zeta", "a:b"), entry("alpha", "lazai_core.cli.version:version")]
    monkeypatch.setattr("importlib.metadata.entry_points", lambda group: offered if group == GROUP else [])
    group = lazy.LazyGroup(lazy=COMMANDS, name="lazai")
    context = click.Context(group)

    assert group.list_commands(context) == [*COMMANDS, "alpha", "zeta"]
    run = group.get_command(context, "run")
    assert run is not None
    assert run.name == "run"
    assert "Commands of plugins" in group.get_help(context)
    assert group.get_command(context, "alpha") is not None
    assert group.get_command(context, "nothing") is None
