"""Whatever costs an answer is taken in bounds, and who goes beyond them is blamed for a flood."""

from __future__ import annotations

import asyncio

import pytest

from lazai_core.api.network import PeerFault
from lazai_core.api.types import Hash32, Height, JobId
from lazai_core.runtime.gossip.part_set import WantParts
from lazai_core.runtime.gossip.record_wire import GetRecord
from lazai_core.runtime.gossip.snapshot_wire import GetByHash, GetHeaders
from lazai_core.runtime.gossip.sync_wire import GetBlocks
from lazai_core.runtime.gossip.transaction_wire import encode_hashes
from lazai_core.runtime.gossip.wire import Topic, encode_neighbours
from tests.unit.runtime.gossip.pools import Evidence, Records, Transactions
from tests.unit.runtime.gossip.rig import Mesh, Stranger, run

HASH = Hash32(bytes(32))
QUESTIONS = {
    Topic.WANT_PARTS: WantParts(height=Height(1), block_id=HASH).encode(),
    Topic.GET_BLOCKS: GetBlocks(request=1, start=Height(1), count=1).encode(),
    Topic.GET_TRANSACTIONS: encode_hashes([HASH]),
    Topic.WANT_RECORDS: encode_hashes([HASH]),
    Topic.GET_RECORD: GetRecord(digest=HASH, job_id=JobId(HASH), offset=0).encode(),
    Topic.GET_HEADERS: GetHeaders(request=1, newest=Height(1), count=1).encode(),
    Topic.GET_ENTRIES: GetByHash(request=1, hashes=(HASH,)).encode(),
    Topic.GET_SETS: GetByHash(request=1, hashes=(HASH,)).encode(),
    Topic.NEIGHBOURS: encode_neighbours([]),
}


@pytest.mark.parametrize("topic", QUESTIONS, ids=str)
def test_a_flood_of_questions_is_blamed_and_ends_the_answers(topic: Topic) -> None:
    ports = lambda: {"transactions": Transactions(), "records": Records(), "evidence": Evidence()}  # noqa: E731

    async def work() -> None:
        async with Mesh(4, nodes=2, ports=ports) as mesh:
            node, other = mesh.nodes
            liar = Stranger(mesh, 9)
            await liar.meet(node)
            for _ in range(1000):
                liar.send(node, topic, QUESTIONS[topic])
            await asyncio.sleep(0.5)

            assert set(liar.faults_at(node)) == {PeerFault.FLOOD}
            assert len(liar.faults_at(node)) >= 500
            assert len(liar.end.received) <= 500
            assert [fault for peer, fault in node.end.faults if peer == other.peer] == []

    run(work)
