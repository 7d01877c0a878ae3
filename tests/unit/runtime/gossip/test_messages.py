"""Consensus messages reach every validator once, over whatever mesh, and what is wrong is blamed by its name."""

from __future__ import annotations

import asyncio

import pytest
from attrs import evolve
from coincurve import GLOBAL_CONTEXT
from coincurve._libsecp256k1 import ffi, lib
from coincurve.ecdsa import serialize_recoverable
from structlog.testing import capture_logs

from lazai_core.api.consensus import signing_digest
from lazai_core.api.network import PeerFault
from lazai_core.api.types import Height
from lazai_core.runtime.gossip import GossipOptions
from lazai_core.runtime.gossip.wire import Have, SignedPayload, Topic, batch_messages
from lazai_core.runtime.peering import ConsensusMessage
from lazai_core.testing.parts import account_key
from tests.unit.runtime.gossip.rig import (
    Mesh,
    Node,
    Stranger,
    address,
    certificate_of,
    make_block,
    message_of,
    run,
)


def heard(node: Node) -> list[bytes]:
    return [message.payload for _, message in node.host.heard]


def wire(message: ConsensusMessage) -> bytes:
    return SignedPayload(payload=message.payload, signature=message.signature).encode()


def test_in_a_full_mesh_each_message_is_sent_to_each_peer_once() -> None:
    async def work() -> None:
        async with Mesh(7) as mesh:
            await asyncio.sleep(1)
            before = mesh.wires.sent[Topic.MESSAGES]
            mesh.nodes[0].gossip.send_message(message_of(0, 1))
            await asyncio.sleep(0.5)

            assert [heard(node) for node in mesh.nodes[1:]] == [[message_of(0, 1).payload]] * 6
            assert heard(mesh.nodes[0]) == []
            assert mesh.wires.sent[Topic.MESSAGES] - before == 6

    run(work)


@pytest.mark.parametrize("shape", ["ring", "star", "line"])
def test_messages_cross_a_network_that_is_no_full_mesh(shape: str) -> None:
    joined = {
        "ring": lambda one, other: other - one in (1, 8),
        "line": lambda one, other: other - one == 1,
        "star": lambda one, other: one == 0,
    }[shape]

    async def work() -> None:
        async with Mesh(9, joined=joined) as mesh:
            for node in mesh.nodes:
                node.gossip.send_message(message_of(node.number, 1))
            await asyncio.sleep(0.9)

            for node in mesh.nodes:
                senders = [message.sender for _, message in node.host.heard]
                assert set(senders) == {address(other.number) for other in mesh.nodes if other is not node}
                assert len(senders) == 8, "a message was handed over twice"
            assert all(node.faults == [] for node in mesh.nodes)

    run(work)


def test_what_was_lost_is_asked_for_while_a_height_lasts() -> None:
    """The engine sends its newest messages again; those of a silent author come from others that have them."""

    async def work() -> None:
        async with Mesh(4) as mesh:
            mesh.wires.loss_per_mille = 700
            mesh.nodes[0].gossip.send_message(message_of(0, 1))
            await asyncio.sleep(0.1)
            mesh.wires.loss_per_mille = 0
            if not any(heard(node) for node in mesh.nodes[1:]):
                mesh.nodes[0].gossip.send_message(message_of(0, 1))
            await asyncio.sleep(20)

            assert [set(heard(node)) for node in mesh.nodes[1:]] == [{message_of(0, 1).payload}] * 3

    run(work)


def test_what_the_host_had_no_time_for_is_handed_over_again_while_the_height_lasts() -> None:
    """Gossip takes each message once; were the host to lose one then, nobody could bring it any more."""

    async def work() -> None:
        async with Mesh(4, joined=lambda one, other: other - one == 1) as mesh:
            near, far = mesh.nodes[1], mesh.nodes[3]
            lost: list[bytes] = []
            hears = [near.host.message_arrived, far.host.message_arrived]
            for node in (near, far):
                node.host.message_arrived = lambda peer, message: lost.append(message.payload)
            mesh.nodes[0].gossip.send_message(message_of(0, 1))
            await asyncio.sleep(0.5)
            assert len(lost) == 2
            near.host.message_arrived, far.host.message_arrived = hears
            for _ in range(12):
                await asyncio.sleep(1)
                mesh.nodes[0].gossip.send_message(message_of(0, 1))
            await asyncio.sleep(0.5)

            for node in (near, far):
                assert set(heard(node)) == {message_of(0, 1).payload}
                assert 1 <= len(heard(node)) <= 3
            assert len(heard(mesh.nodes[2])) <= 4

    run(work)


def test_an_author_that_tells_only_one_node_tells_all() -> None:
    async def work() -> None:
        async with Mesh(5, nodes=4) as mesh:
            liar = Stranger(mesh, 4)
            for node in mesh.nodes:
                await liar.meet(node)
            await asyncio.sleep(1)
            liar.send(mesh.nodes[2], Topic.MESSAGES, batch_messages([wire(message_of(4, 1))]))
            await asyncio.sleep(15)

            assert [set(heard(node)) for node in mesh.nodes] == [{message_of(4, 1).payload}] * 4

    run(work)


def test_a_peer_that_joins_gets_what_it_needs_at_once() -> None:
    async def work() -> None:
        async with Mesh(4, joined=lambda one, other: other < 3) as mesh:
            for node in mesh.nodes[:3]:
                node.gossip.send_message(message_of(node.number, 1))
            await asyncio.sleep(0.5)
            late = mesh.nodes[3]
            mesh.wires.join(late.peer, mesh.nodes[1].peer)
            await asyncio.sleep(0.05)

            assert {message.sender for _, message in late.host.heard} == {address(number) for number in range(3)}

    run(work)


def test_a_peer_that_comes_back_gets_again_what_it_may_have_forgotten() -> None:
    async def work() -> None:
        async with Mesh(4, nodes=2) as mesh:
            node, other = mesh.nodes
            block = make_block(node.chain.head)
            node.gossip.send_message(message_of(0, 1))
            node.gossip.send_block(block)
            await asyncio.sleep(0.1)
            mesh.wires.part(node.peer, other.peer)
            await asyncio.sleep(0.1)
            back = Stranger(mesh, 1)
            await back.meet(node)
            assert len(back.got(Topic.MESSAGES)) == 1
            node.gossip.send_block(block)
            await asyncio.sleep(0.1)
            assert len(back.got(Topic.PART)) == 1

    run(work)


def test_messages_of_the_next_height_wait_until_the_peer_is_there() -> None:
    async def work() -> None:
        async with Mesh(4, nodes=2) as mesh:
            quick, slow = mesh.nodes
            slow.host.decided_arrived = lambda peer, block, certificate: None
            blocks = mesh.extend(2, [0])
            quick.gossip.height_started(quick.host.height)
            quick.gossip.send_message(message_of(0, 3))
            await asyncio.sleep(0.1)
            assert heard(slow) == []
            assert slow.faults == []

            slow.chain.commit(blocks[0], b"x")
            slow.gossip.height_started(slow.host.height)
            await asyncio.sleep(0.1)
            assert heard(slow) == [message_of(0, 3).payload]

    run(work)


FAULTS = {
    "far-height": (message_of(0, 3), PeerFault.FAR_HEIGHT),
    "far-round": (message_of(0, 1, 100_001), PeerFault.FAR_ROUND),
    "unknown-key": (message_of(77, 1), PeerFault.UNKNOWN_KEY),
    "bad-signature": (evolve(message_of(0, 1), signature=bytes(65)), PeerFault.BAD_SIGNATURE),
    "no-message": (evolve(message_of(0, 1), payload=b"tset"), PeerFault.UNDECODABLE),
}


@pytest.mark.parametrize("name", FAULTS)
def test_a_bad_message_is_blamed_by_name(name: str) -> None:
    message, fault = FAULTS[name]

    async def work() -> None:
        async with Mesh(4, nodes=2) as mesh:
            node, other = mesh.nodes
            liar = Stranger(mesh, 9)
            await liar.meet(node)
            liar.send(node, Topic.MESSAGES, batch_messages([wire(message)]))
            await asyncio.sleep(0.1)

            assert liar.faults_at(node) == [fault]
            assert heard(node) == []
            assert heard(other) == []
            assert other.faults == []
            assert len(node.gossip.messages) == 0

    run(work)


def test_a_signature_of_another_validator_is_that_validators_message() -> None:
    """The signer is who made the signature, so that nobody can speak in another's name."""

    async def work() -> None:
        async with Mesh(4, nodes=1) as mesh:
            (node,) = mesh.nodes
            liar = Stranger(mesh, 1)
            await liar.meet(node)
            liar.send(node, Topic.MESSAGES, batch_messages([wire(message_of(2, 1))]))
            await asyncio.sleep(0.1)

            assert [message.sender for _, message in node.host.heard] == [message_of(2, 1).sender]

    run(work)


def test_replayed_messages_are_heard_once_and_a_flood_is_blamed() -> None:
    async def work() -> None:
        async with Mesh(4, nodes=1, options=GossipOptions(message_rate=100)) as mesh:
            (node,) = mesh.nodes
            liar = Stranger(mesh, 1)
            await liar.meet(node)
            frame = batch_messages([wire(message_of(1, 1))])
            for _ in range(300):
                liar.send(node, Topic.MESSAGES, frame)
            await asyncio.sleep(0.5)
            assert heard(node) == [message_of(1, 1).payload]
            assert liar.faults_at(node) == []

            for _ in range(300):
                liar.send(node, Topic.MESSAGES, frame)
            await asyncio.sleep(0.5)
            assert heard(node) == [message_of(1, 1).payload]
            assert set(liar.faults_at(node)) == {PeerFault.FLOOD}

    run(work)


def test_a_validator_that_says_ever_more_costs_bounded_memory() -> None:
    async def work() -> None:
        options = GossipOptions(messages_per_signer_max=5, messages_bytes_max=3000, seen_max=20)
        async with Mesh(4, nodes=1, options=options) as mesh:
            (node,) = mesh.nodes
            liar = Stranger(mesh, 1)
            await liar.meet(node)
            for number in range(200):
                frame = batch_messages([wire(message_of(who, 1, number, bytes(200))) for who in range(4)])
                liar.send(node, Topic.MESSAGES, frame)
            await asyncio.sleep(0.5)

            assert len(heard(node)) == 800
            assert liar.faults_at(node) == []
            assert len(node.gossip.messages) <= 20
            assert node.gossip.messages.size_bytes <= 3000
            assert len(node.gossip.messages._seen) <= 20

    run(work)


def test_a_validator_that_says_more_than_any_honest_one_is_not_brought_on() -> None:
    async def work() -> None:
        options = GossipOptions(author_rate=10)
        async with Mesh(4, nodes=2, options=options) as mesh:
            node, other = mesh.nodes
            liar, messenger = Stranger(mesh, 3), Stranger(mesh, 9)
            await messenger.meet(node)
            await liar.meet(node)
            for number in range(200):
                frame = batch_messages([wire(message_of(3, 1, number))])
                (liar if number % 2 else messenger).send(node, Topic.MESSAGES, frame)
            messenger.send(node, Topic.MESSAGES, batch_messages([wire(message_of(2, 1))]))
            await asyncio.sleep(0.2)

            assert len(heard(node)) == 40 + 1
            assert len(heard(other)) == 40 + 1
            assert set(liar.faults_at(node)) == {PeerFault.FLOOD}
            assert messenger.faults_at(node) == [], "it may be honest"
            await asyncio.sleep(10)
            liar.send(node, Topic.MESSAGES, batch_messages([wire(message_of(3, 1, 500))]))
            await asyncio.sleep(0.2)
            assert message_of(3, 1, 500).payload in heard(node), "it may speak again"

    run(work)


def test_questions_for_lost_messages_are_answered_in_bounds() -> None:
    """A short question has an answer of all messages of a height."""

    async def work() -> None:
        async with Mesh(4, nodes=1) as mesh:
            (node,) = mesh.nodes
            liar = Stranger(mesh, 9)
            await liar.meet(node)
            node.gossip.send_message(message_of(0, 1))
            await asyncio.sleep(0.1)
            before = len(liar.got(Topic.MESSAGES))
            for _ in range(100):
                liar.send(node, Topic.HAVE, Have(height=Height(1), names=frozenset()).encode())
            await asyncio.sleep(0.2)
            assert len(liar.got(Topic.MESSAGES)) == before + 1
            await asyncio.sleep(1)
            liar.send(node, Topic.HAVE, Have(height=Height(1), names=frozenset()).encode())
            await asyncio.sleep(0.2)
            assert len(liar.got(Topic.MESSAGES)) == before + 2

    run(work)


def test_a_second_signature_over_the_same_bytes_is_no_second_message() -> None:
    """ECDSA gives one key many signatures over one digest; each would count as new."""
    message = message_of(1, 1)
    nonce = ffi.new("unsigned char[32]", bytes(31) + b"\x07")
    made = ffi.new("secp256k1_ecdsa_recoverable_signature *")
    digest = signing_digest(message.payload)
    context = GLOBAL_CONTEXT.ctx
    assert lib.secp256k1_ecdsa_sign_recoverable(context, made, digest, account_key(1), ffi.NULL, nonce)
    raw = serialize_recoverable(made)
    second = evolve(message, signature=raw[:64] + bytes([27 + raw[64]]))
    assert second.signature != message.signature

    async def work() -> None:
        async with Mesh(4, nodes=1) as mesh:
            (node,) = mesh.nodes
            liar = Stranger(mesh, 1)
            await liar.meet(node)
            for each in (message, second):
                liar.send(node, Topic.MESSAGES, batch_messages([wire(each)]))
            await asyncio.sleep(0.1)

            assert len(heard(node)) == 1
            assert len(node.gossip.messages) == 1

    run(work)


def test_another_chain_is_blamed_and_then_ignored() -> None:
    async def work() -> None:
        async with Mesh(4, nodes=1) as mesh:
            (node,) = mesh.nodes
            stranger = Stranger(mesh, 1)
            await stranger.meet(node, chain_id=1)
            stranger.send(node, Topic.MESSAGES, batch_messages([wire(message_of(1, 1))]))
            await asyncio.sleep(0.1)

            assert stranger.faults_at(node) == [PeerFault.OTHER_CHAIN]
            assert heard(node) == []

    run(work)


def test_unknown_topics_and_oversize_are_blamed() -> None:
    async def work() -> None:
        async with Mesh(4, nodes=1) as mesh:
            (node,) = mesh.nodes
            stranger = Stranger(mesh, 1)
            await stranger.meet(node)
            stranger.send(node, "gossip", b"")
            stranger.send(node, Topic.MESSAGES, bytes((1 << 20) + 1))
            stranger.send(node, Topic.MESSAGES, b"\x00\x00\x00\x01")
            await asyncio.sleep(0.1)

            assert stranger.faults_at(node) == [
                PeerFault.UNKNOWN_TOPIC,
                PeerFault.OVERSIZE,
                PeerFault.UNDECODABLE,
            ]

    run(work)


def test_a_peer_that_lags_gets_the_certificate_instead_of_votes() -> None:
    async def work() -> None:
        async with Mesh(4, nodes=2) as mesh:
            ahead, behind = mesh.nodes
            (block,) = mesh.extend(1, [0])
            ahead.gossip.height_started(ahead.host.height)
            behind.host.drafts[block.hash] = block
            behind.gossip.send_message(message_of(1, 1))
            await asyncio.sleep(0.1)

            assert behind.chain.head == block
            assert behind.faults == []

    run(work)


def test_a_late_message_of_the_height_before_reaches_the_host_and_an_older_one_does_not() -> None:
    async def work() -> None:
        async with Mesh(4, nodes=1) as mesh:
            (node,) = mesh.nodes
            slow = Stranger(mesh, 3)
            await slow.meet(node)
            for _ in range(2):
                block = make_block(node.chain.head)
                node.host.commit(block, certificate_of(block, 4))
            for height in (1, 2, 2):
                slow.send(node, Topic.MESSAGES, batch_messages([wire(message_of(3, height))]))
            await asyncio.sleep(0.1)

            assert heard(node) == [message_of(3, 2).payload]
            assert slow.faults_at(node) == []
            broken = evolve(message_of(3, 2, text=b"x"), signature=bytes(65))
            for message in (message_of(9, 2), broken):
                slow.send(node, Topic.MESSAGES, batch_messages([wire(message)]))
            await asyncio.sleep(0.1)
            assert heard(node) == [message_of(3, 2).payload]
            assert slow.faults_at(node) == [PeerFault.UNKNOWN_KEY, PeerFault.BAD_SIGNATURE]
            assert len(node.gossip.messages) == 0

    run(work)


def test_a_peer_with_another_block_of_a_decided_height_is_reported_once_and_not_banned() -> None:
    """Who is on the wrong side of a fork cannot be told from here."""

    async def work() -> None:
        mesh = Mesh(4, nodes=2)
        mesh.extend(2, [0])
        mesh.extend(2, [1], extra=b"fork")
        with capture_logs() as events:
            async with mesh:
                await asyncio.sleep(5)
        forks = [event for event in events if event["event"] == "peer.fork"]
        assert [event["height"] for event in forks] == [2, 2], "each of both, once"
        assert {event["own"] for event in forks} == {node.chain.head.hash for node in mesh.nodes}
        assert all(node.faults == [] for node in mesh.nodes)

    run(work)
