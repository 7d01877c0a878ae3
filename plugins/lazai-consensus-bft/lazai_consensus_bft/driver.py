"""The rounds of one height: which rule of the round state machine applies next, given votes and proposals.

Inputs only add knowledge; `advance` then applies one rule at a time until none is left, so that no order of arrival
can pass a rule by: each is looked at again after every change. Numbers in comments are lines of Algorithm 1 in
arXiv 1807.04938.
"""

from __future__ import annotations

from collections.abc import Callable

from attrs import define, field, frozen

from lazai_core.api.types import Address, Hash32

from .messages import NO_ROUND, Kind, Proposal, Vote
from .quorum import QuorumRule
from .round import (
    CommitQuorum,
    NewRound,
    PolkaAny,
    PolkaNil,
    PolkaValue,
    PrecommitAny,
    ProposalInvalid,
    ProposalSeen,
    ProposalWithPolka,
    ProposeValue,
    RoundInput,
    RoundOutput,
    RoundSkip,
    RoundState,
    SkipTo,
    Step,
    TimedOut,
    TimeoutKind,
    apply,
)
from .vote_keeper import Added, Signatures, Threshold, VoteKeeper

PROPOSALS_MAX = 2
"""Different proposals kept a round: an honest proposer makes one, and two prove that it is not honest."""


@frozen
class Known:
    """A proposal of the round's proposer, and whether its block is valid."""

    proposal: Proposal
    valid: bool


@define
class _Fired:
    """Rules that hold "for the first time" in a round."""

    polka_any: bool = False
    precommit_any: bool = False
    late_polka: bool = False


@define(kw_only=True)
class Driver:
    """One validator in one height. `proposer` gives the proposer of each round."""

    address: Address
    rule: QuorumRule
    proposer: Callable[[int], Address]
    rounds_behind_max: int = 64
    state: RoundState = field(factory=RoundState)
    keeper: VoteKeeper = field(init=False)
    _proposals: dict[int, list[Known]] = field(factory=dict, init=False)
    _commit_rounds: dict[int, Hash32] = field(factory=dict, init=False)
    _skip_round: int = field(default=NO_ROUND, init=False)
    _fired: _Fired = field(factory=_Fired, init=False)
    _queue: list[RoundInput] = field(factory=list, init=False)

    def __attrs_post_init__(self) -> None:
        self.keeper = VoteKeeper(self.rule)

    # Inputs. Each is followed by `advance` until it gives None.

    def start(self) -> None:
        """Enter round 0, or the latest round that votes which came early allow."""
        if self.state.round == NO_ROUND:
            self._enter(max(self._skip_round, 0))

    def resume(self, state: RoundState) -> None:
        """Take up the round where a crash ended it; its votes are already cast."""
        self.state = state

    def propose(self, round_number: int, value: Hash32) -> None:
        """The value that `FindValue` asked for."""
        if self.state.round == round_number and self.proposer(round_number) == self.address:
            self._queue.append(ProposeValue(value))

    def time_out(self, kind: TimeoutKind, round_number: int) -> None:
        """A timer has run out."""
        self._queue.append(TimedOut(kind, round_number))

    def add_vote(self, sender: Address, vote: Vote, signature: bytes) -> Added:
        """Count a vote."""
        added = self.keeper.add(sender, vote, signature, self.state.round)
        for reached in added.reached:
            if reached.threshold is Threshold.SKIP:
                self.skip_to(reached.round)
            elif reached.kind is Kind.PRECOMMIT and reached.value is not None:
                self._commit_rounds[reached.round] = reached.value
        return added

    def add_quorum(self, vote: Vote, signatures: Signatures) -> None:
        """Take over a verified quorum of signatures for one vote."""
        self.keeper.add_quorum(vote, signatures)
        if vote.kind is Kind.PRECOMMIT and vote.block_id is not None:
            self._commit_rounds[vote.round] = vote.block_id

    def skip_to(self, round_number: int) -> None:
        """A set that hits every quorum is in this round or a later one."""
        self._skip_round = max(self._skip_round, round_number)

    def add_proposal(self, proposal: Proposal, valid: bool) -> None:
        """Learn of a proposal whose author is its round's proposer and whose block has been checked."""
        known = self._proposals.setdefault(proposal.round, [])
        if len(known) < PROPOSALS_MAX and all(entry.proposal != proposal for entry in known):
            known.append(Known(proposal, valid))

    def proposals(self, round_number: int) -> tuple[Known, ...]:
        """The proposals of a round, in order of arrival."""
        return tuple(self._proposals.get(round_number, ()))

    @property
    def committed(self) -> tuple[int, Hash32] | None:
        """A round and the block a quorum precommitted in it, whether its proposal is known or not."""
        return next(iter(self._commit_rounds.items()), None)

    # Rules.

    def advance(self) -> RoundOutput | None:
        """Apply rules until one has an output; None when no rule is left."""
        while (event := self._next()) is not None:
            self.state, output = apply(self.state, event)
            if isinstance(output, SkipTo):
                self._enter(output.round)
            elif output is not None:
                return output
        return None

    def _enter(self, round_number: int) -> None:
        self._fired = _Fired()
        # A round input of the round we leave, such as a value for it, must not act in the next.
        self._queue = [NewRound(round_number, self.proposer(round_number) == self.address)]
        self._forget(round_number)

    def _forget(self, round_number: int) -> None:
        oldest = round_number - self.rounds_behind_max
        needed = (self.state.locked_round, self.state.valid_round)
        for number in {*self.keeper.rounds, *self._proposals}:
            if number < oldest and number not in needed:
                self.keeper.drop(number)
                self._proposals.pop(number, None)
                self._commit_rounds.pop(number, None)

    def _next(self) -> RoundInput | None:
        if self.state.step is Step.COMMIT:
            return None
        decision = self._commit()
        if decision is not None:
            return decision
        if self._queue:
            return self._queue.pop(0)
        if self.state.step is Step.UNSTARTED:
            return None
        if self._skip_round > self.state.round:  # 55
            return RoundSkip(self._skip_round)
        return self._in_step() or self._precommit_any()

    def _commit(self) -> RoundInput | None:
        """49: any round, also a past one."""
        for number, value in self._commit_rounds.items():
            if self._has_valid(number, value):
                return CommitQuorum(number, value)
        return None

    def _precommit_any(self) -> RoundInput | None:
        """47."""
        if not self._fired.precommit_any and self.keeper.has_any_quorum(Kind.PRECOMMIT, self.state.round):
            self._fired.precommit_any = True
            return PrecommitAny()
        return None

    def _in_step(self) -> RoundInput | None:
        match self.state.step:
            case Step.PROPOSE:
                return self._in_propose()
            case Step.PREVOTE:
                return self._in_prevote()
            case Step.PRECOMMIT if not self._fired.late_polka:  # 36
                value = self._polka_with_proposal()
                if value is not None:
                    self._fired.late_polka = True
                    return PolkaValue(value)
        return None

    def _in_propose(self) -> RoundInput | None:
        for known in self.proposals(self.state.round):
            proposal = known.proposal
            if not known.valid:  # 26, 32
                return ProposalInvalid()
            if proposal.valid_round == NO_ROUND:  # 22
                return ProposalSeen(proposal.block_id)
            if self.keeper.has_quorum(Kind.PREVOTE, proposal.valid_round, proposal.block_id):  # 28
                return ProposalWithPolka(proposal.block_id, proposal.valid_round)
        return None

    def _in_prevote(self) -> RoundInput | None:
        if self.keeper.has_quorum(Kind.PREVOTE, self.state.round, None):  # 44
            return PolkaNil()
        if not self._fired.polka_any and self.keeper.has_any_quorum(Kind.PREVOTE, self.state.round):  # 34
            self._fired.polka_any = True
            return PolkaAny()
        value = self._polka_with_proposal()  # 36
        return None if value is None else PolkaValue(value)

    def _polka_with_proposal(self) -> Hash32 | None:
        value = self.keeper.quorum_value(Kind.PREVOTE, self.state.round)
        return value if value is not None and self._has_valid(self.state.round, value) else None

    def _has_valid(self, round_number: int, value: Hash32) -> bool:
        return any(known.valid and known.proposal.block_id == value for known in self._proposals.get(round_number, ()))
