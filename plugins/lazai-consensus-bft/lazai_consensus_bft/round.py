"""The state machine of one height, pure: a state and an input give a state and an output.

Numbers in comments are lines of Algorithm 1 in "The latest gossip on BFT consensus" (arXiv 1807.04938). Counting
votes, matching proposals and choosing proposers is done elsewhere (`vote_keeper`, `driver`): an input here says that
the condition of a rule holds. An input that no rule takes in the present step changes nothing.
"""

from __future__ import annotations

from enum import IntEnum
from typing import TypeAlias

from attrs import evolve, frozen

from lazai_core.api.types import Hash32

from .messages import NO_ROUND, Kind


class Step(IntEnum):
    """Steps of a round, in order."""

    UNSTARTED = 0
    PROPOSE = 1
    PREVOTE = 2
    PRECOMMIT = 3
    COMMIT = 4


class TimeoutKind(IntEnum):
    """The three timers of a round."""

    PROPOSE = 1
    PREVOTE = 2
    PRECOMMIT = 3


@frozen(kw_only=True)
class RoundState:
    """Where a validator stands in a height. A round of -1 means none."""

    round: int = NO_ROUND
    step: Step = Step.UNSTARTED
    locked_value: Hash32 | None = None
    locked_round: int = NO_ROUND
    valid_value: Hash32 | None = None
    valid_round: int = NO_ROUND


# Inputs.


@frozen
class NewRound:
    """Enter this round, as its proposer or not."""

    round: int
    is_proposer: bool


@frozen
class ProposeValue:
    """The value this validator, as proposer, was asked to find."""

    value: Hash32


@frozen
class ProposalSeen:
    """A valid proposal of this round without a valid round."""

    value: Hash32


@frozen
class ProposalWithPolka:
    """A valid proposal of this round whose valid round has a quorum of prevotes for it."""

    value: Hash32
    valid_round: int


@frozen
class ProposalInvalid:
    """An invalid proposal of this round."""


@frozen
class PolkaAny:
    """A quorum of prevotes of this round, for whatever."""


@frozen
class PolkaNil:
    """A quorum of prevotes of this round for nil."""


@frozen
class PolkaValue:
    """A quorum of prevotes of this round for a value whose valid proposal is here."""

    value: Hash32


@frozen
class PrecommitAny:
    """A quorum of precommits of this round, for whatever."""


@frozen
class CommitQuorum:
    """A quorum of precommits of any one round for a value whose valid proposal is here."""

    round: int
    value: Hash32


@frozen
class RoundSkip:
    """Votes of a later round from a set that hits every quorum."""

    round: int


@frozen
class TimedOut:
    """A timer of this round has run out."""

    kind: TimeoutKind
    round: int


RoundInput: TypeAlias = (
    NewRound
    | ProposeValue
    | ProposalSeen
    | ProposalWithPolka
    | ProposalInvalid
    | PolkaAny
    | PolkaNil
    | PolkaValue
    | PrecommitAny
    | CommitQuorum
    | RoundSkip
    | TimedOut
)


# Outputs.


@frozen
class Propose:
    """Send a proposal of this round."""

    value: Hash32
    valid_round: int


@frozen
class FindValue:
    """Find a value to propose in this round, and start the propose timer."""

    round: int


@frozen
class SendVote:
    """Send a prevote or precommit of this round; None is nil."""

    kind: Kind
    value: Hash32 | None


@frozen
class StartTimer:
    """Start a timer of this round."""

    kind: TimeoutKind
    round: int


@frozen
class SkipTo:
    """Enter a later round."""

    round: int


@frozen
class Decided:
    """The value is decided."""

    round: int
    value: Hash32


RoundOutput: TypeAlias = Propose | FindValue | SendVote | StartTimer | SkipTo | Decided
Transition: TypeAlias = tuple[RoundState, RoundOutput | None]


def apply(state: RoundState, event: RoundInput) -> Transition:
    """The next state, and what to do, if anything."""
    if state.step is Step.COMMIT:
        return state, _after_decision(state, event)
    match event:
        case NewRound() if event.round > state.round:
            return _enter(state, event)
        case CommitQuorum():  # 49: in whatever step
            return evolve(state, step=Step.COMMIT), Decided(event.round, event.value)
        case RoundSkip() if event.round > state.round:  # 55
            return _unstarted(state), SkipTo(event.round)
        case PrecommitAny() if state.step is not Step.UNSTARTED:  # 47
            return state, StartTimer(TimeoutKind.PRECOMMIT, state.round)
        case TimedOut() if event.round == state.round:
            return _timed_out(state, event.kind)
    match state.step:
        case Step.PROPOSE:
            return _in_propose(state, event)
        case Step.PREVOTE:
            return _in_prevote(state, event)
        case Step.PRECOMMIT if isinstance(event, PolkaValue):  # 36, 42, 43: too late to lock
            return evolve(state, valid_value=event.value, valid_round=state.round), None
    return state, None


def _after_decision(state: RoundState, event: RoundInput) -> RoundOutput | None:
    # The timer does no harm, and starting it here keeps rule 47 free of a special case.
    return StartTimer(TimeoutKind.PRECOMMIT, state.round) if isinstance(event, PrecommitAny) else None


def _unstarted(state: RoundState) -> RoundState:
    return evolve(state, step=Step.UNSTARTED)


def _enter(state: RoundState, event: NewRound) -> Transition:
    """11 to 21."""
    entered = evolve(state, round=event.round, step=Step.PROPOSE)
    if not event.is_proposer:
        return entered, StartTimer(TimeoutKind.PROPOSE, event.round)  # 21
    if state.valid_value is not None:
        return entered, Propose(state.valid_value, state.valid_round)  # 16
    return entered, FindValue(event.round)  # 18


def _timed_out(state: RoundState, kind: TimeoutKind) -> Transition:
    if kind is TimeoutKind.PROPOSE and state.step is Step.PROPOSE:  # 57
        return _prevote(state, None)
    if kind is TimeoutKind.PREVOTE and state.step is Step.PREVOTE:  # 61
        return _precommit(state, None)
    if kind is TimeoutKind.PRECOMMIT and state.step is not Step.UNSTARTED:  # 65
        return _unstarted(state), SkipTo(state.round + 1)
    return state, None


def _in_propose(state: RoundState, event: RoundInput) -> Transition:
    match event:
        case ProposeValue():  # 19
            return state, Propose(event.value, NO_ROUND)
        case ProposalSeen():  # 22
            free = state.locked_round == NO_ROUND or state.locked_value == event.value  # 23
            return _prevote(state, event.value if free else None)  # 24, 26
        case ProposalWithPolka() if NO_ROUND < event.valid_round < state.round:  # 28
            free = state.locked_round <= event.valid_round or state.locked_value == event.value  # 29
            return _prevote(state, event.value if free else None)  # 30, 32
        case ProposalInvalid():  # 26, 32
            return _prevote(state, None)
    return state, None


def _in_prevote(state: RoundState, event: RoundInput) -> Transition:
    match event:
        case PolkaAny():  # 34
            return state, StartTimer(TimeoutKind.PREVOTE, state.round)
        case PolkaNil():  # 44
            return _precommit(state, None)
        case PolkaValue():  # 36 to 43
            locked = evolve(
                state,
                locked_value=event.value,
                locked_round=state.round,
                valid_value=event.value,
                valid_round=state.round,
            )
            return _precommit(locked, event.value)
    return state, None


def _prevote(state: RoundState, value: Hash32 | None) -> Transition:
    return evolve(state, step=Step.PREVOTE), SendVote(Kind.PREVOTE, value)


def _precommit(state: RoundState, value: Hash32 | None) -> Transition:
    return evolve(state, step=Step.PRECOMMIT), SendVote(Kind.PRECOMMIT, value)
