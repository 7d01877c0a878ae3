"""Against snarkjs itself: equal keys, proofs both ways."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from plonk_circuits import chain_circuit, mixed_circuit, quirky_circuit

from lazai_core.api.errors import ProofRejected
from lazai_core.testing.rng import SeededRng
from lazai_proof_plonk.ceremony import load_ceremony
from lazai_proof_plonk.files.json_codec import (
    read_proof,
    read_public,
    read_verification_key,
    write_proof,
    write_public,
    write_verification_key,
)
from lazai_proof_plonk.files.limbs import limbs_from_integers
from lazai_proof_plonk.files.r1cs import R1cs, write_r1cs
from lazai_proof_plonk.files.wtns import write_wtns
from lazai_proof_plonk.files.zkey import read_zkey, write_zkey
from lazai_proof_plonk.parameters import ORDER
from lazai_proof_plonk.snarkjs_prover import SnarkjsProver
from lazai_proof_plonk.snarkjs_setup import setup, verification_key
from lazai_proof_plonk.snarkjs_verifier import verify

CIRCUITS = {
    "short": chain_circuit(1),
    "chain": chain_circuit(20),
    "mixed": mixed_circuit(60, 7),
    "quirky": quirky_circuit(),
}


@pytest.mark.parametrize("name", list(CIRCUITS))
def test_setup_is_equal_and_proofs_go_both_ways(
    name: str, snarkjs: Callable[..., str], ceremony_path: Path, tmp_path: Path
) -> None:
    circuit, witness = CIRCUITS[name]
    their_key = _their_setup(snarkjs, circuit, ceremony_path, tmp_path)
    powers, _ = load_ceremony(ceremony_path)

    assert write_zkey(setup(circuit, powers)) == their_key
    prover = SnarkjsProver.load(read_zkey(their_key))
    snarkjs("zkey", "export", "verificationkey", tmp_path / "key.zkey", tmp_path / "key.json")
    key_text = (tmp_path / "key.json").read_text()
    assert read_verification_key(key_text) == prover.key
    assert write_verification_key(prover.key) == key_text.rstrip("\n")

    proof, public = prover.prove(limbs_from_integers(witness), SeededRng(4))
    (tmp_path / "ours.json").write_text(write_proof(proof))
    (tmp_path / "public.json").write_text(write_public(public))
    assert "OK!" in snarkjs("plonk", "verify", tmp_path / "key.json", tmp_path / "public.json", tmp_path / "ours.json")
    wrong = tuple((value + 1) % ORDER for value in public)
    (tmp_path / "wrong.json").write_text(write_public(wrong))
    assert "OK!" not in snarkjs(
        "plonk", "verify", tmp_path / "key.json", tmp_path / "wrong.json", tmp_path / "ours.json"
    )

    (tmp_path / "w.wtns").write_bytes(write_wtns(limbs_from_integers(witness)))
    snarkjs("plonk", "prove", tmp_path / "key.zkey", tmp_path / "w.wtns", tmp_path / "theirs.json", tmp_path / "p.json")
    theirs, their_public = (
        read_proof((tmp_path / "theirs.json").read_text()),
        read_public((tmp_path / "p.json").read_text()),
    )
    assert their_public == public
    verify(prover.key, their_public, theirs)
    with pytest.raises(ProofRejected):
        verify(prover.key, wrong, theirs)


def _their_setup(snarkjs: Callable[..., str], circuit: R1cs, ceremony: Path, folder: Path) -> bytes:
    (folder / "c.r1cs").write_bytes(write_r1cs(circuit))
    snarkjs("plonk", "setup", folder / "c.r1cs", ceremony, folder / "key.zkey")
    return (folder / "key.zkey").read_bytes()


def test_a_key_made_here_is_taken_by_snarkjs(snarkjs: Callable[..., str], ceremony_path: Path, tmp_path: Path) -> None:
    circuit, witness = CIRCUITS["mixed"]
    powers, _ = load_ceremony(ceremony_path)
    key = setup(circuit, powers)
    (tmp_path / "ours.zkey").write_bytes(write_zkey(key))
    (tmp_path / "w.wtns").write_bytes(write_wtns(limbs_from_integers(witness)))
    snarkjs("plonk", "prove", tmp_path / "ours.zkey", tmp_path / "w.wtns", tmp_path / "p.json", tmp_path / "q.json")

    verify(
        verification_key(key),
        read_public((tmp_path / "q.json").read_text()),
        read_proof((tmp_path / "p.json").read_text()),
    )
