"""Documents of the contract against the code: operations, errors, needs, precompiles, the genesis and its plugins."""

from __future__ import annotations

import re
from pathlib import Path

import attrs
import pytest

from lazai_core.api import errors, needs
from lazai_core.api.program_rules import OP_SCHEMAS
from lazai_core.chain import genesis, system_calls
from lazai_core.chain.block import BlockHeader
from lazai_core.node.injection import Need
from lazai_core.testing.operations import operation_samples

DOCS = Path(__file__).resolve().parents[2] / "docs"


def section(name: str, heading: str) -> str:
    """The text of one section of a document, up to the next of the same level."""
    text = (DOCS / name).read_text(encoding="utf-8")
    (found,) = re.findall(rf"^## \d+\. {heading}\n(.*?)(?=^## |\Z)", text, re.MULTILINE | re.DOTALL)
    return str(found)


def first_columns(text: str) -> list[str]:
    """Every word in backticks in the first column of the text's tables."""
    cells = re.findall(r"^\| (.*?) \|", text, re.MULTILINE)
    return [word for cell in cells for word in re.findall(r"`(\w+)`", cell)]


def test_every_operation_is_specified_once() -> None:
    assert sorted(first_columns(section("EXACT.md", "Operations"))) == sorted(OP_SCHEMAS)


@pytest.mark.parametrize("kind", OP_SCHEMAS)
def test_the_attributes_of_an_operation_are_named(kind: str) -> None:
    (row,) = re.findall(rf"^\| `{kind}` \|.*$", section("EXACT.md", "Operations"), re.MULTILINE)
    attributes = row.split(" | ")[2] if " | " in row else ""

    assert sorted(set(re.findall(r"`(\w+)`", attributes))) == sorted(OP_SCHEMAS[kind].attributes)


def test_every_operation_has_a_cost_and_an_interval() -> None:
    costs = section("EXACT.md", "Static cost")
    priced = {kind for kind in OP_SCHEMAS if f"`{kind}`" in costs}
    reductions = {"reduce_sum", "reduce_mean", "reduce_max"}

    assert priced | reductions == set(OP_SCHEMAS)
    assert "| reductions, `argmax` |" in costs
    assert sorted(first_columns(section("EXACT.md", "Intervals"))) == sorted(OP_SCHEMAS)


def test_the_document_and_the_samples_know_the_same_operations() -> None:
    sampled = {op.kind for sample in operation_samples() for op in sample.model.program.ops}

    assert sampled == set(first_columns(section("EXACT.md", "Operations")))


def test_the_error_tree_is_the_one_in_the_docstring() -> None:
    tree = (errors.__doc__ or "").partition("LazAIError\n")[2].partition("\n\n")[0]
    classes = {
        name: item
        for name, item in vars(errors).items()
        if isinstance(item, type) and issubclass(item, errors.LazAIError) and item is not errors.LazAIError
    }
    parents: dict[str, str] = {}
    branch = "LazAIError"
    for line in tree.splitlines():
        branches = re.match(r"    [|`]- ((?:[A-Z]\w+ *)+)", line)
        leaves = re.match(r"    \|  [|`]- (.*)", line)
        if branches:
            names = branches[1].split()
            branch = names[-1]
            parents.update(dict.fromkeys(names, "LazAIError"))
        elif leaves:
            parents.update(dict.fromkeys(leaves[1].split(), branch))

    assert sorted(parents) == sorted(classes)
    assert [name for name, item in classes.items() if item.__mro__[1].__name__ != parents[name]] == []


def test_the_table_of_needs_is_what_a_node_provides() -> None:
    listed = set(first_columns(needs.__doc__ or ""))

    assert listed == {need.value for need in Need} - {Need.OPTIONS.value, Need.PATH.value}


def test_precompile_signatures_are_those_of_the_interface() -> None:
    solidity = section("CHAIN.md", "Precompiles")
    declared = set()
    for name, arguments in re.findall(r"function (\w+)\(([^)]*)\)", solidity):
        declared.add(f"{name}({','.join(argument.split()[0] for argument in arguments.split(','))})")

    expected = {system_calls.INFER, system_calls.INFER_INLINE, system_calls.COMPUTE_GAS, system_calls.VERIFY}
    assert declared == expected


def test_genesis_keys_are_documented() -> None:
    from lazai_core.chain.genesis_file import _GENESIS_KEYS as keys

    text = section("CHAIN.md", "Genesis")

    assert [key for key in sorted(keys) if f"`{key}`" not in text] == []
    assert genesis.FORMAT in text


def test_header_fields_are_documented_in_order() -> None:
    rows = re.findall(r"^\| ([a-z_, ]+) \|", section("CHAIN.md", "Block"), re.MULTILINE)
    listed = [name.strip() for row in rows[1:] for name in row.split(",")]

    assert listed == [field.name for field in attrs.fields(BlockHeader)]
