"""The contract room and its documentation against their files."""

from __future__ import annotations

import difflib
import inspect
import re
from pathlib import Path

import pytest

from lazai_core.api import hookspecs
from lazai_core.registry.api_dump import ADVICE, DOCS_PATH, DUMP_PATH, api_text
from lazai_core.registry.hook_docs import PARTS, hook_docs, hooks_markdown, parse_hook

CHECKOUT = Path(__file__).resolve().parents[2]
HOOKS = [name for name in vars(hookspecs) if name.startswith("lazai_")]


def difference(expected: str, found: str) -> str:
    lines = difflib.unified_diff(expected.splitlines(), found.splitlines(), "expected", "now", lineterm="", n=1)
    return "\n".join(list(lines)[:80])


def test_the_contract_is_the_one_that_was_promised() -> None:
    found = difference((CHECKOUT / DUMP_PATH).read_text(encoding="utf-8"), api_text())

    assert not found, f"{found}\n\n{ADVICE}"


def test_the_dump_names_hooks_entries_protocols_and_errors() -> None:
    text = api_text()

    for line in (
        "@hookspec(firstresult=True)\ndef lazai_route_job(job: ComputeJob, candidates: Sequence[str]) -> str | None",
        "    hook_api: tuple[int, int]",
        "class Coprocessor(Protocol)",
        "class PluginBroken(PluginError)",
    ):
        assert line in text


def test_the_document_is_made_from_the_docstrings() -> None:
    found = difference((CHECKOUT / DOCS_PATH).read_text(encoding="utf-8"), hooks_markdown())

    assert not found, f"{found}\n\nrun `python -m lazai_core.registry.api_dump --write`"


@pytest.mark.parametrize("name", HOOKS)
def test_every_hook_is_documented_with_its_arguments(name: str) -> None:
    document = (CHECKOUT / DOCS_PATH).read_text(encoding="utf-8")
    arguments = list(inspect.signature(getattr(hookspecs, name)).parameters)

    (heading,) = re.findall(rf"^## `{name}\((.*)\) -> .*`$", document, re.MULTILINE)

    assert [part.partition(":")[0].strip() for part in heading.split(", ") if part] == arguments


def test_twelve_hooks_and_their_examples_implement_them() -> None:
    docs = list(hook_docs())

    assert [doc.name for doc in docs] == HOOKS
    assert len(docs) == 12
    for doc in docs:
        assert f"@hookimpl\ndef {doc.name}(" in doc.example
        compile(doc.example, doc.name, "exec")


@pytest.mark.parametrize("part", PARTS)
def test_a_docstring_without_a_part_is_refused(part: str) -> None:
    text = inspect.getdoc(hookspecs.lazai_plugin) or ""

    def incomplete() -> None: ...

    incomplete.__doc__ = text.replace(f"{part}: ", "")

    with pytest.raises(ValueError, match="the docstring must have"):
        parse_hook("incomplete", incomplete)
