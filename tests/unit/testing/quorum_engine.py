"""A small consensus engine for the kit's own tests: a leader proposes, everyone votes once, two thirds decide.

It has no rounds and no timeouts, so a crashed or silent leader stops it. It is here to show that the simulated cluster
carries proposals, votes and certificates between validators.
"""

from __future__ import annotations

from collections.abc import Sequence

from lazai_core.api.consensus import (
    BlockBuilt,
    BlockChecked,
    Broadcast,
    BuildBlock,
    Certificate,
    CheckBlock,
    CommitSignature,
    ConsensusStatus,
    Decide,
    Effect,
    Input,
    MessagePlace,
    MessageReceived,
    Offence,
    OwnMessageSigned,
    SignMessage,
    StartHeight,
    Validator,
    ValidatorsAt,
    signing_digest,
)
from lazai_core.api.encoding import Reader, Writer
from lazai_core.api.errors import BadSignature, ConsensusFault, EncodingError
from lazai_core.api.hashing import recover_address
from lazai_core.api.needs import ChainParameters, NodeIdentity
from lazai_core.api.types import Address, Hash32, Height

PROPOSAL, VOTE = 1, 2
WAITING_MESSAGES_MAX = 1000


def message(chain_id: int, kind: int, height: int, block_id: Hash32) -> bytes:
    return Writer().text("quorum").u64(chain_id).u8(kind).u64(height).raw(block_id).finish()


def signed_by(payload: bytes, signature: bytes) -> Address | None:
    try:
        return recover_address(signing_digest(payload), signature)
    except BadSignature:
        return None


class QuorumEngine:
    name = "quorum"
    version = 1

    def __init__(self, chain_id: int, address: Address, validators: Sequence[Validator]) -> None:
        self._chain_id, self._address = chain_id, address
        self._members = [validator.address for validator in validators]
        self._height, self._decided = 0, 0
        self._proposed: Hash32 | None = None
        self._votes: dict[Hash32, dict[Address, bytes]] = {}
        self._waiting: list[MessageReceived] = []

    def step(self, event: Input) -> Sequence[Effect]:
        match event:
            case StartHeight() if event.height > self._height:
                return self._start(event.height)
            case BlockBuilt() if self._leads() and event.height == self._height and self._proposed is None:
                self._proposed = event.block_id
                return (self._sign(PROPOSAL, event.block_id),)
            case BlockChecked() if event.valid and (event.height, event.block_id) == (self._height, self._proposed):
                return (self._sign(VOTE, event.block_id),)
            case OwnMessageSigned():
                return self._take(event.payload, self._address, event.signature, own=True)
            case MessageReceived():
                return self._take(event.payload, event.sender, event.signature, own=False)
        return ()

    def _leads(self) -> bool:
        return self._members[self._height % len(self._members)] == self._address

    def _sign(self, kind: int, block_id: Hash32) -> SignMessage:
        payload = message(self._chain_id, kind, self._height, block_id)
        return SignMessage(payload=payload, height=Height(self._height), round=0, step=kind)

    def _start(self, height: Height) -> Sequence[Effect]:
        self._height, self._proposed, self._votes = height, None, {}
        effects: list[Effect] = [BuildBlock(height=height, round=0)] if self._leads() else []
        waiting, self._waiting = self._waiting, []
        for early in waiting:
            effects += self.step(early)
        return effects

    def _take(self, payload: bytes, sender: Address, signature: bytes, *, own: bool) -> Sequence[Effect]:
        try:
            reader = Reader(payload)
            head = reader.text(16), reader.u64()
            kind, height, block_id = reader.u8(), reader.u64(), Hash32(reader.raw(32))
            reader.finish()
        except EncodingError:
            return ()
        if head != ("quorum", self._chain_id) or sender not in self._members:
            return ()
        if signed_by(payload, signature) != sender:
            return ()
        if height > self._height:
            if not own and len(self._waiting) < WAITING_MESSAGES_MAX:
                self._waiting.append(MessageReceived(sender=sender, payload=payload, signature=signature))
            return ()
        if height < self._height:
            return ()
        effects: list[Effect] = [Broadcast(payload=payload, signature=signature)] if own else []
        if kind == VOTE:
            return [*effects, *self._count(sender, block_id, signature)]
        if own:
            return [*effects, self._sign(VOTE, block_id)]
        if self._proposed is None and self._members[height % len(self._members)] == sender:
            self._proposed = block_id
            return [CheckBlock(height=Height(height), round=0, block_id=block_id, proposer=sender)]
        return effects

    def _count(self, sender: Address, block_id: Hash32, signature: bytes) -> Sequence[Effect]:
        votes = self._votes.setdefault(block_id, {})
        votes[sender] = signature
        if self._decided >= self._height or 3 * len(votes) <= 2 * len(self._members):
            return ()
        self._decided = self._height
        signatures = tuple(CommitSignature(validator=member, signature=votes[member]) for member in sorted(votes))
        height = Height(self._height)
        return (Decide(certificate=Certificate(height=height, round=0, block_id=block_id, signatures=signatures)),)

    def verify_certificate(self, certificate: Certificate, validators: Sequence[Validator], chain_id: int) -> None:
        members = {validator.address for validator in validators}
        payload = message(chain_id, VOTE, certificate.height, certificate.block_id)
        signers = [signature.validator for signature in certificate.signatures]
        if certificate.round or len(set(signers)) != len(signers) or not set(signers) <= members:
            raise ConsensusFault("the certificate has a round, a repeated signer or a stranger")
        if 3 * len(signers) <= 2 * len(members):
            raise ConsensusFault("fewer than two thirds signed")
        for signature in certificate.signatures:
            if signed_by(payload, signature.signature) != signature.validator:
                raise ConsensusFault("a signature is not its validator's")

    def vouches(self, certificate: Certificate, validators: Sequence[Validator]) -> bool:
        signers = {signature.validator for signature in certificate.signatures}
        signed = sum(validator.power for validator in validators if validator.address in signers)
        return 3 * signed >= sum(validator.power for validator in validators) > 0

    def verify_evidence(self, evidence: bytes, validators: ValidatorsAt, chain_id: int) -> Offence:
        raise ConsensusFault("this engine makes no evidence")

    def place_of(self, payload: bytes) -> MessagePlace:
        reader = Reader(payload)
        head, _, height = (reader.text(16), reader.u64()), reader.u8(), reader.u64()
        reader.raw(32)
        reader.finish()
        if head != ("quorum", self._chain_id):
            raise EncodingError("no message of this chain")
        return MessagePlace(height=Height(height), round=0)

    def status(self) -> ConsensusStatus:
        return ConsensusStatus(height=Height(self._height), round=0, step="voting")


def build_quorum(identity: NodeIdentity, chain: ChainParameters) -> QuorumEngine:
    return QuorumEngine(chain.chain_id, identity.address, chain.validators)
