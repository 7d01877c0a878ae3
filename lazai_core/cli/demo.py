"""`lazai demo`."""

from __future__ import annotations

from pathlib import Path

import click


@click.command(short_help="A node on this machine and real requests, step by step.")
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    help="Leave receipts and summary.json in this folder.",
)
def demo(out: Path | None) -> int:
    """Train a small model, serve it from a node on this machine, and send real requests through the whole path."""
    from lazai_core.node.demo import run_demo

    return run_demo(out)
