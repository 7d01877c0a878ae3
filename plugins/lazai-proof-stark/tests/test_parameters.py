"""Named sets reach the security they claim, recomputed here from the formulas; weak and unknown ones are refused."""

from __future__ import annotations

from fractions import Fraction
from math import isqrt, log2, sqrt
from typing import Any

import pytest
from attack_cases import network, one_run
from attrs import evolve

from lazai_core.api.errors import ProofMalformed, ProofRejected, UnsupportedProgram
from lazai_proof_stark.air import Air, prove_air, verify_air
from lazai_proof_stark.air.definition import PublicCell
from lazai_proof_stark.air.examples.memory import Access, memory, memory_table
from lazai_proof_stark.air.protocol import begin
from lazai_proof_stark.air.prove import public_values
from lazai_proof_stark.air.soundness import air_security
from lazai_proof_stark.commitment import LOG_FINAL, CodeParameters, Shape
from lazai_proof_stark.field import P
from lazai_proof_stark.messages import Channel
from lazai_proof_stark.model_key import circuit_of
from lazai_proof_stark.parameters import PARAMETER_SETS, ParameterSet, parameter_set, require_strength
from lazai_proof_stark.security import (
    ProofSizes,
    Regime,
    chi_degree,
    query_bits,
    require_sizes,
    security_of,
    sizes_of,
)

SETS = sorted(PARAMETER_SETS.values(), key=lambda entry: entry.name)
names = pytest.mark.parametrize("parameters", SETS, ids=lambda entry: entry.name)
FIELD = Fraction(P) ** 5


def largest(parameters: ParameterSet) -> ProofSizes:
    """Every size at its limit."""
    return ProofSizes(
        activation_variables=parameters.activation_variables_max,
        weight_variables=parameters.weight_variables_max,
        leaf_variables=parameters.leaf_variables_max,
        equalities=parameters.relations_max,
        products=parameters.relations_max,
        chi_degree=parameters.chi_degree_max,
    )


@names
def test_claims_hold_at_the_largest_sizes(parameters: ParameterSet) -> None:
    assert security_of(largest(parameters), parameters).bits >= parameters.security_bits


@names
def test_claims_hold_for_computations_at_their_largest(parameters: ParameterSet) -> None:
    """Cells, entries of buses, constraints and public cells at their limits, constraints of the highest degree."""
    air = Air("largest", tuple(f"c{number}" for number in range(16)), log_rows=22)
    power = air.row["c0"]
    for _ in range(7):
        power = power * air.row["c0"]
    air.always("eighth power", power)
    air.constraints *= 1 << 16
    air.publics += [PublicCell(column=0, row=0)] * (1 << 16)
    for number in range(1 << (parameters.leaf_variables_max - 22 - 2)):
        air.send(f"bus {number}", [air.row["c1"]] * 16, 1)
    begin(air, [0] * (1 << 16), parameters)

    found = air_security(air, parameters)

    assert found.bits >= parameters.security_bits
    assert {"buses", "fraction tree", "constraints", "claims", "open"} == {entry.stage for entry in found.rounds}


def test_every_message_of_a_computation_is_accounted_for() -> None:
    """As many challenges as the verifier draws, but for those that only choose queries or absorb work."""
    air = memory(6)
    accesses = [Access(0, time, True) for time in range(64)]
    table, dev = memory_table(accesses), parameter_set("dev")
    proof = prove_air(air, table, dev)
    drawn: list[str] = []
    with pytest.MonkeyPatch.context() as patch:
        drawing = Channel.challenge
        patch.setattr(Channel, "challenge", lambda self, label: drawn.append(label) or drawing(self, label))
        verify_air(air, public_values(air, table), proof, dev, 0)
    counted = {(entry.stage, entry.challenge.split(",")[0]): entry.count for entry in air_security(air, dev).rounds}
    opened = sum(entry.count for entry in air_security(air, dev).rounds if entry.stage == "open") - 1
    rounds = counted["fraction tree", "round of a level"] + counted["constraints", "round"] + opened
    assert drawn.count("round") == rounds
    assert drawn.count("child") == counted["fraction tree", "child"]
    # The root has one child challenge and no mix.
    assert drawn.count("mix") == counted["fraction tree", "mix of numerator and denominator"] - 1
    assert drawn.count("join") == counted["claims", "join"]


def root_above(value: Fraction) -> Fraction:
    """A rational just above the square root."""
    scale = 1 << 80
    return Fraction(isqrt(value.numerator * scale * scale // value.denominator) + 1, scale)


def johnson_errors(code: CodeParameters, variables: int, m: int) -> tuple[Fraction, Fraction, Fraction]:
    """(fold, query, list) errors over the rationals, everything rounded up; written apart from the module's floats."""
    rate, rows = Fraction(1, 1 << code.log_rate), 1 << Shape.of(variables, code).log_length
    root, half = root_above(rate), m + Fraction(1, 2)
    agreement = root * (1 + Fraction(1, m))
    line = (2 * half**5 + 3 * half * (1 - agreement) * rate) * rows / (3 * rate * root * Fraction(99999, 100000))
    line += half / rate + 2 * half / rate * (rows + 1)
    query = agreement**code.queries / (1 << code.grinding_bits)
    return (line + 4 * half / rate) / FIELD, query, half / rate


@pytest.mark.parametrize(("which", "variables", "m"), [("activations", 26, 62), ("weights", 27, 75)])
def test_proven100_in_exact_arithmetic(which: str, variables: int, m: int) -> None:
    parameters = parameter_set("proven100")
    fold, query, members = johnson_errors(getattr(parameters, which), variables, m)
    bound = Fraction(1, 1 << 100)
    assert fold <= bound
    assert query <= bound
    if which == "activations":
        assert members * 4 * (1 << parameters.leaf_variables_max) / FIELD <= bound
        assert members * 2 * parameters.relations_max / FIELD <= bound


def test_proven128_in_exact_arithmetic() -> None:
    """Unique decoding: lists of one polynomial, rows exceptional challenges a line."""
    parameters = parameter_set("proven128")
    bound = Fraction(1, 1 << 128)
    for code, variables in ((parameters.activations, 26), (parameters.weights, 27)):
        rate, rows = Fraction(1, 1 << code.log_rate), 1 << Shape.of(variables, code).log_length
        assert ((1 + rate) / 2) ** code.queries / (1 << code.grinding_bits) <= bound
        assert (rows + 2) / FIELD <= bound
    assert 4 * (1 << parameters.leaf_variables_max) / FIELD <= bound
    assert (2 * parameters.relations_max + 64) / FIELD <= bound


@pytest.mark.parametrize(
    ("log_rate", "bits", "johnson", "unique"),
    [(1, 100, 187, 193), (2, 100, 87, 118), (3, 100, 56, 97), (4, 100, 42, 88), (1, 128, 252, 261), (2, 128, 117, 160)],
)
def test_query_counts_of_the_literature(log_rate: int, bits: int, johnson: int, unique: int) -> None:
    """Published counts at 20 bits of work and a gap of a twentieth of the square root (m = 20 in our writing)."""
    near, half = Regime(multiplicity=20).agreement(log_rate), Regime(multiplicity=0).agreement(log_rate)
    assert query_bits(near, johnson, 20) >= bits > query_bits(near, johnson - 1, 20)
    assert query_bits(half, unique, 20) >= bits > query_bits(half, unique - 1, 20)


@pytest.mark.parametrize(("log_dimension", "expected"), [(22, 131.9), (27, 126.9)])
def test_unique_decoding_lines(log_dimension: int, expected: float) -> None:
    """n / |K| at rate 1/2."""
    exceptional = Regime(multiplicity=0).exceptional(log_dimension + 1, 1)
    assert 5 * log2(P) - log2(exceptional) == pytest.approx(expected, abs=0.1)


def test_johnson_lines_follow_the_published_formula() -> None:
    """Theorem 4.2 of 2025/2055 as ethereum/soundcalc writes it, for rate 1/4 and a codeword of 2^20."""
    regime, rate, length = Regime(multiplicity=10), 0.25, float(1 << 20)
    gap = sqrt(rate) / 10
    shifted, theta = 10.5, 1 - sqrt(rate) - gap
    published = (2 * shifted**5 + 3 * shifted * theta * rate) * length / (3 * rate**1.5) + shifted / sqrt(rate)
    assert regime.agreement(2) == pytest.approx(1 - theta)
    assert published <= regime.exceptional(20, 2) <= 1.01 * published
    assert regime.list_size(2) >= 1 / (2 * gap * sqrt(rate))


@names
def test_every_message_of_the_verifier_is_accounted_for(parameters: ParameterSet) -> None:
    found = security_of(largest(parameters), parameters)
    stages = {entry.stage for entry in found.rounds}
    assert stages == {"relations", "lookups", "fraction tree", "claims", "products", "open A", "open W"}
    for stage, code, variables in (
        ("open A", parameters.activations, parameters.activation_variables_max),
        ("open W", parameters.weights, parameters.weight_variables_max),
    ):
        mine = [entry for entry in found.rounds if entry.stage == stage]
        assert sum(entry.count for entry in mine) == variables + 1
        assert sum("queries" in entry.challenge for entry in mine) == 1
        assert Shape.of(variables, code).log_length <= 24
    assert found.table().count("\n") == len(found.rounds) + 1
    assert found.interactive_bits <= found.bits


@names
def test_security_falls_with_size_and_rises_with_queries(parameters: ParameterSet) -> None:
    sizes = largest(parameters)
    smaller = evolve(sizes, activation_variables=14, weight_variables=14, leaf_variables=14)
    assert security_of(smaller, parameters).bits >= security_of(sizes, parameters).bits
    fewer = evolve(parameters, weights=evolve(parameters.weights, queries=parameters.weights.queries - 5))
    assert security_of(sizes, fewer).bits < security_of(sizes, parameters).bits
    lazy = evolve(parameters, activations=evolve(parameters.activations, grinding_bits=0))
    assert security_of(sizes, lazy).bits <= security_of(sizes, parameters).bits


def test_work_counts_for_the_query_round_alone() -> None:
    """In any one regime ten more bits of work are ten more bits of the last round and nothing elsewhere."""
    from lazai_proof_stark.security import opening_rounds

    code = parameter_set("proven100").weights
    harder = evolve(code, grinding_bits=code.grinding_bits + 10)
    for m in (0, 3, 40):
        before, after = (opening_rounds("open W", 27, entry, Regime(multiplicity=m)) for entry in (code, harder))
        gains = [b.bits - a.bits for a, b in zip(before, after, strict=True)]
        assert gains[:-1] == [0.0] * (len(gains) - 1)
        assert gains[-1] == pytest.approx(10)


@names
@pytest.mark.parametrize(
    "field", ["activation_variables", "weight_variables", "leaf_variables", "equalities", "products", "chi_degree"]
)
def test_sizes_beyond_the_claim_are_refused(parameters: ParameterSet, field: str) -> None:
    sizes = largest(parameters)
    require_sizes(sizes, parameters)
    with pytest.raises(UnsupportedProgram, match=parameters.name):
        require_sizes(evolve(sizes, **{field: getattr(sizes, field) + 1}), parameters)


def test_sizes_of_a_circuit() -> None:
    run = one_run()
    circuit = circuit_of(network().program, 0, run.key.weight_key)
    sizes = sizes_of(circuit)
    assert sizes.activation_variables == max(10, circuit.activations.variables)
    assert sizes.products >= 2
    assert sizes.equalities == len(circuit.equalities)
    require_sizes(sizes, parameter_set("proven128"))
    assert security_of(sizes, parameter_set("proven100")).bits >= 100


def test_degrees_in_chi() -> None:
    from lazai_proof_stark.circuit import algebra
    from lazai_proof_stark.circuit.nodes import Committed

    leaf = Committed(shape=(3, 4), low=0, high=9, column=0)
    at = algebra.at_challenge(leaf, 1)
    assert (chi_degree(leaf), chi_degree(at)) == (0, 3)
    assert chi_degree(algebra.product(at, at, "a,a->a")) == 6
    assert chi_degree(algebra.linear([((256, -1), at)], (1, 2, 3, 4, 5, 6))) == 5
    assert chi_degree(algebra.linear([((256, -1), at)])) == 4


def test_unknown_sets_are_refused() -> None:
    for name in ("", "proven", "PROVEN100", "proven100 "):
        with pytest.raises(ProofMalformed, match="proven100"):
            parameter_set(name)


def test_weak_sets_are_refused_where_more_is_wanted() -> None:
    require_strength(parameter_set("proven100"), 100)
    require_strength(parameter_set("proven128"), 100)
    for name, wanted in (("dev", 100), ("proven100", 128), ("dev", 11)):
        with pytest.raises(ProofRejected, match=name):
            require_strength(parameter_set(name), wanted)
    require_strength(parameter_set("dev"), 10)


def test_digests_tell_all_sets_and_values_apart() -> None:
    found = {entry.digest for entry in SETS}
    base = parameter_set("proven100")
    changes: list[dict[str, Any]] = [{"name": "x"}, {"security_bits": 99}]
    for code in ("activations", "weights"):
        for field in ("log_rate", "queries", "grinding_bits", "log_arity", "cap_height"):
            value = getattr(base, code)
            changes.append({code: evolve(value, **{field: getattr(value, field) + 1})})
    found |= {evolve(base, **change).digest for change in changes}
    assert len(found) == len(SETS) + len(changes)
    assert all(entry.activations.cap_height + LOG_FINAL < 24 for entry in SETS)


@pytest.mark.parametrize("name", ["proven100", "proven128"])
def test_the_claim_holds_in_unique_decoding_alone(name: str) -> None:
    """Each query misses a word beyond half the distance with probability at most (1 + rate) / 2."""
    parameters = parameter_set(name)
    for code in (parameters.activations, parameters.weights):
        rate = 2.0**-code.log_rate
        bits = code.queries * -log2((1 + rate) / 2) + code.grinding_bits
        assert bits >= parameters.security_bits, f"{bits:.1f} bits at rate {rate}"
