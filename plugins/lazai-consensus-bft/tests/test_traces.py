"""The public traces of the Tendermint specification, replayed step by step against our three machines.

The round machine must give the model's state and output for every input the model gave its own. The vote keeper must
pass the same threshold at every vote. The driver gets only what came from outside (votes, proposals, certificates,
timeouts, values) and must give the same messages and reach the same state.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from functools import cache
from itertools import pairwise
from typing import Any, TypeAlias

import bft_traces as traces
import pytest
from attrs import evolve
from bft_traces import NewHeight, Transition, address, optional_value, proposal_of, round_state, value_of, vote_of

from lazai_consensus_bft.driver import Driver
from lazai_consensus_bft.messages import NO_ROUND, Kind, Vote
from lazai_consensus_bft.quorum import FlatRule, Idao, NestedRule, QuorumRule
from lazai_consensus_bft.round import (
    CommitQuorum,
    Decided,
    FindValue,
    NewRound,
    PolkaAny,
    PolkaNil,
    PolkaValue,
    PrecommitAny,
    ProposalInvalid,
    ProposalSeen,
    ProposalWithPolka,
    Propose,
    ProposeValue,
    RoundInput,
    RoundOutput,
    RoundSkip,
    SendVote,
    SkipTo,
    StartTimer,
    TimedOut,
    TimeoutKind,
    apply,
)
from lazai_consensus_bft.vote_keeper import Reached, Threshold, VoteKeeper
from lazai_core.api.types import Address, Hash32

TRACES = 56
KINDS = {
    "ProposeTimeout": TimeoutKind.PROPOSE,
    "PrevoteTimeout": TimeoutKind.PREVOTE,
    "PrecommitTimeout": TimeoutKind.PRECOMMIT,
}


def round_input(tag: str, value: Any) -> RoundInput:
    """A `ConsensusInput` of the model."""
    match tag:
        case "NewRoundCInput" | "NewRoundProposerCInput":
            return NewRound(value, tag == "NewRoundProposerCInput")
        case "ProposeValueCInput":
            return ProposeValue(value_of(value))
        case "ProposalCInput":
            return ProposalSeen(value_of(value[1]["value"]))
        case "ProposalAndPolkaPreviousAndValidCInput":
            return ProposalWithPolka(value_of(value[0]["value"]), value[1])
        case "ProposalInvalidCInput":
            return ProposalInvalid()
        case "PolkaAnyCInput":
            return PolkaAny()
        case "PolkaNilCInput":
            return PolkaNil()
        case "ProposalAndPolkaAndValidCInput":
            return PolkaValue(value_of(value["value"]))
        case "PrecommitAnyCInput":
            return PrecommitAny()
        case "ProposalAndCommitAndValidCInput":
            return CommitQuorum(value[0], value_of(value[1]))
        case "RoundSkipCInput":
            return RoundSkip(value)
        case "TimeoutProposeCInput" | "TimeoutPrevoteCInput" | "TimeoutPrecommitCInput":
            return TimedOut(KINDS[tag.replace("CInput", "").replace("Timeout", "") + "Timeout"], value[1])
    raise AssertionError(f"the traces hold an input {tag} that this test does not know")


def round_output(output: Any) -> RoundOutput | None:
    """A `ConsensusOutput` of the model; its errors and its silence are both "nothing to do"."""
    value = output["value"]
    match output["tag"]:
        case "NoConsensusOutput" | "ErrorOutput":
            return None
        case "ProposalOutput":
            return Propose(value_of(value["proposal"]), value["validRound"])
        case "GetValueAndScheduleTimeoutOutput":
            return FindValue(value[1])
        case "VoteOutput":
            _, vote = vote_of(value)
            return SendVote(vote.kind, vote.block_id)
        case "TimeoutOutput":
            return StartTimer(KINDS[value[1]["tag"]], value[0])
        case "DecidedOutput":
            return Decided(value[0], value_of(value[1]))
        case "SkipRoundOutput":
            return SkipTo(value)
    raise AssertionError(f"the traces hold an output {output['tag']} that this test does not know")


def system_traces() -> list[tuple[str, str]]:
    """Every instance of the model in every trace."""
    return [(name, prefix) for name in traces.names() for prefix in traces.system_prefixes(traces.load(name)[0])]


@cache
def system_events(name: str, prefix: str) -> list[Transition | NewHeight]:
    """What happened in one instance."""
    return list(traces.events(traces.load(name), prefix))


def test_every_trace_is_replayed_or_holds_no_state() -> None:
    sorts: Counter[str] = Counter()
    for name in traces.names():
        states = traces.load(name)
        keys = {key for key in states[0] if key != "#meta"}
        if "bookkeeper" in keys:
            sorts["vote keeper"] += 1
        elif "state" in keys:
            sorts["round"] += 1
        elif traces.system_prefixes(states[0]):
            sorts["system"] += 1
        else:
            # A self-test of the specification's own functions: one state without variables.
            assert (keys, len(states)) == (set(), 1)
            sorts["self-test"] += 1

    assert sorts == {"vote keeper": 6, "round": 2, "system": 18, "self-test": 30}
    assert sum(sorts.values()) == TRACES


def test_round_machine_follows_the_consensus_traces() -> None:
    steps = 0
    for name in traces.names():
        if "state" not in traces.load(name)[0]:
            continue
        states = [traces.decode(state) for state in traces.load(name)]
        for before, after in pairwise(states):
            event = after["input"]
            if event["tag"] == "NewHeightCInput":
                assert (after["state"]["round"], after["state"]["lockedRound"]) == (NO_ROUND, NO_ROUND)
                continue
            state, output = apply(round_state(before["state"]), round_input(event["tag"], event["value"]))

            assert state == round_state(after["state"]), (name, event)
            assert output == round_output(after["output"]), (name, event)
            steps += 1
    assert steps >= 15


def _apply_all(transition: Transition) -> None:
    """Feed the inputs the model executed in one step; only the last may have an output."""
    old, new = transition.before["executedInputs"], transition.after["executedInputs"]
    assert new[: len(old)] == old
    state, output = round_state(transition.before["cs"]), None
    for event, *_ in new[len(old) :]:
        assert output is None or isinstance(output, SkipTo)
        state, output = apply(state, round_input(event["tag"], event["value"]))

    assert state == round_state(transition.after["cs"]), transition
    assert output == round_output(transition.output), transition


def test_round_machine_follows_every_step_of_the_system_traces() -> None:
    steps = 0
    for name, prefix in system_traces():
        for event in system_events(name, prefix):
            if isinstance(event, Transition):
                _apply_all(event)
                steps += 1
    assert steps > 900


# Vote keeper.


def _threshold(reached: tuple[Reached, ...]) -> tuple[str, Any]:
    if not reached:
        return "NoVKOutput", ()
    first = reached[0]
    if first.threshold is Threshold.SKIP:
        return "SkipVKOutput", first.round
    name = ("Polka" if first.kind is Kind.PREVOTE else "Precommit") + first.threshold.value.capitalize()
    # The model does not tell a quorum of nil precommits from a mixed one: both only start the timer.
    name = "PrecommitAny" if name == "PrecommitNil" else name
    return f"{name}VKOutput", (first.round, first.value) if first.value is not None else first.round


def _model_threshold(output: Any) -> tuple[str, Any]:
    tag, value = output["tag"], output["value"]
    return tag, (value[0], value_of(value[1])) if tag.endswith("ValueVKOutput") else value


def _tallies(keeper: VoteKeeper, rounds: Any) -> None:
    for number, record in rounds.items():
        for kind, key in ((Kind.PREVOTE, "prevotes"), (Kind.PRECOMMIT, "precommits")):
            counted = keeper.votes(kind, number)
            assert {signed.sender for signed in counted} == {address(name) for name in record[key]["votesAddresses"]}
            received = {vote_of(vote) for vote in record[key]["receivedVotes"]}
            assert {(signed.sender, signed.vote) for signed in counted} <= received
            weights = {optional_value(value) for value in record[key]["valuesWeights"]}
            assert {signed.vote.block_id for signed in counted} == weights


@pytest.mark.parametrize("number", range(6))
def test_vote_keeper_follows_its_traces(number: int) -> None:
    name = [name for name in traces.names() if "bookkeeper" in traces.load(name)[0]][number]
    states = [traces.decode(state) for state in traces.load(name)]
    keeper = VoteKeeper(FlatRule(_powers(states[0]["bookkeeper"]["validatorSet"])))
    assert len(states) >= 3
    for state in states[1:]:
        vote, _, current_round = state["weightedVote"]["value"]
        sender, ours = vote_of(vote)
        added = keeper.add(sender, ours, b"", current_round)

        assert _threshold(added.reached) == _model_threshold(state["lastEmitted"])
        assert (added.conflict is not None) == bool(state["bookkeeper"]["evidence"])
        _tallies(keeper, state["bookkeeper"]["rounds"])


def _powers(record: Any) -> dict[Address, int]:
    return {address(name): power for name, power in record.items()}


# Driver.

MakeRule: TypeAlias = Callable[[dict[Address, int]], QuorumRule]


def nested_rule(powers: dict[Address, int]) -> QuorumRule:
    """Every validator is an iDAO of its own."""
    return NestedRule([Idao(name=name, power=power, members=((name, 3),)) for name, power in powers.items()])


class Replayed:
    """One validator of a system trace, fed with what came from outside."""

    def __init__(self, es: Any, make_rule: MakeRule) -> None:
        powers = _powers(es["valset"])
        order = sorted(powers)
        self.driver = Driver(
            address=address(es["cs"]["p"]),
            rule=make_rule(powers),
            proposer=lambda number: order[(number + 1) % len(order)],
        )
        self.expected: list[RoundOutput] = []
        self.given: list[RoundOutput] = []
        self.timers: set[RoundOutput] = set()
        self.certificates = 0
        self.ahead = False

    def preload(self, es: Any) -> None:
        """Votes that came before the height began."""
        for record in es["bk"]["rounds"].values():
            for key in ("prevotes", "precommits"):
                for vote in sorted(map(vote_of, record[key]["receivedVotes"]), key=str):
                    self.driver.add_vote(*vote, b"")

    def feed(self, event: Any, after: Any) -> None:
        """Give the driver one outside input and let it finish; inside inputs it has no need of."""
        value = event["value"]
        match event["tag"]:
            case "StartDInput":
                self.preload(after)
                self.driver.start()
            case "ProposalDInput":
                if address(value["srcAddress"]) == self.driver.proposer(value["round"]):
                    self.driver.add_proposal(proposal_of(value), value["proposal"] != "invalid")
            case "ProposeValueDInput":
                self.driver.propose(self.driver.state.round, value_of(value))
            case "VoteDInput":
                added = self.driver.add_vote(*vote_of(value), b"")
                assert _threshold(added.reached) == _model_threshold(after["voteKeeperOutput"]), (event, after)
            case "CertificateDInput":
                self._certificate(value)
                self.certificates += 1
            case "TimeoutDInput":
                self.driver.time_out(KINDS[value["tag"]], self.driver.state.round)
            case "PendingDInput" if value["tag"] == "NewRoundCInput" and self.driver.state.round == NO_ROUND:
                self.preload(after)
                self.driver.start()
        while (output := self.driver.advance()) is not None:
            self.given.append(output)

    def _certificate(self, votes: Any) -> None:
        signed = [vote_of(vote) for vote in votes]
        values: dict[tuple[Kind, int, Hash32 | None], list[Address]] = {}
        for sender, vote in signed:
            values.setdefault((vote.kind, vote.round, vote.block_id), []).append(sender)
        assert len(values) == 1, "the traces hold no mixed certificates"
        vote = evolve(signed[0][1])
        self.driver.add_quorum(vote, tuple((sender, b"") for sender, _ in signed))

    def settled(self, output: Any) -> None:
        """Add the model's output to what is awaited."""
        awaited = round_output(output)
        if awaited is not None:
            self.expected.append(awaited)


def _once(outputs: list[RoundOutput]) -> list[RoundOutput]:
    """Starting a timer a second time does nothing, and a timer has no order among messages."""
    return [output for output in outputs if not isinstance(output, StartTimer)]


def _timers(outputs: list[RoundOutput]) -> set[RoundOutput]:
    return {output for output in outputs if isinstance(output, StartTimer)}


def _skipped_unnoticed(event: Transition) -> bool:
    """Whether the model jumped from one propose step into another and held the new round's proposal.

    The model looks at waiting proposals when the *step* changes, so it misses line 22 here; the paper's rule, and
    ours, prevotes at once.
    """
    old, new = event.before["cs"], event.after["cs"]
    if old["round"] == new["round"] or old["round"] == NO_ROUND or old["step"] != new["step"]:
        return False
    return any(proposal["round"] == new["round"] for proposal in event.after["proposals"])


def _check_idle(replayed: Replayed, event: Transition, where: object) -> None:
    if replayed.ahead:
        rest = iter(_once(replayed.given))
        assert all(output in rest for output in _once(replayed.expected)), where
        return
    assert _once(replayed.given) == _once(replayed.expected), where
    assert _timers(replayed.given) == _timers(replayed.expected), where
    assert replayed.driver.state == round_state(event.after["cs"]), where
    if not replayed.certificates:
        _tallies(replayed.driver.keeper, event.after["bk"]["rounds"])


@pytest.mark.parametrize("make_rule", [FlatRule, nested_rule], ids=["flat", "one member an iDAO"])
def test_driver_follows_every_system_trace(make_rule: MakeRule) -> None:
    checked = votes = ahead = decided = 0
    for name, prefix in system_traces():
        validators: dict[str, Replayed] = {}
        for event in system_events(name, prefix):
            if isinstance(event, NewHeight):
                validators[event.validator] = Replayed(event.after, make_rule)
                continue
            replayed = validators.setdefault(event.validator, Replayed(event.before, make_rule))
            replayed.feed(event.input, event.after)
            if event.before["cs"]["step"]["tag"] != "CommitStep":
                # A decided height is over: our driver starts no timer in it any more.
                replayed.settled(event.output)
            replayed.ahead = replayed.ahead or _skipped_unnoticed(event)
            ahead += _skipped_unnoticed(event)
            decided += event.output["tag"] == "DecidedOutput"
            votes += event.input["tag"] == "VoteDInput"
            if not event.after["pendingInputs"] and event.after["pendingStepChange"]["tag"] == "NoStep":
                _check_idle(replayed, event, (name, event.index, event.validator))
                checked += 1
    assert (checked > 500, votes > 300, decided, ahead) == (True, True, 27, 1)


def test_driver_is_not_blind() -> None:
    """The comparison can fail: a vote more makes another state."""
    rule = FlatRule({address(name): 1 for name in ("v1", "v2", "v3", "v4")})
    driver = Driver(address=address("v1"), rule=rule, proposer=lambda number: address("v2"))
    driver.start()
    while driver.advance() is not None:
        pass
    before = driver.state
    driver.time_out(TimeoutKind.PROPOSE, 0)

    assert driver.advance() == SendVote(Kind.PREVOTE, None)
    assert driver.state != before
    assert isinstance(
        vote_of(
            {"srcAddress": "v1", "voteType": {"tag": "Prevote"}, "height": 1, "round": 0, "valueId": {"tag": "Nil"}}
        )[1],
        Vote,
    )
    assert optional_value({"tag": "Nil"}) is None
