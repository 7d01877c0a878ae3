"""Contracts of native mode, with and without lookups: accept what is right, refuse everything else."""

from __future__ import annotations

from pathlib import Path

import pytest
from attrs import evolve, frozen
from plonk_cases import CONTEXT, Case
from plonk_circuits import chain_circuit
from plonk_evm import Verifier, second_opinion

from lazai_core.api.errors import ProofRejected
from lazai_core.testing.cases import cases
from lazai_core.testing.rng import SeededRng
from lazai_proof_plonk.ceremony import insecure_test_powers
from lazai_proof_plonk.circuit import Builder
from lazai_proof_plonk.circuit.gadgets.integers import assert_range
from lazai_proof_plonk.circuit.lay_out import native_circuit, native_witness
from lazai_proof_plonk.files.limbs import limbs_from_integers
from lazai_proof_plonk.keys import G2_GENERATOR
from lazai_proof_plonk.native_circuit import circuit_of_gates
from lazai_proof_plonk.native_key import NativeKey
from lazai_proof_plonk.native_proof import NativeProof, point_names
from lazai_proof_plonk.native_prover import NativeProver
from lazai_proof_plonk.native_setup import native_setup
from lazai_proof_plonk.native_verifier import verify
from lazai_proof_plonk.parameters import FIELD, ORDER
from lazai_proof_plonk.r1cs_gates import gates_of
from lazai_proof_plonk.solidity.generate import ContractError, verifier_contract
from lazai_proof_plonk.solidity.parts import PRECOMPILE_GAS
from lazai_proof_plonk.witness_values import extend_witness

GAS_MAX = {False: 300_000, True: 370_000}
"""Without lookups the bar of snarkjs mode holds too."""


@frozen(kw_only=True)
class Made:
    """A key, its contract, and a proof with two public values."""

    key: NativeKey
    contract: Verifier
    proof: bytes
    public: tuple[int, ...]


def chain() -> tuple[NativeKey, bytes, tuple[int, ...]]:
    circuit, witness = chain_circuit(20)
    key = native_setup(circuit_of_gates(gates_of(circuit)), insecure_test_powers(6))
    values = extend_witness(key.variables, key.additions, limbs_from_integers(witness))
    return key.key, *NativeProver(key).prove(values, SeededRng(1), CONTEXT)


def looked_up() -> tuple[NativeKey, bytes, tuple[int, ...]]:
    """Every column is live: sums of four terms use the next row, the table and the range use lookups."""
    builder = Builder()
    x, y = builder.input("x"), builder.input("y", public=True)
    assert_range(x, 7)
    total = builder.sum([(2, x), (3, y), (5, x * y), (7, x * x)], 11)
    table = builder.table("double", [(value, 2 * value + 1) for value in range(100)])
    builder.expose(builder.lookup(table, x) * total)
    key = native_setup(native_circuit(builder), insecure_test_powers(9))
    values = native_witness(builder.solve({"x": 42, "y": 5}))
    return key.key, *NativeProver(key).prove(values, SeededRng(1), CONTEXT)


@pytest.fixture(scope="module", params=[chain, looked_up], ids=["gates", "lookups"])
def made(request: pytest.FixtureRequest) -> Made:
    key, proof, public = request.param()
    verify(key, public, proof, CONTEXT)
    return Made(key=key, contract=Verifier(verifier_contract(key)), proof=proof, public=public)


def test_a_right_proof_is_accepted_within_the_gas_bar(made: Made) -> None:
    accepted, gas = made.contract.verify(made.proof, made.public, CONTEXT)
    assert accepted
    assert len(made.public) == 2
    assert gas <= GAS_MAX[made.key.lookups]


@pytest.mark.parametrize("context", [b"", b"x", bytes(range(100))], ids=len)
def test_contexts_of_every_length_follow_the_transcript(context: bytes) -> None:
    builder = Builder()
    builder.expose(builder.input("x") * 3)
    key = native_setup(native_circuit(builder), insecure_test_powers(4))
    proof, public = NativeProver(key).prove(native_witness(builder.solve({"x": 4})), SeededRng(0), context)
    contract = Verifier(verifier_contract(key.key))
    assert contract.verify(proof, public, context)[0]
    assert not contract.verify(proof, public, context + b"\0")[0]


def test_a_circuit_without_public_values() -> None:
    builder = Builder()
    builder.assert_equal(builder.input("x"), 3)
    key = native_setup(native_circuit(builder), insecure_test_powers(4))
    proof, public = NativeProver(key).prove(native_witness(builder.solve({"x": 3})), SeededRng(0))
    assert public == ()
    assert Verifier(verifier_contract(key.key)).verify(proof, (), b"")[0]


def test_a_point_off_the_curve_takes_little_of_the_callers_gas(made: Made) -> None:
    """A precompile that fails takes what it was given, which is a constant near its price."""
    off = (1).to_bytes(32, "big") + (3).to_bytes(32, "big")
    for point in range(len(point_names(made.key.lookups))):
        changed = made.proof[: 64 * point] + off + made.proof[64 * point + 64 :]
        accepted, gas = made.contract.verify(changed, made.public, CONTEXT)
        assert not accepted
        assert gas <= GAS_MAX[made.key.lookups] + max(PRECOMPILE_GAS.values())


def test_contracts_say_that_callers_check_intervals_and_never_forward_all_gas(made: Made) -> None:
    text = verifier_contract(made.key)
    assert "The caller must check that each lies in its interval" in text
    for precompile in (5, 6, 7, 8):
        assert f"staticcall(gas(), {precompile}," not in text


def test_public_values_and_their_aliases_are_bound(made: Made) -> None:
    for index, value in enumerate(made.public):
        for other in (value + ORDER, ORDER, 2**256 - 1, (value + 1) % ORDER):
            changed = (*made.public[:index], other, *made.public[index + 1 :])
            assert not made.contract.verify(made.proof, changed, CONTEXT)[0]
    assert not made.contract.verify(made.proof, made.public[::-1], CONTEXT)[0]


def test_every_changed_word_is_refused(made: Made) -> None:
    points = len(point_names(made.key.lookups))
    for word in range(len(made.proof) // 32):
        at = 32 * word
        value = int.from_bytes(made.proof[at : at + 32], "big")
        modulus = FIELD if word < 2 * points else ORDER
        # What is canonical costs a whole verification, so only some words are changed that way.
        canonical = (value ^ 1 if word >= 2 * points else modulus - value,) if word % 8 == 1 else ()
        for other in (value + modulus, 2**256 - 1, *canonical):
            if other < 2**256:
                changed = made.proof[:at] + other.to_bytes(32, "big") + made.proof[at + 32 :]
                assert not made.contract.verify(changed, made.public, CONTEXT)[0], word
    for point in range(points):
        for other in (bytes(64), (1).to_bytes(32, "big") + (3).to_bytes(32, "big")):
            changed = made.proof[: 64 * point] + other + made.proof[64 * point + 64 :]
            assert not made.contract.verify(changed, made.public, CONTEXT)[0]


def test_the_contract_agrees_with_the_verifier_on_mutations(made: Made) -> None:
    for fuzz in cases(6):
        with fuzz:
            changed = fuzz.mutate(made.proof)[: len(made.proof)].ljust(len(made.proof), b"\0")
            if changed != made.proof:
                assert not made.contract.verify(changed, made.public, CONTEXT)[0]


def test_a_second_machine_agrees(made: Made, tmp_path: Path) -> None:
    swapped = NativeProof.decode(made.proof, made.key.lookups)
    swapped = evolve(swapped, points=swapped.points | {"w": swapped.points["w_next"], "w_next": swapped.points["w"]})
    calls = [
        (made.proof, made.public, CONTEXT),
        (made.proof, made.public, b""),
        (made.proof, (made.public[0], made.public[1] + ORDER), CONTEXT),
        (made.proof[:-1] + bytes([made.proof[-1] ^ 1]), made.public, CONTEXT),
        (swapped.encode(), made.public, CONTEXT),
    ]
    assert second_opinion(verifier_contract(made.key), calls, tmp_path) == [True, False, False, False, False]


def test_bad_keys_give_no_contract(case: Case) -> None:
    with pytest.raises(ContractError, match="public values"):
        verifier_contract(evolve(case.native_key, public=257, power=9))
    with pytest.raises(ProofRejected, match="key setup"):
        verifier_contract(evolve(case.native_key, x_2=G2_GENERATOR))
    with pytest.raises(ProofRejected, match="key points"):
        verifier_contract(evolve(case.native_key, commitments=((1, 3), *case.native_key.commitments[1:])))
