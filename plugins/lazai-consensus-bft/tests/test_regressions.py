"""Faults that other engines had, each as a test of ours."""

from __future__ import annotations

from functools import partial
from itertools import permutations

from bft_driving import BLOCK, CHAIN_ID, OTHER, Host, follower, identity, only, powers, prevotes, sign, timers, vote

from lazai_consensus_bft.certificate import verify_commit
from lazai_consensus_bft.height import RESUMED_MAX
from lazai_consensus_bft.messages import Kind, encode_message
from lazai_consensus_bft.wal import Intent, encode_record
from lazai_core.api.consensus import (
    AppendWal,
    BlockChecked,
    Broadcast,
    BuildBlock,
    MessageReceived,
    RequestSync,
    SignMessage,
    WalRecord,
)
from lazai_core.api.types import Height

REPLAYED_ROUNDS = 2000


def replayed(number: int, log: list[bytes], **keywords: object) -> Host:
    """A fresh engine that was fed a log and has not started."""
    host = Host(number, log=log, **keywords)  # type: ignore[arg-type]
    for record in log:
        assert host.feed(WalRecord(payload=record)) == []
    return host


def others(host: Host) -> list[int]:
    """All other validators of four."""
    return [number for number in range(4) if number != host.number]


def test_a_quorum_of_nil_prevotes_starts_the_next_round() -> None:
    """Tendermint 3003: after a nil polka the next round never began."""
    host = follower()
    # The nil prevotes come while we still wait for a proposal, and the proposal comes last.
    host.votes(others(host), vote(Kind.PREVOTE, None))
    host.propose(BLOCK)

    assert host.said(Kind.PRECOMMIT) == [(0, None)]

    effects = host.votes(others(host)[:2], vote(Kind.PRECOMMIT, None))
    assert ("precommit", 0) in timers(effects)
    host.time_out("precommit")
    assert host.engine.status().round == 1


def test_a_replayed_prevote_of_a_large_validator_is_signed_again() -> None:
    """Tendermint 8739: the chain stopped when more than a third of the power could not sign again after a replay."""
    committee = powers(5, 2, 2, 2)
    dying = Host(0, committee, signs=False)
    dying.start()
    dying.time_out("propose")
    (intent,) = only(dying.effects, SignMessage)
    assert only(dying.effects, Broadcast) == []

    host = replayed(0, dying.log, committee=committee)
    effects = host.start()

    assert only(effects, SignMessage) == [intent]
    assert [effect.payload for effect in only(effects, Broadcast)] == [intent.payload]
    assert only(effects, AppendWal) == [], "it is recorded already"
    host.votes([1, 2], vote(Kind.PREVOTE, None))
    assert host.said(Kind.PRECOMMIT) == [(0, None)], "with its own power back, the round goes on"


def test_a_log_of_thousands_of_rounds_is_replayed_at_once() -> None:
    """Tendermint 8679: the replay of more than a thousand rounds took hours. Ours answers with the last messages."""
    log = []
    for round_number in range(REPLAYED_ROUNDS):
        for kind in (Kind.PREVOTE, Kind.PRECOMMIT):
            payload = encode_message(vote(kind, None, round_number=round_number), CHAIN_ID)
            log.append(encode_record(Intent(height=1, payload=payload)))
    host = replayed(0, log)
    effects = host.start()

    assert host.engine.status().round == REPLAYED_ROUNDS - 1
    assert len(only(effects, SignMessage)) == RESUMED_MAX
    assert len(effects) < 20


def test_a_replay_never_votes_nil_in_a_round_it_voted_in() -> None:
    """Malachite 850: after a replay, nil votes for a voted round; and messages were handled before its end."""
    first = follower()
    first.propose(BLOCK)
    assert first.said(Kind.PREVOTE) == [(0, BLOCK)]

    host = replayed(first.number, first.log)
    for number in others(host):
        # A crowd of votes arrives before the replay has ended.
        payload, signature = sign(number, vote(Kind.PREVOTE, BLOCK))
        sender = identity(number).address
        assert host.feed(MessageReceived(sender=sender, payload=payload, signature=signature)) == []
    host.start()
    host.time_out("propose")
    host.propose(BLOCK)

    assert host.said(Kind.PREVOTE) == [(0, BLOCK)]
    assert host.said(Kind.PRECOMMIT) == [(0, BLOCK)]


def test_a_peer_that_lowers_its_height_does_not_keep_us_syncing() -> None:
    """CometBFT, CVE-2025-24371: a peer that reported a great height and then a lower one made nodes sync for ever."""
    host = follower()
    peer = others(host)[0]
    effects = host.receive(peer, vote(Kind.PREVOTE, None, height=50))
    assert only(effects, RequestSync) == [RequestSync(height=Height(49))]
    assert only(host.receive(peer, vote(Kind.PREVOTE, None, height=60)), RequestSync) == [], "one at a time"
    assert only(host.time_out("rebroadcast"), RequestSync) == [RequestSync(height=Height(59))]

    host.receive(peer, vote(Kind.PREVOTE, None, height=1))

    assert only(host.time_out("rebroadcast"), RequestSync) == []


def test_the_very_height_of_the_log_is_guarded_against_double_signing() -> None:
    """CometBFT 0.40: a look-back of one height checked nothing. Ours guards the height itself and all before it."""
    first = follower()
    first.time_out("propose")
    assert first.said(Kind.PREVOTE) == [(0, None)]

    host = replayed(first.number, first.log)
    host.start()
    host.propose(BLOCK)
    assert host.said(Kind.PREVOTE) == [(0, None)]

    log = [encode_record(Intent(height=5, payload=encode_message(vote(Kind.PREVOTE, None, height=5), CHAIN_ID)))]
    restored = replayed(first.number, log)
    for height in (1, 4):
        restored.start(height)
        restored.time_out("propose", height=height)
        assert only(restored.effects, SignMessage) == [], "a copy of an older disk signs nothing again"
    restored.start(5)
    restored.time_out("propose", height=5)
    restored.start(6)
    restored.time_out("propose", height=6)
    assert [(message.height, message.block_id) for message in restored.sent] == [(5, None), (6, None)]


def test_a_late_answer_about_a_block_harms_nobody() -> None:
    """CometBFT 0.40: late block responses killed honest peers."""
    host = follower()
    assert host.feed(BlockChecked(height=Height(1), round=0, block_id=BLOCK, valid=True)) == []
    host.propose(BLOCK)
    before = host.engine.status()

    for valid in (True, False):
        assert host.feed(BlockChecked(height=Height(1), round=0, block_id=BLOCK, valid=valid)) == []
        assert host.feed(BlockChecked(height=Height(9), round=3, block_id=OTHER, valid=valid)) == []
    assert host.engine.status() == before


def test_votes_of_a_later_round_pull_a_slow_validator_along() -> None:
    """Rounds that advance by local timers only: drifting nodes never add up to a quorum."""
    host = follower()
    ahead = others(host)
    host.receive(ahead[0], vote(Kind.PREVOTE, None, round_number=3))
    assert host.engine.status().round == 0, "one may lie"
    host.receive(ahead[1], vote(Kind.PRECOMMIT, None, round_number=3))
    assert host.engine.status().round == 3

    # Also where the others are further ahead than votes are kept for, and not all in one round.
    host.receive(ahead[0], vote(Kind.PREVOTE, None, round_number=900_000))
    assert host.engine.status().round == 3
    host.receive(ahead[2], vote(Kind.PREVOTE, None, round_number=800_000))
    assert host.engine.status().round == 800_000


def test_a_locked_validator_locks_again() -> None:
    """0xPolygon pbft-consensus 29: locked validators never changed their lock, so one fault stopped the chain."""
    host = follower()
    host.propose(BLOCK)
    host.votes(others(host)[:2], vote(Kind.PREVOTE, BLOCK))
    assert host.said(Kind.PRECOMMIT) == [(0, BLOCK)]
    host.votes(others(host)[:2], vote(Kind.PRECOMMIT, None))
    host.time_out("precommit")
    while host.proposer(host.engine.status().round) == host.number:
        round_number = host.engine.status().round
        host.votes(others(host), vote(Kind.PREVOTE, None, round_number=round_number))
        host.votes(others(host)[:2], vote(Kind.PRECOMMIT, None, round_number=round_number))
        host.time_out("precommit", round_number)
    round_number = host.engine.status().round

    # Locked, it prevotes nil for another block; a quorum that prevotes the other block moves the lock.
    host.propose(OTHER, round_number)
    assert host.said(Kind.PREVOTE)[-1] == (round_number, None)
    host.votes(others(host), vote(Kind.PREVOTE, OTHER, round_number=round_number))
    assert host.said(Kind.PRECOMMIT)[-1] == (round_number, OTHER)


def test_a_lock_is_left_for_a_newer_quorum_that_a_proposal_brings() -> None:
    """The same fault on the way of lines 28 to 30: the proof travels with the proposal."""
    host = follower()
    host.propose(BLOCK)
    host.votes(others(host)[:2], vote(Kind.PREVOTE, BLOCK))
    host.votes(others(host)[:2], vote(Kind.PRECOMMIT, None))
    host.time_out("precommit")
    newer = next(number for number in range(2, 9) if host.proposer(number) != host.number)
    host.votes(others(host)[:2], vote(Kind.PREVOTE, None, round_number=newer))
    assert host.engine.status().round == newer

    polka = prevotes(others(host), OTHER, round_number=1)
    host.propose(OTHER, newer, valid_round=1, polka=polka)

    assert host.said(Kind.PREVOTE)[-1] == (newer, OTHER)


def test_a_log_cut_at_any_record_never_leads_to_a_second_message_for_a_step() -> None:
    """Jepsen on Tendermint 0.10.2: a truncated log lost data. What left the node is always still in it."""
    first = follower()
    lengths = [(len(first.log), 0)]
    for act in (
        partial(first.propose, BLOCK),
        partial(first.votes, others(first)[:2], vote(Kind.PREVOTE, BLOCK)),
        partial(first.votes, others(first)[:2], vote(Kind.PRECOMMIT, None)),
        partial(first.time_out, "precommit"),
        partial(first.time_out, "propose", 1),
    ):
        act()
        lengths.append((len(first.log), len(first.sent)))
    for kept in range(len(first.log) + 1):
        # What was sent before the cut is what had been recorded by then.
        sent = max(messages for records, messages in lengths if records <= kept)
        host = replayed(first.number, first.log[:kept])
        host.start()
        for name, round_number in (("propose", 0), ("prevote", 0), ("propose", 1)):
            host.time_out(name, round_number)
        known = {(message.round, message.kind): message for message in first.sent[:sent]}
        for message in host.sent:
            assert known.get((message.round, message.kind), message) == message


def test_no_order_of_arrival_mixes_votes_and_signatures() -> None:
    """An audit of 2026: counts of votes and of signatures were mixed up by callbacks that ran at once."""
    certificates = set()
    for order in permutations(range(3)):
        host = follower()
        host.propose(BLOCK)
        senders = [others(host)[index] for index in order]
        for number, block_id in zip(senders, (None, BLOCK, BLOCK), strict=True):
            host.receive(number, vote(Kind.PREVOTE, BLOCK))
            host.receive(number, vote(Kind.PRECOMMIT, block_id))
        (decision,) = host.decided
        verify_commit(decision.certificate, host.committee, CHAIN_ID)
        nil_voter = identity(senders[0]).address
        assert nil_voter not in {entry.validator for entry in decision.certificate.signatures}
        certificates.add(decision.certificate.encode())
    assert len(certificates) == 3, "one for each validator that voted nil"


def test_a_proposer_builds_once_a_round() -> None:
    host = Host(Host().proposer())
    assert only(host.start(), BuildBlock) == [BuildBlock(height=Height(1), round=0)]
    assert only(host.start(), BuildBlock) == []
