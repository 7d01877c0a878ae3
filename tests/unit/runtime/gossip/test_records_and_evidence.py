"""Records go where they are needed and are verified there; evidence goes everywhere once."""

from __future__ import annotations

import asyncio

import pytest

from lazai_core.api.consensus import ReportEvidence
from lazai_core.api.encoding import Writer
from lazai_core.api.network import PeerFault
from lazai_core.runtime.gossip import GossipOptions
from lazai_core.runtime.gossip.record_wire import (
    CHUNK_BYTES,
    GetRecord,
    Offer,
    RecordChunk,
    encode_offers,
    record_digest,
)
from lazai_core.runtime.gossip.transaction_wire import frames_of
from lazai_core.runtime.gossip.wire import Topic
from tests.unit.runtime.gossip.pools import Evidence, Records, job_of, record_of
from tests.unit.runtime.gossip.rig import Mesh, Node, Stranger, address, run


def mesh_of(count: int, **kind: object) -> Mesh:
    ports = lambda: {"records": Records(), "evidence": Evidence()}  # noqa: E731
    return Mesh(count, ports=ports, **kind)  # type: ignore[arg-type]


def records(node: Node) -> Records:
    return node.ports["records"]  # type: ignore[no-any-return]


def evidence(node: Node) -> Evidence:
    return node.ports["evidence"]  # type: ignore[no-any-return]


def offer_of(job: object, encoded: bytes) -> Offer:
    return Offer(job_id=job.job_id, digest=record_digest(encoded), size_bytes=len(encoded))  # type: ignore[attr-defined]


@pytest.mark.parametrize("proof_bytes", [5, 3 * CHUNK_BYTES])
def test_a_record_goes_to_whoever_needs_it(proof_bytes: int) -> None:
    job = job_of(1)
    record = record_of(job, b"right" + bytes(proof_bytes))

    async def work() -> None:
        async with mesh_of(4) as mesh:
            waits = asyncio.create_task(mesh.nodes[1].gossip.records.borrow(job, 1500))
            await asyncio.sleep(0.5)
            records(mesh.nodes[0]).add(record)
            assert await waits
            assert records(mesh.nodes[1]).held == {job.job_id: record}
            assert records(mesh.nodes[2]).held == {}, "nobody keeps what it does not need"

            assert await mesh.nodes[3].gossip.records.borrow(job, 1500), "one that was made before is found"
            assert all(node.faults == [] for node in mesh.nodes)
            assert all(node.gossip.records.size_bytes == 0 for node in mesh.nodes)

    run(work)


def test_without_a_record_the_wait_ends_in_time() -> None:
    async def work() -> None:
        async with mesh_of(4) as mesh:
            before = asyncio.get_running_loop().time()
            assert not await mesh.nodes[0].gossip.records.borrow(job_of(1), 1500)
            assert asyncio.get_running_loop().time() - before == pytest.approx(1.5)

    run(work)


def test_a_wrong_record_is_blamed_and_the_next_offer_is_taken() -> None:
    job = job_of(1)

    async def work() -> None:
        async with mesh_of(4, nodes=2) as mesh:
            node, honest = mesh.nodes
            liars = [Stranger(mesh, number) for number in (7, 8, 9)]
            wrong = record_of(job, b"wrong").encode(), record_of(job, b"odd").encode(), b"\x00" * 50
            for liar, encoded in zip(liars, wrong, strict=True):
                await liar.meet(node)
                liar.send(node, Topic.RECORD_OFFERS, encode_offers([offer_of(job, encoded)]))
            await asyncio.sleep(0.1)
            waits = asyncio.create_task(node.gossip.records.borrow(job, 4000))
            for _ in range(8):
                await asyncio.sleep(0.1)
                for liar, encoded in zip(liars, wrong, strict=True):
                    for payload in liar.got(Topic.GET_RECORD):
                        asked = GetRecord.decode(payload)
                        chunk = RecordChunk(digest=asked.digest, offset=asked.offset, data=encoded)
                        liar.send(node, Topic.RECORD_CHUNK, chunk.encode())
                    liar.end.received.clear()
            records(honest).add(record_of(job))

            assert await waits
            assert records(node).held == {job.job_id: record_of(job)}
            assert [liar.faults_at(node) for liar in liars] == [
                [PeerFault.INVALID_RECORD],
                [],
                [PeerFault.INVALID_RECORD],
            ]
            assert honest.peer not in [peer for peer, _ in node.end.faults]

    run(work)


def test_unasked_pieces_and_floods_of_offers_are_blamed_and_bounded() -> None:
    async def work() -> None:
        options = GossipOptions(transaction_rate=500)
        async with mesh_of(4, nodes=1, options=options) as mesh:
            (node,) = mesh.nodes
            liar = Stranger(mesh, 9)
            await liar.meet(node)
            chunk = RecordChunk(digest=record_digest(b""), offset=0, data=b"data")
            liar.send(node, Topic.RECORD_CHUNK, chunk.encode())
            await asyncio.sleep(0.1)
            assert liar.faults_at(node) == [PeerFault.UNASKED_ANSWER]
            for number in range(10):
                offers = [offer_of(job_of(1000 * number + place), b"data") for place in range(400)]
                liar.send(node, Topic.RECORD_OFFERS, encode_offers(offers))
            await asyncio.sleep(0.1)

            assert len(node.gossip.records) <= 1024
            assert set(liar.faults_at(node)[1:]) == {PeerFault.FLOOD}
            assert liar.got(Topic.GET_RECORD) == [], "nobody needs them"

    run(work)


def test_a_promised_record_that_stays_away_does_not_block_others() -> None:
    job = job_of(1)

    async def work() -> None:
        async with mesh_of(4, nodes=2) as mesh:
            node, honest = mesh.nodes
            liar = Stranger(mesh, 9)
            await liar.meet(node)
            liar.send(node, Topic.RECORD_OFFERS, encode_offers([offer_of(job, bytes(80_000_000))]))
            await asyncio.sleep(0.1)
            waits = asyncio.create_task(node.gossip.records.borrow(job, 4000))
            await asyncio.sleep(0.1)
            records(honest).add(record_of(job))
            assert await waits
            assert records(node).held == {job.job_id: record_of(job)}

    run(work)


def test_evidence_goes_everywhere_and_is_verified_once_by_each() -> None:
    async def work() -> None:
        async with mesh_of(6, joined=lambda one, other: other - one == 1) as mesh:
            report = ReportEvidence(validator=address(3), kind="double-vote", evidence=b"right, it lied")
            for _ in range(3):
                mesh.nodes[0].gossip.send_evidence(report)
            await asyncio.sleep(1)

            assert [evidence(node).held for node in mesh.nodes] == [[b"right, it lied"]] * 6
            assert [evidence(node).checked for node in mesh.nodes] == [1] * 6
            late = Stranger(mesh, 9)
            await late.meet(mesh.nodes[5])
            assert late.got(Topic.EVIDENCE) == list(frames_of([b"right, it lied"]))

    run(work)


def test_forged_evidence_is_blamed_not_relayed_and_costs_one_check() -> None:
    async def work() -> None:
        async with mesh_of(4, nodes=2) as mesh:
            node, other = mesh.nodes
            liar = Stranger(mesh, 9)
            await liar.meet(node)
            (frame,) = frames_of([b"forged"])
            for _ in range(5):
                liar.send(node, Topic.EVIDENCE, frame)
            for _ in range(2):
                liar.send(node, Topic.EVIDENCE, next(frames_of([b"right, replayed"])))
            liar.send(node, Topic.EVIDENCE, Writer().u32(0).finish())
            await asyncio.sleep(0.1)

            assert liar.faults_at(node) == [PeerFault.FORGED_EVIDENCE] * 5 + [PeerFault.UNDECODABLE]
            assert evidence(node).checked == 2
            assert evidence(other).held == [b"right, replayed"]
            for _ in range(300):
                liar.send(node, Topic.EVIDENCE, frame)
            await asyncio.sleep(0.1)
            assert liar.faults_at(node)[-1] is PeerFault.FLOOD

    run(work)
