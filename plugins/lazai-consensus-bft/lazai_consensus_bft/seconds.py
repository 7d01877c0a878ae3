"""Votes that contradict their author's first one: evidence, and still votes.

The rules of the paper count messages, so whatever quorum one honest validator saw, all others see once they have heard
the same messages. The vote keeper counts a validator's first vote alone. An equivocator could then choose, by the order
in which each hears its two votes, who sees a quorum: with one of four validators, two honest ones lock different
blocks in turn for ever. So second votes are kept here, and a quorum that they complete is taken over as a whole.
"""

from __future__ import annotations

from typing import TypeAlias

from attrs import define, field

from lazai_core.api.types import Address, Hash32

from .messages import Kind, Vote
from .quorum import QuorumRule
from .vote_keeper import Signatures, VoteKeeper

UNSHARED_MAX = 2
"""Second votes kept of one validator, in a round and kind, for values that nobody else has voted for."""

_Ballot: TypeAlias = dict[Hash32 | None, dict[Address, bytes]]


@define
class SecondVotes:
    """Second votes of one height by round, kind, value and author."""

    rule: QuorumRule
    _ballots: dict[tuple[int, Kind], _Ballot] = field(factory=dict, init=False)

    def add(self, sender: Address, vote: Vote, signature: bytes, keeper: VoteKeeper) -> None:
        """Keep a vote that contradicts one that the keeper has counted."""
        ballot = self._ballots.setdefault((vote.round, vote.kind), {})
        shared = {signed.vote.block_id for signed in keeper.votes(vote.kind, vote.round)}
        alone = [value for value, votes in ballot.items() if sender in votes and value not in shared]
        if vote.block_id in shared or len(alone) < UNSHARED_MAX:
            ballot.setdefault(vote.block_id, {}).setdefault(sender, signature)

    def quorum(self, vote: Vote, keeper: VoteKeeper) -> Signatures | None:
        """Signatures of a quorum for this vote that second votes complete; None where they do not, or need not."""
        second = self._ballots.get((vote.round, vote.kind), {}).get(vote.block_id)
        if second is None or keeper.has_quorum(vote.kind, vote.round, vote.block_id):
            return None
        signatures = dict(keeper.signatures(vote.kind, vote.round, vote.block_id)) | second
        tally = self.rule.tally()
        for sender in signatures:
            tally.add(sender)
        return tuple(sorted(signatures.items())) if tally.is_quorum else None

    def forget_before(self, round_number: int) -> None:
        """Forget the votes of earlier rounds."""
        self._ballots = {key: ballot for key, ballot in self._ballots.items() if key[0] >= round_number}
