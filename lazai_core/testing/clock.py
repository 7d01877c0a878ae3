"""A clock that stands still until a test moves it."""

from __future__ import annotations

NANOSECONDS_A_MILLISECOND = 1_000_000
MILLISECONDS_A_SECOND = 1_000


class ManualClock:
    """`lazai_core.api.needs.Clock` under a test's control. Virtual time starts at `start_seconds` since 1970."""

    def __init__(self, start_seconds: int = 1_700_000_000) -> None:
        self._start_seconds = start_seconds
        self._elapsed_ms = 0

    @property
    def elapsed_ms(self) -> int:
        """Virtual milliseconds since the clock was made."""
        return self._elapsed_ms

    def now_seconds(self) -> int:
        """Seconds since 1970, UTC, as far as this clock knows."""
        return self._start_seconds + self._elapsed_ms // MILLISECONDS_A_SECOND

    def monotonic_ns(self) -> int:
        """Virtual nanoseconds since the clock was made."""
        return self._elapsed_ms * NANOSECONDS_A_MILLISECOND

    def advance_ms(self, milliseconds: int) -> None:
        """Let time pass. Raises ValueError for a negative amount: time never goes back."""
        if milliseconds < 0:
            raise ValueError(f"time does not go back, {milliseconds} ms were given")
        self._elapsed_ms += milliseconds
