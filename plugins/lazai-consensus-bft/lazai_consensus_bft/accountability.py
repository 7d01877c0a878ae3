"""Finds the faults of other validators among the messages of one height."""

from __future__ import annotations

from attrs import define, field

from lazai_core.api.consensus import ReportEvidence
from lazai_core.api.types import Address, Hash32

from .driver import Driver
from .evidence import (
    AMNESIA,
    AMNESIA_ROUNDS_MAX,
    DOUBLE_PROPOSAL,
    DOUBLE_VOTE,
    Amnesia,
    CountedPrevote,
    Double,
    SignedMessage,
    encode_evidence,
    same_statement,
)
from .messages import Kind, Proposal, Vote, encode_message
from .quorum import QuorumRule
from .vote_keeper import Conflict, SignedVote


def _signed(vote: SignedVote, chain_id: int) -> SignedMessage:
    return SignedMessage(payload=encode_message(vote.vote, chain_id), signature=vote.signature)


def double_vote(conflict: Conflict, chain_id: int) -> ReportEvidence:
    """The report of two contradicting votes."""
    evidence = Double(
        validator=conflict.first.sender,
        first=_signed(conflict.first, chain_id),
        second=_signed(conflict.second, chain_id),
    )
    return ReportEvidence(validator=conflict.first.sender, kind=DOUBLE_VOTE, evidence=encode_evidence(evidence))


@define
class Accountant:
    """Reports each fault once."""

    chain_id: int
    rule: QuorumRule
    _proposals: dict[int, tuple[Proposal, SignedMessage]] = field(factory=dict, init=False)
    _double_proposals: set[int] = field(factory=set, init=False)
    _forgetful: set[Address] = field(factory=set, init=False)

    def _signed(self, vote: SignedVote) -> SignedMessage:
        return _signed(vote, self.chain_id)

    def conflict(self, conflict: Conflict) -> ReportEvidence:
        """A double vote."""
        return double_vote(conflict, self.chain_id)

    def proposal(self, sender: Address, proposal: Proposal, message: SignedMessage) -> ReportEvidence | None:
        """A double proposal, where this is the second of its round."""
        known, first = self._proposals.setdefault(proposal.round, (proposal, message))
        if same_statement(known, proposal) or proposal.round in self._double_proposals:
            return None
        self._double_proposals.add(proposal.round)
        evidence = encode_evidence(Double(validator=sender, first=first, second=message))
        return ReportEvidence(validator=sender, kind=DOUBLE_PROPOSAL, evidence=evidence)

    def prevote(self, sender: Address, vote: Vote, signature: bytes, driver: Driver) -> ReportEvidence | None:
        """Amnesia, where the votes seen so far prove it."""
        if vote.kind is not Kind.PREVOTE or vote.block_id is None or sender in self._forgetful:
            return None
        locked = _lock_before(sender, vote, driver)
        if locked is None:
            return None
        quorums = []
        for round_number in range(locked.vote.round, vote.round):
            quorum = self._quorum_against(vote.block_id, round_number, driver)
            if quorum is None:
                return None
            quorums.append(quorum)
        self._forgetful.add(sender)
        evidence = Amnesia(
            validator=sender,
            precommit=self._signed(locked),
            prevote=self._signed(SignedVote(sender, vote, signature)),
            quorums=tuple(quorums),
        )
        return ReportEvidence(validator=sender, kind=AMNESIA, evidence=encode_evidence(evidence))

    def _quorum_against(self, block_id: Hash32, round_number: int, driver: Driver) -> tuple[CountedPrevote, ...] | None:
        votes = sorted(driver.keeper.votes(Kind.PREVOTE, round_number), key=lambda signed: signed.sender)
        tally, counted = self.rule.tally(), []
        for signed in votes:
            if signed.vote.block_id != block_id:
                tally.add(signed.sender)
                counted.append(
                    CountedPrevote(validator=signed.sender, block_id=signed.vote.block_id, signature=signed.signature)
                )
        return tuple(counted) if tally.is_quorum else None

    def forget_before(self, round_number: int) -> None:
        """Forget the proposals of earlier rounds."""
        for number in [number for number in self._proposals if number < round_number]:
            del self._proposals[number]
            self._double_proposals.discard(number)


def _lock_before(sender: Address, vote: Vote, driver: Driver) -> SignedVote | None:
    """The newest precommit for another block, not too many rounds back; a precommit for the same one frees."""
    for round_number in range(vote.round - 1, max(vote.round - AMNESIA_ROUNDS_MAX, 0) - 1, -1):
        earlier = driver.keeper.vote_of(Kind.PRECOMMIT, round_number, sender)
        if earlier is not None and earlier.vote.block_id is not None:
            return earlier if earlier.vote.block_id != vote.block_id else None
    return None
