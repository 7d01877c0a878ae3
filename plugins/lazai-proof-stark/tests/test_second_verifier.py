"""A verifier of computations written from PROTOCOL.md alone: plain integers, its own transcript, trees and foldings.

It shares nothing with the plugin but the description of the computation and the parameter set's numbers.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from test_attacks_air import DEV, machine

from lazai_core.api.field_kernels import Element
from lazai_core.testing import field_reference as f
from lazai_core.testing.field_reference import P
from lazai_proof_stark.air import Air, prove_air
from lazai_proof_stark.air import prove as prover
from lazai_proof_stark.air.examples.fibonacci import fibonacci, fibonacci_table
from lazai_proof_stark.air.expressions import Cell, Expression, Known, Number

HALF = (P + 1) // 2


class Refused(Exception):
    """A check of PROTOCOL.md failed."""


def check(holds: bool, name: str) -> None:
    if not holds:
        raise Refused(name)


def scaled(value: Element, factor: int) -> Element:
    return f.multiply(value, f.lift(factor))


def inverse(value: Element) -> Element:
    """value^(p^5 - 2)."""
    result = f.ONE
    for bit in f"{P**5 - 2:b}":
        result = f.multiply(result, result)
        result = f.multiply(result, value) if bit == "1" else result
    return result


def eq(z: Sequence[Element], x: Sequence[Element]) -> Element:
    result = f.ONE
    for a, b in zip(z, x, strict=True):
        both = f.multiply(f.subtract(f.ONE, a), f.subtract(f.ONE, b))
        result = f.multiply(result, f.add(f.multiply(a, b), both))
    return result


def bits(index: int, count: int) -> list[Element]:
    return [f.lift(index >> bit & 1) for bit in range(count)]


class Reading:
    """Section 3's transcript and section 2's wire form."""

    def __init__(self, domain: str, proof: bytes) -> None:
        self.state = hashlib.sha256(b"lazai/transcript/v1" + self.frame("domain", domain.encode())).digest()
        self.proof, self.offset = proof, 0

    @staticmethod
    def frame(label: str, data: bytes) -> bytes:
        return len(label).to_bytes(2, "big") + label.encode() + len(data).to_bytes(8, "big") + data

    def absorb(self, label: str, data: bytes) -> None:
        self.state = hashlib.sha256(b"\0" + self.state + self.frame(label, data)).digest()

    def draw(self, label: str, count: int) -> bytes:
        self.state = hashlib.sha256(b"\1" + self.state + self.frame(label, count.to_bytes(8, "big"))).digest()
        blocks = range(-(-count // 32))
        return b"".join(hashlib.sha256(self.state + i.to_bytes(8, "big")).digest() for i in blocks)[:count]

    def integers(self, label: str, modulus: int, count: int) -> list[int]:
        size = (modulus - 1).bit_length()
        width = (size + 7) // 8
        found: list[int] = []
        while len(found) < count:
            stream = self.draw(label, 2 * (count - len(found)) * width)
            drawn = [int.from_bytes(stream[i : i + width], "big") % (1 << size) for i in range(0, len(stream), width)]
            found += [value for value in drawn if value < modulus]
        return found[:count]

    def challenges(self, label: str, count: int = 1) -> list[Element]:
        flat = self.integers(label, P, 5 * count)
        return [tuple(flat[i : i + 5]) for i in range(0, 5 * count, 5)]  # type: ignore[misc]

    def take(self, size: int) -> bytes:
        check(self.offset + size <= len(self.proof), "length")
        self.offset += size
        return self.proof[self.offset - size : self.offset]

    def words(self, count: int) -> list[int]:
        data = self.take(4 * count)
        residues = [int.from_bytes(data[i : i + 4], "little") for i in range(0, 4 * count, 4)]
        check(all(residue < P for residue in residues), "canonical")
        return [residue * pow(1 << 32, -1, P) % P for residue in residues]

    def elements(self, label: str, count: int) -> list[Element]:
        start = self.offset
        flat = self.words(5 * count)
        self.absorb(label, self.proof[start : self.offset])
        return [tuple(flat[i : i + 5]) for i in range(0, 5 * count, 5)]  # type: ignore[misc]

    def digests(self, label: str, count: int) -> list[bytes]:
        data = self.take(32 * count)
        self.absorb(label, data)
        return [data[i : i + 32] for i in range(0, len(data), 32)]


def use(name: str) -> bytes:
    return hashlib.sha256(f"lazai/stark/{name}/v1".encode()).digest()


def opened(reading: Reading, indices: Sequence[int], words: int, log_leaves: int, cap: Sequence[bytes]) -> list[Any]:
    """Section 4, V1: rows at ascending distinct indices, then the siblings that cannot be computed."""
    rows, nodes = [], {}
    for index in indices:
        start = reading.offset
        rows.append(reading.words(words))
        data = reading.proof[start : reading.offset]
        nodes[index] = f.keyed_blake3(use("merkle leaf"), data.ljust(-(-len(data) // 64) * 64, b"\0"))
    for _ in range(log_leaves - (len(cap).bit_length() - 1)):
        above: dict[int, bytes] = {}
        for index in sorted(nodes):
            if index // 2 in above:
                continue
            other = nodes[index ^ 1] if index ^ 1 in nodes else reading.take(32)
            pair = other + nodes[index] if index % 2 else nodes[index] + other
            above[index // 2] = f.keyed_blake3(use("merkle node"), pair)
        nodes = above
    check(all(cap[index] == digest for index, digest in nodes.items()), "V1")
    return rows


def opening(
    reading: Reading,
    v: int,
    cap: list[bytes],
    value: Element,
    weight_at: Callable[[list[Element]], Element],
    code: Any = DEV.activations,
) -> None:
    """Section 5; `code` holds the commitment's parameters."""
    c = min(8, max(4, (v - 6) // 2))
    length, claim, bound = v - c + code.log_rate, value, []

    def round_() -> Element:
        nonlocal claim
        at_zero, leading = reading.elements("round", 2)
        (r,) = reading.challenges("round")
        at_one = f.subtract(claim, at_zero)
        linear = f.subtract(f.subtract(at_one, at_zero), leading)
        claim = f.add(at_zero, f.multiply(r, f.add(linear, f.multiply(r, leading))))
        bound.append(r)
        return r

    for _ in range(c):
        round_()
    columns, layers, left, size = f.eq_table(bound[::-1]), [], v - c - 5, length
    while left:
        group = min(code.log_arity, left)
        layer_cap = reading.digests("layer", 1 << min(code.cap_height, size - group))
        layers.append((group, layer_cap, [round_() for _ in range(group)]))
        left, size = left - group, size - group
    final = reading.elements("final", 32)
    last = [round_() for _ in range(5)]
    probe = Reading.__new__(Reading)
    probe.state = reading.state
    seed = probe.draw("grind", 32)
    nonce = reading.take(8)
    reading.absorb("grind", nonce)
    work = int.from_bytes(f.keyed_blake3(use("grinding"), seed + nonce + bytes(24))[:4], "little")
    check(work >> (32 - code.grinding_bits) == 0 and nonce[7] < 64, "V3")
    table = f.eq_table(last[::-1])
    at_point = f.total([f.multiply(a, b) for a, b in zip(final, table, strict=True)])
    check(f.multiply(at_point, weight_at(bound[::-1])) == claim, "V4")
    places = sorted(set(reading.integers("queries", 1 << length, code.queries)))
    rows = opened(reading, places, 1 << c, length, cap)
    values = [f.total([scaled(w, x) for w, x in zip(columns, row, strict=True)]) for row in rows]
    size = length
    for group, layer_cap, challenges in layers:
        short = size - group
        leaves = sorted({place % (1 << short) for place in places})
        found = dict(zip(leaves, opened(reading, leaves, 5 << group, short, layer_cap), strict=True))
        for place, expected in zip(places, values, strict=True):
            row, k = found[place % (1 << short)], place >> short
            check(tuple(row[5 * k : 5 * k + 5]) == expected, "V5")
        values = [folded(found[leaf], leaf, size, challenges) for leaf in leaves]
        places, size = leaves, short
    root = f.root_of_unity(size)
    for place, value_ in zip(places, values, strict=True):
        powers = [pow(root, place * f.reversed_bits(i, 5), P) for i in range(32)]
        check(f.total([scaled(m, x) for m, x in zip(final, powers, strict=True)]) == value_, "V6")


def folded(row: Sequence[int], leaf: int, log_size: int, challenges: Sequence[Element]) -> Element:
    """(1 - r)(a + b)/2 + r (a - b)/(2 w^k) for pairs half a code word apart."""
    current: list[Element] = [tuple(row[i : i + 5]) for i in range(0, len(row), 5)]  # type: ignore[misc]
    for r in challenges:
        half = len(current) // 2
        root = pow(f.root_of_unity(log_size), -1, P)
        following = []
        for k in range(half):
            position = leaf + k * ((1 << log_size) // (2 * half))
            even = scaled(f.add(current[k], current[k + half]), HALF)
            odd = scaled(f.subtract(current[k], current[k + half]), HALF * pow(root, position, P))
            following.append(f.add(even, f.multiply(r, f.subtract(odd, even))))
        current, log_size = following, log_size - 1
    return current[0]


def fraction_tree(reading: Reading, variables: int) -> tuple[list[Element], Element, Element]:
    """Section 7, V7 and V8."""
    (root,) = reading.elements("root", 1)
    p0, p1, q0, q1 = reading.elements("children", 4)
    crossed = f.add(f.multiply(p0, q1), f.multiply(p1, q0))
    check(root != f.ZERO and crossed == f.ZERO and f.multiply(q0, q1) == root, "V7")
    (r,) = reading.challenges("child")
    point, p, q = [r], f.fold([p0, p1], r)[0], f.fold([q0, q1], r)[0]
    for _ in range(1, variables):
        (mix,) = reading.challenges("mix")
        claim, bound = f.add(p, f.multiply(mix, q)), []
        for z in reversed(point):
            at_zero, leading = reading.elements("round", 2)
            (r,) = reading.challenges("round")
            at_one = f.add(at_zero, f.multiply(f.subtract(claim, at_zero), inverse(z)))
            linear = f.subtract(f.subtract(at_one, at_zero), leading)
            claim = f.add(at_zero, f.multiply(r, f.add(linear, f.multiply(r, leading))))
            bound.append(r)
        p0, p1, q0, q1 = reading.elements("children", 4)
        inner = f.add(f.multiply(p0, q1), f.multiply(q0, f.add(p1, f.multiply(mix, q1))))
        check(inner == claim, "V8")
        (r,) = reading.challenges("child")
        point, p, q = [*bound[::-1], r], f.fold([p0, p1], r)[0], f.fold([q0, q1], r)[0]
    return point, p, q


def cells_of(expressions: Sequence[Expression]) -> list[tuple[bool, int]]:
    """Cells that are read, sorted by (in the next row, column)."""
    found, stack = set(), list(expressions)
    while stack:
        node = stack.pop()
        if isinstance(node, Cell):
            found.add((node.is_next, node.column))
        stack += [child for child in (getattr(node, "left", None), getattr(node, "right", None)) if child is not None]
    return sorted(found)


def evaluated(node: Any, cells: dict[tuple[bool, int], Element], point: Sequence[Element]) -> Element:
    """A polynomial at a point of the rows, known columns from their definition."""
    if isinstance(node, Number):
        return f.lift(node.value)
    if isinstance(node, Cell):
        return cells[node.is_next, node.column]
    if isinstance(node, Known) and node.values:
        low = f.eq_table(point[: len(node.values).bit_length() - 1])
        return f.total([scaled(weight, value) for weight, value in zip(low, node.values, strict=True)])
    if isinstance(node, Known):
        return eq(bits(node.row, len(point)), point)
    left, right = evaluated(node.left, cells, point), evaluated(node.right, cells, point)
    return (f.add, f.subtract, f.multiply)[node.kind](left, right)


def through(values: Sequence[Element], x: Element) -> Element:
    """The polynomial with these values at 0, 1, 2, ... at x (Lagrange)."""
    result = f.ZERO
    for i, value in enumerate(values):
        for j in range(len(values)):
            if j != i:
                value = scaled(f.multiply(value, f.subtract(x, f.lift(j))), pow(i - j, -1, P))
        result = f.add(result, value)
    return result


def shifted(z: Sequence[Element], row: Sequence[Element]) -> Element:
    plain, carried = f.ZERO, f.ONE
    for a, b in zip(z, row, strict=True):
        same = f.add(f.multiply(a, b), f.multiply(f.subtract(f.ONE, a), f.subtract(f.ONE, b)))
        ends, goes_on = f.multiply(f.subtract(f.ONE, a), b), f.multiply(a, f.subtract(f.ONE, b))
        plain, carried = f.add(f.multiply(plain, same), f.multiply(carried, ends)), f.multiply(carried, goes_on)
    return f.add(plain, carried)


def verify(air: Air, publics: Sequence[int], proof: bytes) -> None:
    """Section 12. Raises Refused."""
    r, n = air.log_rows, len(air.columns)
    v = r + max((n - 1).bit_length(), 10 - r)
    check(len(publics) == len(air.publics) and all(0 <= value < P for value in publics), "V12")
    reading = Reading("lazai/stark/air/v1", proof)
    reading.absorb("parameters", DEV.digest)
    reading.absorb("computation", air.digest())
    encoded = b"".join(value.to_bytes(4, "big") for value in [len(publics), *publics])
    reading.absorb("public", encoded)
    c, code = min(8, max(4, (v - 6) // 2)), DEV.activations
    cap = reading.digests("columns", 1 << min(code.cap_height, v - c + code.log_rate))
    bus_point: list[Element] = []
    bus_claims: list[tuple[int, Element]] = []
    if air.entries:
        alpha, beta = reading.challenges("bus", 2)
        s = (len(air.entries) - 1).bit_length()
        point, p, q = fraction_tree(reading, r + s)
        bus_point, high = point[:r], point[r:]
        columns = cells_of([e for entry in air.entries for e in (entry.count, *entry.values)])
        sent = dict(zip(columns, reading.elements("bus cells", len(columns)), strict=True))
        weights = f.eq_table(high)
        numerator, denominator = f.ZERO, f.total(weights[len(air.entries) :])
        for weight, entry in zip(weights, air.entries, strict=False):
            key, power = f.lift(entry.bus + 1), alpha
            for expression in entry.values:
                key = f.add(key, f.multiply(power, evaluated(expression, sent, bus_point)))
                power = f.multiply(power, alpha)
            numerator = f.add(numerator, f.multiply(weight, evaluated(entry.count, sent, bus_point)))
            denominator = f.add(denominator, f.multiply(weight, f.subtract(beta, key)))
        check((numerator, denominator) == (p, q), "V13")
        bus_claims = [(column, sent[is_next, column]) for is_next, column in columns]
    (mix,) = reading.challenges("constraints")
    z = reading.challenges("rows", r)
    last = Known(1, air.rows - 1)
    polynomials = [
        entry.expression * (1 - last) if entry.is_transition else entry.expression for entry in air.constraints
    ]
    degree = max([polynomial.degree for polynomial in polynomials], default=2)
    claim, bound = f.ZERO, []
    for coordinate in reversed(z):
        sent_values = reading.elements("round", degree)
        (x,) = reading.challenges("round")
        at_one = f.add(sent_values[0], f.multiply(f.subtract(claim, sent_values[0]), inverse(coordinate)))
        claim = through([sent_values[0], at_one, *sent_values[1:]], x)
        bound.append(x)
    point = bound[::-1]
    cells = cells_of(polynomials)
    values = reading.elements("cells", len(cells))
    total, power = f.ZERO, f.ONE
    for polynomial in polynomials:
        total = f.add(total, f.multiply(power, evaluated(polynomial, dict(zip(cells, values, strict=True)), point)))
        power = f.multiply(power, mix)
    check(total == claim, "V14")
    (join,) = reading.challenges("join")
    claims: list[tuple[Element, Callable[[list[Element], list[Element]], Element]]] = []
    for (is_next, column), value in zip(cells, values, strict=True):
        claims.append((value, functional(shifted if is_next else eq, point, column, v - r)))
    for column, value in bus_claims:
        claims.append((value, functional(eq, bus_point, column, v - r)))
    for cell, public in zip(air.publics, publics, strict=True):
        claims.append((f.lift(public), functional(eq, bits(cell.row, r), cell.column, v - r)))

    def joined(parts: Sequence[Element]) -> Element:
        power, total = f.ONE, f.ZERO
        for part in parts:
            total, power = f.add(total, f.multiply(power, part)), f.multiply(power, join)
        return total

    def weight_at(at: list[Element]) -> Element:
        return joined([weigh(at[:r], at[r:]) for _, weigh in claims])

    opening(reading, v, cap, joined([value for value, _ in claims]), weight_at)
    check(reading.offset == len(proof), "trailing bytes")


def functional(
    rows: Callable[[Sequence[Element], Sequence[Element]], Element], point: Sequence[Element], column: int, size: int
) -> Callable[[list[Element], list[Element]], Element]:
    return lambda row, col: f.multiply(rows(point, row), eq(bits(column, size), col))


def cases() -> list[tuple[Air, list[int], bytes]]:
    air, table = fibonacci(6), fibonacci_table(6)
    clock = Air("clock", ("a",), 5)
    clock.transition("counts", clock.following["a"] - (1 - clock.every(4, offset=3)) * (clock.row["a"] + 1))
    clock.boundary("begins", 0, clock.row["a"] * clock.fixed("pattern", [3, 1, 4, 1]))
    clock.public("a", -1)
    counted = {"a": [row % 4 for row in range(32)]}
    memory, _, publics, proof = machine()
    return [
        (air, prover.public_values(air, table), prove_air(air, table, DEV)),
        (clock, [3], prove_air(clock, counted, DEV)),
        (memory, publics, proof),
    ]


def test_a_verifier_written_from_the_protocol_accepts_and_refuses() -> None:
    for air, publics, proof in cases():
        verify(air, publics, proof)
        with pytest.raises(Refused):
            verify(air, [(publics[0] + 1) % P, *publics[1:]], proof)
        for offset in range(0, len(proof), len(proof) // 12):
            changed = proof[:offset] + bytes([proof[offset] ^ 1]) + proof[offset + 1 :]
            with pytest.raises(Refused):
                verify(air, publics, changed)
        for changed in (proof[:-4], proof + bytes(4)):
            with pytest.raises(Refused):
                verify(air, publics, changed)
