"""Verification of statements about exact programs. Stands alone: nothing of the prover is imported."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Sequence
from typing import Any

import numpy as np

from lazai_core.api.errors import EncodingError, InvalidInput, ProofMalformed, ProofRejected
from lazai_core.api.job import ProofEnvelope
from lazai_core.api.program import BoundProgram, Program
from lazai_core.api.proof import AcceptancePolicy, Statement, Verdict, VerifyingKey
from lazai_core.api.types import Gas
from lazai_core.exact.codec import decode_inputs, numpy_dtype
from lazai_core.exact.cost import planned_usage

from .ceremony import CeremonyRefused, Setup, check_trust
from .model_key import NAME, VERSION, ModelKey, read_model_key, stated_public
from .native_key import check_native_key
from .native_proof import proof_bytes
from .native_verifier import verify as verify_native
from .parameters import ORDER

SECURITY_BITS = 100
"""BN254 under the number field sieve (Kim and Barbulescu, ePrint 2015/1027); the argument itself has more."""

GAS_BASE = 300_000
GAS_A_PUBLIC_VALUE = 100
GAS_A_KEY_BYTE = 20
KEYS_KEPT = 64


def public_values(bound: BoundProgram, inputs: Sequence[Any], output: bytes) -> tuple[int, ...]:
    """The input's elements, then the output's, as field elements. Raises EncodingError for a wrong length."""
    values = [int(value) % ORDER for array in inputs for value in array.reshape(-1)]
    for part, declared in zip(bound.split_output(output), bound.program.outputs, strict=True):
        info = bound.program.values[declared.value]
        elements = np.frombuffer(part, dtype=numpy_dtype(info.dtype))
        values.extend(int(value) % ORDER for value in elements)
    return tuple(values)


def expected_public(program: Program, statement: Statement) -> tuple[int, tuple[int, ...]]:
    """Dimension and public values that the statement stands for.

    Raises InvalidInput, EncodingError, ProofRejected.
    """
    bound, arrays = decode_inputs(program, statement.input)
    planned = planned_usage(bound)
    if planned != statement.usage:
        raise ProofRejected(f"the statement says {statement.usage}, the program's plan is {planned}", check="usage")
    return bound.dim_value, public_values(bound, arrays, statement.output)


class PlonkVerifier:
    """Keeps the keys that passed their checks."""

    def __init__(self, setup: Setup) -> None:
        self._setup = setup
        self._keys: OrderedDict[bytes, ModelKey] = OrderedDict()
        self._lock = threading.Lock()

    def gas(self, key: VerifyingKey, size: int) -> Gas:
        """An upper bound at ten million gas a second; only the key's first bytes are read. Raises ProofMalformed."""
        if size not in (proof_bytes(False), proof_bytes(True)):
            raise ProofMalformed(f"a proof has {proof_bytes(False)} or {proof_bytes(True)} bytes, not {size}")
        return Gas(GAS_BASE + GAS_A_PUBLIC_VALUE * stated_public(key) + GAS_A_KEY_BYTE * len(key.data))

    def verify(
        self, key: VerifyingKey, statement: Statement, proof: ProofEnvelope, accept: AcceptancePolicy
    ) -> Verdict:
        """Form, policy, key, statement, then the proof itself. Raises ProofMalformed or ProofRejected."""
        _check_envelope(proof, accept)
        if statement.program_digest != key.program_digest:
            raise ProofRejected("the statement is about another program than the key", check="program")
        parsed = self._checked(key)
        stated = int.from_bytes(statement.input[:4], "big")
        if stated not in parsed.natives:
            # Before the input is read: its price is that of the key's circuits.
            raise ProofRejected(f"the key has no circuit of dimension {stated}", check="dimension")
        try:
            dim_value, public = expected_public(parsed.program, statement)
        except (InvalidInput, EncodingError) as error:
            raise ProofRejected(f"the statement does not fit the program: {error}", check="statement") from error
        verify_native(parsed.natives[dim_value], public, proof.data, statement.digest, trusted_key=True)
        return Verdict(
            proven="the program, run on the stated input, gives the stated output at the stated cost",
            assumed=f"the {self._setup.value} powers of tau, and that the key was made from the program",
        )

    def _checked(self, key: VerifyingKey) -> ModelKey:
        digest = key.digest
        with self._lock:
            known = self._keys.get(digest)
            if known is not None:
                self._keys.move_to_end(digest)
                return known
        parsed = read_model_key(key)
        for native in parsed.natives.values():
            check_native_key(native)
            try:
                check_trust(native.x_2, self._setup)
            except CeremonyRefused as error:
                raise ProofRejected(str(error), check="key setup") from error
        with self._lock:
            self._keys[digest] = parsed
            while len(self._keys) > KEYS_KEPT:
                self._keys.popitem(last=False)
        return parsed


def _check_envelope(proof: ProofEnvelope, accept: AcceptancePolicy) -> None:
    if proof.system != NAME:
        raise ProofMalformed(f"the proof is of system {proof.system!r}, not {NAME}")
    if proof.version != VERSION or proof.version not in accept.versions:
        raise ProofRejected(f"version {proof.version} is not accepted", check="version")
    if len(proof.data) > accept.proof_bytes_max:
        raise ProofRejected(
            f"the proof has {len(proof.data)} bytes, {accept.proof_bytes_max} are accepted", check="proof size"
        )
    if accept.security_bits_min > SECURITY_BITS:
        raise ProofRejected(
            f"{accept.security_bits_min} bits are asked for, BN254 gives {SECURITY_BITS}", check="security bits"
        )
