"""Bodies that must mean one thing: what is refused, and that nothing but BadJson comes out."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from lazai_api_openai.strict_json import DEPTH_MAX, BadJson, decode_json, decode_object


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ('{"a":1,"a":1}', "'a' is there twice"),
        ('{"a":1,"\\u0061":1}', "'a' is there twice"),
        ('[{"b":{"c":1,"c":2}}]', "'c' is there twice"),
        ("[NaN]", "NaN"),
        ("[-Infinity]", "Infinity"),
        ('"\\udfff"', "UTF-8"),
        ('{"\\uD800":1}', "UTF-8"),
        ("1" * 5_000, "digits"),
        ("[" * (DEPTH_MAX + 1) + "]" * (DEPTH_MAX + 1), "levels"),
        ('{"a":' * 40 + "1" + "}" * 40, "levels"),
        ("", "line 1"),
        ("{} {}", "line 1"),
        ("{'a':1}", "line 1"),
        ('"\x01"', "line 1"),
        ("[1,]", "line 1"),
        ("\ufeff{}", "line 1"),
    ],
)
def test_refused(text: str, reason: str) -> None:
    with pytest.raises(BadJson, match=reason):
        decode_json(text.encode("utf-8", "surrogatepass"))


def test_brackets_in_texts_are_not_depth() -> None:
    assert decode_json(json.dumps(["[" * 100, '\\"{' * 50]).encode()) == ["[" * 100, '\\"{' * 50]


def test_wide_is_not_deep() -> None:
    assert decode_json(b"[" + b"[1]," * 99 + b"[1]]") == [[1]] * 100


@pytest.mark.parametrize("hostile", [b'"' + b'\\"' * 300_000, b"[" * 2_000_000, b'["' * 500_000, b'{"a":' * 400_000])
def test_hostile_bytes_are_refused_in_one_pass(hostile: bytes) -> None:
    with pytest.raises(BadJson):
        decode_json(hostile)


@given(st.binary(max_size=60) | st.text(alphabet='{}[]",:\\0u18.eE-d tfn', max_size=60).map(str.encode))
@example(b"\xef\xbb\xbf{}")
def test_noise_gives_a_value_or_bad_json(data: bytes) -> None:
    try:
        value = decode_json(data)
    except BadJson:
        return
    assert decode_json(json.dumps(value, ensure_ascii=False).encode("utf-8")) == value


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


@given(VALUES)
def test_every_proper_value_is_read(value: Any) -> None:
    assert decode_json(json.dumps(value).encode()) == value
    assert decode_object(json.dumps({"x": value}, ensure_ascii=False).encode()) == {"x": value}


@pytest.mark.parametrize("text", [b"[]", b"null", b'"x"', b"1"])
def test_only_an_object_is_an_object(text: bytes) -> None:
    with pytest.raises(BadJson, match="object"):
        decode_object(text)
