"""Which line of a TOML text a key stands on. `tomllib` reads the text and the keys; this only finds statements.

A statement is a table header or a key with its value, which may span lines. Only valid TOML is given to this
module, so quotes and brackets are known to match.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping
from typing import Any

KeyPath = tuple[str | int, ...]
"""Keys from the root down; an integer is the position in an array of tables."""

_QUOTES = ('"""', "'''", '"', "'")


def index_lines(text: str) -> dict[KeyPath, int]:
    """Map every key path of a valid TOML text to its 1-based line.

    Keys inside an inline table or an array have no line of their own: see `line_of`.
    """
    lines: dict[KeyPath, int] = {}
    counts: dict[KeyPath, int] = {}
    table: KeyPath = ()
    for line, statement in _statements(text.replace("\r\n", "\n")):
        if statement.startswith("["):
            table = _enter(statement, counts)
            lines.setdefault(table, line)
            if table and isinstance(table[-1], int):
                lines.setdefault(table[:-1], line)
            continue
        for path in _prefixes(_keys(statement[: _position_of_equals(statement)] + "=0")):
            lines.setdefault(table + path, line)
    return lines


def line_of(lines: Mapping[KeyPath, int], path: KeyPath) -> int:
    """Line of a key, or of the nearest table around it; 0 when there is none."""
    for length in range(len(path), 0, -1):
        if path[:length] in lines:
            return lines[path[:length]]
    return 0


def _enter(header: str, counts: dict[KeyPath, int]) -> KeyPath:
    """Path of the table that a header opens; counts the elements of arrays of tables."""
    is_array = header.startswith("[[")
    path: KeyPath = ()
    keys = _keys(header)
    for key in keys[:-1]:
        path = _last_element((*path, key), counts)
    path = (*path, keys[-1])
    if not is_array:
        return path
    counts[path] = counts.get(path, -1) + 1
    return (*path, counts[path])


def _last_element(path: KeyPath, counts: Mapping[KeyPath, int]) -> KeyPath:
    return (*path, counts[path]) if path in counts else path


def _keys(statement: str) -> tuple[str, ...]:
    """The keys of a header or of `key = 0`, which is a document of one branch."""
    keys = []
    value: Any = tomllib.loads(statement)
    while value and isinstance(value, dict | list):
        if isinstance(value, list):
            value = value[0]
            continue
        key, value = next(iter(value.items()))
        keys.append(key)
    return tuple(keys)


def _prefixes(path: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    return (path[:length] for length in range(1, len(path) + 1))


def _statements(text: str) -> Iterator[tuple[int, str]]:
    """Line and text of every statement; a statement ends at a line break outside quotes and brackets."""
    line = 1
    for piece in _pieces(text):
        statement = piece.strip(" \t\n")
        if statement and not statement.startswith("#"):
            yield line, statement
        line += piece.count("\n")


def _pieces(text: str) -> Iterator[str]:
    start, depth, position = 0, 0, 0
    while position < len(text):
        character = text[position]
        if character in "\"'":
            position = _after_string(text, position)
            continue
        if character == "#":
            position = _line_end(text, position)
            continue
        depth += (character in "[{") - (character in "]}")
        position += 1
        if character == "\n" and depth == 0:
            yield text[start:position]
            start = position
    yield text[start:]


def _after_string(text: str, position: int) -> int:
    """Position after the string that begins at `position`."""
    quote = next(quote for quote in _QUOTES if text.startswith(quote, position))
    cursor = position + len(quote)
    while not text.startswith(quote, cursor):
        cursor += 2 if text[cursor] == "\\" and quote[0] == '"' else 1
    cursor += len(quote)
    # A multi-line string may end in up to two quotes of its own.
    while len(quote) == 3 and text[cursor : cursor + 1] == quote[0]:
        cursor += 1
    return cursor


def _line_end(text: str, position: int) -> int:
    end = text.find("\n", position)
    return len(text) if end < 0 else end


def _position_of_equals(statement: str) -> int:
    position = 0
    while statement[position] != "=":
        position = _after_string(statement, position) if statement[position] in "\"'" else position + 1
    return position
