"""ARCHITECTURE.md against the tree: every room is in its table, and every room in it exists."""

from __future__ import annotations

import re
from pathlib import Path

from tests.tidy.tree import REPOSITORY, plugin_folders

_HEADER = re.compile(r"^\|\s*room\s*\|\s*what it is for\s*\|\s*$", re.IGNORECASE)
_FIRST_COLUMN_PATH = re.compile(r"^\|\s*`([^`]+)`")


def listed_rooms(markdown: str) -> list[str]:
    """Return the backticked paths in the first column of every table headed `| room | what it is for |`."""
    rooms = []
    inside = False
    for line in markdown.splitlines():
        inside = bool(_HEADER.match(line)) or (inside and line.startswith("|"))
        match = _FIRST_COLUMN_PATH.match(line) if inside else None
        if match is not None:
            rooms.append(match.group(1).rstrip("/"))
    return rooms


def present_rooms(repository: Path) -> set[str]:
    """Return the packages directly in the core, and the plugins."""
    core = {f"lazai_core/{path.parent.name}" for path in repository.glob("lazai_core/*/__init__.py")}
    return core | {f"plugins/{folder.name}" for folder in plugin_folders()}


def test_room_table_and_tree_agree() -> None:
    document = REPOSITORY / "ARCHITECTURE.md"
    if not document.exists():
        return

    listed = listed_rooms(document.read_text(encoding="utf-8"))

    assert sorted(present_rooms(REPOSITORY) - set(listed)) == [], "rooms that ARCHITECTURE.md does not list"
    assert [room for room in listed if not (REPOSITORY / room).exists()] == [], "rooms that do not exist"
    assert len(listed) == len(set(listed)), "a room is listed twice"


def test_rooms_are_read_from_their_table_only() -> None:
    table = "| room | what it is for |\n|---|---|\n| `a/b/` | one |\n| `c` | two |\n"
    text = f"{table}\n| other | x |\n|---|---|\n| `d` | no |"

    assert listed_rooms(text) == ["a/b", "c"]
