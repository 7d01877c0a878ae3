"""What a validator takes back from its log, and what its signer refuses."""

from __future__ import annotations

from bft_driving import BLOCK, CHAIN_ID, OTHER, Host, follower, only, prevotes, vote

from lazai_consensus_bft.height import RESUMED_MAX
from lazai_consensus_bft.messages import Kind, Message, Proposal, decode_message, encode_message
from lazai_consensus_bft.round import RoundState, Step
from lazai_consensus_bft.signer import HeightSigner
from lazai_consensus_bft.wal import Intent, Record, Valid, decode_record, encode_record, restore
from lazai_core.api.consensus import Broadcast, SignMessage, WalRecord
from lazai_core.api.types import Height


def intent(message: Message) -> Intent:
    """The record of a message."""
    return Intent(height=message.height, payload=encode_message(message, CHAIN_ID))


def others(host: Host) -> list[int]:
    """All other validators of four."""
    return [number for number in range(4) if number != host.number]


def test_nothing_recorded_is_a_fresh_start() -> None:
    assert restore([], 1, CHAIN_ID).state() is None
    assert restore([intent(vote(Kind.PREVOTE, BLOCK, height=2))], 1, CHAIN_ID).state() is None
    assert restore([Intent(height=1, payload=b"?")], 1, CHAIN_ID).state() is None


def test_the_lock_is_the_newest_precommit_for_a_block() -> None:
    records: list[Record] = [
        Valid(height=1, round=0, block_id=BLOCK, signatures=()),
        intent(vote(Kind.PRECOMMIT, BLOCK)),
        Valid(height=1, round=2, block_id=OTHER, signatures=()),
        intent(vote(Kind.PRECOMMIT, None, round_number=1)),
        intent(vote(Kind.PRECOMMIT, OTHER, round_number=2)),
        intent(vote(Kind.PRECOMMIT, None, round_number=3)),
        intent(vote(Kind.PREVOTE, OTHER, round_number=4)),
    ]
    expected = RoundState(
        round=4, step=Step.PREVOTE, locked_value=OTHER, locked_round=2, valid_value=OTHER, valid_round=2
    )
    assert restore(records, 1, CHAIN_ID).state() == expected
    assert restore(records[::-1], 1, CHAIN_ID).state() == expected


def test_a_validator_that_proposed_is_still_to_vote() -> None:
    proposal = Proposal(height=Height(1), round=3, block_id=BLOCK)
    state = restore([intent(proposal)], 1, CHAIN_ID).state()
    assert state == RoundState(round=3, step=Step.PROPOSE)


def test_a_locked_validator_keeps_its_lock_over_a_crash_and_proposes_it_with_its_proof() -> None:
    first = follower()
    first.propose(BLOCK)
    first.votes(others(first)[:2], vote(Kind.PREVOTE, BLOCK))
    assert [type(decode_record(record)) for record in first.log] == [Intent, Valid, Intent]

    host = Host(first.number, log=first.log)
    for record in first.log:
        host.feed(WalRecord(payload=record))
    host.start()
    mine = next(number for number in range(1, 9) if host.proposer(number) == host.number)
    host.votes(others(host)[:2], vote(Kind.PREVOTE, None, round_number=mine))

    proposals = [message for message in host.sent if isinstance(message, Proposal)]
    assert [(message.round, message.block_id, message.valid_round) for message in proposals] == [(mine, BLOCK, 0)]
    assert proposals[0].polka == prevotes([*others(first)[:2], first.number], BLOCK)
    listener = Host(others(host)[0])
    listener.start()
    listener.propose(BLOCK, mine, valid_round=0, polka=proposals[0].polka)
    assert listener.engine.status().round == 0


def test_the_last_messages_are_signed_and_sent_again_after_a_crash() -> None:
    steps = [(number, kind) for number in range(5) for kind in (Kind.PREVOTE, Kind.PRECOMMIT)]
    log = [encode_record(intent(vote(kind, None, round_number=number))) for number, kind in steps]
    host = Host(0, log=log)
    for record in log:
        host.feed(WalRecord(payload=record))
    effects = host.start()
    assert len(only(effects, SignMessage)) == len(only(effects, Broadcast)) == RESUMED_MAX
    assert {message.round for message in host.sent} == {1, 2, 3, 4}
    again = host.time_out("rebroadcast")
    rounds = {decode_message(effect.payload, CHAIN_ID).round for effect in only(again, Broadcast)}
    assert rounds == {3, 4}, "from then on those of the last two rounds"


def test_records_after_the_first_height_began_are_ignored() -> None:
    host = follower()
    host.feed(WalRecord(payload=encode_record(intent(vote(Kind.PREVOTE, OTHER)))))
    host.time_out("propose")
    assert host.said(Kind.PREVOTE) == [(0, None)]


def test_the_signer_never_signs_two_things_for_one_step() -> None:
    signer, first, second = HeightSigner(False), vote(Kind.PREVOTE, BLOCK), vote(Kind.PREVOTE, OTHER)
    assert signer.request(first, b"first") is True
    assert signer.request(second, b"second") is None
    assert signer.request(first, b"first") is False
    assert signer.signed(b"second", b"") is None
    assert signer.signed(b"first", b"signature") == first
    assert signer.newest() == [(first, b"first", b"signature")]
    assert signer.request(vote(Kind.PRECOMMIT, OTHER), b"third") is True


def test_the_signer_refuses_rounds_it_no_longer_remembers() -> None:
    signer = HeightSigner(False)
    for number in range(10):
        message = vote(Kind.PREVOTE, None, round_number=number)
        payload = encode_message(message, CHAIN_ID)
        assert signer.request(message, payload) is True
        assert signer.signed(payload, b"") == message
    assert signer.request(vote(Kind.PREVOTE, BLOCK, round_number=0), b"old") is None
    assert signer.request(vote(Kind.PREVOTE, BLOCK, round_number=8), b"new") is None
    assert len(signer.newest()) == 2


def test_a_silent_signer_signs_nothing() -> None:
    assert HeightSigner(True).request(vote(Kind.PREVOTE, None), b"") is None
