"""Committed contract artifacts against their Solidity sources; no compiler is needed."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path
from typing import Any

import pytest

from tests.tidy.tree import REPOSITORY

SOURCE_FOLDER = REPOSITORY / "contracts" / "src"
ARTIFACT_FOLDER = REPOSITORY / "lazai_core" / "lazvm" / "contracts"
ARTIFACT_PATHS = sorted(ARTIFACT_FOLDER.glob("*.json"))

_DECLARATION = re.compile(r"^(?:abstract\s+)?(?:contract|interface|library)\s+(\w+)", re.MULTILINE)


def sha256_of(name: str) -> str:
    """Return the digest of a source file's bytes."""
    return hashlib.sha256((SOURCE_FOLDER / name).read_bytes()).hexdigest()


@pytest.mark.parametrize("path", ARTIFACT_PATHS, ids=lambda path: path.stem)
def test_artifact_comes_from_its_source(path: Path) -> None:
    artifact: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))

    digests = {artifact["source"]: artifact["source_sha256"], **artifact["imports_sha256"]}

    assert artifact["contract"] == path.stem
    assert digests == {name: sha256_of(name) for name in digests}, (
        "run `make contracts` and commit the result"
    )


@pytest.mark.parametrize("path", ARTIFACT_PATHS, ids=lambda path: path.stem)
def test_artifact_comes_from_the_pinned_compiler(path: Path) -> None:
    artifact: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    package: dict[str, Any] = json.loads(
        (REPOSITORY / "contracts" / "package.json").read_text(encoding="utf-8")
    )

    assert artifact["solc"].split("+")[0] == package["dependencies"]["solc"]
    assert artifact["settings"]["evmVersion"] == "prague"
    for key in ("bytecode", "runtime"):
        assert artifact[key].startswith("0x")
        bytes.fromhex(artifact[key][2:])


def test_every_contract_has_an_artifact() -> None:
    declared = {
        name
        for path in SOURCE_FOLDER.rglob("*.sol")
        for name in _DECLARATION.findall(path.read_text(encoding="utf-8"))
    }

    assert declared == {path.stem for path in ARTIFACT_PATHS}
