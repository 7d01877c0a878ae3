"""Proof that a validator broke the rules: made by an engine, checked by anyone, without an engine.

- *double vote*: two different prevotes, or two different precommits, of one round.
- *double proposal*: two different proposals of one round.
- *amnesia*: a precommit for a block in round r and a prevote for another block in a later round q, where in each round
  from r to q - 1 a quorum prevoted something else than that other block. A quorum for the other block, which alone
  would free the validator from its lock, then cannot exist as long as the faulty validators leave a quorum whole. A
  switch of blocks without those quorums proves nothing and is not reported.
"""

from __future__ import annotations

from typing import TypeAlias

from attrs import field, frozen

from lazai_core.api.consensus import (
    EVIDENCE_BYTES_MAX,
    SIGNATURE_BYTES_MAX,
    SIGNATURES_MAX,
    Offence,
    OffenceKind,
    ValidatorsAt,
)
from lazai_core.api.encoding import Reader, Writer
from lazai_core.api.errors import ConsensusFault, EncodingError
from lazai_core.api.types import Address, Hash32, Height

from .certificate import check_signer
from .committee import Committee, committee_of
from .messages import Kind, Proposal, Vote, decode_message, encode_message
from .wal import MESSAGE_BYTES_MAX

DOUBLE_VOTE = OffenceKind.DOUBLE_VOTE
DOUBLE_PROPOSAL = OffenceKind.DOUBLE_PROPOSAL
AMNESIA = OffenceKind.AMNESIA
AMNESIA_ROUNDS_MAX = 8


@frozen(kw_only=True)
class SignedMessage:
    """A message as it travelled."""

    payload: bytes = field(repr=lambda data: f"<{len(data)} bytes>")
    signature: bytes


@frozen(kw_only=True)
class Double:
    """Two messages of which an honest validator sends one. Votes or proposals, as the messages say."""

    validator: Address
    first: SignedMessage
    second: SignedMessage


@frozen(kw_only=True)
class CountedPrevote:
    """One prevote of a quorum; its height and round are given by its place."""

    validator: Address
    block_id: Hash32 | None
    signature: bytes


@frozen(kw_only=True)
class Amnesia:
    """A lock that was forgotten: `quorums[i]` are prevotes of round `precommit.round + i`."""

    validator: Address
    precommit: SignedMessage
    prevote: SignedMessage
    quorums: tuple[tuple[CountedPrevote, ...], ...]


Evidence: TypeAlias = Double | Amnesia


def _write_message(writer: Writer, message: SignedMessage) -> None:
    writer.bytes_(message.payload).bytes_(message.signature)


def _read_message(reader: Reader) -> SignedMessage:
    return SignedMessage(payload=reader.bytes_(MESSAGE_BYTES_MAX), signature=reader.bytes_(SIGNATURE_BYTES_MAX))


def _write_prevote(writer: Writer, vote: CountedPrevote) -> None:
    writer.raw(vote.validator).boolean(vote.block_id is not None).raw(vote.block_id or b"").bytes_(vote.signature)


def _read_prevote(reader: Reader) -> CountedPrevote:
    validator = Address(reader.raw(20))
    block_id = Hash32(reader.raw(32)) if reader.boolean() else None
    return CountedPrevote(validator=validator, block_id=block_id, signature=reader.bytes_(SIGNATURE_BYTES_MAX))


def encode_evidence(evidence: Evidence) -> bytes:
    """Canonical bytes."""
    if isinstance(evidence, Double):
        writer = Writer().u8(0).raw(evidence.validator)
        _write_message(writer, evidence.first)
        _write_message(writer, evidence.second)
        return writer.finish()
    writer = Writer().u8(1).raw(evidence.validator)
    _write_message(writer, evidence.precommit)
    _write_message(writer, evidence.prevote)
    writer.sequence(evidence.quorums, lambda out, quorum: out.sequence(quorum, _write_prevote))
    return writer.finish()


def decode_evidence(data: bytes) -> Evidence:
    """Inverse of `encode_evidence`. Raises EncodingError."""
    reader = Reader(data)
    sort = reader.u8()
    if sort > 1:
        raise reader.fail(f"there is no evidence of sort {sort}")
    validator, first, second = Address(reader.raw(20)), _read_message(reader), _read_message(reader)
    evidence: Evidence
    if sort == 0:
        evidence = Double(validator=validator, first=first, second=second)
    else:
        quorums = reader.sequence(
            lambda source: source.sequence(_read_prevote, limit=SIGNATURES_MAX, item_bytes_min=25),
            limit=AMNESIA_ROUNDS_MAX,
            item_bytes_min=4,
        )
        evidence = Amnesia(validator=validator, precommit=first, prevote=second, quorums=quorums)
    reader.finish()
    return evidence


def judge_evidence(data: bytes, validators: ValidatorsAt, chain_id: int) -> Offence:
    """What encoded evidence proves, by the committee of the height that its messages name. Raises ConsensusFault."""
    if len(data) > EVIDENCE_BYTES_MAX:
        raise ConsensusFault(f"{len(data)} bytes are more than evidence has")
    try:
        evidence = decode_evidence(data)
        first = evidence.first if isinstance(evidence, Double) else evidence.precommit
        height = decode_message(first.payload, chain_id).height
    except EncodingError as error:
        raise ConsensusFault(f"this is no evidence of this chain: {error.message}") from error
    kind = verify_evidence(evidence, committee_of(validators(height)), chain_id, height)
    return Offence(validator=evidence.validator, height=height, kind=kind)


def verify_evidence(evidence: Evidence, committee: Committee, chain_id: int, height: Height) -> OffenceKind:
    """The kind of fault proven against `evidence.validator` by the committee of that height.

    Raises ConsensusFault for anything that is no proof: wrong signatures, a stranger, equal messages, another height.
    """
    if evidence.validator not in committee:
        raise ConsensusFault(f"0x{evidence.validator.hex()} is accused and is no validator of height {height}")
    if isinstance(evidence, Double):
        return _verify_double(evidence, chain_id, height)
    return _verify_amnesia(evidence, committee, chain_id, height)


def _read_signed(message: SignedMessage, signer: Address, chain_id: int, height: Height) -> Proposal | Vote:
    try:
        decoded = decode_message(message.payload, chain_id)
    except EncodingError as error:
        raise ConsensusFault(f"the evidence holds no message of this chain: {error.message}") from error
    if decoded.height != height:
        raise ConsensusFault(f"the evidence is of height {decoded.height}, not {height}")
    check_signer(signer, message.payload, message.signature)
    return decoded


def _verify_double(evidence: Double, chain_id: int, height: Height) -> OffenceKind:
    first = _read_signed(evidence.first, evidence.validator, chain_id, height)
    second = _read_signed(evidence.second, evidence.validator, chain_id, height)
    if (first.kind, first.round) != (second.kind, second.round):
        raise ConsensusFault("the two messages are of different steps; an honest validator may send both")
    if same_statement(first, second):
        raise ConsensusFault("the two messages say the same")
    return DOUBLE_PROPOSAL if first.kind is Kind.PROPOSAL else DOUBLE_VOTE


def same_statement(first: Proposal | Vote, second: Proposal | Vote) -> bool:
    """Whether two messages of one step say the same; the prevotes inside a proposal may differ."""
    if isinstance(first, Proposal) and isinstance(second, Proposal):
        return (first.block_id, first.valid_round) == (second.block_id, second.valid_round)
    return first == second


def _verify_amnesia(evidence: Amnesia, committee: Committee, chain_id: int, height: Height) -> OffenceKind:
    locked = _read_signed(evidence.precommit, evidence.validator, chain_id, height)
    other = _read_signed(evidence.prevote, evidence.validator, chain_id, height)
    if (locked.kind, other.kind) != (Kind.PRECOMMIT, Kind.PREVOTE):
        raise ConsensusFault("amnesia is proven by a precommit and a prevote")
    if locked.block_id is None or other.block_id is None or locked.block_id == other.block_id:
        raise ConsensusFault("amnesia needs votes for two different blocks")
    if locked.round + len(evidence.quorums) != other.round or not evidence.quorums:
        raise ConsensusFault("amnesia needs a quorum of prevotes for each round from the lock to the other vote")
    for offset, quorum in enumerate(evidence.quorums):
        _verify_quorum_against(other.block_id, quorum, locked.round + offset, committee, chain_id, height)
    return AMNESIA


def _verify_quorum_against(
    block_id: Hash32,
    quorum: tuple[CountedPrevote, ...],
    round_number: int,
    committee: Committee,
    chain_id: int,
    height: Height,
) -> None:
    tally, previous = committee.rule.tally(), b""
    for entry in quorum:
        if entry.validator <= previous or entry.validator not in committee:
            raise ConsensusFault("prevotes are not of validators, each once, in order of address")
        if entry.block_id == block_id:
            raise ConsensusFault("a prevote for the block itself does not count against it")
        previous = entry.validator
        vote = Vote(kind=Kind.PREVOTE, height=height, round=round_number, block_id=entry.block_id)
        check_signer(entry.validator, encode_message(vote, chain_id), entry.signature)
        tally.add(entry.validator)
    if not tally.is_quorum:
        raise ConsensusFault(f"the prevotes of round {round_number} are no quorum")
