from __future__ import annotations

import re
import tomllib
from pathlib import Path

import attrs
import pytest

from lazai_core.config import NodeConfig, parse_config
from lazai_core.config.render import TemplateChoice, flattened, option_docs, render_template, section_docs, toml_value
from lazai_core.config.schema import LimitsSection
from lazai_core.runtime.options import RuntimeOptions
from tests.unit.config.sample import SMALL, parse


def sections(cls: type[attrs.AttrsInstance]) -> list[type[attrs.AttrsInstance]]:
    found = [cls]
    for field in attrs.fields(cls):
        if isinstance(field.type, type) and attrs.has(field.type):
            found += sections(field.type)
    return found


def test_every_key_is_documented_in_one_sentence() -> None:
    attrs.resolve_types(NodeConfig)
    fields = [field for cls in sections(NodeConfig) for field in attrs.fields(cls)]

    assert len(fields) > 40
    assert [field.name for field in fields if not field.metadata["doc"].endswith(".")] == []


def test_limits_are_those_of_the_runtime() -> None:
    limits = attrs.asdict(LimitsSection())
    runtime = attrs.asdict(RuntimeOptions())

    assert {name: limits.get(name) for name in runtime} == runtime


@attrs.frozen(kw_only=True)
class Options:
    listen: str = attrs.field(default="127.0.0.1:8000", metadata={"doc": "Address."})
    maximum: int = attrs.field(metadata={"doc": "Maximum."})
    names: tuple[str, ...] = attrs.field(factory=tuple, metadata={"doc": "Names."})
    folder: Path | None = attrs.field(default=None, metadata={"doc": "Folder."})


CHOICES = [
    TemplateChoice(section="consensus", use="solo", comment="One validator"),
    TemplateChoice(section="coprocessor", use="reference", options_class=Options, options={"maximum": 3}),
    TemplateChoice(section="proof", use="attestation", is_array=True, options_class=Options),
    TemplateChoice(section="gas", use="flat"),
    TemplateChoice(section="storage", use="lmdb"),
]


def test_a_template_is_a_configuration_and_says_the_defaults() -> None:
    text = render_template({"name": "alpha"}, CHOICES)

    config = parse_config(text.encode(), path=Path("home/node.toml")).config

    assert config.node.name == "alpha"
    assert config.coprocessor.options == {"maximum": 3}
    assert config.proof[0].options == {}
    assert re.search(r"\n# requests_open_max = 256 +# Requests under way at once\.\n", text)
    assert '\n# listen = "127.0.0.1:8000"  # Address.' in text


def test_a_template_with_every_comment_taken_off_is_still_toml() -> None:
    lines = render_template({"name": "alpha"}, CHOICES[:2] + CHOICES[3:]).splitlines()
    bare = [line.removeprefix("# ") for line in lines if "=" in line or line.startswith(("[", "# ["))]

    table = tomllib.loads("\n".join(line for line in bare if not line.startswith("Any key")))

    assert table["limits"]["compute_threads"] == 1


def test_options_are_listed_with_type_and_default() -> None:
    listed = [(doc.name, doc.type, doc.default) for doc in option_docs(Options)]

    assert listed == [
        ("listen", "str", '"127.0.0.1:8000"'),
        ("maximum", "int", ""),
        ("names", "a list of str", "[]"),
        ("folder", "a path", "unset"),
    ]


def test_every_section_lists_its_keys() -> None:
    sections = section_docs()

    assert list(sections)[:3] == ["node", "consensus", "coprocessor"]
    assert {option.name: option.default for option in sections["plugins"]} == {"allow": "unset", "deny": "[]"}
    assert [option.default for option in sections["model"]] == [""]


def test_the_values_of_a_configuration_come_with_their_origin() -> None:
    loaded = parse(SMALL + "[gas.options]\nprice = { low = 1 }\n", {"LAZAI_LOG__LEVEL": "debug"})

    rows = {key: (value, origin) for key, value, origin in flattened(loaded)}

    assert rows["node.name"] == ('"alpha"', "home/node.toml:3")
    assert rows["proof[0].use"] == ('"attestation"', "home/node.toml:12")
    assert rows["gas.options.price"] == ('{"low" = 1}', "home/node.toml:20")
    assert rows["log.level"] == ('"debug"', "LAZAI_LOG__LEVEL")
    assert rows["limits.compute_threads"] == ("1", "default")


@pytest.mark.parametrize(
    "value", ['a"b\\c', "line\nbreak", "\x7f\x00", True, 7, 1.5, ["a", [1]], {"a b": {"c": "d"}}, "ü"]
)
def test_values_are_written_as_toml(value: object) -> None:
    assert tomllib.loads(f"x = {toml_value(value)}")["x"] == value
