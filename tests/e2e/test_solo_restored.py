"""A chain of one whose data folder is gone, restored, or in a store that forgets: what its key still signs."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path

import pytest

from lazai_core.api.errors import LocalFault, StorageError
from lazai_core.node.assemble import assemble
from lazai_core.node.supervisor import supervise
from lazai_core.node.system import SystemClock
from tests.e2e.solo import gas_points, plan, prepare, running, write_folder

PATIENCE_S = 60


def folder(path: Path, *, storage: str = "sqlite") -> Path:
    """A node that makes empty blocks all the time."""
    config = write_folder(path, storage=storage)
    text = config.read_text(encoding="utf-8").replace("[limits]", "[limits]\nempty_block_interval_ms = 20")
    config.write_text(text, encoding="utf-8")
    return config


class LaterClock(SystemClock):
    """A hundred seconds on: whatever is built anew is another block than it was."""

    def now_seconds(self) -> int:
        return super().now_seconds() + 100


async def run_until_it_stops(config: Path) -> None:
    node = assemble(plan(config, points=gas_points()), clock=LaterClock())
    try:
        async with asyncio.timeout(PATIENCE_S):
            await supervise(node.services, asyncio.Event())
    finally:
        node.close()


async def reach(config: Path, blocks: int) -> int:
    """Run until so many blocks are there; the height it began from."""
    node = assemble(plan(config, points=gas_points()))
    begun = node.room.vm.head.height
    try:
        async with running(node), asyncio.timeout(PATIENCE_S), node.room.host.committed:
            await node.room.host.committed.wait_for(lambda: node.room.vm.head.height >= begun + blocks)
    finally:
        node.close()
    return int(begun)


def test_a_key_does_not_begin_its_chain_again(tmp_path: Path) -> None:
    config = folder(tmp_path)
    asyncio.run(reach(config, 3))
    signed = list((tmp_path / "keys").glob("node.json.*.signed"))
    assert len(signed) == 1
    shutil.rmtree(tmp_path / "data")

    with pytest.raises(LocalFault, match=r"has signed at height 1 before.*delete the key's \.signed file"):
        asyncio.run(run_until_it_stops(config))

    # Whoever knows that the chain is gone may say so.
    signed[0].unlink()
    assert asyncio.run(reach(config, 1)) == 0


def test_an_older_copy_of_the_data_is_noticed(tmp_path: Path) -> None:
    config = folder(tmp_path)
    asyncio.run(reach(config, 2))
    shutil.copytree(tmp_path / "data", tmp_path / "copy")
    asyncio.run(reach(config, 2))
    shutil.rmtree(tmp_path / "data")
    (tmp_path / "copy").rename(tmp_path / "data")

    with pytest.raises(LocalFault, match="has signed at height"):
        asyncio.run(run_until_it_stops(config))


def test_a_chain_in_a_store_that_forgets_begins_anew_every_time(tmp_path: Path) -> None:
    config = folder(tmp_path, storage="memory")
    assert asyncio.run(reach(config, 2)) == 0
    assert asyncio.run(reach(config, 2)) == 0


def test_one_key_does_not_run_twice(tmp_path: Path) -> None:
    config = folder(tmp_path)

    async def work() -> None:
        node = assemble(plan(config, points=gas_points()))
        try:
            async with running(node):
                # The same key and chain, on a data folder of its own.
                second = config.with_name("second.toml")
                text = config.read_text(encoding="utf-8")
                second.write_text(text.replace("[node]", '[node]\ndata_dir = "other"'), encoding="utf-8")
                await run_until_it_stops(second)
        finally:
            node.close()

    with pytest.raises(StorageError, match="another process"):
        asyncio.run(work())


def test_the_log_of_a_node_that_was_stopped_is_empty_or_of_its_next_height(tmp_path: Path) -> None:
    config = write_folder(tmp_path)
    prepare(config)
    left = list((tmp_path / "data" / "consensus").glob("wal-*"))
    assert len(left) <= 1
