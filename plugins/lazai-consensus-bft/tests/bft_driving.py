"""A small host for one engine: answers what it asks, and speaks for the other validators."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeVar

from lazai_consensus_bft.committee import Committee, committee_of
from lazai_consensus_bft.engine import BftEngine
from lazai_consensus_bft.messages import Kind, Message, Proposal, Vote, decode_message, encode_message
from lazai_consensus_bft.options import BftOptions
from lazai_core.api.consensus import (
    AppendWal,
    BlockChecked,
    Broadcast,
    CertificateReceived,
    CheckBlock,
    CommitSignature,
    Decide,
    Effect,
    MessageReceived,
    OwnMessageSigned,
    ScheduleTimeout,
    SignMessage,
    StartHeight,
    TimeoutElapsed,
    Validator,
    signing_digest,
)
from lazai_core.api.types import Address, Hash32, Height
from lazai_core.testing.parts import KnownIdentity

CHAIN_ID = 7
T = TypeVar("T")
BLOCK = Hash32(b"\x0b" * 32)
OTHER = Hash32(b"\x0c" * 32)
_IDENTITIES = {number: KnownIdentity(number) for number in range(8)}


def identity(number: int) -> KnownIdentity:
    """A validator's key."""
    return _IDENTITIES[number]


def number_of(address: Address) -> int:
    """The validator of an address."""
    return next(number for number, known in _IDENTITIES.items() if known.address == address)


def validators(*values: int) -> tuple[Validator, ...]:
    """Validators 0, 1, 2 ... with these powers."""
    return tuple(Validator(address=identity(number).address, power=power) for number, power in enumerate(values))


def powers(*values: int) -> Committee:
    """A flat committee of validators 0, 1, 2 ..."""
    return committee_of(validators(*values))


def sign(number: int, message: Message, chain_id: int = CHAIN_ID) -> tuple[bytes, bytes]:
    """Payload and signature of a validator's message."""
    payload = encode_message(message, chain_id)
    return payload, identity(number).sign(signing_digest(payload))


def vote(kind: Kind, block_id: Hash32 | None, *, round_number: int = 0, height: int = 1) -> Vote:
    """A vote."""
    return Vote(kind=kind, height=Height(height), round=round_number, block_id=block_id)


def prevotes(numbers: Sequence[int], block_id: Hash32, *, round_number: int = 0) -> tuple[CommitSignature, ...]:
    """Prevotes as a proposal carries them."""
    ballot = vote(Kind.PREVOTE, block_id, round_number=round_number)
    entries = [CommitSignature(validator=identity(n).address, signature=sign(n, ballot)[1]) for n in numbers]
    return tuple(sorted(entries, key=lambda entry: entry.validator))


class Host:
    """One engine; `log` is what it made durable, `sent` what left the node."""

    def __init__(
        self,
        number: int = 0,
        committee: Committee | None = None,
        *,
        log: Sequence[bytes] = (),
        options: BftOptions | None = None,
        signs: bool = True,
    ) -> None:
        self.number, self.signs = number, signs
        self.committee = committee or powers(1, 1, 1, 1)
        self.log = list(log)
        self.sent: list[Message] = []
        self.effects: list[Effect] = []
        self.engine = BftEngine(
            chain_id=CHAIN_ID, address=identity(number).address, committee=self.committee, options=options
        )

    def proposer(self, round_number: int = 0, height: int = 1) -> int:
        """Who proposes."""
        return number_of(self.committee.proposer(height, round_number))

    def feed(self, event: Any) -> list[Effect]:
        """Feed an input; sign what is to be signed; all effects, in order."""
        effects: list[Effect] = []
        queue = [event]
        while queue:
            for effect in self.engine.step(queue.pop(0)):
                effects.append(effect)
                if isinstance(effect, AppendWal):
                    self.log.append(effect.payload)
                elif isinstance(effect, Broadcast):
                    self.sent.append(decode_message(effect.payload, CHAIN_ID))
                elif isinstance(effect, SignMessage) and self.signs:
                    signature = identity(self.number).sign(signing_digest(effect.payload))
                    queue.append(OwnMessageSigned(payload=effect.payload, signature=signature))
        self.effects += effects
        return effects

    def start(self, height: int = 1) -> list[Effect]:
        """Begin a height."""
        return self.feed(StartHeight(height=Height(height)))

    def receive(self, number: int, message: Message) -> list[Effect]:
        """A validator's signed message."""
        payload, signature = sign(number, message)
        return self.feed(MessageReceived(sender=identity(number).address, payload=payload, signature=signature))

    def votes(self, numbers: Sequence[int], ballot: Vote) -> list[Effect]:
        """The same vote of several validators."""
        return [effect for number in numbers for effect in self.receive(number, ballot)]

    def propose(self, block_id: Hash32, round_number: int = 0, *, valid: bool = True, **fields: Any) -> list[Effect]:
        """The proposal of the round's proposer, and the answer to the check it asks for."""
        proposal = Proposal(height=Height(1), round=round_number, block_id=block_id, **fields)
        effects = self.receive(self.proposer(round_number), proposal)
        for effect in only(effects, CheckBlock):
            effects += self.feed(
                BlockChecked(height=effect.height, round=effect.round, block_id=effect.block_id, valid=valid)
            )
        return effects

    def time_out(self, name: str, round_number: int = 0, height: int = 1) -> list[Effect]:
        """A timer runs out."""
        return self.feed(TimeoutElapsed(timeout_id=name, height=Height(height), round=round_number))

    def certify(self, certificate: Any) -> list[Effect]:
        """A certificate from elsewhere."""
        return self.feed(CertificateReceived(certificate=certificate))

    def said(self, kind: Kind) -> list[tuple[int, Hash32 | None]]:
        """Round and block of our own messages of a kind."""
        return [(message.round, message.block_id) for message in self.sent if message.kind is kind]

    @property
    def decided(self) -> list[Decide]:
        """Decisions so far."""
        return only(self.effects, Decide)


def only(effects: Sequence[Effect], sort: type[T]) -> list[T]:
    """The effects of one class."""
    return [effect for effect in effects if isinstance(effect, sort)]


def timers(effects: Sequence[Effect]) -> list[tuple[str, int]]:
    """Timers started."""
    return [(effect.timeout_id, effect.round) for effect in only(effects, ScheduleTimeout)]


def follower(committee: Committee | None = None) -> Host:
    """A started engine that is not the proposer of round 0 of height 1."""
    for number in range(1, 4):
        host = Host(number, committee)
        if host.proposer() != number:
            host.start()
            return host
    raise AssertionError("of three validators two do not propose")
