"""The one thread that owns the machine's state, behind a bounded queue."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, Generic, ParamSpec, TypeVar

from attrs import field, frozen

from lazai_core.api.errors import Busy

P = ParamSpec("P")
T = TypeVar("T")

Pause = Callable[[], float]
"""Seconds of the event loop's time that a call takes where there are no threads."""


@frozen(eq=False)
class _Call(Generic[T]):
    """What a thread runs next, and who waits for it."""

    work: Callable[[], T]
    result: Future[T] = field(factory=Future)

    def run(self) -> None:
        """Once, on a thread."""
        if not self.result.set_running_or_notify_cancel():
            return
        try:
            self.result.set_result(self.work())
        except BaseException as error:
            self.result.set_exception(error)


class BoundedThreads:
    """Threads that run calls in order of arrival; a full queue refuses instead of growing.

    `run_first` is for what the chain cannot go on without: it overtakes all that waits, and no queue is full for it.

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
        self._first: deque[_Call[Any]] = deque()
        self._waiting: deque[_Call[Any]] = deque()

    @property
    def open(self) -> int:
        """Calls that wait or run."""
        return self._open

    async def run(self, call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """The call's result. Cancelling the wait does not stop a call that runs. Raises Busy on a full queue."""
        if self._open >= self._open_max:
            raise Busy(f"{self._open} calls wait for {self._name}", hint="send the same request again a little later")
        return await self._run(lambda: call(*args, **kwargs), self._waiting)

    async def run_first(self, call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """As `run`, before everything that waits; never refused. Its callers have few calls open at a time."""
        return await self._run(lambda: call(*args, **kwargs), self._first)

    async def _run(self, work: Callable[[], T], queue: deque[_Call[Any]]) -> T:
        self._open += 1
        future: asyncio.Future[T]
        if self._executor is None:
            future = asyncio.get_running_loop().create_task(self._inline(work))
        else:
            call = _Call(work)
            queue.append(call)
            # As many turns as calls: each takes the most urgent one that waits.
            self._executor.submit(self._turn)
            future = asyncio.wrap_future(call.result)
        future.add_done_callback(self._finished)
        return await asyncio.shield(future)

    def _turn(self) -> None:
        try:
            call = self._first.popleft()
        except IndexError:
            call = self._waiting.popleft()
        call.run()

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
            for call in (*self._first, *self._waiting):
                call.result.cancel()
