"""The one thread that owns the machine's state, behind a bounded queue."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import ParamSpec, TypeVar

from lazai_core.api.errors import Busy

P = ParamSpec("P")
T = TypeVar("T")

Pause = Callable[[], float]
"""Seconds of the event loop's time that a call takes where there are no threads."""


class BoundedThreads:
    """Threads that run calls in order of arrival; a full queue refuses instead of growing.

    With `inline` there are no threads: calls run on the event loop, as many at a time, each after the time that
    `inline` gives. A simulation under a virtual clock is deterministic that way.
    """

    def __init__(self, name: str, *, threads: int, waiting_max: int, inline: Pause | None = None) -> None:
        self._name = name
        self._pause = inline
        self._turns = asyncio.Semaphore(threads)
        self._executor = (
            None if inline is not None else ThreadPoolExecutor(max_workers=threads, thread_name_prefix=name)
        )
        self._open = 0
        self._open_max = threads + waiting_max

    @property
    def open(self) -> int:
        """Calls that wait or run."""
        return self._open

    async def run(self, call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """The call's result. Cancelling the wait does not stop a call that runs. Raises Busy on a full queue."""
        if self._open >= self._open_max:
            raise Busy(f"{self._open} calls wait for {self._name}", hint="send the same request again a little later")
        self._open += 1
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T]
        if self._executor is None:
            future = loop.create_task(self._inline(lambda: call(*args, **kwargs)))
        else:
            future = loop.run_in_executor(self._executor, lambda: call(*args, **kwargs))
        future.add_done_callback(self._finished)
        return await asyncio.shield(future)

    async def _inline(self, call: Callable[[], T]) -> T:
        assert self._pause is not None
        async with self._turns:
            await asyncio.sleep(self._pause())
            return call()

    def _finished(self, future: asyncio.Future[T]) -> None:
        self._open -= 1
        if not future.cancelled():
            # Who waited may be gone; an exception that nobody reads must not be reported a second time.
            future.exception()

    def close(self) -> None:
        """Wait for the calls that run; those that wait are dropped."""
        if self._executor is not None:
            self._executor.shutdown(wait=True, cancel_futures=True)
