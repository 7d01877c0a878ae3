"""Progress on standard error: a bar on a terminal, nothing that moves anywhere else."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import click

Report = Callable[[int, int, str], None]
"""Takes what is done, what there is in all, and what is being done now."""


def wants_bars() -> bool:
    """Whether standard error is a terminal that can move its cursor."""
    return sys.stderr.isatty() and os.environ.get("TERM") != "dumb"


@contextmanager
def progress(title: str, *, announce: bool = True) -> Iterator[Report]:
    """Show the progress of one piece of work; gone when it is done. Elsewhere one line says that it began.

    Work that is mostly short is not announced: `announce` False.
    """
    if not wants_bars():
        if announce:
            click.echo(f"{title} …", err=True)
        yield _silent
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.fields[now]}", style="dim"),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as bars:
        task = bars.add_task(title, total=None, now="")

        def show(done: int, total: int, text: str) -> None:
            bars.update(task, completed=done, total=total or None, now=text)

        yield show


def _silent(_done: int, _total: int, _text: str) -> None:
    return
