"""A plugin's service behind its guard."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from lazai_core.api.errors import LazAIError, PluginBroken, StorageError
from lazai_core.node.charged_service import ChargedService
from lazai_core.registry.discover import BUILT_IN


class Failing:
    """Raises what it is told to, at once or when it is stopped."""

    name = "failing"

    def __init__(self, error: BaseException | None, *, when_stopped: bool = False) -> None:
        self.error = error
        self.when_stopped = when_stopped
        self.stopped = False

    async def run(self, ready: Callable[[], None]) -> None:
        ready()
        if self.error is not None and not self.when_stopped:
            raise self.error
        try:
            await asyncio.Event().wait()
        finally:
            self.stopped = True
            if self.error is not None:
                raise self.error


def run(service: Failing, *, stop: bool = False) -> None:
    async def main() -> None:
        ready = asyncio.Event()
        task = asyncio.create_task(ChargedService(service, BUILT_IN).run(ready.set))
        await ready.wait()
        if stop:
            task.cancel()
        await task

    asyncio.run(main())


def test_an_unexpected_error_is_charged_to_the_plugin() -> None:
    with pytest.raises(PluginBroken, match=r"(?s)plugin builtin .*service failing raised.*KeyError"):
        run(Failing(KeyError("oops")))


def test_an_error_of_the_tree_passes() -> None:
    error = StorageError("full")

    with pytest.raises(LazAIError) as caught:
        run(Failing(error))
    assert caught.value is error


def test_stopping_stops_the_service_and_waits_for_it() -> None:
    service = Failing(None)

    with pytest.raises(asyncio.CancelledError):
        run(service, stop=True)
    assert service.stopped


def test_a_failure_while_stopping_is_reported() -> None:
    with pytest.raises(PluginBroken, match="ValueError"):
        run(Failing(ValueError("late"), when_stopped=True), stop=True)
