"""The table of attacks in README.md names tests that exist, for every class that touches hash-based proofs."""

from __future__ import annotations

import ast
import re
from pathlib import Path

FOLDER = Path(__file__).parent
CLASSES = {1, *range(3, 19), 21, *range(24, 30)}


def rows() -> dict[int, list[str]]:
    """Names of tests by class."""
    found = {}
    for line in (FOLDER / "README.md").read_text(encoding="utf-8").splitlines():
        entry = re.match(r"\| (\d+) \| (.+) \| (.+) \|$", line)
        if entry:
            found[int(entry[1])] = re.findall(r"`(\w+)`", entry[3])
    return found


def existing() -> set[str]:
    """Every test function of this folder."""
    return {
        node.name
        for path in FOLDER.glob("test_*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")
    }


def test_every_class_has_tests_that_exist() -> None:
    table, known = rows(), existing()
    assert set(table) == CLASSES
    assert all(names for names in table.values())
    assert {name for names in table.values() for name in names} - known == set()
