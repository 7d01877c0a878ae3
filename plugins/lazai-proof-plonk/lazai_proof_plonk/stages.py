"""Time by stage of a long computation, for progress bars and for `--json`."""

from __future__ import annotations

import time
from collections.abc import Callable

StageListener = Callable[[str], None]


class Stages:
    """Call `enter(name)` at the start of each stage; `seconds` maps stages to seconds afterwards."""

    def __init__(self, listener: StageListener | None = None) -> None:
        self.seconds: dict[str, float] = {}
        self._listener = listener
        self._current = ""
        self._since = 0.0

    def enter(self, name: str) -> None:
        """Close the stage before and begin this one; an empty name only closes."""
        now = time.perf_counter()
        if self._current:
            self.seconds[self._current] = self.seconds.get(self._current, 0.0) + now - self._since
        self._current, self._since = name, now
        if name and self._listener is not None:
            self._listener(name)
