"""What the commands do, without a terminal. Each returns a document of plain values."""

from __future__ import annotations

import mmap
from collections.abc import Callable
from pathlib import Path
from typing import Any

from lazai_core.api.errors import EncodingError, LazAIError, ProofError, ProvingFailed

from .blinding import SystemRng
from .ceremony import CeremonyRefused, Setup, check_trust, insecure_test_powers, load_ceremony, setup_of
from .files.json_codec import (
    read_proof,
    read_public,
    read_verification_key,
    write_proof,
    write_public,
    write_verification_key,
)
from .files.ptau import PowersOfTau
from .files.r1cs import read_r1cs
from .files.wtns import read_wtns
from .files.zkey import read_zkey, write_zkey
from .keys import SnarkjsKey
from .native_circuit import circuit_of_gates
from .native_key import NativeKey
from .native_key_file import MAGIC as NATIVE_MAGIC
from .native_key_file import read_native_key, write_native_key
from .native_prover import NativeProver
from .native_setup import native_setup
from .native_verifier import verify as verify_native
from .r1cs_gates import gates_of
from .snarkjs_prover import SnarkjsProver
from .snarkjs_setup import domain_size, setup_gates, verification_key
from .snarkjs_verifier import verify as verify_snarkjs
from .stages import Stages
from .witness_values import extend_witness

Progress = Callable[[str], None]
JSON_START = b"{"


class WrongMode(LazAIError):
    """A file of the other mode."""


def open_bytes(path: Path) -> memoryview:
    """A file mapped into memory, so that keys of many gigabytes can be read."""
    with path.open("rb") as file:
        if path.stat().st_size == 0:
            return memoryview(b"")
        return memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))


def _check_mode(found: str, wanted: str | None, path: Path) -> None:
    if wanted is not None and wanted != found:
        raise WrongMode(f"{path} is of mode {found}, not {wanted}")


def _rounded(stages: Stages) -> dict[str, float]:
    return {name: round(seconds, 4) for name, seconds in stages.seconds.items()}


def make_key(
    r1cs: Path, ptau: Path | None, mode: str, out: Path, progress: Progress, trusted: Setup = Setup.HERMEZ
) -> dict[str, Any]:
    """Setup; without a ceremony the insecure test ceremony. Raises EncodingError, CeremonyRefused, CeremonyTooSmall."""
    stages = Stages(progress)
    stages.enter("circuit")
    circuit = read_r1cs(open_bytes(r1cs))
    gates = gates_of(circuit)
    stages.enter("ceremony")
    powers, ceremony = _ceremony(ptau, domain_size(len(gates.a)), trusted)
    if mode == "native":
        key = native_setup(circuit_of_gates(gates), powers, stages.enter)
        data, digest, size = write_native_key(key), key.key.digest, key.key.domain_size
    else:
        zkey = setup_gates(gates, powers, stages.enter)
        data, digest, size = write_zkey(zkey), verification_key(zkey).digest, zkey.domain_size
    stages.enter("write")
    out.write_bytes(data)
    stages.enter("")
    return {
        "mode": mode,
        "ceremony": ceremony,
        "rows": len(gates.a),
        "domain": size,
        "public": circuit.public,
        "key": digest.hex(),
        "seconds": _rounded(stages),
    }


def _ceremony(ptau: Path | None, size: int, trusted: Setup) -> tuple[PowersOfTau, str]:
    if ptau is None:
        return insecure_test_powers(size.bit_length() - 1), "insecure-test"
    return load_ceremony(ptau, trusted)


def make_proof(
    zkey: Path, wtns: Path, proof: Path, public: Path, mode: str | None, progress: Progress
) -> dict[str, Any]:
    """Prove and check the proof before it is written. Raises EncodingError, ProvingFailed, WrongMode."""
    stages = Stages(progress)
    stages.enter("read")
    data, witness = open_bytes(zkey), read_wtns(open_bytes(wtns))
    found = "native" if bytes(data[:4]) == NATIVE_MAGIC else "snarkjs"
    _check_mode(found, mode, zkey)
    if found == "native":
        values, digest, size = _prove_native(data, witness, proof, stages)
    else:
        values, digest, size = _prove_snarkjs(data, witness, proof, stages)
    public.write_text(write_public(values) + "\n")
    return {"mode": found, "domain": size, "public": len(values), "key": digest, "seconds": _rounded(stages)}


def _prove_native(data: memoryview, witness: Any, proof: Path, stages: Stages) -> tuple[tuple[int, ...], str, int]:
    key = read_native_key(data)
    values = extend_witness(key.variables, key.additions, witness)
    made, public = NativeProver(key).prove(values, SystemRng(), stages=stages)
    stages.enter("verify")
    _self_check(lambda: verify_native(key.key, public, made))
    stages.enter("")
    proof.write_bytes(made)
    return public, key.key.digest.hex(), key.key.domain_size


def _prove_snarkjs(data: memoryview, witness: Any, proof: Path, stages: Stages) -> tuple[tuple[int, ...], str, int]:
    prover = SnarkjsProver.load(read_zkey(data))
    made, public = prover.prove(witness, SystemRng(), stages)
    stages.enter("verify")
    _self_check(lambda: verify_snarkjs(prover.key, public, made))
    stages.enter("")
    proof.write_text(write_proof(made) + "\n")
    return public, prover.key.digest.hex(), prover.key.domain_size


def _self_check(check: Callable[[], None]) -> None:
    try:
        check()
    except ProofError as error:
        raise ProvingFailed(f"the key is inconsistent: its own proof is refused: {error}") from error


def _load_key(vk: Path) -> SnarkjsKey | NativeKey:
    data = bytes(open_bytes(vk)[: 1 << 21])
    if data.lstrip()[:1] == JSON_START:
        return read_verification_key(data)
    return NativeKey.decode(data)


def check_proof(vk: Path, proof: Path, public: Path, mode: str | None, trusted: Setup = Setup.HERMEZ) -> dict[str, Any]:
    """The verdict with its reason. Raises EncodingError or ProofMalformed for a key that is none, WrongMode."""
    key = _load_key(vk)
    found = "native" if isinstance(key, NativeKey) else "snarkjs"
    _check_mode(found, mode, vk)
    document: dict[str, Any] = {"mode": found, "key": key.digest.hex(), "setup": setup_of(key.x_2).value}
    try:
        check_trust(key.x_2, trusted)
        values = read_public(bytes(open_bytes(public)))
        data = bytes(open_bytes(proof)[: 1 << 21])
        if isinstance(key, NativeKey):
            verify_native(key, values, data)
        else:
            verify_snarkjs(key, values, read_proof(data))
    except (ProofError, EncodingError, CeremonyRefused) as error:
        return document | {"accepted": False, "reason": str(error)}
    return document | {"accepted": True, "reason": ""}


def write_verification_key_file(zkey: Path, out: Path) -> str:
    """The key's digest, once written. Raises EncodingError."""
    data = open_bytes(zkey)
    if bytes(data[:4]) == NATIVE_MAGIC:
        native = read_native_key(data).key
        out.write_bytes(native.encode())
        return native.digest.hex()
    key = verification_key(read_zkey(data))
    out.write_text(write_verification_key(key) + "\n")
    return key.digest.hex()


def write_contract(vk: Path, out: Path, name: str) -> str:
    """The key's digest, once the contract is written. Raises EncodingError, ContractError."""
    from .solidity.generate import verifier_contract

    data = open_bytes(vk)
    magic = bytes(data[:4])
    key: SnarkjsKey | NativeKey
    if magic == b"zkey":
        key = verification_key(read_zkey(data))
    else:
        key = read_native_key(data).key if magic == NATIVE_MAGIC else _load_key(vk)
    out.write_text(verifier_contract(key, name))
    return key.digest.hex()
