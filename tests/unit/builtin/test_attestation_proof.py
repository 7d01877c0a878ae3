"""Attestation: who signed is shown, and what was signed is run again; the verdict tells the two apart."""

from __future__ import annotations

from typing import Any

import pytest
from attrs import evolve

from lazai_core.api.compute import CancelToken
from lazai_core.api.errors import BackendUnavailable, Cancelled, ProofMalformed, ProofRejected
from lazai_core.api.job import ProofEnvelope, ResourceUsage
from lazai_core.api.proof import AcceptancePolicy, Statement, VerifyingKey
from lazai_core.builtin.attestation_proof import PROOF_BYTES, AttestationProofSystem
from lazai_core.builtin.options import AttestationOptions
from lazai_core.builtin.reference_coprocessor import ReferenceCoprocessor
from lazai_core.testing.parts import KnownIdentity, SampleStore
from lazai_core.testing.rng import SeededRng
from lazai_core.testing.sample import make_claim
from lazai_core.testing.samples import perceptron, token_mixer

SAMPLE = perceptron()
CLAIM = make_claim(SAMPLE, proof_system="attestation")
STATEMENT: Statement = CLAIM.statement
WORKER = KnownIdentity(5)


class CountingCoprocessor(ReferenceCoprocessor):
    runs = 0

    def execute(self, *arguments: Any, **options: Any) -> Any:
        self.runs += 1
        return super().execute(*arguments, **options)


class BrokenCoprocessor(ReferenceCoprocessor):
    def execute(self, *arguments: Any, **options: Any) -> Any:
        raise BackendUnavailable("the device fell off the bus")


def system(
    *, identity: KnownIdentity = WORKER, coprocessor: ReferenceCoprocessor | None = None, samples: Any = (SAMPLE,)
) -> AttestationProofSystem:
    return AttestationProofSystem(
        options=AttestationOptions(cache_entries_max=2),
        identity=identity,
        coprocessor=coprocessor or ReferenceCoprocessor(),
        programs=SampleStore(samples),
    )


def key_of(statement: Statement = STATEMENT) -> VerifyingKey:
    return VerifyingKey(system="attestation", version=1, program_digest=statement.program_digest)


def prove(statement: Statement = STATEMENT, by: KnownIdentity = WORKER) -> ProofEnvelope:
    worker = system(identity=by)
    proving = worker.prepare(SAMPLE.model.program, SAMPLE.model)
    return worker.prove(proving, statement, CLAIM.trace, SeededRng(), CancelToken())


def refusal(statement: Statement, proof: ProofEnvelope, **parts: Any) -> ProofRejected:
    with pytest.raises(ProofRejected) as caught:
        system(**parts).verify(key_of(statement), statement, proof, AcceptancePolicy())
    return caught.value


def test_what_is_right_is_accepted_and_the_verdict_says_what_was_done() -> None:
    run_again = system().verify(key_of(), STATEMENT, prove(), AcceptancePolicy())
    signed_only = system(samples=()).verify(key_of(), STATEMENT, prove(), AcceptancePolicy(reexecute=False))

    worker = WORKER.address.hex()
    assert worker in run_again.proven
    assert "running the program again on reference (cpu)" in run_again.proven
    assert worker in signed_only.proven
    assert "running" not in signed_only.proven
    assert "was not run again" in signed_only.assumed
    assert run_again.worker == signed_only.worker == WORKER.address


def test_a_wrong_output_is_refused_and_the_worker_named() -> None:
    lie = evolve(STATEMENT, output=STATEMENT.output[:-1] + bytes([STATEMENT.output[-1] ^ 1]))

    refused = refusal(lie, prove(lie))

    assert refused.check == "reexecution"
    assert WORKER.address.hex() in str(refused)


@pytest.mark.parametrize("length", [0, 1, 1000])
def test_an_output_of_another_length_is_refused(length: int) -> None:
    lie = evolve(STATEMENT, output=bytes(length))

    assert refusal(lie, prove(lie)).check == "reexecution"


def test_a_wrong_cost_and_an_impossible_input_are_refused() -> None:
    dear = evolve(STATEMENT, usage=ResourceUsage(flops=STATEMENT.usage.flops + 1, memory_bytes_peak=1))
    odd = evolve(STATEMENT, input=STATEMENT.input + b"x")

    assert refusal(dear, prove(dear)).check == "usage"
    assert refusal(odd, prove(odd)).check == "input"


def test_a_program_that_is_not_held_cannot_be_judged() -> None:
    refused = refusal(STATEMENT, prove(), samples=(token_mixer(),))

    assert refused.check == "program"
    assert WORKER.address.hex() not in str(refused)


def test_a_failing_backend_blames_nobody() -> None:
    refused = refusal(STATEMENT, prove(), coprocessor=BrokenCoprocessor())

    assert isinstance(refused.__cause__, BackendUnavailable)
    assert "not to blame" in str(refused)


def test_the_signature_binds_worker_and_statement() -> None:
    proof = prove()
    stolen = evolve(proof, data=KnownIdentity(6).address + proof.data[20:])
    other = evolve(STATEMENT, chain_id=STATEMENT.chain_id + 1)

    assert refusal(STATEMENT, stolen).check == "signature"
    assert refusal(other, proof).check == "signature"


@pytest.mark.parametrize("size", [0, 1, PROOF_BYTES - 1, PROOF_BYTES + 1, 10_000])
def test_another_size_is_malformed_before_anything_is_done(size: int) -> None:
    proof = ProofEnvelope(system="attestation", version=1, data=bytes(size))

    with pytest.raises(ProofMalformed, match=str(size)):
        system().verify(key_of(), STATEMENT, proof, AcceptancePolicy())
    with pytest.raises(ProofMalformed):
        system().verification_gas(key_of(), size, None)  # type: ignore[arg-type]


def test_another_key_system_or_version_is_refused() -> None:
    proof, accept = prove(), AcceptancePolicy()

    with pytest.raises(ProofMalformed):
        system().verify(key_of(), STATEMENT, evolve(proof, system="stark"), accept)
    with pytest.raises(ProofRejected, match="version"):
        system().verify(key_of(), STATEMENT, evolve(proof, version=2), accept)
    with pytest.raises(ProofRejected, match="version"):
        system().verify(key_of(), STATEMENT, proof, AcceptancePolicy(versions=frozenset({2})))
    with pytest.raises(ProofRejected, match="key"):
        system().verify(evolve(key_of(), data=b"x"), STATEMENT, proof, accept)


def test_a_statement_is_run_once_however_often_it_is_verified() -> None:
    backend = CountingCoprocessor()
    verifier = system(coprocessor=backend)
    for worker in (WORKER, WORKER, KnownIdentity(6)):
        verifier.verify(key_of(), STATEMENT, prove(by=worker), AcceptancePolicy())
    assert backend.runs == 1

    # The memory is bounded: two newer statements push the first one out.
    for salt in (1, 2):
        other = evolve(STATEMENT, chain_id=STATEMENT.chain_id + salt)
        verifier.verify(key_of(), other, prove(other), AcceptancePolicy())
    verifier.verify(key_of(), STATEMENT, prove(), AcceptancePolicy())
    assert backend.runs == 4


def test_proving_can_be_cancelled() -> None:
    cancel = CancelToken()
    cancel.cancel()
    worker = system()

    with pytest.raises(Cancelled):
        worker.prove(worker.prepare(SAMPLE.model.program, SAMPLE.model), STATEMENT, CLAIM.trace, SeededRng(), cancel)
