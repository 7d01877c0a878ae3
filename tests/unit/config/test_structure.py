from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Literal, NewType

import pytest
from attrs import field, frozen, validators
from hypothesis import given
from hypothesis import strategies as st

from lazai_core.config.source import EnvironmentText, Source
from lazai_core.config.structure import Structurer

Amount = NewType("Amount", int)


class Colour(StrEnum):
    RED = "red"
    GREEN = "green"


@frozen(kw_only=True)
class Inner:
    depth: int = field(validator=validators.and_(validators.ge(1), validators.le(9)), metadata={"doc": "Depth."})
    colour: Colour = Colour.RED


@frozen(kw_only=True)
class Everything:
    flag: bool = False
    count: int = 0
    ratio: float = 0.5
    text: str = ""
    data: bytes = b""
    path: Path = Path()
    colour: Colour = Colour.RED
    mode: Literal["fast", "safe", 3] = "fast"
    maybe: int | None = None
    either: int | str = 0
    pair: tuple[int, str] = (0, "")
    many: tuple[int, ...] = ()
    listed: list[str] = field(factory=list)
    sequence: Sequence[int] = ()
    names: frozenset[str] = frozenset()
    table: Mapping[str, int] = field(factory=dict)
    amount: Amount = Amount(0)
    noted: Annotated[int, "a note"] = 0
    inner: Inner | None = None
    inners: tuple[Inner, ...] = ()
    anything: Any = None
    length: str = field(default="ok", validator=[validators.min_len(2), validators.max_len(4)])
    form: str = field(default="a1", validator=validators.matches_re("[a-z][0-9]"))
    choice: str = field(default="left", validator=validators.in_(["left", "right"]))
    upper: str = field(default="", converter=str.upper)
    even: int = field(default=0)
    bounded: int = field(default=5, metadata={"minimum": 2, "maximum": 7})
    _private: int = 0

    @even.validator
    def _check_even(self, _attribute: object, value: int) -> None:
        if value % 2:
            raise ValueError(f"must be even, got {value}")

    def __attrs_post_init__(self) -> None:
        if self.count > 100 and not self.flag:
            raise ValueError("a count above 100 needs the flag")


GOOD = [
    ("flag", True, True),
    ("ratio", 2, 2.0),
    ("data", "0x0aff", b"\x0a\xff"),
    ("path", "x/y", Path("home/x/y")),
    ("colour", "green", Colour.GREEN),
    ("mode", "safe", "safe"),
    ("mode", 3, 3),
    ("maybe", 4, 4),
    ("either", "word", "word"),
    ("pair", [1, "a"], (1, "a")),
    ("many", [1, 2], (1, 2)),
    ("listed", ["a"], ["a"]),
    ("sequence", [1], (1,)),
    ("names", ["a", "a"], frozenset("a")),
    ("table", {"a": 1}, {"a": 1}),
    ("amount", 10**30, 10**30),
    ("noted", 7, 7),
    ("inner", {"depth": 3, "colour": "green"}, Inner(depth=3, colour=Colour.GREEN)),
    ("inners", [{"depth": 3}], (Inner(depth=3),)),
    ("anything", {"a": [1]}, {"a": [1]}),
    ("upper", "abc", "ABC"),
]

BAD = [
    ("flag", 1, "flag: expected bool, got int 1"),
    ("count", True, "count: expected int, got bool true"),
    ("count", 1.0, "count: expected int, got float 1.0"),
    ("ratio", float("nan"), "ratio: expected a finite number, got nan"),
    ("text", ["a"], "text: expected str, got a list"),
    ("text", "x" * 9, None),
    ("data", "0aff", "data: expected hexadecimal digits after 0x"),
    ("data", "0x0", "data: expected an even number of hexadecimal digits after 0x"),
    ("path", "", "path: expected a path, got an empty one"),
    ("path", "a\0b", "path: a path holds no NUL"),
    ("path", "~nobody-of-this-name/x", "path: Could not determine home directory."),
    ("colour", "gren", "colour: 'gren' is not one of 'red', 'green'; did you mean 'green'?"),
    ("colour", {}, "colour: a table is not one of 'red', 'green'"),
    ("mode", "slow", "mode: 'slow' is not one of 'fast', 'safe', 3"),
    ("mode", True, "mode: bool true is not one of 'fast', 'safe', 3"),
    ("maybe", "a", "maybe: expected int, got 'a'"),
    ("either", [], "either: expected int or str, got a list"),
    ("pair", [1], "pair: expected 2 values, got 1"),
    ("pair", [1, 2], "pair[1]: expected str, got int 2"),
    ("many", [1, "a", 2.0], "many[1]: expected int, got 'a' | many[2]: expected int, got float 2.0"),
    ("many", 1, "many: expected a list, got int 1"),
    ("table", [], "table: expected a table, got a list"),
    ("table", {"a": "b"}, "table.a: expected int, got 'b'"),
    ("inner", {}, "inner.depth: missing; expected int; Depth"),
    ("inner", {"depth": 0}, "inner.depth: must be at least 1, got 0"),
    ("inner", {"depth": 10, "dept": 1}, None),
    ("inners", [{"depth": 1}, {"depth": 99}], "inners[1].depth: must be at most 9, got 99"),
    ("length", "a", "length: needs at least 2 characters, got 1"),
    ("length", "abcde", "length: may have at most 4 characters, got 5"),
    ("form", "1a", "form: '1a' does not have the form [a-z][0-9]"),
    ("choice", "rihgt", "choice: 'rihgt' is not one of 'left', 'right'; did you mean 'right'?"),
    ("upper", 7, None),
    ("bounded", 1, "bounded: must be at least 2, got 1"),
    ("even", 3, "even: must be even, got 3"),
    ("colou", "red", "colou: unknown key; did you mean 'colour'?"),
    ("password", "abc", None),
]


def structured(table: object) -> tuple[Everything | None, str]:
    structurer = Structurer(Source(file="node.toml", folder=Path("home")))
    result = structurer.structure(Everything, table, ())
    return result, " | ".join(str(problem).removeprefix("node.toml: ") for problem in structurer.problems)


@pytest.mark.parametrize(("key", "value", "expected"), GOOD)
def test_values_become_what_the_annotation_says(key: str, value: object, expected: object) -> None:
    result, found = structured({key: value})

    assert found == ""
    assert getattr(result, key) == expected
    assert type(getattr(result, key)) is type(expected)


@pytest.mark.parametrize(("key", "value", "expected"), [row for row in BAD if row[2] is not None])
def test_what_is_wrong_is_said(key: str, value: object, expected: str) -> None:
    result, found = structured({key: value})

    assert result is None
    assert found == expected


def test_all_problems_are_found_at_once() -> None:
    bad = [row for row in BAD if row[2] is not None]
    table = {key: value for key, value, _ in bad}
    last = {key: text for key, _, text in bad}

    _, found = structured(table)

    assert sorted(found.split(" | ")) == sorted(part for text in last.values() for part in text.split(" | "))


def test_a_rule_between_fields_is_reported_at_the_table() -> None:
    assert structured({"count": 101})[1] == "a count above 100 needs the flag"


def test_a_field_that_begins_with_an_underscore_is_set_without_it() -> None:
    result, _ = structured({"private": 3})

    assert result is not None
    assert result._private == 3


@pytest.mark.parametrize("key", ["password", "private_key", "api_key", "mnemonic"])
def test_secrets_are_refused_and_never_shown(key: str) -> None:
    result, found = structured({key: "hunter2", "table": {key: 1}})

    assert result is None
    assert found.count("a secret must not stand in a configuration") == 2
    assert "hunter2" not in found


@pytest.mark.parametrize(
    ("key", "text", "expected"),
    [
        ("flag", "true", True),
        ("count", "7", 7),
        ("ratio", "2.5", 2.5),
        ("text", "7", "7"),
        ("text", 'a"b', 'a"b'),
        ("path", "x", Path("home/x")),
        ("data", "0x01", b"\x01"),
        ("colour", "green", Colour.GREEN),
        ("mode", "3", 3),
        ("maybe", "4", 4),
        ("many", "[1, 2]", (1, 2)),
        ("table", "{a = 1}", {"a": 1}),
    ],
)
def test_text_of_a_variable_takes_the_type_of_its_key(key: str, text: str, expected: object) -> None:
    result, found = structured({key: EnvironmentText(text)})

    assert found == ""
    assert getattr(result, key) == expected


@pytest.mark.parametrize("text", ["yes", "", "\n", "1\nb = 2", "[" * 5000])
def test_text_of_a_variable_that_does_not_fit_is_refused(text: str) -> None:
    assert structured({"count": EnvironmentText(text)})[1].startswith("count: expected int, got ")


_VALUES = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=9)),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=5), inner, max_size=3)),
    max_leaves=6,
)
_FIELDS = st.sampled_from([row[0] for row in (*GOOD, *BAD)])


@given(st.dictionaries(_FIELDS, _VALUES, max_size=6))
def test_any_table_gives_a_value_or_problems(table: dict[str, object]) -> None:
    result, found = structured(table)

    assert (result is None) == bool(found)
