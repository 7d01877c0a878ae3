"""One connection: frames in and out, keep-alive, throttling. What frames mean is decided by its owner."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Mapping
from enum import StrEnum
from typing import Protocol, cast

from attrs import define, field, frozen

from lazai_core.api.network import PeerFault, PeerId, Priority

from .frames import FrameReader, FrameRefused, frame
from .outbox import Outbox


class Control:
    """Topic numbers of the transport's own frames."""

    HELLO, PING, PONG, ASK_ADDRESSES, ADDRESSES = range(5)


PING_BYTES = 8
CHUNK_BYTES = 1 << 16
WRITE_HIGH_BYTES = 1 << 17
"""Little lies in the socket's own buffer, where votes cannot overtake blocks."""
FRAME_COST_BYTES = 64
"""What a frame counts beside its bytes, so that a flood of empty ones is throttled too."""
_STAMP = struct.Struct(">Q")


class _Wait(StrEnum):
    """Why a connection is not read at the moment."""

    THROTTLE = "throttle"
    INBOX = "inbox"


@frozen(kw_only=True)
class LinkLimits:
    """Milliseconds, bytes and frames that hold for one connection."""

    hello_ms: int
    ping_ms: int
    silent_ms: int
    bytes_per_second: int
    queue_frames: int
    queue_bytes: int


class LinkOwner(Protocol):
    """Who is told of what happens on a connection. Nothing here may raise anything but FrameRefused."""

    def opened(self, link: Link) -> None:
        """TLS stands; the owner sends its hello."""

    def received(self, link: Link, number: int, payload: bytes) -> None:
        """A frame. Raises FrameRefused: the peer is blamed and the connection ends."""

    def refused(self, link: Link, fault: PeerFault, reason: str) -> None:
        """The other end sent what is no frame."""

    def ended(self, link: Link, reason: str) -> None:
        """The connection is gone; called once."""


@define(eq=False)
class Link(asyncio.Protocol):
    """Both directions of one connection. `peer` is None until the other end has proven who it is."""

    owner: LinkOwner
    limits: LinkLimits
    is_dialler: bool
    expected: PeerId | None = None
    peer: PeerId | None = None
    instance: bytes = b""
    remote: str = ""
    bytes_in: int = 0
    bytes_out: int = 0
    round_trip_ms: float = 0.0
    opened_at: float = 0.0
    is_asked: bool = False
    """Whether the other end owes us addresses."""
    told_at: float = -1e9
    """When it was last told some, in the loop's time."""
    outbox: Outbox = field(init=False)
    done: asyncio.Future[str] = field(init=False)
    """Why it ended."""
    greeted: asyncio.Future[bool] = field(init=False)
    """Whether the owner took the peer."""
    _reader: FrameReader = field(init=False)
    _loop: asyncio.AbstractEventLoop = field(init=False)
    _transport: asyncio.Transport | None = None
    _waits: set[_Wait] = field(factory=set)
    _is_stuffed: bool = False
    _stuffed_at: float = 0.0
    _pump: asyncio.Handle | None = None
    _timer: asyncio.TimerHandle | None = None
    _resume: asyncio.TimerHandle | None = None
    _credit: float = 0.0
    _credit_at: float = 0.0
    _heard_at: float = 0.0
    _reason: str = ""

    def __attrs_post_init__(self) -> None:
        """Bind to the running loop."""
        self._loop = asyncio.get_running_loop()
        self.done, self.greeted = self._loop.create_future(), self._loop.create_future()
        self.outbox = Outbox(frames_max=self.limits.queue_frames, bytes_max=self.limits.queue_bytes)
        self._reader = FrameReader({})

    # What asyncio calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._transport.set_write_buffer_limits(high=WRITE_HIGH_BYTES)
        place = transport.get_extra_info("peername")
        self.remote = f"{place[0]}:{place[1]}" if isinstance(place, tuple) else ""
        self.opened_at = self._heard_at = self._credit_at = self._loop.time()
        self._credit = float(self.limits.bytes_per_second)
        self._timer = self._loop.call_later(self.limits.hello_ms / 1000, self.close, "said no hello in time")
        self.owner.opened(self)

    def data_received(self, data: bytes) -> None:
        self.bytes_in += len(data)
        self._heard_at = self._loop.time()
        self._reader.feed(data)
        self._charge(len(data))
        self._read()

    def pause_writing(self) -> None:
        self._is_stuffed = True
        self._stuffed_at = self._loop.time()

    def resume_writing(self) -> None:
        self._is_stuffed = False
        self._flush()

    def connection_lost(self, exc: Exception | None) -> None:
        for handle in (self._timer, self._pump, self._resume):
            if handle is not None:
                handle.cancel()
        self._transport = None
        self.outbox.clear()
        if not self.done.done():
            reason = self._reason or (f"{type(exc).__name__}: {exc}" if exc is not None else "closed by the peer")
            self.done.set_result(reason)
            if not self.greeted.done():
                self.greeted.set_result(False)
            self.owner.ended(self, reason)

    # What the owner calls.

    def allow(self, limits: Mapping[int, int]) -> None:
        """Topics that may come from now on, and the bytes of their payloads."""
        self._reader.limits = limits

    def accept(self, peer: PeerId, instance: bytes) -> None:
        """The other end is `peer`, and it stays."""
        self.peer, self.instance = peer, instance
        if not self.greeted.done():
            self.greeted.set_result(True)
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._loop.call_later(self.limits.ping_ms / 1000, self._keep_alive)

    def send(self, number: int, payload: bytes, priority: Priority) -> bool:
        """Queue a frame; False when it was dropped."""
        if self._transport is None or self._transport.is_closing():
            return False
        taken = self.outbox.put(frame(number, payload), priority)
        if self._pump is None and not self._is_stuffed:
            # What is sent in one turn of the loop leaves in one piece.
            self._pump = self._loop.call_soon(self._flush)
        return taken

    def send_control(self, number: int, payload: bytes) -> None:
        """Send a small frame past the queue; dropped where the other end does not read."""
        if self._transport is not None and not self._is_stuffed and not self._transport.is_closing():
            self._write(frame(number, payload))

    def hold(self) -> None:
        """Read no more until `go_on`."""
        self._wait(_Wait.INBOX)

    def go_on(self) -> None:
        """Read again, unless something else keeps the connection waiting."""
        self._end_wait(_Wait.INBOX)

    def close(self, reason: str) -> None:
        """End the connection; what is queued is lost. Idempotent."""
        self._reason = self._reason or reason
        if self._transport is not None:
            # A peer that does not answer would hold an orderly end of TLS open.
            self._transport.abort()

    def now(self) -> float:
        """The loop's time in seconds."""
        return self._loop.time()

    @property
    def is_open(self) -> bool:
        """Whether TLS stands; from then on `done` says when it ends."""
        return self._transport is not None

    @property
    def age_s(self) -> float:
        """Seconds since it was opened."""
        return self.now() - self.opened_at

    def certificate(self) -> bytes:
        """The other end's certificate (DER)."""
        assert self._transport is not None
        ssl_object = self._transport.get_extra_info("ssl_object")
        return bytes(ssl_object.getpeercert(binary_form=True) or b"")

    # Reading.

    def _read(self) -> None:
        try:
            while not self._waits and self._transport is not None and not self._transport.is_closing():
                found = self._reader.next()
                if found is None:
                    return
                self._credit -= FRAME_COST_BYTES
                self._dispatch(*found)
        except FrameRefused as error:
            self.owner.refused(self, error.fault, str(error))
            self.close(f"{error.fault.value}: {error}")

    def _dispatch(self, number: int, payload: bytes) -> None:
        if number == Control.PING:
            if len(payload) != PING_BYTES:
                raise FrameRefused(PeerFault.GARBAGE_FRAME, f"a ping has {PING_BYTES} bytes, got {len(payload)}")
            self.send_control(Control.PONG, payload)
        elif number == Control.PONG:
            self._pong(payload)
        else:
            self.owner.received(self, number, payload)

    def _charge(self, size: int) -> None:
        """Take from the peer's allowance, which refills all the time and holds a second's worth."""
        now, rate = self._heard_at, self.limits.bytes_per_second
        self._credit = min(float(rate), self._credit + (now - self._credit_at) * rate) - size
        self._credit_at = now
        if self._credit < 0 and _Wait.THROTTLE not in self._waits:
            self._wait(_Wait.THROTTLE)
            self._resume = self._loop.call_later(-self._credit / rate, self._end_wait, _Wait.THROTTLE)

    def _wait(self, reason: _Wait) -> None:
        if not self._waits and self._transport is not None:
            self._transport.pause_reading()
        self._waits.add(reason)

    def _end_wait(self, reason: _Wait) -> None:
        self._waits.discard(reason)
        if self._waits or self._transport is None or self._transport.is_closing():
            return
        self._transport.resume_reading()
        # Silence was ours.
        self._heard_at = self._loop.time()
        self._loop.call_soon(self._read)

    # Writing.

    def _flush(self) -> None:
        self._pump = None
        while len(self.outbox) and not self._is_stuffed and self._transport is not None:
            self._write(self.outbox.take(CHUNK_BYTES))

    def _write(self, data: bytes) -> None:
        assert self._transport is not None
        self.bytes_out += len(data)
        self._transport.write(data)

    # Keep-alive.

    def _keep_alive(self) -> None:
        now, silent_s = self._loop.time(), self.limits.silent_ms / 1000
        if not self._waits and now - self._heard_at > silent_s:
            self.close(f"silent for {silent_s:g} s")
        elif self._is_stuffed and now - self._stuffed_at > silent_s:
            self.close(f"read nothing for {silent_s:g} s")
        else:
            self.send_control(Control.PING, _STAMP.pack(int(now * 1_000_000)))
            self._timer = self._loop.call_later(self.limits.ping_ms / 1000, self._keep_alive)

    def _pong(self, payload: bytes) -> None:
        if len(payload) != PING_BYTES:
            raise FrameRefused(PeerFault.GARBAGE_FRAME, f"a pong has {PING_BYTES} bytes, got {len(payload)}")
        passed_ms = self._loop.time() * 1000 - _STAMP.unpack(payload)[0] / 1000
        if passed_ms < -1:
            raise FrameRefused(PeerFault.UNASKED_ANSWER, "a pong to no ping")
        self.round_trip_ms = max(passed_ms, 0.0)


CONTROL_BYTES_MAX = {Control.PING: PING_BYTES, Control.PONG: PING_BYTES, Control.ASK_ADDRESSES: 0}
"""Payload bytes of the fixed-size control frames."""
