"""Links of the documents lead somewhere, and the paths that ARCHITECTURE.md sends its readers to exist."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.tidy.tree import REPOSITORY, text_files

_LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
_CODE = re.compile(r"^```.*?^```|`[^`\n]+`", re.MULTILINE | re.DOTALL)
_PATH = re.compile(r"`([a-z_A-Z-]+/[\w/.-]*)`")
DOCUMENTS = [path for path in text_files() if path.suffix == ".md"]


def dead_links(text: str, folder: Path) -> list[str]:
    """Targets of relative links that do not exist. Anchors are not looked into; formulas, as f[i](x), are no links."""
    targets = (target.partition("#")[0] for target in _LINK.findall(_CODE.sub("", text)))
    local = (target for target in targets if re.search(r"[./]", target) and "://" not in target)
    return [target for target in local if not (folder / target).exists()]


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.relative_to(REPOSITORY).as_posix())
def test_links_lead_somewhere(path: Path) -> None:
    assert dead_links(path.read_text(encoding="utf-8"), path.parent) == []


def test_the_places_of_changes_exist() -> None:
    text = (REPOSITORY / "ARCHITECTURE.md").read_text(encoding="utf-8")
    _, _, section = text.partition("| … | go to |")
    table = section.partition("\n\n")[0]

    paths = [path for path in _PATH.findall(table) if "<" not in path]
    assert len(paths) > 10
    roots = (REPOSITORY, REPOSITORY / "lazai_core")
    assert [path for path in paths if not any((root / path).exists() for root in roots)] == []


def test_dead_links_are_seen(tmp_path: Path) -> None:
    (tmp_path / "there.md").touch()
    text = "[a](there.md#part) [b](gone.md) [c](https://example.org/x) [d](#here) f[i](x)\n```\n[e](code.md)\n```\n"

    assert dead_links(text, tmp_path) == ["gone.md"]
