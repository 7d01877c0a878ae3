"""An equivocator who sends each of its two votes to whom it likes, in a network that brings everything to everybody."""

from __future__ import annotations

import heapq
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from attrs import define, field
from bft_driving import BLOCK, CHAIN_ID, OTHER, Host, follower, identity, number_of, powers, sign, vote

from lazai_consensus_bft.messages import Kind, Message, Proposal, decode_message
from lazai_consensus_bft.seconds import UNSHARED_MAX, SecondVotes
from lazai_consensus_bft.vote_keeper import VoteKeeper
from lazai_core.api.consensus import (
    BlockBuilt,
    BlockChecked,
    Broadcast,
    BuildBlock,
    CancelTimeout,
    CheckBlock,
    MessageReceived,
    ScheduleTimeout,
    StartHeight,
    TimeoutElapsed,
)
from lazai_core.api.encoding import domain_hash
from lazai_core.api.types import Hash32, Height

RELAY_MS = 20


@define
class Synchronous:
    """Three honest engines; whatever one hears of the fourth, all hear `RELAY_MS` later."""

    liar: int
    now_ms: int = 0
    hosts: dict[int, Host] = field(factory=dict)
    _events: list[tuple[int, int, Callable[[], None]]] = field(factory=list)
    _heard: set[tuple[int, int, bytes]] = field(factory=set)
    _timers: dict[tuple[int, str, int], int] = field(factory=dict)
    _count: int = 0
    _lied: set[int] = field(factory=set)

    def __attrs_post_init__(self) -> None:
        self.hosts = {number: Host(number) for number in range(4) if number != self.liar}

    def at(self, delay_ms: int, act: Callable[[], None]) -> None:
        self._count += 1
        heapq.heappush(self._events, (self.now_ms + delay_ms, self._count, act))

    def bring(self, to: int, sender: int, payload: bytes, signature: bytes) -> None:
        if (to, sender, payload) in self._heard:
            return
        self._heard.add((to, sender, payload))
        self.feed(to, MessageReceived(sender=identity(sender).address, payload=payload, signature=signature))
        if sender == self.liar:
            for other in self.hosts:
                self.at(RELAY_MS, partial(self.bring, other, sender, payload, signature))

    def lie(self, to: int, message: Message) -> None:
        self.at(1, partial(self.bring, to, self.liar, *sign(self.liar, message)))

    def feed(self, number: int, event: Any) -> None:
        for effect in self.hosts[number].feed(event):
            match effect:
                case Broadcast():
                    for other in self.hosts:
                        if other != number:
                            self.at(RELAY_MS, partial(self.bring, other, number, effect.payload, effect.signature))
                    self._mislead(decode_message(effect.payload, CHAIN_ID))
                case BuildBlock():
                    self._count += 1
                    block_id = Hash32(domain_hash("test", self._count.to_bytes(8, "big")))
                    built = BlockBuilt(height=effect.height, round=effect.round, block_id=block_id)
                    self.at(5, partial(self.feed, number, built))
                case CheckBlock():
                    checked = BlockChecked(
                        height=effect.height, round=effect.round, block_id=effect.block_id, valid=True
                    )
                    self.at(5, partial(self.feed, number, checked))
                case ScheduleTimeout():
                    self._timers[number, effect.timeout_id, effect.round] = self._count + 1
                    self.at(effect.delay_ms, partial(self._elapse, number, effect, self._count + 1))
                case CancelTimeout():
                    self._timers.pop((number, effect.timeout_id, effect.round), None)

    def _elapse(self, number: int, effect: ScheduleTimeout, timer: int) -> None:
        if self._timers.get((number, effect.timeout_id, effect.round)) == timer:
            elapsed = TimeoutElapsed(timeout_id=effect.timeout_id, height=effect.height, round=effect.round)
            self.feed(number, elapsed)

    def _mislead(self, message: Message) -> None:
        """Of an honest proposal only its proposer hears the liar's prevote first; the others hear nil first."""
        if not isinstance(message, Proposal) or message.round in self._lied:
            return
        self._lied.add(message.round)
        proposer = self.hosts[next(iter(self.hosts))].proposer(message.round)
        for number in self.hosts:
            value = message.block_id if number == proposer else None
            self.lie(number, vote(Kind.PREVOTE, value, round_number=message.round))

    def run(self, until_ms: int) -> None:
        while self._events and self.now_ms < until_ms and not all(host.decided for host in self.hosts.values()):
            self.now_ms, _, act = heapq.heappop(self._events)
            act()


def test_one_equivocator_of_four_cannot_keep_two_locks_apart_for_ever() -> None:
    """Were a second vote to count nothing, X and Y would lock different blocks at alternating rounds, for hours."""
    liar = Host(1).proposer(0)
    net = Synchronous(liar)
    second = Host(1).proposer(1)
    first = next(Host(1).proposer(number) for number in (2, 3))
    (third,) = set(range(4)) - {liar, first, second}
    for number in net.hosts:
        net.feed(number, StartHeight(height=Height(1)))
    for number in (first, third):
        net.lie(number, Proposal(height=Height(1), round=0, block_id=BLOCK))
    net.lie(second, Proposal(height=Height(1), round=0, block_id=OTHER))
    for number in net.hosts:
        net.lie(number, vote(Kind.PREVOTE, BLOCK if number == first else None))
    net.run(120_000)

    decisions = [host.decided for host in net.hosts.values()]
    assert all(decisions), f"nothing is decided in {net.now_ms / 1000} s"
    assert len({decision[0].certificate.block_id for decision in decisions}) == 1


@pytest.mark.parametrize("kind", [Kind.PREVOTE, Kind.PRECOMMIT])
@pytest.mark.parametrize("early", [True, False])
def test_a_second_vote_completes_a_quorum_that_others_may_have_seen(kind: Kind, early: bool) -> None:
    host = follower()
    others = [number for number in range(4) if number != host.number]
    host.propose(BLOCK)
    wanted = vote(kind, BLOCK)
    host.receive(others[2], vote(kind, OTHER))
    if early:
        host.receive(others[2], wanted)
    host.receive(others[0], wanted)
    host.receive(others[1], wanted)
    if not early:
        host.receive(others[2], wanted)
    if kind is Kind.PREVOTE:
        assert host.said(Kind.PRECOMMIT) == [(0, BLOCK)]
        return
    (decision,) = host.decided
    assert {number_of(entry.validator) for entry in decision.certificate.signatures} >= set(others)


def test_second_votes_for_values_of_nobody_are_few() -> None:
    committee = powers(1, 1, 1, 1)
    keeper, seconds = VoteKeeper(committee.rule), SecondVotes(committee.rule)
    liar = identity(3).address
    keeper.add(liar, vote(Kind.PREVOTE, BLOCK), b"", 0)
    for number in range(100, 200):
        seconds.add(liar, vote(Kind.PREVOTE, Hash32(bytes([number]) * 32)), b"s", keeper)
    assert sum(len(votes) for votes in seconds._ballots[0, Kind.PREVOTE].values()) == UNSHARED_MAX
    keeper.add(identity(0).address, vote(Kind.PREVOTE, OTHER), b"", 0)
    seconds.add(liar, vote(Kind.PREVOTE, OTHER), b"s", keeper)
    assert OTHER in seconds._ballots[0, Kind.PREVOTE], "what another validator voted for is always kept"
    seconds.forget_before(1)
    assert seconds._ballots == {}
