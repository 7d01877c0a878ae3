"""Strangers at the door: what is no TLS, no hello, too much, too slow, somebody else's, or told twice."""

from __future__ import annotations

import asyncio
import random
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from hashlib import sha256
from typing import Any

import pytest
from attrs import define

from lazai_core.api.network import PeerFault, PeerId
from lazai_core.api.types import Hash32
from lazai_core.network.addresses import encode_addresses
from lazai_core.network.certificates import Credentials, make_credentials
from lazai_core.network.frames import HEADER, HEADER_BYTES, frame
from lazai_core.network.hello import Channel, Hello, signed_hello
from lazai_core.network.link import Control
from lazai_core.network.transport import TlsTransport
from lazai_core.testing.parts import KnownIdentity
from tests.unit.network.meeting import place_of, running, transport, until


@define
class Stranger:
    """One end of a TLS connection that says what it likes."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    credentials: Credentials

    def channel(self) -> Channel:
        other = self.writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
        return Channel(dialler=self.credentials.fingerprint, listener=sha256(other).digest())

    def hello(self, number: int, **changes: Any) -> bytes:
        identity = KnownIdentity(number)
        values = {
            "peer": PeerId(identity.address),
            "chain_id": 7,
            "genesis_hash": Hash32(bytes([7]) * 32),
            "instance": bytes(16),
            "host": "",
            "port": 0,
        }
        return signed_hello(Hello(**{**values, **changes}), self.channel(), identity, by_dialler=True)

    async def say(self, number: int, payload: bytes) -> None:
        self.writer.write(frame(number, payload))
        await self.writer.drain()

    async def hear(self) -> tuple[int, bytes]:
        length, number = HEADER.unpack(await self.reader.readexactly(HEADER_BYTES))
        return number, await self.reader.readexactly(length)

    async def ends(self) -> bytes:
        """What comes until the other end hangs up."""
        async with asyncio.timeout(10):
            try:
                return await self.reader.read()
            except OSError:
                return b""


@asynccontextmanager
async def stranger(node: TlsTransport, *, port: int = 0) -> AsyncIterator[Stranger]:
    credentials = make_credentials()
    reader, writer = await asyncio.open_connection(
        "127.0.0.1", port or node.port, ssl=credentials.client, server_hostname=""
    )
    try:
        yield Stranger(reader, writer, credentials)
    finally:
        writer.transport.abort()


async def knows_nobody_and_still_works(node: TlsTransport) -> None:
    """After an attack: no peer, no half-open connection left, and the next honest node is welcome."""
    await until(lambda: not node._connector._half_open)
    assert list(node.peers()) == []
    async with running(transport(9, peers=(place_of(node),))):
        await until(node.peers)


@pytest.mark.parametrize("data", [b"", b"GET / HTTP/1.1\r\n\r\n", bytes(5000), random.Random(1).randbytes(5000)])
def test_what_is_no_tls_gets_nowhere(data: bytes) -> None:
    async def work() -> None:
        node = transport(1, hello_ms_max=300)
        async with running(node):
            reader, writer = await asyncio.open_connection("127.0.0.1", node.port)
            writer.write(data)
            async with asyncio.timeout(10):
                with suppress(OSError):
                    await reader.read()
            writer.transport.abort()
            await knows_nobody_and_still_works(node)

    asyncio.run(work())


def test_a_connection_that_tls_never_opens_leaves_nothing_behind() -> None:
    """Each one stayed in the list of links: anybody could fill the memory, without a key."""

    async def work() -> None:
        node = transport(1)
        async with running(node):
            for _ in range(10):
                reader, writer = await asyncio.open_connection("127.0.0.1", node.port)
                writer.write(b"GET / HTTP/1.0\r\n\r\n")
                with suppress(OSError):
                    await reader.read()
                writer.transport.abort()
            await until(lambda: not node._connector._half_open)
            assert not node._connector._links

    asyncio.run(work())


def test_a_node_that_stops_during_handshakes_keeps_no_link() -> None:
    """Theirs, and those of its own dialling."""

    async def work() -> None:
        dialled: list[asyncio.StreamWriter] = []
        silent = await asyncio.start_server(lambda reader, writer: dialled.append(writer), "127.0.0.1", 0)
        port = silent.sockets[0].getsockname()[1]
        node = transport(1, peers=(f"0x{bytes(range(20)).hex()}@127.0.0.1:{port}",), hello_ms_max=60_000)
        async with running(node):
            _, writer = await asyncio.open_connection("127.0.0.1", node.port)
            await until(lambda: dialled and len(node._connector._links) == 2)
        assert not node._connector._links
        for each in (writer, *dialled):
            each.transport.abort()
        silent.close()

    asyncio.run(work())


def test_a_client_without_a_certificate_is_refused_by_tls() -> None:
    async def work() -> None:
        node = transport(1)
        async with running(node):
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
            reader, writer = await asyncio.open_connection("127.0.0.1", node.port, ssl=context, server_hostname="")
            # TLS 1.3 tells a client of its refusal with the first thing that it reads.
            with pytest.raises((OSError, ssl.SSLError, EOFError)):
                await reader.readexactly(1)
            writer.transport.abort()
            await knows_nobody_and_still_works(node)

    asyncio.run(work())


def test_older_tls_is_refused() -> None:
    async def work() -> None:
        node = transport(1)
        async with running(node):
            context = make_credentials().client
            context.minimum_version, context.maximum_version = ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_2
            with pytest.raises((ssl.SSLError, OSError)):
                await asyncio.open_connection("127.0.0.1", node.port, ssl=context, server_hostname="")

    asyncio.run(work())


def test_who_says_nothing_holds_its_place_for_a_while_only() -> None:
    """Slow loris: one half of the places is all that a host gets, and each is free again after the time limit."""

    async def work() -> None:
        node = transport(1, half_open_max=8, hello_ms_max=700)
        async with running(node):
            silent = [socket.create_connection(("127.0.0.1", node.port)) for _ in range(4)]
            await until(lambda: node._connector._half_open.total() == 4)
            async with stranger_is_refused(node):
                assert node._connector._half_open.total() == 4
            await until(lambda: not node._connector._half_open)
            for connection in silent:
                connection.close()
            async with stranger(node) as one:
                assert (await one.hear())[0] == Control.HELLO
                await one.ends()
            await knows_nobody_and_still_works(node)

    asyncio.run(work())


@asynccontextmanager
async def stranger_is_refused(node: TlsTransport) -> AsyncIterator[None]:
    with pytest.raises((OSError, ssl.SSLError)):
        await asyncio.open_connection("127.0.0.1", node.port, ssl=make_credentials().client, server_hostname="")
    yield


@pytest.mark.parametrize(
    ("number", "payload", "fault"),
    [
        (Control.HELLO, b"", PeerFault.UNDECODABLE),
        (Control.HELLO, random.Random(2).randbytes(300), PeerFault.UNDECODABLE),
        (Control.PING, bytes(8), PeerFault.UNKNOWN_TOPIC),
        (16, b"a vote", PeerFault.UNKNOWN_TOPIC),
        (255, b"", PeerFault.UNKNOWN_TOPIC),
        (Control.HELLO, bytes(5000), PeerFault.OVERSIZE),
    ],
)
def test_whoever_does_not_say_hello_first_is_sent_away(number: int, payload: bytes, fault: PeerFault) -> None:
    async def work() -> None:
        node = transport(1)
        async with running(node) as (meeting,):
            async with stranger(node) as one:
                await one.say(number, payload)
                await one.ends()
            assert node.standing.faults == {fault: 1}
            assert meeting.arrivals == []
            await knows_nobody_and_still_works(node)

    asyncio.run(work())


def test_a_length_of_four_gigabytes_is_judged_before_anything_is_kept() -> None:
    async def work() -> None:
        node = transport(1)
        async with running(node) as (meeting,), stranger(node) as one:
            await one.say(Control.HELLO, one.hello(5))
            await until(meeting.joined)
            one.writer.write(HEADER.pack(2**32 - 1, 17) + b"x")
            await one.ends()
            assert node.standing.faults == {PeerFault.OVERSIZE: 1}
            assert list(node.bans()) == [KnownIdentity(5).address]

    asyncio.run(work())


def test_a_relayed_hello_proves_nothing_to_either_end() -> None:
    """Somebody in the middle ends TLS on both sides and carries the frames across, unchanged."""

    async def work() -> None:
        listener = transport(1)
        async with running(listener) as (first,):
            middle = make_credentials()

            async def relay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
                async with stranger(listener) as beyond:
                    ways = (reader, beyond.writer), (beyond.reader, writer)
                    await asyncio.gather(*(_carry(*way) for way in ways), return_exceptions=True)
                writer.transport.abort()

            server = await asyncio.start_server(relay, "127.0.0.1", 0, ssl=middle.server)
            port = server.sockets[0].getsockname()[1]
            dialler = transport(2, peers=(place_of(listener).replace(f":{listener.port}", f":{port}"),))
            async with running(dialler) as (second,):
                await until(lambda: dialler.standing.faults[PeerFault.BAD_SIGNATURE])
                await until(lambda: listener.standing.faults[PeerFault.BAD_SIGNATURE])
            assert first.arrivals == second.arrivals == []
            server.close()

    asyncio.run(work())


async def _carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(4096):
        writer.write(data)
        await writer.drain()
    writer.transport.abort()


def test_a_hello_is_good_for_one_connection_one_direction_and_its_own_words() -> None:
    async def work() -> None:
        node = transport(1)
        async with running(node) as (meeting,):
            async with stranger(node) as one:
                recorded = one.hello(5)
                _, mirrored = await one.hear()
            async with stranger(node) as one:
                changed = bytearray(one.hello(5))
                changed[4 + 2 + 19] ^= 1
                attempts = [recorded, mirrored, bytes(changed)]
            for attempt in attempts:
                async with stranger(node) as one:
                    await one.say(Control.HELLO, attempt)
                    await one.ends()
            assert node.standing.faults == {PeerFault.BAD_SIGNATURE: 3}
            assert meeting.arrivals == []

    asyncio.run(work())


@pytest.mark.parametrize(
    ("number", "payload", "fault"),
    [
        (Control.HELLO, b"again", PeerFault.UNKNOWN_TOPIC),
        (Control.PING, b"short", PeerFault.GARBAGE_FRAME),
        (Control.PONG, b"\xff" * 8, PeerFault.UNASKED_ANSWER),
        (Control.ADDRESSES, encode_addresses([]), PeerFault.UNASKED_ANSWER),
        (99, b"", PeerFault.UNKNOWN_TOPIC),
    ],
)
def test_a_peer_that_breaks_the_rules_is_blamed_by_name(number: int, payload: bytes, fault: PeerFault) -> None:
    async def work() -> None:
        node = transport(1)
        async with running(node) as (meeting,), stranger(node) as one:
            await one.say(Control.HELLO, one.hello(5))
            await until(meeting.joined)
            await one.say(number, payload)
            await one.ends()
            assert node.standing.faults == {fault: 1}
            await until(meeting.left)

    asyncio.run(work())


def test_a_flood_of_questions_is_blamed_until_the_peer_is_banned() -> None:
    async def work() -> None:
        node = transport(1)
        async with running(node) as (meeting,), stranger(node) as one:
            await one.say(Control.HELLO, one.hello(5))
            await until(meeting.joined)
            for _ in range(50):
                one.writer.write(frame(Control.ASK_ADDRESSES, b""))
            await one.ends()
            assert node.standing.faults[PeerFault.FLOOD] >= 20
            assert list(node.bans()) == [KnownIdentity(5).address]

    asyncio.run(work())


def test_pings_whose_answers_nobody_reads_take_no_memory() -> None:
    async def work() -> None:
        node = transport(1, silent_ms_max=1000, ping_ms=100)
        async with running(node) as (meeting,), stranger(node) as one:
            one.writer.transport.set_write_buffer_limits(high=1 << 22)
            await one.say(Control.HELLO, one.hello(5))
            await until(meeting.joined)
            one.reader._transport.pause_reading()  # type: ignore[attr-defined]
            link = node._links[PeerId(KnownIdentity(5).address)]
            for _ in range(400):
                one.writer.write(frame(Control.PING, bytes(8)) * 100)
                await asyncio.sleep(0)
                if link._transport is not None:
                    assert link._transport.get_write_buffer_size() < 1 << 20
            await until(meeting.left)

    asyncio.run(work())


def test_bytes_beyond_the_allowance_wait() -> None:
    """A peer that sends faster than it may is read more slowly, not punished, and loses nothing."""

    async def work() -> None:
        node = transport(1, bytes_per_second_max=1 << 16)
        async with running(node) as (meeting,), stranger(node) as one:
            await one.say(Control.HELLO, one.hello(5))
            await until(meeting.joined)
            began = asyncio.get_running_loop().time()
            for number in range(20):
                await one.say(17, bytes([number]) * 10_000)
            await until(lambda: len(meeting.payloads()) == 20)
            assert asyncio.get_running_loop().time() - began > 1
            assert meeting.payloads() == [bytes([number]) * 10_000 for number in range(20)]
            assert not node.standing.faults

    asyncio.run(work())
