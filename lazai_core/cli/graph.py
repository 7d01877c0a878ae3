"""The parts of a node and what each of them is built from, as a tree of text."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from .output import heading

if TYPE_CHECKING:
    from lazai_core.node.blueprint import Blueprint


def graph_lines(blueprint: Blueprint) -> Iterator[str]:
    """One branch a part, in the order in which parts are built, and under it the parts it is built from."""
    node = blueprint.config.node
    yield f"{heading(node.name)}  {node.role}, chain {blueprint.genesis.chain_id}"
    for index, part in enumerate(blueprint.parts):
        is_last = index == len(blueprint.parts) - 1
        yield f"{'└─' if is_last else '├─'} {heading(part.key)}  {part.offer.source}"
        needed = sorted(blueprint.edges[part.key])
        for position, key in enumerate(needed):
            branch = "└─" if position == len(needed) - 1 else "├─"
            yield f"{'   ' if is_last else '│  '}{branch} {key}"
