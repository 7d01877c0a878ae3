"""The clock and the randomness of this machine."""

from __future__ import annotations

import secrets
import time


class SystemClock:
    """`Clock` of the operating system."""

    def now_seconds(self) -> int:
        """Seconds since 1970, UTC."""
        return int(time.time())

    def monotonic_ns(self) -> int:
        """Nanoseconds from an arbitrary start, never going back."""
        return time.monotonic_ns()


class SystemRng:
    """`Rng` of the operating system."""

    def bytes(self, count: int) -> bytes:
        """`count` fresh random bytes."""
        return secrets.token_bytes(count)
