"""Snarkjs mode: proofs, refusals, blinding, degenerate circuits."""

from __future__ import annotations

import pytest
from attrs import evolve
from plonk_cases import Case
from plonk_circuits import chain_circuit, mixed_circuit

from lazai_core.api.compute import CancelToken
from lazai_core.api.errors import Cancelled, ProofError, ProofMalformed, ProofRejected, ProvingFailed
from lazai_core.testing.cases import cases
from lazai_core.testing.rng import SeededRng
from lazai_proof_plonk.ceremony import insecure_test_powers
from lazai_proof_plonk.files.limbs import limbs_from_integers
from lazai_proof_plonk.files.r1cs import simple_r1cs
from lazai_proof_plonk.keys import G2_GENERATOR, SnarkjsKey
from lazai_proof_plonk.parameters import FIELD, ORDER
from lazai_proof_plonk.snarkjs_proof import EVALUATION_NAMES, POINT_NAMES, SnarkjsProof
from lazai_proof_plonk.snarkjs_prover import SnarkjsProver
from lazai_proof_plonk.snarkjs_setup import CeremonyTooSmall, setup
from lazai_proof_plonk.snarkjs_transcript import derive
from lazai_proof_plonk.snarkjs_verifier import verify


def test_what_was_proved_is_accepted(case: Case) -> None:
    verify(case.prover.key, case.public, case.proof)
    assert SnarkjsProof.decode(case.proof.encode()) == case.proof


@pytest.mark.parametrize("length", [1, 2, 5, 6, 29])
def test_chains_of_every_small_size(length: int) -> None:
    circuit, witness = chain_circuit(length)
    prover = SnarkjsProver.load(setup(circuit, insecure_test_powers(8)))
    proof, public = prover.prove(limbs_from_integers(witness), SeededRng(length))

    assert public == (3 * 5**length % ORDER, 3)
    verify(prover.key, public, proof)


def test_a_circuit_without_public_values_and_one_without_constraints() -> None:
    empty = simple_r1cs(wires=1, outputs=0, public_inputs=0, private_inputs=0, constraints=())
    private = simple_r1cs(
        wires=2, outputs=0, public_inputs=0, private_inputs=1, constraints=((((1, 1),), ((1, 1),), ((1, 1),)),)
    )
    for circuit, witness in ((empty, [1]), (private, [1, 1]), (private, [1, 0])):
        prover = SnarkjsProver.load(setup(circuit, insecure_test_powers(8)))
        proof, public = prover.prove(limbs_from_integers(witness), SeededRng(0))
        assert public == ()
        verify(prover.key, (), proof)


def test_wrong_witnesses_have_no_proof(case: Case) -> None:
    for position in (1, 4, 9, len(case.witness) - 1):
        wrong = list(case.witness)
        wrong[position] = (wrong[position] + 1) % ORDER
        with pytest.raises(ProvingFailed):
            case.prover.prove(limbs_from_integers(wrong), SeededRng(1))
    with pytest.raises(ProvingFailed, match="wires"):
        case.prover.prove(limbs_from_integers(case.witness[:-1]), SeededRng(1))


def test_a_cancelled_proof_is_not_made(case: Case) -> None:
    cancel = CancelToken()
    cancel.cancel()
    with pytest.raises(Cancelled):
        case.prover.prove(limbs_from_integers(case.witness), SeededRng(1), cancel=cancel)


def test_too_small_a_ceremony_is_refused() -> None:
    circuit, _ = mixed_circuit(60, 3)
    with pytest.raises(CeremonyTooSmall, match="powers of tau"):
        setup(circuit, insecure_test_powers(4))


# Row 1, 2, 16: everything the verifier is told is bound.


def test_every_public_value_is_bound(case: Case) -> None:
    for index in range(len(case.public)):
        changed = list(case.public)
        changed[index] = (changed[index] + 1) % ORDER
        refuse(case.prover.key, tuple(changed), case.proof)


def test_extra_and_missing_public_values_are_refused(case: Case) -> None:
    for public in ((), (1,), (*case.public, 0), case.public[:-1]):
        assert len(public) != len(case.public)
        with pytest.raises(ProofRejected, match="public values"):
            verify(case.prover.key, public, case.proof)


def test_every_number_of_the_proof_is_absorbed_before_the_next_challenge(case: Case) -> None:
    key, public = case.prover.key, case.public
    names = ("beta", "gamma", "alpha", "xi", "v", "u")
    first = {"A": 0, "B": 0, "C": 0, "Z": 2, "T1": 3, "T2": 3, "T3": 3, "Wxi": 5, "Wxiw": 5}
    before = derive(key, public, case.proof)
    for index, name in enumerate(POINT_NAMES):
        points = list(case.proof.points)
        points[index] = (1, 2)
        after = derive(key, public, evolve(case.proof, points=tuple(points)))
        changed = [challenge for challenge in names if getattr(before, challenge) != getattr(after, challenge)]
        # u is the exception of this mode: it follows from the two openings alone.
        expected = [challenge for challenge in names[first[name] :] if name.startswith("W") or challenge != "u"]
        assert changed == expected, name
    for index in range(len(EVALUATION_NAMES)):
        evaluations = list(case.proof.evaluations)
        evaluations[index] += 1
        assert derive(key, public, evolve(case.proof, evaluations=tuple(evaluations))).v != before.v


def test_every_field_of_the_key_changes_its_digest_and_is_refused(case: Case) -> None:
    key = case.prover.key
    seen = {key.digest}
    for changed in changed_keys(key):
        assert changed.digest not in seen
        seen.add(changed.digest)
        refuse(changed, case.public, case.proof)


def changed_keys(key: SnarkjsKey) -> list[SnarkjsKey]:
    found = [evolve(key, public=key.public + 1), evolve(key, power=key.power + 1), evolve(key, k1=3), evolve(key, k2=5)]
    for index in range(len(key.commitments)):
        points = list(key.commitments)
        points[index] = (1, 2)
        found.append(evolve(key, commitments=tuple(points)))
    return [*found, evolve(key, x_2=G2_GENERATOR), evolve(key, x_2=None)]


# Rows 17, 18, 19: canonical numbers, one encoding, points on the curve.


def test_aliases_of_public_values_are_refused(case: Case) -> None:
    for index, value in enumerate(case.public):
        for alias in (value + ORDER, value - ORDER, -1, ORDER):
            changed = list(case.public)
            changed[index] = alias
            with pytest.raises(ProofRejected, match="public values"):
                verify(case.prover.key, tuple(changed), case.proof)


def test_aliases_in_the_bytes_are_malformed(case: Case) -> None:
    data = case.proof.encode()
    for word in range(24):
        value = int.from_bytes(data[32 * word : 32 * word + 32], "big") + (FIELD if word < 18 else ORDER)
        if value < 2**256:
            with pytest.raises(ProofMalformed):
                SnarkjsProof.decode(data[: 32 * word] + value.to_bytes(32, "big") + data[32 * word + 32 :])


@pytest.mark.parametrize("point", [(1, 3), (0, 0), None, (FIELD, 2), (1, FIELD - 2), (1, 2)])
def test_wrong_points_are_refused(case: Case, point: tuple[int, int] | None) -> None:
    for index in range(len(POINT_NAMES)):
        points = list(case.proof.points)
        points[index] = point
        refuse(case.prover.key, case.public, evolve(case.proof, points=tuple(points)))


def test_negated_points_are_refused(case: Case) -> None:
    for index, point in enumerate(case.proof.points):
        assert point is not None
        points = list(case.proof.points)
        points[index] = (point[0], FIELD - point[1])
        refuse(case.prover.key, case.public, evolve(case.proof, points=tuple(points)))


def test_an_empty_proof_is_refused(case: Case) -> None:
    nothing = SnarkjsProof(points=(None,) * 9, evaluations=(0,) * 6)
    refuse(case.prover.key, case.public, nothing)
    refuse(case.prover.key, (0,) * len(case.public), nothing)


def test_keys_with_points_off_the_curve_or_outside_the_subgroup_are_refused(case: Case) -> None:
    key = case.prover.key
    bad = evolve(key, commitments=((1, 3), *key.commitments[1:]))
    with pytest.raises(ProofRejected, match="key points"):
        verify(bad, case.public, case.proof)
    assert key.x_2 is not None
    for x_2 in (((1, 2), (3, 4)), OUTSIDE_SUBGROUP, (key.x_2[0], key.x_2[0])):
        with pytest.raises(ProofRejected, match="key setup"):
            verify(evolve(key, x_2=x_2), case.public, case.proof)


OUTSIDE_SUBGROUP = (
    (1, 0),
    (
        18278151005453108793778860132295291098363647455926340152056652516292830556603,
        5912654199736721486680175016176231956195085055698687135131307249486702594212,
    ),
)
"""On the twisted curve, but not of order r."""


# Row 22: blinding.


def test_two_proofs_of_one_witness_share_no_number(case: Case) -> None:
    witness = limbs_from_integers(case.witness)
    proofs = [case.prover.prove(witness, SeededRng(100 + seed))[0] for seed in range(6)]
    points = [point for proof in proofs for point in proof.points]
    # s1 and s2 are the key's polynomials, but at another point each time.
    evaluations = [value for proof in proofs for value in proof.evaluations]
    assert len(set(points)) == len(points)
    assert len(set(evaluations)) == len(evaluations)


def test_commitments_spread_over_the_whole_field(case: Case) -> None:
    witness = limbs_from_integers(case.witness)
    high = [0] * len(POINT_NAMES)
    rounds = 24
    for seed in range(rounds):
        proof, _ = case.prover.prove(witness, SeededRng(1000 + seed))
        for index, point in enumerate(proof.points):
            assert point is not None
            high[index] += point[0] > FIELD // 2
    # A fair coin leaves 2 to 22 of 24 with probability 1 - 2^-19 for each of nine points.
    assert all(2 <= count <= rounds - 2 for count in high), high


# Row 28: hostile bytes.


def test_mutated_proofs_raise_proof_errors_only(case: Case) -> None:
    data = case.proof.encode()
    for fuzz in cases(400):
        with fuzz:
            mutated = fuzz.mutate(data)
            if mutated == data:
                continue
            with pytest.raises(ProofError):
                verify(case.prover.key, case.public, SnarkjsProof.decode(mutated))


def refuse(key: SnarkjsKey, public: tuple[int, ...], proof: SnarkjsProof) -> None:
    with pytest.raises(ProofError):
        verify(key, public, proof)
