"""The simulated network: what it loses, delays, cuts and drops, and that a seed repeats it."""

from __future__ import annotations

import asyncio

import pytest

from lazai_core.api.network import PeerId
from lazai_core.testing.network import SimulatedNetwork, SimulatedTransport

ALICE, BOB, CAROL = PeerId(b"alice"), PeerId(b"bob"), PeerId(b"carol")


async def drain(transport: SimulatedTransport) -> list[bytes]:
    """What has arrived so far."""
    received: list[bytes] = []

    async def read() -> None:
        async for envelope in transport.receive():
            received.append(envelope.payload)

    task = asyncio.ensure_future(read())
    for _ in range(5):
        await asyncio.sleep(0)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    return received


async def send_numbers(network: SimulatedNetwork, count: int) -> list[bytes]:
    """Alice sends numbers; what Bob has after a second."""
    alice, bob = network.join(ALICE), network.join(BOB)
    for number in range(count):
        await alice.send(BOB, "n", bytes([number]))
    assert await drain(bob) == []
    network.advance_ms(1000)
    return await drain(bob)


def test_a_seed_repeats_losses_and_order() -> None:
    def play(seed: int) -> list[bytes]:
        return asyncio.run(send_numbers(SimulatedNetwork(seed=seed, loss_per_mille=200), 100))

    assert play(1) == play(1)
    assert play(1) != play(2)
    assert len(play(1)) < 100
    assert play(1) != sorted(play(1))


def test_a_sound_network_delivers_everything_once() -> None:
    network = SimulatedNetwork()

    arrived = asyncio.run(send_numbers(network, 100))

    assert sorted(arrived) == [bytes([number]) for number in range(100)]
    assert (network.delivered, network.lost, network.dropped) == (100, 0, 0)


def test_a_full_inbox_drops_the_oldest() -> None:
    network = SimulatedNetwork(inbox_envelopes_max=3, delay_ms=(5, 5))

    assert asyncio.run(send_numbers(network, 10)) == [b"\x07", b"\x08", b"\x09"]
    assert network.dropped == 7


def test_a_partition_cuts_and_heals() -> None:
    async def scenario() -> None:
        network = SimulatedNetwork()
        alice, bob, carol = network.join(ALICE), network.join(BOB), network.join(CAROL)
        network.partition({ALICE, BOB}, {CAROL})
        await alice.broadcast("t", b"1")
        network.advance_ms(100)
        assert (await drain(bob), await drain(carol), await drain(alice)) == ([b"1"], [], [])
        network.heal()
        await carol.broadcast("t", b"2")
        network.advance_ms(100)
        assert (await drain(bob), await drain(carol), await drain(alice)) == ([b"2"], [], [b"2"])

    asyncio.run(scenario())


def test_arrivals_wait_for_their_time() -> None:
    async def scenario() -> None:
        network = SimulatedNetwork(delay_ms=(30, 30))
        alice, bob = network.join(ALICE), network.join(BOB)
        await alice.send(BOB, "t", b"1")
        network.advance_ms(29)
        assert await drain(bob) == []
        network.advance_ms(1)
        assert await drain(bob) == [b"1"]
        assert network.clock.elapsed_ms == 30

    asyncio.run(scenario())


def test_a_closed_transport_ends_its_readers_and_stays_silent() -> None:
    async def scenario() -> None:
        network = SimulatedNetwork()
        alice, bob = network.join(ALICE), network.join(BOB)

        async def read() -> list[bytes]:
            return [envelope.payload async for envelope in bob.receive()]

        reader = asyncio.ensure_future(read())
        await asyncio.sleep(0)
        await bob.close()
        await bob.close()
        assert await reader == []
        await bob.send(ALICE, "t", b"1")
        await alice.send(BOB, "t", b"2")
        await alice.send(PeerId(b"nobody"), "t", b"3")
        network.advance_ms(100)
        assert await drain(alice) == []

    asyncio.run(scenario())


def test_a_peer_joins_once() -> None:
    network = SimulatedNetwork()
    network.join(ALICE)

    with pytest.raises(ValueError, match="joined already"):
        network.join(ALICE)
