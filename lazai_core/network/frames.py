"""Frames: u32 length of the payload, u8 topic number, payload. A length is judged before a byte of it is kept."""

from __future__ import annotations

import struct
from collections.abc import Mapping

from lazai_core.api.network import PeerFault

HEADER = struct.Struct(">IB")
HEADER_BYTES = HEADER.size


class FrameRefused(Exception):
    """The bytes are no frame that this side takes; `fault` says why."""

    def __init__(self, fault: PeerFault, message: str) -> None:
        super().__init__(message)
        self.fault = fault


def frame(number: int, payload: bytes) -> bytes:
    """The bytes of one frame."""
    return HEADER.pack(len(payload), number) + payload


class FrameReader:
    """Cuts a stream into frames. `limits` are the topics that may come now, and the bytes of their payloads."""

    def __init__(self, limits: Mapping[int, int]) -> None:
        self.limits = limits
        self._buffer = bytearray()
        self._offset = 0

    @property
    def held_bytes(self) -> int:
        """Bytes that wait here."""
        return len(self._buffer) - self._offset

    def feed(self, data: bytes) -> None:
        """More of the stream."""
        if self._offset:
            del self._buffer[: self._offset]
            self._offset = 0
        self._buffer += data

    def next(self) -> tuple[int, bytes] | None:
        """The next whole frame as topic number and payload, or None. Raises FrameRefused."""
        if self.held_bytes < HEADER_BYTES:
            return None
        length, number = HEADER.unpack_from(self._buffer, self._offset)
        limit = self.limits.get(number)
        if limit is None:
            raise FrameRefused(PeerFault.UNKNOWN_TOPIC, f"topic {number} is not known here")
        if length > limit:
            raise FrameRefused(PeerFault.OVERSIZE, f"{length} bytes on topic {number}, which has at most {limit}")
        start = self._offset + HEADER_BYTES
        if len(self._buffer) < start + length:
            return None
        self._offset = start + length
        return number, bytes(memoryview(self._buffer)[start : self._offset])
