"""The virtual loop: time without waiting, lives that end anywhere, and nothing left behind."""

from __future__ import annotations

import asyncio
import time
from contextvars import copy_context

import pytest

from lazai_core.testing.simulation.loop import LIFE, Life, Stuck, VirtualLoop, run_virtual


def test_an_hour_passes_at_once() -> None:
    async def main() -> float:
        await asyncio.sleep(3600)
        return asyncio.get_running_loop().time()

    started = time.monotonic()
    assert run_virtual(main) == pytest.approx(3600)
    assert time.monotonic() - started < 60


def test_timers_run_in_their_order() -> None:
    async def main() -> list[int]:
        order: list[int] = []
        loop = asyncio.get_running_loop()
        for delay in (3, 1, 2):
            loop.call_later(delay, order.append, delay)
        await asyncio.sleep(4)
        return order

    assert run_virtual(main) == [1, 2, 3]


def test_waiting_for_nothing_is_an_error() -> None:
    async def main() -> None:
        await asyncio.Event().wait()

    with pytest.raises(Stuck):
        run_virtual(main)


async def live(life: Life, deeds: list[str]) -> asyncio.Task[None]:
    """A task with a child and a timer, that all belong to a life."""

    async def child() -> None:
        while True:
            await asyncio.sleep(1)
            deeds.append("child")

    async def work() -> None:
        inner = asyncio.get_running_loop().create_task(child())
        asyncio.get_running_loop().call_later(5, deeds.append, "timer")
        try:
            while True:
                await asyncio.sleep(0)
                deeds.append("step")
                await asyncio.sleep(1)
        finally:
            deeds.append("finally")
            await asyncio.sleep(0.5)
            inner.cancel()

    context = copy_context()
    context.run(LIFE.set, life)
    return asyncio.get_running_loop().create_task(work(), context=context)


def test_nothing_of_an_ended_life_runs_again_until_the_burial() -> None:
    deeds: list[str] = []

    async def main() -> None:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, VirtualLoop)
        life, other = Life(0, 1), Life(1, 1)
        task = await live(life, deeds)
        await asyncio.sleep(2.5)
        assert deeds.count("step") == 3
        assert deeds.count("child") == 2
        loop.end(life)
        deeds.clear()
        survivor = await live(other, deeds)
        await asyncio.sleep(1.5)
        assert deeds.count("step") == 2, "the other life goes on"
        assert "finally" not in deeds
        assert not task.done()
        survivor.cancel()
        await asyncio.gather(survivor, return_exceptions=True)
        deeds.clear()

    run_virtual(main)
    assert deeds == ["finally"], "the dead coroutine is unwound at the end, its timer never ran"


def test_a_life_may_end_while_the_loop_is_among_its_handles() -> None:
    deeds: list[str] = []

    async def main() -> None:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, VirtualLoop)
        life = Life(0, 1)
        context = copy_context()
        context.run(LIFE.set, life)
        loop.call_soon(loop.end, life)
        for _ in range(5):
            loop.call_soon(deeds.append, "dead", context=context)
        loop.call_soon(deeds.append, "alive")
        await asyncio.sleep(1)
        assert deeds == ["alive"]

    run_virtual(main)


def test_a_life_may_end_itself_between_two_awaits() -> None:
    deeds: list[str] = []

    async def main() -> None:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, VirtualLoop)
        life = Life(0, 1)

        async def work() -> None:
            deeds.append("before")
            loop.end(life)
            await asyncio.sleep(0)
            deeds.append("after")

        context = copy_context()
        context.run(LIFE.set, life)
        task = loop.create_task(work(), context=context)
        await asyncio.sleep(10)
        assert not task.done()

    run_virtual(main)
    assert deeds == ["before"]


def test_a_frozen_life_goes_on_where_it_stood() -> None:
    deeds: list[str] = []

    async def main() -> None:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, VirtualLoop)
        life = Life(0, 1)
        task = await live(life, deeds)
        await asyncio.sleep(2.5)
        loop.freeze(life)
        deeds.clear()
        await asyncio.sleep(10)
        assert deeds == []
        loop.thaw(life)
        await asyncio.sleep(0.1)
        assert sorted(deeds) == ["child", "step", "timer"], "each timer that has run out runs once"
        deeds.clear()
        loop.freeze(life)
        loop.end(life)
        await asyncio.sleep(10)
        assert deeds == []
        assert not task.done()

    run_virtual(main)
    assert deeds == ["finally"]


def test_what_is_frozen_at_the_end_is_unwound_too() -> None:
    deeds: list[str] = []

    async def main() -> None:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, VirtualLoop)
        life = Life(0, 1)
        await live(life, deeds)
        await asyncio.sleep(0.5)
        loop.freeze(life)

    run_virtual(main)
    assert deeds[-1] == "finally"
