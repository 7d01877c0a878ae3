"""Everything public is bound: another statement, other data, another set, another system (classes 1, 16, 26)."""

from __future__ import annotations

from typing import Any

import pytest
from attack_cases import (
    ACCEPT_DEV,
    Run,
    honest,
    key_of,
    refused,
    system,
)
from attrs import evolve

from lazai_core.api.errors import ProofRejected
from lazai_core.api.job import ProofEnvelope
from lazai_core.api.proof import AcceptancePolicy
from lazai_proof_stark.model_key import SYSTEM_NAME, VERSION


def test_the_honest_proof_is_accepted(run: Run) -> None:
    run.verify()


def test_proving_twice_gives_the_same_bytes(run: Run) -> None:
    assert honest(run.model).proof == run.proof


@pytest.mark.parametrize(
    "changes",
    [
        {"job_id": bytes(32)},
        {"chain_id": 8},
        {"output": b"flip"},
        {"input": b"flip"},
        {"program_digest": bytes(32)},
        {"usage": None},
    ],
    ids=["job", "chain", "output", "input", "program", "usage"],
)
def test_another_statement_is_refused(run: Run, changes: dict[str, Any]) -> None:
    for name, value in list(changes.items()):
        if value == b"flip":
            data = bytearray(getattr(run.statement, name))
            data[-1] ^= 1
            changes[name] = bytes(data)
        if name == "usage":
            changes[name] = evolve(run.statement.usage, flops=run.statement.usage.flops + 1)
    refused(lambda: run.verify(statement=evolve(run.statement, **changes)))


def test_every_byte_of_the_input_and_the_output_matters(run: Run) -> None:
    for name in ("input", "output"):
        data = getattr(run.statement, name)
        for offset in range(0, len(data), 5):
            changed = bytearray(data)
            changed[offset] ^= 2
            refused(
                lambda name=name, changed=changed: run.verify(statement=evolve(run.statement, **{name: bytes(changed)}))
            )


def test_longer_or_shorter_public_data_are_refused(run: Run) -> None:
    for name in ("input", "output"):
        data = getattr(run.statement, name)
        for changed in (data[:-1], data + b"\0", b"", data[:4]):
            refused(lambda name=name, changed=changed: run.verify(statement=evolve(run.statement, **{name: changed})))


def test_random_outputs_of_other_runs_are_refused(run: Run) -> None:
    other = honest(run.model, seed=5)
    refused(lambda: run.verify(other.proof))
    refused(lambda: other.verify(run.proof))


def test_dev_parameters_are_refused_by_default(run: Run) -> None:
    envelope = ProofEnvelope(system=SYSTEM_NAME, version=VERSION, data=run.proof)
    with pytest.raises(ProofRejected, match="bits"):
        system().verify(run.key.verifying_key, run.statement, envelope, AcceptancePolicy())
    system().verify(run.key.verifying_key, run.statement, envelope, ACCEPT_DEV)


def test_a_weak_proof_is_none_under_a_strong_key(run: Run) -> None:
    strong = key_of(run.model, "proven100")
    refused(lambda: run.verify(key=strong))


def test_an_envelope_of_another_system_or_version_is_refused(run: Run) -> None:
    for envelope in (
        ProofEnvelope(system="plonk", version=VERSION, data=run.proof),
        ProofEnvelope(system=SYSTEM_NAME, version=VERSION + 1, data=run.proof),
    ):
        refused(lambda envelope=envelope: system().verify(run.key.verifying_key, run.statement, envelope, ACCEPT_DEV))
