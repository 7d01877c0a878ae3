"""Rank-one constraints to PLONK gates, row for row as snarkjs does it, so that keys come out equal.

A gate is qm ab + ql a + qr b + qo c + qc + PI = 0 over three wires. Public values come first. Linear combinations
that are too long are shortened by addition gates, each of which defines a new wire from the two first terms.
"""

from __future__ import annotations

from attrs import define, field, frozen

from lazai_core.api.errors import EncodingError

from .files.r1cs import R1cs, Terms
from .parameters import ORDER, POWER_MAX

SUM_TERMS = 3


@define(kw_only=True)
class GateList:
    """Rows under construction: wire ids and selectors by row, and the additions that extend the witness.

    An addition (first, second, scale, scale) gives the next new wire's value.
    """

    public: int
    variables: int
    a: list[int] = field(factory=list, repr=False)
    b: list[int] = field(factory=list, repr=False)
    c: list[int] = field(factory=list, repr=False)
    qm: list[int] = field(factory=list, repr=False)
    ql: list[int] = field(factory=list, repr=False)
    qr: list[int] = field(factory=list, repr=False)
    qo: list[int] = field(factory=list, repr=False)
    qc: list[int] = field(factory=list, repr=False)
    additions: list[tuple[int, int, int, int]] = field(factory=list, repr=False)

    def row(self, wires: tuple[int, int, int], selectors: tuple[int, int, int, int, int]) -> None:
        """Append one gate; selectors in the order qm, ql, qr, qo, qc."""
        for column, wire in zip((self.a, self.b, self.c), wires, strict=True):
            column.append(wire)
        for selector, value in zip((self.qm, self.ql, self.qr, self.qo, self.qc), selectors, strict=True):
            selector.append(value % ORDER)

    def shorten(self, terms: list[tuple[int, int]], length: int) -> list[tuple[int, int]]:
        """At most `length` terms, by additions; padded with wire 0 times zero."""
        start = 0
        while len(terms) - start > length:
            (first, scale1), (second, scale2) = terms[start], terms[start + 1]
            start += 2
            new = self.variables
            self.variables += 1
            self.row((first, second, new), (0, -scale1, -scale2, 1, 0))
            self.additions.append((first, second, scale1, scale2))
            terms.append((new, 1))
        left = terms[start:]
        return left + [(0, 0)] * (length - len(left))


def gates_of(circuit: R1cs) -> GateList:
    """All rows of a circuit. Raises EncodingError for a circuit that no supported domain holds."""
    gates = GateList(public=circuit.public, variables=circuit.wires)
    for wire in range(1, circuit.public + 1):
        gates.row((wire, 0, 0), (0, 1, 0, 0, 0))
    for index, (left, right, result) in enumerate(circuit.constraints):
        _constraint(gates, _split(left, index), _split(right, index), _split(result, index))
        if len(gates.a) > 1 << POWER_MAX:
            raise EncodingError(f".r1cs: the gates of constraint {index} do not fit a domain of 2^{POWER_MAX}")
    return gates


@frozen
class _Combination:
    """A linear combination: its constant, and the other terms in ascending order of wires.

    `is_nothing` says that it has no term at all; a constant of zero that is written down counts as a term, as it does
    in snarkjs.
    """

    constant: int
    terms: dict[int, int]
    is_nothing: bool = False


def _split(terms: Terms, index: int) -> _Combination:
    by_wire = dict(terms)
    if len(by_wire) != len(terms):
        raise EncodingError(f".r1cs: constraint {index} names a wire twice in one linear combination")
    constant = by_wire.pop(0, 0)
    return _Combination(constant, dict(sorted(by_wire.items())), not terms)


def _constraint(gates: GateList, left: _Combination, right: _Combination, result: _Combination) -> None:
    if left.is_nothing or right.is_nothing:
        _sum(gates, result)
    elif not left.terms:
        _sum(gates, _joined(left.constant, right, result))
    elif not right.terms:
        _sum(gates, _joined(right.constant, left, result))
    else:
        _product(gates, left, right, result)


def _joined(scale: int, factor: _Combination, result: _Combination) -> _Combination:
    """`scale` * factor - result."""
    joined = {wire: scale * value % ORDER for wire, value in factor.terms.items()}
    for wire, value in result.terms.items():
        joined[wire] = (joined.get(wire, 0) - value) % ORDER
    return _Combination((scale * factor.constant - result.constant) % ORDER, dict(sorted(joined.items())))


def _sum(gates: GateList, combination: _Combination) -> None:
    (a, ql), (b, qr), (c, qo) = gates.shorten(list(combination.terms.items()), SUM_TERMS)
    gates.row((a, b, c), (0, ql, qr, qo, combination.constant))


def _product(gates: GateList, left: _Combination, right: _Combination, result: _Combination) -> None:
    ((a, scale_a),) = gates.shorten(list(left.terms.items()), 1)
    ((b, scale_b),) = gates.shorten(list(right.terms.items()), 1)
    ((c, scale_c),) = gates.shorten(list(result.terms.items()), 1)
    constant = left.constant * right.constant - result.constant
    gates.row((a, b, c), (scale_a * scale_b, scale_a * right.constant, scale_b * left.constant, -scale_c, constant))
