"""Votes of one height: tallies by round, kind and value, thresholds when they are first passed, and equivocation.

A validator's first vote of a round and kind counts; a second, different one is evidence and counts nothing. Both are
kept with their signatures. A quorum that arrives as a certificate counts as a whole, whatever its signers told us
before: otherwise an equivocating signer could hide it.
"""

from __future__ import annotations

from enum import Enum
from typing import TypeAlias

from attrs import define, field, frozen

from lazai_core.api.types import Address, Hash32

from .messages import Kind, Vote
from .quorum import QuorumRule, Tally


class Threshold(Enum):
    """What a set of votes of one round and kind has reached."""

    ANY = "any"
    NIL = "nil"
    VALUE = "value"
    SKIP = "skip"


@frozen
class Reached:
    """A threshold passed for the first time. `value` is set for `Threshold.VALUE` only."""

    threshold: Threshold
    kind: Kind
    round: int
    value: Hash32 | None = None


@frozen
class SignedVote:
    """A vote with its author and signature."""

    sender: Address
    vote: Vote
    signature: bytes


@frozen
class Conflict:
    """Two different votes of one validator for one round and kind, the counted one first."""

    first: SignedVote
    second: SignedVote


@frozen
class Added:
    """What a vote did: thresholds first passed by it, and the conflict it makes with an earlier one."""

    reached: tuple[Reached, ...] = ()
    conflict: Conflict | None = None


NOTHING = Added()
Signatures: TypeAlias = tuple[tuple[Address, bytes], ...]


@define
class _Ballot:
    """Votes of one round and kind."""

    everybody: Tally
    votes: dict[Address, SignedVote] = field(factory=dict)
    by_value: dict[Hash32 | None, Tally] = field(factory=dict)
    emitted: set[tuple[Threshold, Hash32 | None]] = field(factory=set)
    accused: set[Address] = field(factory=set)
    proven: dict[Hash32 | None, Signatures] = field(factory=dict)
    quorum_value: Hash32 | None = None


@define
class _Round:
    voters: Tally
    seen: set[Address]
    ballots: dict[Kind, _Ballot]
    skip_emitted: bool = False


class VoteKeeper:
    """Counts the votes of one height under one quorum rule. Votes of strangers are ignored."""

    def __init__(self, rule: QuorumRule) -> None:
        self._rule = rule
        self._rounds: dict[int, _Round] = {}

    @property
    def rounds(self) -> tuple[int, ...]:
        """Rounds with votes, ascending."""
        return tuple(sorted(self._rounds))

    def add(self, sender: Address, vote: Vote, signature: bytes, current_round: int) -> Added:
        """Count a vote. Votes of rounds after `current_round` may pass the skip threshold of their round."""
        if sender not in self._rule.members:
            return NOTHING
        entry = self._round(vote.round)
        ballot = entry.ballots[vote.kind]
        signed = SignedVote(sender, vote, signature)
        known = ballot.votes.get(sender)
        if known is not None:
            if known.vote == vote or sender in ballot.accused:
                return NOTHING
            ballot.accused.add(sender)
            return Added(conflict=Conflict(known, signed))
        ballot.votes[sender] = signed
        ballot.everybody.add(sender)
        value = vote.block_id
        tally = ballot.by_value.get(value)
        if tally is None:
            tally = ballot.by_value[value] = self._rule.tally()
        tally.add(sender)
        if sender not in entry.seen:
            entry.seen.add(sender)
            entry.voters.add(sender)
        return Added(reached=self._reached(entry, ballot, vote, tally, current_round))

    def _reached(
        self, entry: _Round, ballot: _Ballot, vote: Vote, tally: Tally, current_round: int
    ) -> tuple[Reached, ...]:
        reached: list[Reached] = []
        if vote.round > current_round and not entry.skip_emitted and entry.voters.hits_every_quorum:
            entry.skip_emitted = True
            reached.append(Reached(Threshold.SKIP, vote.kind, vote.round))
        if tally.is_quorum:
            threshold = Threshold.NIL if vote.block_id is None else Threshold.VALUE
            ballot.quorum_value = vote.block_id
        elif ballot.everybody.is_quorum:
            threshold = Threshold.ANY
        else:
            return tuple(reached)
        value = vote.block_id if threshold is Threshold.VALUE else None
        if (threshold, value) not in ballot.emitted:
            ballot.emitted.add((threshold, value))
            reached.append(Reached(threshold, vote.kind, vote.round, value))
        return tuple(reached)

    def add_quorum(self, vote: Vote, signatures: Signatures) -> None:
        """Take over a verified quorum of signatures for one vote."""
        ballot = self._round(vote.round).ballots[vote.kind]
        ballot.proven.setdefault(vote.block_id, signatures)
        if vote.block_id is not None:
            ballot.quorum_value = vote.block_id

    def _round(self, number: int) -> _Round:
        entry = self._rounds.get(number)
        if entry is None:
            ballots = {kind: _Ballot(self._rule.tally()) for kind in (Kind.PREVOTE, Kind.PRECOMMIT)}
            entry = self._rounds[number] = _Round(self._rule.tally(), set(), ballots)
        return entry

    def _ballot(self, kind: Kind, round_number: int) -> _Ballot | None:
        entry = self._rounds.get(round_number)
        return None if entry is None else entry.ballots[kind]

    def has_quorum(self, kind: Kind, round_number: int, value: Hash32 | None) -> bool:
        """Whether a quorum voted for this value, or for nil."""
        ballot = self._ballot(kind, round_number)
        if ballot is None:
            return False
        tally = ballot.by_value.get(value)
        return value in ballot.proven or (tally is not None and tally.is_quorum)

    def has_any_quorum(self, kind: Kind, round_number: int) -> bool:
        """Whether a quorum voted at all."""
        ballot = self._ballot(kind, round_number)
        return ballot is not None and (bool(ballot.proven) or ballot.everybody.is_quorum)

    def quorum_value(self, kind: Kind, round_number: int) -> Hash32 | None:
        """The block a quorum voted for, or None."""
        ballot = self._ballot(kind, round_number)
        return None if ballot is None else ballot.quorum_value

    def hits_every_quorum(self, round_number: int) -> bool:
        """Whether votes of this round, of either kind, come from a set that hits every quorum."""
        entry = self._rounds.get(round_number)
        return entry is not None and entry.voters.hits_every_quorum

    def vote_of(self, kind: Kind, round_number: int, sender: Address) -> SignedVote | None:
        """A validator's counted vote."""
        ballot = self._ballot(kind, round_number)
        return None if ballot is None else ballot.votes.get(sender)

    def votes(self, kind: Kind, round_number: int) -> tuple[SignedVote, ...]:
        """The counted votes of a round and kind, in order of arrival."""
        ballot = self._ballot(kind, round_number)
        return () if ballot is None else tuple(ballot.votes.values())

    def signatures(self, kind: Kind, round_number: int, value: Hash32 | None) -> Signatures:
        """Signatures under one value, in order of address: those counted one by one, or a certificate's."""
        ballot = self._ballot(kind, round_number)
        if ballot is None:
            return ()
        tally = ballot.by_value.get(value)
        if value in ballot.proven and not (tally is not None and tally.is_quorum):
            return ballot.proven[value]
        votes = (signed for signed in ballot.votes.values() if signed.vote.block_id == value)
        return tuple(sorted((signed.sender, signed.signature) for signed in votes))

    def drop(self, round_number: int) -> None:
        """Forget a round."""
        self._rounds.pop(round_number, None)
