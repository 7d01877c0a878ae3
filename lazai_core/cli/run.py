"""`lazai run`."""

from __future__ import annotations

from pathlib import Path

import click


@click.command(short_help="Run the node of a configuration.")
@click.argument("path", metavar="CONFIG", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--dry-run", is_flag=True, help="Print the plan of the node and stop; nothing is opened.")
def run(path: Path, dry_run: bool) -> int:
    """Run the node of CONFIG until it is interrupted."""
    from lazai_core.node.run import run_node

    return run_node(path, dry_run=dry_run)
