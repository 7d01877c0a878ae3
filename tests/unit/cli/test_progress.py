from __future__ import annotations

import io
import sys

import pytest

from lazai_core.cli.progress import progress


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize("term", ["xterm", "dumb"])
def test_a_terminal_gets_a_bar_unless_it_cannot_move(monkeypatch: pytest.MonkeyPatch, term: str) -> None:
    stream = Terminal()
    monkeypatch.setattr(sys, "stderr", stream)
    monkeypatch.setenv("TERM", term)

    with progress("speed") as report:
        report(1, 4, "warming up")
        report(4, 4, "done")

    assert ("\x1b[" in stream.getvalue()) == (term == "xterm")


def test_elsewhere_one_line_says_that_it_began(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = io.StringIO()
    monkeypatch.setattr(sys, "stderr", stream)

    with progress("speed") as report:
        report(1, 4, "warming up")

    assert stream.getvalue() == "speed …\n"


def test_a_bar_is_taken_away_when_the_work_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", Terminal())
    monkeypatch.setenv("TERM", "xterm")

    with pytest.raises(ZeroDivisionError), progress("speed"):
        raise ZeroDivisionError
