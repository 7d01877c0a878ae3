"""Consensus engines: pure state machines. Inputs go in, effects come out; a host performs the effects.

An engine has no clock, no network, no disk and no randomness. The host verifies signatures before it feeds a
message in; `AppendWal` precedes `Broadcast` in the list and the host keeps the order.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from enum import StrEnum
from itertools import pairwise
from typing import Protocol, TypeAlias

from attrs import field, frozen

from .encoding import Reader, Writer, domain_hash
from .errors import EncodingError
from .types import ZERO_ADDRESS, Address, Hash32, Height

SIGNATURES_MAX = 4096
SIGNATURE_BYTES_MAX = 128
EVIDENCE_BYTES_MAX = 512 * 1024
"""One piece of evidence; the longest that an engine makes has to fit."""
VALIDATORS_MAX = 4096


def signing_digest(payload: bytes) -> Hash32:
    """The 32 bytes a validator's key signs for an engine's message, apart from everything else the key signs."""
    return Hash32(domain_hash("lazai/consensus/message/v1", payload))


@frozen(kw_only=True)
class Validator:
    """A member of the validator set. `power` is at least 1.

    Members of one `idao` vote as a quorum of their own, with the sum of their powers; the zero address stands for a
    validator that belongs to none and votes for itself.
    """

    address: Address
    power: int
    idao: Address = ZERO_ADDRESS


def encode_validators(validators: Sequence[Validator]) -> bytes:
    """Canonical bytes of a set: address, power as u64 and iDAO of each, in order of address."""
    ordered = sorted(validators, key=lambda validator: validator.address)
    writer = Writer()
    writer.sequence(ordered, lambda out, one: out.raw(one.address).u64(one.power).raw(one.idao))
    return writer.finish()


def decode_validators(data: bytes) -> tuple[Validator, ...]:
    """Inverse of `encode_validators`. Raises EncodingError."""
    reader = Reader(data)
    found = reader.sequence(_read_validator, limit=VALIDATORS_MAX, item_bytes_min=48)
    reader.finish()
    if any(first.address >= second.address for first, second in pairwise(found)):
        raise EncodingError("the validators are not in order of address, each once")
    return found


def _read_validator(reader: Reader) -> Validator:
    return Validator(address=Address(reader.raw(20)), power=reader.u64(), idao=Address(reader.raw(20)))


def validators_hash(validators: Sequence[Validator]) -> Hash32:
    """Hash over (address, power as u64, iDAO) in order of address, as block headers carry it."""
    return Hash32(domain_hash("lazai/validators/v1", encode_validators(validators)))


@frozen(kw_only=True)
class WalRecord:
    """A record that `AppendWal` made durable, in its order. All come before the first `StartHeight` of a life."""

    payload: bytes = field(repr=lambda data: f"<{len(data)} bytes>")


@frozen(kw_only=True)
class StartHeight:
    """The host is ready to decide this height, with these validators; none means those of the height before."""

    height: Height
    validators: tuple[Validator, ...] = ()


@frozen(kw_only=True)
class BlockBuilt:
    """Answer to `BuildBlock`."""

    height: Height
    round: int
    block_id: Hash32


@frozen(kw_only=True)
class BlockChecked:
    """Answer to `CheckBlock`."""

    height: Height
    round: int
    block_id: Hash32
    valid: bool


@frozen(kw_only=True)
class MessageReceived:
    """An authentic message of a validator, in the engine's own encoding.

    `signature` is the sender's over `signing_digest(payload)`: engines collect them into certificates.
    """

    sender: Address
    payload: bytes = field(repr=lambda data: f"<{len(data)} bytes>")
    signature: bytes = b""


@frozen(kw_only=True)
class OwnMessageSigned:
    """Answer to `SignMessage`."""

    payload: bytes = field(repr=lambda data: f"<{len(data)} bytes>")
    signature: bytes


@frozen(kw_only=True)
class CertificateReceived:
    """A certificate for a height this node has not decided."""

    certificate: Certificate


@frozen(kw_only=True)
class TimeoutElapsed:
    """A timer that `ScheduleTimeout` asked for has run out."""

    timeout_id: str
    height: Height
    round: int


Input: TypeAlias = (
    WalRecord
    | StartHeight
    | BlockBuilt
    | BlockChecked
    | MessageReceived
    | OwnMessageSigned
    | CertificateReceived
    | TimeoutElapsed
)


@frozen(kw_only=True)
class BuildBlock:
    """Propose: build a block for this height and answer with `BlockBuilt`, whenever it is ready.

    The host keeps the block over a crash: the engine may have it decided later, and nobody else may hold it.
    """

    height: Height
    round: int


@frozen(kw_only=True)
class CheckBlock:
    """Validate the proposed block and answer with `BlockChecked` once it is here, whenever that is.

    `proposer` vouches for the block in this round and is to blame for an invalid one.
    """

    height: Height
    round: int
    block_id: Hash32
    proposer: Address


@frozen(kw_only=True)
class SignMessage:
    """Sign the `signing_digest` of `payload` with this validator's key and answer with `OwnMessageSigned`.

    A key signs one payload for each (height, round, step), in ascending order, whatever else is lost: the host refuses,
    and does not answer, when another payload was signed for it, or a later one and this one is not known to be signed.
    """

    payload: bytes = field(repr=lambda data: f"<{len(data)} bytes>")
    height: Height
    round: int
    step: int


@frozen(kw_only=True)
class Broadcast:
    """Send a signed message to all validators; one that proposes a block names it, and the block goes with it."""

    payload: bytes = field(repr=lambda data: f"<{len(data)} bytes>")
    signature: bytes
    proposes: Hash32 | None = None


@frozen(kw_only=True)
class ScheduleTimeout:
    """Feed `TimeoutElapsed` back after `delay_ms`."""

    timeout_id: str
    height: Height
    round: int
    delay_ms: int


@frozen(kw_only=True)
class CancelTimeout:
    """The timer is no longer needed."""

    timeout_id: str
    height: Height
    round: int


@frozen(kw_only=True)
class AppendWal:
    """Make this record durable before the next effect is performed.

    With `block_id` the block of that id as well, if it is here: from now on this validator may be bound to it, and its
    proposer may be gone. Of several such blocks of a height the host keeps the newest, in memory and on disk.
    """

    payload: bytes = field(repr=lambda data: f"<{len(data)} bytes>")
    block_id: Hash32 | None = None


@frozen(kw_only=True)
class CommitSignature:
    """One validator's signature under a certificate."""

    validator: Address
    signature: bytes


def _read_signature(reader: Reader) -> CommitSignature:
    return CommitSignature(validator=Address(reader.raw(20)), signature=reader.bytes_(SIGNATURE_BYTES_MAX))


@frozen(kw_only=True)
class Certificate:
    """Proof that the validators decided `block_id` at `height` in `round`."""

    height: Height
    round: int
    block_id: Hash32
    signatures: tuple[CommitSignature, ...]

    def encode(self) -> bytes:
        """Canonical bytes, as they are stored and as receipts carry them."""
        writer = Writer().u64(self.height).u32(self.round).raw(self.block_id)
        writer.sequence(self.signatures, lambda out, entry: out.raw(entry.validator).bytes_(entry.signature))
        return writer.finish()

    @classmethod
    def decode(cls, data: bytes) -> Certificate:
        """Inverse of `encode`. Raises EncodingError."""
        reader = Reader(data)
        certificate = cls(
            height=Height(reader.u64()),
            round=reader.u32(),
            block_id=Hash32(reader.raw(32)),
            signatures=reader.sequence(_read_signature, limit=SIGNATURES_MAX, item_bytes_min=24),
        )
        reader.finish()
        return certificate


@frozen(kw_only=True)
class Decide:
    """The height is decided: commit the block with its certificate, then feed `StartHeight` of the next.

    The host may not hold the block yet; a quorum vouches for it, so the host fetches it from peers.
    """

    certificate: Certificate


@frozen(kw_only=True)
class ExtendCertificate:
    """More validators have signed the newest decided block: the next block should carry this certificate.

    A decision needs a quorum only, and who is missing from the certificate in the next block counts as absent.
    """

    certificate: Certificate


class OffenceKind(StrEnum):
    """What a validator may be convicted of."""

    DOUBLE_VOTE = "double-vote"
    DOUBLE_PROPOSAL = "double-proposal"
    AMNESIA = "amnesia"


@frozen(kw_only=True)
class Offence:
    """What a piece of evidence proves: who broke the rules, at which height, and how."""

    validator: Address
    height: Height
    kind: OffenceKind


ValidatorsAt: TypeAlias = Callable[[Height], Sequence[Validator]]
"""Who decided a height. Raises ConsensusFault for a height whose validators cannot be accused (any more)."""


@frozen(kw_only=True)
class ReportEvidence:
    """A validator broke the rules; `evidence` is in the engine's own encoding."""

    validator: Address
    kind: str
    evidence: bytes


@frozen(kw_only=True)
class RequestSync:
    """Peers are ahead: fetch decided blocks up to `height`."""

    height: Height


Effect: TypeAlias = (
    BuildBlock
    | CheckBlock
    | SignMessage
    | Broadcast
    | ScheduleTimeout
    | CancelTimeout
    | AppendWal
    | Decide
    | ExtendCertificate
    | ReportEvidence
    | RequestSync
)


@frozen(kw_only=True)
class MessagePlace:
    """What a message is about, for those who carry it and cannot read the rest."""

    height: Height
    round: int


@frozen(kw_only=True)
class ConsensusStatus:
    """Where an engine stands, for people and metrics."""

    height: Height
    round: int
    step: str


class ConsensusEngine(Protocol):
    """Decides one block a height."""

    name: str
    version: int

    def step(self, event: Input) -> Sequence[Effect]:
        """Total and deterministic: equal inputs give equal effects; no input can raise or block."""

    def verify_certificate(self, certificate: Certificate, validators: Sequence[Validator], chain_id: int) -> None:
        """Raises ConsensusFault unless the certificate proves the decision of this validator set."""

    def vouches(self, certificate: Certificate, validators: Sequence[Validator]) -> bool:
        """Whether the certificate's signers, of whatever set they are, hit every quorum of `validators`.

        One honest validator of that set is then among them: light clients go from a trusted set to a much later one.
        Signatures are not looked at; `verify_certificate` does that.
        """

    def verify_evidence(self, evidence: bytes, validators: ValidatorsAt, chain_id: int) -> Offence:
        """What the evidence proves, by the set of its own height.

        Raises ConsensusFault for anything that proves nothing, or that is of another chain.
        """

    def place_of(self, payload: bytes) -> MessagePlace:
        """Height and round of a message of this chain, whoever wrote it. Raises EncodingError for anything else."""

    def status(self) -> ConsensusStatus:
        """Where the engine stands."""
