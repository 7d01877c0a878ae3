"""A verifier of programs written from PROTOCOL.md (sections 1 to 11, 13 and 14) and docs/EXACT.md.

It shares nothing with the plugin but the parameter sets' numbers; programs are lazai_core's. Slow by intent: every
functional is a whole tensor, and only where operands of products depend on it are the text's factors kept.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from second_compiler import Compiler
from second_dense import Linear
from second_factors import Bilinear, Term
from second_field import (
    ONE,
    ZERO,
    Array,
    bits_weight,
    element,
    elements,
    eq_table,
    lift,
    plain,
    powers,
    scaled,
    times,
    total,
)
from second_forms import Form
from second_gadgets import Circuit, Sizes
from second_layout import Layout, Piece, Placed, lay_out, pieces, uncut
from second_statement import check_statement, input_tensors
from test_second_verifier import Reading, Refused, check, fraction_tree, opening

from lazai_core.api.encoding import Reader, domain_hash
from lazai_core.api.errors import EncodingError, InvalidProgram
from lazai_core.api.program import Program
from lazai_core.api.proof import Statement, VerifyingKey
from lazai_core.testing.field_reference import P


@dataclass(frozen=True, kw_only=True)
class Code:
    log_rate: int
    queries: int
    grinding_bits: int
    log_arity: int = 3
    cap_height: int = 4


@dataclass(frozen=True, kw_only=True)
class Set:
    bits: int
    activations: Code
    weights: Code
    tree_max: int


def _set(bits: int, first: tuple[int, int, int], second: tuple[int, int, int], tree_max: int = 28) -> Set:
    codes = [Code(log_rate=rate, queries=queries, grinding_bits=work) for rate, queries, work in (first, second)]
    return Set(bits=bits, activations=codes[0], weights=codes[1], tree_max=tree_max)


SETS = {
    "proven100": _set(100, (3, 102, 16), (2, 124, 16)),
    "proven128": _set(128, (3, 133, 18), (2, 163, 18), 24),
    "dev": _set(10, (2, 8, 4), (2, 8, 4)),
}


@dataclass(kw_only=True)
class Key:
    program: Program
    name: str
    sizes: Sizes
    shifts: dict[int, list[int]]
    channel_bounds: dict[int, list[int]]
    cap: list[bytes]

    @property
    def set_digest(self) -> bytes:
        parameters = SETS[self.name]
        words = [parameters.bits]
        for code in (parameters.activations, parameters.weights):
            words += [code.log_rate, code.queries, code.grinding_bits, code.log_arity, code.cap_height]
        name = len(self.name).to_bytes(4, "big") + self.name.encode()
        data = name + b"".join(word.to_bytes(4, "big") for word in words)
        return domain_hash("lazai/stark/parameters/v1", data)


def _signed(reader: Reader) -> int:
    value = reader.u32()
    return value - (1 << 32) if value >> 31 else value


def _vectors(reader: Reader) -> dict[int, list[int]]:
    listed = reader.sequence(lambda r: (r.u32(), list(r.sequence(_signed, limit=1 << 24))), limit=1 << 16)
    indices = [index for index, _ in listed]
    check(indices == sorted(set(indices)), "key: order")
    return dict(listed)


def read_key(data: bytes) -> Key:
    """Section 9. Raises Refused."""
    try:
        return _read_key(data)
    except (EncodingError, InvalidProgram) as cause:
        raise Refused(f"key: {cause}") from cause


def _read_key(data: bytes) -> Key:
    reader = Reader(data)
    # The gas that the key pays for bounds a verifier's work, not its verdict.
    reader.u64()
    program = Program.from_skeleton(reader.bytes_(1 << 24))
    weight_key = Reader(reader.bytes_(1 << 30))
    reader.finish()
    name, range_bits = weight_key.text(64), weight_key.u8()
    check(name in SETS and 8 <= range_bits <= 18, "key: sizes")
    clamps = weight_key.sequence(lambda r: (r.u32(), r.u32(), r.boolean(), r.boolean()), limit=1 << 16)
    check(all(reach >= 1 for _, reach, _, _ in clamps), "key: reach")
    shifts, channel_bounds = _vectors(weight_key), _vectors(weight_key)
    cap = weight_key.bytes_(1 << 20)
    weight_key.finish()
    # Vectors that no operation reads are not looked at, as the plugin does it.
    shifting = [op for op in program.ops if op.kind == "requantize" and len(op.operands) == 2]
    for index in {op.operands[1] - program.first_constant for op in shifting}:
        vector = shifts.get(index, [])
        check(all(-128 <= s < 128 for s in vector), "key: shifts")
        stored = bytes(s % 256 for s in vector)
        check(hashlib.sha256(stored).digest() == program.constants[index].digest, "key: shifts")
    for index, bounds in channel_bounds.items():
        check(index < len(program.ops) and program.ops[index].kind in ("dense", "conv2d"), "key: bounds")
        bias = program.constants[program.ops[index].operands[2] - program.first_constant]
        check(len(bounds) == bias.shape[0] and min(bounds) >= 0, "key: bounds")
    return Key(
        program=program,
        name=name,
        sizes=Sizes(range_bits=range_bits, clamps=list(clamps)),
        shifts=shifts,
        channel_bounds=channel_bounds,
        cap=[cap[i : i + 32] for i in range(0, len(cap), 32)],
    )


def committed_constants(program: Program) -> list[int]:
    """Those that an operation other than requantize's shifts reads."""
    read = set()
    for op in program.ops:
        operands = op.operands[:1] if op.kind == "requantize" else op.operands
        read |= {operand - program.first_constant for operand in operands if program.values[operand].is_constant}
    return sorted(read)


def _challenge(reading: Reading, label: str) -> Array:
    return element(reading.challenges(label)[0])


def _place_weight(point: Array, placed: Placed) -> Array:
    """pi: the high bits of a region's places."""
    bits = placed.piece.variables
    return bits_weight(point[bits:], placed.offset >> bits)


def _cap_height(layout: Layout, code: Code) -> int:
    v = layout.variables
    return min(code.cap_height, v - min(8, max(4, (v - 6) // 2)) + code.log_rate)


@dataclass(eq=False, kw_only=True)
class Prepared:
    """The circuit of one key and input, with its layouts."""

    circuit: Circuit
    activations: Layout
    weights: Layout
    tree: Layout

    def check_limits(self, tree_max: int) -> None:
        """Of section 9, and of the end of section 14.3."""
        check(self.activations.variables <= 26 and self.weights.variables <= 27, "security: commitments")
        check(self.tree.variables <= tree_max, "security: tree")
        check(len(self.circuit.equalities) <= 1 << 16, "security: equalities")
        lookups = [placed for placed in self.tree.placed if placed.owner < len(self.circuit.lookups)]
        padded = [sum(1 << placed.piece.variables for placed in of) for of in (lookups, self.activations.placed)]
        check(padded[0] < P and sum(padded) <= 1 << 28, "security: cells")


@lru_cache(maxsize=4)
def prepared(key_data: bytes, job_input: bytes) -> Prepared:
    """Remembered, because tests hold many proofs against one circuit."""
    key = read_key(key_data)
    bound = key.program.bind_input(job_input)
    inputs = input_tensors(bound, job_input)
    circuit = Compiler(bound, key.sizes, key.shifts, key.channel_bounds, inputs).compile()
    columns = [(i, pieces(shape, image)) for i, (shape, image) in enumerate(circuit.columns)]
    first = key.program.first_constant
    loose, tight = (
        lay_out([(i, pieces(bound.shapes[first + i], False, how)) for i in committed_constants(key.program)], 10)
        for how in (False, True)
    )
    regions = [pieces(look.forms[0].shape, look.image) for look in circuit.lookups]
    regions += [pieces(table.forms[0].shape, False) for table in circuit.tables]
    found = Prepared(
        circuit=circuit,
        activations=lay_out(columns, 10),
        weights=tight if tight.variables < loose.variables else loose,
        tree=lay_out(list(enumerate(regions)), 5),
    )
    found.check_limits(SETS[key.name].tree_max)
    return found


class Verification:
    """Section 7 for one proof."""

    def __init__(self, key: Key, key_data: bytes, statement: Statement, reading: Reading) -> None:
        self.key, self.reading, self.parameters = key, reading, SETS[key.name]
        inputs, outputs = check_statement(key.program, statement)
        self.publics: dict[tuple[str, int], Any] = {("input", i): tensor for i, tensor in enumerate(inputs)}
        self.publics |= {("output", i): tensor for i, tensor in enumerate(outputs)}
        made = prepared(key_data, statement.input)
        self.circuit, self.activations, self.weights, self.tree = (
            made.circuit, made.activations, made.weights, made.tree
        )
        check(len(key.cap) == 1 << _cap_height(self.weights, self.parameters.weights), "key: cap")

    def run(self) -> None:
        reading = self.reading
        cap = reading.digests("activations", 1 << _cap_height(self.activations, self.parameters.activations))
        chi = _challenge(reading, "chi")
        self.linear = Linear(chi, self.publics)
        self.bilinear = Bilinear(self.linear)
        alpha, beta = elements(reading.challenges("lookup", 2))
        point, p, q = fraction_tree(reading, self.tree.variables)
        mix, equality_mix = elements(reading.challenges("claims", 2))
        target = (element(p) + times(mix, element(q))) % P
        self._lookups(elements(point), alpha, beta, mix)
        self._equalities(equality_mix)
        self.linear.finish()
        sum_a, sum_w = elements(reading.elements("sums", 2))
        rest = (target - self.linear.value - sum_a - sum_w) % P
        first = (self._joined(self.activations, self.linear.columns), self._joined(self.weights, self.linear.constants))
        values, vectors = [sum_a, sum_w], list(first)
        check(bool(self.bilinear.terms) or not rest.any(), "V9")
        second = self._products(rest)
        join = _challenge(reading, "join")
        values = [(value + times(join, more[0])) % P for value, more in zip(values, second, strict=True)]
        vectors = [(vector + times(more[1], join)) % P for vector, more in zip(vectors, second, strict=True)]
        self._open(self.activations, cap, values[0], vectors[0], self.parameters.activations)
        if self._reads_weights:
            self._open(self.weights, self.key.cap, values[1], vectors[1], self.parameters.weights)
        else:
            check(not values[1].any(), "V11")
        check(reading.offset == len(reading.proof), "trailing bytes")

    _reads_weights = False

    def _joined(self, layout: Layout, functionals: dict[int, Array]) -> Array:
        self._reads_weights |= layout is self.weights and bool(functionals)
        return layout.join(functionals)

    def _root(self, form: Form, piece: Piece, point: Array, factor: Array) -> None:
        if not form.bilinear:
            self.linear.give(form, times(piece.spread(point), factor))
            return
        functional = piece.test(point)
        functional.coefficient = factor
        self.bilinear.pull([(form, functional)])

    def _value(self, amount: Array) -> None:
        self.linear.value = (self.linear.value + amount) % P

    def _lookups(self, point: Array, alpha: Array, beta: Array, mix: Array) -> None:
        alphas, outside = powers(alpha, 5), ONE
        lookups = len(self.circuit.lookups)
        for placed in self.tree.placed:
            prefix = _place_weight(point, placed)
            outside = (outside - prefix) % P
            low = point[: placed.piece.variables]
            is_lookup = placed.owner < lookups
            if is_lookup:
                number, forms = self.circuit.lookups[placed.owner].table, self.circuit.lookups[placed.owner].forms
                self._value(times(prefix, total(placed.piece.spread(low))))
            else:
                number = placed.owner - lookups
                table = self.circuit.tables[number]
                forms = table.forms
                self._root(table.multiplicity, placed.piece, low, -prefix % P)
            share = times(mix, prefix)
            self._value(times(share, beta - scaled(alphas[4], number)))
            for power, form in zip(alphas, forms, strict=False):
                self._root(form, placed.piece, low, -times(share, power) % P)
        self._value(times(mix, outside))

    def _equalities(self, mix: Array) -> None:
        found = [uncut(form.shape) for form in self.circuit.equalities]
        point = elements(self.reading.challenges("equalities", max((piece.variables for piece in found), default=0)))
        factor = ONE
        for form, piece in zip(self.circuit.equalities, found, strict=True):
            factor = times(factor, mix)
            self._root(form, piece, point[: piece.variables], factor)

    def _products(self, claim: Array) -> list[tuple[Array, Array]]:
        """V10 and the second claims: sum and functional over A, then over W."""
        reading, terms = self.reading, self.bilinear.terms
        check(len(terms) <= 1 << 16, "security: products")
        rounds = max((term.variables for term in terms), default=0)
        bound: list[Array] = []
        for _ in range(rounds):
            at_zero, at_minus, leading = elements(reading.elements("round", 3))
            r = _challenge(reading, "round")
            at_one = (claim - at_zero) % P
            # g = g(0) + b X + c X^2 + d X^3 with g(1) + g(-1) = 2 g(0) + 2 c and g(1) - g(-1) = 2 b + 2 d.
            half = lift((P + 1) // 2)
            c = (times(half, (at_one + at_minus) % P) - at_zero) % P
            b = (times(half, (at_one - at_minus) % P) - leading) % P
            claim = (at_zero + times(r, (b + times(r, (c + times(r, leading)) % P)) % P)) % P
            bound.append(r)
        operands = elements(reading.elements("operands", 2 * len(terms)))
        reached = ZERO
        for i, term in enumerate(terms):
            reached = (reached + self._term(term, bound, operands[2 * i], operands[2 * i + 1])) % P
        check(bool((reached == claim).all()), "V10")
        mix = _challenge(reading, "operands")
        second, weight, mixed = Linear(self.linear.chi, self.publics), ONE, ZERO
        for i, operand in enumerate(operands):
            term = terms[i // 2]
            at = elements([plain(r) for r in bound[rounds - term.variables :][::-1]])
            second.give(term.form.parts[i % 2], times(term.operand(i % 2, at), weight))
            mixed = (mixed + times(weight, operand)) % P
            weight = times(weight, mix)
        second.finish()
        sum_a = element(reading.elements("operand sum", 1)[0])
        sum_w = (mixed - second.value - sum_a) % P
        return [
            (sum_a, self._joined(self.activations, second.columns)),
            (sum_w, self._joined(self.weights, second.constants)),
        ]

    @staticmethod
    def _term(term: Term, bound: Sequence[Array], left: Array, right: Array) -> Array:
        before = len(bound) - term.variables
        result = times(term.coefficient, times(left, right))
        for r in bound[:before]:
            result = times(result, r)
        return times(result, term.weight(elements([plain(r) for r in bound[before:][::-1]])))

    def _open(self, layout: Layout, cap: list[bytes], value: Array, vector: Array, code: Code) -> None:
        def weight_at(point: Any) -> Any:
            return plain(total(times(vector, eq_table(elements(point)))))

        opening(self.reading, layout.variables, cap, plain(value), weight_at, code)


def verify_program(key: VerifyingKey, statement: Statement, proof: bytes) -> None:
    """Sections 1 to 11. Raises Refused."""
    read = read_key(key.data)
    check(key.program_digest == statement.program_digest == read.program.digest(), "program")
    reading = Reading("lazai/stark/v1", proof)
    reading.absorb("parameters", read.set_digest)
    reading.absorb("program", statement.program_digest)
    reading.absorb("verifying key", key.digest)
    reading.absorb("statement", statement.digest)
    Verification(read, key.data, statement, reading).run()

