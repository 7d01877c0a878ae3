"""The two hooks of a running node: asked once, in order, and never able to harm it."""

from __future__ import annotations

import asyncio
from importlib.metadata import EntryPoint
from pathlib import Path

from lazai_core.node.assemble import assemble
from tests.e2e.solo import (
    MODEL,
    SAMPLE,
    authorize,
    gas_points,
    plan,
    request_of,
    running,
    settle_in,
    write_folder,
)
from tests.unit.runtime import curious_plugin

POINTS = [*gas_points(), EntryPoint(name="curious", value="tests.unit.runtime.curious_plugin", group="lazai")]


def test_observers_see_every_block_in_order_and_routes_are_asked_once_a_job(tmp_path: Path) -> None:
    async def main() -> None:
        node = assemble(plan(write_folder(tmp_path, storage="memory"), points=POINTS))
        try:
            async with running(node):
                await settle_in(node)
                inputs = tuple(SAMPLE.job_input(seed=seed) for seed in range(3))
                quote = await node.gateway.quote(MODEL, inputs)
                request = request_of(authorize(body=b"b", max_cost=quote.cost_max), *inputs)
                first = await node.gateway.submit(request)
                again = await node.gateway.submit(request)
            vm = node.room.vm
            blocks = [vm.history.block(height) for height in range(1, vm.head.height + 1)]
            assert [summary.block_hash for summary in curious_plugin.seen] == [b.hash for b in blocks if b]
            assert sum(summary.records for summary in curious_plugin.seen) == 3
            assert sorted(job.job_id for job, _ in curious_plugin.routed) == sorted(first.job_ids)
            assert {candidates for _, candidates in curious_plugin.routed} == {("attestation",)}
            assert all("running the program again" in text for text in first.verified)
            # A repeated answer is not computed again, and does not claim to be.
            assert all("was not run again" in text for text in again.verified)
        finally:
            node.close()

    asyncio.run(main())
