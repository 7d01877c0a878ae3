"""Queries, work and challenges that nobody draws (classes 7, 8, 9); the commitment alone is in test_commitment.py."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest
from attack_cases import Cheater, Run, honest, record, refused, verify_quietly

from lazai_core.api.compute import CancelToken
from lazai_core.api.errors import ProofRejected
from lazai_core.api.transcript import Transcript
from lazai_proof_stark import commitment, prover
from lazai_proof_stark.messages import Channel, Sender


def test_openings_of_other_places_are_refused(run: Run) -> None:
    """Swap pieces of the answers, and answer all of one row with another."""
    random = Random(11)
    size = len(run.proof)
    for _ in range(40):
        length = 4 * random.choice([5, 16, 64])
        a, b = (4 * random.randrange(size // 8, (size - length) // 4) for _ in range(2))
        changed = bytearray(run.proof)
        changed[a : a + length], changed[b : b + length] = run.proof[b : b + length], run.proof[a : a + length]
        if bytes(changed) != run.proof:
            refused(lambda changed=changed: run.verify(bytes(changed)))


def test_a_proof_without_work_is_refused(run: Run, monkeypatch: pytest.MonkeyPatch, cheater: Cheater) -> None:
    monkeypatch.setattr(commitment, "grind", lambda channel, bits: (1 << 40) + 3)
    statement, proof = cheater.prove(run, run.trace)
    found = refused(lambda: run.verify(proof, statement))
    assert isinstance(found, ProofRejected)
    assert found.check == "grinding"


# 8: there is no point outside the domain to be chosen; a challenge may still fall on a degenerate value.


@pytest.mark.parametrize("value", [0, 1])
@pytest.mark.parametrize(
    "label", ["chi", "lookup", "child", "mix", "round", "claims", "equalities", "operands", "join", "queries"]
)
def test_degenerate_challenges_are_no_crash_and_prove_nothing_false(
    run: Run, cheater: Cheater, monkeypatch: pytest.MonkeyPatch, label: str, value: int
) -> None:
    """Prover and verifier both draw the constant: a true statement is accepted or refused in words."""
    drawing = Transcript.challenge_integers
    drawn: list[str] = []

    def constant(self: Transcript, name: str, bound: int, count: int) -> Any:
        found = drawing(self, name, bound, count)
        if name != label:
            return found
        drawn.append(name)
        return tuple(value if place % 5 == 0 else 0 for place in range(count))

    monkeypatch.setattr(Transcript, "challenge_integers", constant)
    proof = cheater.prove(run, run.trace)[1]
    refusal = verify_quietly(run, proof)
    assert drawn
    if (label, value) == ("child", 0):
        assert isinstance(refusal, ProofRejected)
        assert refusal.check == "lookup level"
    if label in ("equalities", "join", "queries"):
        assert refusal is None, refusal


def test_one_query_for_all_is_not_what_the_verifier_asks(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """A prover that answers a single place as often as it is asked."""
    indices = Channel.indices
    with monkeypatch.context() as patch:
        patch.setattr(Sender, "indices", lambda self, *given: [indices(self, *given)[0]] * given[2])
        proof = prover.prove(run.key, run.statement, run.trace, CancelToken())
    assert len(proof) < len(run.proof)
    refused(lambda: run.verify(proof))


def test_answers_of_another_commitment_are_refused(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """A's opening answered from W's rows, which have another length, and from A's of another run."""
    other = honest(run.model, seed=3)
    with monkeypatch.context() as patch:
        absorbed, _ = record(patch)
        run.verify()
    start = sum(len(data) for label, data in absorbed[4 : 5 + [n for n, _ in absorbed[4:]].index("grind")])
    refused(lambda: run.verify(run.proof[:start] + other.proof[start:]))
    refused(lambda: run.verify(other.proof[:start] + run.proof[start:]))
