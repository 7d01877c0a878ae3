"""Listening and dialling: sockets become links, with bounds on what has not yet proven a key."""

from __future__ import annotations

import asyncio
import errno
import random
import socket
import ssl
from collections import Counter
from collections.abc import Callable, Coroutine
from typing import Any, Protocol

import structlog
from attrs import define

from lazai_core.api.errors import LocalFault
from lazai_core.api.network import PeerId
from lazai_core.config.peer_address import PeerAddress, split_host_port
from lazai_core.config.schema import NetworkSection

from .certificates import Credentials
from .link import Link
from .peer_book import PeerBook
from .standing import Standing

log = structlog.get_logger(__name__)

BACKLOG = 128
HALF_OPEN_SHARE = 2
"""One host may hold one in so many of the connections that have not yet proven a key."""
FILL_EVERY_S = 1.0
STEADY_S = 10.0
"""A connection that has lasted so long was a good one: the next wait begins small again."""
_FAILURES = (OSError, ssl.SSLError, TimeoutError, EOFError)


class Directory(Protocol):
    """What the connector asks of the transport."""

    peer_id: PeerId
    book: PeerBook
    standing: Standing

    @property
    def credentials(self) -> Credentials:
        """TLS contexts."""

    def link_to(self, peer: PeerId) -> Link | None:
        """The connection to a peer, if there is one."""

    def new_link(self, *, expected: PeerId | None, is_dialler: bool) -> Link:
        """A connection to be."""

    def dialled_count(self) -> int:
        """Peers that this node dialled and is not told to keep."""

    def ask_for_addresses(self, link: Link) -> None:
        """Ask a peer for further nodes, now and then."""


@define(kw_only=True)
class Backoff:
    """Waits that double up to a bound, each shortened by chance, so that nodes do not dial in step."""

    min_s: float
    max_s: float
    chance: random.Random
    failures: int = 0

    def next_s(self) -> float:
        """Seconds until the next try."""
        whole_s: float = min(self.min_s * (1 << min(self.failures, 30)), self.max_s)
        self.failures += 1
        return whole_s * (0.5 + self.chance.random() / 2)

    def reset(self) -> None:
        """It went well."""
        self.failures = 0


class Connector:
    """Accepts what dials this node, keeps the peers it is told to keep, and looks for a few more."""

    def __init__(self, *, options: NetworkSection, directory: Directory, chance: random.Random) -> None:
        self._options = options
        self._directory = directory
        self._chance = chance
        self._half_open: Counter[str] = Counter()
        self._waits: dict[PeerId, tuple[Backoff, float]] = {}
        self._links: set[Link] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self.port = 0
        self.refused_half_open = 0

    async def run(self, ready: Callable[[], None]) -> None:
        """Until cancelled. Raises LocalFault when the address cannot be listened on."""
        listener = await self._listen()
        if listener is not None:
            self._start(self._accept(listener))
        for address in self._directory.book.persistent.values():
            self._start(self._keep(address))
        self._start(self._fill())
        ready()
        while self._tasks:
            done, _ = await asyncio.wait(self._tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                if not task.cancelled():
                    # Nothing here is meant to fail: what does, ends the service.
                    task.result()

    async def close(self) -> None:
        """Stop listening and dialling, and end every connection. Idempotent."""
        tasks = tuple(self._tasks)
        for task in tasks:
            task.cancel()
        for link in tuple(self._links):
            link.close("this node stops")
        if tasks:
            await asyncio.wait(tasks)

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    # Listening.

    async def _listen(self) -> socket.socket | None:
        if not self._options.listen:
            return None
        host, port = split_host_port(self._options.listen, port_min=0)
        try:
            found = await asyncio.get_running_loop().getaddrinfo(
                host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
            )
            family, kind, protocol, _, place = found[0]
            listener = socket.socket(family, kind, protocol)
        except OSError as error:
            raise _cannot_listen(self._options.listen, error) from error
        try:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(place)
            listener.listen(BACKLOG)
            listener.setblocking(False)
        except OSError as error:
            listener.close()
            raise _cannot_listen(self._options.listen, error) from error
        self.port = int(listener.getsockname()[1])
        log.info("network.listening", address=self._options.listen, port=self.port)
        return listener

    async def _accept(self, listener: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        with listener:
            while True:
                try:
                    accepted, place = await loop.sock_accept(listener)
                except OSError as error:
                    # Out of descriptors, or the caller is gone already: others may still come.
                    log.warning("network.accept_failed", error=str(error))
                    await asyncio.sleep(0.1)
                    continue
                host = str(place[0])
                most = self._options.half_open_max
                if self._half_open.total() >= most or self._half_open[host] * HALF_OPEN_SHARE >= most:
                    self.refused_half_open += 1
                    accepted.close()
                    continue
                self._half_open[host] += 1
                self._start(self._welcome(accepted, host))

    async def _welcome(self, accepted: socket.socket, host: str) -> None:
        """TLS and hello of somebody who dialled; both have their time limits."""
        timeout_s = self._options.hello_ms_max / 1000
        link = self._new_link(None, is_dialler=False)
        try:
            await asyncio.get_running_loop().connect_accepted_socket(
                lambda: link,
                accepted,
                ssl=self._directory.credentials.server,
                ssl_handshake_timeout=timeout_s,
                ssl_shutdown_timeout=timeout_s,
            )
            await asyncio.shield(link.greeted)
        except _FAILURES as error:
            log.debug("network.no_handshake", remote=host, error=f"{type(error).__name__}: {error}")
        finally:
            self._forget_unopened(link)
            self._half_open[host] -= 1
            if not self._half_open[host]:
                del self._half_open[host]

    def _new_link(self, expected: PeerId | None, *, is_dialler: bool) -> Link:
        link = self._directory.new_link(expected=expected, is_dialler=is_dialler)
        self._links.add(link)
        link.done.add_done_callback(lambda _: self._links.discard(link))
        return link

    def _forget_unopened(self, link: Link) -> None:
        """A link that TLS never opened is never told of an end, so that nothing else would forget it."""
        if not link.is_open:
            self._links.discard(link)

    # Dialling.

    async def _dial(self, address: PeerAddress) -> Link | None:
        """A connection to that node, once it has proven its key and both want it."""
        timeout_s = self._options.hello_ms_max / 1000
        link = self._new_link(address.peer, is_dialler=True)
        try:
            async with asyncio.timeout(timeout_s):
                await asyncio.get_running_loop().create_connection(
                    lambda: link,
                    address.host,
                    address.port,
                    ssl=self._directory.credentials.client,
                    server_hostname="",
                    ssl_handshake_timeout=timeout_s,
                    ssl_shutdown_timeout=timeout_s,
                )
            welcome = await asyncio.shield(link.greeted)
        except _FAILURES as error:
            log.debug("network.unreachable", address=str(address), error=f"{type(error).__name__}: {error}")
            return None
        finally:
            self._forget_unopened(link)
        return link if welcome else None

    async def _keep(self, address: PeerAddress) -> None:
        """Stay connected with a node, whoever of both dials."""
        backoff = self._backoff()
        while True:
            await self._connected_ends(address.peer)
            if self._directory.peer_id > address.peer or self._directory.standing.banned_until(address.peer):
                # The smaller address dials first: where both start at once, one connection is enough.
                await asyncio.sleep(self._options.reconnect_ms_min / 1000)
            if self._directory.link_to(address.peer) is not None:
                continue
            link = await self._dial(address)
            if link is not None:
                await asyncio.wait({link.done})
                if link.age_s >= STEADY_S:
                    backoff.reset()
            await asyncio.sleep(backoff.next_s())

    async def _connected_ends(self, peer: PeerId) -> None:
        while (link := self._directory.link_to(peer)) is not None:
            await asyncio.wait({link.done})

    def _backoff(self) -> Backoff:
        options = self._options
        return Backoff(
            min_s=options.reconnect_ms_min / 1000, max_s=options.reconnect_ms_max / 1000, chance=self._chance
        )

    async def _fill(self) -> None:
        """Dial nodes that were learnt, as long as there are too few."""
        loop, directory = asyncio.get_running_loop(), self._directory
        while True:
            await asyncio.sleep(FILL_EVERY_S)
            if directory.dialled_count() >= self._options.peers_out_max:
                continue
            address = self._candidate(loop.time())
            if address is None:
                self._ask_anybody()
                continue
            backoff, _ = self._waits.get(address.peer, (self._backoff(), 0.0))
            self._waits[address.peer] = backoff, loop.time() + backoff.next_s() * 10
            link = await self._dial(address)
            if link is None:
                directory.book.missed(address.peer)
            else:
                directory.book.reached(address.peer)

    def _candidate(self, now: float) -> PeerAddress | None:
        directory = self._directory
        self._waits = {peer: wait for peer, wait in self._waits.items() if wait[1] > now}
        for address in directory.book.candidates(without=self._waits):
            if directory.link_to(address.peer) is None and not directory.standing.banned_until(address.peer):
                return address
        return None

    def _ask_anybody(self) -> None:
        links = [link for link in self._links if link.peer is not None]
        if links:
            self._directory.ask_for_addresses(self._chance.choice(links))


def _cannot_listen(address: str, error: OSError) -> LocalFault:
    reason = "the port is in use" if error.errno == errno.EADDRINUSE else error.strerror or str(error)
    return LocalFault(f"cannot listen on {address}: {reason}", hint="set network.listen to another address or port")
