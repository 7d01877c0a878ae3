"""Proofs in the virtual machine: the proof-check precompile prices them unread, accepts them, and refuses by name."""

from __future__ import annotations

import time

import pytest
from attrs import evolve

from lazai_core.api.compute import CancelToken
from lazai_core.api.errors import PrecompileRevert
from lazai_core.builtin.precompiles.proof_check import ProofCheckPrecompile, encode_statement
from lazai_core.chain.abi import decode_call
from lazai_core.chain.system_calls import VerifyCall
from lazai_core.testing.chain_port import precompile_call
from lazai_core.testing.rng import SeededRng
from lazai_core.testing.sample import make_claim
from lazai_core.testing.samples import perceptron
from lazai_proof_stark.options import StarkOptions
from lazai_proof_stark.system import StarkProofSystem


@pytest.fixture(scope="module")
def precompile() -> ProofCheckPrecompile:
    return ProofCheckPrecompile({"stark": StarkProofSystem(StarkOptions())})


def verify_call(parameters: str) -> VerifyCall:
    sample = perceptron()
    system = StarkProofSystem(StarkOptions(parameters=parameters, threads=1))
    claim = make_claim(sample, proof_system="stark")
    key = system.prepare(sample.model.program, sample.model)
    proof = system.prove(key, claim.statement, claim.trace, SeededRng(), CancelToken())
    statement = encode_statement(claim.statement)
    return VerifyCall(system="stark", verifying_key=key.verifying_key.data, statement=statement, proof=proof.data)


@pytest.fixture(scope="module")
def good() -> VerifyCall:
    return verify_call("proven100")


def refusal(precompile: ProofCheckPrecompile, call: VerifyCall) -> bytes:
    with pytest.raises(PrecompileRevert) as caught:
        precompile.run(precompile_call(call.encode()))
    return caught.value.data


def test_a_proof_is_priced_and_accepted(precompile: ProofCheckPrecompile, good: VerifyCall) -> None:
    call = precompile_call(good.encode())

    assert 500_000 < precompile.required_gas(call) < 10_000_000
    assert len(precompile.run(call)) == 32


def test_a_changed_statement_is_rejected_by_the_check_that_failed(
    precompile: ProofCheckPrecompile, good: VerifyCall
) -> None:
    changed = evolve(good, statement=good.statement[:80] + bytes([good.statement[80] ^ 1]) + good.statement[81:])

    (check,) = decode_call("ProofRejected(string)", refusal(precompile, changed))
    assert check


def test_weak_proofs_are_rejected(precompile: ProofCheckPrecompile) -> None:
    assert decode_call("ProofRejected(string)", refusal(precompile, verify_call("dev"))) == ("security",)


@pytest.mark.parametrize("part", ["verifying_key", "proof"])
def test_cut_parts_are_malformed(precompile: ProofCheckPrecompile, good: VerifyCall, part: str) -> None:
    cut = evolve(good, **{part: getattr(good, part)[:-4]})

    assert decode_call("ProofMalformed()", refusal(precompile, cut)) == ()


def test_asking_for_the_price_reads_nothing_of_the_key(precompile: ProofCheckPrecompile, good: VerifyCall) -> None:
    """A contract may ask with two megabytes of anything as often as it likes: only bytes are moved."""
    noise = good.verifying_key[:8] + bytes(2**20)
    call = precompile_call(evolve(good, verifying_key=noise).encode())

    assert precompile.required_gas(call) > 16 * 2**20
    with pytest.raises(PrecompileRevert):
        precompile.run(call)


def test_a_second_verification_finds_the_model_known(precompile: ProofCheckPrecompile, good: VerifyCall) -> None:
    call = precompile_call(good.encode())
    started = time.perf_counter()
    first = precompile.run(call)

    assert precompile.run(call) == first
    assert time.perf_counter() - started < 60
