"""`ConsensusEngine`: height after height, from inputs to effects, without clock, network, disk or randomness.

The host feeds authentic messages only. An answer to `CheckBlock` may come late, when the block has arrived, or never;
`Decide` may name a block this node does not hold yet, which the host then fetches: a quorum vouches for it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from lazai_core.api.consensus import (
    AppendWal,
    BlockBuilt,
    BlockChecked,
    Broadcast,
    Certificate,
    CertificateReceived,
    ConsensusStatus,
    Decide,
    Effect,
    ExtendCertificate,
    Input,
    MessagePlace,
    MessageReceived,
    Offence,
    OwnMessageSigned,
    RequestSync,
    StartHeight,
    TimeoutElapsed,
    Validator,
    ValidatorsAt,
    WalRecord,
    validators_hash,
)
from lazai_core.api.errors import ConsensusFault, EncodingError
from lazai_core.api.types import Address, Height

from .accountability import double_vote
from .buffers import Held, LaterCertificates, NextHeight
from .certificate import check_signer, verify_commit
from .committee import Committee, committee_of
from .evidence import judge_evidence
from .height import HeightEngine
from .late import LateSignatures
from .messages import HEIGHT_MAX, Message, decode_message
from .options import BftOptions
from .timers import REBROADCAST
from .wal import Record, decode_record, restore

NAME = "bft"
VERSION = 1
SYNC_HEIGHTS_MAX = 1000
"""Blocks asked for at once, however far ahead a peer says it is."""


class BftEngine:
    """One validator, or an observer where `address` is not in the committee.

    `committee` holds from the first height on, until a `StartHeight` brings other validators.
    """

    name = NAME
    version = VERSION

    def __init__(
        self,
        *,
        chain_id: int,
        address: Address,
        committee: Committee,
        options: BftOptions | None = None,
    ) -> None:
        self._chain_id = chain_id
        self._address = address
        self._committee = committee
        self._options = options or BftOptions()
        self._height = Height(0)
        self._current: HeightEngine | None = None
        self._decided = False
        self._joining = b""
        self._records: list[Record] = []
        self._signed_height = 0
        self._next = NextHeight(self._options.future_bytes_max)
        self._later = LaterCertificates(self._options.certificates_max)
        self._late = LateSignatures()
        self._claims: dict[Address, int] = {}
        self._sync_asked = 0
        self._effects: list[Effect] = []

    def step(self, event: Input) -> Sequence[Effect]:
        """Total: an event that does not belong to the present height and step has no effect."""
        self._effects = []
        match event:
            case WalRecord():
                self._recall(event.payload)
            case StartHeight():
                self._start(event)
            case MessageReceived():
                self._receive(event.sender, event.payload, event.signature)
            case CertificateReceived():
                self._certificate(event.certificate)
            case OwnMessageSigned() if event.payload == self._joining:
                self._joined(event.payload, event.signature)
            case _ if self._current is not None and not self._decided:
                self._inside(self._current, event)
        # What must be durable comes before what leaves the node.
        return sorted(self._effects, key=lambda effect: not isinstance(effect, AppendWal))

    def _inside(self, current: HeightEngine, event: Input) -> None:
        match event:
            case BlockBuilt() if event.height == self._height:
                self._perform(current.built(event.round, event.block_id))
            case BlockChecked() if event.height == self._height:
                self._perform(current.checked(event.block_id, event.valid))
            case OwnMessageSigned():
                self._perform(current.signed(event.payload, event.signature))
            case TimeoutElapsed() if event.height == self._height:
                if event.timeout_id == REBROADCAST and self._claimed() > self._height:
                    self._ask_for_blocks()
                self._perform(current.timed_out(event.timeout_id, event.round))

    def _perform(self, effects: Iterable[Effect]) -> None:
        for effect in effects:
            if isinstance(effect, Decide):
                self._decided = True
                self._late.decided(effect.certificate, self._committee)
                self._joining = b"" if self._current is None else self._current.joining
            self._effects.append(effect)

    def _joined(self, payload: bytes, signature: bytes) -> None:
        """Our precommit for what the others have decided: tell them, and extend the certificate."""
        try:
            check_signer(self._address, payload, signature)
        except ConsensusFault:
            return
        self._joining = b""
        self._effects.append(Broadcast(payload=payload, signature=signature))
        self._extend(self._address, decode_message(payload, self._chain_id), signature)

    def _extend(self, sender: Address, message: Message, signature: bytes) -> None:
        """Late precommits of the newest decision: signatures more, or a second, different one."""
        fuller = self._late.add(sender, message, signature)
        if fuller is not None:
            self._effects.append(ExtendCertificate(certificate=fuller))
        conflict = self._late.conflict(sender, message, signature)
        if conflict is not None:
            self._effects.append(double_vote(conflict, self._chain_id))

    # Heights.

    def _recall(self, payload: bytes) -> None:
        # After the first height has begun, a record could contradict what was signed since.
        if self._current is not None:
            return
        try:
            record = decode_record(payload)
        except EncodingError:
            return
        if record.height > self._signed_height:
            self._signed_height = record.height
            self._records.clear()
        if record.height == self._signed_height:
            self._records.append(record)

    def _start(self, event: StartHeight) -> None:
        if not self._height < event.height <= HEIGHT_MAX:
            return
        committee = self._committee_from(event)
        if committee is None:
            return
        waiting = self._next.take()
        if event.height != self._height + 1:
            waiting = []
        if self._current is not None:
            self._perform(self._current.stop())
        self._height, self._decided = event.height, False
        if committee is not self._committee:
            self._committee = committee
            self._claims = {sender: height for sender, height in self._claims.items() if sender in self._committee}
        # Restored from an older copy of the chain, the key may have signed later heights already: it stays silent.
        silent = self._address not in self._committee or event.height < self._signed_height
        self._current = HeightEngine(
            chain_id=self._chain_id,
            address=self._address,
            committee=self._committee,
            options=self._options,
            height=event.height,
            silent=silent,
        )
        self._begin(self._current, waiting)

    def _committee_from(self, event: StartHeight) -> Committee | None:
        """The height's committee: the present one where nothing changed, None for a set that can decide nothing."""
        if not event.validators or validators_hash(event.validators) == self._committee.hash:
            return self._committee
        try:
            return committee_of(event.validators)
        except ConsensusFault:
            return None

    def _begin(self, current: HeightEngine, waiting: list[tuple[Address, Held]]) -> None:
        for certificate in self._later.take(self._height):
            self._certificate(certificate)
        if self._decided:
            return
        self._perform(current.preload(waiting))
        if not self._decided:
            self._perform(current.start(restore(self._records, self._height, self._chain_id)))
        if self._claimed() > self._height + 1:
            self._ask_for_blocks()

    # Messages.

    def _receive(self, sender: Address, payload: bytes, signature: bytes) -> None:
        try:
            message = decode_message(payload, self._chain_id)
        except EncodingError:
            return
        self._extend(sender, message, signature)
        if sender not in self._committee:
            return
        self._claims[sender] = message.height
        if message.height == self._height and self._current is not None:
            if not self._decided:
                self._perform(self._current.receive(sender, message, payload, signature))
        elif message.height == self._height + 1:
            self._next.add(sender, message, payload, signature)
        elif message.height > self._height + 1 and self._sync_asked != self._height and self._current is not None:
            # One height ahead is the ordinary lead of a quick peer; more means that blocks are missing here.
            self._ask_for_blocks()

    def _claimed(self) -> int:
        """The greatest height any validator spoke of last. A later, lower claim replaces an earlier, higher one."""
        return max(self._claims.values(), default=0)

    def _ask_for_blocks(self) -> None:
        if self._decided:
            return
        self._sync_asked = self._height
        newest = min(self._claimed() - 1, self._height + SYNC_HEIGHTS_MAX - 1)
        self._effects.append(RequestSync(height=Height(newest)))

    # Certificates.

    def _certificate(self, certificate: Certificate) -> None:
        if certificate.height != self._height or self._current is None:
            self._later.add(certificate, self._height)
            return
        if self._decided:
            return
        try:
            verify_commit(certificate, self._committee, self._chain_id)
        except ConsensusFault:
            return
        self._perform(self._current.stop())
        self._perform((Decide(certificate=certificate),))

    def verify_certificate(self, certificate: Certificate, validators: Sequence[Validator], chain_id: int) -> None:
        """Raises ConsensusFault unless the certificate proves the decision of this validator set."""
        verify_commit(certificate, committee_of(validators), chain_id)

    def vouches(self, certificate: Certificate, validators: Sequence[Validator]) -> bool:
        """Whether the certificate's signers hit every quorum of these validators. Raises ConsensusFault for no set."""
        tally = committee_of(validators).rule.tally()
        for member in {entry.validator for entry in certificate.signatures}:
            tally.add(member)
        return tally.hits_every_quorum

    def verify_evidence(self, evidence: bytes, validators: ValidatorsAt, chain_id: int) -> Offence:
        """What the evidence proves. Raises ConsensusFault for anything that proves nothing."""
        return judge_evidence(evidence, validators, chain_id)

    def place_of(self, payload: bytes) -> MessagePlace:
        """Height and round of a message of this chain. Raises EncodingError for anything else."""
        message = decode_message(payload, self._chain_id)
        return MessagePlace(height=message.height, round=message.round)

    def status(self) -> ConsensusStatus:
        """Where the engine stands."""
        if self._current is None:
            return ConsensusStatus(height=self._height, round=0, step="waiting")
        round_number, step = self._current.position
        return ConsensusStatus(height=self._height, round=round_number, step="decided" if self._decided else step)
