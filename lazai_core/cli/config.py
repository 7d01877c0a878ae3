"""`lazai config`: check a configuration offline, or show every value and where it came from."""

from __future__ import annotations

import os
from pathlib import Path

import click

from .output import columns, plural, print_json, style

CONFIG_PATH = click.Path(path_type=Path, dir_okay=False)


@click.group(short_help="Check a configuration, or show it with its origins.")
def config() -> None:
    """Check a configuration, or show it with its origins."""


@config.command(short_help="Report every problem of a configuration.")
@click.argument("path", metavar="CONFIG", type=CONFIG_PATH)
def check(path: Path) -> None:
    """Report every problem of CONFIG, its plugins and their options; start nothing."""
    from .selection import check_selection, load_selection

    selection = load_selection(path)
    check_selection(selection)
    chosen = ", ".join(f"{choice.kind} {choice.name}" for choice in selection.loaded.config.choices())
    click.echo(f"{style('ok', 'green')}  {selection.loaded.source.file}: {chosen}")


@config.command(short_help="Print every value.")
@click.argument("path", metavar="CONFIG", type=CONFIG_PATH)
@click.option("--origin", is_flag=True, help="Say where each value came from: line, variable or default.")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON document.")
def show(path: Path, origin: bool, as_json: bool) -> None:
    """Print every value of CONFIG, defaults and the environment included."""
    from lazai_core.config import load_config
    from lazai_core.config.render import flattened

    rows = list(flattened(load_config(path, environ=os.environ)))
    if as_json:
        print_json({key: {"value": value, "origin": place} for key, value, place in rows})
        return
    lines = [(f"{key} = {value}", f"# {place}") if origin else (f"{key} = {value}",) for key, value, place in rows]
    for line in columns(lines):
        click.echo(line)
    if origin:
        own = sum(place != "default" for _, _, place in rows)
        click.echo(f"\n{plural(len(rows), 'value')}, {own} of them set")


@config.command(short_help="List every key there is.")
@click.argument("section", required=False)
def keys(section: str | None) -> None:
    """List every key of a configuration, or those of SECTION: type, default and meaning.

    Options of a provider are listed by `lazai plugins NAME`.
    """
    from lazai_core.config.render import section_docs

    sections = section_docs()
    if section is not None and section not in sections:
        raise click.UsageError(f"there is no section '{section}'. There are: {', '.join(sections)}.")
    shown = [section] if section is not None else list(sections)
    rows = [
        (f"{name}.{option.name}", option.type, option.default or "required", option.doc)
        for name in shown
        for option in sections[name]
    ]
    for line in columns([("key", "type", "default", ""), *rows]):
        click.echo(line)
