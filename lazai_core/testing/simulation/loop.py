"""An event loop with a clock of its own: time passes only while everybody waits, and then at once.

What belongs to one life of a node runs in a context that names the life. When a life ends, nothing of it ever runs
again, wherever it stood: that is how power fails.
"""

from __future__ import annotations

import asyncio
import heapq
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
        self.is_frozen = False


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
        self._frozen: list[asyncio.Handle] = []
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
        life = _life_of(handle)
        if life is not None and not self._is_funeral and (life.is_over or life.is_frozen):
            self._ready.pop()  # type: ignore[attr-defined]
            (self._buried if life.is_over else self._frozen).append(handle)
        return handle

    def end(self, life: Life) -> None:
        """Nothing of this life runs any more."""
        self.thaw(life)
        life.is_over = True
        self._buried += self._take_ready(life)
        for timer in self._scheduled:  # type: ignore[attr-defined]
            if _life_of(timer) is life:
                timer.cancel()

    def freeze(self, life: Life) -> None:
        """Nothing of this life runs until `thaw`, as of a process that is stopped; its clock goes on."""
        life.is_frozen = True
        self._frozen += self._take_ready(life)
        timers = [timer for timer in self._scheduled if _life_of(timer) is life]  # type: ignore[attr-defined]
        self._frozen += timers
        rest = [timer for timer in self._scheduled if _life_of(timer) is not life]  # type: ignore[attr-defined]
        heapq.heapify(rest)
        self._scheduled[:] = rest  # type: ignore[attr-defined]

    def thaw(self, life: Life) -> None:
        """It goes on where it stood; timers that have run out in the meantime run now."""
        if not life.is_frozen:
            return
        life.is_frozen = False
        mine = [handle for handle in self._frozen if _life_of(handle) is life]
        self._frozen = [handle for handle in self._frozen if _life_of(handle) is not life]
        for handle in mine:
            if isinstance(handle, asyncio.TimerHandle):
                heapq.heappush(self._scheduled, handle)  # type: ignore[attr-defined]
            else:
                self._ready.append(handle)  # type: ignore[attr-defined]

    def _take_ready(self, life: Life) -> list[asyncio.Handle]:
        taken = []
        for place, handle in enumerate(list(self._ready)):  # type: ignore[attr-defined]
            if _life_of(handle) is life:
                # The loop counts how many it takes out: the place stays, with nothing to do.
                self._ready[place] = self._nothing()  # type: ignore[attr-defined]
                taken.append(handle)
        return taken

    def _nothing(self) -> asyncio.Handle:
        handle = asyncio.Handle(lambda: None, (), self)
        handle.cancel()
        return handle

    async def bury(self) -> None:
        """Let the coroutines of ended lives, and all others, leave in an orderly way, so that none is left."""
        for handle in list(self._frozen):
            life = _life_of(handle)
            assert life is not None, "only lives are frozen"
            self.thaw(life)
        self._is_funeral = True
        self._ready.extend(self._buried)  # type: ignore[attr-defined]
        self._buried.clear()
        current = asyncio.current_task()
        while tasks := [task for task in asyncio.all_tasks(self) if task is not current]:
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)


def _life_of(handle: asyncio.Handle) -> Life | None:
    life: Life | None = handle._context.get(LIFE)  # type: ignore[attr-defined]
    return life


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
