"""uvicorn inside the node: on the node's own loop, with its own socket, and without its own signal handling."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
from collections.abc import Callable, Iterator
from typing import Any

import h11
import uvicorn
from uvicorn.protocols.http.h11_impl import STATUS_PHRASES, H11Protocol

from lazai_core.api.errors import ConfigError, Problem

from .failures import bad_request
from .frame import Frame
from .options import ApiOptions, parse_listen

_BACKLOG = 1_024
_HEAD_BYTES_MAX = 64 * 1024
_KEEP_ALIVE_SECONDS = 30


def bind(listen: str) -> socket.socket:
    """A listening socket's socket, bound. Raises ConfigError."""
    host, port = parse_listen(listen)
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        listener = socket.socket(family, kind, protocol)
        try:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(address)
            listener.setblocking(False)
        except OSError:
            listener.close()
            raise
        return listener
    except OSError as cause:
        problem = Problem(
            file="service openai",
            line=0,
            key="listen",
            message=f"{listen} cannot be bound: {cause.strerror or cause}",
            hint="choose another address or port, or stop what holds it",
        )
        raise ConfigError([problem]) from cause


class _Server(uvicorn.Server):
    """Tells when it listens; leaves signals to the node."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.listening = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets=sockets)
        self.listening.set()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def _protocol(options: ApiOptions) -> type[H11Protocol]:
    """HTTP/1.1 with a bound on connections and on the time for a request's head, and errors in JSON."""

    class BoundedProtocol(H11Protocol):
        _head_timer: asyncio.TimerHandle | None = None

        def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
            super().connection_made(transport)
            if len(self.connections) > options.connections_max:
                transport.abort()
                return
            self._await_head()

        def _await_head(self) -> None:
            self._head_timer = self.loop.call_later(options.body_timeout_ms / 1000, self._give_up)

        def _give_up(self) -> None:
            self._head_timer = None
            if self._is_idle() and not self.transport.is_closing():
                self.transport.abort()

        def _is_idle(self) -> bool:
            # There is no cycle before the first request.
            return bool(getattr(self.cycle, "response_complete", True))

        def _head_came(self) -> None:
            if self._head_timer is not None:
                self._head_timer.cancel()
                self._head_timer = None

        def data_received(self, data: bytes) -> None:
            before = self.cycle
            super().data_received(data)
            if self.cycle is not before:
                self._head_came()
            elif self._head_timer is None and self._is_idle():
                # Bytes of the next request on a kept connection, its head not whole yet.
                self._await_head()

        def connection_lost(self, exc: Exception | None) -> None:
            self._head_came()
            super().connection_lost(exc)

        def send_400_response(self, msg: str) -> None:
            self._head_came()
            body = json.dumps(bad_request(msg, code="invalid_http").body()).encode()
            headers: list[Any] = [
                (b"content-type", b"application/json"),
                (b"content-length", str(len(body)).encode()),
                (b"connection", b"close"),
            ]
            events = (
                h11.Response(status_code=400, headers=headers, reason=STATUS_PHRASES[400]),
                h11.Data(data=body),
                h11.EndOfMessage(),
            )
            with contextlib.suppress(h11.LocalProtocolError):
                for event in events:
                    self.transport.write(self.conn.send(event) or b"")
            self.transport.close()

    return BoundedProtocol


async def serve(app: Frame, listener: socket.socket, options: ApiOptions, ready: Callable[[], None]) -> None:
    """Serve on `listener` until cancelled; then take no more connections and let open requests end in time."""
    config = uvicorn.Config(
        app,
        http=_protocol(options),
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        backlog=_BACKLOG,
        h11_max_incomplete_event_size=_HEAD_BYTES_MAX,
        timeout_keep_alive=_KEEP_ALIVE_SECONDS,
        # uvicorn counts whole seconds.
        timeout_graceful_shutdown=-(-options.stop_timeout_ms // 1000),
    )
    server = _Server(config)
    serving = asyncio.ensure_future(server.serve(sockets=[listener]))
    started = asyncio.ensure_future(server.listening.wait())
    try:
        await asyncio.wait({serving, started}, return_when=asyncio.FIRST_COMPLETED)
        if started.done():
            ready()
        await asyncio.shield(serving)
    finally:
        started.cancel()
        server.should_exit = True
        await _finish(serving)
        # Requests that were cut off still write their last answer.
        await asyncio.gather(*server.server_state.tasks, return_exceptions=True)
        listener.close()
        app.close()


async def _finish(serving: asyncio.Future[None]) -> None:
    # A second cancellation must not leave connections open behind us.
    while not serving.done():
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.shield(serving)
