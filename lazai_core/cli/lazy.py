"""A click group whose commands are imported when they are run, not when they are listed."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

import click

from .plugin_commands import load_command, plugin_commands, summary

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint


class LazyCommand(NamedTuple):
    """Where a command is defined ("module:attribute"), and its line in the list of commands."""

    target: str
    summary: str


class LazyGroup(click.Group):
    """Lists commands from a table and imports only the one that is called."""

    def __init__(self, *, lazy: Mapping[str, LazyCommand], **settings: object) -> None:
        super().__init__(**settings)  # type: ignore[arg-type]
        self.lazy = dict(lazy)

    @cached_property
    def from_plugins(self) -> Mapping[str, tuple[EntryPoint, ...]]:
        """Commands that plugins add, found by metadata."""
        return plugin_commands(self.lazy)

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Names in the order of the table, which is the order in which people need them, then those of plugins."""
        return [*self.lazy, *self.from_plugins]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import and return a command."""
        known = self.lazy.get(cmd_name)
        if known is None:
            entries = self.from_plugins.get(cmd_name)
            return load_command(cmd_name, entries) if entries else None
        module, _, attribute = known.target.partition(":")
        command = getattr(importlib.import_module(module), attribute)
        assert isinstance(command, click.Command), f"{known.target} is no command"
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list of commands from the table, without importing any."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, command.summary) for name, command in self.lazy.items()])
        if self.from_plugins:
            with formatter.section("Commands of plugins"):
                formatter.write_dl([(name, summary(entries)) for name, entries in self.from_plugins.items()])

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """As click, but a mistyped command is answered with the nearest one."""
        known = self.list_commands(ctx)
        if args and args[0] not in known and not args[0].startswith("-"):
            from difflib import get_close_matches

            match = get_close_matches(args[0], known, n=1)
            hint = f" Did you mean '{match[0]}'?" if match else ""
            ctx.fail(f"No such command '{args[0]}'.{hint}")
        return super().resolve_command(ctx, args)
