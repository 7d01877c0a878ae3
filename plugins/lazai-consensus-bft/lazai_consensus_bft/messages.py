"""What validators say to each other: proposals and votes, in canonical bytes bound to the chain.

The bytes of a message are what its author signs (`lazai_core.api.consensus.signing_digest`), and what travels.
"""

from __future__ import annotations

from enum import IntEnum
from typing import TypeAlias

from attrs import field, frozen

from lazai_core.api.consensus import SIGNATURE_BYTES_MAX, SIGNATURES_MAX, CommitSignature
from lazai_core.api.encoding import Reader, Writer
from lazai_core.api.errors import EncodingError
from lazai_core.api.types import Address, Hash32, Height

DOMAIN = b"lazai/bft/v1\x00"
ROUND_MAX = 2**31 - 1
HEIGHT_MAX = 2**63 - 1
NO_ROUND = -1


class Kind(IntEnum):
    """What a message is; also the order of the steps in which a validator signs."""

    PROPOSAL = 0
    PREVOTE = 1
    PRECOMMIT = 2


@frozen(kw_only=True)
class Vote:
    """A prevote or precommit; `block_id` None is the nil vote."""

    kind: Kind
    height: Height
    round: int
    block_id: Hash32 | None


@frozen(kw_only=True)
class Proposal:
    """A proposed block. `valid_round` is -1, or the earlier round whose quorum of prevotes `polka` holds.

    The polka travels inside the proposal, so that whoever gets the proposal can also act on it (lines 28 to 33).
    """

    height: Height
    round: int
    block_id: Hash32
    valid_round: int = NO_ROUND
    polka: tuple[CommitSignature, ...] = field(default=(), repr=lambda items: f"<{len(items)} signatures>")

    @property
    def kind(self) -> Kind:
        """Always `Kind.PROPOSAL`."""
        return Kind.PROPOSAL


Message: TypeAlias = Proposal | Vote


def proposed_block(message: Message | None) -> Hash32 | None:
    """The block that a message proposes; None for a vote."""
    return message.block_id if isinstance(message, Proposal) else None


def write_signature(writer: Writer, entry: CommitSignature) -> None:
    """Append a validator's signature."""
    writer.raw(entry.validator).bytes_(entry.signature)


def read_signature(reader: Reader) -> CommitSignature:
    """Inverse of `write_signature`. Raises EncodingError."""
    return CommitSignature(validator=Address(reader.raw(20)), signature=reader.bytes_(SIGNATURE_BYTES_MAX))


def encode_message(message: Message, chain_id: int) -> bytes:
    """Canonical bytes of a message on this chain."""
    writer = Writer().raw(DOMAIN).u64(chain_id).u8(message.kind).u64(message.height).u32(message.round)
    if isinstance(message, Vote):
        writer.boolean(message.block_id is not None)
        return writer.raw(message.block_id or b"").finish()
    # One is added, so that "no round" has a number.
    writer.raw(message.block_id).u32(message.valid_round + 1)
    writer.sequence(message.polka, write_signature)
    return writer.finish()


def decode_message(data: bytes, chain_id: int) -> Message:
    """Inverse of `encode_message`; another chain's message is refused. Raises EncodingError."""
    reader = Reader(data)
    if reader.raw(len(DOMAIN)) != DOMAIN:
        raise reader.fail("this is no message of this consensus protocol")
    if (chain := reader.u64()) != chain_id:
        raise reader.fail(f"the message is for chain {chain}, this is chain {chain_id}")
    kind = _read_kind(reader)
    height = _bounded(reader, reader.u64(), HEIGHT_MAX, "height")
    round_number = _bounded(reader, reader.u32(), ROUND_MAX, "round")
    message: Message
    if kind is Kind.PROPOSAL:
        message = _read_proposal(reader, Height(height), round_number)
    else:
        block_id = Hash32(reader.raw(32)) if reader.boolean() else None
        message = Vote(kind=kind, height=Height(height), round=round_number, block_id=block_id)
    reader.finish()
    return message


def _read_kind(reader: Reader) -> Kind:
    number = reader.u8()
    if number > Kind.PRECOMMIT:
        raise reader.fail(f"there is no message kind {number}")
    return Kind(number)


def _bounded(reader: Reader, value: int, limit: int, what: str) -> int:
    if value > limit:
        raise reader.fail(f"the {what} {value} is larger than {limit}")
    return value


def _read_proposal(reader: Reader, height: Height, round_number: int) -> Proposal:
    block_id = Hash32(reader.raw(32))
    valid_round = reader.u32() - 1
    polka = reader.sequence(read_signature, limit=SIGNATURES_MAX, item_bytes_min=24)
    if valid_round >= round_number or bool(polka) != (valid_round > NO_ROUND):
        raise EncodingError(
            f"a proposal of round {round_number} names valid round {valid_round} and holds {len(polka)} prevotes; "
            "a valid round is an earlier one and comes with its prevotes"
        )
    return Proposal(height=height, round=round_number, block_id=block_id, valid_round=valid_round, polka=polka)
