"""The parts of a node and what each of them is built from, as a tree of text."""

from __future__ import annotations

import inspect
import typing
from collections.abc import Callable, Iterator
from typing import Any

from lazai_core.registry import Kind, Offer

from .output import heading
from .selection import Selection


def graph_lines(selection: Selection) -> Iterator[str]:
    """One line a part, in the order of assembly, and below it what its `build` function asks for."""
    config = selection.loaded.config
    yield f"{heading(config.node.name)}  {config.node.role}"
    offers = list(_offers(selection))
    for index, offer in enumerate(offers):
        is_last = index == len(offers) - 1
        yield f"{'└─' if is_last else '├─'} {offer.kind} {heading(offer.name)}  {offer.source}"
        needs = needs_of(offer.entry.build)
        if needs:
            yield f"{'   ' if is_last else '│  '}needs {', '.join(needs)}"


def needs_of(build: Callable[..., Any]) -> list[str]:
    """Names of the types that a build function asks for, its own options left out."""
    try:
        hints = typing.get_type_hints(build)
    except (NameError, TypeError, AttributeError):
        hints = {}
    names = []
    for parameter in inspect.signature(build).parameters.values():
        hint = hints.get(parameter.name, parameter.annotation)
        name = hint if isinstance(hint, str) else getattr(hint, "__name__", str(hint))
        if parameter.name != "options":
            names.append(name)
    return names


def _offers(selection: Selection) -> Iterator[Offer]:
    catalog, config = selection.catalog, selection.loaded.config
    precompiles = list(catalog.precompiles(config.precompiles.use))
    for choice in config.choices():
        if choice.kind == Kind.CONSENSUS:
            yield from precompiles
        if choice.kind != Kind.PRECOMPILE:
            yield catalog.find(Kind(choice.kind), choice.name)
