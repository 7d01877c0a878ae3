"""Queries, work and challenges that nobody draws (classes 7, 8, 9); the commitment alone is in test_commitment.py."""

from __future__ import annotations

from random import Random

import pytest
from attack_cases import (
    Cheater,
    Run,
    refused,
)

from lazai_core.api.errors import ProofRejected
from lazai_proof_stark import commitment


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
