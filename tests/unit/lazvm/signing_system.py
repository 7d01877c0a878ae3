"""A proof system for tests: the proof is a signature over the statement. It shows who speaks, nothing else."""

from __future__ import annotations

from lazai_core.api.compute import CancelToken, ConstantSource, TraceHandle
from lazai_core.api.errors import BadSignature, ProofMalformed, ProofRejected
from lazai_core.api.hashing import address_of_private_key, recover_address, sign_digest
from lazai_core.api.job import ProofEnvelope
from lazai_core.api.precompile import StatePort
from lazai_core.api.program import Program
from lazai_core.api.proof import AcceptancePolicy, ProofKind, ProvingKey, Rng, Statement, Support, Verdict, VerifyingKey
from lazai_core.api.types import Address, Gas

PROOF_BYTES = 85


class SigningSystem:
    """`ProofSystem`; the proof's bytes are an address and its signature."""

    name = "signing"
    kind = ProofKind.ATTESTATION
    version = 1
    hiding = True
    needs_verifying_key = False

    def __init__(self) -> None:
        self.verified = 0

    def supports(self, program: Program) -> Support:
        return Support(supported=True)

    def prepare(self, program: Program, constants: ConstantSource) -> ProvingKey:
        raise NotImplementedError

    def prove(
        self, key: ProvingKey, statement: Statement, trace: TraceHandle, rng: Rng, cancel: CancelToken
    ) -> ProofEnvelope:
        raise NotImplementedError

    def sign(self, statement: Statement, private_key: bytes) -> ProofEnvelope:
        data = address_of_private_key(private_key) + sign_digest(statement.digest, private_key)
        return ProofEnvelope(system=self.name, version=self.version, data=data)

    def verification_gas(self, key: VerifyingKey, proof_bytes: int, state: StatePort) -> Gas:
        if proof_bytes != PROOF_BYTES:
            raise ProofMalformed(f"{PROOF_BYTES} bytes are expected")
        return Gas(4_000)

    def verify(
        self, key: VerifyingKey, statement: Statement, proof: ProofEnvelope, accept: AcceptancePolicy
    ) -> Verdict:
        self.verified += 1
        if len(proof.data) != PROOF_BYTES:
            raise ProofMalformed(f"{PROOF_BYTES} bytes are expected")
        try:
            signer = recover_address(statement.digest, proof.data[20:])
        except BadSignature as error:
            raise ProofRejected(error.message, check="signature") from error
        if signer != proof.data[:20]:
            raise ProofRejected("it is by somebody else", check="signature")
        return Verdict(proven=f"0x{signer.hex()} signed the statement", worker=Address(signer))
