"""The source tree as the tidy tests see it: parsed modules and tracked text files."""

from __future__ import annotations

import ast
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from attrs import frozen

REPOSITORY = Path(__file__).resolve().parents[2]

_SKIPPED_FOLDERS = {".venv", "node_modules", "__pycache__", "build", "dist"}


@frozen(kw_only=True)
class Module:
    """One parsed source file; `path` is relative to the repository, with forward slashes."""

    path: str
    syntax: ast.Module

    @classmethod
    def from_text(cls, text: str, path: str = "sample.py") -> Module:
        """Parse `text`, as the tests of the finders do."""
        return cls(path=path, syntax=ast.parse(text, filename=path))

    def place(self, node: ast.AST) -> str:
        """Return `path:line` of a node."""
        return f"{self.path}:{getattr(node, 'lineno', 1)}"


@cache
def plugin_folders() -> tuple[Path, ...]:
    """Return the folder of every plugin distribution."""
    return tuple(sorted(path.parent for path in REPOSITORY.glob("plugins/*/pyproject.toml")))


@cache
def package_folders() -> tuple[Path, ...]:
    """Return the folder of every shipped package: the core's and each plugin's."""
    plugins = (folder / folder.name.replace("-", "_") for folder in plugin_folders())
    return (REPOSITORY / "lazai_core", *plugins)


@cache
def shipped_modules() -> tuple[Module, ...]:
    """Return every module that a distribution ships, parsed."""
    return tuple(_parse(path) for folder in package_folders() for path in sorted(folder.rglob("*.py")))


def modules_under(*prefixes: str) -> list[Module]:
    """Return the shipped modules whose path is, or starts with, one of `prefixes`."""
    return [module for module in shipped_modules() if module.path.startswith(prefixes)]


@cache
def text_files() -> tuple[Path, ...]:
    """Return the tracked text files; outside a git checkout, every file but build products."""
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=REPOSITORY, check=False, capture_output=True, text=True
    )
    if listed.returncode == 0:
        paths: Iterator[Path] = (REPOSITORY / name for name in listed.stdout.split("\0") if name)
    else:
        paths = (path for path in REPOSITORY.rglob("*") if not _SKIPPED_FOLDERS & set(path.parts))
    return tuple(sorted(path for path in paths if path.is_file() and _is_text(path)))


def _parse(path: Path) -> Module:
    return Module.from_text(path.read_text(encoding="utf-8"), path.relative_to(REPOSITORY).as_posix())


def _is_text(path: Path) -> bool:
    with path.open("rb") as file:
        return b"\0" not in file.read(8192)
