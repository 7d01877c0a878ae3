"""The engine in the consensus host that ships: one whole node of four, whose peers are played here.

Among them, on the real host, those of others' faults (see `test_regressions`) that concern the log and the signer.
"""

from __future__ import annotations

import asyncio

import pytest
from attrs import evolve
from bft_driving import identity, vote
from bft_rig import SHAPE, Rig, certify, chain, first_block, peer, play, proposer

from lazai_consensus_bft.messages import Kind, Proposal, encode_message
from lazai_consensus_bft.wal import Intent, encode_record
from lazai_core.api.consensus import (
    MessageReceived,
    SignMessage,
    StartHeight,
    WalRecord,
)
from lazai_core.api.network import PeerFault
from lazai_core.api.types import Hash32
from lazai_core.runtime.wal import LogRecord, RecordKind, encode_frame
from lazai_core.testing.simulation.byzantine import SPOILT
from lazai_core.testing.simulation.chain import (
    CHAIN_ID,
    START_SECONDS,
    genesis_entries,
    genesis_of,
)
from lazai_core.testing.simulation.disk import SimulatedStore

# Deciding.


def test_a_proposed_block_is_checked_voted_for_and_committed() -> None:
    async def main() -> None:
        rig, block = Rig(), first_block()
        rig.start()
        rig.bring(proposer(), block)
        rig.hear(proposer(), Proposal(height=block.height, round=0, block_id=block.hash))
        await asyncio.sleep(0.5)
        assert rig.votes(Kind.PREVOTE) == [(0, block.hash)]
        rig.hear_votes(Kind.PREVOTE, block.hash)
        await asyncio.sleep(0.5)
        assert rig.votes(Kind.PRECOMMIT) == [(0, block.hash)]
        rig.hear_votes(Kind.PRECOMMIT, block.hash)
        await asyncio.sleep(0.5)
        assert rig.node.height == 1
        assert rig.errors == []

    play(main)


def test_a_block_that_a_quorum_prevoted_outlives_its_proposer_and_a_loss_of_power() -> None:
    """Who precommits a block must be able to show it: if all who can lose it, the locks hold the chain for ever."""

    async def main() -> None:
        rig, block = Rig(), first_block()
        rig.start()
        rig.bring(proposer(), block)
        rig.hear(proposer(), Proposal(height=block.height, round=0, block_id=block.hash))
        await asyncio.sleep(0.5)
        rig.hear_votes(Kind.PREVOTE, block.hash)
        await asyncio.sleep(0.5)
        assert rig.votes(Kind.PRECOMMIT) == [(0, block.hash)]
        rig.crash()
        rig.start()
        await asyncio.sleep(0.1)
        assert rig.node.rooms is not None
        assert rig.node.rooms.host.known_block(block.hash) == block
        # Nobody brings it again, and it is decided.
        rig.hear_votes(Kind.PRECOMMIT, block.hash)
        await asyncio.sleep(0.5)
        assert rig.node.height == 1

    play(main)


def test_a_block_that_comes_late_is_voted_for_when_it_comes() -> None:
    async def main() -> None:
        rig, block = Rig(), first_block()
        rig.start()
        rig.hear(proposer(), Proposal(height=block.height, round=0, block_id=block.hash))
        await asyncio.sleep(1)
        assert rig.said == []
        rig.bring(rig.others[0], block)
        await asyncio.sleep(0.5)
        assert rig.votes(Kind.PREVOTE) == [(0, block.hash)]

    play(main)


def test_a_decided_block_that_is_not_here_is_got_and_committed() -> None:
    async def main() -> None:
        rig, block = Rig(), first_block()
        rig.start()
        await asyncio.sleep(0.1)
        rig.hear_votes(Kind.PRECOMMIT, block.hash)
        await asyncio.sleep(2)
        assert rig.node.height == 0
        rig.bring(rig.others[0], block)
        await asyncio.sleep(0.5)
        assert rig.node.height == 1
        # The inbox was never held up: the next height goes on with what came meanwhile.
        assert any(isinstance(event, StartHeight) and event.height == 2 for event in rig.inputs)

    play(main)


def test_a_node_follows_decided_blocks_in_whatever_order_they_come() -> None:
    async def main() -> None:
        rig, blocks = Rig(), list(chain(6))
        rig.start()
        await asyncio.sleep(0.1)
        for block, certificate in (blocks[2], blocks[1], blocks[5], blocks[0], blocks[0], blocks[4], blocks[3]):
            rig.bring_decided(rig.others[0], block, certificate)
        await asyncio.sleep(2)
        assert rig.node.height == 6
        assert rig.blamed == []

    play(main)


# Wrong things of peers.


def test_a_message_in_anothers_name_never_reaches_the_engine() -> None:
    async def main() -> None:
        rig = Rig()
        rig.start()
        await asyncio.sleep(0.1)
        rig.hear(rig.others[0], vote(Kind.PREVOTE, None), by=rig.others[1])
        await asyncio.sleep(0.1)
        assert not any(isinstance(event, MessageReceived) for event in rig.inputs)
        assert rig.blamed == [(peer(rig.others[0]), PeerFault.BAD_SIGNATURE)]

    play(main)


@pytest.mark.parametrize("fault", [name for name in SPOILT if name != "time to come"])
def test_a_wrong_block_is_refused_and_its_proposer_blamed_by_name(fault: str) -> None:
    async def main() -> None:
        rig, block = Rig(), first_block()
        wrong = evolve(block, header=SPOILT[fault](block.header))
        rig.start()
        rig.bring(rig.others[1], wrong)
        rig.hear(proposer(), Proposal(height=block.height, round=0, block_id=wrong.hash))
        await asyncio.sleep(0.5)
        assert rig.votes(Kind.PREVOTE) == [(0, None)]
        assert rig.blamed == [(peer(proposer()), PeerFault.INVALID_BLOCK)]

    play(main)


def test_a_block_from_the_future_is_neither_voted_for_nor_refused_for_good() -> None:
    async def main() -> None:
        rig, block = Rig(), first_block()
        early = evolve(block, header=evolve(block.header, timestamp=START_SECONDS + 20))
        rig.start()
        rig.bring(proposer(), early)
        rig.hear(proposer(), Proposal(height=block.height, round=0, block_id=early.hash))
        await asyncio.sleep(2)
        assert rig.said == []
        assert rig.blamed == []

    play(main)


def test_a_body_that_does_not_fit_is_got_from_somebody_else() -> None:
    async def main() -> None:
        rig, block = Rig(), first_block()
        rig.start()
        rig.hear(proposer(), Proposal(height=block.height, round=0, block_id=block.hash))
        await asyncio.sleep(0.1)
        rig.bring(rig.others[0], evolve(block, transactions=(b"another body",)))
        await asyncio.sleep(0.2)
        assert rig.blamed == [(peer(rig.others[0]), PeerFault.WRONG_PART)]
        rig.bring(rig.others[1], block)
        await asyncio.sleep(0.2)
        assert rig.votes(Kind.PREVOTE) == [(0, block.hash)]

    play(main)


def test_whoever_brings_a_wrong_decided_block_is_blamed_and_the_right_one_taken() -> None:
    async def main() -> None:
        rig = Rig()
        (first, certificate), (second, later) = chain(2)
        liar, other, third = rig.others
        rig.start()
        await asyncio.sleep(0.1)
        rig.bring_decided(liar, first, later)
        rig.bring_decided(liar, first, certify(first, [0, 1]))
        await asyncio.sleep(0.2)
        rig.bring_decided(other, evolve(first, transactions=(b"another body",)), certificate)
        await asyncio.sleep(0.2)
        assert rig.node.height == 0
        assert rig.blamed == [
            (peer(liar), PeerFault.FORGED_CERTIFICATE),
            (peer(liar), PeerFault.FORGED_CERTIFICATE),
            (peer(other), PeerFault.WRONG_PART),
        ]
        rig.bring_decided(third, first, certificate)
        rig.bring_decided(third, second, later)
        await asyncio.sleep(1)
        assert rig.node.height == 2

    play(main)


def test_what_waits_for_withheld_blocks_is_bounded() -> None:
    async def main() -> None:
        rig = Rig()
        rig.start()
        await asyncio.sleep(0.1)
        for round_number in range(200):
            number = proposer(round_number)
            if number == rig.node.number:
                continue
            for other in rig.others:
                rig.hear(other, vote(Kind.PRECOMMIT, None, round_number=round_number))
            rig.hear(number, Proposal(height=1, round=round_number, block_id=Hash32(bytes([round_number] * 32))))
            await asyncio.sleep(0.02)
        assert rig.node.rooms is not None
        desk = rig.node.rooms.host._desk
        assert 0 < desk.waiting <= 64
        assert len(desk._blocks.wanted) <= 64

    play(main)


# The log and the signer.


def test_an_own_proposal_survives_a_crash_with_its_block() -> None:
    async def main() -> None:
        rig = Rig(proposer())
        rig.start()
        await asyncio.sleep(2)
        (proposal,) = [message for message in rig.said if message.kind is Kind.PROPOSAL]
        assert proposal.block_id is not None
        rig.crash()
        rig.start()
        await asyncio.sleep(0.5)
        assert [message for message in rig.said if message.kind is Kind.PROPOSAL] == [proposal]
        assert rig.node.rooms is not None
        block = rig.node.rooms.host.known_block(proposal.block_id)
        assert block is not None
        # It can still be decided, though nobody else ever held it.
        rig.hear_votes(Kind.PRECOMMIT, block.hash)
        await asyncio.sleep(0.5)
        assert rig.node.height == 1

    play(main)


def log_of_rounds(rounds: int) -> bytes:
    data = b""
    for round_number in range(rounds):
        records = [
            LogRecord(
                kind=RecordKind.ENGINE,
                payload=encode_record(
                    Intent(height=1, payload=encode_message(vote(kind, None, round_number=round_number), CHAIN_ID))
                ),
            )
            for kind in (Kind.PREVOTE, Kind.PRECOMMIT)
        ]
        data += encode_frame(1, len(data), records)
    return data


def test_a_log_of_a_thousand_rounds_is_replayed_at_once() -> None:
    """Tendermint 8679: the replay of more than a thousand rounds took hours."""

    async def main() -> None:
        rig = Rig()
        rig.node.wal_disk.replace(f"wal-{1:020d}", log_of_rounds(1000))
        rig.start()
        await asyncio.sleep(0.1)
        assert sum(isinstance(event, WalRecord) for event in rig.inputs) == 2000
        assert len(rig.inputs) < 2020, "nothing is done again, round by round"
        signed = [effect for effect in rig.effects if isinstance(effect, SignMessage)]
        assert {effect.round for effect in signed} == {996, 997, 998, 999}
        assert rig.node.rooms is not None
        assert rig.votes(Kind.PREVOTE) == [(number, None) for number in range(996, 1000)]

    play(main)


def test_no_message_is_heard_before_the_replay_has_ended() -> None:
    """Malachite 850, on the way in: votes were processed before the replay ended."""

    async def main() -> None:
        rig, block = Rig(), first_block()
        rig.node.wal_disk.replace(f"wal-{1:020d}", log_of_rounds(50))
        rig.start()
        rig.bring(proposer(), block)
        rig.hear_votes(Kind.PRECOMMIT, block.hash)
        await asyncio.sleep(0.5)
        kinds = [type(event) for event in rig.inputs]
        start = kinds.index(StartHeight)
        assert set(kinds[:start]) == {WalRecord}
        assert WalRecord not in kinds[start:]
        assert kinds.index(MessageReceived) > start
        assert rig.node.height == 1, "and they are not lost"

    play(main)


@pytest.mark.parametrize("lost", ["nothing", "the log"])
def test_after_a_crash_there_is_no_nil_vote_for_a_round_that_was_voted_in(lost: str) -> None:
    """Malachite 850, on the way out; and Tendermint 8739: what was said is said again, where it is still known."""

    async def main() -> None:
        rig, block = Rig(), first_block()
        rig.start()
        rig.bring(proposer(), block)
        rig.hear(proposer(), Proposal(height=block.height, round=0, block_id=block.hash))
        await asyncio.sleep(0.5)
        assert rig.votes(Kind.PREVOTE) == [(0, block.hash)]
        rig.crash()
        if lost == "the log":
            rig.node.wal_disk.wipe()
        rig.start()
        await asyncio.sleep(8)
        assert (0, None) not in rig.votes(Kind.PREVOTE)
        if lost == "nothing":
            assert rig.votes(Kind.PREVOTE)[0] == (0, block.hash), "a third of the power may depend on it"
        # With its log it takes part in the rounds that come; without, it does not know what it may have locked.
        rig.hear_votes(Kind.PRECOMMIT, None)
        await asyncio.sleep(8)
        assert ((1, None) in rig.votes(Kind.PREVOTE)) == (lost == "nothing")
        rig.bring(proposer(), block)
        rig.hear_votes(Kind.PRECOMMIT, block.hash, round_number=1)
        await asyncio.sleep(0.5)
        assert rig.node.height == 1
        await asyncio.sleep(8)
        assert any(message.height == 2 for message in rig.said), "and in the heights that come, whatever was lost"

    play(main)


def test_a_data_folder_restored_from_an_older_copy_signs_nothing_again() -> None:
    async def main() -> None:
        rig, blocks = Rig(), list(chain(3))
        rig.start()
        await asyncio.sleep(0.1)
        for block, certificate in blocks[:2]:
            rig.bring_decided(rig.others[0], block, certificate)
        await asyncio.sleep(4)
        assert [(message.height, message.kind) for message in rig.said] == [(3, Kind.PREVOTE)]
        rig.crash()
        # The chain and the log are those of long ago; the record beside the key is of today.
        rig.node.wal_disk.wipe()
        rig.node.store = SimulatedStore(genesis_entries(SHAPE), lambda operation: None)
        rig.start()
        for height, (block, certificate) in enumerate(blocks[:2], 1):
            await asyncio.sleep(4)
            assert rig.said == [], f"its key has spoken at height 3, so it is silent at {height}"
            rig.bring_decided(rig.others[0], block, certificate)
        await asyncio.sleep(0.5)
        block, _ = blocks[2]
        rig.bring(proposer(height=3), block)
        rig.hear(proposer(height=3), Proposal(height=block.height, round=0, block_id=block.hash))
        await asyncio.sleep(0.5)
        assert rig.said == [], "it had prevoted nil at height 3"
        rig.hear_votes(Kind.PREVOTE, block.hash, height=3)
        await asyncio.sleep(0.5)
        assert rig.said == [], "nor does it know what it has locked"
        rig.hear_votes(Kind.PRECOMMIT, block.hash, height=3)
        await asyncio.sleep(0.5)
        assert rig.node.height == 3

    play(main)


def test_a_lost_log_frames_no_honest_validator() -> None:
    """A key that has precommitted a block and forgot the lock would prevote another one: provable amnesia."""

    async def main() -> None:
        rig, block = Rig(), first_block()
        rig.start()
        rig.bring(proposer(), block)
        rig.hear(proposer(), Proposal(height=block.height, round=0, block_id=block.hash))
        await asyncio.sleep(0.5)
        rig.hear_votes(Kind.PREVOTE, block.hash)
        await asyncio.sleep(0.5)
        assert rig.votes(Kind.PRECOMMIT) == [(0, block.hash)]
        rig.crash()
        rig.node.wal_disk.wipe()
        rig.start()
        await asyncio.sleep(0.1)
        rig.hear_votes(Kind.PRECOMMIT, None)
        await asyncio.sleep(10)
        second = evolve(block.header, timestamp=block.header.timestamp + 1, proposer=identity(proposer(1)).address)
        other = evolve(block, header=second)
        rig.bring(proposer(1), other)
        rig.hear(proposer(1), Proposal(height=block.height, round=1, block_id=other.hash))
        await asyncio.sleep(10)
        assert rig.said == []

    play(main)


def test_a_disk_that_cannot_flush_stops_the_node_before_anything_leaves() -> None:
    async def main() -> None:
        rig = Rig()
        rig.start()
        await asyncio.sleep(0.1)

        def trouble(operation: str) -> None:
            if operation == "sync":
                raise OSError("full")

        rig.node.wal_disk.trouble = trouble
        await asyncio.sleep(5)
        assert rig.said == []
        assert len(rig.errors) == 1

    play(main)


def test_the_genesis_of_these_tests_has_the_committee_they_speak_for() -> None:
    assert {one.address for one in genesis_of(SHAPE).validators} == {identity(number).address for number in range(4)}
