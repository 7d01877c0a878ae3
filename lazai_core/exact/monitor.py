"""Follows one run of a backend: books planned FLOPs and memory, holds the limits, measures time and energy."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from lazai_core.api.errors import ComputeLimitExceeded
from lazai_core.api.job import Measurement, ResourceLimits

POWERCAP_FOLDER = Path("/sys/class/powercap")
NANOSECONDS_A_MILLISECOND = 1_000_000


def package_energy_joules() -> float | None:
    """Energy counter of all processor packages, or None where the machine does not tell (Linux powercap)."""
    total = 0.0
    found = False
    for zone in sorted(POWERCAP_FOLDER.glob("intel-rapl:[0-9]")):
        try:
            total += int((zone / "energy_uj").read_text()) / 1e6
        except (OSError, ValueError):
            return None
        found = True
    return total if found else None


class RunMonitor:
    """The `ResourceMonitor` of every backend in the box. One object a run, one thread.

    `memory_bytes` asks the device for its real peak; without it the planned peak is reported. `energy_joules`
    is a running counter in joules, or gives None.
    """

    def __init__(
        self,
        limits: ResourceLimits,
        *,
        device: str = "cpu",
        memory_bytes: Callable[[], int] | None = None,
        energy_joules: Callable[[], float | None] = package_energy_joules,
        clock_ns: Callable[[], int] = time.perf_counter_ns,
    ) -> None:
        self.limits = limits
        self._device = device
        self._memory_bytes = memory_bytes
        self._energy_joules = energy_joules
        self._clock_ns = clock_ns
        self._flops = 0
        self._planned_peak_bytes = 0
        self.start()

    def start(self) -> None:
        """Begin to measure; what was booked before is forgotten."""
        self._flops = 0
        self._planned_peak_bytes = 0
        self._energy_before = self._energy_joules()
        self._started_ns = self._clock_ns()

    def charge(self, flops: int, memory_bytes: int) -> None:
        """Book one operation before it runs. Raises ComputeLimitExceeded naming the limit and both numbers."""
        self._flops += flops
        self._planned_peak_bytes = max(self._planned_peak_bytes, memory_bytes)
        limits = self.limits
        if limits.flops_max and self._flops > limits.flops_max:
            raise ComputeLimitExceeded(f"the run needs {self._flops} FLOPs or more, the limit is {limits.flops_max}")
        if limits.memory_bytes_max and memory_bytes > limits.memory_bytes_max:
            raise ComputeLimitExceeded(
                f"the run needs {memory_bytes} bytes at once, the limit is {limits.memory_bytes_max}"
            )
        if limits.time_ms_max:
            elapsed_ms = (self._clock_ns() - self._started_ns) // NANOSECONDS_A_MILLISECOND
            if elapsed_ms > limits.time_ms_max:
                raise ComputeLimitExceeded(f"the run has taken {elapsed_ms} ms, the limit is {limits.time_ms_max} ms")

    def measurement(self) -> Measurement:
        """What was booked and measured since `start`."""
        elapsed_ns = self._clock_ns() - self._started_ns
        energy_after = self._energy_joules()
        energy = None
        if self._energy_before is not None and energy_after is not None:
            energy = max(0.0, energy_after - self._energy_before)
        memory = self._memory_bytes() if self._memory_bytes is not None else self._planned_peak_bytes
        return Measurement(
            flops=self._flops,
            memory_bytes_peak=memory,
            time_ns=elapsed_ns,
            energy_joules=energy,
            device=self._device,
        )
