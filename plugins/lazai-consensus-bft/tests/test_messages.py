"""Canonical bytes of messages, log records and evidence: one byte string a value, and no other is accepted."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from bft_driving import BLOCK, CHAIN_ID, OTHER, identity, prevotes, sign, vote
from hypothesis import given, settings
from hypothesis import strategies as st

from lazai_consensus_bft.evidence import (
    Amnesia,
    CountedPrevote,
    Double,
    Evidence,
    SignedMessage,
    decode_evidence,
    encode_evidence,
)
from lazai_consensus_bft.messages import (
    HEIGHT_MAX,
    ROUND_MAX,
    Kind,
    Message,
    Proposal,
    Vote,
    decode_message,
    encode_message,
)
from lazai_consensus_bft.wal import Intent, Record, Valid, decode_record, encode_record
from lazai_core.api.consensus import CommitSignature
from lazai_core.api.errors import EncodingError
from lazai_core.api.types import Address, Hash32, Height

HEIGHTS = st.integers(0, HEIGHT_MAX).map(Height)
ROUNDS = st.integers(0, ROUND_MAX)
BLOCKS = st.binary(min_size=32, max_size=32).map(Hash32)
ADDRESSES = st.binary(min_size=20, max_size=20).map(Address)
SIGNATURES = st.builds(CommitSignature, validator=ADDRESSES, signature=st.binary(max_size=128))
VOTES = st.builds(
    Vote,
    kind=st.sampled_from((Kind.PREVOTE, Kind.PRECOMMIT)),
    height=HEIGHTS,
    round=ROUNDS,
    block_id=st.none() | BLOCKS,
)


@st.composite
def proposals(draw: st.DrawFn) -> Proposal:
    """Well-formed proposals."""
    round_number = draw(ROUNDS)
    valid_round = draw(st.integers(-1, round_number - 1))
    polka = draw(st.lists(SIGNATURES, min_size=1, max_size=3)) if valid_round >= 0 else []
    return Proposal(
        height=draw(HEIGHTS), round=round_number, block_id=draw(BLOCKS), valid_round=valid_round, polka=tuple(polka)
    )


@given(VOTES | proposals(), st.integers(0, 2**64 - 1))
@settings(max_examples=60, deadline=None)
def test_messages_come_back(message: Message, chain_id: int) -> None:
    payload = encode_message(message, chain_id)

    assert decode_message(payload, chain_id) == message
    with pytest.raises(EncodingError):
        decode_message(payload, (chain_id + 1) % 2**64)
    with pytest.raises(EncodingError):
        decode_message(payload + b"\0", chain_id)
    for length in range(len(payload)):
        with pytest.raises(EncodingError):
            decode_message(payload[:length], chain_id)


def test_a_message_is_bound_to_its_chain() -> None:
    ballot = vote(Kind.PREVOTE, BLOCK)
    assert encode_message(ballot, 1) != encode_message(ballot, 2)


@pytest.mark.parametrize(
    "proposal",
    [
        Proposal(height=Height(1), round=2, block_id=BLOCK, valid_round=2, polka=prevotes([0], BLOCK)),
        Proposal(height=Height(1), round=2, block_id=BLOCK, valid_round=1),
        Proposal(height=Height(1), round=2, block_id=BLOCK, polka=prevotes([0], BLOCK)),
        Proposal(height=Height(1), round=ROUND_MAX + 1, block_id=BLOCK),
        Proposal(height=Height(HEIGHT_MAX + 1), round=0, block_id=BLOCK),
    ],
)
def test_impossible_proposals_are_refused(proposal: Proposal) -> None:
    with pytest.raises(EncodingError):
        decode_message(encode_message(proposal, CHAIN_ID), CHAIN_ID)


def _samples() -> list[tuple[Callable[[bytes], Any], Callable[[Any], bytes], Any]]:
    payload, signature = sign(0, vote(Kind.PREVOTE, BLOCK))
    signed = SignedMessage(payload=payload, signature=signature)
    quorum = (CountedPrevote(validator=identity(1).address, block_id=None, signature=signature),) * 2
    accused = identity(0).address
    records: list[Record] = [
        Intent(height=3, payload=payload),
        Valid(height=3, round=2, block_id=OTHER, signatures=prevotes([0, 1, 2], OTHER)),
    ]
    evidence: list[Evidence] = [
        Double(validator=accused, first=signed, second=signed),
        Amnesia(validator=accused, precommit=signed, prevote=signed, quorums=(quorum, quorum)),
    ]
    return [
        *((decode_record, encode_record, record) for record in records),
        *((decode_evidence, encode_evidence, entry) for entry in evidence),
    ]


@pytest.mark.parametrize("number", range(4))
def test_records_and_evidence_come_back(number: int) -> None:
    decode, encode, value = _samples()[number]
    data = encode(value)

    assert decode(data) == value
    for length in range(len(data)):
        with pytest.raises(EncodingError):
            decode(data[:length])
    with pytest.raises(EncodingError):
        decode(data + b"\0")


def _mutations(data: bytes, draw: Callable[[int, int], int]) -> bytes:
    changed = bytearray(data)
    for _ in range(draw(1, 4)):
        changed[draw(0, len(changed) - 1)] = draw(0, 255)
    return bytes(changed)


@given(st.integers(0, 5), st.data())
@settings(max_examples=300, deadline=None)
def test_decoders_refuse_or_give_the_one_value_of_the_bytes(number: int, data: st.DataObject) -> None:
    proposal = Proposal(height=Height(4), round=5, block_id=BLOCK, valid_round=2, polka=prevotes([0, 1], BLOCK))
    samples = _samples()
    for message in (proposal, vote(Kind.PRECOMMIT, BLOCK)):
        samples.append(
            (lambda raw: decode_message(raw, CHAIN_ID), lambda value: encode_message(value, CHAIN_ID), message)
        )
    decode, encode, value = samples[number]
    raw = _mutations(encode(value), lambda low, high: data.draw(st.integers(low, high)))
    try:
        decoded = decode(raw)
    except EncodingError:
        return
    assert encode(decoded) == raw


@given(st.binary(max_size=200))
@settings(max_examples=100, deadline=None)
def test_garbage_is_refused_or_canonical(data: bytes) -> None:
    codecs: list[tuple[Callable[[bytes], Any], Callable[[Any], bytes]]] = [
        (lambda raw: decode_message(raw, CHAIN_ID), lambda value: encode_message(value, CHAIN_ID)),
        (decode_record, encode_record),
        (decode_evidence, encode_evidence),
    ]
    for decode, encode in codecs:
        try:
            decoded = decode(data)
        except EncodingError:
            continue
        assert encode(decoded) == data


def test_a_record_of_an_unknown_sort_or_an_impossible_round_is_refused() -> None:
    valid = encode_record(Valid(height=3, round=2, block_id=OTHER, signatures=()))
    for raw in (b"\x02" + valid[1:], valid[:9] + b"\xff" * 4 + valid[13:], valid[:1] + b"\xff" * 8 + valid[9:]):
        with pytest.raises(EncodingError):
            decode_record(raw)
