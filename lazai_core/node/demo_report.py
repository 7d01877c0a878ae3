"""What the demonstration shows and what it leaves behind: steps with their time and gas, and `summary.json`."""

from __future__ import annotations

import json
import re
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from attrs import define, field
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

SUMMARY_NAME = "summary.json"
SUMMARY_FORMAT = "lazai/demo/v1"


_LONG_HEXADECIMAL = re.compile(r"\b(?:0x)?([0-9a-f]{40,64})\b")


def _brief(text: str) -> str:
    """Hashes and addresses cut in the middle, for a terminal; files and pipes get them whole."""
    return _LONG_HEXADECIMAL.sub(lambda match: f"{match[0][:10]}…{match[0][-4:]}", text)


@define(kw_only=True)
class Step:
    """One step: what was done, how long it took, and facts for people (`shown`) and for scripts (`facts`)."""

    name: str
    seconds: float = 0.0
    shown: list[tuple[str, str]] = field(factory=list)
    facts: dict[str, Any] = field(factory=dict)

    def show(self, label: str, text: object) -> None:
        """A line for people."""
        self.shown.append((label, str(text)))

    def note(self, **facts: Any) -> None:
        """Figures for scripts."""
        self.facts.update(facts)


def _plain_lines(step: Step) -> Iterator[str]:
    """The lines of a step that ended; what has no label stands under the text that has one."""
    indent = ""
    for label, text in step.shown:
        indent = " " * len(f"{label}: ") if label else indent
        yield f"    {label}: {text}" if label else f"    {indent}{text}"
    yield f"    done in {step.seconds:.2f} s"


class DemoReport:
    """Prints each step as it ends: with a bar and colours on a terminal, in plain lines anywhere else."""

    def __init__(self, console: Console | None = None) -> None:
        self._console = console or Console(file=sys.stdout, highlight=False)
        self._is_terminal = self._console.is_terminal
        self._started_ns = time.monotonic_ns()
        self.steps: list[Step] = []

    def title(self, text: str) -> None:
        """The first line."""
        self._console.print(Text(text, style="bold"), soft_wrap=not self._is_terminal)

    def line(self, text: str, style: str = "") -> None:
        """One line that belongs to no step."""
        self._console.print(Text(text, style=style))

    @contextmanager
    def step(self, name: str) -> Iterator[tuple[Step, Callable[[int, int], None]]]:
        """A step in progress; yields it and a function that moves its bar (done, total)."""
        current = Step(name=name)
        began_ns = time.monotonic_ns()
        if self._is_terminal:
            with self._bar(name) as move:
                yield current, move
        else:
            self._plain(f"[{len(self.steps) + 1}] {name} ...")
            yield current, lambda done, total: None
        current.seconds = (time.monotonic_ns() - began_ns) / 1e9
        self.steps.append(current)
        self._print(current)

    def _plain(self, line: str) -> None:
        self._console.print(line, markup=False, soft_wrap=True)

    @contextmanager
    def _bar(self, name: str) -> Iterator[Callable[[int, int], None]]:
        columns = (TextColumn("  {task.description}"), BarColumn(bar_width=24), TimeElapsedColumn())
        with Progress(*columns, console=self._console, transient=True) as bars:
            task = bars.add_task(name, total=None)
            yield lambda done, total: bars.update(task, completed=done, total=total)

    def _print(self, step: Step) -> None:
        number = len(self.steps)
        if not self._is_terminal:
            for line in _plain_lines(step):
                self._plain(line)
            return
        head = Text.assemble(
            ("✓ ", "bold green"), (f"{number:>2} {step.name}", "bold"), (f"  {step.seconds:.2f} s", "dim")
        )
        self._console.print(head)
        table = Table.grid(padding=(0, 2))
        table.add_column(style="cyan", no_wrap=True)
        table.add_column(overflow="fold")
        for label, text in step.shown:
            table.add_row(f"     {label}", _brief(text))
        self._console.print(table)

    @property
    def seconds(self) -> float:
        """Seconds since the beginning."""
        return (time.monotonic_ns() - self._started_ns) / 1e9

    def write_summary(self, folder: Path, facts: Mapping[str, Any]) -> Path:
        """Write `summary.json`: steps with seconds and facts, and what holds for the whole run."""
        path = folder / SUMMARY_NAME
        document = {
            "format": SUMMARY_FORMAT,
            "seconds": round(self.seconds, 3),
            "steps": [{"name": step.name, "seconds": round(step.seconds, 3), **step.facts} for step in self.steps],
            **facts,
        }
        path.write_text(json.dumps(document, indent=2, sort_keys=True) + "\n", encoding="utf-8")
        return path
