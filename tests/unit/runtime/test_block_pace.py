"""When a proposer among others makes its block, and how much it puts into one."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from lazai_core.config.schema import LimitsSection
from lazai_core.runtime import block_timing
from lazai_core.runtime.block_timing import BlockTiming
from lazai_core.runtime.pace import PACE_TRANSACTIONS_MIN, TRANSACTION_MS_FIRST, BlockPace
from lazai_core.testing.clock import ManualClock

START_S = 1_700_000_000


@pytest.fixture(autouse=True)
def _look_always(monkeypatch: pytest.MonkeyPatch) -> None:
    """The clock is read in every turn of the loop: the test's clock decides, and no other."""
    monkeypatch.setattr(block_timing, "LOOK_S", 0)


def timing(clock: ManualClock, parent_s: int, **limits: int) -> tuple[BlockTiming, Any]:
    """A proposer's timing on a head of that second; its builder notes when it was asked."""
    mempool = SimpleNamespace(changed=asyncio.Event())
    made: list[int] = []

    async def build(timestamp: int) -> Any:
        made.append(timestamp)
        count = int(mempool.changed.is_set())
        mempool.changed.clear()
        return SimpleNamespace(executed=SimpleNamespace(block=SimpleNamespace(transactions=[b"x"] * count)))

    vm = SimpleNamespace(head=SimpleNamespace(header=SimpleNamespace(timestamp=parent_s)))
    parts: Any = {"vm": vm, "builder": SimpleNamespace(build=build), "mempool": mempool, "clock": clock}
    return BlockTiming(options=LimitsSection(**limits), **parts), SimpleNamespace(made=made, mempool=mempool)


async def draft_at(one: BlockTiming, clock: ManualClock, seen: Any, *, work_at_ms: int = -1) -> int:
    """Milliseconds of the clock until the draft was there; work arrives at `work_at_ms`."""
    task = asyncio.create_task(one.draft(0, shared=True))
    while not task.done():
        if clock.elapsed_ms == work_at_ms:
            seen.mempool.changed.set()
        for _ in range(20):
            await asyncio.sleep(0)
        if task.done():
            break
        clock.advance_ms(100)
        assert clock.elapsed_ms < 10_000
    await task
    return clock.elapsed_ms


def test_an_empty_block_comes_with_the_second_after_its_parent_however_late_that_was_decided() -> None:
    async def work() -> None:
        for late_ms in (0, 400, 900):
            clock = ManualClock(START_S)
            clock.advance_ms(late_ms)
            one, seen = timing(clock, START_S, block_interval_ms=1000, empty_block_interval_ms=1000)
            assert await draft_at(one, clock, seen) == 1000
            assert seen.made == [START_S + 1]

    asyncio.run(work())


def test_work_waits_for_the_interval_and_no_longer() -> None:
    async def work() -> None:
        clock = ManualClock(START_S)
        one, seen = timing(clock, START_S, block_interval_ms=1000, empty_block_interval_ms=5000)
        assert await draft_at(one, clock, seen, work_at_ms=300) == 1000
        clock = ManualClock(START_S)
        one, seen = timing(clock, START_S, block_interval_ms=1000, empty_block_interval_ms=5000)
        assert await draft_at(one, clock, seen, work_at_ms=2300) == 2300

    asyncio.run(work())


def test_a_parent_of_long_ago_is_followed_at_once() -> None:
    async def work() -> None:
        clock = ManualClock(START_S)
        one, seen = timing(clock, START_S - 50, block_interval_ms=1000, empty_block_interval_ms=1000)
        assert await draft_at(one, clock, seen) == 0

    asyncio.run(work())


def test_no_task_is_left_behind_when_the_height_is_decided_meanwhile() -> None:
    async def work() -> None:
        clock = ManualClock(START_S)
        one, _ = timing(clock, START_S, empty_block_interval_ms=60_000)
        task = asyncio.create_task(one.draft(0, shared=True))
        await asyncio.sleep(0.05)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await asyncio.sleep(0)
        assert asyncio.all_tasks() == {asyncio.current_task()}

    asyncio.run(work())


def test_a_slow_machine_makes_smaller_blocks_and_a_fast_one_larger_ones() -> None:
    pace = BlockPace(build_ms_max=600)
    assert pace.most() == 600 / TRANSACTION_MS_FIRST == 300
    pace.took(500, 2000)
    assert pace.most() == 200
    pace.took(200, 200)
    assert pace.most() == 300
    for _ in range(20):
        pace.took(300, 60_000)
    assert pace.most() == PACE_TRANSACTIONS_MIN
    for _ in range(30):
        pace.took(PACE_TRANSACTIONS_MIN, 3.2)
    assert 5900 <= pace.most() <= 6000


def test_small_blocks_say_nothing_of_the_pace() -> None:
    pace = BlockPace(build_ms_max=600)
    pace.took(PACE_TRANSACTIONS_MIN - 1, 100_000)
    assert pace.most() == 300
