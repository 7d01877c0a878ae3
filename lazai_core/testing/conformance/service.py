"""What every service must do: say when it is ready, run until it is stopped, and give everything back."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from lazai_core.api.entries import ServiceEntry
from lazai_core.api.service import Gateway, Service
from lazai_core.testing.gateway import EmptyGateway
from lazai_core.testing.parts import build_entry

# Waits end as soon as what they wait for happens; this only keeps a service that hangs from stopping the tests.
PATIENCE_S = 60


class ServiceConformance:
    """Subclass it and give the fixture `entry`; override `options` to listen on a free port."""

    @pytest.fixture
    def entry(self) -> ServiceEntry:
        """The entry under test."""
        raise NotImplementedError("give a fixture `entry` that returns your ServiceEntry")

    @pytest.fixture
    def options(self, entry: ServiceEntry) -> Any:
        """Options the service is built with."""
        return entry.options()

    @pytest.fixture
    def gateway(self) -> Gateway:
        """The node's front door."""
        return EmptyGateway()

    def build(self, entry: ServiceEntry, options: Any, gateway: Gateway) -> Service:
        """Build it as one node would."""
        built: Service = build_entry(entry, options=options, gateway=gateway)
        return built

    async def run_until_ready(self, service: Service) -> tuple[asyncio.Task[None], list[None]]:
        """Start a service; its task and what `ready` was called with."""
        calls: list[None] = []
        is_ready = asyncio.Event()

        def ready() -> None:
            calls.append(None)
            is_ready.set()

        task = asyncio.ensure_future(service.run(ready))
        waiting = asyncio.ensure_future(is_ready.wait())
        await asyncio.wait({task, waiting}, timeout=PATIENCE_S, return_when=asyncio.FIRST_COMPLETED)
        waiting.cancel()
        if task.done():
            task.result()
            pytest.fail("the service ended by itself")
        assert calls, "the service never said that it is ready"
        return task, calls

    async def stop(self, task: asyncio.Task[None]) -> None:
        """Cancel a service and wait for its end."""
        task.cancel()
        done, _ = await asyncio.wait({task}, timeout=PATIENCE_S)
        assert done, "the service did not end when it was cancelled"
        if not task.cancelled():
            task.result()

    def test_the_service_is_what_the_entry_says(self, entry: ServiceEntry, options: Any, gateway: Gateway) -> None:
        assert self.build(entry, options, gateway).name == entry.name

    def test_it_says_ready_once_runs_and_stops(self, entry: ServiceEntry, options: Any, gateway: Gateway) -> None:
        async def scenario() -> None:
            task, calls = await self.run_until_ready(self.build(entry, options, gateway))
            for _ in range(20):
                await asyncio.sleep(0)
            assert not task.done(), "a service runs until it is stopped"
            await self.stop(task)
            assert len(calls) == 1

        asyncio.run(scenario())

    def test_it_can_be_started_again_in_the_same_process(
        self, entry: ServiceEntry, options: Any, gateway: Gateway
    ) -> None:
        async def scenario() -> None:
            for _ in range(2):
                task, _ = await self.run_until_ready(self.build(entry, options, gateway))
                await self.stop(task)
            left = asyncio.all_tasks() - {asyncio.current_task()}
            assert not left, f"tasks were left behind: {left}"

        asyncio.run(scenario())
