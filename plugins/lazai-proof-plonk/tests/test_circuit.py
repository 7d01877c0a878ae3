"""The builder, the checker, the gadgets: right values, and no second witness."""

from __future__ import annotations

import inspect
import random
from collections.abc import Callable

import pytest

from lazai_core.api.errors import ProvingFailed
from lazai_core.testing.rng import SeededRng
from lazai_proof_plonk.ceremony import insecure_test_powers
from lazai_proof_plonk.circuit import Builder, CircuitError, Mode, Wire, violations
from lazai_proof_plonk.circuit.builder import signed
from lazai_proof_plonk.circuit.gadgets.fixed_point import relu, requantize, table_lookup
from lazai_proof_plonk.circuit.gadgets.hashing import merkle_root, poseidon_wires
from lazai_proof_plonk.circuit.gadgets.integers import (
    argmax,
    assert_boolean,
    assert_range,
    divide,
    is_at_least,
    is_equal,
    is_less,
    is_zero,
    maximum,
    select,
    to_bits,
)
from lazai_proof_plonk.circuit.lay_out import snarkjs_gates, snarkjs_witness
from lazai_proof_plonk.parameters import ORDER
from lazai_proof_plonk.poseidon_parameters import poseidon, poseidon_parameters
from lazai_proof_plonk.snarkjs_prover import SnarkjsProver
from lazai_proof_plonk.snarkjs_setup import setup_gates
from lazai_proof_plonk.snarkjs_verifier import verify

MODES = list(Mode)


def value(wire: Wire, values: list[int]) -> int:
    return signed((wire.scale * values[wire.variable] + wire.offset) % ORDER)


@pytest.mark.parametrize("mode", MODES)
def test_sums_products_and_constants(mode: Mode) -> None:
    for count in range(1, 12):
        builder = Builder(mode)
        wires = [builder.input(f"x{index}") for index in range(count)]
        total = builder.sum([(index + 2, wire) for index, wire in enumerate(wires)], 5)
        mixed = (wires[0] * 3 + 1) * (wires[-1] - 4) - total
        values = builder.solve({f"x{index}": 10 * index - 7 for index in range(count)})
        expected = 5 + sum((index + 2) * (10 * index - 7) for index in range(count))
        assert violations(builder, values) == []
        assert value(total, values) == expected
        assert value(mixed, values) == -20 * (10 * (count - 1) - 11) - expected


def test_a_violated_gate_is_named_by_its_line() -> None:
    builder = Builder()
    x = builder.input("x")
    with builder.label("positive part"):
        frame = inspect.currentframe()
        assert frame is not None
        line = frame.f_lineno + 1
        y = x * x
    builder.assert_equal(y, 9)
    values = builder.solve({"x": 3})
    assert violations(builder, values) == []
    values[y.variable] = 10
    first, second = violations(builder, values)
    assert f"test_circuit.py:{line} (positive part): gate 1 comes to -1 instead of 0: a = 3, b = 3, c = 10" in str(
        first
    )
    assert "comes to 1 instead of 0" in str(second)


def test_violated_copies_and_lookups_are_named() -> None:
    builder = Builder()
    x, y = builder.input("x"), builder.input("y")
    builder.assert_equal(x, y)
    builder.lookup(builder.table("squares", [(n, n * n) for n in range(5)]), x)
    values = builder.solve({"x": 7, "y": 8})
    texts = [str(each) for each in violations(builder, values)]
    assert any("copies differ: wire 1 is 7, wire 2 is 8" in text for text in texts)
    assert any("(7, 0) is not in table squares" in text for text in texts)


def test_mistakes_of_builders_are_refused() -> None:
    builder = Builder(Mode.SNARKJS)
    with pytest.raises(CircuitError, match="no lookups"):
        builder.table("t", [(0, 0)])
    native = Builder()
    native.table("t", [(0, 0)])
    with pytest.raises(CircuitError, match="another table"):
        native.table("t", [(0, 1)])
    with pytest.raises(CircuitError, match="twice"):
        native.table("u", [(0, 0), (ORDER, 1)])
    with pytest.raises(CircuitError, match="native mode"):
        snarkjs_gates(native)
    native.input("x")
    with pytest.raises(ProvingFailed, match="no value"):
        native.solve({})
    with pytest.raises(CircuitError):
        assert_range(native.input("y"), 251)


@pytest.mark.parametrize("mode", MODES)
def test_ranges(mode: Mode) -> None:
    for bits in (1, 2, 7, 8, 9, 16, 19):
        builder = Builder(mode)
        x = builder.input("x")
        assert_range(x * 2 + 1, bits)
        for number in (0, (1 << bits) // 2 - 1):
            assert violations(builder, builder.solve({"x": number})) == [], bits
        for number in (-1, (1 << bits) // 2, 1 << 40, ORDER - 2):
            assert violations(builder, builder.solve({"x": number})), (bits, number)


Gadget = tuple[Callable[[list[Wire]], Wire], Callable[[list[int]], int]]
GADGETS: dict[str, Gadget] = {
    "is_zero": (lambda w: is_zero(w[0]), lambda v: int(v[0] == 0)),
    "is_equal": (lambda w: is_equal(w[0], w[1]), lambda v: int(v[0] == v[1])),
    "is_at_least": (lambda w: is_at_least(w[0], w[1], 10), lambda v: int(v[0] >= v[1])),
    "is_less": (lambda w: is_less(w[0], w[1], 10), lambda v: int(v[0] < v[1])),
    "select": (lambda w: select(is_zero(w[0]), w[1], w[2]), lambda v: v[1] if v[0] == 0 else v[2]),
    "maximum": (lambda w: maximum(w, 10), max),
    "argmax": (lambda w: argmax(w, 10), lambda v: v.index(max(v))),
    "divide": (lambda w: divide(w[0] + 400, 7, 8)[0], lambda v: (v[0] + 400) // 7),
    "bits": (lambda w: to_bits(w[0] + 400, 10)[3], lambda v: (v[0] + 400) >> 3 & 1),
    "relu": (lambda w: relu(w[0], -400, 400, table_rows=9), lambda v: max(v[0], 0)),
    "requantize": (
        lambda w: requantize(w[0], 3, -400, 400, -20, 30, table_rows=9),
        lambda v: min(max(v[0] + 4 >> 3, -20), 30),
    ),
    "requantize one side": (
        lambda w: requantize(w[0], 1, -400, 400, 0, 255, table_rows=9),
        lambda v: min(max(v[0] + 1 >> 1, 0), 255),
    ),
}


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("name", list(GADGETS))
def test_gadgets_give_the_right_value_and_no_other(name: str, mode: Mode) -> None:
    make, expected = GADGETS[name]
    builder = Builder(mode)
    wires = [builder.input(f"x{index}") for index in range(3)]
    out = make(wires)
    source = random.Random(name)
    for _ in range(12):
        inputs = [source.choice([0, 3, source.randint(-400, 400)]) for _ in wires]
        values = builder.solve({f"x{index}": number for index, number in enumerate(inputs)})
        assert violations(builder, values) == []
        assert value(out, values) == expected(inputs)
        for _ in range(8):
            assert second_witness(builder, values, len(wires), out, source) is None


def second_witness(builder: Builder, values: list[int], inputs: int, out: Wire, source: random.Random) -> int | None:
    """Change some computed wires (row 12: a determinism test); another accepted output, or None."""
    changed = list(values)
    for _ in range(source.randint(1, 3)):
        wire = source.randrange(inputs + 1, len(values))
        changed[wire] = (
            source.choice(
                [changed[wire] + 1, changed[wire] - 1, -changed[wire], 1 - changed[wire], source.randrange(ORDER), 0, 1]
            )
            % ORDER
        )
    if value(out, changed) == value(out, values) or violations(builder, changed, 1):
        return None
    return value(out, changed)


@pytest.mark.parametrize("table_rows", [1 << 12, 8])
def test_forged_quotients_of_requantisation_are_refused(table_rows: int) -> None:
    # Row 13: negative or oversized remainders, a quotient moved by r / 2^s.
    builder = Builder()
    x = builder.input("x")
    requantize(x, 8, -30000, 30000, -128, 127, table_rows=table_rows)
    for number in (-30000, -129, 0, 1, 128, 29999):
        honest = builder.solve({"x": number})
        assert violations(builder, honest) == []
        limb, quotient = honest[2], honest[3]
        for moved in (1, -1, 256):
            forged = list(honest)
            forged[2], forged[3] = (limb + 256 * moved) % ORDER, (quotient - moved) % ORDER
            assert violations(builder, forged)
        shift = pow(256, -1, ORDER)
        forged = list(honest)
        forged[2], forged[3] = (limb + 1) % ORDER, (quotient - shift) % ORDER
        assert violations(builder, forged)


def test_tables_by_offset() -> None:
    builder = Builder()
    x = builder.input("x")
    y = table_lookup(builder, "t", x, -2, [5, 6, -7, 8])
    values = builder.solve({"x": 0})
    assert (violations(builder, values), value(y, values)) == ([], -7)
    assert violations(builder, builder.solve({"x": 2}))


# Poseidon: vectors of circomlib's tests.

VECTORS = {
    (1, 2): 7853200120776062878684798364095072458815029376092732009249414926327459813530,
    (3, 4): 14763215145315200506921711489642608356394854266165572616578112107564877678998,
    (1, 2, 0, 0, 0): 1018317224307729531995786483840663576608797660851238720571059489595066344487,
    (3, 4, 5, 10, 23): 13034429309846638789535561449942021891039729847501137143363028890275222221409,
}


@pytest.mark.parametrize("inputs", list(VECTORS))
def test_poseidon_equals_the_published_vectors(inputs: tuple[int, ...]) -> None:
    assert poseidon(list(inputs)) == VECTORS[inputs]


def test_poseidon_widths() -> None:
    for width in (2, 17):
        assert len(poseidon_parameters(width).matrix) == width
    for width in (1, 18):
        with pytest.raises(ValueError, match="2 to 17"):
            poseidon_parameters(width)


@pytest.mark.parametrize("mode", MODES)
def test_poseidon_and_merkle_paths_in_circuits(mode: Mode) -> None:
    builder = Builder(mode)
    leaf, siblings = builder.input("leaf"), [builder.input("s0"), builder.input("s1")]
    directions = [builder.input("d0"), builder.input("d1")]
    root, digest = merkle_root(leaf, siblings, directions), poseidon_wires([leaf])
    values = builder.solve({"leaf": 5, "s0": 6, "s1": 7, "d0": 1, "d1": 0})
    assert violations(builder, values) == []
    assert values[root.variable] == poseidon([poseidon([6, 5]), 7])
    assert values[digest.variable] == poseidon([5])
    assert violations(builder, builder.solve({"leaf": 5, "s0": 6, "s1": 7, "d0": 2, "d1": 0}))
    with pytest.raises(CircuitError, match="one path"):
        merkle_root(leaf, siblings, directions[:1])


def test_a_python_circuit_is_proved_in_snarkjs_mode() -> None:
    builder = Builder(Mode.SNARKJS)
    x, bit = builder.input("x"), builder.input("bit", public=True)
    assert_boolean(bit)
    builder.expose(select(bit, x * x, poseidon_wires([x])))
    key = setup_gates(snarkjs_gates(builder), insecure_test_powers(10))
    prover = SnarkjsProver.load(key)
    for chosen, expected in ((1, 144), (0, poseidon([12]))):
        values = builder.solve({"x": 12, "bit": chosen})
        proof, public = prover.prove(snarkjs_witness(values), SeededRng(chosen))
        assert public == (chosen, expected)
        verify(prover.key, public, proof)
