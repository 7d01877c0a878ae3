"""Commands that plugins add to `lazai`: entry points of the group `lazai_commands`, each naming a click command.

They are found by metadata alone and imported only when they are called. A core command cannot be replaced; of two
plugins that offer the same name, neither gets it.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

GROUP = "lazai_commands"
OWN_PREFIX = "LazAI "
"""Summaries of packages often begin with "LazAI proof system: ", which a list of LazAI's commands need not repeat."""


def _distribution(entry: EntryPoint) -> str:
    return f"{entry.dist.name} {entry.dist.version}" if entry.dist is not None else "an unknown distribution"


def plugin_commands(taken: Collection[str]) -> Mapping[str, tuple[EntryPoint, ...]]:
    """Entry points by command name, in alphabetical order, without the names in `taken`."""
    # Reading metadata and the error tree cost more than the rest of the start, so both are imported where needed.
    from importlib import metadata

    found: dict[str, list[EntryPoint]] = {}
    for entry in metadata.entry_points(group=GROUP):
        if entry.name not in taken:
            found.setdefault(entry.name, []).append(entry)
    return {name: tuple(found[name]) for name in sorted(found)}


def _headers(entry: EntryPoint) -> Mapping[str, str]:
    """The first lines of the distribution's metadata, up to the long description; empty where there are none."""
    text = entry.dist.read_text("METADATA") if entry.dist is not None else None
    lines = (text or "").partition("\n\n")[0].splitlines()
    return {name: value for name, separator, value in (line.partition(": ") for line in lines) if separator}


def summary(entries: tuple[EntryPoint, ...]) -> str:
    """The line in the list of commands: what the distribution's summary says, and whose command it is."""
    if len(entries) > 1:
        return "From " + " and ".join(_distribution(entry) for entry in entries) + "."
    headers = _headers(entries[0])
    origin = f"{headers['Name']} {headers['Version']}" if {"Name", "Version"} <= set(headers) else ""
    text = headers.get("Summary", "").strip()
    if text.startswith(OWN_PREFIX) and ": " in text:
        text = text.partition(": ")[2]
    if not text:
        return f"From {origin or _distribution(entries[0])}."
    return f"{text[0].upper()}{text[1:].rstrip('.')} ({origin or _distribution(entries[0])})."


def load_command(name: str, entries: tuple[EntryPoint, ...]) -> click.Command:
    """Import a plugin's command. Raises PluginConflict, PluginBroken with the distribution's name."""
    from lazai_core.api.errors import PluginBroken, PluginConflict

    if len(entries) > 1:
        raise PluginConflict(
            f"the command {name!r} comes from {' and '.join(_distribution(entry) for entry in entries)}",
            hint="uninstall one of them",
        )
    (entry,) = entries
    distribution = _distribution(entry)
    try:
        command = entry.load()
    except (ImportError, AttributeError) as cause:
        raise PluginBroken(
            f"the command {name!r} of {distribution} cannot be imported: {cause}", distribution=distribution
        ) from cause
    if not isinstance(command, click.Command):
        raise PluginBroken(f"{entry.value} of {distribution} is no click command", distribution=distribution)
    return command
