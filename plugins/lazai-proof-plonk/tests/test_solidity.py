"""The generated contract: accepts proofs, refuses aliases, costs what it may."""

from __future__ import annotations

from pathlib import Path

import pytest
from attrs import evolve
from plonk_cases import Case
from plonk_circuits import chain_circuit
from plonk_evm import Verifier, second_opinion

from lazai_core.api.errors import ProofRejected
from lazai_core.testing.cases import cases
from lazai_core.testing.rng import SeededRng
from lazai_proof_plonk.ceremony import insecure_test_powers
from lazai_proof_plonk.files.limbs import limbs_from_integers
from lazai_proof_plonk.files.r1cs import simple_r1cs
from lazai_proof_plonk.keys import G2_GENERATOR
from lazai_proof_plonk.parameters import FIELD, ORDER
from lazai_proof_plonk.snarkjs_prover import SnarkjsProver
from lazai_proof_plonk.snarkjs_setup import setup
from lazai_proof_plonk.solidity.generate import ContractError, verifier_contract

GAS_MAX = 300_000
CHANGED_WORDS = (1, 7, 17, 18, 23)


@pytest.fixture(scope="module")
def chain_verifier() -> tuple[Verifier, bytes, tuple[int, ...]]:
    circuit, witness = chain_circuit(20)
    prover = SnarkjsProver.load(setup(circuit, insecure_test_powers(6)))
    proof, public = prover.prove(limbs_from_integers(witness), SeededRng(3))
    return Verifier(verifier_contract(prover.key)), proof.encode(), public


def test_a_proof_with_two_public_values_costs_less_than_the_limit(
    chain_verifier: tuple[Verifier, bytes, tuple[int, ...]],
) -> None:
    verifier, proof, public = chain_verifier
    accepted, gas = verifier.verify(proof, public)
    assert accepted
    assert len(public) == 2
    assert gas <= GAS_MAX


def test_a_proof_for_a_full_key_is_accepted(case: Case) -> None:
    verifier = Verifier(verifier_contract(case.prover.key, "Full"), "Full")
    accepted, gas = verifier.verify(case.proof.encode(), case.public)
    assert accepted
    assert gas <= GAS_MAX


def test_a_circuit_without_public_values() -> None:
    circuit = simple_r1cs(
        wires=2, outputs=0, public_inputs=0, private_inputs=1, constraints=((((1, 1),), ((1, 1),), ((1, 1),)),)
    )
    prover = SnarkjsProver.load(setup(circuit, insecure_test_powers(4)))
    proof, _ = prover.prove(limbs_from_integers([1, 1]), SeededRng(0))
    assert Verifier(verifier_contract(prover.key)).verify(proof.encode(), ())[0]


def test_every_changed_word_and_every_alias_is_refused(
    chain_verifier: tuple[Verifier, bytes, tuple[int, ...]],
) -> None:
    verifier, proof, public = chain_verifier
    for word in range(24):
        value = int.from_bytes(proof[32 * word : 32 * word + 32], "big")
        modulus = FIELD if word < 18 else ORDER
        # What is canonical costs a whole verification, so only some words are changed that way.
        canonical = (value ^ 1, modulus - value) if word in CHANGED_WORDS else ()
        for other in (value + modulus, 2**256 - 1, *canonical):
            if other < 2**256:
                changed = proof[: 32 * word] + other.to_bytes(32, "big") + proof[32 * word + 32 :]
                assert not verifier.verify(changed, public)[0], word
    for point in range(9):
        assert not verifier.verify(proof[: 64 * point] + bytes(64) + proof[64 * point + 64 :], public)[0]
    for index, value in enumerate(public):
        for other in (value + ORDER, value + 2 * ORDER, ORDER, (value + 1) % ORDER):
            assert not verifier.verify(proof, (*public[:index], other, *public[index + 1 :]))[0]


def test_a_second_machine_agrees(tmp_path: Path) -> None:
    circuit, witness = chain_circuit(9)
    prover = SnarkjsProver.load(setup(circuit, insecure_test_powers(6)))
    proof, public = prover.prove(limbs_from_integers(witness), SeededRng(3))
    data = proof.encode()
    wrong = data[:-1] + bytes([data[-1] ^ 1])
    calls = [(data, public), (data, (public[0], public[1] + ORDER)), (data, (public[1], public[0])), (wrong, public)]

    assert second_opinion(verifier_contract(prover.key), calls, tmp_path) == [True, False, False, False]


def test_hostile_calldata_gives_false(chain_verifier: tuple[Verifier, bytes, tuple[int, ...]]) -> None:
    verifier, proof, public = chain_verifier
    assert not verifier.verify(bytes(768), (0, 0))[0]
    assert not verifier.verify(b"\xff" * 768, public)[0]
    for fuzz in cases(5):
        with fuzz:
            changed = fuzz.mutate(proof)[:768].ljust(768, b"\x00")
            if changed != proof:
                assert not verifier.verify(changed, public)[0]


def test_bad_names_and_bad_keys_give_no_contract(case: Case) -> None:
    for name in ("", "1a", "a b", "a{}", "x" * 65):
        with pytest.raises(ContractError):
            verifier_contract(case.prover.key, name)
    with pytest.raises(ContractError, match="public values"):
        verifier_contract(evolve(case.prover.key, public=257, power=9))
    with pytest.raises(ProofRejected, match="key setup"):
        verifier_contract(evolve(case.prover.key, x_2=G2_GENERATOR))
