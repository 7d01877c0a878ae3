"""Freivalds' check (R. Freivalds, 1977) made non-interactive: y = W x is believed when r·y = (r·W)·x for random r.

The proof holds the results of the dense layers. The verifier draws r from a hash of everything the prover fixed,
checks each layer with two projections, and computes all other operations itself. A wrong layer passes with
probability 2^-122 a try.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from attrs import define

from lazai_core.api.compute import CancelToken, ConstantSource, TraceHandle
from lazai_core.api.errors import InvalidInput, ProofMalformed, ProofRejected, ProvingFailed, UnsupportedProgram
from lazai_core.api.job import ProofEnvelope
from lazai_core.api.precompile import StatePort
from lazai_core.api.program import Program
from lazai_core.api.proof import AcceptancePolicy, ProofKind, ProvingKey, Rng, Statement, Support, Verdict, VerifyingKey
from lazai_core.api.transcript import Transcript
from lazai_core.api.types import Gas
from lazai_core.exact.codec import decode_inputs
from lazai_core.exact.cost import planned_usage
from lazai_core.exact.reference import apply_op

from .claims import dense_ops, read_claims
from .keys import read_key, write_key
from .projection import EXTENT_MAX, PRIME, project

if TYPE_CHECKING:
    from lazai_core.exact.model import IntArray

NAME, VERSION = "freivalds", 1
PROJECTIONS = 2
SECURITY_BITS = 60 * PROJECTIONS
NOT_CHEAP = ("conv2d", "matmul")


@define(kw_only=True)
class FreivaldsKey:
    """The prover keeps nothing that the verifier does not have."""

    verifying_key: VerifyingKey


class FreivaldsProofSystem:
    """`ProofSystem` for programs whose only costly operations are dense layers."""

    name, kind, version = NAME, ProofKind.VALIDITY, VERSION
    hiding = False
    needs_verifying_key = True

    def supports(self, program: Program) -> Support:
        """What the verifier would have to compute itself must be cheap."""
        for index, op in enumerate(program.ops):
            if op.kind in NOT_CHEAP:
                return Support(supported=False, reason=f"operation {index} ({op.kind}) is costly and no dense layer")
        if not dense_ops(program):
            return Support(supported=False, reason="there is no dense layer to check")
        if any(max(constant.shape, default=0) > EXTENT_MAX for constant in program.constants):
            return Support(supported=False, reason=f"a constant has an axis of more than {EXTENT_MAX}")
        return Support(supported=True)

    def prepare(self, program: Program, constants: ConstantSource) -> ProvingKey:
        """The key holds the whole model."""
        support = self.supports(program)
        if not support.supported:
            raise UnsupportedProgram(support.reason)
        data = write_key(program, constants)
        key = VerifyingKey(system=NAME, version=VERSION, program_digest=program.digest(), data=data)
        return FreivaldsKey(verifying_key=key)

    def prove(
        self, key: ProvingKey, statement: Statement, trace: TraceHandle, rng: Rng, cancel: CancelToken
    ) -> ProofEnvelope:
        """Copy the layers' results out of the trace. There is nothing to hide, so no randomness is used."""
        program, parts = read_key(key.verifying_key)[0], [bytes(statement.digest)]
        for index in dense_ops(program):
            cancel.raise_if_cancelled()
            parts.append(bytes(trace.value(program.first_result + index).data))
        envelope = ProofEnvelope(system=NAME, version=VERSION, data=b"".join(parts))
        try:
            self.verify(key.verifying_key, statement, envelope, AcceptancePolicy(proof_bytes_max=len(envelope.data)))
        except (ProofMalformed, ProofRejected) as error:
            raise ProvingFailed(f"the trace does not prove the statement: {error}") from error
        return envelope

    def verification_gas(self, key: VerifyingKey, proof_bytes: int, state: StatePort) -> Gas:
        """Both are read once and projected twice."""
        if proof_bytes < 32 or proof_bytes % 4:
            raise ProofMalformed(f"a proof is a digest and int32 values, which {proof_bytes} bytes cannot be")
        return Gas(20_000 + 4 * len(key.data) + 16 * proof_bytes)

    def verify(
        self, key: VerifyingKey, statement: Statement, proof: ProofEnvelope, accept: AcceptancePolicy
    ) -> Verdict:
        """Form first, then what is cheap, then the layers."""
        _check_form(key, statement, proof, accept)
        program, constants = read_key(key)
        if not self.supports(program).supported:
            raise ProofMalformed("the key is of a program this system does not support")
        try:
            bound, inputs = decode_inputs(program, statement.input)
        except InvalidInput as error:
            raise ProofRejected(str(error), check="input") from error
        if planned_usage(bound) != statement.usage:
            raise ProofRejected("the stated cost is not the program's", check="usage")
        claims = read_claims(bound, proof.data[32:])
        transcript = Transcript("lazai/example/freivalds/v1")
        for label, data in (("key", key.digest), ("statement", statement.digest), ("claims", proof.data)):
            transcript.absorb(label, data)
        values: list[IntArray] = [*inputs, *constants]
        for index, op in enumerate(program.ops):
            operands = [values[operand] for operand in op.operands]
            if index in claims:
                _check_layer(transcript, index, operands, claims[index])
                values.append(claims[index])
            else:
                values.append(apply_op(op, operands, bound.shapes[program.first_result + index]))
        output = b"".join(values[item.value].tobytes() for item in program.outputs)
        if output != statement.output:
            raise ProofRejected("the program gives another output", check="output")
        return Verdict(proven=f"the output is the program's, up to an error of 2^-{SECURITY_BITS} a try")


def _check_form(key: VerifyingKey, statement: Statement, proof: ProofEnvelope, accept: AcceptancePolicy) -> None:
    if (proof.system, key.system, key.version) != (NAME, NAME, VERSION):
        raise ProofMalformed(f"proof and key must be of {NAME} version {VERSION}")
    if proof.version != VERSION or VERSION not in accept.versions:
        raise ProofRejected(f"version {proof.version} is not accepted", check="version")
    if len(proof.data) > accept.proof_bytes_max:
        raise ProofRejected(f"{len(proof.data)} bytes are more than {accept.proof_bytes_max}", check="size")
    if accept.security_bits_min > SECURITY_BITS:
        raise ProofRejected(f"{SECURITY_BITS} bits are less than {accept.security_bits_min}", check="security")
    if key.program_digest != statement.program_digest:
        raise ProofRejected("the key is of another program", check="key")
    if proof.data[:32] != statement.digest:
        raise ProofRejected("the proof was made for another statement", check="statement")


def _check_layer(transcript: Transcript, index: int, operands: list[IntArray], claimed: IntArray) -> None:
    """Raises ProofRejected unless every row of `claimed` is x · weight^T + bias."""
    x, weight, bias = operands
    rows, sums = x.reshape(-1, x.shape[-1]), claimed.reshape(-1, claimed.shape[-1])
    for _ in range(PROJECTIONS):
        vector = transcript.challenge_integers(f"layer {index}", PRIME, len(bias))
        if project(sums.astype("i8") - bias, vector) != project(rows, project(weight.T, vector)):
            raise ProofRejected(f"the result of operation {index} is not its layer's", check="layer")
