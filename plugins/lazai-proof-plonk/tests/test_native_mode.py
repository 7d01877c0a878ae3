"""Native mode: proofs, refusals, the transcript, lookups, one encoding."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

import pytest
from attrs import evolve
from plonk_cases import CONTEXT, Case

from lazai_core.api.errors import ProofError, ProofMalformed, ProofRejected, ProvingFailed
from lazai_core.testing.cases import cases
from lazai_core.testing.rng import SeededRng
from lazai_proof_plonk import native_prover, native_transcript
from lazai_proof_plonk.ceremony import insecure_test_powers
from lazai_proof_plonk.circuit import Builder
from lazai_proof_plonk.circuit.gadgets.integers import assert_range
from lazai_proof_plonk.circuit.lay_out import native_circuit, native_witness
from lazai_proof_plonk.kernels import g1
from lazai_proof_plonk.kernels.fields import FR
from lazai_proof_plonk.keys import G2_GENERATOR, Point
from lazai_proof_plonk.lookup_counts import count_lookups
from lazai_proof_plonk.native_circuit import NativeCircuit
from lazai_proof_plonk.native_key import NativeKey
from lazai_proof_plonk.native_proof import NativeProof, evaluation_names, point_names
from lazai_proof_plonk.native_prover import NativeProver
from lazai_proof_plonk.native_setup import NativeProvingKey, native_setup
from lazai_proof_plonk.native_verifier import verify
from lazai_proof_plonk.parameters import FIELD, ORDER
from lazai_proof_plonk.rounds import fingerprint


class Squares:
    """x, a secret, is below 100 and has a public square; lookups come from the range and from a table."""

    def __init__(self) -> None:
        self.builder = builder = Builder()
        x = builder.input("x")
        builder.expose(x * x)
        assert_range(x, 7)
        table = builder.table("double", [(value, 2 * value + 1) for value in range(100)])
        builder.expose(builder.lookup(table, x))
        self.circuit = native_circuit(builder)
        self.key: NativeProvingKey = native_setup(self.circuit, insecure_test_powers(9))

    def prove(self, x: int, seed: int = 0) -> tuple[bytes, tuple[int, ...]]:
        values = self.builder.solve({"x": x})
        return NativeProver(self.key).prove(native_witness(values), SeededRng(seed), CONTEXT)


@pytest.fixture(scope="module")
def squares() -> Squares:
    return Squares()


def test_circuits_with_and_without_lookups_are_proved(case: Case, squares: Squares) -> None:
    assert len(case.native_proof) == 800
    verify(case.native_key, case.public, case.native_proof, CONTEXT)
    for x in (0, 1, 42, 99):
        proof, public = squares.prove(x)
        assert len(proof) == 1024
        assert public == (x * x, 2 * x + 1)
        verify(squares.key.key, public, proof, CONTEXT)


def test_values_that_are_not_in_the_table_have_no_proof(squares: Squares) -> None:
    for x in (100, 127, 128, 1000, ORDER - 1):
        with pytest.raises(ProvingFailed, match="table"):
            squares.prove(x)


def test_a_forged_witness_that_passes_the_counting_fails_in_the_sum(squares: Squares) -> None:
    values = squares.builder.solve({"x": 5})
    for wire in range(1, len(values)):
        forged = list(values)
        forged[wire] = (forged[wire] + 1) % ORDER
        with pytest.raises(ProvingFailed):
            NativeProver(squares.key).prove(native_witness(forged), SeededRng(0), CONTEXT)


# Rows 1, 2, 16, 21: everything is bound.


def test_context_public_values_and_their_number_are_bound(case: Case, squares: Squares) -> None:
    proof, public = squares.prove(9)
    for key, values, data in ((case.native_key, case.public, case.native_proof), (squares.key.key, public, proof)):
        for context in (b"", b"Context", CONTEXT + b"\x00"):
            refuse(key, values, data, context)
        for index in range(len(values)):
            for value in ((values[index] + 1) % ORDER, values[index] + ORDER, -1, ORDER):
                refuse(key, (*values[:index], value, *values[index + 1 :]), data)
        refuse(key, values[:-1], data)
        refuse(key, (*values, 0), data)


def test_every_field_of_the_key_is_bound(squares: Squares) -> None:
    proof, public = squares.prove(9)
    key = squares.key.key
    digests = {key.digest}
    changed = [evolve(key, public=key.public + 1), evolve(key, power=key.power + 1), evolve(key, x_2=G2_GENERATOR)]
    changed.append(evolve(key, x_2=None))
    for index in range(len(key.commitments)):
        points: list[Point] = list(key.commitments)
        points[index] = (1, 2)
        changed.append(evolve(key, commitments=tuple(points)))
    for other in changed:
        digests.add(other.digest)
        refuse(other, public, proof)
    assert len(digests) == len(changed) + 1


def test_every_byte_of_the_proof_changes_every_later_challenge(
    squares: Squares, monkeypatch: pytest.MonkeyPatch
) -> None:
    proof, public = squares.prove(9)
    drawn: list[tuple[str, int]] = []
    original = native_transcript.NativeTranscript.challenge

    def record(self: native_transcript.NativeTranscript, name: str) -> int:
        value = original(self, name)
        drawn.append((name, value))
        return value

    monkeypatch.setattr(native_transcript.NativeTranscript, "challenge", record)
    verify(squares.key.key, public, proof, CONTEXT)
    honest = dict(drawn)
    order = ["beta", "gamma", "eta", "chi", "alpha", "zeta", "v", "u"]
    assert [name for name, _ in drawn] == order
    first = {**dict.fromkeys(("a", "b", "c", "m"), "beta"), **dict.fromkeys(("z", "s"), "alpha")}
    first |= {**dict.fromkeys(("t_low", "t_mid", "t_high"), "zeta"), **dict.fromkeys(("w", "w_next"), "u")}
    for index, name in enumerate(point_names(True)):
        moved = proof[: 64 * index] + (1).to_bytes(32, "big") + (2).to_bytes(32, "big") + proof[64 * index + 64 :]
        assert changed_challenges(squares, public, moved, drawn, honest) == order[order.index(first[name]) :], name
    for index in range(len(evaluation_names(True))):
        at = 64 * len(point_names(True)) + 32 * index
        moved = proof[:at] + (12345).to_bytes(32, "big") + proof[at + 32 :]
        assert changed_challenges(squares, public, moved, drawn, honest) == ["v", "u"]


def changed_challenges(
    squares: Squares, public: Sequence[int], proof: bytes, drawn: list[tuple[str, int]], honest: dict[str, int]
) -> list[str]:
    drawn.clear()
    refuse(squares.key.key, public, proof)
    return [name for name, value in drawn if honest[name] != value]


def test_the_two_openings_cannot_be_swapped(case: Case) -> None:
    # Were u known before w_next, w could be chosen to make the pairing hold. That u follows from both is shown by
    # the test of the challenges above.
    parsed = NativeProof.decode(case.native_proof, False)
    swapped = evolve(parsed, points=parsed.points | {"w": parsed.points["w_next"], "w_next": parsed.points["w"]})
    refuse(case.native_key, case.public, swapped.encode())


# Rows 17 to 19: one byte string a proof.


def test_other_encodings_are_malformed(case: Case) -> None:
    data, names = case.native_proof, point_names(False)
    for extra in (b"\x00", data):
        with pytest.raises(ProofMalformed):
            verify(case.native_key, case.public, data + extra, CONTEXT)
    for word in range(len(data) // 32):
        modulus = FIELD if word < 2 * len(names) else ORDER
        value = int.from_bytes(data[32 * word : 32 * word + 32], "big") + modulus
        if value < 2**256:
            with pytest.raises(ProofMalformed):
                NativeProof.decode(data[: 32 * word] + value.to_bytes(32, "big") + data[32 * word + 32 :], False)
    for index in range(len(names)):
        with pytest.raises(ProofMalformed, match="infinity"):
            NativeProof.decode(data[: 64 * index] + bytes(64) + data[64 * index + 64 :], False)
    with pytest.raises(ProofMalformed):
        NativeProof.decode(data, True)


def test_negated_and_misplaced_points_are_refused(case: Case) -> None:
    parsed = NativeProof.decode(case.native_proof, False)
    for name, point in parsed.points.items():
        assert point is not None
        for other in ((point[0], FIELD - point[1]), (1, 3), (1, 2)):
            refuse(case.native_key, case.public, evolve(parsed, points=parsed.points | {name: other}).encode())


def test_points_of_two_proofs_do_not_mix(squares: Squares) -> None:
    (one, public), (two, _) = squares.prove(9, seed=1), squares.prove(9, seed=2)
    names = point_names(True)
    for index in range(len(names)):
        mixed = one[: 64 * index] + two[64 * index : 64 * index + 64] + one[64 * index + 64 :]
        refuse(squares.key.key, public, mixed)


def test_a_proof_of_one_mode_is_none_of_the_other(case: Case) -> None:
    refuse(case.native_key, case.public, case.proof.encode())
    assert case.native_key.digest != case.prover.key.digest


# Row 22.


def test_two_proofs_of_one_witness_share_no_word(squares: Squares) -> None:
    words: list[bytes] = []
    for seed in range(6):
        proof, _ = squares.prove(9, seed=100 + seed)
        words += [proof[at : at + 32] for at in range(0, len(proof), 32)]
    assert len(set(words)) == len(words)


def test_fixed_randomness_gives_fixed_bytes(squares: Squares) -> None:
    assert squares.prove(3, seed=5) == squares.prove(3, seed=5)


# Row 27 and keys.


def test_degenerate_circuits() -> None:
    builder = Builder()
    circuit = native_circuit(builder)
    key = native_setup(circuit, insecure_test_powers(4))
    proof, public = NativeProver(key).prove(native_witness(builder.solve({})), SeededRng(0))
    assert public == ()
    verify(key.key, (), proof)


def test_keys_come_back_and_bad_ones_are_refused(case: Case) -> None:
    key = case.native_key
    data = key.encode()
    assert NativeKey.decode(data) == key
    for fuzz in cases(200):
        with fuzz:
            mutated = fuzz.mutate(data)
            try:
                found = NativeKey.decode(mutated)
            except ProofMalformed:
                continue
            if found != key:
                refuse(found, case.public, case.native_proof)


def test_mutated_proofs_raise_proof_errors_only(case: Case) -> None:
    for fuzz in cases(400):
        with fuzz:
            mutated = fuzz.mutate(case.native_proof)
            if mutated != case.native_proof:
                refuse(case.native_key, case.public, mutated)


def test_multiplicities_are_counted_from_the_first_of_equal_rows(squares: Squares) -> None:
    circuit: NativeCircuit = squares.circuit
    assert circuit.lookups["qk"].any(axis=1).sum() == 2


def refuse(key: NativeKey, public: Sequence[int], proof: bytes, context: bytes = CONTEXT) -> None:
    with pytest.raises(ProofError) as caught:
        verify(key, public, proof, context)
    assert isinstance(caught.value, ProofMalformed | ProofRejected)


def test_the_protocol_does_not_change_unnoticed(case: Case) -> None:
    # Another value here is another protocol: raise the version of keys and proofs.
    assert case.native_key.digest.hex() == "99f2e03fa94ce3da8a38bab85f68c58a2be0925438d8419698c48388404cbc69"
    found = hashlib.sha256(case.native_proof).hexdigest()
    assert found == "1af841e60a2c53ef8da303784482d24d9af0e381a7f6133139ac565926e34e00"


def test_a_proof_is_bound_by_its_quotient_not_by_the_prover_s_checks(
    squares: Squares, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A dishonest prover that skips every check of its own: what it makes must still be refused.
    def careless_quotient(*arguments: Any) -> Any:
        polynomials, degree = arguments[0], arguments[4]
        return FR.constant(7, degree + 1) if polynomials.size else None

    def careless_opening(polynomials: Any, scalars: Any, constant: int, point: int) -> Any:
        total = FR.linear_combination(list(polynomials), [scalar % ORDER for scalar in scalars])
        return FR.divide_by_linear(total, point)[0]

    monkeypatch.setattr(native_prover, "quotient", careless_quotient)
    monkeypatch.setattr(native_prover, "open_batch", careless_opening)
    proof, public = squares.prove(9)
    refuse(squares.key.key, public, proof)
    refuse(squares.key.key, (82, 19), proof)


def test_multiplicities_that_do_not_fit_the_lookups_are_refused(
    squares: Squares, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Rows 4 and 5: m + 1, m - 1 and m moved to another row; the sum no longer closes, and nothing else may hide it.
    original = count_lookups
    for row, change in ((0, 1), (1, 1), (5, ORDER - 1), (250, 1)):

        def forged(fixed: Any, columns: Any, row: int = row, change: int = change) -> Any:
            counts = original(fixed, columns)
            counts[row : row + 1] = FR.add_constant(counts[row : row + 1].copy(), change)
            return counts

        monkeypatch.setattr(native_prover, "count_lookups", forged)
        with pytest.raises(ProvingFailed, match="table"):
            squares.prove(9)
        with monkeypatch.context() as inner:
            inner.setattr(native_prover, "lookup_sum", careless_lookup_sum)
            with pytest.raises(ProvingFailed, match="gate"):
                squares.prove(9)


def careless_lookup_sum(polynomials: Any, columns: Any, counts: Any, challenges: Any) -> Any:
    fixed = polynomials.values
    looked = fingerprint(columns[0], columns[1], fixed["tag"], challenges)
    table = fingerprint(fixed["t1"], fixed["t2"], fixed["t3"], challenges)
    steps = FR.sub(FR.mul(fixed["qk"], FR.inverse(looked)), FR.mul(counts, FR.inverse(table)))
    return FR.prefix_sums(steps)[: polynomials.size].copy()


def test_a_public_value_that_no_gate_uses_is_bound() -> None:
    # Row 16: nothing but the copy of the public row holds an unused input.
    builder = Builder()
    builder.input("unused", public=True)
    builder.expose(builder.input("x") * 2)
    key = native_setup(native_circuit(builder), insecure_test_powers(4))
    values = native_witness(builder.solve({"unused": 9, "x": 4}))
    proof, public = NativeProver(key).prove(values, SeededRng(0), CONTEXT)
    assert public == (9, 8)
    verify(key.key, public, proof, CONTEXT)
    for other in (0, 8, 10, ORDER - 9):
        refuse(key.key, (other, 8), proof)


def test_what_decodes_encodes_to_the_same_bytes(case: Case, squares: Squares) -> None:
    # Row 18: decoding is one to one, so no two byte strings are one proof.
    for lookups, data in ((False, case.native_proof), (True, squares.prove(9)[0])):
        decoded = 0
        for fuzz in cases(300):
            with fuzz:
                changed = bytearray(data)
                for _ in range(fuzz.integer(1, 3)):
                    changed[fuzz.integer(0, len(data) - 1)] = fuzz.integer(0, 255)
                try:
                    found = NativeProof.decode(bytes(changed), lookups)
                except ProofMalformed:
                    continue
                decoded += 1
                assert found.encode() == bytes(changed)
        assert decoded > 100


def test_an_accepted_proof_cannot_be_turned_into_another(squares: Squares) -> None:
    # Row 18: the changes that keep a pairing equation of sums true, were the challenges fixed.
    proof, public = squares.prove(9)
    parsed, generator = NativeProof.decode(proof, True), (1, 2)
    moves: list[dict[str, Point]] = []
    for first, second in (("t_low", "t_mid"), ("a", "b"), ("w", "w_next"), ("z", "s"), ("m", "c")):
        up, down = g1.add(parsed.points[first], generator), g1.add(parsed.points[second], g1.negate(generator))
        moves += [{first: up}, {first: up, second: down}, {first: parsed.points[second], second: parsed.points[first]}]
    moves.append({name: g1.negate(point) for name, point in parsed.points.items()})
    moves.append({name: g1.multiply(point, 2) for name, point in parsed.points.items()})
    for move in moves:
        refuse(squares.key.key, public, evolve(parsed, points=parsed.points | move).encode())
