"""Commands from plugins: found without importing, charged to their distribution when they fail."""

from __future__ import annotations

from importlib.metadata import Distribution, EntryPoint
from pathlib import Path

import click
import pytest

from lazai_core.api.errors import PluginBroken, PluginConflict
from lazai_core.cli import lazy
from lazai_core.cli.main import COMMANDS
from lazai_core.cli.plugin_commands import GROUP, load_command, summary


def entry(name: str, value: str) -> EntryPoint:
    return EntryPoint(name=name, value=value, group=GROUP)


def installed(folder: Path, name: str, summary_line: str) -> EntryPoint:
    """An entry point of a distribution whose command does not exist, so that importing it would fail."""
    place = folder / f"{name}-1.2.dist-info"
    place.mkdir()
    (place / "METADATA").write_text(
        f"Metadata-Version: 2.4\nName: {name}\nVersion: 1.2\n{summary_line}\n# Title: Summary: not this\n"
    )
    (place / "entry_points.txt").write_text(f"[{GROUP}]\n{name} = no_such_module_anywhere:command\n")
    (found,) = Distribution.at(place).entry_points
    return found


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


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("Summary: LazAI proof system: proofs for all.\n", "Proofs for all (one 1.2)."),
        ("Summary: LazAI and friends\n", "LazAI and friends (one 1.2)."),
        ("Summary: Tools: sharp\n", "Tools: sharp (one 1.2)."),
        ("", "From one 1.2."),
    ],
)
def test_the_list_says_what_a_plugin_says_of_itself(tmp_path: Path, line: str, expected: str) -> None:
    assert summary((installed(tmp_path, "one", line),)) == expected


def test_a_name_of_two_plugins_is_listed_with_both(tmp_path: Path) -> None:
    both = (installed(tmp_path, "one", "Summary: a\n"), installed(tmp_path, "two", "Summary: b\n"))
    assert summary(both) == "From one 1.2 and two 1.2."
    assert summary((entry("x", "a:b"),)) == "From an unknown distribution."
