"""Blocks travel in signed parts; what is missing is asked for, and a wrong part is its sender's fault."""

from __future__ import annotations

import asyncio
from random import Random

import pytest
from attrs import evolve

from lazai_core.api.merkle import merkle_tree
from lazai_core.api.network import PeerFault
from lazai_core.chain.block import Block
from lazai_core.runtime.gossip import GossipOptions
from lazai_core.runtime.gossip.part_set import PART_BYTES, PartSet, WantParts, parts_digest
from lazai_core.runtime.gossip.wants import WANTED_MAX, Waiting
from lazai_core.runtime.gossip.wire import Topic
from lazai_core.testing.parts import KnownIdentity
from tests.unit.runtime.gossip.rig import Mesh, Node, Stranger, make_block, run


def large_block(node: Node, parts: int, *, proposer: int = 0, seed: int = 0) -> Block:
    random = Random(seed)
    transactions = [random.randbytes(PART_BYTES - 600) for _ in range(parts)]
    return make_block(node.chain.head, proposer=proposer, transactions=transactions)


def arrived(node: Node) -> list[Block]:
    return [block for _, block in node.host.blocks]


def parts_of(block: Block, signer: int | None = 0) -> PartSet:
    return PartSet.of(block, None if signer is None else KnownIdentity(signer).sign)


@pytest.mark.parametrize("parts", [0, 3, 40])
def test_a_block_reaches_everybody(parts: int) -> None:
    async def work() -> None:
        async with Mesh(7) as mesh:
            await asyncio.sleep(1)
            block = large_block(mesh.nodes[0], parts)
            mesh.nodes[0].gossip.send_block(block)
            await asyncio.sleep(0.1)

            assert [arrived(node) for node in mesh.nodes[1:]] == [[block]] * 6
            assert arrived(mesh.nodes[0]) == []
            assert all(node.faults == [] for node in mesh.nodes)

    run(work)


def test_a_proposer_of_a_large_block_sends_each_part_once() -> None:
    async def work() -> None:
        async with Mesh(7) as mesh:
            await asyncio.sleep(1)
            block = large_block(mesh.nodes[0], 60)
            mesh.nodes[0].gossip.send_block(block)
            sent = mesh.wires.sent[Topic.PART]
            await asyncio.sleep(0.1)

            assert sent == len(parts_of(block).pieces)
            assert mesh.wires.sent[Topic.PART] == 6 * sent
            assert mesh.wires.sent[Topic.WANT_PARTS] == 0
            assert [arrived(node) for node in mesh.nodes[1:]] == [[block]] * 6

    run(work)


@pytest.mark.parametrize("shape", ["ring", "line", "star"])
def test_a_block_crosses_a_network_that_is_no_full_mesh(shape: str) -> None:
    joined = {
        "ring": lambda one, other: other - one in (1, 8),
        "line": lambda one, other: other - one == 1,
        "star": lambda one, other: one == 4 or other == 4,
    }[shape]

    async def work() -> None:
        async with Mesh(9, joined=joined) as mesh:
            await asyncio.sleep(1)
            block = large_block(mesh.nodes[0], 100)
            mesh.nodes[0].gossip.send_block(block)
            await asyncio.sleep(0.3)

            assert [arrived(node) for node in mesh.nodes[1:]] == [[block]] * 8

    run(work)


def test_lost_parts_are_asked_for() -> None:
    async def work() -> None:
        async with Mesh(5, seed=3) as mesh:
            await asyncio.sleep(1)
            block = large_block(mesh.nodes[0], 40)
            mesh.wires.loss_per_mille = 300
            mesh.nodes[0].gossip.send_block(block)
            for node in mesh.nodes[1:]:
                node.gossip.want_block(block.height, block.hash)
            await asyncio.sleep(20)

            assert [arrived(node) for node in mesh.nodes[1:]] == [[block]] * 4
            assert mesh.wires.sent[Topic.WANT_PARTS] > 0
            assert all(node.faults == [] for node in mesh.nodes)

    run(work)


def test_a_wanted_block_comes_from_a_peer_that_holds_it_without_its_signature() -> None:
    """After a restart a node holds others' blocks, but no longer the parts as they were signed."""

    async def work() -> None:
        async with Mesh(4) as mesh:
            block = large_block(mesh.nodes[0], 5, proposer=3)
            mesh.nodes[1].host.drafts[block.hash] = block
            mesh.nodes[2].gossip.want_block(block.height, block.hash)
            await asyncio.sleep(3)

            assert arrived(mesh.nodes[2]) == [block]
            assert all(node.faults == [] for node in mesh.nodes)

    run(work)


def test_a_block_proposed_again_by_another_goes_out_with_the_first_signature() -> None:
    async def work() -> None:
        async with Mesh(4, joined=lambda one, other: other < 3) as mesh:
            await asyncio.sleep(1)
            block = large_block(mesh.nodes[0], 2)
            mesh.nodes[0].gossip.send_block(block)
            await asyncio.sleep(0.1)
            mesh.wires.join(mesh.nodes[3].peer, mesh.nodes[1].peer)
            await asyncio.sleep(0.1)
            mesh.nodes[1].gossip.send_block(block)
            await asyncio.sleep(0.1)

            assert arrived(mesh.nodes[3]) == [block]
            assert [peer for peer, _ in mesh.nodes[3].host.blocks] == [mesh.nodes[0].peer], "the proposer vouches"

    run(work)


def test_a_wrong_part_is_blamed_on_its_sender_and_the_block_arrives_nevertheless() -> None:
    async def work() -> None:
        async with Mesh(4, nodes=2) as mesh:
            node, proposer = mesh.nodes
            liar = Stranger(mesh, 9)
            await liar.meet(node)
            block = large_block(node, 3, proposer=1)
            parts = parts_of(block, 1)
            liar.send(node, Topic.PART, evolve(parts.part(0), data=b"wrong").encode())
            liar.send(node, Topic.PART, evolve(parts.part(1), index=2).encode())
            liar.send(node, Topic.PART, evolve(parts.part(1), path=()).encode())
            await asyncio.sleep(0.05)
            proposer.gossip.send_block(block)
            await asyncio.sleep(0.1)

            assert liar.faults_at(node) == [PeerFault.WRONG_PART] * 3
            assert arrived(node) == [block]

    run(work)


def test_forged_parts_are_blamed_by_name() -> None:
    async def work() -> None:
        async with Mesh(4, nodes=1) as mesh:
            (node,) = mesh.nodes
            liar = Stranger(mesh, 9)
            await liar.meet(node)
            near = large_block(node, 1, proposer=1)
            far = make_block(make_block(near), proposer=1)
            nobodys = large_block(node, 1, proposer=55)
            for part in (
                parts_of(near, 2).part(0),
                evolve(parts_of(near, 1).part(0), signature=bytes(65)),
                parts_of(far, 1).part(0),
                parts_of(nobodys, 55).part(0),
                parts_of(near, None).part(0),
            ):
                liar.send(node, Topic.PART, part.encode())
            liar.send(node, Topic.PART, b"part")
            await asyncio.sleep(0.1)

            assert liar.faults_at(node) == [
                PeerFault.BAD_SIGNATURE,
                PeerFault.BAD_SIGNATURE,
                PeerFault.FAR_HEIGHT,
                PeerFault.UNKNOWN_KEY,
                PeerFault.UNASKED_ANSWER,
                PeerFault.UNDECODABLE,
            ]
            assert len(node.gossip.blocks) == 0

    run(work)


def test_a_proposer_with_many_blocks_costs_bounded_memory() -> None:
    async def work() -> None:
        options = GossipOptions(parts_bytes_max=6 * PART_BYTES, blocks_per_proposer_max=4)
        async with Mesh(4, nodes=1, options=options) as mesh:
            (node,) = mesh.nodes
            liar = Stranger(mesh, 1)
            await liar.meet(node)
            for seed in range(30):
                for who in (1, 2):
                    parts = parts_of(large_block(node, 4, proposer=who, seed=seed), who)
                    for index in range(len(parts.pieces)):
                        liar.send(node, Topic.PART, parts.part(index).encode())
            await asyncio.sleep(0.1)
            assert len(node.gossip.blocks) <= 8
            assert node.gossip.blocks.size_bytes <= 6 * PART_BYTES

            node.host.chain.commit(make_block(node.chain.head), b"x")
            node.gossip.height_started(node.host.height)
            assert len(node.gossip.blocks) == 0
            assert node.gossip.blocks.size_bytes == 0

    run(work)


def test_a_body_that_does_not_fit_its_header_never_takes_the_place_of_the_right_one() -> None:
    """A proposer may sign a second root over parts of the same header, with another body."""

    async def work() -> None:
        async with Mesh(4, nodes=1) as mesh:
            (node,) = mesh.nodes
            liar = Stranger(mesh, 1)
            await liar.meet(node)
            block = large_block(node, 1, proposer=1)
            wrong = evolve(block, transactions=(b"another",))
            node.gossip.want_block(block.height, block.hash)
            for each in (wrong, block):
                parts = parts_of(each, 1)
                for index in range(len(parts.pieces)):
                    liar.send(node, Topic.PART, parts.part(index).encode())
            await asyncio.sleep(0.1)

            assert arrived(node) == [block]

    run(work)


def test_who_answers_with_an_unsigned_block_that_does_not_fit_is_blamed() -> None:
    async def work() -> None:
        async with Mesh(4, nodes=1) as mesh:
            (node,) = mesh.nodes
            liar = Stranger(mesh, 1)
            await liar.meet(node)
            block = large_block(node, 1, proposer=2)
            node.gossip.want_block(block.height, block.hash)
            await asyncio.sleep(0.3)
            assert liar.got(Topic.WANT_PARTS)
            parts = parts_of(evolve(block, transactions=(b"another",)), None)
            liar.send(node, Topic.PART, parts.part(0).encode())
            await asyncio.sleep(0.1)

            assert liar.faults_at(node) == [PeerFault.INVALID_BLOCK]
            assert arrived(node) == []

    run(work)


def second_root(block: Block, signer: int) -> PartSet:
    """What a faulty proposer signs beside the true root: two parts, of which it gives one."""
    pieces = (b"x" * 100, b"y" * 100)
    root, paths = merkle_tree(pieces)
    return PartSet(
        block_id=block.hash,
        height=block.height,
        header=block.header.encode(),
        root=root,
        pieces=pieces,
        paths=paths,
        signature=KnownIdentity(signer).sign(parts_digest(block.hash, root, len(pieces))),
    )


@pytest.mark.parametrize("loss", [0, 100])
@pytest.mark.parametrize("feeds", [False, True])
def test_a_second_root_with_fewer_parts_does_not_keep_a_large_block_away(loss: int, *, feeds: bool) -> None:
    """It was the root of which fewest parts were missing, and was asked for, for ever; others gave the first 32."""

    async def work() -> None:
        async with Mesh(4, nodes=3, seed=5) as mesh:
            one, victim, other = mesh.nodes
            block = large_block(one, 80, proposer=3)
            for node in (one, other):
                node.host.drafts[block.hash] = block
            liar = Stranger(mesh, 3)
            for node in mesh.nodes:
                await liar.meet(node)
                liar.send(node, Topic.PART, second_root(block, 3).part(0).encode())
            await asyncio.sleep(0.05)
            mesh.wires.loss_per_mille = loss
            victim.gossip.want_block(block.height, block.hash)
            for _ in range(200):
                await asyncio.sleep(0.1)
                if feeds:
                    # A part of the true root now and then makes it look like one that knows it.
                    index = mesh.wires.random.randrange(80)
                    liar.send(victim, Topic.PART, parts_of(block, 3).part(index).encode())

            assert arrived(victim) == [block]
            assert victim.faults == []

    run(work)


def test_who_waits_for_one_block_is_told_each_and_gives_up_each_for_itself() -> None:
    """The host's want of a proposal hid that of the decided block, which then never came."""

    async def work() -> None:
        async with Mesh(4, nodes=2) as mesh:
            holder, node = mesh.nodes
            blocks = [large_block(holder, 3, seed=seed) for seed in range(3)]
            told: list[Block] = []
            for block in blocks:
                node.gossip.want_block(block.height, block.hash)
                assert node.gossip.blocks.want(
                    block.height, block.hash, lambda peer, each: told.append(each), waiting=Waiting.SYNC
                )
            node.gossip.blocks.unwant(blocks[1].hash)
            node.gossip.blocks.unwant(blocks[2].hash, Waiting.SYNC)
            for block in blocks:
                holder.host.drafts[block.hash] = block
            await asyncio.sleep(3)

            assert sorted(told, key=blocks.index) == blocks[:2]
            assert sorted(arrived(node), key=blocks.index) == [blocks[0], blocks[2]]
            for block in (large_block(holder, 3, seed=seed) for seed in range(3, 3 + WANTED_MAX)):
                assert node.gossip.blocks.want(block.height, block.hash)
            assert not node.gossip.blocks.want(holder.chain.head.height, holder.chain.head.hash)

    run(work)


def test_requests_for_parts_in_a_flood_are_blamed_and_answered_in_bounds() -> None:
    async def work() -> None:
        options = GossipOptions(parts_served_rate=10)
        async with Mesh(4, nodes=1, options=options) as mesh:
            (node,) = mesh.nodes
            liar = Stranger(mesh, 1)
            block = large_block(node, 40)
            node.host.drafts[block.hash] = block
            await liar.meet(node)
            for _ in range(300):
                liar.send(node, Topic.WANT_PARTS, WantParts(height=block.height, block_id=block.hash).encode())
            await asyncio.sleep(0.1)

            assert len(liar.got(Topic.PART)) <= 22
            assert set(liar.faults_at(node)) == {PeerFault.FLOOD}

    run(work)


def test_a_want_ends_with_its_height() -> None:
    async def work() -> None:
        async with Mesh(4, nodes=1) as mesh:
            (node,) = mesh.nodes
            silent = Stranger(mesh, 1)
            await silent.meet(node)
            block = make_block(node.chain.head)
            node.gossip.want_block(block.height, block.hash)
            await asyncio.sleep(1)
            node.chain.commit(block, b"x")
            node.gossip.height_started(node.host.height)
            asked = len(silent.got(Topic.WANT_PARTS))
            await asyncio.sleep(10)

            assert len(silent.got(Topic.WANT_PARTS)) == asked > 0

    run(work)
