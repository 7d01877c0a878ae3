"""Algebraic forgeries: a prover that knows no witness, but one challenge before its message is fixed.

Each forgery solves for one message so that the verifier's equation holds for a false statement. With that challenge
told in advance (the control) the verifier accepts, which shows that the forgery is right; with the transcript as it is
the same prover is refused, which shows that the challenge binds what the forgery has to choose.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pytest
from plonk_cases import CONTEXT

from lazai_core.api.compute import CancelToken
from lazai_core.api.errors import ProofRejected, ProvingFailed
from lazai_core.testing.rng import SeededRng
from lazai_proof_plonk import native_prover, native_verifier
from lazai_proof_plonk.ceremony import insecure_test_powers
from lazai_proof_plonk.circuit import Builder
from lazai_proof_plonk.circuit.lay_out import native_circuit, native_witness
from lazai_proof_plonk.domain import open_at
from lazai_proof_plonk.field import batch_inverse
from lazai_proof_plonk.kernels.fields import FR
from lazai_proof_plonk.lookup_counts import count_lookups
from lazai_proof_plonk.native_key import NativeKey
from lazai_proof_plonk.native_prover import QUOTIENT_DEGREE_EXTRA, NativeProver, _Run
from lazai_proof_plonk.native_relation import NativeChallenges, linearisation, opened_here, opened_next
from lazai_proof_plonk.native_setup import NativeProvingKey, native_setup
from lazai_proof_plonk.native_transcript import NativeTranscript
from lazai_proof_plonk.parameters import K1, K2, ORDER, domain_root
from lazai_proof_plonk.rounds import open_batch
from lazai_proof_plonk.stages import Stages

GUESS = 0x1234567890ABCDEF
Known = Mapping[str, int]


class Circuit:
    """A secret x with the public square x * x and the public y of a table with (x, y)."""

    def __init__(self) -> None:
        self.builder = Builder()
        x = self.builder.input("x")
        self.square = x * x
        self.builder.expose(self.square)
        self.looked_up = self.builder.lookup(self.builder.table("t", [(n, n + 50) for n in range(20)]), x)
        self.builder.expose(self.looked_up)
        self.key: NativeProvingKey = native_setup(native_circuit(self.builder), insecure_test_powers(6))

    def values(self, x: int = 7) -> list[int]:
        return self.builder.solve({"x": x})


@pytest.fixture(scope="module")
def circuit() -> Circuit:
    return Circuit()


class Guessing(NativeTranscript):
    """A transcript of which some challenges are known beforehand."""

    known: Known

    def challenge(self, name: str) -> int:
        return self.known[name] if name in self.known else super().challenge(name)


class Forger(_Run):
    """The prover's rounds with its knowledge; the forgeries replace single steps."""

    def __init__(self, key: NativeProvingKey, values: list[int], known: Known) -> None:
        super().__init__(key, native_witness(values), SeededRng(1), CONTEXT, Stages(), CancelToken())
        self.known = known
        self.transcript = guessing(key.key, self.public, known)

    def columns_by_name(self, eta: int) -> dict[str, Any]:
        columns = {**self.polynomials.coefficients, **self.coefficients}
        parts = [columns[name] for name in ("t1", "t2", "t3")]
        return columns | {"table": FR.linear_combination(parts, [1, eta, eta * eta])}

    def true_evaluations(self, columns: Mapping[str, Any], zeta: int) -> dict[str, int]:
        next_point = zeta * domain_root(self.polynomials.power) % ORDER
        here = {name: FR.evaluate(columns[name], zeta) for name in opened_here(True)}
        after = {f"{name}_next": FR.evaluate(columns[name], next_point) for name in opened_next(True)}
        order = ("a", "b", "c", "s1", "s2", "z_next", "c_next", "tag", "table", "s_next")
        return {name: (here | after)[name] for name in order}

    def remainder(
        self, columns: Mapping[str, Any], evaluations: Mapping[str, int], challenges: NativeChallenges
    ) -> int:
        """R at zeta for these evaluations: zero for an honest prover. Columns that are not there count as zero."""
        opening = open_at(self.polynomials.power, challenges.zeta, self.public)
        scalars, constant = linearisation(evaluations, challenges, opening, True)
        terms = [
            scale * FR.evaluate(columns[name], challenges.zeta) for name, scale in scalars.items() if name in columns
        ]
        return (sum(terms) + constant) % ORDER


def guessing(key: NativeKey, public: tuple[int, ...], known: Known) -> Guessing:
    transcript = Guessing(key, public, CONTEXT)
    transcript.known = known
    return transcript


def solve_linear(function: Callable[[int], int]) -> int:
    """The zero of a polynomial of degree one."""
    constant, slope = function(0), function(1) - function(0)
    assert (function(5) - constant - 5 * slope) % ORDER == 0
    return -constant * pow(slope, -1, ORDER) % ORDER


class KnowsZeta(Forger):
    """A quotient that is right at zeta only: a constant."""

    def _commit_quotient(self, challenges: Any) -> int:
        zeta = self.known["zeta"]
        found = NativeChallenges(**{name: getattr(challenges, name) for name in CHALLENGES}, zeta=zeta)
        columns = self.columns_by_name(challenges.eta)
        rest = self.remainder(columns, self.true_evaluations(columns, zeta), found)
        size = self.polynomials.size
        whole = FR.zeros(3 * size + QUOTIENT_DEGREE_EXTRA + 1)
        whole[:1] = FR.encode([rest * pow(pow(zeta, size, ORDER) - 1, -1, ORDER)])
        parts = native_prover.split_quotient(whole, size, self.blinders["t"])
        self.commit("commit quotient", dict(zip(("t_low", "t_mid", "t_high"), parts, strict=True)))
        return self.transcript.challenge("zeta")


CHALLENGES = ("beta", "gamma", "eta", "chi", "alpha")


class NoQuotient(Forger):
    """Any quotient; the openings are to be forged."""

    def _commit_quotient(self, challenges: Any) -> int:
        parts = {name: FR.constant(index + 3, 5) for index, name in enumerate(("t_low", "t_mid", "t_high"))}
        self.commit("commit quotient", parts)
        return self.transcript.challenge("zeta")

    def opened(
        self, columns: Mapping[str, Any], evaluations: Mapping[str, int], challenges: NativeChallenges, v: int
    ) -> tuple[int, int]:
        """What is left of the batches at zeta and at w zeta: both zero for an honest prover."""
        true = self.true_evaluations(columns, challenges.zeta)
        left, weight = self.remainder(columns, evaluations, challenges), 1
        for name in opened_here(True):
            weight = weight * v % ORDER
            left += weight * (true[name] - evaluations[name])
        after = (pow(v, at, ORDER) * (true[n + "_next"] - evaluations[n + "_next"]) for at, n in enumerate(AFTER))
        return left % ORDER, sum(after) % ORDER

    def batches(
        self, columns: Mapping[str, Any], evaluations: Mapping[str, int], challenges: NativeChallenges, v: int, u: int
    ) -> dict[str, Any]:
        """Openings of both batches, what is left of the first moved to the second with weight 1 / u."""
        opening = open_at(self.polynomials.power, challenges.zeta, self.public)
        scalars, constant = linearisation(evaluations, challenges, opening, True)
        here, weights = opened_here(True), [pow(v, at, ORDER) for at in range(8)]
        constant -= sum(weights[at + 1] * evaluations[name] for at, name in enumerate(here))
        after_constant = -sum(weights[at] * evaluations[name + "_next"] for at, name in enumerate(AFTER))
        left, _ = self.opened(columns, evaluations, challenges, v)
        polys, scales = [columns[n] for n in (*scalars, *here)], [*scalars.values(), *weights[1:]]
        next_point = challenges.zeta * domain_root(self.polynomials.power) % ORDER
        moved = left * pow(u, -1, ORDER)
        # Both divide: `open_batch` is the honest prover's and raises where they do not.
        return {
            "w": open_batch(polys, scales, constant - left, challenges.zeta),
            "w_next": open_batch([columns[n] for n in AFTER], weights[:3], after_constant + moved, next_point),
        }


AFTER = opened_next(True)


class KnowsV(NoQuotient):
    """A false evaluation of c that the batching weights make up for (zk.md, row 3)."""

    def _open(self, challenges: NativeChallenges) -> dict[str, int]:
        columns = self.columns_by_name(challenges.eta)
        evaluations, v = self.true_evaluations(columns, challenges.zeta), self.known["v"]
        evaluations["c"] = solve_linear(
            lambda c: self.opened(columns, evaluations | {"c": c}, challenges, v)[0],
        )
        for name, value in evaluations.items():
            self.transcript.scalar(name, value)
        self.transcript.challenge("v")
        self.commit("commit openings", self.batches(columns, evaluations, challenges, v, 1))
        return evaluations


class KnowsU(NoQuotient):
    """A false evaluation of z at w zeta, and an error that the second opening takes from the first (row 2)."""

    def _open(self, challenges: NativeChallenges) -> dict[str, int]:
        columns, u = self.columns_by_name(challenges.eta), self.known["u"]
        evaluations = self.true_evaluations(columns, challenges.zeta)
        v = self.known["v"]

        def left(z_next: int) -> int:
            first, second = self.opened(columns, evaluations | {"z_next": z_next}, challenges, v)
            return first + u * second

        evaluations["z_next"] = solve_linear(left)
        for name, value in evaluations.items():
            self.transcript.scalar(name, value)
        self.commit("commit openings", self.batches(columns, evaluations, challenges, v, u))
        return evaluations


class KnowsBetaGamma(Forger):
    """Cells that should be copies differ; a cell of an unused row makes the product close all the same."""

    def __init__(self, key: NativeProvingKey, values: list[int], known: Known) -> None:
        super().__init__(key, values, known)
        size, free = self.polynomials.size, self.polynomials.size - 1
        columns = [FR.decode(column) for column in self.columns]
        # The first public value: its row has no other gate, so that any value satisfies it.
        columns[0][0] = (columns[0][0] + 1) % ORDER
        beta, gamma = known["beta"], known["gamma"]
        sigmas = [FR.decode(self.polynomials.values[name]) for name in ("s1", "s2", "s3")]
        root, target = domain_root(self.polynomials.power), 1
        for column, scale, sigma in zip(columns, (1, K1, K2), sigmas, strict=True):
            for row in range(size):
                if (scale, row) != (1, free):
                    above = column[row] + beta * scale * pow(root, row, ORDER) + gamma
                    target = target * (column[row] + beta * sigma[row] + gamma) % ORDER
                    target = target * pow(above, -1, ORDER) % ORDER
        above, below = beta * pow(root, free, ORDER) + gamma, beta * sigmas[0][free] + gamma
        # (x + above) / (x + below) = target
        columns[0][free] = (target * below - above) * pow(1 - target, -1, ORDER) % ORDER
        self.columns = [FR.encode(column) for column in columns]
        self.public = tuple(columns[0][: len(self.public)])
        self.transcript = guessing(key.key, self.public, known)


def refused_but_for(circuit: Circuit, known: Known, make: Callable[[], _Run], monkeypatch: pytest.MonkeyPatch) -> None:
    """The forgery fails as things are, and works where the challenges are known beforehand."""
    proof, public = make().prove()
    with pytest.raises(ProofRejected, match="pairing"):
        native_verifier.verify(circuit.key.key, public, proof, CONTEXT)
    with monkeypatch.context() as weak:
        weak.setattr(native_verifier, "NativeTranscript", lambda key, values, _context: guessing(key, values, known))
        native_verifier.verify(circuit.key.key, public, proof, CONTEXT)
    assert public != tuple(circuit.values()[wire] for wire in circuit.builder.public)


def false_square(circuit: Circuit) -> list[int]:
    """The square is off by one wherever it occurs: a gate is violated, all copies hold."""
    values = circuit.values()
    values[circuit.square.variable] = 50
    return values


def test_the_circuit_is_proved_honestly(circuit: Circuit) -> None:
    proof, public = NativeProver(circuit.key).prove(native_witness(circuit.values()), SeededRng(1), CONTEXT)
    assert public == (49, 57)
    native_verifier.verify(circuit.key.key, public, proof, CONTEXT)


def test_a_false_gate_needs_zeta_before_the_quotient(circuit: Circuit, monkeypatch: pytest.MonkeyPatch) -> None:
    known = {"zeta": GUESS}
    refused_but_for(circuit, known, lambda: KnowsZeta(circuit.key, false_square(circuit), known), monkeypatch)


def test_a_false_evaluation_needs_v_before_it(circuit: Circuit, monkeypatch: pytest.MonkeyPatch) -> None:
    known = {"v": GUESS}
    refused_but_for(circuit, known, lambda: KnowsV(circuit.key, false_square(circuit), known), monkeypatch)


def test_a_false_opening_needs_u_before_it(circuit: Circuit, monkeypatch: pytest.MonkeyPatch) -> None:
    known = {"v": GUESS + 1, "u": GUESS}
    refused_but_for(circuit, known, lambda: KnowsU(circuit.key, false_square(circuit), known), monkeypatch)


def test_knowing_v_alone_does_not_forge_an_opening(circuit: Circuit, monkeypatch: pytest.MonkeyPatch) -> None:
    # As above, but u is the transcript's: what was solved for a guessed u does not fit it.
    proof, public = KnowsU(circuit.key, false_square(circuit), {"v": GUESS + 1, "u": GUESS}).prove()
    only_v = {"v": GUESS + 1}
    monkeypatch.setattr(
        native_verifier, "NativeTranscript", lambda key, values, _context: guessing(key, values, only_v)
    )
    with pytest.raises(ProofRejected, match="pairing"):
        native_verifier.verify(circuit.key.key, public, proof, CONTEXT)


def test_a_false_copy_needs_beta_and_gamma_before_the_wires(circuit: Circuit, monkeypatch: pytest.MonkeyPatch) -> None:
    known = {"beta": GUESS, "gamma": GUESS + 2}
    refused_but_for(circuit, known, lambda: KnowsBetaGamma(circuit.key, circuit.values(), known), monkeypatch)


def test_a_false_lookup_needs_eta_and_chi_before_the_multiplicities(
    circuit: Circuit, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Rows 4 and 5: the multiplicity of one table row is any number of the field that makes the sum close.
    known = {"eta": GUESS, "chi": GUESS + 3}
    values = circuit.values()
    values[circuit.looked_up.variable] = 58

    def fingerprint(first: Any, second: Any, third: Any) -> list[int]:
        parts = zip(*(FR.decode(column) for column in (first, second, third)), strict=True)
        eta, chi = known["eta"], known["chi"]
        return [(chi + x + eta * y + eta * eta * z) % ORDER for x, y, z in parts]

    def forged(fixed: Mapping[str, Any], columns: Any) -> Any:
        counts = count_lookups(fixed, [FR.encode(honest) for honest in honest_columns])
        looked = batch_inverse(fingerprint(columns[0], columns[1], fixed["tag"]), ORDER)
        table = batch_inverse(fingerprint(fixed["t1"], fixed["t2"], fixed["t3"]), ORDER)
        live = FR.decode(fixed["qk"])
        multiplicities = FR.decode(counts)
        total = sum(used * inverse for used, inverse in zip(live, looked, strict=True))
        total -= sum(count * inverse for count, inverse in zip(multiplicities[1:], table[1:], strict=True))
        multiplicities[0] = total * pow(table[0], -1, ORDER)
        return FR.encode(multiplicities)

    honest = Forger(circuit.key, circuit.values(), {})
    honest_columns = [FR.decode(column) for column in honest.columns]
    monkeypatch.setattr(native_prover, "count_lookups", forged)
    refused_but_for(circuit, known, lambda: Forger(circuit.key, values, known), monkeypatch)


def test_without_its_guesses_a_forger_cannot_even_divide(circuit: Circuit) -> None:
    with pytest.raises(ProvingFailed, match="violates a gate"):
        Forger(circuit.key, false_square(circuit), {}).prove()
