"""The proof-check precompile: accepts what the proof system accepts, and refuses by custom error."""

from __future__ import annotations

import contextlib

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from lazai_core.api.errors import EncodingError, PrecompileRevert
from lazai_core.api.job import ResourceUsage
from lazai_core.api.proof import Statement
from lazai_core.api.types import PROOF_CHECK_ADDRESS, Gas, JobId, ModelId
from lazai_core.builtin.precompiles.proof_check import decode_statement, encode_statement
from lazai_core.chain.abi import decode_call
from lazai_core.chain.system_calls import VerifyCall
from lazai_core.lazvm.adapter import REFUSAL_GAS, REFUSAL_GAS_WORD
from lazai_core.lazvm.vm import CallOutcome, CallRequest
from lazai_core.testing.chain_port import precompile_call
from tests.unit.lazvm.signing_system import SigningSystem
from tests.unit.lazvm.world import KEYS, machine, precompiles

STATEMENT = Statement(
    program_digest=ModelId(b"\x01" * 32),
    job_id=JobId(b"\x02" * 32),
    chain_id=4242,
    input=b"input",
    output=b"output",
    usage=ResourceUsage(flops=5, memory_bytes_peak=6, tokens_in=7),
)
GOOD = VerifyCall(
    system="signing",
    verifying_key=b"",
    statement=encode_statement(STATEMENT),
    proof=SigningSystem().sign(STATEMENT, KEYS[0]).data,
)


def ask(call: VerifyCall) -> CallOutcome:
    return machine().call(CallRequest(to=PROOF_CHECK_ADDRESS, data=call.encode(), is_static=True))


def test_a_good_proof_gives_the_statements_digest() -> None:
    outcome = ask(GOOD)

    assert outcome.output == STATEMENT.digest
    assert outcome.gas_used == 3_000 + 3 * len(GOOD.encode()) + 4_000


def test_a_proof_of_another_statement_is_rejected() -> None:
    other = evolve(STATEMENT, output=b"0utput")

    outcome = ask(evolve(GOOD, statement=encode_statement(other)))

    assert decode_call("ProofRejected(string)", outcome.output) == ("signature",)


def test_a_proof_of_another_size_is_malformed_before_it_costs_much() -> None:
    outcome = ask(evolve(GOOD, proof=GOOD.proof + b"\x00"))

    assert decode_call("ProofMalformed()", outcome.output) == ()
    assert outcome.gas_used == REFUSAL_GAS + REFUSAL_GAS_WORD * words(evolve(GOOD, proof=GOOD.proof + b"\x00"))


def words(call: VerifyCall) -> int:
    return -(-len(call.encode()) // 32)


def test_reading_a_call_is_paid_before_it_is_read() -> None:
    """A loop of refused calls with a megabyte of calldata each must not be free."""
    wrong = evolve(GOOD, statement=b"", proof=bytes(100_000))
    price = REFUSAL_GAS + REFUSAL_GAS_WORD * words(wrong)

    for gas, used in ((price, price), (price - 1, price - 1)):
        outcome = machine().call(CallRequest(to=PROOF_CHECK_ADDRESS, data=wrong.encode(), is_static=True, gas=Gas(gas)))
        assert (outcome.succeeded, outcome.gas_used) == (False, used)
        assert bool(outcome.output) == (gas == price), "without the price nothing is read"


def test_an_unknown_system_is_named() -> None:
    outcome = ask(evolve(GOOD, system="stark"))

    assert decode_call("UnknownProofSystem(string)", outcome.output) == ("stark",)


@pytest.mark.parametrize("statement", [b"", encode_statement(STATEMENT)[:-1], encode_statement(STATEMENT) + b"\x00"])
def test_a_statement_has_one_form(statement: bytes) -> None:
    assert decode_call("MalformedCall(string)", ask(evolve(GOOD, statement=statement)).output)


def test_statements_round_trip() -> None:
    assert decode_statement(encode_statement(STATEMENT)) == STATEMENT


@given(st.binary(max_size=200))
def test_any_bytes_are_refused_by_name(data: bytes) -> None:
    with contextlib.suppress(EncodingError):
        assert encode_statement(decode_statement(data)) == data
    with pytest.raises(PrecompileRevert):
        precompiles()[PROOF_CHECK_ADDRESS].required_gas(precompile_call(GOOD.encode()[:4] + data))


def test_coins_are_not_accepted() -> None:
    call = precompile_call(GOOD.encode(), value=1)

    with pytest.raises(PrecompileRevert) as refusal:
        precompiles()[PROOF_CHECK_ADDRESS].required_gas(call)
    assert decode_call("ValueNotAccepted()", refusal.value.data) == ()
