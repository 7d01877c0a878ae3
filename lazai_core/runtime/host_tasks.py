"""Tasks beside the consensus host's inbox: all end with their height, and none fails unheard."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any


class HostTasks:
    """`failed` hears of every exception but a cancellation."""

    def __init__(self, failed: Callable[[BaseException], None]) -> None:
        self._failed = failed
        # In order of creation: whatever is done to all of them is done in the same order every time.
        self._tasks: dict[asyncio.Task[None], None] = {}

    def spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Start a task."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks[task] = None
        task.add_done_callback(self._ended)
        return task

    def cancel(self) -> None:
        """Stop all of them."""
        for task in list(self._tasks):
            task.cancel()

    async def stop(self) -> None:
        """Stop all of them and wait until they have ended."""
        tasks = list(self._tasks)
        self.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.pop(task, None)
        error = None if task.cancelled() else task.exception()
        if error is not None:
            self._failed(error)
