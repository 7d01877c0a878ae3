"""Configuration files as text: the commented template of `lazai init`, and the values of `lazai config show`.

Comments come from the fields' `metadata["doc"]`, so a template cannot fall behind the schema.
"""

from __future__ import annotations

import enum
import typing
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

import attrs

from .load import LoadedConfig
from .schema import LimitsSection, LogSection, ModelSection, NetworkSection, NodeConfig, NodeSection, PluginsSection
from .source import key_text
from .structure import type_text
from .toml_lines import KeyPath

UNSET = "unset"
ALIGNED_MAX = 80
"""Longer settings do not push the comments of the others to the right."""


@attrs.frozen(kw_only=True)
class TemplateChoice:
    """A provider for the template: its section, whether that is an array of tables, and what to say about it."""

    section: str
    use: str
    comment: str = ""
    is_array: bool = False
    options_class: type[Any] | None = None
    options: Mapping[str, object] = attrs.field(factory=dict)
    options_shown: bool = True


@attrs.frozen(kw_only=True)
class OptionDoc:
    """One option. `default` is TOML, "unset", or empty when required; `example` is what templates show."""

    name: str
    type: str
    default: str
    doc: str
    example: str


def render_template(
    node: Mapping[str, object],
    choices: Sequence[TemplateChoice],
    *,
    network: Mapping[str, object] | None = None,
    limits: Mapping[str, object] = MappingProxyType({}),
) -> str:
    """A whole commented configuration. What is not set stands there as a comment with its default."""
    parts = [
        "# A LazAI node. Lines that begin with # show defaults; `lazai config check` tells what is wrong.\n"
        "# Any key can be set from the environment: LAZAI_NODE__NAME=beta sets node.name.\n"
        "# Secrets never stand here.",
        _section("[node]", NodeSection, node),
        *(_choice(choice) for choice in choices),
        _section("# [[model]]", ModelSection, {}),
        _section("[plugins]", PluginsSection, {}),
        _section("# [network]" if network is None else "[network]", NetworkSection, network or {}),
        _section("[limits]", LimitsSection, limits),
        _section("[log]", LogSection, {}),
    ]
    return "\n\n".join(parts) + "\n"


def option_docs(options_class: type[Any]) -> tuple[OptionDoc, ...]:
    """The options of an entry, in the order of its class."""
    hints = typing.get_type_hints(options_class)
    return tuple(_option_doc(field, hints.get(field.name, Any)) for field in attrs.fields(options_class) if field.init)


def _option_doc(field: Any, hint: Any) -> OptionDoc:
    default = _default_text(field)
    return OptionDoc(
        name=field.alias,
        type=type_text(hint),
        default=default,
        doc=str(field.metadata.get("doc", "")),
        example=_example_text(field, hint, default),
    )


def section_docs() -> dict[str, tuple[OptionDoc, ...]]:
    """The keys of every section, as `lazai config keys` lists them."""
    sections = {}
    for name, hint in typing.get_type_hints(NodeConfig).items():
        classes = [part for part in (hint, *typing.get_args(hint)) if isinstance(part, type) and attrs.has(part)]
        sections[name] = option_docs(classes[0])
    return sections


def flattened(loaded: LoadedConfig) -> Iterator[tuple[str, str, str]]:
    """Every value of a configuration as key, TOML value and origin; options as they stand in the file."""
    for path, value in _leaves(loaded.config, ()):
        yield key_text(path), toml_value(value), loaded.source.origin(path)


def toml_value(value: object) -> str:
    """A value as TOML, on one line. Mappings are inline tables."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, enum.Enum):
        return toml_value(value.value)
    if isinstance(value, int | float):
        return str(value)
    if isinstance(value, bytes):
        return f'"0x{value.hex()}"'
    if isinstance(value, Path):
        return _quoted(value.as_posix())
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{_quoted(str(key))} = {toml_value(item)}" for key, item in value.items()) + "}"
    if isinstance(value, frozenset | set):
        return toml_value(sorted(value, key=str))
    if isinstance(value, list | tuple):
        return "[" + ", ".join(toml_value(item) for item in value) + "]"
    return _quoted(str(value))


def _quoted(text: str) -> str:
    from tomli_w import dumps

    return dumps({"x": text})[len("x = ") : -1]


def _section(header: str, cls: type[Any], values: Mapping[str, object]) -> str:
    settings = [
        (_setting(option, values), option.doc) for option in option_docs(cls) if option.name in values or option.default
    ]
    width = max((len(setting) for setting, _ in settings if len(setting) <= ALIGNED_MAX), default=0)
    return "\n".join([header, *(f"{setting.ljust(width)}  # {doc}" for setting, doc in settings)])


def _setting(option: OptionDoc, values: Mapping[str, object]) -> str:
    if option.name in values:
        return f"{option.name} = {toml_value(values[option.name])}"
    return f"# {option.name} = {option.example}"


def _choice(choice: TemplateChoice) -> str:
    header = f"[[{choice.section}]]" if choice.is_array else f"[{choice.section}]"
    comment = f"  # {choice.comment}" if choice.comment else ""
    lines = [header, f"use = {_quoted(choice.use)}{comment}"]
    if choice.options_class is not None and attrs.fields(choice.options_class) and choice.options_shown:
        mark = "" if choice.options else "# "
        lines.append(_section(f"{mark}[{choice.section}.options]", choice.options_class, choice.options))
    return "\n".join(lines)


def _default_text(field: Any) -> str:
    """The default as TOML; empty where the option is required, "unset" where TOML cannot say it."""
    default = field.default
    if default is attrs.NOTHING:
        return ""
    if isinstance(default, attrs.Factory):  # type: ignore[arg-type]
        if default.takes_self:
            return UNSET
        default = default.factory()
    if default is None:
        return UNSET
    return "{}" if attrs.has(type(default)) else toml_value(default)


def _example_text(field: Any, hint: Any, default: str) -> str:
    """What a template shows, as a comment, for an option that is not set."""
    if "example" in field.metadata:
        return toml_value(field.metadata["example"])
    if default == UNSET:
        return "[]" if "list" in type_text(hint) else '""'
    return default


def _leaves(value: object, path: KeyPath) -> Iterator[tuple[KeyPath, object]]:
    if attrs.has(type(value)):
        for field in attrs.fields(type(value)):  # type: ignore[arg-type]
            yield from _leaves(getattr(value, field.name), (*path, field.alias))
    elif isinstance(value, tuple) and value and attrs.has(type(value[0])):
        for index, item in enumerate(value):
            yield from _leaves(item, (*path, index))
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield (*path, key), item
    elif value is not None:
        yield path, value
