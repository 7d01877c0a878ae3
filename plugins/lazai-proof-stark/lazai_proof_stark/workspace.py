"""Room for long arrays that is used again: fresh memory costs more than the work on it, above all in virtual machines.

An array from `room` is as any other; when the last view of it is gone its memory waits for the next array of about the
same size. What waits is bounded, and freed when nothing was asked for or given back for a while.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from math import prod
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

SMALLEST_BYTES = 1 << 20
"""Shorter arrays come from the allocator, which keeps their memory itself."""
KEPT_BYTES_MAX = 3 << 29
IDLE_SECONDS = 20.0
SLACK = 4
"""An array takes memory that is longer by a fourth at most."""

Raw = NDArray[np.uint8]


class _Lease:
    """Owns memory as long as an array on it lives."""

    def __init__(self, raw: Raw, shape: tuple[int, ...], dtype: np.dtype[Any], waiting: deque[Raw]) -> None:
        self._raw, self._waiting = raw, waiting
        self.__array_interface__ = {
            "version": 3,
            "shape": shape,
            "typestr": dtype.str,
            "data": (raw.ctypes.data, False),
        }

    def __del__(self) -> None:
        # No lock here: the collector may run this anywhere. Adding to a deque is atomic.
        self._waiting.append(self._raw)


class Workspace:
    """Memory that waits for arrays. Safe to use from several threads."""

    def __init__(self, kept_bytes_max: int = KEPT_BYTES_MAX, idle_seconds: float = IDLE_SECONDS) -> None:
        self._kept_max, self._idle_seconds = kept_bytes_max, idle_seconds
        self._waiting: deque[Raw] = deque()
        self._lock = threading.Lock()
        self._used_at = 0.0
        self._timer: threading.Timer | None = None

    def room(self, shape: tuple[int, ...], dtype: DTypeLike = np.uint32) -> NDArray[Any]:
        """As `numpy.empty`."""
        kind = np.dtype(dtype)
        size = prod(shape) * kind.itemsize
        if size < SMALLEST_BYTES:
            return np.empty(shape, dtype=kind)
        with self._lock:
            raw = self._fitting(size)
            self._drop_surplus()
            self._watch()
        if raw is None:
            raw = np.empty(size, dtype=np.uint8)
        return np.asarray(_Lease(raw, shape, kind, self._waiting))

    @property
    def waiting_bytes(self) -> int:
        """Memory that no array uses now."""
        return sum(raw.nbytes for raw in tuple(self._waiting))

    def drop(self) -> None:
        """Free what waits."""
        self._waiting.clear()

    def _fitting(self, size: int) -> Raw | None:
        fitting = [raw for raw in tuple(self._waiting) if size <= raw.nbytes <= size + size // SLACK]
        if not fitting:
            return None
        best = min(fitting, key=lambda raw: raw.nbytes)
        for _ in range(len(self._waiting)):
            raw = self._waiting.popleft()
            if raw is best:
                return raw
            self._waiting.append(raw)
        return None

    def _drop_surplus(self) -> None:
        """The oldest go first."""
        while self._waiting and self.waiting_bytes > self._kept_max:
            self._waiting.popleft()

    def _watch(self) -> None:
        self._used_at = time.monotonic()
        if self._timer is None:
            self._start(self._idle_seconds)

    def _start(self, seconds: float) -> None:
        self._timer = threading.Timer(seconds, self._look)
        self._timer.daemon = True
        self._timer.start()

    def _look(self) -> None:
        with self._lock:
            left = self._used_at + self._idle_seconds - time.monotonic()
            if left > 0:
                self._start(left)
                return
            self._timer = None
            self._waiting.clear()


_SHARED = Workspace()
room = _SHARED.room
