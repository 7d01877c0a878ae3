"""Every decoder takes its own bytes only, and no envelope, however damaged, raises out of the reactor."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import cache
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lazai_core.api.consensus import Certificate, ReportEvidence
from lazai_core.api.encoding import Writer
from lazai_core.api.errors import EncodingError
from lazai_core.api.network import Envelope, PeerFault
from lazai_core.api.types import Height
from lazai_core.runtime.gossip.part_set import Part, WantParts
from lazai_core.runtime.gossip.record_wire import (
    GetRecord,
    RecordChunk,
    decode_offers,
    encode_offers,
)
from lazai_core.runtime.gossip.snapshot_wire import ENTRIES_MAX, SETS_MAX, GetByHash, GetHeaders, Items
from lazai_core.runtime.gossip.sync_wire import Blocks, GetBlocks, encode_blocks
from lazai_core.runtime.gossip.transaction_wire import (
    decode_evidence,
    decode_hashes,
    decode_transactions,
    encode_hashes,
)
from lazai_core.runtime.gossip.wire import (
    Have,
    SignedPayload,
    Status,
    Topic,
    batch_messages,
    decode_messages,
    decode_neighbours,
    encode_neighbours,
)
from tests.unit.lazvm import world
from tests.unit.runtime.gossip.pools import Evidence, Records, Transactions, job_of, record_of
from tests.unit.runtime.gossip.rig import Mesh, Stranger, address, certificate_of, make_block, message_of, run


def again_messages(data: bytes) -> bytes:
    return batch_messages([message.encode() for message in decode_messages(data)])


def again_blocks(data: bytes) -> bytes:
    answer = Blocks.decode(data)
    entries = [
        (one.certificate.encode(), b"" if one.block is None else one.block.encode()) for one in answer.blocks
    ]
    return encode_blocks(answer.request, entries)


def again_list(items: tuple[bytes, ...]) -> bytes:
    return Writer().sequence(items, Writer.bytes_).finish()


AGAIN: dict[Topic, Callable[[bytes], bytes]] = {
    Topic.STATUS: lambda data: Status.decode(data).encode(),
    Topic.NEIGHBOURS: lambda data: encode_neighbours(tuple(decode_neighbours(data))),
    Topic.MESSAGES: again_messages,
    Topic.HAVE: lambda data: Have.decode(data).encode(),
    Topic.CERTIFICATE: lambda data: Certificate.decode(data).encode(),
    Topic.PART: lambda data: Part.decode(data).encode(),
    Topic.WANT_PARTS: lambda data: WantParts.decode(data).encode(),
    Topic.GET_BLOCKS: lambda data: GetBlocks.decode(data).encode(),
    Topic.BLOCKS: again_blocks,
    Topic.TRANSACTIONS: lambda data: again_list(decode_transactions(data)),
    Topic.ANNOUNCE: lambda data: encode_hashes(decode_hashes(data)),
    Topic.GET_TRANSACTIONS: lambda data: encode_hashes(decode_hashes(data)),
    Topic.EVIDENCE: lambda data: again_list(decode_evidence(data)),
    Topic.RECORD_OFFERS: lambda data: encode_offers(list(decode_offers(data))),
    Topic.WANT_RECORDS: lambda data: encode_hashes(decode_hashes(data)),
    Topic.GET_RECORD: lambda data: GetRecord.decode(data).encode(),
    Topic.RECORD_CHUNK: lambda data: RecordChunk.decode(data).encode(),
    Topic.GET_HEADERS: lambda data: GetHeaders.decode(data).encode(),
    Topic.HEADERS: lambda data: Items.decode(data).encode(),
    Topic.GET_ENTRIES: lambda data: GetByHash.decode(data, ENTRIES_MAX).encode(),
    Topic.ENTRIES: lambda data: Items.decode(data).encode(),
    Topic.GET_SETS: lambda data: GetByHash.decode(data, SETS_MAX).encode(),
    Topic.SETS: lambda data: Items.decode(data).encode(),
}
"""What is decoded, encoded again."""


def ports() -> dict[str, object]:
    return {"transactions": Transactions(), "records": Records(), "evidence": Evidence()}


@cache
def heard() -> dict[str, tuple[bytes, ...]]:
    """What nodes say to each other when much goes on: payloads by topic."""
    found: dict[str, set[bytes]] = {}

    async def work() -> None:
        mesh = Mesh(5, ports=ports, joined=lambda one, other: (one, other) != (0, 4))
        mesh.extend(3, [0, 1])
        async with mesh:
            job = job_of(1)
            waits = asyncio.create_task(mesh.nodes[3].gossip.records.borrow(job, 3000))
            await asyncio.sleep(1)
            head = mesh.nodes[0].chain.head
            block = make_block(head, transactions=[bytes(1000) for _ in range(300)])
            mesh.nodes[0].gossip.send_block(block)
            mesh.nodes[4].gossip.want_block(block.height, b"\x01" * 32)
            for node in mesh.nodes:
                node.gossip.send_message(message_of(node.number, int(node.host.height)))
                node.ports["transactions"].add(world.transaction(0, 1 + node.number))
            mesh.nodes[0].ports["records"].add(record_of(job))
            report = ReportEvidence(validator=address(1), kind="double-vote", evidence=b"right")
            mesh.nodes[2].gossip.send_evidence(report)
            await waits
            stranger = Stranger(mesh, 5)
            await stranger.meet(mesh.nodes[0], height=1)
            root = mesh.nodes[0].chain.head.header.state_root
            for topic, payload in (
                (Topic.GET_HEADERS, GetHeaders(request=1, newest=Height(3), count=2)),
                (Topic.GET_ENTRIES, GetByHash(request=2, hashes=(root,))),
                (Topic.GET_SETS, GetByHash(request=3, hashes=(root,))),
            ):
                stranger.send(mesh.nodes[0], topic, payload.encode())
            old = message_of(1, 1)
            signed = SignedPayload(payload=old.payload, signature=old.signature)
            stranger.send(mesh.nodes[0], Topic.MESSAGES, batch_messages([signed.encode()]))
            await asyncio.sleep(30)
            for end in mesh.wires.ends.values():
                for envelope in end.received:
                    found.setdefault(envelope.topic, set()).add(envelope.payload)

    run(work)
    return {topic: tuple(sorted(payloads, key=len)[:20]) for topic, payloads in sorted(found.items())}


def test_every_topic_is_spoken_and_every_payload_is_canonical() -> None:
    said = heard()
    announced = {Topic.ANNOUNCE, Topic.GET_TRANSACTIONS}

    assert sorted(set(said) | announced) == sorted(AGAIN) == sorted(Topic)
    for topic, payloads in said.items():
        for payload in payloads:
            assert AGAIN[Topic(topic)](payload) == payload


@pytest.mark.parametrize("topic", list(Topic))
@given(data=st.binary(max_size=300))
def test_random_bytes_are_refused_or_canonical(topic: Topic, data: bytes) -> None:
    try:
        again = AGAIN[topic](data)
    except EncodingError:
        return
    assert again == data


def damaged(random: Random, payload: bytes) -> bytes:
    """A payload with a few bytes changed, cut out or put in."""
    data = bytearray(payload)
    for _ in range(random.randint(1, 3)):
        place = random.randrange(len(data) + 1)
        match random.randrange(4):
            case 0 if data:
                data[place % len(data)] ^= 1 << random.randrange(8)
            case 1:
                data[place:place] = random.randbytes(random.randint(1, 8))
            case 2:
                del data[place : place + random.randint(1, 40)]
            case _:
                data[place : place + 4] = random.choice((b"\xff\xff\xff\xff", bytes(4), b"\x00\x00\x00\x01"))
    return bytes(data)


@settings(max_examples=20)
@given(seed=st.integers(0, 2**32))
def test_damaged_messages_are_refused_or_canonical(seed: int) -> None:
    random = Random(seed)
    for topic, payloads in heard().items():
        for payload in payloads:
            data = damaged(random, payload)
            try:
                again = AGAIN[Topic(topic)](data)
            except EncodingError:
                continue
            assert again == data, topic


@pytest.mark.parametrize("seed", range(6))
def test_no_envelope_raises_out_of_the_reactor_or_grows_it(seed: int) -> None:
    """True, replayed, damaged and misdirected envelopes; the rig asserts that none met a mistake of ours."""
    random = Random(seed)
    said = heard()

    async def work() -> None:
        async with Mesh(5, nodes=2, ports=ports) as mesh:
            node, other = mesh.nodes
            liar = Stranger(mesh, 7)
            await liar.meet(node)
            for number in range(4000):
                topic = random.choice(list(said))
                payload = random.choice(said[random.choice((topic, topic, topic, random.choice(list(said))))])
                if random.random() < 0.8:
                    payload = damaged(random, payload)
                if number % 500 == 499:
                    block = make_block(node.chain.head)
                    node.host.commit(block, certificate_of(block, 5))
                    await asyncio.sleep(1)
                liar.send(node, topic, payload)
            await asyncio.sleep(20)
            gossip = node.gossip

            assert len(gossip.messages) <= 2 * 5 * 48
            assert gossip.messages.size_bytes < 1 << 20
            assert len(gossip.blocks) <= 4 * 5 * 2
            assert gossip.transactions.waiting == 0
            assert len(gossip.sync) <= 256
            assert set(liar.faults_at(node)) <= set(PeerFault)
            assert liar.faults_at(node), "all of it was taken for good"
            gossip.send_message(message_of(0, int(node.host.height)))
            await asyncio.sleep(1)
            assert other.faults == []
            assert [fault for peer, fault in node.end.faults if peer == other.peer] == []

    run(work)


def test_an_own_mistake_is_counted_and_does_not_stop_the_node() -> None:
    async def work() -> None:
        async with Mesh(4, nodes=2) as mesh:
            node, other = mesh.nodes

            def breaks(state: object, payload: bytes) -> None:
                raise KeyError("a mistake of ours")

            node.gossip._readers[Topic.HAVE] = breaks  # type: ignore[assignment]
            node.gossip.take(Envelope(sender=other.peer, topic=Topic.HAVE, payload=b""))
            other.gossip.send_message(message_of(1, 1))
            await asyncio.sleep(0.1)
            assert len(node.host.heard) == 1
            assert node.gossip.own_mistakes == 1
            # What leaving the mesh would complain of.
            node.gossip.own_mistakes = 0

    run(work)
