"""Randomness that repeats."""

from __future__ import annotations

import hashlib


class SeededRng:
    """`lazai_core.api.needs.Rng` from a seed: SHA-256 in counter mode. For tests only; nothing here is secret."""

    def __init__(self, seed: int = 0) -> None:
        self._key = hashlib.sha256(b"lazai/testing/rng/v1" + seed.to_bytes(32, "big", signed=True)).digest()
        self._counter = 0
        self._left = b""

    def bytes(self, count: int) -> bytes:
        """The next `count` bytes of the stream."""
        parts, length = [self._left], len(self._left)
        while length < count:
            parts.append(hashlib.sha256(self._key + self._counter.to_bytes(8, "big")).digest())
            self._counter += 1
            length += len(parts[-1])
        stream = b"".join(parts)
        self._left = stream[count:]
        return stream[:count]
