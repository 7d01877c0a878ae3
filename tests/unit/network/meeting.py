"""Transports over loopback for tests: started, joined, and listened to."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from attrs import define, field

from lazai_core.api.network import Arrival, Envelope, PeerId, PeerJoined, PeerLeft, Priority
from lazai_core.api.types import Hash32
from lazai_core.network.topics import Topic
from lazai_core.network.transport import NetworkOptions, TlsTransport
from lazai_core.node.system import SystemClock
from lazai_core.testing.parts import KnownIdentity

TOPICS = (
    Topic(name="vote", number=16, bytes_max=4096),
    Topic(name="block", number=17, bytes_max=1 << 20),
    Topic(name="transaction", number=18, bytes_max=1 << 17),
)
PATIENCE_S = 20.0


def options(**changes: Any) -> NetworkOptions:
    """Options for loopback, with waits that a test can afford."""
    values: dict[str, Any] = {"listen": "127.0.0.1:0", "reconnect_ms_min": 10, "reconnect_ms_max": 50}
    return NetworkOptions(**{**values, **changes})


def transport(
    number: int, *, clock: Any = None, folder: Path | None = None, chain_id: int = 7, **changes: Any
) -> TlsTransport:
    """The transport of the test account `number`."""
    return TlsTransport(
        options=options(**changes),
        identity=KnownIdentity(number),
        chain_id=chain_id,
        genesis_hash=Hash32(bytes([chain_id]) * 32),
        topics=TOPICS,
        clock=SystemClock() if clock is None else clock,
        chance=random.Random(number),
        folder=folder,
    )


def place_of(node: TlsTransport) -> str:
    """What others write into `peers` to reach it."""
    return f"0x{node.peer_id.hex()}@127.0.0.1:{node.port}"


@define(eq=False)
class Meeting:
    """A running transport, and everything that it has received."""

    transport: TlsTransport
    arrivals: list[Arrival] = field(factory=list)

    async def listen(self) -> None:
        async for arrival in self.transport.receive():
            self.arrivals.append(arrival)

    def payloads(self, topic: str = "") -> list[bytes]:
        envelopes = [arrival for arrival in self.arrivals if isinstance(arrival, Envelope)]
        return [envelope.payload for envelope in envelopes if topic in ("", envelope.topic)]

    def joined(self) -> list[PeerId]:
        return [arrival.peer for arrival in self.arrivals if isinstance(arrival, PeerJoined)]

    def left(self) -> list[PeerId]:
        return [arrival.peer for arrival in self.arrivals if isinstance(arrival, PeerLeft)]

    def say(self, other: TlsTransport, text: bytes, topic: str = "vote") -> bool:
        return self.transport.send(other.peer_id, topic, text, Priority.VOTE)


@asynccontextmanager
async def running(*nodes: TlsTransport, is_read: bool = True) -> AsyncIterator[Sequence[Meeting]]:
    """The transports listen and dial while the context is open."""
    meetings = [Meeting(node) for node in nodes]
    async with asyncio.TaskGroup() as group:
        tasks = []
        for meeting in meetings:
            ready = asyncio.Event()
            tasks.append(group.create_task(meeting.transport.run(ready.set)))
            if is_read:
                group.create_task(meeting.listen())
            waiting = asyncio.create_task(ready.wait())
            await asyncio.wait({tasks[-1], waiting}, return_when=asyncio.FIRST_COMPLETED)
            waiting.cancel()
        try:
            yield meetings
        finally:
            for task in tasks:
                task.cancel()
            for node in nodes:
                await node.close()


async def until(condition: Callable[[], object]) -> None:
    """Wait for a condition; a test that waits in vain fails."""
    async with asyncio.timeout(PATIENCE_S):
        while not condition():
            await asyncio.sleep(0.005)
