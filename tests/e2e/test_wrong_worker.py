"""A worker that gives a wrong output: its own node keeps the record back, and a validator refuses it and says who."""

from __future__ import annotations

import asyncio
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

from lazai_core.api.errors import InvalidBlock, ProvingFailed
from lazai_core.node.assemble import Node, assemble
from tests.e2e.solo import (
    NODE,
    SAMPLE,
    WALLET,
    authorize,
    gas_points,
    plan,
    request_of,
    running,
    settle_in,
    write_folder,
)

POINTS = [
    *gas_points(),
    EntryPoint(name="flipping", value="tests.e2e.flipping_plugin", group="lazai"),
]
INPUT = SAMPLE.job_input(seed=3)


def folder_with(tmp_path: Path, coprocessor: str) -> Path:
    config = write_folder(tmp_path, storage="memory")
    text = config.read_text(encoding="utf-8")
    for name in ("torch", "reference"):
        text = text.replace(f'use = "{name}"', coprocessor)
    config.write_text(text, encoding="utf-8")
    return config


async def request(node: Node) -> bytes:
    quote = await node.gateway.quote(SAMPLE.model.program.digest(), (INPUT,))
    signed = authorize(body=b"body", max_cost=quote.cost_max)
    return (await node.gateway.submit(request_of(signed, INPUT))).outputs[0]


def test_a_changing_worker_never_publishes_its_record(tmp_path: Path) -> None:
    config = folder_with(tmp_path, 'use = "flipping"\noptions = { lies = 1 }')

    async def work() -> None:
        node = assemble(plan(config, points=POINTS))
        try:
            async with running(node):
                await settle_in(node)
                with pytest.raises(ProvingFailed, match="does not pass this node's own check"):
                    await request(node)
                assert len(node.room.records) == 0
                # Nothing was charged or used up, and the second run is right.
                assert await node.gateway.next_counter(WALLET, 0) == 0
                assert await request(node) == SAMPLE.run(INPUT).output_bytes()
        finally:
            node.close()

    asyncio.run(work())


def test_a_validator_refuses_a_wrong_record_and_blames_the_worker(tmp_path: Path) -> None:
    async def work() -> None:
        liar = assemble(plan(folder_with(tmp_path / "liar", 'use = "flipping"'), points=POINTS))
        honest = assemble(plan(folder_with(tmp_path / "honest", 'use = "reference"'), points=POINTS))
        try:
            async with running(liar):
                await settle_in(liar)
                # It believes itself: running the program again on the same backend gives the same lie.
                assert await request(liar) != SAMPLE.run(INPUT).output_bytes()
            vm, history = honest.room.vm, liar.room.vm.history
            assert vm.genesis.hash == liar.room.vm.genesis.hash
            last = liar.room.vm.head.height
            for height in range(1, last):
                block = history.block(height)
                assert block is not None
                vm.commit(vm.check_block(block))
            wrong = history.block(last)
            assert wrong is not None
            assert len(wrong.records) == 1
            with pytest.raises(InvalidBlock) as caught:
                vm.check_block(wrong)
            assert caught.value.blame == NODE
            assert "reexecution" in str(caught.value)
            assert vm.head.height == last - 1
        finally:
            honest.close()
            liar.close()

    asyncio.run(work())
