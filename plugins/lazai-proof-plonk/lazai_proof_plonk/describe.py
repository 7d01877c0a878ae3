"""`lazai plonk info`: what a file is and what it holds, without a terminal."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from lazai_core.api.encoding import Writer
from lazai_core.api.errors import EncodingError, ProofMalformed

from .ceremony import setup_of
from .commands import JSON_START, open_bytes
from .files.json_codec import read_proof, read_public, read_verification_key
from .files.ptau import read_ptau
from .files.r1cs import read_r1cs
from .files.wtns import read_wtns
from .files.zkey import read_zkey
from .keys import SnarkjsKey
from .native_key import MODE, NativeKey
from .native_key_file import MAGIC as NATIVE_MAGIC
from .native_key_file import read_native_key
from .native_proof import NativeProof, proof_bytes
from .r1cs_gates import gates_of
from .snarkjs_setup import domain_size, verification_key

NATIVE_KEY_START = Writer().text(MODE).finish()
LIST_START = b"["
SMALL_BYTES_MAX = 1 << 21


def describe(path: Path) -> dict[str, Any]:
    """What a file holds. Raises EncodingError for a file of no known kind."""
    data = open_bytes(path)
    magic = bytes(data[:4])
    readers: dict[bytes, Callable[[memoryview], dict[str, Any]]] = {
        b"r1cs": _describe_r1cs,
        b"wtns": lambda each: {"file": "wtns", "values": len(read_wtns(each))},
        b"ptau": _describe_ptau,
        b"zkey": _describe_zkey,
        NATIVE_MAGIC: _describe_native,
    }
    if magic in readers:
        return readers[magic](data)
    found = _describe_small(bytes(data[:SMALL_BYTES_MAX]))
    if found is None:
        raise EncodingError(f"{path.name}: no file of this package begins with {magic!r}")
    return found


def _describe_small(data: bytes) -> dict[str, Any] | None:
    """Keys, proofs and public values; None for anything else. Raises EncodingError for broken ones."""
    start = data[:64].lstrip()[:1]
    if start == LIST_START:
        return {"file": "public.json", "values": len(read_public(data))}
    if start == JSON_START:
        return _describe_json(data)
    if data.startswith(NATIVE_KEY_START):
        try:
            key = NativeKey.decode(data)
        except ProofMalformed as error:
            raise EncodingError(str(error)) from error
        return {"file": "native verification key", **_describe_key(key), "lookups": key.lookups}
    for lookups in (False, True):
        if len(data) == proof_bytes(lookups):
            return _describe_native_proof(data, lookups)
    return None


def _describe_json(data: bytes) -> dict[str, Any]:
    """A proof has commitments of wires, a key has sizes."""
    if b'"nPublic"' in data:
        return {"file": "verification_key.json", **_describe_key(read_verification_key(data))}
    proof = read_proof(data)
    return {
        "file": "proof.json",
        "mode": "snarkjs",
        "points": len(proof.points),
        "evaluations": len(proof.evaluations),
    }


def _describe_native_proof(data: bytes, lookups: bool) -> dict[str, Any] | None:
    """Proofs have no magic: bytes of the right length with canonical numbers are taken for one."""
    try:
        proof = NativeProof.decode(data, lookups)
    except ProofMalformed:
        return None
    return {
        "file": "native proof",
        "mode": "native",
        "points": len(proof.points),
        "evaluations": len(proof.evaluations),
        "lookups": lookups,
    }


def _describe_key(key: SnarkjsKey | NativeKey) -> dict[str, Any]:
    return {
        "mode": "native" if isinstance(key, NativeKey) else "snarkjs",
        "domain": key.domain_size,
        "public": key.public,
        "setup": setup_of(key.x_2).value,
        "key": key.digest.hex(),
    }


def _describe_r1cs(data: memoryview) -> dict[str, Any]:
    circuit = read_r1cs(data)
    gates = gates_of(circuit)
    return {
        "file": "r1cs",
        "constraints": len(circuit.constraints),
        "wires": circuit.wires,
        "outputs": circuit.outputs,
        "public inputs": circuit.public_inputs,
        "private inputs": circuit.private_inputs,
        "rows": len(gates.a),
        "domain": domain_size(len(gates.a)),
    }


def _describe_ptau(data: memoryview) -> dict[str, Any]:
    from .kernels import g2

    powers = read_ptau(data)
    (x_2,) = g2.decode(np.ascontiguousarray(powers.g2[1:2]))
    return {
        "file": "ptau",
        "power": powers.power,
        "ceremony power": powers.ceremony_power,
        "setup": setup_of(x_2).value,
    }


def _describe_zkey(data: memoryview) -> dict[str, Any]:
    zkey = read_zkey(data)
    return {
        "file": "zkey",
        **_describe_key(verification_key(zkey)),
        "rows": zkey.constraints,
        "variables": zkey.variables,
        "additions": len(zkey.additions),
    }


def _describe_native(data: memoryview) -> dict[str, Any]:
    key = read_native_key(data)
    return {"file": "native proving key", **_describe_key(key.key), "variables": key.variables}
