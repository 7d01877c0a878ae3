"""The growing list of gates, and where in the source each came from."""

from __future__ import annotations

import sys
from types import FrameType

from attrs import define, field, frozen

from ..parameters import ORDER

PACKAGE = __name__.rsplit(".", 1)[0]


@frozen
class Source:
    """The line of the caller's code that made a gate, and the labels that were open there."""

    file: str
    line: int
    label: str

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}"
        return f"{place} ({self.label})" if self.label else place


def calling_source(label: str) -> Source:
    """The innermost line outside of this package of circuits."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None and str(frame.f_globals.get("__name__", "")).startswith(PACKAGE):
        frame = frame.f_back
    if frame is None:
        return Source("<unknown>", 0, label)
    return Source(frame.f_code.co_filename, frame.f_lineno, label)


@define(kw_only=True)
class Gate:
    """qm ab + ql a + qr b + qo c + qn c' + qc = 0, c' being the next row's c; (a, b) in table `tag` unless 0."""

    a: int = 0
    b: int = 0
    c: int = 0
    qm: int = 0
    ql: int = 0
    qr: int = 0
    qo: int = 0
    qn: int = 0
    qc: int = 0
    tag: int = 0
    source: Source = field(repr=False)

    def residue(self, values: list[int], next_c: int) -> int:
        """What the left side comes to; zero where the gate holds."""
        a, b, c = values[self.a], values[self.b], values[self.c]
        linear = self.ql * a + self.qr * b + self.qo * c + self.qn * values[next_c] + self.qc
        return (self.qm * a * b + linear) % ORDER


@frozen(kw_only=True, eq=False)
class Table:
    """A lookup table of pairs; `rows` are canonical field elements."""

    tag: int
    name: str
    rows: tuple[tuple[int, int], ...] = field(repr=False)
    outputs: dict[int, int] = field(repr=False)


@define
class Classes:
    """Wires that were said to be equal (union-find)."""

    _parents: dict[int, int] = field(factory=dict)

    def find(self, wire: int) -> int:
        """The wire that stands for all its equals."""
        root = wire
        while root in self._parents:
            root = self._parents[root]
        while wire != root:
            self._parents[wire], wire = root, self._parents[wire]
        return root

    def join(self, first: int, second: int) -> None:
        """Make two wires one."""
        first, second = self.find(first), self.find(second)
        if first != second:
            self._parents[max(first, second)] = min(first, second)
