"""`lazai plugins`: what is installed, what it offers, what is broken and why."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from .output import columns, heading, plural, print_json, style

if TYPE_CHECKING:
    from lazai_core.registry import BrokenPlugin, Candidate, Catalog, LoadedPlugin, Offer


@click.command(short_help="What is installed, what it offers, what is broken.")
@click.argument("name", required=False)
@click.option("--json", "as_json", is_flag=True, help="Print a JSON document.")
@click.option(
    "--graph",
    "graph_path",
    metavar="CONFIG",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Show how the node of CONFIG is put together.",
)
def plugins(name: str | None, as_json: bool, graph_path: Path | None) -> None:
    """List the installed plugins, or show everything about one plugin or provider called NAME.

    A plugin that cannot be used is always listed, with the reason; with its NAME the full traceback is shown.
    """
    if graph_path is not None:
        _print_graph(graph_path)
        return
    from lazai_core.registry import discover, load_catalog

    catalog = load_catalog(discover())
    if name is not None:
        _print_one(catalog, name, as_json=as_json)
    elif as_json:
        print_json(catalog_document(catalog))
    else:
        for line in catalog_lines(catalog):
            click.echo(line)


def catalog_document(catalog: Catalog) -> dict[str, Any]:
    """The catalog for scripts."""
    from lazai_core.api.version import HOOK_API

    return {
        "hook_api": ".".join(str(part) for part in HOOK_API),
        "plugins": [_plugin_document(plugin) for plugin in catalog.plugins],
        "broken": [_broken_document(plugin) for plugin in catalog.broken],
        "conflicts": [conflict.error.message for conflict in catalog.conflicts],
        "denied": [_candidate_document(candidate) for candidate in catalog.discovery.denied],
    }


def _candidate_document(candidate: Candidate) -> dict[str, Any]:
    return {
        "entry_point": candidate.name,
        "module": candidate.module,
        "distribution": candidate.distribution,
        "version": candidate.version,
        "built_in": candidate.built_in,
    }


def _plugin_document(plugin: LoadedPlugin) -> dict[str, Any]:
    return _candidate_document(plugin.candidate) | {
        "name": plugin.info.name,
        "summary": plugin.info.summary,
        "hook_api": list(plugin.info.hook_api),
        "hooks": list(plugin.hooks),
        "load_ms": round(plugin.load_ms, 3),
        "offers": [_offer_document(offer) for offer in plugin.offers],
    }


def _broken_document(plugin: BrokenPlugin) -> dict[str, Any]:
    return _candidate_document(plugin.candidate) | {
        "errors": [{"kind": type(error).__name__, "message": error.message} for error in plugin.errors],
        "traceback": plugin.traceback,
    }


def _offer_document(offer: Offer) -> dict[str, Any]:
    from attrs import asdict

    from lazai_core.config.render import option_docs

    return {
        "kind": str(offer.kind),
        "name": offer.name,
        "summary": offer.entry.summary,
        "version": getattr(offer.entry, "version", None),
        "provisional": bool(getattr(offer.entry, "provisional", False)),
        "options": [asdict(option) for option in option_docs(offer.entry.options)],
    }


def catalog_lines(catalog: Catalog) -> Iterator[str]:
    """The catalog for people."""
    from lazai_core.api.version import HOOK_API

    broken = f", {len(catalog.broken)} broken" if catalog.broken else ""
    api = ".".join(str(part) for part in HOOK_API)
    yield f"{plural(len(catalog.plugins), 'plugin')}{broken}; hook API {api}"
    for plugin in catalog.plugins:
        yield ""
        yield from _plugin_lines(plugin)
    for candidate in catalog.discovery.denied:
        yield f"\n{heading(candidate.name)}  {candidate.source}  kept out by [plugins]"
    for broken_plugin in catalog.broken:
        yield ""
        yield from _broken_lines(broken_plugin)
    for conflict in catalog.conflicts:
        yield f"\n{style('conflict', 'red')}  {conflict.error.message}"


def _plugin_lines(plugin: LoadedPlugin) -> Iterator[str]:
    yield f"{heading(plugin.info.name)}  {plugin.candidate.source}  {plugin.info.summary}"
    rows = [(str(offer.kind), offer.name, _summary(offer)) for offer in plugin.offers]
    yield from columns(rows, indent="  ")
    other = [hook for hook in plugin.hooks if hook in _OTHER_HOOKS]
    if other:
        yield "  also " + ", ".join(_OTHER_HOOKS[hook] for hook in other)


_OTHER_HOOKS = {
    "lazai_benchmarks": "benchmarks",
    "lazai_block_committed": "an observer of blocks",
    "lazai_health_checks": "health checks",
    "lazai_route_job": "routing of jobs",
}


def _summary(offer: Offer) -> str:
    notes = []
    if offer.genesis_version:
        notes.append(f"version {offer.genesis_version}, fixed by the genesis")
    if getattr(offer.entry, "provisional", False):
        notes.append("provisional")
    return f"{offer.entry.summary} ({'; '.join(notes)})" if notes else offer.entry.summary


def _broken_lines(plugin: BrokenPlugin) -> Iterator[str]:
    for error in plugin.errors:
        yield f"{style('broken', 'red')}  {error.message}"


def _print_one(catalog: Catalog, name: str, *, as_json: bool) -> None:
    loaded = [item for item in catalog.plugins if name in (item.info.name, *_names(item.candidate))]
    broken = [item for item in catalog.broken if name in _names(item.candidate)]
    offers = [offer for item in catalog.plugins for offer in item.offers if name in (offer.name, offer.genesis_key)]
    if not (loaded or broken or offers):
        raise click.UsageError(f"nothing installed is called '{name}'.{_suggestion(catalog, name)}")
    if as_json:
        print_json(
            {
                "plugins": [_plugin_document(item) for item in loaded],
                "broken": [_broken_document(item) for item in broken],
                "offers": [_offer_document(offer) for offer in offers],
            }
        )
        return
    click.echo("\n".join(_one_lines(loaded, broken, offers)).lstrip("\n"))


def _one_lines(loaded: list[LoadedPlugin], broken: list[BrokenPlugin], offers: list[Offer]) -> Iterator[str]:
    for plugin in loaded:
        yield from _plugin_lines(plugin)
        yield f"  module {plugin.candidate.module}, loaded in {plugin.load_ms:.1f} ms"
        yield "  hooks  " + ", ".join(plugin.hooks)
    for item in broken:
        yield from _broken_lines(item)
        if item.traceback:
            yield "\n" + item.traceback.rstrip()
    shown = [*offers, *(offer for plugin in loaded for offer in plugin.offers if offer not in offers)]
    for offer in shown:
        yield f"\n{heading(f'{offer.kind} {offer.name}')}  {offer.source}  {_summary(offer)}"
        yield from _option_lines(offer)


def _option_lines(offer: Offer) -> Iterator[str]:
    from lazai_core.config.render import option_docs

    options = option_docs(offer.entry.options)
    if not options:
        yield "  no options"
    rows = [(option.name, option.type, option.default or "required", option.doc) for option in options]
    yield from columns([("option", "type", "default", ""), *rows] if rows else [], indent="  ")


def _names(candidate: Candidate) -> tuple[str, str]:
    return candidate.name, candidate.distribution


def _suggestion(catalog: Catalog, name: str) -> str:
    from lazai_core.registry.messages import near_match

    known = [item.info.name for item in catalog.plugins] + [item.candidate.name for item in catalog.broken]
    known += [offer.name for item in catalog.plugins for offer in item.offers]
    match = near_match(name, known)
    return f" Did you mean '{match}'?" if match else ""


def _print_graph(path: Path) -> None:
    from lazai_core.node.blueprint import make_blueprint

    from .graph import graph_lines
    from .selection import load_selection

    selection = load_selection(path)
    for line in graph_lines(make_blueprint(selection.loaded, selection.catalog)):
        click.echo(line)
