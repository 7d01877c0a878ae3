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

from lazai_core.api.compute import CancelToken
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


# 10, 15: as many messages as the circuit asks for, each of its length.


def messages_before_the_answers(run: Run, monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, bytes]]:
    """Labels and bytes of all messages up to the first opening's nonce."""
    with monkeypatch.context() as patch:
        absorbed, _ = record(patch)
        run.verify()
    labels = [label for label, _ in absorbed]
    return absorbed[4 : labels.index("grind") + 1]


def test_every_message_is_wanted_once_and_in_its_place(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    said = messages_before_the_answers(run, monkeypatch)
    assert {"activations", "root", "children", "round", "sums", "operands", "layer", "final"} <= {n for n, _ in said}
    parts = [data for _, data in said]
    rest = run.proof[sum(map(len, parts)) :]
    assert b"".join(parts) + rest == run.proof
    for index in range(len(parts)):
        before, this, after = parts[:index], parts[index], parts[index + 1 :]
        changes = {
            "left out": [*before, *after],
            "said twice": [*before, this, this, *after],
            "zero": [*before, bytes(len(this)), *after],
        }
        if after and after[0] != this:
            changes["after the next"] = [*before, after[0], this, *after[1:]]
        for name, changed in changes.items():
            if b"".join(changed) != b"".join(parts):
                proof = b"".join(changed) + rest
                assert verify_quietly(run, proof) is not None, (said[index][0], index, name)


def test_no_message_may_be_longer_or_shorter(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """A round polynomial of a higher degree is one more coefficient; one of a lower degree is one less."""
    said = messages_before_the_answers(run, monkeypatch)
    offset, tried = 0, set()
    for label, data in said:
        end = offset + len(data)
        for changed in (run.proof[:end] + bytes(20) + run.proof[end:], run.proof[: end - 20] + run.proof[end:]):
            refused(lambda changed=changed: run.verify(changed))
        tried.add(label)
        offset = end
    assert "round" in tried


def test_the_value_at_one_is_never_the_provers(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """g(0) + g(1) = claim holds by construction: a round message has no place for g(1), so a lie shows at the end."""
    said = messages_before_the_answers(run, monkeypatch)
    sizes = {len(data) for label, data in said if label == "round"}
    assert sizes == {2 * 20, 3 * 20}
    for occurrence in (0, 3, 9):
        with pytest.MonkeyPatch.context() as patch:
            altered(patch, "round", occurrence, lambda values: [f.add(values[0], f.ONE), *values[1:]])
            proof = prover.prove(run.key, run.statement, run.trace, CancelToken())
        refused(lambda proof=proof: run.verify(proof))


# 1: every byte of the statement.


def test_flipping_any_byte_of_the_statement_changes_every_challenge(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """All that is drawn depends on all that is claimed; what fails before anything is drawn depends on nothing."""
    _, drawn = record(monkeypatch)
    run.verify()
    usual = list(drawn)
    statement = run.statement
    changed = [
        *(evolve(statement, job_id=_flipped(statement.job_id, i)) for i in range(32)),
        *(evolve(statement, chain_id=statement.chain_id ^ 1 << bit) for bit in range(64)),
        *(evolve(statement, output=_flipped(statement.output, i)) for i in range(len(statement.output))),
        *(evolve(statement, input=_flipped(statement.input, i)) for i in range(4, len(statement.input))),
    ]
    for claimed in changed:
        drawn.clear()
        assert verify_quietly(run, run.proof, claimed) is not None
        assert drawn
        assert all(a != b for a, b in zip(drawn, usual, strict=False))


def _flipped(data: bytes, index: int) -> bytes:
    return data[:index] + bytes([data[index] ^ 1]) + data[index + 1 :]


def test_flipping_any_byte_of_any_message_changes_every_later_challenge(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Byte by byte, for one message of each label and each length."""
    said = messages_before_the_answers(run, monkeypatch)
    _, drawn = record(monkeypatch)
    run.verify()
    usual = list(drawn)
    offset, seen, moved = 0, set(), set()
    for label, data in said:
        if (label, len(data)) not in seen:
            seen.add((label, len(data)))
            for index in range(offset, offset + min(len(data), 48)):
                drawn.clear()
                assert verify_quietly(run, _flipped(run.proof, index)) is not None
                same = next((i for i, (a, b) in enumerate(zip(drawn, usual, strict=False)) if a != b), len(drawn))
                assert all(a != b for a, b in zip(drawn[same:], usual[same:], strict=False))
                if same < len(drawn):
                    moved.add(label)
        offset += len(data)
    # What fails before anything else is drawn (a root that does not fit its children) moves nothing.
    assert {"activations", "round", "sums", "operand sum", "layer", "final"} <= moved
