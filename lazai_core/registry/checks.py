"""The rules that a plugin's module, hooks and entries must keep, each with its own text."""

from __future__ import annotations

import inspect
import typing
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import attrs
import pluggy

from lazai_core.api import hookspecs
from lazai_core.api.entries import Entry, PluginInfo
from lazai_core.api.errors import HookApiMismatch, PluginError
from lazai_core.api.version import HOOK_API

from . import messages
from .discover import Candidate
from .kinds import Kind

PLUGIN_HOOK = "lazai_plugin"


def new_manager() -> pluggy.PluginManager:
    """A pluggy manager that knows the hooks and no plugin."""
    manager = pluggy.PluginManager(hookspecs.PROJECT_NAME)
    manager.add_hookspecs(hookspecs)
    return manager


def hook_arguments() -> Mapping[str, tuple[str, ...]]:
    """Name of every hook, with the names of its arguments, in the order of the specification."""
    manager = new_manager()
    names = (name for name in vars(hookspecs) if name in vars(manager.hook))
    return {name: tuple(inspect.signature(getattr(hookspecs, name)).parameters) for name in names}


def marked_functions(manager: pluggy.PluginManager, module: object) -> list[tuple[str, pluggy.HookimplOpts, object]]:
    """Hook name, options and function of every marked function of a plugin, in order of attribute name."""
    found = []
    for attribute in dir(module):
        options = manager.parse_hookimpl_opts(module, attribute)
        if options is not None:
            found.append((options.get("specname") or attribute, options, getattr(module, attribute)))
    return found


def hook_problems(candidate: Candidate, module: object) -> Iterator[PluginError]:
    """What is wrong with the hooks of a module, before any of them is called."""
    arguments = hook_arguments()
    marked = marked_functions(new_manager(), module)
    for hook, options, function in marked:
        if hook not in arguments:
            yield messages.unknown_hook(candidate, hook, arguments)
            continue
        if inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function):
            yield messages.async_hook(candidate, hook)
        if options["wrapper"] or options["hookwrapper"]:
            yield messages.wrapper_hook(candidate, hook)
        asked = pluggy.HookImpl(module, candidate.name, function, options).argnames  # type: ignore[arg-type]
        unknown = [name for name in asked if name not in arguments[hook]]
        if unknown:
            yield messages.wrong_arguments(candidate, hook, unknown, arguments[hook])
    count = sum(hook == PLUGIN_HOOK for hook, _, _ in marked)
    if count == 0:
        yield messages.no_plugin_info(candidate)
    elif count > 1:
        yield messages.many_plugin_infos(candidate, count)


def info_problems(candidate: Candidate, info: Any) -> Iterator[PluginError]:
    """What is wrong with the answer of `lazai_plugin`."""
    if not isinstance(info, PluginInfo):
        yield messages.wrong_return(candidate, PLUGIN_HOOK, "a PluginInfo", info)
        return
    api: Any = info.hook_api
    if not (isinstance(api, tuple) and len(api) == 2 and all(type(part) is int for part in api)):
        yield messages.bad_plugin_info(candidate, f"hook_api must be two integers such as (1, 0), got {api!r}")
    elif api[0] != HOOK_API[0] or not 0 <= api[1] <= HOOK_API[1]:
        yield messages.wrong_hook_api(candidate, api, HOOK_API)
    if not _is_text(info.summary):
        yield messages.bad_plugin_info(candidate, "summary must be a short text")


def entry_problems(candidate: Candidate, kind: Kind, entry: Entry) -> Iterator[PluginError]:
    """What is wrong with an entry of the right class."""
    for reason in _entry_reasons(entry):
        yield messages.bad_entry(candidate, kind, entry.name, reason)


def _entry_reasons(entry: Any) -> Iterator[str]:
    if not callable(entry.build):
        yield f"build must be a function, got {entry.build!r}"
    if not _is_text(entry.summary):
        yield "summary must be a short text"
    version = getattr(entry, "version", 1)
    if type(version) is not int or version < 0:
        yield f"version must be an integer of 0 or more, got {version!r}"
    yield from options_reasons(entry.options)


def options_reasons(options: object) -> Iterator[str]:
    """What is wrong with an options class: it must be an attrs class whose every field is documented."""
    if not isinstance(options, type) or not attrs.has(options):
        yield f"options must be an attrs class, got {options!r}"
        return
    undocumented = [field.name for field in attrs.fields(options) if not _is_text(field.metadata.get("doc"))]
    if undocumented:
        yield f'{options.__name__} has fields without metadata["doc"]: {", ".join(undocumented)}'
    try:
        typing.get_type_hints(options)
    except (NameError, TypeError, AttributeError, SyntaxError) as error:
        yield f"the types of {options.__name__} cannot be resolved: {error}"


def is_version_problem(errors: Sequence[PluginError]) -> bool:
    """Whether the plugin was written for another hook API, which explains whatever else is wrong with it."""
    return any(isinstance(error, HookApiMismatch) for error in errors)


def _is_text(value: object) -> bool:
    return isinstance(value, str) and bool(value)
