"""What a faulty validator, or a bad moment of this node, must not do to the host that ships."""

from __future__ import annotations

import asyncio

import pytest
from attrs import evolve
from bft_driving import identity, vote
from bft_rig import FOLLOWER, Rig, first_block, play, proposer

from lazai_consensus_bft.messages import Kind, Proposal
from lazai_core.api.consensus import (
    CommitSignature,
    ExtendCertificate,
    ReportEvidence,
)
from lazai_core.api.errors import Busy, CannotJudge, ConsensusFault
from lazai_core.api.types import Hash32, Height
from lazai_core.chain.block import Block
from lazai_core.lazvm.vm import ExecutedBlock
from lazai_core.runtime.evidence import EvidencePool
from lazai_core.testing.simulation.chain import (
    START_SECONDS,
)


def test_evidence_that_is_too_large_stops_nobody() -> None:
    """Two proposals of one round, each with a long list of prevotes that are none."""

    async def main() -> None:
        rig = Rig()
        rig.start()
        await asyncio.sleep(0.1)
        junk = CommitSignature(validator=identity(0).address, signature=bytes(128))
        for block_id in (Hash32(b"\x01" * 32), Hash32(b"\x02" * 32)):
            rig.hear(
                proposer(1), Proposal(height=Height(1), round=1, block_id=block_id, valid_round=0, polka=(junk,) * 2000)
            )
            await asyncio.sleep(0.2)
        assert rig.errors == []
        assert rig.node.rooms is not None
        assert not any(isinstance(effect, ReportEvidence) for effect in rig.effects)

    play(main)


def test_evidence_that_the_pool_refuses_stops_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(pool: EvidencePool, evidence: bytes) -> bool:
        raise ConsensusFault("too large")

    async def main() -> None:
        rig = Rig()
        rig.start()
        await asyncio.sleep(0.1)
        for block_id in (Hash32(b"\x01" * 32), Hash32(b"\x02" * 32)):
            rig.hear(rig.others[0], vote(Kind.PREVOTE, block_id))
        await asyncio.sleep(0.2)
        assert any(isinstance(effect, ReportEvidence) for effect in rig.effects)
        assert rig.errors == []

    monkeypatch.setattr(EvidencePool, "add", refuse)
    play(main)


@pytest.mark.parametrize("what", ["a commit", "a build"])
def test_a_full_queue_of_calls_holds_up_no_block(what: str) -> None:
    async def main() -> None:
        rig = Rig(proposer() if what == "a build" else FOLLOWER)
        rig.start()
        await asyncio.sleep(0.01)
        assert rig.node.rooms is not None
        execution = rig.node.rooms.host._parts.execution
        calls = [asyncio.ensure_future(execution.run(asyncio.current_task)) for _ in range(1100)]
        await asyncio.sleep(0)
        with pytest.raises(Busy):
            await execution.run(asyncio.current_task)
        if what == "a commit":
            block = first_block()
            rig.bring(proposer(), block)
            rig.hear_votes(Kind.PRECOMMIT, block.hash)
        await asyncio.sleep(30)
        assert rig.errors == []
        assert rig.node.height == 1 if what == "a commit" else any(m.kind is Kind.PROPOSAL for m in rig.said)
        assert any(isinstance(answer, Busy) for answer in await asyncio.gather(*calls, return_exceptions=True))

    play(main)


def test_a_device_that_failed_for_a_moment_makes_no_valid_block_invalid() -> None:
    async def main() -> None:
        rig, block = Rig(), first_block()
        rig.start()
        await asyncio.sleep(0.1)
        assert rig.node.rooms is not None
        machine = rig.node.rooms.vm
        real, failures = machine.check_block, [1, 2]

        def check(candidate: Block) -> ExecutedBlock:
            if failures:
                failures.pop()
                raise CannotJudge("the device was lost", check="record proof")
            return real(candidate)

        machine.check_block = check  # type: ignore[method-assign]
        rig.bring(proposer(), block)
        rig.hear(proposer(), Proposal(height=block.height, round=0, block_id=block.hash))
        await asyncio.sleep(0.9)
        assert rig.votes(Kind.PREVOTE) == [], "neither valid nor invalid"
        rig.hear_votes(Kind.PREVOTE, block.hash)
        rig.hear_votes(Kind.PRECOMMIT, block.hash)
        await asyncio.sleep(5)
        assert rig.node.height == 1
        assert rig.errors == []

    play(main)


def test_a_validator_that_is_slower_than_the_others_is_not_absent() -> None:
    async def main() -> None:
        rig, block = Rig(), first_block()
        rig.start()
        rig.bring(proposer(), block)
        rig.hear(proposer(), Proposal(height=block.height, round=0, block_id=block.hash))
        rig.hear_votes(Kind.PREVOTE, block.hash)
        rig.hear_votes(Kind.PRECOMMIT, block.hash)
        await asyncio.sleep(0.5)
        assert rig.node.height == 1
        assert rig.votes(Kind.PRECOMMIT) == [(0, block.hash)]
        (fuller,) = [effect.certificate for effect in rig.effects if isinstance(effect, ExtendCertificate)]
        assert identity(rig.node.number).address in {entry.validator for entry in fuller.signatures}

    play(main)


@pytest.mark.parametrize("ahead_s", [0, 5, 10, 13])
def test_a_parent_that_is_dated_ahead_holds_no_proposer_up_for_long(ahead_s: int) -> None:
    async def main() -> None:
        rig = Rig(proposer(height=2))
        block = first_block()
        dated = evolve(block, header=evolve(block.header, timestamp=START_SECONDS + 1 + ahead_s))
        rig.start()
        rig.bring(rig.others[0], dated)
        await asyncio.sleep(0.9)
        rig.hear_votes(Kind.PRECOMMIT, dated.hash)
        await asyncio.sleep(5.5)
        assert rig.node.height >= 1
        assert any(message.kind is Kind.PROPOSAL and message.height == 2 for message in rig.said)

    play(main)


