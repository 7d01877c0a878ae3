"""Text that must not enter the repository: paths of one machine, and hosts that packages come from."""

from __future__ import annotations

import re

import pytest

from tests.tidy.tree import REPOSITORY, text_files

# Written in pieces, so that this file does not hold what it forbids.
_ROOTS = ["work", "opt", "root", "tmp", "mnt", "home", "Users"]
_MACHINE_PATH = re.compile(r"(?<![\w.$}<>~)/-])/(?:" + "|".join(_ROOTS) + r")/\w")
_PACKAGE_HOST = re.compile(
    r"\b(?:py" + r"pi\.org|files\.python" + r"hosted\.org|registry\.n" + r"pmjs\.org|registry\.yarn"
    r"pkg\.com|download\.py" + r"torch\.org|proxy\.gol" + r"ang\.org)\b"
)
_PLANNING_FOLDER = re.compile(r"\bshared/(?:design|reference|bench)\b")
_PATTERNS = (_MACHINE_PATH, _PACKAGE_HOST, _PLANNING_FOLDER)


def foreign_text(text: str) -> list[str]:
    """Return what `text` holds of the forbidden."""
    return [match.group() for pattern in _PATTERNS for match in pattern.finditer(text)]


def test_tracked_text_speaks_of_no_machine() -> None:
    found = [
        f"{path.relative_to(REPOSITORY).as_posix()}:{number}: {word}"
        for path in text_files()
        for number, line in enumerate(path.read_text(encoding="utf-8", errors="replace").splitlines(), 1)
        for word in foreign_text(line)
    ]

    assert found == []


@pytest.mark.parametrize("root", _ROOTS)
def test_machine_paths_are_seen(root: str) -> None:
    assert foreign_text(f'open("/{root}/someone")') == [f"/{root}/s"]


@pytest.mark.parametrize("host", ["py" + "pi.org/simple", "https://download.py" + "torch.org/whl/cpu"])
def test_package_hosts_are_seen(host: str) -> None:
    assert len(foreign_text(f"index-url = {host}")) == 1


@pytest.mark.parametrize(
    "text", ["/v1/models", "docs/work/flow", "#!/usr/bin/env bash", "a/tmp/b", "$HOME/home/x"]
)
def test_other_paths_are_left_alone(text: str) -> None:
    assert foreign_text(text) == []
