"""Decided blocks above an envelope's size come over a line of any width, and nobody is blamed who gives them."""

from __future__ import annotations

import asyncio
from random import Random

import pytest
from attrs import evolve

from lazai_core.api.network import Envelope, PeerFault, PeerId
from lazai_core.api.types import Height
from lazai_core.chain.block import Block
from lazai_core.runtime.gossip import GossipOptions
from lazai_core.runtime.gossip.part_set import PART_BYTES, PartSet, WantParts
from lazai_core.runtime.gossip.sync_wire import GetBlocks, encode_blocks
from lazai_core.runtime.gossip.wants import Waiting
from lazai_core.runtime.gossip.wire import Topic
from lazai_core.testing.parts import KnownIdentity
from tests.unit.runtime.gossip.rig import DELAY_S, Mesh, Node, Stranger, certificate_of, make_block, run

SMALL_BYTES = 4096


def narrow(mesh: Mesh, bytes_per_s: float) -> None:
    """Each node's line carries so many bytes a second, in order; what is small finds its way past them."""
    wires, free = mesh.wires, dict[PeerId, float]()

    def carry(receiver: PeerId, envelope: Envelope) -> bool:
        if (envelope.sender, receiver) not in wires._joined:
            return False
        loop = asyncio.get_running_loop()
        size = len(envelope.payload)
        wires.sent_bytes[envelope.topic] += size
        start = loop.time() if size < SMALL_BYTES else max(loop.time(), free.get(receiver, 0.0))
        if size >= SMALL_BYTES:
            free[receiver] = start + size / bytes_per_s
        wires._order += 1
        loop.call_at(
            start + size / bytes_per_s + DELAY_S + wires._order * 1e-9, wires._deliver, receiver, envelope
        )
        return True

    wires.carry = carry  # type: ignore[method-assign]


def of_size(mebibytes: float) -> list[bytes]:
    return [Random(1).randbytes(int(mebibytes * (1 << 20)) // 4)] * 4


@pytest.mark.parametrize(
    ("count", "mebibytes", "megabytes_per_s", "nodes"),
    [
        (3, 6, 2.0, 3),
        (40, 1.2, 10.0, 3),
        (12, 6, 10.0, 3),
        (4, 6, 2.0, 2),
        (2, 30, 10.0, 4),
        (2, 4, 0.2, 7),
        (60, 1.2, 1000.0, 2),
    ],
)
def test_blocks_above_an_envelope_come_as_fast_as_the_line(
    count: int, mebibytes: float, megabytes_per_s: float, nodes: int
) -> None:
    """Each was asked for anew all the time, so that copies filled the line and honest peers were blamed."""

    async def work() -> None:
        mesh = Mesh(4, nodes=nodes)
        blocks = mesh.extend(count, list(range(nodes - 1)), transactions=of_size(mebibytes))
        narrow(mesh, megabytes_per_s * 1e6)
        line_s = sum(len(block.encode()) for block in blocks) / megabytes_per_s / 1e6
        async with mesh:
            late = mesh.nodes[-1]
            # A server gives no more than so many parts a second, and cutting a block counts as much as giving it.
            at_least_s = 1 + 2 * len(blocks[0].encode()) * count / PART_BYTES / late.gossip.options.parts_served_rate
            await asyncio.sleep(1.5 * max(line_s, at_least_s))

            assert late.chain.head == blocks[-1]
            assert all(node.faults == [] for node in mesh.nodes)
            assert mesh.wires.sent_bytes[Topic.PART] < 1.5 * line_s * megabytes_per_s * 1e6

    run(work)


def test_a_few_large_blocks_are_under_way_at_once_and_the_lowest_come_first() -> None:
    async def work() -> None:
        mesh = Mesh(4, nodes=4)
        blocks = mesh.extend(100, [0, 1, 2], transactions=of_size(1.2))
        narrow(mesh, 4e6)
        async with mesh:
            late = mesh.nodes[3]
            for _ in range(60):
                await asyncio.sleep(0.1)
                wanted = [blocks.index(one) + 1 for one in blocks if one.hash in late.gossip.blocks._wants]
                assert set(wanted) <= {late.host.height, late.host.height + 1}
                assert late.gossip.blocks.size_bytes < 12 << 20
            assert late.host.height > 15
            assert mesh.wires.sent[Topic.GET_BLOCKS] < 100

    run(work)


def test_small_blocks_behind_and_between_large_ones_come_too() -> None:
    async def work() -> None:
        mesh = Mesh(4, nodes=3)
        for number in range(12):
            large = mesh.extend(1 + number % 2, [0, 1], transactions=of_size(1.5))
            small = mesh.extend(30 * (number % 3), [0, 1])
        async with mesh:
            late = mesh.nodes[2]
            await asyncio.sleep(10)

            assert late.chain.head == (small or large)[-1] == mesh.nodes[0].chain.head
            assert all(node.faults == [] for node in mesh.nodes)

    run(work)


def test_who_claims_a_large_block_with_a_forged_certificate_is_found_out_at_once() -> None:
    """The height stood still for a minute, and then for another."""

    async def work() -> None:
        mesh = Mesh(4, nodes=3, joined=lambda one, other: False)
        blocks = mesh.extend(300, [0, 1])
        async with mesh:
            node = mesh.nodes[2]
            liar = Stranger(mesh, 9)
            await liar.meet(node, height=301)
            for each in mesh.nodes[:2]:
                mesh.wires.join(each.peer, node.peer)
            told = 0
            for _ in range(300):
                await asyncio.sleep(0.01)
                for request in [GetBlocks.decode(payload) for payload in liar.got(Topic.GET_BLOCKS)][told:]:
                    told += 1
                    forged = evolve(certificate_of(blocks[request.start - 1], 4), block_id=b"\x07" * 32)
                    liar.send(node, Topic.BLOCKS, encode_blocks(request.request, [(forged.encode(), b"")]))

            assert told
            assert node.chain.head == blocks[-1]
            assert set(liar.faults_at(node)) == {PeerFault.FORGED_CERTIFICATE}
            assert len(node.faults) == len(liar.faults_at(node)), "nobody else is blamed"

    run(work)


def test_a_right_certificate_of_a_small_block_costs_one_question_more() -> None:
    """Whoever says that it is too large for an answer has it asked for in parts, of everybody."""

    async def work() -> None:
        mesh = Mesh(4, nodes=2, joined=lambda one, other: False)
        blocks = mesh.extend(3, [0])
        async with mesh:
            holder, node = mesh.nodes
            liar = Stranger(mesh, 9)
            await liar.meet(node, height=4)
            mesh.wires.join(holder.peer, node.peer)
            (request,) = [GetBlocks.decode(payload) for payload in liar.got(Topic.GET_BLOCKS)]
            right = certificate_of(blocks[0], 4)
            liar.send(node, Topic.BLOCKS, encode_blocks(request.request, [(right.encode(), b"")]))
            await asyncio.sleep(5)

            assert node.chain.head == blocks[-1]

    run(work)


def test_a_wanted_proposal_that_turns_out_to_be_decided_is_delivered_as_such() -> None:
    async def work() -> None:
        mesh = Mesh(4, nodes=2)
        blocks = mesh.extend(2, [0], transactions=of_size(12))
        narrow(mesh, 4e6)
        async with mesh:
            late = mesh.nodes[1]
            late.gossip.want_block(blocks[0].height, blocks[0].hash)
            await asyncio.sleep(10)

            assert late.chain.head == blocks[-1]
            assert [block for _, block in late.host.blocks] == blocks[:1], "it was proposed, too"
            assert late.faults == []

    run(work)


def decided_far_ahead(node: Node, signer: int = 1) -> tuple[Block, PartSet]:
    block = make_block(make_block(make_block(node.chain.head)), proposer=signer, transactions=of_size(0.5))
    return block, PartSet.of(block, KnownIdentity(signer).sign)


def test_parts_that_were_asked_for_and_come_late_are_nobodys_fault() -> None:
    async def work() -> None:
        async with Mesh(4, nodes=1) as mesh:
            (node,) = mesh.nodes
            peer = Stranger(mesh, 1)
            await peer.meet(node, height=4)
            block, parts = decided_far_ahead(node)
            node.gossip.blocks.want(block.height, block.hash, first=peer.peer, waiting=Waiting.SYNC)
            await asyncio.sleep(0.05)
            assert [WantParts.decode(payload).block_id for payload in peer.got(Topic.WANT_PARTS)] == [block.hash]
            node.gossip.blocks.unwant(block.hash, Waiting.SYNC)
            peer.send(node, Topic.PART, parts.part(0).encode())
            await asyncio.sleep(0.05)
            assert peer.faults_at(node) == []
            assert len(node.gossip.blocks) == 0

            stranger = Stranger(mesh, 2)
            await stranger.meet(node)
            stranger.send(node, Topic.PART, parts.part(0).encode())
            await asyncio.sleep(0.05)
            assert stranger.faults_at(node) == [PeerFault.FAR_HEIGHT]

    run(work)


def test_the_next_height_takes_the_room_of_later_ones() -> None:
    async def work() -> None:
        async with Mesh(4, nodes=1, options=GossipOptions(parts_bytes_max=8 * PART_BYTES)) as mesh:
            (node,) = mesh.nodes
            peer = Stranger(mesh, 1)
            await peer.meet(node, height=4)
            far, far_parts = decided_far_ahead(node)
            near = make_block(node.chain.head, proposer=1, transactions=of_size(0.4))
            near_parts = PartSet.of(near, KnownIdentity(1).sign)
            for block in (far, near):
                node.gossip.blocks.want(block.height, block.hash)
            for parts in (far_parts, near_parts):
                for index in range(len(parts.pieces) - (parts is far_parts)):
                    peer.send(node, Topic.PART, parts.part(index).encode())
            await asyncio.sleep(0.1)

            assert [block for _, block in node.host.blocks] == [near]
            assert node.gossip.blocks.size_bytes <= 8 * PART_BYTES

    run(work)


def test_a_peer_that_stops_in_the_middle_of_an_answer_is_replaced_in_a_second() -> None:
    async def work() -> None:
        async with Mesh(4, nodes=2) as mesh:
            holder, node = mesh.nodes
            block = make_block(holder.chain.head, transactions=of_size(4))
            holder.host.drafts[block.hash] = block
            silent = Stranger(mesh, 1 + 8)
            await silent.meet(node, height=2)
            assert node.gossip.blocks.want(Height(1), block.hash, first=silent.peer)
            await asyncio.sleep(1.5)

            assert [each for _, each in node.host.blocks] == [block]

    run(work)


def test_cutting_stored_blocks_counts_as_much_as_giving_them() -> None:
    """Each request for another old block had it read, decoded and cut, fifty times a second, for whoever asked."""

    async def work() -> None:
        mesh = Mesh(4, nodes=1)
        blocks = mesh.extend(150, [0], transactions=of_size(1))
        async with mesh:
            (node,) = mesh.nodes
            cuts: list[Block] = []
            read = node.chain.history.block_bytes
            node.chain.history.block_bytes = lambda height: (  # type: ignore[method-assign]
                cuts.append(height) or read(height)  # type: ignore[func-returns-value]
            )
            peer = Stranger(mesh, 9)
            await peer.meet(node, height=1)
            for block in blocks:
                request = WantParts(height=block.height, block_id=block.hash)
                peer.send(node, Topic.WANT_PARTS, request.encode())
            await asyncio.sleep(0.1)

            most = 2 * node.gossip.options.parts_served_rate
            assert 0 < len(cuts) <= most / (16 + 16) + 1
            assert len(peer.got(Topic.PART)) <= most / 2 + 17
            assert peer.faults_at(node) == []

    run(work)


def test_asking_stays_below_what_an_honest_peer_allows() -> None:
    async def work() -> None:
        mesh = Mesh(4, nodes=2)
        silent = mesh.nodes[0]
        blocks = [make_block(silent.chain.head, extra=bytes([number])) for number in range(60)]
        async with mesh:
            for block in blocks:
                mesh.nodes[1].gossip.want_block(block.height, block.hash)
            await asyncio.sleep(60)

            assert mesh.wires.sent[Topic.WANT_PARTS] > 200
            assert silent.faults == []

    run(work)
