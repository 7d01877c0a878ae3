"""Small rooms of the consensus host: threads that may be none, blocks that are bounded, tasks that fail loudly."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
from attrs import evolve

from lazai_core.api.consensus import Certificate
from lazai_core.api.errors import Busy, StorageError
from lazai_core.api.network import PeerId
from lazai_core.api.types import Height
from lazai_core.chain.block import Block
from lazai_core.lazvm.database import NodeReader
from lazai_core.lazvm.genesis_state import genesis_block
from lazai_core.lazvm.vm import ExecutedBlock
from lazai_core.runtime import decided, proposals
from lazai_core.runtime.decided import DecidedBlocks
from lazai_core.runtime.disk import FolderDisk
from lazai_core.runtime.execution import BoundedThreads
from lazai_core.runtime.host_tasks import HostTasks
from lazai_core.runtime.proposals import HeldBlock, HeldBlocks
from lazai_core.testing.parts import DictStore
from lazai_core.testing.simulation.chain import Shape, genesis_of
from lazai_core.testing.simulation.loop import run_virtual

PEER = PeerId(bytes(20))


def virtual(work: Callable[[], Coroutine[Any, Any, None]]) -> None:
    run_virtual(work)


# Threads that may be none.


def test_inline_calls_take_turns_on_the_loop_and_take_time() -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        threads = BoundedThreads("test", threads=1, waiting_max=5, inline=lambda: 2.0)
        order: list[tuple[int, float, bool]] = []

        def call(number: int) -> int:
            order.append((number, loop.time(), threading.current_thread() is threading.main_thread()))
            return number

        assert await asyncio.gather(*(threads.run(call, number) for number in range(3))) == [0, 1, 2]
        assert order == [(0, 2.0, True), (1, 4.0, True), (2, 6.0, True)]
        assert threads.open == 0
        threads.close()

    virtual(main)


def test_an_inline_call_goes_on_when_nobody_waits_for_it() -> None:
    async def main() -> None:
        threads = BoundedThreads("test", threads=1, waiting_max=1, inline=lambda: 1.0)
        done: list[str] = []
        waiting = asyncio.ensure_future(threads.run(done.append, "done"))
        await asyncio.sleep(0.5)
        waiting.cancel()
        await asyncio.sleep(1)
        assert done == ["done"]

    virtual(main)


@pytest.mark.parametrize("is_inline", [True, False])
def test_a_full_queue_refuses(is_inline: bool) -> None:
    async def main() -> None:
        release = threading.Event()
        inline = (lambda: 1.0) if is_inline else None
        threads = BoundedThreads("test", threads=1, waiting_max=1, inline=inline)
        wait = (lambda: None) if is_inline else release.wait
        running = [asyncio.ensure_future(threads.run(wait)) for _ in range(2)]
        await asyncio.sleep(0)
        with pytest.raises(Busy):
            await threads.run(wait)
        release.set()
        await asyncio.gather(*running)
        threads.close()

    if is_inline:
        virtual(main)
    else:
        asyncio.run(main())


@pytest.mark.parametrize("is_inline", [True, False])
def test_the_chains_own_calls_are_never_refused(is_inline: bool) -> None:
    async def main() -> None:
        release = threading.Event()
        threads = BoundedThreads("test", threads=1, waiting_max=1, inline=(lambda: 1.0) if is_inline else None)
        order: list[str] = []

        def call(name: str) -> None:
            assert is_inline or release.wait(10)
            order.append(name)

        running = [asyncio.ensure_future(threads.run(call, name)) for name in ("first", "second")]
        await asyncio.sleep(0)
        own = [asyncio.ensure_future(threads.run_first(call, "own")) for _ in range(3)]
        await asyncio.sleep(0)
        release.set()
        await asyncio.gather(*running, *own)
        assert sorted(order) == ["first", "own", "own", "own", "second"]
        if not is_inline:
            assert order[-1] == "second", "they overtake what waits"
        threads.close()

    if is_inline:
        virtual(main)
    else:
        asyncio.run(main())


def test_who_waits_for_threads_that_close_is_told() -> None:
    async def main() -> None:
        release, started = threading.Event(), threading.Event()
        threads = BoundedThreads("test", threads=1, waiting_max=5)

        def call() -> None:
            started.set()
            release.wait(10)

        running = asyncio.ensure_future(threads.run(call))
        waiting = [asyncio.ensure_future(threads.run(call)), asyncio.ensure_future(threads.run_first(call))]
        assert await asyncio.to_thread(started.wait, 10)
        asyncio.get_running_loop().call_later(0.05, release.set)
        await asyncio.to_thread(threads.close)
        await running
        for late in waiting:
            with pytest.raises(asyncio.CancelledError):
                await late

    asyncio.run(main())


# Blocks.


def block(number: int, *, height: int = 1, size: int = 100) -> Block:
    header = genesis_block(genesis_of(Shape("4")), NodeReader(DictStore())).block.header
    return Block(
        header=evolve(header, height=Height(height), timestamp=number), transactions=(bytes([number % 256]) * size,)
    )


def test_held_blocks_are_bounded_and_the_unwanted_go_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(proposals, "BLOCKS_MAX", 3)
    held = HeldBlocks()
    wanted = block(0)
    held.wanted.add(wanted.hash)
    for number in range(5):
        held.add(HeldBlock(block=block(number)))
        assert len(held) <= 3
    assert held.get(wanted.hash) is not None
    assert held.get(block(1).hash) is None
    assert held.get(block(4).hash) is not None
    held.clear()
    assert (len(held), held.size_bytes) == (0, 0)


def test_the_block_the_engine_is_bound_to_gives_way_to_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(proposals, "BLOCKS_MAX", 3)
    held, bound = HeldBlocks(), block(0)
    held.add(HeldBlock(block=bound))
    held.bound = bound.hash
    for number in range(1, 9):
        held.wanted.add(block(number).hash)
        held.add(HeldBlock(block=block(number)))
        assert len(held) <= 3
    assert held.get(bound.hash) is not None
    held.clear()
    assert held.bound is None


def test_own_and_checked_blocks_outlive_what_peers_only_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(proposals, "BLOCKS_MAX", 3)
    held, stranger = HeldBlocks(), PeerId(bytes(20))
    own, checked = block(100), block(101)
    held.add(HeldBlock(block=own))
    executed = ExecutedBlock(block=checked, receipts=(), outcomes=(), nodes={})
    held.add(HeldBlock(block=checked, peer=stranger, executed=executed))
    for number in range(9):
        held.wanted.add(block(number).hash)
        held.add(HeldBlock(block=block(number), peer=stranger))
        assert len(held) <= 3
    assert held.get(own.hash) is not None
    assert held.get(checked.hash) is not None


def test_held_blocks_are_bounded_in_bytes_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(proposals, "BLOCKS_BYTES_MAX", 10_000)
    held = HeldBlocks()
    for number in range(30):
        large = block(number, size=3000)
        held.wanted.add(large.hash)
        held.add(HeldBlock(block=large))
    assert held.size_bytes <= 10_000
    assert held.get(block(29, size=3000).hash) is not None, "the newest stays"


def certificate(decided_block: Block) -> Certificate:
    return Certificate(height=decided_block.height, round=0, block_id=decided_block.hash, signatures=())


def test_decided_blocks_wait_for_their_turn_within_bounds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decided, "BYTES_MAX", 5_000)
    waiting = DecidedBlocks()

    def add(height: int, size: int = 100) -> bool:
        one = block(height, height=height, size=size)
        return waiting.add(10, PEER, one, certificate(one))

    assert not add(9), "decided already"
    assert add(11)
    assert not add(11), "the first counts"
    assert add(12)
    assert not add(13, size=10_000), "no room"
    assert add(10, size=10_000), "but the next one is always taken"
    assert not add(10 + decided.HEIGHTS_AHEAD_MAX + 1)
    found = waiting.next(10)
    assert found is not None
    assert found.block.height == 10
    waiting.drop(10)
    assert waiting.next(10) is None
    assert waiting.next(12) is not None
    assert len(waiting) == 1, "what is behind is forgotten"


# Tasks.


def test_a_failing_task_is_heard_of_and_a_cancelled_one_is_not() -> None:
    async def main() -> None:
        failures: list[BaseException] = []
        tasks = HostTasks(failures.append)

        async def fail() -> None:
            raise StorageError("broken")

        tasks.spawn(fail())
        tasks.spawn(asyncio.sleep(100))
        await asyncio.sleep(1)
        tasks.cancel()
        await asyncio.sleep(1)
        assert [str(failure) for failure in failures] == ["broken"]
        tasks.spawn(asyncio.sleep(100))
        await tasks.stop()

    virtual(main)


# The disk.


def test_a_replaced_file_is_the_new_one_and_leaves_no_other(tmp_path: Any) -> None:
    disk = FolderDisk(tmp_path / "folder")
    assert disk.names() == ()
    assert disk.read("a") is None
    disk.write("a", 2, b"xy")
    disk.sync("a")
    assert disk.read("a") == b"\x00\x00xy"
    disk.replace("a", b"new")
    disk.write("a", 3, b"er")
    disk.truncate("a", 4)
    disk.sync("a")
    assert disk.read("a") == b"newe"
    assert disk.names() == ["a"]
    disk.remove("a")
    disk.remove("a")
    assert disk.names() == []
    disk.close()
    disk.close()
