from __future__ import annotations

import tomllib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lazai_core.config.toml_lines import index_lines, line_of

TEXT = '''# a comment [with] "marks
title = "x = [" # = "
a.b."c.d" = 1
'e f' = 2

[one]
list = [
  "]", # ]
  { x = 1 },
]
after = 1
text = """
[not.a.table]
key = 2
\\"""
"""
last = """two quotes"""""
raw = \'\'\'\\\'\'\'

[[many]]
x = 1
[many.sub]
y = 2
[[many]]
x = 3
[[many.deep]]
z = 4
[[many.deep]]
z = 5
[one.two]
q = { r = { s = 1 } }'''

LINES = {
    ("title",): 2,
    ("a",): 3,
    ("a", "b"): 3,
    ("a", "b", "c.d"): 3,
    ("e f",): 4,
    ("one",): 6,
    ("one", "list"): 7,
    ("one", "after"): 11,
    ("one", "text"): 12,
    ("one", "last"): 17,
    ("one", "raw"): 18,
    ("many",): 20,
    ("many", 0): 20,
    ("many", 0, "x"): 21,
    ("many", 0, "sub"): 22,
    ("many", 0, "sub", "y"): 23,
    ("many", 1): 24,
    ("many", 1, "x"): 25,
    ("many", 1, "deep"): 26,
    ("many", 1, "deep", 0): 26,
    ("many", 1, "deep", 0, "z"): 27,
    ("many", 1, "deep", 1): 28,
    ("many", 1, "deep", 1, "z"): 29,
    ("one", "two"): 30,
    ("one", "two", "q"): 31,
}


@pytest.mark.parametrize("ending", ["\n", "\r\n"])
def test_every_key_has_its_line(ending: str) -> None:
    text = TEXT.replace("\n", ending)
    tomllib.loads(text)

    assert index_lines(text) == LINES


def test_keys_inside_a_value_have_the_line_of_what_is_around_them() -> None:
    lines = index_lines(TEXT)

    assert line_of(lines, ("one", "two", "q", "r", "s")) == 31
    assert line_of(lines, ("many", 1, "absent")) == 24
    assert line_of(lines, ("absent",)) == 0


_KEYS = st.text(alphabet=st.characters(exclude_categories=["Cs", "Cc"]), max_size=6)
_VALUES = st.recursive(
    st.one_of(st.integers(-9, 9), st.booleans(), st.text(max_size=9)),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(_KEYS, inner, max_size=3)),
    max_leaves=8,
)


@given(st.dictionaries(_KEYS, _VALUES, max_size=5), st.booleans())
def test_written_tables_are_indexed_without_fail(table: dict[str, object], multiline: bool) -> None:
    import tomli_w

    text = tomli_w.dumps(table, multiline_strings=multiline)

    lines = index_lines(text)

    rows = text.split("\n")
    for key in tomllib.loads(text):
        path = (key, 0) if (key, 0) in lines else (key,)
        row = rows[line_of(lines, path) - 1]
        assert key in next(iter(_first_key(row)), key)


def _first_key(row: str) -> list[str]:
    """The first key of a line, read by tomllib from a document of this line only, where that is one."""
    for document in (row, row + "]", row + "}", row + '"""'):
        try:
            return [next(iter(tomllib.loads(document)))]
        except (ValueError, StopIteration):
            continue
    return []
