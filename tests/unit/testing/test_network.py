"""The simulated network: what it loses, delays, cuts and drops, and that a seed repeats it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from random import Random
from typing import Any

import pytest

from lazai_core.api.network import Arrival, Envelope, PeerFault, PeerId, PeerJoined, PeerLeft, Priority
from lazai_core.testing.network import SimulatedNetwork, SimulatedTransport
from lazai_core.testing.simulation.loop import run_virtual

ALICE, BOB, CAROL = PeerId(b"alice"), PeerId(b"bob"), PeerId(b"carol")


async def drain(transport: SimulatedTransport) -> list[Arrival]:
    """What has arrived within a second."""
    received: list[Arrival] = []

    async def read() -> None:
        async for arrival in transport.receive():
            received.append(arrival)

    task = asyncio.ensure_future(read())
    await asyncio.sleep(1)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    return received


def payloads(arrivals: list[Arrival]) -> list[bytes]:
    return [arrival.payload for arrival in arrivals if isinstance(arrival, Envelope)]


def pair(network: SimulatedNetwork) -> tuple[SimulatedTransport, SimulatedTransport]:
    alice, bob = network.attach(ALICE), network.attach(BOB)
    network.join(alice, bob)
    return alice, bob


def send(end: SimulatedTransport, peer: PeerId, payload: bytes, priority: Priority = Priority.VOTE) -> bool:
    return end.send(peer, "topic", payload, priority)


def numbers(make: Callable[[], SimulatedNetwork], count: int = 100) -> tuple[list[bytes], SimulatedNetwork]:
    """Alice sends numbers; what Bob has after a second."""

    async def main() -> tuple[list[bytes], SimulatedNetwork]:
        network = make()
        alice, bob = pair(network)
        for number in range(count):
            assert send(alice, BOB, bytes([number]))
        return payloads(await drain(bob)), network

    return run_virtual(main)


def check(work: Callable[[], Coroutine[Any, Any, None]]) -> None:
    run_virtual(work)


def test_a_seed_repeats_losses_and_order() -> None:
    def play(seed: int) -> list[bytes]:
        return numbers(lambda: SimulatedNetwork(random=Random(seed), loss_per_mille=200))[0]

    assert play(1) == play(1)
    assert play(1) != play(2)
    assert len(play(1)) < 100
    assert play(1) != sorted(play(1))


def test_a_sound_network_delivers_everything_once() -> None:
    arrived, network = numbers(SimulatedNetwork)

    assert sorted(arrived) == [bytes([number]) for number in range(100)]
    assert (network.delivered, network.lost, network.dropped) == (100, 0, 0)
    assert network.sent_bytes == {(0, "topic"): 100}


def test_a_full_inbox_drops_the_oldest_of_the_lowest_priority() -> None:
    async def main() -> None:
        network = SimulatedNetwork(inbox_envelopes_max=3, delay_ms=(5, 5))
        alice, bob = network.attach(ALICE), network.attach(BOB)
        network.join(alice, bob)
        # The news of the connection is no envelope, and is never dropped.
        for text, priority in (
            (b"vote", Priority.VOTE),
            (b"old", Priority.TRANSACTION),
            (b"block", Priority.BLOCK),
            (b"new", Priority.TRANSACTION),
        ):
            send(alice, BOB, text, priority)
            await asyncio.sleep(0.01)
        assert network.dropped == 2
        arrivals = await drain(bob)
        assert arrivals[0] == PeerJoined(peer=ALICE)
        assert payloads(arrivals) == [b"vote", b"block"]

    check(main)


def test_a_partition_cuts_what_is_under_way_and_heals() -> None:
    async def main() -> None:
        network = SimulatedNetwork(delay_ms=(30, 30))
        alice, bob = pair(network)
        carol = network.attach(CAROL)
        network.join(alice, carol)
        send(alice, BOB, b"under way")
        network.partition([alice.number, carol.number], [bob.number])
        send(alice, CAROL, b"same side")
        assert payloads(await drain(bob)) == []
        assert payloads(await drain(carol)) == [b"same side"]
        network.heal()
        send(alice, BOB, b"later")
        assert payloads(await drain(bob)) == [b"later"]

    check(main)


def test_both_ends_hear_of_a_connection_and_of_its_end() -> None:
    async def main() -> None:
        network = SimulatedNetwork()
        alice, bob = pair(network)
        network.join(alice, bob)
        assert await drain(bob) == [PeerJoined(peer=ALICE)], "a second time changes nothing"
        assert alice.peers() == [BOB]
        send(alice, BOB, b"lost with the connection")
        network.part(alice, bob)
        assert await drain(bob) == [PeerLeft(peer=ALICE)]
        assert not send(alice, BOB, b"nobody is there")
        assert alice.peers() == []

    check(main)


def test_of_two_ends_with_one_id_the_last_that_joined_is_heard() -> None:
    async def main() -> None:
        network = SimulatedNetwork()
        alice = network.attach(ALICE)
        first, second = network.attach(BOB), network.attach(BOB)
        network.join(alice, first)
        network.join(alice, second)
        send(alice, BOB, b"hello")
        assert payloads(await drain(first)) == []
        assert payloads(await drain(second)) == [b"hello"]
        assert alice.peers() == [BOB]
        assert first.peers() == []

    check(main)


def test_a_closed_end_neither_sends_nor_receives() -> None:
    async def main() -> None:
        network = SimulatedNetwork()
        alice, bob = pair(network)
        send(alice, BOB, b"before")
        await bob.close()
        await bob.close()
        assert not send(bob, ALICE, b"after")
        assert [arrival async for arrival in bob.receive()] == []
        assert await drain(alice) == [PeerJoined(peer=BOB), PeerLeft(peer=BOB)]

    check(main)


def test_faults_are_noted() -> None:
    async def main() -> None:
        alice, _ = pair(SimulatedNetwork())
        alice.blame(BOB, PeerFault.FLOOD)
        assert alice.blamed == [(BOB, PeerFault.FLOOD)]

    check(main)


@pytest.mark.parametrize("topic", ["a", "b"])
def test_what_passes_can_be_watched(topic: str) -> None:
    async def main() -> None:
        network = SimulatedNetwork()
        seen: list[tuple[int, PeerId, str]] = []
        network.watch = lambda sender, receiver, envelope: seen.append((sender.number, receiver, envelope.topic))
        alice, _ = pair(network)
        alice.send(BOB, topic, b"", Priority.VOTE)
        assert seen == [(alice.number, BOB, topic)]

    check(main)
