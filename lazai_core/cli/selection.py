"""A configuration and the catalog of its plugins, and every problem that shows only when they meet."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from attrs import frozen

from lazai_core.api.errors import ConfigError, PluginError, Problem
from lazai_core.config import IncompleteConfig, LoadedConfig, load_config
from lazai_core.config.toml_lines import KeyPath
from lazai_core.registry import Catalog, Kind, discover, load_catalog


@frozen(kw_only=True)
class Selection:
    """A configuration, and the plugins that it lets in."""

    loaded: LoadedConfig
    catalog: Catalog


def load_selection(path: Path) -> Selection:
    """Read a configuration and load the plugins it lets in. Raises ConfigError."""
    try:
        loaded = load_config(path, environ=os.environ)
    except IncompleteConfig as error:
        from lazai_core.node.blueprint import with_choices

        raise with_choices(error, load_catalog(discover())) from None
    plugins = loaded.config.plugins
    catalog = load_catalog(discover(allow=plugins.allow, deny=plugins.deny))
    return Selection(loaded=loaded, catalog=catalog)


def selection_problems(selection: Selection) -> list[Problem]:
    """Names that nobody offers, plugins that cannot be used, options that do not fit: all of them."""
    problems: list[Problem] = []
    loaded = selection.loaded
    for choice in loaded.config.choices():
        try:
            offer = selection.catalog.find(Kind(choice.kind), choice.name)
        except PluginError as error:
            problems.append(_problem(loaded, choice.use_path, error))
            continue
        loaded.structure_options(offer.entry.options, choice, problems)
    problems.extend(_precompile_problems(selection))
    for name in selection.catalog.discovery.unknown_names:
        index = (loaded.config.plugins.allow or ()).index(name)
        message = f"no installed plugin or distribution is called '{name}'"
        problems.append(loaded.problem(("plugins", "allow", index), message))
    return sorted(problems, key=lambda problem: (problem.line, problem.key))


def check_selection(selection: Selection) -> None:
    """Raises ConfigError with every problem of the selection."""
    problems = selection_problems(selection)
    if problems:
        raise ConfigError(problems)


def _precompile_problems(selection: Selection) -> Iterator[Problem]:
    names = selection.loaded.config.precompiles.use
    try:
        for name in names or ():
            selection.catalog.find(Kind.PRECOMPILE, name)
    except PluginError:
        return
    try:
        selection.catalog.precompiles(names)
    except PluginError as error:
        yield _problem(selection.loaded, ("precompiles", "use"), error)


def _problem(loaded: LoadedConfig, path: KeyPath, error: PluginError) -> Problem:
    return loaded.problem(path, error.message, error.hint)
