"""What one core of this machine does: multiplications in KoalaBear and bytes through BLAKE3."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np
from attrs import frozen
from numba import njit

from ..kernels.hashing import hash_rows
from ..kernels.lanes import BASE_BLOCK_BYTES, LANES, ExtensionLanes, vector_intrinsic
from ..merkle import LEAF_KEY

CHAINS, ROUNDS = 8, 8
BLOCKS = CHAINS * 32
ROWS, ROW_WORDS = 4096, 64
REPEATS = 20


@frozen(kw_only=True)
class MachineSpeed:
    """One core's rates, a second."""

    multiplications: float
    hashed_bytes: float

    @property
    def line(self) -> str:
        """For people."""
        multiplications, hashed = self.multiplications / 1e9, self.hashed_bytes / 1e9
        return f"one core: {multiplications:.2f} G KoalaBear mul/s, BLAKE3 {hashed:.2f} GB/s"


def _emit_powers(k: ExtensionLanes, address: Any) -> None:
    """Independent chains hide each other's latency, as they do in the kernels of the prover."""
    values = [k.base.load(address, index) for index in range(CHAINS)]
    factors = list(values)
    for _ in range(ROUNDS):
        values = [k.base.mul(value, factor) for value, factor in zip(values, factors, strict=True)]
    for index, value in enumerate(values):
        k.base.store(value, address, index)


_powers = vector_intrinsic(_emit_powers, 1)


@njit(cache=True, nogil=True)
def _run_powers(words: Any, repeats: int) -> None:
    start = np.uint64(words.ctypes.data)
    step = np.uint64(CHAINS * BASE_BLOCK_BYTES)
    for _ in range(repeats):
        for block in range(BLOCKS // CHAINS):
            _powers(start + np.uint64(block) * step)


def _best_seconds(work: Callable[[], object]) -> float:
    work()
    times = []
    for _ in range(REPEATS):
        started = time.perf_counter()
        work()
        times.append(time.perf_counter() - started)
    return min(times)


def measure_speed() -> MachineSpeed:
    """Takes a fraction of a second, after the first compilation."""
    words = np.arange(1, BLOCKS * LANES + 1, dtype=np.uint32)
    multiplied = _best_seconds(lambda: _run_powers(words, 100))
    rows = np.arange(ROWS * ROW_WORDS, dtype=np.uint32).reshape(ROWS, ROW_WORDS)
    digests = np.empty((ROWS, 8), dtype=np.uint32)
    hashed = _best_seconds(lambda: hash_rows(rows, LEAF_KEY, digests, 0, ROWS))
    return MachineSpeed(multiplications=100 * BLOCKS * LANES * ROUNDS / multiplied, hashed_bytes=rows.nbytes / hashed)
