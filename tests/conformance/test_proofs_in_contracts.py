"""A contract that takes proven answers: it holds the key's hash, and refuses what the precompile alone would accept."""

from __future__ import annotations

import hashlib
from functools import cache
from typing import Any

import pytest
from attrs import evolve, frozen

from lazai_core.api.compute import CancelToken
from lazai_core.api.proof import ProofSystem, Statement
from lazai_core.api.types import PROOF_CHECK_ADDRESS, Address, Gas
from lazai_core.builtin.precompiles.proof_check import ProofCheckPrecompile, encode_statement
from lazai_core.builtin.stores import MemoryStore
from lazai_core.chain.abi import decode_call, encode_arguments, encode_call
from lazai_core.chain.system_calls import VerifyCall
from lazai_core.chain.system_contracts import creation_code
from lazai_core.lazvm.records import RecordVerifier
from lazai_core.lazvm.vm import CallRequest, LazVM
from lazai_core.registry import Kind
from lazai_core.testing.parts import build_entry
from lazai_core.testing.rng import SeededRng
from lazai_core.testing.sample import Sample, make_claim
from lazai_core.testing.samples import perceptron
from tests.conformance.installed import catalog
from tests.unit.lazvm.world import CHAIN_ID, FlatPolicy, advance, genesis, transaction

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        not any(offer.name == "stark" for offer in catalog().offers(Kind.PROOF_SYSTEM)),
        reason="lazai-proof-stark is not installed",
    ),
]
GAS = 30_000_000
SUBMIT = "submit(bytes,bytes,bytes)"


@frozen(kw_only=True)
class Proved:
    """A statement, its proof, and the key that it was made under."""

    statement: Statement
    key: bytes
    proof: bytes

    def submission(self) -> bytes:
        """Calldata for the contract."""
        return encode_call(SUBMIT, self.key, encode_statement(self.statement), self.proof)


@cache
def system() -> ProofSystem:
    built: ProofSystem = build_entry(catalog().find(Kind.PROOF_SYSTEM, "stark").entry)
    return built


def prove(sample: Sample, chain_id: int = CHAIN_ID) -> Proved:
    claim = make_claim(sample, proof_system="stark", chain_id=chain_id)
    key = system().prepare(sample.model.program, sample.model)
    made = system().prove(key, claim.statement, claim.trace, SeededRng(), CancelToken())
    return Proved(statement=claim.statement, key=key.verifying_key.data, proof=made.data)


@cache
def honest() -> Proved:
    return prove(perceptron())


@cache
def of_other_weights() -> Proved:
    """The same program by its digest, but a key that commits to weights of the attacker's choice.

    The digest names constants by hash; whoever holds them checks a key against that, and proofs do not.
    """
    sample = perceptron()
    model = sample.model
    changed = [array.copy() for array in model.constants]
    layer = [op for op in model.program.ops if op.kind == "dense"][-1]
    weight = layer.operands[1] - model.program.first_constant
    changed[weight] = -changed[weight]
    false = evolve(sample, model=evolve(model, constants=tuple(changed)))
    fresh: ProofSystem = build_entry(catalog().find(Kind.PROOF_SYSTEM, "stark").entry)
    claim = make_claim(false, proof_system="stark", chain_id=CHAIN_ID)
    key = fresh.prepare(false.model.program, false.model)
    made = fresh.prove(key, claim.statement, claim.trace, SeededRng(), CancelToken())
    return Proved(statement=claim.statement, key=key.verifying_key.data, proof=made.data)


def deployed() -> tuple[LazVM, Address]:
    """A machine with the precompile, and the contract for the honest key."""
    vm = LazVM(
        genesis=genesis(),
        store=MemoryStore(),
        precompiles={PROOF_CHECK_ADDRESS: ProofCheckPrecompile({"stark": system()})},
        gas_policy=FlatPolicy(),
        verify_record=RecordVerifier({"stark": system()}),
    )
    made = honest()
    arguments = (made.statement.program_digest, hashlib.sha256(made.key).digest(), "stark")
    code = creation_code("ProvenAnswers") + encode_arguments(["bytes32", "bytes32", "string"], arguments)
    created = advance(vm, transaction(0, 0, b"", code, gas=GAS)).executed.outcomes[0].created
    assert created is not None
    return vm, created


def ask(vm: LazVM, to: Address, data: bytes) -> Any:
    return vm.call(CallRequest(to=to, data=data, is_static=False, gas=Gas(GAS)))


def test_a_proven_answer_is_taken_once() -> None:
    vm, contract = deployed()
    made = honest()
    assert ask(vm, contract, made.submission()).output == made.statement.digest
    first = advance(vm, transaction(0, 1, contract, made.submission(), gas=GAS)).executed.outcomes[0]
    assert first.succeeded
    again = ask(vm, contract, made.submission())
    assert not again.succeeded
    assert decode_call("AnswerTaken(bytes32)", again.output) == (made.statement.digest,)


def test_a_key_to_other_weights_passes_the_precompile_and_not_the_contract() -> None:
    vm, contract = deployed()
    false = of_other_weights()
    assert false.statement.program_digest == honest().statement.program_digest
    assert false.statement.output != honest().statement.output
    call = VerifyCall(
        system="stark",
        verifying_key=false.key,
        statement=encode_statement(false.statement),
        proof=false.proof,
    )
    assert ask(vm, PROOF_CHECK_ADDRESS, call.encode()).output == false.statement.digest
    refused = ask(vm, contract, false.submission())
    assert not refused.succeeded
    assert decode_call("OtherVerifyingKey(bytes32)", refused.output) == (hashlib.sha256(false.key).digest(),)


def test_statements_of_other_chains_models_and_lengths_are_refused() -> None:
    vm, contract = deployed()
    elsewhere = prove(perceptron(), chain_id=CHAIN_ID + 1)
    refused = ask(vm, contract, elsewhere.submission())
    assert decode_call("OtherChain(uint256)", refused.output) == (CHAIN_ID + 1,)
    statement, made = encode_statement(honest().statement), honest()
    other = ask(vm, contract, encode_call(SUBMIT, made.key, bytes(32) + statement[32:], made.proof))
    assert decode_call("OtherModel(bytes32)", other.output) == (bytes(32),)
    short = ask(vm, contract, encode_call(SUBMIT, made.key, statement[:71], made.proof))
    assert decode_call("StatementTooShort(uint256)", short.output) == (71,)


def test_a_damaged_proof_is_refused_by_the_precompile_s_own_error() -> None:
    vm, contract = deployed()
    made = honest()
    damaged = made.proof[:-1] + bytes([made.proof[-1] ^ 1])
    refused = ask(vm, contract, encode_call(SUBMIT, made.key, encode_statement(made.statement), damaged))
    assert not refused.succeeded
    assert decode_call("ProofRejected(string)", refused.output) == ("merkle path",)
