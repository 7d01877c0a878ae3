"""What is said is bound before the challenge that it could be fitted to (classes 1, 3, 14, 15)."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest
from attack_cases import (
    Cheater,
    Messages,
    Run,
    altered,
    key_of,
    network,
    record,
    refused,
    verify_quietly,
    word_offsets,
)
from attrs import evolve

from lazai_core.api.errors import ProofRejected
from lazai_proof_stark import field as f
from lazai_proof_stark import prover
from lazai_proof_stark.field import P


def test_transcript_covers_statement_and_proof(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is absorbed, in order, is the public data and then every byte before the first opening's answers."""
    absorbed, drawn = record(monkeypatch)
    run.verify()
    labels = [label for label, _ in absorbed]
    assert labels[:4] == ["parameters", "program", "verifying key", "statement"]
    assert dict(absorbed[:4]) == {
        "parameters": run.key.weight_key.parameters.digest,
        "program": run.statement.program_digest,
        "verifying key": run.key.verifying_key.digest,
        "statement": run.statement.digest,
    }
    messages = b"".join(data for _, data in absorbed[4:])
    first = b"".join(data for _, data in absorbed[4 : 4 + labels[4:].index("grind") + 1])
    assert run.proof.startswith(first)
    opened = len(run.proof) - len(messages)
    assert 0 < opened < len(run.proof)
    assert labels.count("grind") == 2
    assert drawn


def test_flipping_any_absorbed_word_changes_every_later_challenge(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    absorbed, drawn = record(monkeypatch)
    run.verify()
    honest_drawn, order = list(drawn), list(absorbed)
    size = sum(len(data) for label, data in order[4 : [label for label, _ in order].index("grind")])
    random = Random(5)
    for offset in word_offsets(run.proof[:size], random, 25):
        changed = bytearray(run.proof)
        changed[offset] ^= 1
        drawn.clear()
        assert verify_quietly(run, bytes(changed)) is not None
        same = 0
        while same < len(drawn) and drawn[same] == honest_drawn[same]:
            same += 1
        assert all(a != b for a, b in zip(drawn[same:], honest_drawn[same:], strict=False))
        assert same < len(honest_drawn)


def test_claimed_sums_are_absorbed_before_the_rounds_that_use_them(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    events: list[str] = []
    absorbed, drawn = record(monkeypatch)
    run.verify()
    events = [label for label, _ in absorbed]
    assert events.index("activations") < events.index("root") < events.index("sums")
    assert events.index("sums") < events.index("operands") < events.index("operand sum") < events.index("layer")
    names = [label for label, _ in drawn]
    assert (
        names.index("chi")
        < names.index("lookup")
        < names.index("claims")
        < names.index("operands")
        < names.index("join")
    )


def test_sums_moved_between_commitments_are_refused(
    cheater: Cheater, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A prover adds to one claimed sum what it takes from the other."""
    honest_sum = prover.claimed_sum
    calls: list[int] = []

    def shifted(claims: Any, *rest: Any) -> Any:
        calls.append(1)
        value = honest_sum(claims, *rest)
        delta = {1: 1, 2: P - 1}.get(len(calls), 0)
        return ((value[0] + delta) % P, *value[1:])

    monkeypatch.setattr(prover, "claimed_sum", shifted)
    statement, proof = cheater.prove(run, run.trace)
    refused(lambda: run.verify(proof, statement))


def test_operands_that_only_fit_the_last_check_are_refused(
    run: Run, monkeypatch: pytest.MonkeyPatch, cheater: Cheater
) -> None:
    """left' = 2 left, right' = right / 2: the product sumcheck holds, the openings do not."""

    def scaled(values: Messages) -> Messages:
        return [f.scale(values[0], 2), f.scale(values[1], pow(2, -1, P)), *values[2:]]

    altered(monkeypatch, "operands", 0, scaled)
    statement, proof = cheater.prove(run, run.trace)
    found = refused(lambda: run.verify(proof, statement))
    assert isinstance(found, ProofRejected)
    assert found.check == "sumcheck"


@pytest.mark.parametrize("occurrence", [0, 1, 5, 10])
def test_children_that_only_fit_their_level_are_refused(
    run: Run, monkeypatch: pytest.MonkeyPatch, cheater: Cheater, occurrence: int
) -> None:
    """p0 + q0, p1 - q1 have the same sum; the claim one level down, or about the leaves, is then false."""

    def moved(values: Messages) -> Messages:
        p0, p1, q0, q1 = values
        return [f.add(p0, q0), f.subtract(p1, q1), q0, q1]

    altered(monkeypatch, "children", occurrence, moved)
    statement, proof = cheater.prove(run, run.trace)
    refused(lambda: run.verify(proof, statement))


@pytest.mark.parametrize("label", ["sums", "operand sum", "operands", "final", "root", "round"])
def test_any_claim_changed_by_one_is_refused(
    run: Run, monkeypatch: pytest.MonkeyPatch, cheater: Cheater, label: str
) -> None:
    altered(monkeypatch, label, 0, lambda values: [f.add(values[0], f.ONE), *values[1:]])
    statement, proof = cheater.prove(run, run.trace)
    refused(lambda: run.verify(proof, statement))


def test_a_proof_of_one_activation_is_none_of_another(run: Run) -> None:
    """Same shapes, another table: the table is in W, and the program's digest in the transcript."""
    other = network(1, "leaky")
    assert other.program.digest() != run.model.program.digest()
    key = key_of(other)
    refused(lambda: run.verify(key=key))
    refused(lambda: run.verify(key=key, statement=evolve(run.statement, program_digest=other.program.digest())))
