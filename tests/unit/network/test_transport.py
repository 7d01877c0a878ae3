"""Transports over real sockets: who meets whom, what arrives, and who is sent away."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from lazai_core.api.errors import LocalFault
from lazai_core.api.network import Envelope, PeerFault, Priority
from lazai_core.testing.clock import ManualClock
from tests.unit.network.meeting import place_of, running, transport, until


def test_two_nodes_meet_and_talk_in_both_directions() -> None:
    async def work() -> None:
        one = transport(1)
        async with running(one) as (first,):
            two = transport(2, peers=(place_of(one),))
            async with running(two) as (second,):
                await until(lambda: first.joined() and second.joined())
                assert second.joined() == [one.peer_id] == list(two.peers())
                assert second.say(one, b"hello one")
                assert first.say(two, b"hello two", "block")
                await until(lambda: first.payloads() and second.payloads())
                assert first.payloads("vote") == [b"hello one"]
                assert second.payloads("block") == [b"hello two"]
            await until(first.left)
            assert not first.say(two, b"nobody")

    asyncio.run(work())


def test_two_nodes_that_dial_each_other_keep_one_connection() -> None:
    async def work() -> None:
        one, two = transport(1), transport(2)
        async with running(one, two):
            ports = place_of(one), place_of(two)
        # Again on the same ports, this time each knowing the other from the start.
        listens = [place.partition("@")[2] for place in ports]
        one = transport(1, listen=listens[0], peers=(ports[1],))
        two = transport(2, listen=listens[1], peers=(ports[0],))
        async with running(one, two) as (first, second):
            await until(lambda: one.peers() and two.peers())
            await asyncio.sleep(0.3)
            (info_one,), (info_two,) = one.peer_infos(), two.peer_infos()
            assert info_one.is_dialled != info_two.is_dialled
            first.say(two, b"1")
            second.say(one, b"2")
            await until(lambda: first.payloads() == [b"2"] and second.payloads() == [b"1"])

    asyncio.run(work())


def test_of_two_connections_both_ends_keep_the_one_that_the_smaller_address_dialled() -> None:
    async def work() -> None:
        nodes = sorted((transport(1), transport(2)), key=lambda node: node.peer_id)
        small, large = nodes
        async with running(small, large) as (first, second):
            # The larger one dials first, the smaller one second; then the other way round.
            from lazai_core.config.peer_address import PeerAddress

            to_small, to_large = PeerAddress.parse(place_of(small)), PeerAddress.parse(place_of(large))
            assert await large._connector._dial(to_small) is not None
            assert await small._connector._dial(to_large) is not None
            await until(lambda: [info.is_dialled for info in small.peer_infos()] == [True])
            await until(lambda: [info.is_dialled for info in large.peer_infos()] == [False])
            assert await large._connector._dial(to_small) is None
            first.say(large, b"still")
            await until(lambda: second.payloads() == [b"still"])

    asyncio.run(work())


def test_a_lost_peer_is_dialled_again_until_it_is_back() -> None:
    async def work() -> None:
        one = transport(1)
        async with running(one):
            place = place_of(one)
            two = transport(2, peers=(place,))
            async with running(two) as (second,):
                await until(second.joined)
                await one.close()
                await until(second.left)
                await asyncio.sleep(0.1)
                again = transport(1, listen=place.partition("@")[2])
                async with running(again):
                    await until(lambda: len(second.joined()) == 2)

    asyncio.run(work())


def test_a_node_that_proves_another_key_is_not_taken() -> None:
    async def work() -> None:
        one, three = transport(1), transport(3)
        async with running(one):
            wrong = place_of(one).replace(one.peer_id.hex(), three.peer_id.hex())
            two = transport(2, peers=(wrong,))
            async with running(two) as (second,):
                await asyncio.sleep(0.3)
                assert list(two.peers()) == []
                assert second.joined() == []

    asyncio.run(work())


def test_a_node_of_another_chain_is_sent_away() -> None:
    async def work() -> None:
        one = transport(1)
        async with running(one) as (first,):
            two = transport(2, chain_id=8, peers=(place_of(one),))
            async with running(two) as (second,):
                await until(lambda: one.standing.faults[PeerFault.OTHER_CHAIN])
                await asyncio.sleep(0.1)
                assert first.joined() == second.joined() == []

    asyncio.run(work())


def test_a_node_does_not_connect_with_itself() -> None:
    async def work() -> None:
        one = transport(1)
        async with running(one):
            again = transport(1, seeds=(place_of(transport(2)).replace(":0", f":{one.port}"),), discover=True)
            async with running(again) as (second,):
                await asyncio.sleep(1.3)
                assert second.joined() == []

    asyncio.run(work())


def test_enough_faults_ban_a_peer_also_after_a_restart(tmp_path: Path) -> None:
    async def work() -> None:
        clock = ManualClock()
        one = transport(1, clock=clock, folder=tmp_path)
        async with running(one) as (first,):
            two = transport(2, peers=(place_of(one),))
            async with running(two) as (second,):
                await until(first.joined)
                one.blame(two.peer_id, PeerFault.FORGED_CERTIFICATE)
                assert list(one.peers()) == []
                await until(second.left)
                await asyncio.sleep(0.2)
                assert list(one.peers()) == []
                one = transport(1, clock=clock, folder=tmp_path, listen=f"127.0.0.1:{one.port}")
                assert [ban.fault for ban in one.bans().values()] == ["forged-certificate"]
                await first.transport.close()
                async with running(one) as (again,):
                    await asyncio.sleep(0.3)
                    assert again.joined() == []
                    clock.advance_ms(601_000)
                    await until(again.joined)

    asyncio.run(work())


def test_a_persistent_peer_comes_back_soon_however_often_it_is_banned() -> None:
    async def work() -> None:
        clock = ManualClock()
        one = transport(1)
        async with running(one):
            two = transport(2, clock=clock, peers=(place_of(one),))
            async with running(two) as (second,):
                for times in range(1, 13):
                    await until(lambda times=times: len(second.joined()) == times)
                    two.blame(one.peer_id, PeerFault.OVERSIZE)
                    clock.advance_ms(31_000)

    asyncio.run(work())


def test_the_most_strangers_are_counted_and_persistent_peers_are_not_among_them() -> None:
    async def work() -> None:
        friend = transport(4)
        async with running(friend):
            one = transport(1, peers_in_max=2, peers=(place_of(friend),))
            async with running(one):
                known = transport(4, listen="", peers=(place_of(one),))
                strangers = [transport(number, peers=(place_of(one),)) for number in (5, 6, 7)]
                async with running(*strangers):
                    await until(lambda: len(one.peers()) == 3)
                    await asyncio.sleep(0.2)
                    assert len(one.peers()) == 3
                    await friend.close()
                    async with running(known):
                        await until(lambda: known.peer_id in one.peers() and len(one.peers()) == 3)

    asyncio.run(work())


def test_a_seed_leads_to_the_others() -> None:
    async def work() -> None:
        seed = transport(1)
        async with running(seed):
            two = transport(2, seeds=(place_of(seed),))
            three = transport(3, seeds=(place_of(seed),))
            async with running(two, three):
                await until(lambda: len(two.peers()) == 2 and len(three.peers()) == 2)

    asyncio.run(work())


def test_nodes_that_do_not_discover_tell_nothing() -> None:
    async def work() -> None:
        seed = transport(1, discover=False)
        async with running(seed):
            two = transport(2, seeds=(place_of(seed),))
            three = transport(3, peers=(place_of(seed),))
            async with running(two, three):
                await until(lambda: len(seed.peers()) == 2)
                await asyncio.sleep(1.5)
                assert list(two.peers()) == [seed.peer_id]

    asyncio.run(work())


def test_a_port_in_use_is_named_with_what_to_do() -> None:
    async def work() -> None:
        one = transport(1)
        async with running(one):
            with pytest.raises(LocalFault, match=r"the port is in use; set network\.listen"):
                await transport(2, listen=f"127.0.0.1:{one.port}").run(lambda: None)

    asyncio.run(work())


def test_a_reader_that_stands_still_holds_the_sender_and_loses_nothing_but_the_lowest() -> None:
    """The reader takes nothing for a while: queues fill to their bounds, then votes come through and order is kept."""

    async def work() -> None:
        one = transport(1, queue_envelopes_max=16, queue_bytes_max=1 << 20)
        async with running(one, is_read=False) as (first,):
            two = transport(2, peers=(place_of(one),), queue_envelopes_max=64, queue_bytes_max=1 << 20)
            async with running(two):
                await until(lambda: one.peers() and two.peers())
                sent = [
                    two.send(one.peer_id, "transaction", bytes([number % 256]) * 50_000, Priority.TRANSACTION)
                    for number in range(200)
                ]
                await asyncio.sleep(0.3)
                sent += [
                    two.send(one.peer_id, "transaction", bytes(100_000), Priority.TRANSACTION) for _ in range(200)
                ]
                assert not all(sent)
                assert two.send(one.peer_id, "vote", b"a vote", Priority.VOTE)
                (info,) = two.peer_infos()
                assert info.queued <= 64
                # What was taken and then gave way to the vote, beside what was not taken at all.
                evicted = info.dropped - sent.count(False)
                listening = asyncio.create_task(first.listen())
                await until(lambda: len(first.payloads("transaction")) == sum(sent) - evicted)
                topics = [arrival.topic for arrival in first.arrivals if isinstance(arrival, Envelope)]
                assert topics.count("vote") == 1
                assert topics[-1] == "transaction", "the vote overtook what was queued before it"
                listening.cancel()

    asyncio.run(work())


def test_what_is_too_long_for_its_topic_is_our_own_mistake() -> None:
    async def work() -> None:
        one = transport(1)
        with pytest.raises(ValueError, match="4097 bytes on topic vote"):
            one.send(one.peer_id, "vote", bytes(4097), Priority.VOTE)
        with pytest.raises(KeyError):
            one.send(one.peer_id, "gossip", b"", Priority.VOTE)
        await one.close()

    asyncio.run(work())
