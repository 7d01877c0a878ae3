"""Jobs, their results and the records that enter a block.

A job is named by its content, so that everyone who derives it derives the same id. A record is what a worker
publishes: output, planned usage, proof and signature. Measured time and memory never appear here.
"""

from __future__ import annotations

from enum import IntEnum

from attrs import field, frozen

from .encoding import Reader, Writer, domain_hash
from .errors import EncodingError
from .hashing import recover_address, sign_digest
from .types import Address, DatId, Hash32, JobId, ModelId

INPUT_BYTES_MAX = 16 * 1024 * 1024
OUTPUT_BYTES_MAX = 16 * 1024 * 1024
PROOF_BYTES_MAX = 64 * 1024 * 1024
SYSTEM_NAME_BYTES_MAX = 32


class JobKind(IntEnum):
    """What a job does with its model."""

    INFERENCE = 0


class NumericMode(IntEnum):
    """`EXACT`: integers, bit-equal on every backend."""

    EXACT = 0


@frozen(kw_only=True)
class ComputeJob:
    """One run of one model on one input.

    `model` is a program digest; `input` are job input bytes as docs/EXACT.md defines them; `dats` name the data
    tokens whose use was granted; `proof_system` is the wanted system's name; `salt` separates requests that are
    equal otherwise (all zero where a record may be shared).
    """

    kind: JobKind = JobKind.INFERENCE
    numeric: NumericMode = NumericMode.EXACT
    chain_id: int
    model: ModelId
    input: bytes
    dats: tuple[DatId, ...] = ()
    proof_system: str
    salt: bytes = bytes(32)

    def encode(self) -> bytes:
        """Canonical bytes."""
        writer = Writer()
        writer.u8(self.kind)
        writer.u8(self.numeric)
        writer.u64(self.chain_id)
        writer.raw(self.model)
        writer.bytes_(self.input)
        writer.u32(len(self.dats))
        for dat in self.dats:
            writer.raw(dat.to_bytes(32, "big"))
        writer.text(self.proof_system)
        writer.raw(self.salt)
        return writer.finish()

    @classmethod
    def decode(cls, data: bytes) -> ComputeJob:
        """Inverse of `encode`. Raises EncodingError."""
        reader = Reader(data)
        kind, numeric = reader.u8(), reader.u8()
        if kind not in tuple(JobKind) or numeric not in tuple(NumericMode):
            raise EncodingError(f"unknown job kind {kind} or numeric mode {numeric}")
        job = cls(
            kind=JobKind(kind),
            numeric=NumericMode(numeric),
            chain_id=reader.u64(),
            model=ModelId(reader.raw(32)),
            input=reader.bytes_(INPUT_BYTES_MAX),
            dats=tuple(DatId(int.from_bytes(reader.raw(32), "big")) for _ in range(reader.count(256, 32))),
            proof_system=reader.text(SYSTEM_NAME_BYTES_MAX),
            salt=reader.raw(32),
        )
        reader.finish()
        return job

    @property
    def job_id(self) -> JobId:
        """Content hash."""
        return JobId(domain_hash("lazai/job/v1", self.encode()))


@frozen(kw_only=True)
class ResourceUsage:
    """Planned cost of a job, a function of graph and shapes alone (docs/EXACT.md, section 3)."""

    flops: int
    memory_bytes_peak: int
    tokens_in: int = 0

    def write(self, writer: Writer) -> None:
        """Append the canonical bytes."""
        writer.u64(self.flops)
        writer.u64(self.memory_bytes_peak)
        writer.u64(self.tokens_in)

    @classmethod
    def read(cls, reader: Reader) -> ResourceUsage:
        """Inverse of `write`."""
        return cls(flops=reader.u64(), memory_bytes_peak=reader.u64(), tokens_in=reader.u64())


@frozen(kw_only=True)
class ResourceLimits:
    """Upper bounds for one run; 0 means no bound."""

    flops_max: int = 0
    memory_bytes_max: int = 0
    time_ms_max: int = 0
    output_bytes_max: int = OUTPUT_BYTES_MAX


@frozen(kw_only=True)
class ProofEnvelope:
    """A proof with the name and version of its system. Never trusted about itself."""

    system: str
    version: int
    data: bytes = field(repr=lambda data: f"<{len(data)} bytes>")

    def write(self, writer: Writer) -> None:
        """Append the canonical bytes."""
        writer.text(self.system)
        writer.u32(self.version)
        writer.bytes_(self.data)

    @classmethod
    def read(cls, reader: Reader, proof_bytes_max: int = PROOF_BYTES_MAX) -> ProofEnvelope:
        """Inverse of `write`."""
        return cls(system=reader.text(SYSTEM_NAME_BYTES_MAX), version=reader.u32(), data=reader.bytes_(proof_bytes_max))

    def encode(self) -> bytes:
        """Canonical bytes."""
        writer = Writer()
        self.write(writer)
        return writer.finish()

    @classmethod
    def decode(cls, data: bytes) -> ProofEnvelope:
        """Inverse of `encode`. Raises EncodingError."""
        reader = Reader(data)
        envelope = cls.read(reader)
        reader.finish()
        return envelope


@frozen(kw_only=True)
class ComputeRecord:
    """What a worker publishes for a job: enough for a validator to check it and to pay the worker.

    `signature` is the worker's over `digest_to_sign`, binding output, usage, proof and payee.
    """

    job_id: JobId
    output: bytes = field(repr=lambda data: f"<{len(data)} bytes>")
    usage: ResourceUsage
    proof: ProofEnvelope
    worker: Address
    signature: bytes = b""

    def _write_unsigned(self, writer: Writer) -> None:
        writer.raw(self.job_id)
        writer.bytes_(self.output)
        self.usage.write(writer)
        self.proof.write(writer)
        writer.raw(self.worker)

    @property
    def digest_to_sign(self) -> Hash32:
        """The 32 bytes the worker signs."""
        writer = Writer()
        self._write_unsigned(writer)
        return Hash32(domain_hash("lazai/record/v1", writer.finish()))

    def signed(self, private_key: bytes) -> ComputeRecord:
        """This record with the worker's signature."""
        from attrs import evolve

        return evolve(self, signature=sign_digest(self.digest_to_sign, private_key))

    def signer(self) -> Address:
        """Address that signed the record. Raises BadSignature."""
        return recover_address(self.digest_to_sign, self.signature)

    def encode(self) -> bytes:
        """Canonical bytes, also the leaf of the block's record tree."""
        writer = Writer()
        self._write_unsigned(writer)
        writer.bytes_(self.signature)
        return writer.finish()

    @classmethod
    def decode(cls, data: bytes) -> ComputeRecord:
        """Inverse of `encode`. Raises EncodingError."""
        reader = Reader(data)
        record = cls(
            job_id=JobId(reader.raw(32)),
            output=reader.bytes_(OUTPUT_BYTES_MAX),
            usage=ResourceUsage.read(reader),
            proof=ProofEnvelope.read(reader),
            worker=Address(reader.raw(20)),
            signature=reader.bytes_(128),
        )
        reader.finish()
        return record


@frozen(kw_only=True)
class Measurement:
    """What a run really took on this machine. For logs, bench and receipts' notes; never in a block."""

    flops: int
    memory_bytes_peak: int
    time_ns: int
    energy_joules: float | None = None
    device: str = ""
