"""`LAZAI_SECTION__KEY` variables, laid over the tables of the file.

`LAZAI_NODE__NAME=beta` sets `node.name`; a number counts in an array of tables: `LAZAI_PROOF__0__USE=stark`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from attrs import evolve

from lazai_core.api.errors import Problem

from .source import EnvironmentText, Source, key_text
from .toml_lines import KeyPath

PREFIX = "LAZAI_"
SEPARATOR = "__"


def apply_environment(
    table: dict[str, Any], source: Source, environ: Mapping[str, str]
) -> tuple[Source, list[Problem]]:
    """Write the variables into `table`. Returns the source that knows of them, and what cannot be written."""
    variables: dict[KeyPath, str] = {}
    problems = []
    for variable in sorted(environ):
        path = path_of(variable)
        if not path:
            continue
        reason = _write(table, path, EnvironmentText(environ[variable]))
        if reason:
            place = f"environment {variable}"
            problems.append(Problem(file=place, line=0, key=key_text(path), message=reason))
        else:
            variables[path] = variable
    return evolve(source, variables=variables), problems


def path_of(variable: str) -> KeyPath:
    """The key a variable sets, or nothing: only names with a double underscore are overrides."""
    if not variable.startswith(PREFIX) or SEPARATOR not in variable:
        return ()
    parts = variable.removeprefix(PREFIX).split(SEPARATOR)
    if len(parts) < 2 or not all(parts):
        return ()
    return tuple(int(part) if _is_index(part) else part.lower() for part in parts)


def _is_index(part: str) -> bool:
    return part.isascii() and part.isdigit() and len(part) <= 4


def _write(table: dict[str, Any], path: KeyPath, text: EnvironmentText) -> str:
    """Put the text at its place. Returns why it cannot be put there, or nothing."""
    container: Any = table
    part: Any
    for part, following in zip(path, (*path[1:], None), strict=True):
        if isinstance(container, list) and isinstance(part, int):
            if part > len(container):
                return f"the next free element is {len(container)}"
            if part == len(container):
                container.append(None)
        elif not (isinstance(container, dict) and isinstance(part, str)):
            return f"{part!r} stands where the file has something else"
        if following is None:
            container[part] = text
            return ""
        known = container[part] if isinstance(container, list) else container.get(part)
        if known is None:
            container[part] = known = [] if isinstance(following, int) else {}
        container = known
    return ""
