"""When a proposer builds its block, and which time it gives it."""

from __future__ import annotations

import asyncio

from lazai_core.api.consensus import Certificate
from lazai_core.api.needs import Clock
from lazai_core.lazvm.vm import LazVM

from .block_checks import TIME_AHEAD_S_MAX
from .builder import Builder, Draft
from .mempool import Mempool
from .options import RuntimeOptions

SHARED_EMPTY_BLOCK_INTERVAL_MS = 1000
"""Where others wait for our proposal, an empty block is made after this even if the operator wants none."""
CLOCKS_APART_S = 3
"""What honest validators' clocks may differ by without one waiting for another's block."""
LOOK_S = 0.02
"""How often the clock is read while a second is waited for."""


class BlockTiming:
    """A block as soon as there is work for one, or, where empty blocks are wanted, when one is due."""

    def __init__(self, *, options: RuntimeOptions, vm: LazVM, builder: Builder, mempool: Mempool, clock: Clock) -> None:
        self._options = options
        self._vm = vm
        self._builder = builder
        self._mempool = mempool
        self._clock = clock
        self._committed_ns: int | None = None

    def committed(self) -> None:
        """A block is durable now; intervals count from here."""
        self._committed_ns = self._clock.monotonic_ns()

    def extend(self, certificate: Certificate) -> None:
        """More validators have signed the head: the block that is built next shall say so."""
        self._builder.extend(certificate)

    async def draft(self, round_number: int, *, shared: bool) -> Draft:
        """A block on the head. `shared`: other validators wait for it, and in a later round they have waited enough."""
        if round_number:
            return await self._builder.build(await self._timestamp(shared))
        while True:
            due = await self._wait_for_work(shared)
            draft = await self._builder.build(await self._timestamp(shared))
            if draft.executed.block.transactions or due:
                return draft

    async def _wait_for_work(self, shared: bool) -> bool:
        """Returns whether a block is due without any work."""
        return await (self._wait_among_others() if shared else self._wait_alone())

    async def _wait_among_others(self) -> bool:
        """By the clock and the parent's timestamp: proposers that take turns keep one beat, however long each took.

        A parent that its proposer dated ahead holds nobody up for longer than the interval.
        """
        options = self._options
        start = min(self._vm.head.header.timestamp, self._clock.now_seconds())
        await self._second(start + options.block_interval_ms // 1000)
        empty_ms = options.empty_block_interval_ms or SHARED_EMPTY_BLOCK_INTERVAL_MS
        due = asyncio.create_task(self._second(start + max(1, empty_ms // 1000)))
        work = asyncio.create_task(self._mempool.changed.wait())
        try:
            await asyncio.wait({due, work}, return_when=asyncio.FIRST_COMPLETED)
            return due.done()
        finally:
            due.cancel()
            work.cancel()

    async def _second(self, second: int) -> None:
        """Until the clock shows this second."""
        while self._clock.now_seconds() < second:
            await asyncio.sleep(LOOK_S)

    async def _wait_alone(self) -> bool:
        since_ms = self._since_ms()
        if self._committed_ns is not None and since_ms < self._options.block_interval_ms:
            await asyncio.sleep((self._options.block_interval_ms - since_ms) / 1000)
        empty_ms = self._options.empty_block_interval_ms
        if not empty_ms:
            await self._mempool.changed.wait()
            return False
        left_ms = empty_ms - self._since_ms()
        try:
            async with asyncio.timeout(max(left_ms, 0) / 1000):
                await self._mempool.changed.wait()
        except TimeoutError:
            return True
        return False

    def _since_ms(self) -> int:
        return 0 if self._committed_ns is None else (self._clock.monotonic_ns() - self._committed_ns) // 1_000_000

    async def _timestamp(self, shared: bool) -> int:
        """Now, or a second after the parent; waits rather than let the chain's time run far ahead of the clock.

        Among others as far ahead as they accept: whoever dates a block to that limit must not silence who comes next.
        """
        ahead_s_max = self._options.timestamp_ahead_s_max
        if shared:
            ahead_s_max = max(ahead_s_max, TIME_AHEAD_S_MAX - CLOCKS_APART_S)
        while True:
            earliest = self._vm.head.header.timestamp + 1
            if earliest <= self._clock.now_seconds() + ahead_s_max:
                return max(earliest, self._clock.now_seconds())
            await asyncio.sleep(0.1)
