"""What commands share to print: colours where they are wanted, aligned columns, stable JSON, numbers for people."""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Sequence

import click

_UNITS = ("B", "KiB", "MiB", "GiB", "TiB")


def wants_colour(*, err: bool = False) -> bool:
    """Whether the stream is a terminal that shows colours, and nobody set NO_COLOR."""
    stream = sys.stderr if err else sys.stdout
    return stream.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def style(text: str, colour: str, *, err: bool = False) -> str:
    """Colour a text where colours are wanted; its meaning never depends on them."""
    return click.style(text, fg=colour) if wants_colour(err=err) else text


def heading(text: str) -> str:
    """A heading: bold where that can be shown."""
    return click.style(text, bold=True) if wants_colour() else text


def print_json(document: object) -> None:
    """Print a document with keys in order, as scripts and diffs like it."""
    click.echo(json.dumps(document, indent=2, sort_keys=True, ensure_ascii=False))


def columns(rows: Sequence[Sequence[str]], *, indent: str = "", right: Sequence[int] = ()) -> list[str]:
    """Rows of cells as aligned lines; the columns whose numbers are in `right` are aligned to the right."""
    if not rows:
        return []
    widths = [max(len(row[index]) for row in rows) for index in range(len(rows[0]))]
    lines = []
    for row in rows:
        cells = [
            cell.rjust(width) if index in right else cell.ljust(width)
            for index, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        lines.append((indent + "  ".join(cells)).rstrip())
    return lines


def terminal_width() -> int:
    """Columns of the terminal, or 100 where there is none."""
    return shutil.get_terminal_size((100, 24)).columns if sys.stdout.isatty() else 100


def wants_debug() -> bool:
    """Whether the command was called as `lazai --debug …`."""
    context = click.get_current_context(silent=True)
    state = context.find_root().obj if context is not None else None
    return isinstance(state, dict) and bool(state.get("debug"))


def plural(count: int, noun: str) -> str:
    """A count with its noun: "1 problem", "2 problems"."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def bytes_text(count: int) -> str:
    """A number of bytes in the unit that reads best."""
    value, unit = float(count), 0
    while value >= 1024 and unit < len(_UNITS) - 1:
        value, unit = value / 1024, unit + 1
    return f"{value:.1f} {_UNITS[unit]}" if unit else f"{count} B"
