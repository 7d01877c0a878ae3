"""An event loop with a clock of its own: time passes only while everybody waits, and then at once.

What belongs to one life of a node runs in a context that names the life. When a life ends, nothing of it ever runs
again, wherever it stood: that is how power fails.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from contextlib import suppress
from contextvars import Context, ContextVar
from typing import Any, TypeVar

T = TypeVar("T")


class Life:
    """One run of a node, from its start to a crash or the end."""

    def __init__(self, owner: int, number: int) -> None:
        self.owner = owner
        self.number = number
        self.is_over = False


LIFE: ContextVar[Life | None] = ContextVar("life", default=None)


class Stuck(AssertionError):
    """Everybody waits, and nothing will ever happen."""


class VirtualLoop(asyncio.BaseEventLoop):
    """No sockets, no threads, no waiting."""

    def __init__(self) -> None:
        super().__init__()
        self._passed = 0.0
        self._selector = self
        self._buried: list[asyncio.Handle] = []
        self._is_funeral = False
        self.failures: list[dict[str, Any]] = []
        self.set_exception_handler(lambda _, context: self.failures.append(context))

    def time(self) -> float:
        """Virtual seconds since the loop was made."""
        return self._passed

    def select(self, timeout: float | None) -> list[Any]:
        """Let time pass; there are no files to wait for."""
        if timeout is None:
            raise Stuck("everybody waits, and nothing will ever happen")
        self._passed += timeout
        return []

    def _process_events(self, events: list[Any]) -> None:
        """There are none."""

    def _write_to_self(self) -> None:
        """There is no other thread."""

    def _call_soon(self, callback: Any, args: Any, context: Context | None) -> asyncio.Handle:
        handle: asyncio.Handle = super()._call_soon(callback, args, context)  # type: ignore[misc]
        if not self._is_funeral and _is_over(handle):
            self._ready.pop()  # type: ignore[attr-defined]
            self._buried.append(handle)
        return handle

    def end(self, life: Life) -> None:
        """Nothing of this life runs any more."""
        life.is_over = True
        for place, handle in enumerate(list(self._ready)):  # type: ignore[attr-defined]
            if _is_over(handle):
                # The loop counts how many it takes out: the place stays, with nothing to do.
                self._ready[place] = self._nothing()  # type: ignore[attr-defined]
                self._buried.append(handle)
        for timer in self._scheduled:  # type: ignore[attr-defined]
            if _is_over(timer):
                timer.cancel()

    def _nothing(self) -> asyncio.Handle:
        handle = asyncio.Handle(lambda: None, (), self)
        handle.cancel()
        return handle

    async def bury(self) -> None:
        """Let the coroutines of ended lives, and all others, leave in an orderly way, so that none is left."""
        self._is_funeral = True
        self._ready.extend(self._buried)  # type: ignore[attr-defined]
        self._buried.clear()
        current = asyncio.current_task()
        while tasks := [task for task in asyncio.all_tasks(self) if task is not current]:
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)


def _is_over(handle: asyncio.Handle) -> bool:
    life = handle._context.get(LIFE)  # type: ignore[attr-defined]
    return life is not None and life.is_over


def run_virtual(work: Callable[[], Coroutine[Any, Any, T]]) -> T:
    """Run in virtual time; no task outlives it."""
    loop = VirtualLoop()
    try:
        asyncio.set_event_loop(loop)
        main = loop.create_task(_to_the_end(loop, work))
        try:
            return loop.run_until_complete(main)
        except Stuck:
            main.cancel()
            with suppress(asyncio.CancelledError):
                loop.run_until_complete(main)
            raise
    finally:
        asyncio.set_event_loop(None)
        loop.close()


async def _to_the_end(loop: VirtualLoop, work: Callable[[], Coroutine[Any, Any, T]]) -> T:
    try:
        return await work()
    finally:
        await loop.bury()
