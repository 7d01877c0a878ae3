"""Consensus of one: the only validator of the genesis decides every block by signing it. For development.

Before it signs, the engine records which block it decides, so that after a crash it decides the same one again: its
key never signs two blocks for one height.
"""

from __future__ import annotations

from collections.abc import Sequence

from lazai_core.api.consensus import (
    AppendWal,
    BlockBuilt,
    BuildBlock,
    Certificate,
    CertificateReceived,
    CommitSignature,
    ConsensusEngine,
    ConsensusStatus,
    Decide,
    Effect,
    Input,
    MessagePlace,
    Offence,
    OwnMessageSigned,
    SignMessage,
    StartHeight,
    Validator,
    ValidatorsAt,
    WalRecord,
    signing_digest,
)
from lazai_core.api.encoding import Reader, Writer
from lazai_core.api.errors import BadSignature, ConsensusFault, EncodingError
from lazai_core.api.hashing import recover_address
from lazai_core.api.needs import ChainParameters, NodeIdentity
from lazai_core.api.types import Address, Hash32, Height

NAME = "solo"
VERSION = 1
ROUND = 0
STEP = 0


def commit_message(chain_id: int, height: int, round_number: int, block_id: Hash32) -> bytes:
    """Canonical bytes of the validator's one message: "I decide this block"."""
    writer = Writer().text("lazai/solo/commit/v1").u64(chain_id).u64(height).u32(round_number)
    return writer.raw(block_id).finish()


def _encode_choice(height: int, block_id: Hash32) -> bytes:
    """The record of the block that is decided at a height."""
    return Writer().u64(height).raw(block_id).finish()


def _decode_choice(data: bytes) -> tuple[int, Hash32] | None:
    reader = Reader(data)
    try:
        choice = reader.u64(), Hash32(reader.raw(32))
        reader.finish()
    except EncodingError:
        return None
    return choice


class SoloEngine:
    """`ConsensusEngine` with one validator; a node that is not it only follows certificates."""

    name = NAME
    version = VERSION

    def __init__(self, *, chain_id: int, address: Address, validators: Sequence[Validator]) -> None:
        self._chain_id = chain_id
        self._address = address
        self._validators = tuple(validators)
        self._height = Height(0)
        self._step = "waiting"
        self._block_id: Hash32 | None = None
        self._chosen: tuple[int, Hash32] | None = None

    def _deciding(self) -> bool:
        return len(self._validators) == 1 and self._validators[0].address == self._address

    def step(self, event: Input) -> Sequence[Effect]:
        """Total: an event that does not belong to the current step has no effect."""
        if isinstance(event, WalRecord):
            return self._recall(event)
        if isinstance(event, StartHeight):
            return self._start(event.height)
        if isinstance(event, BlockBuilt):
            return self._built(event)
        if isinstance(event, OwnMessageSigned):
            return self._signed(event)
        if isinstance(event, CertificateReceived):
            return self._received(event.certificate)
        return ()

    def _recall(self, record: WalRecord) -> Sequence[Effect]:
        choice = _decode_choice(record.payload)
        if self._height == 0 and choice is not None and (self._chosen is None or choice[0] > self._chosen[0]):
            self._chosen = choice
        return ()

    def _start(self, height: Height) -> Sequence[Effect]:
        if height <= self._height and self._step != "decided":
            return ()
        self._height, self._block_id = height, None
        if not self._deciding():
            self._step = "following"
            return ()
        if self._chosen is not None and self._chosen[0] == height:
            return (self._sign(self._chosen[1]),)
        self._step = "building"
        return (BuildBlock(height=height, round=ROUND),)

    def _built(self, event: BlockBuilt) -> Sequence[Effect]:
        if self._step != "building" or (event.height, event.round) != (self._height, ROUND):
            return ()
        return (AppendWal(payload=_encode_choice(self._height, event.block_id)), self._sign(event.block_id))

    def _sign(self, block_id: Hash32) -> SignMessage:
        self._step, self._block_id = "signing", block_id
        payload = commit_message(self._chain_id, self._height, ROUND, block_id)
        return SignMessage(payload=payload, height=self._height, round=ROUND, step=STEP)

    def _signed(self, event: OwnMessageSigned) -> Sequence[Effect]:
        if self._step != "signing" or self._block_id is None:
            return ()
        if event.payload != commit_message(self._chain_id, self._height, ROUND, self._block_id):
            return ()
        self._step = "decided"
        signature = CommitSignature(validator=self._address, signature=event.signature)
        return (
            Decide(
                certificate=Certificate(
                    height=self._height, round=ROUND, block_id=self._block_id, signatures=(signature,)
                )
            ),
        )

    def _received(self, certificate: Certificate) -> Sequence[Effect]:
        if self._step != "following" or certificate.height != self._height:
            return ()
        try:
            self.verify_certificate(certificate, self._validators, self._chain_id)
        except ConsensusFault:
            return ()
        self._step = "decided"
        return (Decide(certificate=certificate),)

    def verify_certificate(self, certificate: Certificate, validators: Sequence[Validator], chain_id: int) -> None:
        """Raises ConsensusFault unless the one validator of the set signed exactly this decision."""
        if len(validators) != 1:
            raise ConsensusFault(f"solo consensus has one validator, the set has {len(validators)}")
        if len(certificate.signatures) != 1 or certificate.round != ROUND:
            raise ConsensusFault(
                f"a solo certificate has one signature of round {ROUND}, this one has "
                f"{len(certificate.signatures)} of round {certificate.round}"
            )
        (signature,) = certificate.signatures
        message = commit_message(chain_id, certificate.height, certificate.round, certificate.block_id)
        try:
            signer = recover_address(signing_digest(message), signature.signature)
        except BadSignature as error:
            raise ConsensusFault(f"the certificate of height {certificate.height}: {error.message}") from error
        expected = validators[0].address
        if signature.validator != expected or signer != expected:
            raise ConsensusFault(
                f"the certificate of height {certificate.height} is signed by 0x{signer.hex()} in the name of "
                f"0x{signature.validator.hex()}; the validator is 0x{expected.hex()}"
            )

    def vouches(self, certificate: Certificate, validators: Sequence[Validator]) -> bool:
        """Whether the one validator of the set signed."""
        signers = [entry.validator for entry in certificate.signatures]
        return len(validators) == 1 and validators[0].address in signers

    def verify_evidence(self, evidence: bytes, validators: ValidatorsAt, chain_id: int) -> Offence:
        """Raises ConsensusFault: one validator cannot contradict the others, so that nothing is evidence here."""
        raise ConsensusFault("solo consensus knows no evidence")

    def place_of(self, payload: bytes) -> MessagePlace:
        """Raises EncodingError: a signature of this engine travels in certificates only."""
        raise EncodingError(f"solo consensus has no messages, {len(payload)} bytes came as one")

    def status(self) -> ConsensusStatus:
        """Where the engine stands."""
        return ConsensusStatus(height=self._height, round=ROUND, step=self._step)


def build_solo(identity: NodeIdentity, chain: ChainParameters) -> ConsensusEngine:
    """The engine for this node's key and the genesis validators."""
    return SoloEngine(chain_id=chain.chain_id, address=identity.address, validators=chain.validators)
