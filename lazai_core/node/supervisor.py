"""Services started in order and stopped in exactly the reverse, whatever fails.

Each service is a task group of its own, and the groups are nested: when one fails, those started after it are
stopped first, then those before it, each waited for; the first failure is what the node reports.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from types import TracebackType

import structlog

from lazai_core.api.errors import LocalFault
from lazai_core.api.service import Service

log = structlog.get_logger(__name__)


class ServiceEnded(LocalFault):
    """A service returned although nobody stopped it."""


class _Running:
    """One service inside its own task group; leaving the context stops it and waits."""

    def __init__(self, service: Service, ready_timeout_ms: int, stop_timeout_ms: int) -> None:
        self._service = service
        self._ready_timeout_ms = ready_timeout_ms
        self._stop_timeout_ms = stop_timeout_ms
        self._group = asyncio.TaskGroup()
        self._ready = asyncio.Event()
        self._stopping = False
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> None:
        await self._group.__aenter__()
        self._task = self._group.create_task(self._run(), name=f"service {self._service.name}")
        try:
            async with asyncio.timeout(self._ready_timeout_ms / 1000):
                await self._ready.wait()
        except BaseException as error:
            failure: BaseException = error
            if isinstance(error, TimeoutError):
                failure = LocalFault(
                    f"service {self._service.name} was not ready within {self._ready_timeout_ms} ms",
                    hint="look at the log lines before this one",
                )
            # The group turns our own cancellation, caused by a service's failure, into that failure.
            await self.__aexit__(type(failure), failure, failure.__traceback__)
            raise
        log.debug("service.ready", service=self._service.name)

    async def _run(self) -> None:
        try:
            await self._service.run(self._ready.set)
        finally:
            log.debug("service.stopped", service=self._service.name)
        if not self._stopping:
            raise ServiceEnded(f"service {self._service.name} ended by itself")

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._task is not None
        self._stopping = True
        self._task.cancel()
        warning = asyncio.get_running_loop().call_later(self._stop_timeout_ms / 1000, self._warn)
        try:
            await self._group.__aexit__(kind, error, trace)
        finally:
            warning.cancel()

    def _warn(self) -> None:
        log.warning(
            "service.slow_to_stop",
            service=self._service.name,
            stop_timeout_ms=self._stop_timeout_ms,
            advice="a second interrupt ends the process at once; committed blocks are safe",
        )


def flatten(error: BaseException) -> list[BaseException]:
    """The failures inside nested exception groups, first cause first."""
    if isinstance(error, BaseExceptionGroup):
        return [leaf for inner in error.exceptions for leaf in flatten(inner)]
    return [error]


def first_failure(error: BaseException) -> BaseException:
    """The failure to report; the others are logged."""
    leaves = [leaf for leaf in flatten(error) if not isinstance(leaf, asyncio.CancelledError)]
    if not leaves:
        return error
    for other in leaves[1:]:
        log.error("service.also_failed", error=str(other), kind=type(other).__name__)
    return leaves[0]


async def supervise(
    services: Sequence[Service] | Iterable[Service],
    stop: asyncio.Event,
    *,
    on_ready: Callable[[], None] = lambda: None,
    ready_timeout_ms: int = 60_000,
    stop_timeout_ms: int = 10_000,
) -> None:
    """Run the services until `stop` is set. Raises the first failure of a service, after all have stopped."""
    try:
        async with AsyncExitStack() as stack:
            for service in services:
                await stack.enter_async_context(_Running(service, ready_timeout_ms, stop_timeout_ms))
            on_ready()
            await stop.wait()
    except BaseExceptionGroup as group:
        failure = first_failure(group)
        raise failure from failure.__cause__


@asynccontextmanager
async def running(services: Sequence[Service]) -> AsyncIterator[None]:
    """Services that run while the context is open. Raises what they raise, when they fail or are stopped."""
    stop, ready = asyncio.Event(), asyncio.Event()
    task = asyncio.create_task(supervise(services, stop, on_ready=ready.set))
    waiting = asyncio.create_task(ready.wait())
    await asyncio.wait({task, waiting}, return_when=asyncio.FIRST_COMPLETED)
    waiting.cancel()
    try:
        if not task.done():
            yield
    finally:
        stop.set()
        await task
