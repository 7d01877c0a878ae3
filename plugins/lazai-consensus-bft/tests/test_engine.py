"""The engine from outside: heights, buffers, certificates, timers, and input of every bad kind."""

from __future__ import annotations

from typing import Any

import pytest
from attrs import evolve
from bft_driving import (
    BLOCK,
    CHAIN_ID,
    OTHER,
    Host,
    follower,
    identity,
    only,
    powers,
    prevotes,
    sign,
    timers,
    validators,
    vote,
)
from bft_simulation import Simulation

from lazai_consensus_bft.buffers import CERTIFICATES_A_HEIGHT_MAX, FarRounds, LaterCertificates, NextHeight
from lazai_consensus_bft.engine import SYNC_HEIGHTS_MAX, BftEngine
from lazai_consensus_bft.messages import HEIGHT_MAX, Kind, Proposal, decode_message, encode_message
from lazai_consensus_bft.options import BftOptions
from lazai_consensus_bft.round import TimeoutKind
from lazai_consensus_bft.timers import delay_ms
from lazai_core.api.consensus import (
    BlockBuilt,
    BlockChecked,
    Broadcast,
    BuildBlock,
    CancelTimeout,
    Certificate,
    CertificateReceived,
    CheckBlock,
    CommitSignature,
    Decide,
    MessageReceived,
    OwnMessageSigned,
    RequestSync,
    SignMessage,
    StartHeight,
    TimeoutElapsed,
    WalRecord,
)
from lazai_core.api.types import Address, Hash32, Height
from lazai_core.testing.cases import Case, cases


def others(host: Host) -> list[int]:
    """All other validators of four."""
    return [number for number in range(4) if number != host.number]


def decided_certificate() -> Certificate:
    """A real certificate of height 1."""
    host = follower()
    host.votes(others(host), vote(Kind.PRECOMMIT, BLOCK))
    return host.decided[0].certificate


def test_a_height_is_decided_in_one_round_trip() -> None:
    host = follower()
    host.propose(BLOCK)
    host.votes(others(host)[:2], vote(Kind.PREVOTE, BLOCK))
    host.votes(others(host)[:2], vote(Kind.PRECOMMIT, BLOCK))

    (decision,) = host.decided
    assert (decision.certificate.block_id, decision.certificate.round) == (BLOCK, 0)
    assert host.engine.status().step == "decided"
    assert host.said(Kind.PREVOTE) == host.said(Kind.PRECOMMIT) == [(0, BLOCK)]


def test_an_invalid_block_gets_a_nil_prevote() -> None:
    host = follower()
    host.propose(BLOCK, valid=False)
    assert host.said(Kind.PREVOTE) == [(0, None)]


def test_a_quorum_decides_also_without_the_proposal() -> None:
    host = follower()
    host.votes(others(host), vote(Kind.PRECOMMIT, BLOCK, round_number=3))
    assert [decision.certificate.round for decision in host.decided] == [3]


def test_a_proposal_of_the_wrong_validator_is_ignored() -> None:
    host = follower()
    wrong = next(number for number in others(host) if number != host.proposer())
    assert host.receive(wrong, Proposal(height=Height(1), round=0, block_id=BLOCK)) == []


def test_a_valid_round_without_a_quorum_is_ignored() -> None:
    host = follower()
    number = next(number for number in range(1, 9) if host.proposer(number) != host.number)
    good = prevotes(others(host), BLOCK)
    for polka, checks in (
        (good, 1),
        (good[:2], 0),
        ((*good[:2], evolve(good[2], signature=good[1].signature)), 0),
        (good[::-1], 0),
    ):
        effects = follower().propose(BLOCK, number, valid_round=0, polka=polka)
        assert len(only(effects, CheckBlock)) == checks


def test_a_block_is_checked_once_a_height() -> None:
    host = follower()
    host.propose(BLOCK)
    number = next(number for number in range(1, 9) if host.proposer(number) != host.number)
    effects = host.propose(BLOCK, number, valid_round=0, polka=prevotes(others(host), BLOCK))
    assert only(effects, CheckBlock) == []


def test_timers_grow_and_are_cancelled() -> None:
    options = BftOptions(propose_ms=100, propose_growth_ms=50, timeout_ms_max=190)
    assert [delay_ms(options, TimeoutKind.PROPOSE, number) for number in (0, 1, 2, 2**31)] == [100, 150, 190, 190]
    host = follower()
    assert timers(host.effects) == [("rebroadcast", 0), ("propose", 0)]
    effects = host.propose(BLOCK)
    assert ("propose", 0) in [(effect.timeout_id, effect.round) for effect in only(effects, CancelTimeout)]
    assert host.time_out("propose") == [], "cancelled"
    assert host.time_out("no such timer") == host.time_out("prevote") == []


def test_our_newest_messages_are_sent_again() -> None:
    host = follower()
    host.propose(BLOCK)
    before = list(host.sent)
    effects = host.time_out("rebroadcast")
    again = [decode_message(effect.payload, CHAIN_ID) for effect in only(effects, Broadcast)]

    assert again == before
    assert timers(effects) == [("rebroadcast", 0)]


def test_messages_of_the_next_height_wait_for_it() -> None:
    host = follower()
    host.votes(others(host), vote(Kind.PREVOTE, None, height=2))
    host.certify(decided_certificate())
    host.start(2)
    host.time_out("propose", height=2)
    assert [message.height for message in host.sent if message.kind is Kind.PRECOMMIT] == [2]


def test_certificates_of_later_heights_wait_for_them() -> None:
    host, other = follower(), follower()
    other.certify(decided_certificate())
    other.start(2)
    other.votes(others(other), vote(Kind.PRECOMMIT, OTHER, height=2))
    second = other.decided[1].certificate
    assert host.certify(second) == []
    host.certify(decided_certificate())
    assert [decision.certificate.height for decision in host.decided] == [1]
    host.start(2)
    assert [decision.certificate.height for decision in host.decided] == [1, 2]


def test_a_certificate_that_proves_nothing_decides_nothing() -> None:
    host, good = follower(), decided_certificate()
    for bad in (
        evolve(good, block_id=OTHER),
        evolve(good, signatures=good.signatures[:2]),
        evolve(good, round=1),
        evolve(good, round=-1),
        evolve(good, block_id=Hash32(BLOCK[:31])),
    ):
        assert host.certify(bad) == []
    assert only(host.certify(good), Decide) == [Decide(certificate=good)]
    assert host.certify(good) == []


def test_an_observer_follows_and_says_nothing() -> None:
    host = Host(6)
    host.start()
    host.propose(BLOCK)
    host.votes(range(3), vote(Kind.PREVOTE, BLOCK))
    host.votes(range(3), vote(Kind.PRECOMMIT, BLOCK))
    assert len(host.decided) == 1
    assert not only(host.effects, SignMessage)
    assert not only(host.effects, BuildBlock)


def test_a_new_committee_holds_from_its_height_on() -> None:
    host = follower()
    host.certify(decided_certificate())
    host.feed(StartHeight(height=Height(2), validators=validators(1, 1, 1, 1, 1, 1, 1)))
    host.votes(others(host), vote(Kind.PRECOMMIT, BLOCK, height=2))
    assert len(host.decided) == 1, "three of seven"
    host.votes([4, 5], vote(Kind.PRECOMMIT, BLOCK, height=2))
    assert len(host.decided) == 2


def test_a_height_never_begins_twice_or_goes_back() -> None:
    host = follower()
    for height in (1, 0, -1, HEIGHT_MAX + 1):
        assert host.start(height) == []
    host.start(9)
    assert host.start(3) == []
    assert host.engine.status().height == 9


def test_requests_for_blocks_are_bounded() -> None:
    host = follower()
    (request,) = only(host.receive(others(host)[0], vote(Kind.PREVOTE, None, height=2**62)), RequestSync)
    assert request.height == SYNC_HEIGHTS_MAX


def test_a_signature_that_is_not_ours_is_not_sent() -> None:
    host = Host(follower().number, signs=False)
    host.start()
    (request,) = only(host.time_out("propose"), SignMessage)
    for signature in (b"", bytes(65), sign(5, vote(Kind.PREVOTE, None))[1]):
        assert host.feed(OwnMessageSigned(payload=request.payload, signature=signature)) == []
    signature = sign(host.number, vote(Kind.PREVOTE, None))[1]
    assert len(only(host.feed(OwnMessageSigned(payload=request.payload, signature=signature)), Broadcast)) == 1
    assert host.feed(OwnMessageSigned(payload=request.payload, signature=signature)) == []


def test_a_lone_validator_decides_alone() -> None:
    host = Host(0, powers(1))
    (build,) = only(host.start(), BuildBlock)
    for wrong in (evolve(build, round=1), evolve(build, height=Height(2))):
        assert host.feed(BlockBuilt(height=wrong.height, round=wrong.round, block_id=BLOCK)) == []
    assert host.feed(BlockBuilt(height=build.height, round=build.round, block_id=Hash32(b""))) == []
    host.feed(BlockBuilt(height=build.height, round=build.round, block_id=BLOCK))
    assert len(host.decided) == 1


# Bounds.


def test_buffers_are_bounded_whatever_comes() -> None:
    room = NextHeight(1000)
    for number in range(1000):
        room.add(Address(bytes(20)), vote(Kind.PREVOTE, None), number.to_bytes(4, "big"), b"")
    assert room.size_bytes <= 1000
    assert len(room.take()) == 3
    assert room.size_bytes == 0

    far = FarRounds()
    for number in range(1000):
        far.add(Address(bytes(20)), vote(Kind.PREVOTE, None, round_number=number), b"")
    assert len(far) == 1

    later, certificate = LaterCertificates(5), decided_certificate()
    for height in range(1000):
        for round_number in range(10):
            later.add(evolve(certificate, height=Height(height), round=round_number), 3)
    assert len(later) == 5 * CERTIFICATES_A_HEIGHT_MAX
    assert len(later.take(6)) == CERTIFICATES_A_HEIGHT_MAX
    assert len(later) == 2 * CERTIFICATES_A_HEIGHT_MAX


def _size(value: Any, seen: set[int]) -> int:
    """Number of objects reachable from a value through our own objects and containers."""
    if id(value) in seen or isinstance(value, (int, str, bytes, type, BftOptions)) or callable(value):
        return 0
    seen.add(id(value))
    if isinstance(value, dict):
        return 1 + sum(_size(item, seen) for pair in value.items() for item in pair)
    if isinstance(value, (list, tuple, set, frozenset)):
        return 1 + sum(_size(item, seen) for item in value)
    fields = [
        getattr(value, name)
        for kind in type(value).__mro__
        for name in getattr(kind, "__slots__", ())
        if name != "__weakref__" and hasattr(value, name)
    ]
    return 1 + sum(_size(item, seen) for item in (*fields, *getattr(value, "__dict__", {}).values()))


def test_a_flood_of_one_validator_fills_only_its_own_share() -> None:
    host = follower()
    liar = host.proposer()
    sizes = []
    for number in range(1500):
        block_id = Hash32(number.to_bytes(32, "big"))
        for message in (
            vote(Kind.PREVOTE, block_id, round_number=number % 7),
            vote(Kind.PRECOMMIT, block_id, round_number=number * 1000),
            vote(Kind.PREVOTE, block_id, height=2),
            vote(Kind.PREVOTE, block_id, height=number),
            Proposal(height=Height(1), round=0, block_id=block_id),
        ):
            payload = encode_message(message, CHAIN_ID)
            host.engine.step(MessageReceived(sender=identity(liar).address, payload=payload, signature=bytes(65)))
        if number % 500 == 499:
            sizes.append(_size(host.engine, set()))
    assert sizes[0] < 20_000
    assert sizes[-1] <= sizes[0] * 1.1, sizes
    assert host.engine.status().round == 0


def test_memory_stays_bounded_over_many_rounds() -> None:
    host = Host(follower().number, options=BftOptions(rounds_behind_max=4))
    host.start()
    sizes = []
    for number in range(200):
        if host.proposer(number) != host.number:
            host.propose(Hash32(number.to_bytes(32, "big")), number)
            host.receive(host.proposer(number), Proposal(height=Height(1), round=number, block_id=OTHER))
        host.votes(others(host), vote(Kind.PREVOTE, None, round_number=number))
        host.votes(others(host), vote(Kind.PRECOMMIT, None, round_number=number))
        host.time_out("precommit", number)
        if number % 50 == 49:
            sizes.append(_size(host.engine, set()))
    assert host.engine.status().round == 200
    assert sizes[-1] <= sizes[0] * 1.1, sizes
    assert host.receive(others(host)[0], vote(Kind.PRECOMMIT, BLOCK, round_number=3)) == [], "too old to keep"


def test_a_lying_proposer_makes_us_check_two_blocks_at_most() -> None:
    host = follower()
    for number in range(50):
        host.receive(host.proposer(), Proposal(height=Height(1), round=0, block_id=Hash32(bytes([number]) * 32)))
    assert len(only(host.effects, CheckBlock)) == 2


# Bad input.


def _numbers(case: Case) -> tuple[int, int]:
    heights = (0, 1, 2, 3, -1, 2**63, 2**64, 2**80, case.integer(0, 9))
    return case.choice(heights), case.choice((0, 1, 2, -1, 2**31, 2**40, case.integer(0, 9)))


def _mutated(case: Case, event: Any) -> Any:
    height, round_number = _numbers(case)
    payload, signature = case.some_bytes(0, 120), case.some_bytes(0, 70)
    block_id = Hash32(case.choice((BLOCK, b"", case.random.randbytes(32))))
    sender = Address(case.choice((identity(case.integer(0, 5)).address, b"", case.random.randbytes(20))))
    if isinstance(event, MessageReceived | OwnMessageSigned | WalRecord) and case.random.random() < 0.7:
        payload = case.mutate(event.payload)
    entries = tuple(CommitSignature(validator=sender, signature=signature) for _ in range(case.integer(0, 2)))
    certificate = Certificate(height=Height(height), round=round_number, block_id=block_id, signatures=entries)
    return case.choice(
        (
            StartHeight(height=Height(case.choice((height, case.integer(1, 4))))),
            BlockBuilt(height=Height(height), round=round_number, block_id=block_id),
            BlockChecked(height=Height(height), round=round_number, block_id=block_id, valid=bool(round_number % 2)),
            MessageReceived(sender=sender, payload=payload, signature=signature),
            MessageReceived(sender=identity(case.integer(0, 3)).address, payload=payload, signature=signature),
            OwnMessageSigned(payload=payload, signature=signature),
            WalRecord(payload=payload),
            CertificateReceived(certificate=certificate),
            TimeoutElapsed(
                timeout_id=case.choice(("", "propose", "rebroadcast", "precommit")),
                height=Height(height),
                round=round_number,
            ),
            event,
        )
    )


@pytest.fixture(scope="module")
def recorded() -> list[Any]:
    """Inputs of a validator in a rough simulation."""
    run, events = Simulation(5, "4", faulty={3: "twins"}), list[Any]()
    engine = run.nodes[0].engine
    original = engine.step

    def step(event: Any) -> Any:
        events.append(event)
        return original(event)

    engine.step = step  # type: ignore[method-assign]
    run.run()
    return events


def test_no_input_raises_and_no_effects_explode(recorded: list[Any]) -> None:
    for case in cases(60):
        with case:
            engine = BftEngine(chain_id=CHAIN_ID, address=identity(0).address, committee=powers(1, 1, 1, 1))
            for event in recorded[: case.integer(1, len(recorded))]:
                for fed in (event, _mutated(case, event)) if case.random.random() < 0.5 else (event,):
                    effects = engine.step(fed)
                    assert len(effects) < 200
            assert _size(engine, set()) < 20_000
            engine.status()


def test_equal_inputs_give_equal_effects(recorded: list[Any]) -> None:
    twins = [BftEngine(chain_id=CHAIN_ID, address=identity(0).address, committee=powers(1, 1, 1, 1)) for _ in range(2)]
    for event in recorded:
        assert twins[0].step(event) == twins[1].step(event)
    assert twins[0].status() == twins[1].status()
