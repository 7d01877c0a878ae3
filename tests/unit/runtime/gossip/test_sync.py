"""Decided blocks: fetched from several peers, whoever of them lies, is slow or leaves."""

from __future__ import annotations

import asyncio
from random import Random

from attrs import evolve

from lazai_core.api.network import PeerFault
from lazai_core.api.types import Height
from lazai_core.chain.block import Block
from lazai_core.runtime.gossip import GossipOptions
from lazai_core.runtime.gossip.sync_wire import Blocks, GetBlocks, encode_blocks
from lazai_core.runtime.gossip.wire import Topic
from tests.unit.runtime.gossip.rig import Mesh, Node, Stranger, certificate_of, make_block, message_of, run


def asked(stranger: Stranger) -> list[GetBlocks]:
    return [GetBlocks.decode(payload) for payload in stranger.got(Topic.GET_BLOCKS)]


def answer(stranger: Stranger, node: Node, request: GetBlocks, blocks: list[Block], count: int = 4) -> None:
    found = [(certificate_of(block, count).encode(), block.encode()) for block in blocks]
    stranger.send(node, Topic.BLOCKS, encode_blocks(request.request, found))


def chain_of(mesh: Mesh, length: int) -> list[Block]:
    """Blocks that no node has."""
    blocks = [mesh.nodes[0].chain.head]
    for _ in range(length):
        blocks.append(make_block(blocks[-1]))
    return blocks[1:]


def test_a_node_that_was_away_catches_up_from_several_peers() -> None:
    async def work() -> None:
        mesh = Mesh(4)
        blocks = mesh.extend(700, [0, 1, 2])
        async with mesh:
            late = mesh.nodes[3]
            await asyncio.sleep(3)

            assert late.chain.head == blocks[-1]
            assert [block for _, block, _ in late.host.decided] == blocks, "in order, each once"
            givers = {peer for peer, _, _ in late.host.decided}
            assert givers == {node.peer for node in mesh.nodes[:3]}
            assert all(node.faults == [] for node in mesh.nodes)
            assert len(late.gossip.sync) == late.gossip.sync.size_bytes == 0

    run(work)


def test_large_blocks_come_in_parts() -> None:
    async def work() -> None:
        mesh = Mesh(4, nodes=2)
        random = Random(1)
        transactions = [random.randbytes(300_000) for _ in range(12)]
        blocks = mesh.extend(5, [0], transactions=transactions)
        async with mesh:
            late = mesh.nodes[1]
            await asyncio.sleep(5)

            assert late.chain.head == blocks[-1]
            assert late.faults == []

    run(work)


def test_a_peer_that_has_given_all_that_it_gives_in_a_second_breaks_no_promise() -> None:
    """Its empty answers came three in a row, within milliseconds."""

    async def work() -> None:
        mesh = Mesh(4, nodes=2, options=GossipOptions(parts_served_rate=60))
        blocks = mesh.extend(600, [0])
        async with mesh:
            late = mesh.nodes[1]
            await asyncio.sleep(15)

            assert late.chain.head == blocks[-1]
            assert all(node.faults == [] for node in mesh.nodes)

    run(work)


def test_a_peer_one_height_ahead_is_asked_only_when_the_height_lasts() -> None:
    async def work() -> None:
        mesh = Mesh(4, nodes=2)
        mesh.extend(1, [0])
        async with mesh:
            late = mesh.nodes[1]
            await asyncio.sleep(0.2)
            assert mesh.wires.sent[Topic.GET_BLOCKS] == 0
            await asyncio.sleep(0.5)
            assert late.host.height == 2

    run(work)


def test_cve_2025_24371_a_peer_that_claims_x_and_then_less_does_not_keep_a_node_syncing() -> None:
    """CometBFT: the greatest height ever claimed stayed the target, so that blocksync never ended."""

    async def work() -> None:
        mesh = Mesh(4, nodes=2)
        blocks = mesh.extend(3, [0])
        async with mesh:
            node = mesh.nodes[1]
            liar = Stranger(mesh, 9)
            await liar.meet(node, height=1_000_000)
            liar.tell(node, 2)
            await asyncio.sleep(3)

            assert node.chain.head == blocks[-1]
            assert not node.gossip.sync.is_syncing
            assert PeerFault.BROKEN_PROMISE in liar.faults_at(node)

    run(work)


def test_cve_2025_24371_a_peer_that_claims_x_and_gives_nothing_does_not_keep_a_node_syncing() -> None:
    async def work() -> None:
        mesh = Mesh(4, nodes=2)
        blocks = mesh.extend(3, [0])
        async with mesh:
            node = mesh.nodes[1]
            liar = Stranger(mesh, 9)
            await liar.meet(node, height=1_000_000)
            await asyncio.sleep(30)

            assert node.chain.head == blocks[-1]
            assert PeerFault.BROKEN_PROMISE in liar.faults_at(node)
            assert not node.gossip.sync.is_syncing

    run(work)


def test_late_answers_do_not_get_honest_peers_killed() -> None:
    """CometBFT v0.40.0: an answer after the time-out counted as unasked, and the peer was dropped for it."""

    async def work() -> None:
        mesh = Mesh(4, nodes=1)
        blocks = chain_of(mesh, 3)
        async with mesh:
            (node,) = mesh.nodes
            slow = Stranger(mesh, 9)
            await slow.meet(node, height=4)
            (request,) = asked(slow)
            await asyncio.sleep(5)
            answer(slow, node, request, blocks)
            await asyncio.sleep(0.1)

            assert slow.faults_at(node) == []
            assert node.chain.head == blocks[-1]

    run(work)


def test_a_peer_that_is_always_late_stays_a_source() -> None:
    """It may be this node that stood still, and saw its timers before the answers that had come meanwhile."""

    async def work() -> None:
        options = GossipOptions(sync_batch=1, sync_requests_per_peer=1)
        mesh = Mesh(4, nodes=1, options=options)
        blocks = chain_of(mesh, 8)
        async with mesh:
            (node,) = mesh.nodes
            slow = Stranger(mesh, 9)
            await slow.meet(node, height=9)
            waiting: list[tuple[float, GetBlocks]] = []
            heard_of = 0
            for tenths in range(900):
                for request in asked(slow)[heard_of:]:
                    waiting.append((tenths / 10 + 4.5, request))
                    heard_of += 1
                while waiting and waiting[0][0] <= tenths / 10:
                    request = waiting.pop(0)[1]
                    answer(slow, node, request, blocks[request.start - 1 : request.start])
                await asyncio.sleep(0.1)

            assert slow.faults_at(node) == []
            assert node.chain.head == blocks[-1]

    run(work)


def test_an_answer_that_nobody_asked_for_is_blamed_and_so_is_a_second_one() -> None:
    async def work() -> None:
        mesh = Mesh(4, nodes=1)
        blocks = chain_of(mesh, 2)
        async with mesh:
            (node,) = mesh.nodes
            liar = Stranger(mesh, 9)
            await liar.meet(node, height=1)
            unasked = GetBlocks(request=77, start=Height(1), count=1)
            answer(liar, node, unasked, blocks[:1])
            await asyncio.sleep(0.1)
            assert liar.faults_at(node) == [PeerFault.UNASKED_ANSWER]
            assert node.chain.head.height == 0

            liar.tell(node, 3)
            await asyncio.sleep(0.1)
            (request,) = asked(liar)
            for _ in range(2):
                answer(liar, node, request, blocks)
            await asyncio.sleep(0.1)
            assert liar.faults_at(node) == [PeerFault.UNASKED_ANSWER] * 2
            assert node.chain.head == blocks[-1]

    run(work)


def test_wrong_blocks_are_blamed_on_who_gave_them_and_come_from_others() -> None:
    async def work() -> None:
        mesh = Mesh(4, nodes=2)
        blocks = mesh.extend(8, [0])
        async with mesh:
            node = mesh.nodes[1]
            await asyncio.sleep(2)
            assert node.chain.head == blocks[-1]

    async def lies(kind: str, fault: PeerFault) -> None:
        mesh = Mesh(4, nodes=1)
        blocks = chain_of(mesh, 3)
        async with mesh:
            (node,) = mesh.nodes
            liar, honest = Stranger(mesh, 9), Stranger(mesh, 8)
            await liar.meet(node, height=4)
            (request,) = asked(liar)
            wrong = list(blocks)
            if kind == "other block":
                wrong[1] = make_block(blocks[0], extra=b"other")
                answer(liar, node, request, wrong)
            elif kind == "other heights":
                answer(liar, node, request, wrong[1:])
            elif kind == "other certificate":
                found = [(certificate_of(block, 3).encode(), block.encode()) for block in blocks]
                liar.send(node, Topic.BLOCKS, encode_blocks(request.request, found))
            else:
                found = [(certificate_of(blocks[2], 4).encode(), block.encode()) for block in blocks]
                liar.send(node, Topic.BLOCKS, encode_blocks(request.request, found))
            await asyncio.sleep(0.1)
            if kind == "other block":
                # Its certificate is right, only that nobody signed it here: the next one does not follow it.
                assert node.chain.head.height in (0, 2)
            assert fault in liar.faults_at(node)
            if node.chain.head.height:
                return
            await honest.meet(node, height=4)
            await asyncio.sleep(5)
            for each in asked(honest):
                answer(honest, node, each, blocks[each.start - 1 : each.start - 1 + each.count])
            await asyncio.sleep(0.1)
            assert node.chain.head == blocks[-1]
            assert honest.faults_at(node) == []

    run(work)
    run(lambda: lies("other block", PeerFault.INVALID_BLOCK))
    run(lambda: lies("other heights", PeerFault.INVALID_BLOCK))
    run(lambda: lies("other certificate", PeerFault.FORGED_CERTIFICATE))
    run(lambda: lies("another's certificate", PeerFault.UNDECODABLE))


def test_a_decided_block_with_another_body_comes_from_somebody_else() -> None:
    """The header's hash does not show it: the host finds it out, and says so with the name of a wrong part."""

    async def work() -> None:
        mesh = Mesh(4, nodes=1)
        blocks = chain_of(mesh, 3)
        async with mesh:
            (node,) = mesh.nodes
            liar, honest = Stranger(mesh, 9), Stranger(mesh, 8)
            node.host.refuse = lambda block, certificate: None if block in blocks else PeerFault.WRONG_PART
            await liar.meet(node, height=4)
            (request,) = asked(liar)
            answer(liar, node, request, [blocks[0], evolve(blocks[1], transactions=(b"other",)), blocks[2]])
            await honest.meet(node, height=4)
            await asyncio.sleep(1)
            assert node.chain.head == blocks[0]
            for each in asked(honest):
                answer(honest, node, each, blocks[each.start - 1 : each.start - 1 + each.count])
            await asyncio.sleep(0.1)

            assert liar.faults_at(node) == [PeerFault.WRONG_PART]
            assert node.chain.head == blocks[-1]

    run(work)


def test_a_claimed_large_block_that_never_comes_is_given_up() -> None:
    async def work() -> None:
        mesh = Mesh(4, nodes=1)
        blocks = chain_of(mesh, 1)
        async with mesh:
            (node,) = mesh.nodes
            liar, honest = Stranger(mesh, 9), Stranger(mesh, 8)
            await liar.meet(node, height=2)
            await asyncio.sleep(0.6)
            (request,) = asked(liar)
            withheld = certificate_of(make_block(node.chain.head, extra=b"withheld"), 4)
            liar.send(node, Topic.BLOCKS, encode_blocks(request.request, [(withheld.encode(), b"")]))
            await honest.meet(node, height=2)
            await asyncio.sleep(70)
            assert PeerFault.BROKEN_PROMISE in liar.faults_at(node)
            for each in asked(honest):
                answer(honest, node, each, blocks)
            await asyncio.sleep(0.1)
            assert node.chain.head == blocks[-1]

    run(work)


def test_a_peer_that_leaves_in_the_middle_is_replaced() -> None:
    async def work() -> None:
        mesh = Mesh(4, nodes=2)
        blocks = mesh.extend(400, [0])
        async with mesh:
            node = mesh.nodes[1]
            await asyncio.sleep(0.01)
            mesh.wires.part(mesh.nodes[0].peer, node.peer)
            await asyncio.sleep(0.5)
            mesh.wires.join(mesh.nodes[0].peer, node.peer)
            await asyncio.sleep(2)

            assert node.chain.head == blocks[-1]
            assert node.faults == []

    run(work)


def test_what_the_host_lost_is_handed_over_again() -> None:
    async def work() -> None:
        mesh = Mesh(4, nodes=2)
        blocks = mesh.extend(4, [0])
        node = mesh.nodes[1]
        hears = node.host.decided_arrived
        node.host.decided_arrived = lambda peer, block, certificate: None
        async with mesh:
            await asyncio.sleep(2)
            assert node.chain.head.height == 0
            node.host.decided_arrived = hears
            await asyncio.sleep(15)

            assert node.chain.head == blocks[-1]
            assert node.faults == []

    run(work)


def test_blocks_that_wait_are_bounded_in_bytes_and_in_number() -> None:
    async def work() -> None:
        options = GossipOptions(sync_window=40, sync_bytes_max=200_000)
        mesh = Mesh(4, nodes=2, options=options)
        mesh.extend(300, [0], transactions=[bytes(10_000)])
        node = mesh.nodes[1]
        node.host.decided_arrived = lambda peer, block, certificate: None
        async with mesh:
            await asyncio.sleep(5)

            assert 0 < len(node.gossip.sync) <= 40
            # One answer for each request that was under way when the bound was reached.
            assert node.gossip.sync.size_bytes <= 200_000 + 3 * (1 << 20)

    run(work)


def test_requests_are_answered_within_bounds() -> None:
    async def work() -> None:
        mesh = Mesh(4, nodes=1)
        blocks = mesh.extend(100, [0], transactions=[bytes(30_000)])
        async with mesh:
            (node,) = mesh.nodes
            peer = Stranger(mesh, 9)
            await peer.meet(node)
            for start in (1, 90, 101, 5000):
                peer.send(node, Topic.GET_BLOCKS, GetBlocks(request=start, start=Height(start), count=64).encode())
            await asyncio.sleep(0.1)
            answers = [Blocks.decode(payload) for payload in peer.got(Topic.BLOCKS)]
            assert [one.request for one in answers] == [1, 90, 101, 5000]
            assert [one.block for one in answers[0].blocks] == blocks[: len(answers[0].blocks)]
            assert 20 < len(answers[0].blocks) < 64, "as many as fit"
            assert [one.block for one in answers[1].blocks] == blocks[89:]
            assert answers[2].blocks == answers[3].blocks == ()

            for number in range(400):
                peer.send(node, Topic.GET_BLOCKS, GetBlocks(request=number, start=Height(1), count=1).encode())
            await asyncio.sleep(0.1)
            assert set(peer.faults_at(node)) == {PeerFault.FLOOD}

    run(work)


def test_a_node_far_behind_hears_no_votes_and_is_not_blamed_for_its_own() -> None:
    async def work() -> None:
        mesh = Mesh(4, nodes=2)
        mesh.extend(30, [0])
        ahead, behind = mesh.nodes
        behind.host.decided_arrived = lambda peer, block, certificate: None
        async with mesh:
            behind.gossip.send_message(message_of(1, 1))
            ahead.gossip.send_message(message_of(0, 31))
            await asyncio.sleep(3)

            assert behind.host.heard == []
            assert ahead.faults == []
            assert behind.faults == []

    run(work)
