"""Shared parts of the PLONK tests: circuits, ceremonies, keys, and snarkjs where it is installed."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest
from attrs import frozen
from plonk_circuits import mixed_circuit

from lazai_core.testing.rng import SeededRng
from lazai_proof_plonk.ceremony import insecure_test_powers
from lazai_proof_plonk.files.limbs import limbs_from_integers
from lazai_proof_plonk.files.ptau import PowersOfTau
from lazai_proof_plonk.files.r1cs import R1cs
from lazai_proof_plonk.files.zkey import Zkey
from lazai_proof_plonk.native_circuit import circuit_of_gates
from lazai_proof_plonk.native_key import NativeKey
from lazai_proof_plonk.native_prover import NativeProver
from lazai_proof_plonk.native_setup import NativeProvingKey, native_setup
from lazai_proof_plonk.r1cs_gates import gates_of
from lazai_proof_plonk.snarkjs_proof import SnarkjsProof
from lazai_proof_plonk.snarkjs_prover import SnarkjsProver
from lazai_proof_plonk.snarkjs_setup import setup
from lazai_proof_plonk.witness_values import extend_witness

CEREMONY_FILE = "powersOfTau28_hez_final_11.ptau"


def fixtures_folder() -> Path | None:
    """The folder of public fixtures, where there is one."""
    named = os.environ.get("LAZAI_FIXTURES")
    folder = Path(named) if named else Path(__file__).resolve().parents[4] / "shared" / "fixtures"
    return folder if folder.is_dir() else None


@pytest.fixture(scope="session")
def ceremony_path() -> Path:
    folder = fixtures_folder()
    if folder is None or not (folder / CEREMONY_FILE).is_file():
        pytest.skip(f"the public ceremony {CEREMONY_FILE} is not here; set LAZAI_FIXTURES to its folder")
    return folder / CEREMONY_FILE


@pytest.fixture(scope="session")
def snarkjs() -> Callable[..., str]:
    """Runs snarkjs; skips where it is not installed."""
    folder = os.environ.get("LAZAI_SNARKJS")
    script = Path(folder) / "build" / "cli.cjs" if folder else None
    if script is None or not script.is_file():
        pytest.skip("snarkjs is not here; set LAZAI_SNARKJS to the folder of its npm package")

    def run(*arguments: str | Path) -> str:
        command = ["node", "--no-warnings", str(script), *map(str, arguments)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=300)
        return done.stdout + done.stderr

    return run


@frozen(kw_only=True)
class Case:
    """A circuit with keys and proofs of both modes under the test ceremony."""

    circuit: R1cs
    witness: list[int]
    powers: PowersOfTau
    zkey: Zkey
    prover: SnarkjsProver
    proof: SnarkjsProof
    public: tuple[int, ...]
    native: NativeProvingKey
    native_values: object
    native_proof: bytes

    @property
    def native_key(self) -> NativeKey:
        return self.native.key


CONTEXT = b"context"


@cache
def made_case() -> Case:
    circuit, witness = mixed_circuit(40, 7)
    powers = insecure_test_powers(8)
    zkey = setup(circuit, powers)
    prover = SnarkjsProver.load(zkey)
    proof, public = prover.prove(limbs_from_integers(witness), SeededRng(1))
    native = native_setup(circuit_of_gates(gates_of(circuit)), powers)
    values = extend_witness(native.variables, native.additions, limbs_from_integers(witness))
    native_proof, _ = NativeProver(native).prove(values, SeededRng(2), CONTEXT)
    return Case(
        circuit=circuit,
        witness=witness,
        powers=powers,
        zkey=zkey,
        prover=prover,
        proof=proof,
        public=public,
        native=native,
        native_values=values,
        native_proof=native_proof,
    )


@pytest.fixture(scope="session")
def case() -> Case:
    return made_case()
