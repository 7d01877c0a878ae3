"""Where time and memory of one proof go, for people: nothing of it is part of any proof."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from types import TracebackType

from attrs import asdict, define, frozen

SAMPLE_SECONDS = 0.004


@frozen(kw_only=True)
class StageProfile:
    """One stage: wall time, and the most memory that was resident while it ran."""

    name: str
    nanoseconds: int
    memory_bytes_peak: int


def resident_bytes() -> int:
    """Resident memory of this process now."""
    import psutil

    return int(psutil.Process().memory_info().rss)


@define
class _Open:
    name: str
    started: int
    peak: int


class Profiler:
    """Follows stages: call it with each stage's name as it begins, leave the context at the end.

    A second thread looks at the resident memory every few milliseconds, so short peaks may be missed.
    """

    def __init__(self, tell: Callable[[str], None] | None = None) -> None:
        self.stages: list[StageProfile] = []
        self._tell = tell
        self._open: _Open | None = None
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="stark-profile", daemon=True)

    def __enter__(self) -> Profiler:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._close()
        self._stop.set()
        self._thread.join()

    def __call__(self, name: str) -> None:
        """End the current stage and begin another."""
        self._close()
        if self._tell is not None:
            self._tell(name)
        with self._lock:
            self._open = _Open(name, time.perf_counter_ns(), resident_bytes())

    def _close(self) -> None:
        now, memory = time.perf_counter_ns(), resident_bytes()
        with self._lock:
            current, self._open = self._open, None
        if current is not None:
            self.stages.append(
                StageProfile(
                    name=current.name,
                    nanoseconds=now - current.started,
                    memory_bytes_peak=max(current.peak, memory),
                )
            )

    def _watch(self) -> None:
        while not self._stop.wait(SAMPLE_SECONDS):
            memory = resident_bytes()
            with self._lock:
                if self._open is not None:
                    self._open.peak = max(self._open.peak, memory)


@frozen(kw_only=True)
class ProofProfile:
    """What `profile.json` holds."""

    stages: tuple[StageProfile, ...]
    parameters: str
    proof_bytes: int

    @property
    def seconds(self) -> float:
        """Time of all stages."""
        return sum(stage.nanoseconds for stage in self.stages) / 1e9

    @property
    def memory_bytes_peak(self) -> int:
        """The most memory in any stage."""
        return max((stage.memory_bytes_peak for stage in self.stages), default=0)

    def document(self) -> dict[str, object]:
        """For JSON."""
        return asdict(self)
