from __future__ import annotations

import tomllib
from pathlib import Path

import pytest
from attrs import field, frozen, validators
from hypothesis import given
from hypothesis import strategies as st

from lazai_core.api.errors import ConfigError, Problem
from lazai_core.config import IncompleteConfig, Role, load_config, parse_config
from tests.unit.config.sample import SMALL, parse, problems

HOME = "home/node.toml"


def test_a_small_configuration_has_defaults() -> None:
    config = parse(SMALL).config

    assert config.node.name == "alpha"
    assert config.node.role is Role.VALIDATOR
    assert config.precompiles.use is None
    assert config.limits.requests_open_max == 256


def test_paths_are_anchored_at_the_file(tmp_path: Path) -> None:
    text = SMALL.replace('"alpha"', '"alpha"\ngenesis = "../g.json"\nkey_file = "/keys/k"')

    node = parse_config(text.encode(), path=tmp_path / "node.toml").config.node

    assert node.data_dir == tmp_path / "data"
    assert node.genesis == tmp_path / "../g.json"
    assert node.key_file == Path("/keys/k")


def test_choices_come_in_order_of_assembly_with_their_places() -> None:
    text = SMALL + '[[proof]]\nuse = "stark"\n[[service]]\nuse = "openai"\n[precompiles]\nuse = ["reverse"]\n'

    choices = parse(text).config.choices()

    assert [(choice.kind, choice.name) for choice in choices] == [
        ("storage", "lmdb"),
        ("coprocessor", "reference"),
        ("proof", "attestation"),
        ("proof", "stark"),
        ("gas", "flat"),
        ("precompile", "reverse"),
        ("consensus", "solo"),
        ("service", "openai"),
    ]
    assert choices[3].use_path == ("proof", 1, "use")


def test_every_problem_is_reported_at_once_in_order_of_line() -> None:
    text = """
[node]
name = 7
role = "validater"
[consensus]
use = "solo"
[coprocessor]
use = "reference"
[[proof]]
use = "attestation"
[[proof]]
uze = "attestation"
[gas]
use = "flat"
options = 3
[storage]
[limits]
compute_queue_max = 0
"""
    assert problems(text) == [
        f"{HOME}:3: node.name: expected str, got int 7",
        f"{HOME}:4: node.role: 'validater' is not one of 'validator', 'full', 'worker'; did you mean 'validator'?",
        f"{HOME}:11: proof[1].use: missing; expected str; Name of the provider; `lazai plugins` lists them",
        f"{HOME}:12: proof[1].uze: unknown key; did you mean 'use'?",
        f"{HOME}:15: gas.options: expected a table, got int 3",
        f"{HOME}:16: storage.use: missing; expected str; Name of the provider; `lazai plugins` lists them",
        f"{HOME}:18: limits.compute_queue_max: must be at least 1, got 0",
    ]


def test_the_error_counts_and_says_that_nothing_was_started() -> None:
    with pytest.raises(ConfigError) as caught:
        parse(SMALL + "[gaz]\n[logg]\n")

    assert str(caught.value).endswith("\n2 problems; nothing was started")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a = 1\na = 2\n", f"{HOME}:2: not TOML: Cannot overwrite a value (column 6)"),
        ("[node]\nname = \n", f"{HOME}:2: not TOML: Invalid value (column 8)"),
        ("x = 1\n\nname = '''\n", f"{HOME}:3: not TOML: Expected \"'''\""),
        ("x = " + "9" * 5000, f"{HOME}:1: not TOML: Exceeds the limit"),
        ("x = " + "[" * 200_000, f"{HOME}: not TOML: nested too deeply"),
    ],
)
def test_text_that_is_not_toml_is_refused_with_its_line(text: str, expected: str) -> None:
    (found,) = problems(text)

    assert found.startswith(expected)


def test_bytes_that_are_not_text_are_refused_with_their_line() -> None:
    with pytest.raises(ConfigError, match=r"home/node.toml:2: not UTF-8"):
        parse_config(b"a = 1\nb = '\xff'\n", path=Path(HOME))


def test_a_byte_order_mark_is_no_problem() -> None:
    assert parse_config(b"\xef\xbb\xbf" + SMALL.encode(), path=Path(HOME)).config.node.name == "alpha"


@pytest.mark.parametrize(
    ("addition", "expected"),
    [
        ('[[proof]]\nuse = "attestation"\n', ":20: proof[1].use: 'attestation' is listed twice; take one out"),
        (
            '[[model]]\npath = "m"\n[[model]]\npath = "m"\n',
            ":22: model[1].path: 'home/m' is listed twice; take one out",
        ),
        (
            '[plugins]\nallow = ["a"]\ndeny = ["b", "a"]\n',
            ":21: plugins.deny[1]: 'a' is both allowed and denied",
        ),
        (
            '[precompiles]\nuse = ["a"]\n[precompiles.options.b]\n',
            ":21: precompiles.options.b: 'b' is not in precompiles.use",
        ),
    ],
)
def test_rules_between_keys(addition: str, expected: str) -> None:
    assert problems(SMALL + addition) == [HOME + expected]


def test_variables_win_over_the_file_and_are_its_origin() -> None:
    loaded = parse(
        SMALL,
        {
            "LAZAI_NODE__NAME": "beta",
            "LAZAI_PROOF__0__USE": "stark",
            "LAZAI_PROOF__1__USE": "plonk",
            "LAZAI_LIMITS__COMPUTE_QUEUE_MAX": "9",
            "LAZAI_PLUGINS__DENY": '["x"]',
            "LAZAI_GAS__OPTIONS__PRICE": "5",
            "LAZAI_KEY_PASSWORD": "is no override",
            "OTHER__THING": "neither",
        },
    )

    assert loaded.config.node.name == "beta"
    assert [choice.use for choice in loaded.config.proof] == ["stark", "plonk"]
    assert loaded.config.limits.compute_queue_max == 9
    assert loaded.config.plugins.deny == ("x",)
    assert loaded.source.origin(("node", "name")) == "LAZAI_NODE__NAME"
    assert loaded.source.origin(("consensus", "use")) == f"{HOME}:6"
    assert loaded.source.origin(("log", "level")) == "default"


@pytest.mark.parametrize(
    ("variable", "value", "expected"),
    [
        ("LAZAI_NODE__NAM", "x", "environment LAZAI_NODE__NAM: node.nam: unknown key; did you mean 'name'?"),
        ("LAZAI_LIMITS__COMPUTE_QUEUE_MAX", "many", "limits.compute_queue_max: expected int, got 'many'"),
        ("LAZAI_NODE__NAME__X", "x", "node.name.x: 'x' stands where the file has something else"),
        ("LAZAI_PROOF__7__USE", "x", "proof[7].use: the next free element is 1"),
        ("LAZAI_NODE__PRIVATE_KEY", "0xabcdef", "node.private_key: a secret must not stand"),
    ],
)
def test_problems_with_variables_name_the_variable(variable: str, value: str, expected: str) -> None:
    (found,) = problems(SMALL, {variable: value})

    assert found.startswith(f"environment {variable}: ")
    assert expected in found
    assert "0xabcdef" not in found


@frozen(kw_only=True)
class Options:
    depth: int = field(default=1, validator=validators.ge(1), metadata={"doc": "Depth."})
    price: int = field(default=1, metadata={"doc": "Price."})


def test_options_of_an_entry_are_structured_with_their_lines() -> None:
    loaded = parse(SMALL + "[gas.options]\ndepth = 0\nprize = 3\n", {"LAZAI_STORAGE__OPTIONS__PRICE": "12"})
    storage, *_, gas = [choice for choice in loaded.config.choices() if choice.kind in ("gas", "storage")]
    found: list[Problem] = []

    assert loaded.structure_options(Options, storage, found) == Options(price=12)
    assert loaded.structure_options(Options, gas, found) is None
    assert [str(problem) for problem in found] == [
        f"{HOME}:21: gas.options.prize: unknown key; did you mean 'price'?",
        f"{HOME}:20: gas.options.depth: must be at least 1, got 0",
    ]


def test_a_missing_file_says_how_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="No such file or directory; write one with `lazai init`"):
        load_config(tmp_path / "node.toml")


def test_a_folder_and_a_huge_file_are_refused(tmp_path: Path) -> None:
    huge = tmp_path / "huge.toml"
    huge.write_bytes(b"#" * ((1 << 20) + 1))

    with pytest.raises(ConfigError, match="Is a directory"):
        load_config(tmp_path)
    with pytest.raises(ConfigError, match="larger than 1048576 bytes"):
        load_config(huge)


_FRAGMENTS = st.sampled_from([*SMALL.splitlines(), '"""', "[", "]", "=", "{", "}", "'", "#", "\\", ".", "[[x]]"])


@given(st.one_of(st.binary(max_size=60), st.text(max_size=60).map(str.encode)))
def test_any_bytes_give_a_configuration_or_its_problems(data: bytes) -> None:
    with pytest.raises(ConfigError):
        parse_config(data, path=Path(HOME))


@given(st.lists(_FRAGMENTS, max_size=30), st.sampled_from(["\n", " ", ""]))
def test_pieces_of_a_configuration_give_a_configuration_or_its_problems(pieces: list[str], joint: str) -> None:
    text = joint.join(pieces)
    try:
        parse(text)
    except ConfigError as error:
        assert error.problems  # noqa: PT017
    else:
        assert tomllib.loads(text)


@given(st.integers(0, len(SMALL)), st.text(max_size=3), st.dictionaries(st.text(), st.text(), max_size=3))
def test_a_configuration_with_a_bruise(position: int, bruise: str, environ: dict[str, str]) -> None:
    overrides = {f"LAZAI_NODE__{key}": value for key, value in environ.items()}
    try:
        parse(SMALL[:position] + bruise + SMALL[position + 1 :], overrides)
    except ConfigError as error:
        assert str(error).endswith("nothing was started")  # noqa: PT017


def test_the_providers_of_a_wrong_configuration_are_known_as_far_as_it_names_them() -> None:
    text = b"""
[node]
nome = "x"
[consensus]
use = "solo"
options = { pause_ms = 3 }
[coprocessor]
use = 7
[[proof]]
use = "attestation"
[[proof]]
use = "Not A Name"
[gas]
[storage]
use = "sqlite"
options = "none"
[service]
use = "openai"
"""
    with pytest.raises(IncompleteConfig) as caught:
        parse_config(text, path=Path("node.toml"))

    found = {(choice.kind, choice.name): choice for choice in caught.value.choices}
    assert set(found) == {("consensus", "solo"), ("proof", "attestation"), ("service", "openai")}
    assert found["consensus", "solo"].options == {"pause_ms": 3}
    assert found["proof", "attestation"].use_path == ("proof", 0, "use")
