"""Provable security of the proof of a computation, round by round, in the words of `security`."""

from __future__ import annotations

from ..parameters import ParameterSet
from ..security import Regime, Round, Security, all_regimes, field_bits, opening_rounds
from .definition import Air
from .protocol import bus_code, log_columns


def air_security(air: Air, parameters: ParameterSet) -> Security:
    """Errors of all challenges of PROTOCOL.md, section 12; a list of tables may stand behind the commitment."""
    variables = air.log_rows + log_columns(air)
    rows = _before_the_opening(air)
    found = []
    for regime in all_regimes():
        factor = regime.list_size(parameters.activations.log_rate)
        before = tuple(
            Round(stage=stage, challenge=challenge, bits=field_bits(factor * max(1.0, numerator)), count=max(1, count))
            for stage, challenge, numerator, count in rows
        )
        found.append((regime, (*before, *opening_rounds("open", variables, parameters.activations, regime))))
    regime, rounds = max(found, key=lambda entry: min(one.bits for one in entry[1]))
    return Security(rounds=rounds, activations=regime, weights=Regime(multiplicity=0))


def _before_the_opening(air: Air) -> list[tuple[str, str, float, int]]:
    """Stage, challenge, numerator of the error over |K| for one table, and how often it is drawn."""
    code, tape = bus_code(air), air.tape()
    claims = len(tape.cells) + len(code.tape.cells) + len(air.publics)
    rows: list[tuple[str, str, float, int]] = []
    if air.entries:
        leaves = air.log_rows + code.log_entries
        degree = max(len(entry.values) for entry in air.entries)
        rows += [
            ("buses", "alpha and beta, logarithmic derivative", degree * 2.0**leaves, 1),
            ("fraction tree", "mix of numerator and denominator", 1, leaves),
            ("fraction tree", "round of a level, degree 2", 2, leaves * (leaves - 1) // 2),
            ("fraction tree", "child", 1, leaves),
        ]
    return [
        *rows,
        ("constraints", "mix, and the point of rows", len(air.constraints) + air.log_rows, 1),
        ("constraints", f"round, degree {air.degree}", air.degree, air.log_rows),
        ("claims", "join", max(1, claims - 1), 1),
    ]
