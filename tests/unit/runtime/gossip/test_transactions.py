"""Transactions reach every pool once; what no state would take is blamed, what this state refuses is not."""

from __future__ import annotations

import asyncio

from attrs import evolve

from lazai_core.api.network import PeerFault
from lazai_core.chain.transaction import Transaction
from lazai_core.runtime.gossip import GossipOptions
from lazai_core.runtime.gossip.transaction_wire import decode_hashes, encode_hashes, frames_of
from lazai_core.runtime.gossip.wire import Topic
from tests.unit.lazvm import world
from tests.unit.runtime.gossip.pools import Transactions
from tests.unit.runtime.gossip.rig import Mesh, Node, Stranger, run


def mesh_of(count: int, **kind: object) -> Mesh:
    return Mesh(count, ports=lambda: {"transactions": Transactions()}, **kind)  # type: ignore[arg-type]


def pool(node: Node) -> Transactions:
    return node.ports["transactions"]  # type: ignore[no-any-return]


def transfer(number: int, data: bytes = b"") -> Transaction:
    return world.transaction(0, number, to=b"\x01" * 20, data=data)


def frame(*transactions: Transaction) -> bytes:
    (only,) = frames_of([each.raw for each in transactions])
    return only


def test_a_transaction_reaches_every_pool_once() -> None:
    async def work() -> None:
        async with mesh_of(5) as mesh:
            await asyncio.sleep(1)
            pool(mesh.nodes[0]).add(transfer(1))
            await asyncio.sleep(0.5)

            assert [list(pool(node).held) for node in mesh.nodes] == [[transfer(1).hash]] * 5
            assert mesh.wires.sent[Topic.TRANSACTIONS] == 4, "each peer got it from its source alone"

    run(work)


def test_in_a_large_network_most_peers_hear_of_it_and_fetch_it() -> None:
    async def work() -> None:
        async with mesh_of(20) as mesh:
            await asyncio.sleep(1)
            pool(mesh.nodes[0]).add(transfer(1))
            await asyncio.sleep(0.5)

            assert all(pool(node).held for node in mesh.nodes)
            assert mesh.wires.sent[Topic.TRANSACTIONS] == 19
            assert mesh.wires.sent[Topic.GET_TRANSACTIONS] == 19 - 5

    run(work)


def test_transactions_cross_a_line_of_nodes_and_come_back_to_nobody() -> None:
    async def work() -> None:
        async with mesh_of(6, joined=lambda one, other: other - one == 1) as mesh:
            for number in range(1, 21):
                pool(mesh.nodes[number % 6]).add(transfer(number))
            await asyncio.sleep(1)

            assert [len(pool(node).held) for node in mesh.nodes] == [20] * 6
            assert all(len(pool(node).submitted) == len(set(pool(node).submitted)) for node in mesh.nodes)

    run(work)


def test_what_was_lost_is_announced_again_and_who_joins_hears_of_what_waits() -> None:
    async def work() -> None:
        async with mesh_of(4, joined=lambda one, other: other < 3) as mesh:
            mesh.wires.loss_per_mille = 1000
            pool(mesh.nodes[0]).add(transfer(1))
            await asyncio.sleep(0.1)
            mesh.wires.loss_per_mille = 0
            await asyncio.sleep(60)
            assert [len(pool(node).held) for node in mesh.nodes] == [1, 1, 1, 0]

            mesh.wires.join(mesh.nodes[3].peer, mesh.nodes[1].peer)
            await asyncio.sleep(0.1)
            assert len(pool(mesh.nodes[3]).held) == 1

    run(work)


def test_what_no_state_would_take_is_blamed_and_a_stale_nonce_is_not() -> None:
    async def work() -> None:
        async with mesh_of(4, nodes=2) as mesh:
            node, other = mesh.nodes
            liar = Stranger(mesh, 9)
            await liar.meet(node)
            wrong_chain = evolve(transfer(1), chain_id=1).signed(world.KEYS[0])
            too_much_gas = evolve(transfer(1), gas=10**9).signed(world.KEYS[0])
            for each in (wrong_chain, too_much_gas, transfer(0)):
                liar.send(node, Topic.TRANSACTIONS, frame(each))
            (garbage,) = frames_of([b"\x02garbage", b"\x03", b"\xc0"])
            liar.send(node, Topic.TRANSACTIONS, garbage)
            liar.send(node, Topic.TRANSACTIONS, b"\x00\x00\x00\x00")
            await asyncio.sleep(0.2)

            assert sorted(liar.faults_at(node)) == sorted(
                [PeerFault.INVALID_TRANSACTION] * 5 + [PeerFault.UNDECODABLE]
            )
            assert pool(node).submitted == [transfer(0).hash]
            assert pool(other).submitted == []

    run(work)


def test_a_full_pool_forgets_and_takes_it_when_it_comes_again() -> None:
    async def work() -> None:
        async with mesh_of(4, nodes=1) as mesh:
            (node,) = mesh.nodes
            peer = Stranger(mesh, 9)
            await peer.meet(node)
            pool(node).busy = True
            peer.send(node, Topic.TRANSACTIONS, frame(transfer(1)))
            await asyncio.sleep(0.1)
            pool(node).busy = False
            peer.send(node, Topic.TRANSACTIONS, frame(transfer(1)))
            await asyncio.sleep(0.1)

            assert list(pool(node).held) == [transfer(1).hash]
            assert peer.faults_at(node) == []

    run(work)


def test_floods_of_transactions_and_announcements_are_bounded_and_blamed() -> None:
    async def work() -> None:
        options = GossipOptions(
            transaction_rate=50, transactions_queue_max=10, transactions_announced_max=30, transactions_seen_max=100
        )
        async with mesh_of(4, nodes=1, options=options) as mesh:
            (node,) = mesh.nodes
            liar = Stranger(mesh, 9)
            await liar.meet(node)
            room = node.gossip.transactions
            liar.send(node, Topic.TRANSACTIONS, frame(*(transfer(number) for number in range(1, 101))))
            await asyncio.sleep(0.01)
            assert len(pool(node).held) == 10
            for number in range(20):
                hashes = [bytes([number, place]) * 16 for place in range(20)]
                liar.send(node, Topic.ANNOUNCE, encode_hashes(hashes))
            await asyncio.sleep(0.01)
            assert room.announced == 30
            assert room.waiting == room.waiting_bytes == 0
            assert set(liar.faults_at(node)) == {PeerFault.FLOOD}
            await asyncio.sleep(30)
            assert room.announced == 0, "what never comes is forgotten"

    run(work)


def test_an_announced_transaction_that_does_not_come_is_asked_of_the_next_peer() -> None:
    async def work() -> None:
        async with mesh_of(4, nodes=1) as mesh:
            (node,) = mesh.nodes
            silent, honest = Stranger(mesh, 8), Stranger(mesh, 9)
            await silent.meet(node)
            await honest.meet(node)
            for peer in (silent, honest):
                peer.send(node, Topic.ANNOUNCE, encode_hashes([transfer(1).hash]))
                await asyncio.sleep(0.01)
            assert len(silent.got(Topic.GET_TRANSACTIONS)) == 1
            assert honest.got(Topic.GET_TRANSACTIONS) == []
            await asyncio.sleep(1.5)
            assert [decode_hashes(each) for each in honest.got(Topic.GET_TRANSACTIONS)] == [(transfer(1).hash,)]
            honest.send(node, Topic.TRANSACTIONS, frame(transfer(1)))
            await asyncio.sleep(0.1)

            assert list(pool(node).held) == [transfer(1).hash]
            assert silent.faults_at(node) == honest.faults_at(node) == []

    run(work)
