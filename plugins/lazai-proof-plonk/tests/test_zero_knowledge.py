"""Row 22: what a proof shows of its witness. Keys hide nothing, proofs hide all but the public values."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from plonk_cases import CONTEXT

from lazai_core.testing.rng import SeededRng
from lazai_proof_plonk import native_prover
from lazai_proof_plonk.ceremony import insecure_test_powers
from lazai_proof_plonk.circuit import Builder
from lazai_proof_plonk.circuit.gadgets.integers import assert_range
from lazai_proof_plonk.circuit.lay_out import native_circuit, native_witness
from lazai_proof_plonk.field import Q, R
from lazai_proof_plonk.kernels import g1
from lazai_proof_plonk.native_proof import NativeProof, evaluation_names, point_names
from lazai_proof_plonk.native_prover import NativeProver
from lazai_proof_plonk.native_setup import NativeProvingKey, native_setup

SECRET = 201
SAMPLES = 48
BOUND = 7.5
"""Standard deviations; a fair sample passes 150 comparisons with probability above 1 - 2^-35."""


class Secret:
    """A circuit with a secret byte and a public value that says nothing about it."""

    def __init__(self) -> None:
        self.builder = Builder()
        x = self.builder.input("x")
        assert_range(x, 8)
        self.builder.expose(self.builder.input("y"))
        self.key: NativeProvingKey = native_setup(native_circuit(self.builder), insecure_test_powers(9))

    def prove(self, x: int, seed: int) -> NativeProof:
        values = native_witness(self.builder.solve({"x": x, "y": 5}))
        proof, public = NativeProver(self.key).prove(values, SeededRng(seed), CONTEXT)
        assert public == (5,)
        return NativeProof.decode(proof, True)

    def guessed(self, proof: NativeProof, blinders: list[int]) -> list[int]:
        """Every byte whose first column, so blinded, is committed to in the proof."""
        found = []
        for x in range(256):
            values = native_witness(self.builder.solve({"x": x, "y": 5}))
            column = native_prover._column(self.key.maps[0], values, self.key.key.domain_size)
            polynomial = self.key.polynomials.interpolate(column, blinders)
            if g1.msm(self.key.polynomials.bases, polynomial) == proof.points["a"]:
                found.append(x)
        return found


@pytest.fixture(scope="module")
def secret() -> Secret:
    return Secret()


def test_guessing_a_secret_byte_finds_nothing(secret: Secret, monkeypatch: pytest.MonkeyPatch) -> None:
    assert secret.guessed(secret.prove(SECRET, 3), [0, 0]) == []
    # The control: where the blinding is known the same attack finds the byte.
    monkeypatch.setattr(native_prover, "random_scalars", lambda _rng, count: [1] * count)
    assert secret.guessed(secret.prove(SECRET, 3), [1, 1]) == [SECRET]


def features(proof: NativeProof) -> list[float]:
    """Numbers in [-1, 1] for every coordinate and every evaluation of a witness column: size, and parity."""
    values: list[float] = []
    for name in point_names(True):
        x, y = proof.points[name] or (0, 0)
        values += [2 * x / Q - 1, 2 * y / Q - 1, 2 * (x & 1) - 1, 2 * (y & 1) - 1]
    for name in evaluation_names(True):
        values += [2 * proof.evaluations[name] / R - 1, 2 * (proof.evaluations[name] & 1) - 1]
    return values


def deviation(left: Sequence[float], right: Sequence[float]) -> float:
    """Welch's t of two samples."""

    def moments(sample: Sequence[float]) -> tuple[float, float]:
        mean = sum(sample) / len(sample)
        return mean, sum((value - mean) ** 2 for value in sample) / (len(sample) - 1)

    (mean, spread), (other, other_spread) = moments(left), moments(right)
    return abs(mean - other) / ((spread / len(left) + other_spread / len(right)) ** 0.5 + 1e-12)


def test_proofs_of_two_secrets_look_alike(secret: Secret, monkeypatch: pytest.MonkeyPatch) -> None:
    samples = [[features(secret.prove(x, 1000 * x + seed)) for seed in range(SAMPLES)] for x in (0, 255)]
    columns = [list(zip(*sample, strict=True)) for sample in samples]
    deviations = [deviation(left, right) for left, right in zip(*columns, strict=True)]
    assert len(deviations) == 4 * 11 + 2 * 10
    assert max(deviations) < BOUND
    # The control: with one blinding for all, proofs of one secret are the same, and those of two differ.
    monkeypatch.setattr(native_prover, "random_scalars", lambda _rng, count: [1] * count)
    bare = [[features(secret.prove(x, seed)) for seed in range(3)] for x in (0, 255)]
    bare_columns = [list(zip(*sample, strict=True)) for sample in bare]
    assert max(deviation(left, right) for left, right in zip(*bare_columns, strict=True)) > BOUND


def test_no_commitment_of_a_witness_repeats(secret: Secret) -> None:
    proofs = [secret.prove(SECRET, 50 + seed) for seed in range(32)]
    points = [point for proof in proofs for point in proof.points.values()]
    assert len(set(points)) == len(points)
