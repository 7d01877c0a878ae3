"""Checks a witness gate by gate and names what is violated by the line of source that made it."""

from __future__ import annotations

from attrs import frozen

from .builder import Builder, signed
from .rows import Source


@frozen(kw_only=True)
class Violation:
    """One constraint that does not hold."""

    source: Source
    what: str

    def __str__(self) -> str:
        return f"{self.source}: {self.what}"


def violations(builder: Builder, values: list[int], limit: int = 16) -> list[Violation]:
    """The first violated constraints: gates, lookups, copies. Empty for a right witness."""
    found: list[Violation] = []
    members = {table.tag: (table.name, set(table.rows)) for table in builder.tables.values()}
    for left, right, source in builder.equalities:
        if values[left] != values[right]:
            what = f"copies differ: wire {left} is {signed(values[left])}, wire {right} is {signed(values[right])}"
            found.append(Violation(source=source, what=what))
    for index, gate in enumerate(builder.gates):
        if len(found) >= limit:
            break
        following = builder.gates[index + 1].c if index + 1 < len(builder.gates) else 0
        a, b, c = values[gate.a], values[gate.b], values[gate.c]
        residue = gate.residue(values, following)
        if residue:
            shown = f"a = {signed(a)}, b = {signed(b)}, c = {signed(c)}"
            found.append(
                Violation(source=gate.source, what=f"gate {index} comes to {signed(residue)} instead of 0: {shown}")
            )
        if gate.tag and (a, b) not in members[gate.tag][1]:
            what = f"gate {index}: ({signed(a)}, {signed(b)}) is not in table {members[gate.tag][0]}"
            found.append(Violation(source=gate.source, what=what))
    return found[:limit]
