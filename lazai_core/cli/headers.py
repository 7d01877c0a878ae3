"""`lazai headers`: what somebody without a node needs to trust a block of this chain."""

from __future__ import annotations

from pathlib import Path

import click

from .output import plural


@click.group(short_help="Headers and certificates for those who have no node.")
def headers() -> None:
    """Headers and certificates for those who have no node."""


@headers.command(short_help="Write the headers that lead from one block to another.")
@click.argument("path", metavar="CONFIG", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--from", "start", type=click.IntRange(0), default=0, show_default=True, help="Height that is trusted.")
@click.option("--to", "end", type=click.IntRange(0), required=True, help="Height of the block to be checked.")
@click.option("--every", is_flag=True, help="Every header, also where a few are enough.")
@click.option("--out", type=click.Path(path_type=Path, dir_okay=False), required=True, help="File to write.")
def export(path: Path, start: int, end: int, every: bool, out: Path) -> int:
    """Write to a file the headers, certificates and validators that lead from one block to another.

    They come from the data of the node of CONFIG, which need not run. `lazai verify --headers` takes the file.
    Forwards a few headers are enough, as long as validators change slowly; backwards every header is needed.
    """
    from lazai_core.node.run import plan_node

    from .chain_data import exported_headers

    found = exported_headers(plan_node(path), start, end, every=every)
    if out.exists():
        raise click.UsageError(f"{out} is there already; nothing was written")
    out.write_bytes(found.encode())
    click.echo(f"{out}: {plural(len(found.headers), 'header')}, from height {start} to {end}")
    return 0
