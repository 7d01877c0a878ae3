from __future__ import annotations

import sys

import pytest

from lazai_core.cli.bench import number_text
from lazai_core.cli.output import bytes_text, columns, plural, style, wants_colour


class Terminal:
    def isatty(self) -> bool:
        return True


def test_colours_only_on_a_terminal_that_wants_them(monkeypatch: pytest.MonkeyPatch) -> None:
    assert not wants_colour()
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(sys, "stdout", Terminal())
    assert style("x", "red") == "\x1b[31mx\x1b[0m"
    monkeypatch.setenv("NO_COLOR", "1")
    assert style("x", "red") == "x"
    monkeypatch.delenv("NO_COLOR")
    monkeypatch.setenv("TERM", "dumb")
    assert style("x", "red") == "x"


def test_columns_are_aligned_and_not_padded_at_the_end() -> None:
    rows = [("a", "1", "x"), ("bbb", "22", "")]

    assert columns(rows, indent="  ", right=(1,)) == ["  a     1  x", "  bbb  22"]
    assert columns([]) == []


@pytest.mark.parametrize(
    ("count", "text"),
    [(0, "0 B"), (1023, "1023 B"), (1024, "1.0 KiB"), (3 << 30, "3.0 GiB"), (1 << 60, "1048576.0 TiB")],
)
def test_bytes_in_the_unit_that_reads_best(count: int, text: str) -> None:
    assert bytes_text(count) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [(0, "0"), (0.98764, "0.9876"), (12.3456, "12.35"), (1234567.8, "1,234,568"), (2e-5, "2e-05"), (-5000, "-5,000")],
)
def test_numbers_with_the_digits_that_matter(value: float, text: str) -> None:
    assert number_text(value) == text


def test_plural() -> None:
    assert (plural(1, "problem"), plural(0, "problem")) == ("1 problem", "0 problems")
