"""Proof systems: how the answer of a model is shown to be the model's answer.

`verify` returns a verdict and raises on refusal: there is no boolean that a caller can forget to look at. The
*verifier* brings the accepted parameters; what a proof says about its own strength is never trusted.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Protocol, runtime_checkable

from attrs import field, frozen

from .compute import CancelToken, ConstantSource, TraceHandle
from .encoding import Writer, domain_hash
from .job import ProofEnvelope, ResourceUsage
from .precompile import StatePort
from .program import Program
from .types import Address, Gas, Hash32, Height, JobId, ModelId, Wei


class ProofKind(StrEnum):
    """What stands behind an accepted proof."""

    VALIDITY = "validity"
    OPTIMISTIC = "optimistic"
    ATTESTATION = "attestation"


@frozen(kw_only=True)
class Statement:
    """What is claimed: this program, on this input, for this job on this chain, gives this output at this cost."""

    program_digest: ModelId
    job_id: JobId
    chain_id: int
    input: bytes = field(repr=lambda data: f"<{len(data)} bytes>")
    output: bytes = field(repr=lambda data: f"<{len(data)} bytes>")
    usage: ResourceUsage

    @property
    def input_digest(self) -> Hash32:
        """Commitment to the input bytes."""
        return Hash32(domain_hash("lazai/statement/input/v1", self.input))

    @property
    def output_digest(self) -> Hash32:
        """Commitment to the output bytes."""
        return Hash32(domain_hash("lazai/statement/output/v1", self.output))

    @property
    def digest(self) -> Hash32:
        """Commitment to the whole statement; every proof must bind it."""
        writer = Writer()
        writer.raw(self.program_digest)
        writer.raw(self.job_id)
        writer.u64(self.chain_id)
        writer.raw(self.input_digest)
        writer.raw(self.output_digest)
        self.usage.write(writer)
        return Hash32(domain_hash("lazai/statement/v1", writer.finish()))


@frozen(kw_only=True)
class Support:
    """Whether a system can prove a program; `reason` names the op that is missing otherwise."""

    supported: bool
    reason: str = ""


@frozen(kw_only=True)
class VerifyingKey:
    """All a verifier needs of a model: public, bounded in size, bound to system, version and program."""

    system: str
    version: int
    program_digest: ModelId
    data: bytes = field(default=b"", repr=lambda data: f"<{len(data)} bytes>")

    @property
    def digest(self) -> Hash32:
        """Identity of the key."""
        writer = Writer().text(self.system).u32(self.version).raw(self.program_digest).bytes_(self.data)
        return Hash32(domain_hash("lazai/verifying-key/v1", writer.finish()))


class ProvingKey(Protocol):
    """What the prover keeps of a model; opaque to everyone else."""

    @property
    def verifying_key(self) -> VerifyingKey:
        """The public part."""


@frozen(kw_only=True)
class AcceptancePolicy:
    """What a verifier is ready to accept. `reexecute` lets an attestation pass on its signature alone when False."""

    security_bits_min: int = 100
    proof_bytes_max: int = 8 * 1024 * 1024
    versions: frozenset[int] = frozenset({1})
    reexecute: bool = True


class VerdictKind(StrEnum):
    """FINAL pays at once, CHALLENGEABLE escrows until its height."""

    FINAL = "final"
    CHALLENGEABLE = "challengeable"


@frozen(kw_only=True)
class Verdict:
    """An acceptance. `proven` says in words what was shown and `assumed` what was only signed or trusted.

    `worker` is who the proof names as its maker, where the system's proofs name anybody; a record of another worker
    must not carry it.
    """

    kind: VerdictKind = VerdictKind.FINAL
    until: Height = Height(0)
    bond: Wei = Wei(0)
    proven: str
    assumed: str = ""
    worker: Address | None = None


class Rng(Protocol):
    """Randomness for blinding. Seeded in tests, the operating system's in service."""

    def bytes(self, count: int) -> bytes:
        """`count` fresh random bytes."""


@runtime_checkable
class ProofSystem(Protocol):
    """One way to prove. Consensus critical: name and version are in the genesis."""

    name: str
    kind: ProofKind
    version: int
    hiding: bool
    """Whether proofs hide weights; False means that they may be guessed from proofs."""
    needs_verifying_key: bool
    """Whether a model must have a verifying key on chain first; False where keys are empty."""

    def supports(self, program: Program) -> Support:
        """Whether programs of this shape can be proved; cheap."""

    def prepare(self, program: Program, constants: ConstantSource) -> ProvingKey:
        """Deterministic preprocessing of a model. Raises UnsupportedProgram."""

    def prove(
        self, key: ProvingKey, statement: Statement, trace: TraceHandle, rng: Rng, cancel: CancelToken
    ) -> ProofEnvelope:
        """Raises ProvingFailed, Cancelled."""

    def verification_gas(self, key: VerifyingKey, proof_bytes: int, state: StatePort) -> Gas:
        """EVM gas that verifying a proof of this size costs at most; known before it is parsed.

        Raises ProofMalformed when no proof of this size exists.
        """

    def verify(
        self, key: VerifyingKey, statement: Statement, proof: ProofEnvelope, accept: AcceptancePolicy
    ) -> Verdict:
        """Raises ProofMalformed or ProofRejected; never anything else, whatever the bytes."""
