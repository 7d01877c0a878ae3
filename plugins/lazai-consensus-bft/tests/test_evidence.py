"""Faults are found, proven to strangers, and nobody can be accused without proof."""

from __future__ import annotations

from typing import Any

import pytest
from attrs import evolve
from bft_driving import BLOCK, CHAIN_ID, OTHER, Host, follower, identity, only, powers, prevotes, sign, validators, vote
from hypothesis import given
from hypothesis import strategies as st

from lazai_consensus_bft.evidence import (
    AMNESIA,
    DOUBLE_PROPOSAL,
    DOUBLE_VOTE,
    Amnesia,
    Double,
    SignedMessage,
    decode_evidence,
    encode_evidence,
    judge_evidence,
    verify_evidence,
)
from lazai_consensus_bft.messages import Kind, Message, Proposal
from lazai_core.api.consensus import Offence, ReportEvidence, Validator
from lazai_core.api.errors import ConsensusFault
from lazai_core.api.types import Hash32, Height

COMMITTEE = powers(1, 1, 1, 1)
THIRD = Hash32(b"\x0d" * 32)


def check(report: ReportEvidence) -> str:
    """What the evidence proves, by its bytes alone."""
    evidence = decode_evidence(report.evidence)
    assert evidence.validator == report.validator
    return verify_evidence(evidence, COMMITTEE, CHAIN_ID, Height(1))


def signed(number: int, message: Message, chain_id: int = CHAIN_ID) -> SignedMessage:
    """A message in evidence."""
    payload, signature = sign(number, message, chain_id)
    return SignedMessage(payload=payload, signature=signature)


def refuse(evidence: Any, height: int = 1) -> None:
    """The evidence proves nothing."""
    with pytest.raises(ConsensusFault):
        verify_evidence(evidence, COMMITTEE, CHAIN_ID, Height(height))


@pytest.mark.parametrize("kind", [Kind.PREVOTE, Kind.PRECOMMIT])
def test_a_double_vote_is_reported_once_with_both_signatures(kind: Kind) -> None:
    host = follower()
    guilty = (host.number + 1) % 4
    assert only(host.receive(guilty, vote(kind, BLOCK)), ReportEvidence) == []
    assert only(host.receive(guilty, vote(kind, BLOCK)), ReportEvidence) == []
    (report,) = only(host.receive(guilty, vote(kind, None)), ReportEvidence)

    assert (report.validator, report.kind, check(report)) == (identity(guilty).address, DOUBLE_VOTE, DOUBLE_VOTE)
    assert only(host.receive(guilty, vote(kind, OTHER)), ReportEvidence) == []


def test_precommits_against_the_decision_that_come_after_it_are_reported_once() -> None:
    host = follower()
    others = [number for number in range(4) if number != host.number]
    host.propose(BLOCK)
    host.votes(others, vote(Kind.PREVOTE, BLOCK))
    host.votes(others, vote(Kind.PRECOMMIT, BLOCK))
    assert len(host.decided) == 1
    (report,) = only(host.receive(others[0], vote(Kind.PRECOMMIT, OTHER)), ReportEvidence)
    assert (report.validator, report.kind, check(report)) == (identity(others[0]).address, DOUBLE_VOTE, DOUBLE_VOTE)
    host.start(2)
    (report,) = only(host.receive(others[1], vote(Kind.PRECOMMIT, None)), ReportEvidence)
    assert report.validator == identity(others[1]).address
    assert only(host.receive(others[1], vote(Kind.PRECOMMIT, OTHER)), ReportEvidence) == []


def test_a_double_proposal_is_reported_once() -> None:
    host = follower()
    host.propose(BLOCK)
    effects = host.propose(OTHER)
    (report,) = only(effects, ReportEvidence)

    assert (report.validator, report.kind) == (identity(host.proposer()).address, DOUBLE_PROPOSAL)
    assert check(report) == DOUBLE_PROPOSAL
    assert only(host.propose(THIRD), ReportEvidence) == []


def test_other_prevotes_inside_the_same_proposal_are_no_fault() -> None:
    host = follower()
    number = next(number for number in range(1, 9) if host.proposer(number) != host.number)
    others = [other for other in range(4) if other != host.number]
    for polka in (prevotes(others, BLOCK), prevotes(range(4), BLOCK)):
        effects = host.propose(BLOCK, number, valid_round=0, polka=polka)
        assert only(effects, ReportEvidence) == []


def _forgetting(host: Host) -> tuple[int, list[ReportEvidence]]:
    """A validator precommits BLOCK in round 0, where BLOCK had a quorum, and prevotes OTHER in round 1."""
    others = [number for number in range(4) if number != host.number]
    host.votes(others, vote(Kind.PREVOTE, BLOCK))
    host.receive(others[0], vote(Kind.PRECOMMIT, BLOCK))
    return others[0], only(host.receive(others[0], vote(Kind.PREVOTE, OTHER, round_number=1)), ReportEvidence)


def test_amnesia_is_reported_once_where_the_votes_prove_it() -> None:
    host = follower()
    guilty, reports = _forgetting(host)
    (report,) = reports

    assert (report.validator, report.kind, check(report)) == (identity(guilty).address, AMNESIA, AMNESIA)
    again = host.receive(guilty, vote(Kind.PREVOTE, OTHER, round_number=2))
    assert only(again, ReportEvidence) == []


def test_a_changed_mind_with_a_possible_quorum_is_no_proof() -> None:
    host = follower()
    others = [number for number in range(4) if number != host.number]
    # Only two prevotes of round 0 are known, so a quorum for OTHER may have formed elsewhere.
    host.votes(others[:2], vote(Kind.PREVOTE, BLOCK))
    host.receive(others[0], vote(Kind.PRECOMMIT, BLOCK))
    assert only(host.receive(others[0], vote(Kind.PREVOTE, OTHER, round_number=1)), ReportEvidence) == []


def test_forged_double_evidence_is_refused() -> None:
    good = Double(
        validator=identity(0).address,
        first=signed(0, vote(Kind.PREVOTE, BLOCK)),
        second=signed(0, vote(Kind.PREVOTE, OTHER)),
    )
    assert verify_evidence(good, COMMITTEE, CHAIN_ID, Height(1)) == DOUBLE_VOTE
    refuse(good, height=2)
    refuse(evolve(good, second=good.first))
    refuse(evolve(good, validator=identity(1).address))
    refuse(evolve(good, validator=identity(5).address))
    refuse(evolve(good, second=signed(1, vote(Kind.PREVOTE, OTHER))))
    refuse(evolve(good, second=signed(0, vote(Kind.PRECOMMIT, OTHER))))
    refuse(evolve(good, second=signed(0, vote(Kind.PREVOTE, OTHER, round_number=1))))
    refuse(evolve(good, second=signed(0, vote(Kind.PREVOTE, OTHER, height=2))))
    refuse(evolve(good, second=signed(0, vote(Kind.PREVOTE, OTHER), chain_id=8)))
    refuse(evolve(good, second=SignedMessage(payload=b"", signature=good.second.signature)))
    refuse(evolve(good, second=evolve(good.second, signature=b"")))
    proposal = Proposal(height=Height(1), round=1, block_id=BLOCK, valid_round=0, polka=prevotes([0, 1, 2], BLOCK))
    more = evolve(proposal, polka=prevotes([0, 1, 2, 3], BLOCK))
    refuse(Double(validator=identity(0).address, first=signed(0, proposal), second=signed(0, more)))


def test_forged_amnesia_is_refused() -> None:
    _, (report,) = _forgetting(follower())
    good = decode_evidence(report.evidence)
    assert isinstance(good, Amnesia)
    number = next(number for number in range(4) if identity(number).address == good.validator)
    (quorum,) = good.quorums

    refuse(evolve(good, quorums=()))
    refuse(evolve(good, quorums=(quorum, quorum)))
    refuse(evolve(good, quorums=(quorum[:-1],)))
    refuse(evolve(good, quorums=(quorum[::-1],)))
    refuse(evolve(good, quorums=((*quorum[:-1], evolve(quorum[-1], signature=b"")),)))
    refuse(evolve(good, quorums=((*quorum[:-1], evolve(quorum[-1], block_id=OTHER)),)))
    refuse(evolve(good, prevote=good.precommit))
    refuse(evolve(good, prevote=signed(number, vote(Kind.PREVOTE, BLOCK, round_number=1))))
    refuse(evolve(good, prevote=signed(number, vote(Kind.PREVOTE, None, round_number=1))))
    refuse(evolve(good, prevote=signed(number, vote(Kind.PREVOTE, OTHER, round_number=2))))


@given(st.data())
def test_changed_evidence_convicts_nobody_else(data: st.DataObject) -> None:
    votes = [signed(1, vote(Kind.PRECOMMIT, block_id)) for block_id in (BLOCK, OTHER)]
    good = encode_evidence(Double(validator=identity(1).address, first=votes[0], second=votes[1]))
    offence = Offence(validator=identity(1).address, height=Height(1), kind=DOUBLE_VOTE)
    members = validators(1, 1, 1, 1)
    assert judge_evidence(good, lambda height: members, CHAIN_ID) == offence

    changed = bytearray(good)
    changed[data.draw(st.integers(0, len(good) - 1))] ^= data.draw(st.integers(1, 255))
    with pytest.raises(ConsensusFault):
        judge_evidence(bytes(changed), lambda height: members, CHAIN_ID)


@given(st.binary(max_size=400))
def test_any_bytes_are_no_evidence(noise: bytes) -> None:
    for raw in (noise, b"\x00" + noise, b"\x01" + noise):
        with pytest.raises(ConsensusFault):
            judge_evidence(raw, lambda height: validators(1, 1, 1, 1), CHAIN_ID)


def test_evidence_is_judged_by_the_set_of_the_height_it_names() -> None:
    asked = list[int]()

    def at(height: Height) -> tuple[Validator, ...]:
        asked.append(height)
        if height != 5:
            raise ConsensusFault("not judged any more")
        return validators(1, 1, 1, 1)

    def double(number: int, height: int) -> bytes:
        votes = [signed(number, vote(Kind.PREVOTE, block_id, height=height)) for block_id in (BLOCK, OTHER)]
        return encode_evidence(Double(validator=identity(number).address, first=votes[0], second=votes[1]))

    assert judge_evidence(double(1, 5), at, CHAIN_ID).height == 5
    for number, height, reason in ((6, 5, "no validator of height 5"), (1, 4, "not judged any more")):
        with pytest.raises(ConsensusFault, match=reason):
            judge_evidence(double(number, height), at, CHAIN_ID)
    with pytest.raises(ConsensusFault, match="of this chain"):
        judge_evidence(double(1, 5), at, CHAIN_ID + 1)
    assert asked == [5, 5, 4]
