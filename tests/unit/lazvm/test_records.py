"""Whose fault a refused record is, and that an accepted one is not verified twice."""

from __future__ import annotations

import pytest
from attrs import evolve

from lazai_core.api.errors import InvalidBlock, LazAIError, OutOfMemory, PluginBroken, ProofMalformed, ProofRejected
from lazai_core.api.job import ComputeJob, ProofEnvelope
from lazai_core.api.proof import AcceptancePolicy, Statement, Verdict, VerifyingKey
from lazai_core.lazvm import records as records_module
from lazai_core.lazvm.records import RecordVerifier
from lazai_core.testing.chain_port import MemoryState
from tests.unit.lazvm.signing_system import SigningSystem
from tests.unit.lazvm.world import ACCOUNTS, CHAIN_ID, KEYS, digits_sample, worker_record

SAMPLE = digits_sample()
JOB = ComputeJob(
    chain_id=CHAIN_ID,
    model=SAMPLE.model.program.digest(),
    input=SAMPLE.job_input(seed=1),
    proof_system="signing",
)
RECORD = worker_record(JOB, SAMPLE)
STATE = MemoryState()


class RefusingSystem(SigningSystem):
    """Refuses with what it was given."""

    def __init__(self, error: Exception) -> None:
        super().__init__()
        self._error = error

    def verify(
        self, key: VerifyingKey, statement: Statement, proof: ProofEnvelope, accept: AcceptancePolicy
    ) -> Verdict:
        raise self._error


def refusal(error: Exception) -> InvalidBlock:
    with pytest.raises(InvalidBlock) as caught:
        RecordVerifier({"signing": RefusingSystem(error)})(JOB, RECORD, STATE)
    return caught.value


def caused(error: LazAIError, cause: Exception) -> LazAIError:
    error.__cause__ = cause
    return error


def test_an_accepted_record_is_verified_once() -> None:
    system = SigningSystem()
    verifier = RecordVerifier({"signing": system})

    for _ in range(3):
        verifier(JOB, RECORD, STATE)

    assert system.verified == 1
    assert "signed the statement" in verifier.verdict(JOB, RECORD, STATE).proven


def test_a_refused_record_is_not_remembered_as_accepted() -> None:
    system = SigningSystem()
    verifier = RecordVerifier({"signing": system})
    wrong = evolve(RECORD, output=bytes(40)).signed(KEYS[7])

    for _ in range(2):
        with pytest.raises(InvalidBlock):
            verifier(JOB, wrong, STATE)
    verifier(JOB, RECORD, STATE)

    assert system.verified == 3


def test_the_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(records_module, "VERDICTS_REMEMBERED_MAX", 2)
    system = SigningSystem()
    verifier = RecordVerifier({"signing": system})
    jobs = [evolve(JOB, salt=bytes([number]) * 32) for number in range(3)]
    found = [worker_record(job, SAMPLE) for job in jobs]

    for job, record in zip(jobs, found, strict=True):
        verifier(job, record, STATE)
    verifier(jobs[0], found[0], STATE)

    assert system.verified == 4


@pytest.mark.parametrize(
    "error",
    [
        ProofMalformed("no proof"),
        ProofRejected("another output", check="reexecution"),
        ProofRejected("by somebody else", check="signature"),
    ],
)
def test_a_refused_proof_is_the_workers_fault(error: Exception) -> None:
    found = refusal(error)

    assert (found.check, found.blame) == ("record proof", ACCOUNTS[7])


@pytest.mark.parametrize(
    "error",
    [
        ProofRejected("this node does not hold the program", check="program"),
        caused(ProofRejected("cannot run again", check="reexecution"), OutOfMemory("full")),
        caused(ProofRejected("the code failed", check="plugin"), PluginBroken("it raised KeyError")),
    ],
)
def test_what_this_node_cannot_judge_is_nobodys_fault(error: Exception) -> None:
    found = refusal(error)

    assert (found.check, found.blame) == ("record proof", b"")
    assert "cannot be verified here" in found.message


def test_a_copied_proof_is_the_copiers_fault() -> None:
    copied = evolve(RECORD, worker=ACCOUNTS[3]).signed(KEYS[3])

    with pytest.raises(InvalidBlock, match=f"its proof is by 0x{ACCOUNTS[7].hex()}") as caught:
        RecordVerifier({"signing": SigningSystem()})(JOB, copied, STATE)

    assert (caught.value.check, caught.value.blame) == ("worker", ACCOUNTS[3])


def test_an_unknown_system_is_nobodys_fault() -> None:
    with pytest.raises(InvalidBlock) as caught:
        RecordVerifier({})(JOB, RECORD, STATE)

    assert (caught.value.check, caught.value.blame) == ("proof system", b"")


def test_a_record_of_another_job() -> None:
    with pytest.raises(InvalidBlock) as caught:
        RecordVerifier({"signing": SigningSystem()})(evolve(JOB, salt=b"\x01" * 32), RECORD, STATE)

    assert (caught.value.check, caught.value.blame) == ("record job", ACCOUNTS[7])
