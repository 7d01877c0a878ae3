"""The proof-check precompile, 0x…0a02: verifies a proof of any proof system of the chain (docs/CHAIN.md, section 3)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NoReturn

from attrs import frozen

from lazai_core.api.encoding import Reader, Writer
from lazai_core.api.errors import EncodingError, PrecompileRevert, ProofMalformed, ProofRejected
from lazai_core.api.job import INPUT_BYTES_MAX, OUTPUT_BYTES_MAX, ProofEnvelope, ResourceUsage
from lazai_core.api.needs import ProofSystems
from lazai_core.api.precompile import Precompile, PrecompileCall
from lazai_core.api.proof import AcceptancePolicy, ProofSystem, Statement, VerifyingKey
from lazai_core.api.types import Gas, JobId, ModelId
from lazai_core.chain.abi import encode_call
from lazai_core.chain.system_calls import VerifyCall

GAS_FIXED = 3_000
GAS_BYTE = 3
"""Each byte of calldata is parsed and hashed."""


def encode_statement(statement: Statement) -> bytes:
    """Canonical bytes: program digest, job id, u64 chain id, input and output with their lengths, usage."""
    writer = Writer().raw(statement.program_digest).raw(statement.job_id).u64(statement.chain_id)
    writer.bytes_(statement.input).bytes_(statement.output)
    statement.usage.write(writer)
    return writer.finish()


def decode_statement(data: bytes) -> Statement:
    """Inverse of `encode_statement`. Raises EncodingError."""
    reader = Reader(data)
    statement = Statement(
        program_digest=ModelId(reader.raw(32)),
        job_id=JobId(reader.raw(32)),
        chain_id=reader.u64(),
        input=reader.bytes_(INPUT_BYTES_MAX),
        output=reader.bytes_(OUTPUT_BYTES_MAX),
        usage=ResourceUsage.read(reader),
    )
    reader.finish()
    return statement


@frozen(kw_only=True)
class _Prepared:
    system: ProofSystem
    key: VerifyingKey
    statement: Statement
    proof: ProofEnvelope


class ProofCheckPrecompile:
    """`Precompile` over the chain's proof systems.

    Every node must decide alike, whatever models it holds: an attestation passes on its signature alone here.
    """

    _ACCEPT = AcceptancePolicy(reexecute=False)

    def __init__(self, systems: Mapping[str, ProofSystem]) -> None:
        self._systems = systems

    def required_gas(self, call: PrecompileCall) -> Gas:
        """Fixed part, bytes, and what the proof system asks for a proof of this size. Raises PrecompileRevert."""
        prepared = self._prepare(call)
        try:
            gas = prepared.system.verification_gas(prepared.key, len(prepared.proof.data), call.state)
        except ProofMalformed:
            _refuse("ProofMalformed()")
        return Gas(GAS_FIXED + GAS_BYTE * len(call.data) + gas)

    def run(self, call: PrecompileCall) -> bytes:
        """The statement's digest. Raises PrecompileRevert when the proof is refused."""
        prepared = self._prepare(call)
        try:
            prepared.system.verify(prepared.key, prepared.statement, prepared.proof, self._ACCEPT)
        except ProofMalformed:
            _refuse("ProofMalformed()")
        except ProofRejected as refusal:
            _refuse("ProofRejected(string)", refusal.check)
        return prepared.statement.digest

    def _prepare(self, call: PrecompileCall) -> _Prepared:
        if call.value:
            _refuse("ValueNotAccepted()")
        try:
            request = VerifyCall.decode(call.data)
            statement = decode_statement(request.statement)
        except EncodingError as error:
            _refuse("MalformedCall(string)", error.message[:200])
        system = self._systems.get(request.system)
        if system is None:
            _refuse("UnknownProofSystem(string)", request.system)
        key = VerifyingKey(
            system=system.name,
            version=system.version,
            program_digest=statement.program_digest,
            data=request.verifying_key,
        )
        proof = ProofEnvelope(system=system.name, version=system.version, data=request.proof)
        return _Prepared(system=system, key=key, statement=statement, proof=proof)


def _refuse(signature: str, *values: object) -> NoReturn:
    raise PrecompileRevert(signature, data=encode_call(signature, *values))


def build_proof_check(systems: ProofSystems) -> Precompile:
    """The precompile over the chosen proof systems."""
    return ProofCheckPrecompile(systems)
