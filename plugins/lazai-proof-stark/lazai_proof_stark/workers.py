"""Splitting kernel ranges over threads. Kernels release the interpreter lock; ranges are coarse."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache

RANGE_MIN = 2048
"""Fewer blocks than this are not worth a thread's wake-up (tens of microseconds, far more on a busy machine)."""


_configured = 0


def use_threads(count: int) -> None:
    """Set the number of threads of this process's proofs; 0 leaves the choice to `usable_threads`."""
    global _configured
    _configured = count
    usable_threads.cache_clear()


@cache
def usable_threads() -> int:
    """LAZAI_STARK_THREADS, else what the options say, else the cores this process may run on."""
    wanted = os.environ.get("LAZAI_STARK_THREADS", "") or str(_configured)
    if wanted.isdigit() and int(wanted) > 0:
        return int(wanted)
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


_STOP: ContextVar[Callable[[], None] | None] = ContextVar("stop", default=None)


@contextmanager
def cancellable(check: Callable[[], None]) -> Iterator[None]:
    """Within the context `split` and `breathe` call `check` first, which may raise. Other threads are not concerned."""
    token = _STOP.set(check)
    try:
        yield
    finally:
        _STOP.reset(token)


def breathe() -> None:
    """Where long work may stop: raises what the context's check raises."""
    check = _STOP.get()
    if check is not None:
        check()


@cache
def _pool(threads: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(max_workers=threads, thread_name_prefix="stark")


def split(count: int, run: Callable[[int, int], object], *, multiple: int = 1, smallest: int = RANGE_MIN) -> None:
    """Call `run(begin, end)` for parts of 0 .. count whose borders are multiples of `multiple`."""
    breathe()
    threads = usable_threads()
    if threads == 1 or count < 2 * smallest:
        run(0, count)
        return
    step = -(-count // (threads * multiple)) * multiple
    ranges = [(begin, min(begin + step, count)) for begin in range(0, count, step)]
    outcomes = [_pool(threads).submit(run, begin, end) for begin, end in ranges[1:]]
    run(*ranges[0])
    for outcome in outcomes:
        outcome.result()
