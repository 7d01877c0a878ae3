"""Threads for kernels that release the interpreter: coarse ranges, no nesting, the same result for any number."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from itertools import pairwise
from typing import Any

SMALLEST_RANGE = 1024
"""Elements below which a second thread costs more than it saves."""


def default_threads() -> int:
    """CPUs that this process may use."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:
        return os.cpu_count() or 1


@lru_cache(maxsize=4)
def _pool(threads: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(threads, thread_name_prefix="lazai-plonk")


# Threads do not survive a fork, their pool would wait for ever.
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_pool.cache_clear)


def each(function: Callable[..., Any], tasks: Sequence[tuple[Any, ...]], threads: int | None) -> list[Any]:
    """`function(*task)` for every task, results in order. The first error is raised after all have ended."""
    count = threads if threads is not None else default_threads()
    if count <= 1 or len(tasks) <= 1:
        return [function(*task) for task in tasks]
    futures = [_pool(count).submit(function, *task) for task in tasks]
    results, first_error = [], None
    for future in futures:
        error = future.exception()
        first_error = first_error or error
        results.append(None if error else future.result())
    if first_error:
        raise first_error
    return results


def ranges(length: int, threads: int | None, multiple: int = 8) -> list[tuple[int, int]]:
    """Even ranges over 0 .. length, inner bounds divisible by `multiple`; one range where the work is small."""
    count = threads if threads is not None else default_threads()
    count = max(1, min(count, length // SMALLEST_RANGE))
    bounds = [length * i // count // multiple * multiple for i in range(count)] + [length]
    return list(pairwise(bounds))
