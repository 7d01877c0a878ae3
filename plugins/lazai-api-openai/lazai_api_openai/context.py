"""What every endpoint needs: options, the gateway, keys, meters, a bound on work, threads for parsing."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeAlias, TypeVar

from lazai_core.api.errors import Busy
from lazai_core.api.service import Gateway

from .api_keys import ApiKeys
from .failures import ApiFailure, retry_headers
from .meters import Meters
from .options import ApiOptions

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

_PARSER_THREADS = 2

_T = TypeVar("_T")


class Api:
    """One running service. Its methods are called on the event loop only."""

    def __init__(self, options: ApiOptions, gateway: Gateway, keys: ApiKeys) -> None:
        self.options = options
        self.gateway = gateway
        self.keys = keys
        self.meters = Meters()
        self.in_work = 0
        self._threads = ThreadPoolExecutor(_PARSER_THREADS, thread_name_prefix="lazai-api")

    @contextmanager
    def slot(self) -> Iterator[None]:
        """Hold one of `requests_max` places. Raises Busy when there is none; nothing ever waits for one."""
        if self.in_work >= self.options.requests_max:
            raise Busy(
                f"{self.in_work} requests are in work, as many as this node takes",
                retry_after_ms=self.options.retry_after_ms,
                hint="send the same request again, with the same authorisation",
            )
        self.in_work += 1
        self.meters.in_work.set(self.in_work)
        try:
            yield
        finally:
            self.in_work -= 1
            self.meters.in_work.set(self.in_work)

    async def offload(self, work: Callable[[], _T]) -> _T:
        """Run parsing or rendering in a thread, so that a large body holds nobody else up."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, work)

    def require_ready(self) -> None:
        """Raises ApiFailure (503, to be repeated) while the node cannot serve."""
        readiness = self.gateway.readiness()
        if not readiness.ready:
            raise ApiFailure(
                503,
                "node_syncing",
                f"the node is not ready: {', '.join(readiness.failing) or 'it is starting'}",
                headers=retry_headers(2_000),
            )

    def close(self) -> None:
        """Stop the threads. Idempotent."""
        self._threads.shutdown(wait=False, cancel_futures=True)


Endpoint: TypeAlias = "Callable[[Api, Request], Awaitable[Response]]"
