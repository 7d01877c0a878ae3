"""What the demonstration prints where there is no terminal: one line a line, whatever the width."""

from __future__ import annotations

import io

from rich.console import Console

from lazai_core.node.demo_report import DemoReport


def test_plain_lines_are_never_broken_and_stand_under_their_label() -> None:
    out = io.StringIO()
    report = DemoReport(Console(file=out, width=20, highlight=False))

    report.title("A title that is longer than twenty columns")
    with report.step("A name that is longer than twenty columns") as (step, move):
        move(1, 2)
        step.show("image", "##  ##")
        step.show("", "  ##  ")
        step.show("hash", "0x" + "ab" * 32)

    assert out.getvalue().splitlines()[:-1] == [
        "A title that is longer than twenty columns",
        "[1] A name that is longer than twenty columns ...",
        "    image: ##  ##",
        "             ##  ",
        "    hash: 0x" + "ab" * 32,
    ]
