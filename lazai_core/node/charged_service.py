"""A plugin's service as the supervisor runs it: what it raises is charged to its plugin, by name."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from lazai_core.api.errors import LazAIError
from lazai_core.api.service import Service
from lazai_core.registry import messages
from lazai_core.registry.discover import Candidate


class ChargedService:
    """`Service` around another one."""

    def __init__(self, service: Service, candidate: Candidate) -> None:
        self.name = service.name
        self.service = service
        self._candidate = candidate

    async def run(self, ready: Callable[[], None]) -> None:
        """Raises LazAIError as the service raised it, PluginBroken for anything else that it raised."""
        task = asyncio.ensure_future(self.service.run(ready))
        try:
            await asyncio.wait({task})
        except asyncio.CancelledError:
            task.cancel()
            await asyncio.wait({task})
            self._report(task)
            raise
        self._report(task)

    def _report(self, task: asyncio.Future[None]) -> None:
        error = None if task.cancelled() else task.exception()
        if error is None:
            return
        if isinstance(error, LazAIError):
            raise error
        raise messages.raised(self._candidate, f"service {self.name}", error) from error
