"""Where each value came from, so that a problem can name its place: a line of the file, or a variable."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from attrs import field, frozen

from lazai_core.api.errors import Problem

from .toml_lines import KeyPath, line_of


class EnvironmentText(str):
    """A value from the environment: its type is decided by the key it is for."""

    __slots__ = ()


@frozen(kw_only=True)
class Source:
    """A configuration file as people call it, its lines, its folder, and keys that the environment set."""

    file: str
    folder: Path
    lines: Mapping[KeyPath, int] = field(factory=dict, repr=False)
    variables: Mapping[KeyPath, str] = field(factory=dict)

    def problem(self, path: KeyPath, message: str, hint: str = "") -> Problem:
        """A problem with the value at `path`, at its line or its variable."""
        variable = self.variable(path)
        if variable:
            return Problem(file=f"environment {variable}", line=0, key=key_text(path), message=message, hint=hint)
        line = line_of(self.lines, path)
        return Problem(file=self.file, line=line, key=key_text(path), message=message, hint=hint)

    def variable(self, path: KeyPath) -> str:
        """The variable that set this key or a key under it, or nothing."""
        for known, variable in self.variables.items():
            if known[: len(path)] == path or path[: len(known)] == known:
                return variable
        return ""

    def origin(self, path: KeyPath) -> str:
        """Where the value of a key came from: "node.toml:3", a variable's name, or "default"."""
        for known, variable in self.variables.items():
            if path[: len(known)] == known:
                return variable
        return f"{self.file}:{self.lines[path]}" if path in self.lines else "default"


def display_name(path: Path) -> str:
    """A path as people would write it from here."""
    relative = os.path.relpath(path)
    return relative if not relative.startswith("..") else str(path)


def key_text(path: KeyPath) -> str:
    """A key path as people write it: `proof[0].options.security_bits`."""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else str(part)
    return text
