"""What a node prepares once it is ready: the backend's libraries, and the models it serves."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

import structlog

from lazai_core.api.errors import ComputeError, LazAIError
from lazai_core.api.needs import Clock
from lazai_core.api.types import ModelId
from lazai_core.runtime.execution import BoundedThreads
from lazai_core.runtime.workers import ComputeWorkers

from .lazy_coprocessor import LazyCoprocessor

log = structlog.get_logger(__name__)


class WarmUp:
    """A service that works once and then only waits. A request that comes earlier loads what it needs itself."""

    name = "warm-up"

    def __init__(
        self,
        *,
        coprocessor: LazyCoprocessor,
        workers: ComputeWorkers,
        execution: BoundedThreads,
        first_call: Callable[[], object],
        models: Sequence[ModelId],
        models_max: int,
        clock: Clock,
    ) -> None:
        self._coprocessor = coprocessor
        self._workers = workers
        self._execution = execution
        self._first_call = first_call
        self._models = tuple(models)[:models_max]
        self._clock = clock
        self._failing: tuple[str, ...] = ()

    def failing(self) -> Sequence[str]:
        """What could not be prepared and keeps the node from serving."""
        return self._failing

    async def run(self, ready: Callable[[], None]) -> None:
        """Be ready at once; load in the background."""
        ready()
        started_ns = self._clock.monotonic_ns()
        await self._execution.run(self._first_call)
        try:
            await asyncio.to_thread(self._coprocessor.open)
        except ComputeError as error:
            self._failing = ("coprocessor",)
            log.error("coprocessor.unavailable", error=str(error))
        else:
            await self._load_models()
            info = self._coprocessor.info
            log.info(
                "coprocessor.ready",
                backend=info.name,
                version=info.version,
                device=info.device,
                models=len(self._models),
                time_ms=(self._clock.monotonic_ns() - started_ns) // 1_000_000,
            )
        await asyncio.Event().wait()

    async def _load_models(self) -> None:
        for model in self._models:
            try:
                await self._workers.load(model)
            except LazAIError as error:
                log.error("model.unavailable", model=model, error=str(error))
