"""A peer's transaction waits a little for its record from peers, before this node computes it a second time."""

from __future__ import annotations

import asyncio
from pathlib import Path

from lazai_core.api.job import ComputeJob
from lazai_core.api.types import AI_CALL_ADDRESS
from lazai_core.chain.system_calls import InferCall
from lazai_core.node.assemble import assemble
from lazai_core.runtime.orchestrator import RECORD_WAIT_MS
from tests.e2e.solo import MODEL, SAMPLE, gas_points, plan, running, settle_in, write_folder


def test_only_a_peers_transaction_waits_and_one_that_waited_in_vain_is_computed(tmp_path: Path) -> None:
    asked: list[tuple[bytes, int]] = []

    async def main() -> None:
        node = assemble(plan(write_folder(tmp_path, storage="memory"), points=gas_points()))
        try:
            async with running(node):
                wallet = await settle_in(node)
                orchestrator = node.room.gateway._rooms.orchestrator

                async def borrow(job: ComputeJob, wait_ms: int) -> bool:
                    asked.append((job.salt, wait_ms))
                    return False

                orchestrator.borrow_from(borrow)
                accept = node.room.gateway.accept_transaction
                for number, foreign in enumerate((False, True)):
                    node.room.gateway.accept_transaction = (  # type: ignore[method-assign]
                        lambda transaction, foreign=foreign: accept(transaction, foreign=foreign)
                    )
                    call = InferCall(
                        model=MODEL,
                        input=SAMPLE.job_input(seed=number),
                        proof_system="attestation",
                        salt=bytes([number]) * 32,
                    )
                    await wallet.transact(AI_CALL_ADDRESS, call.encode(), gas=5_000_000)
        finally:
            node.close()

    asyncio.run(main())
    assert asked == [(b"\x01" * 32, RECORD_WAIT_MS)]


def test_a_borrowed_record_is_not_computed_again(tmp_path: Path) -> None:
    async def main() -> None:
        node = assemble(plan(write_folder(tmp_path, storage="memory"), points=gas_points()))
        try:
            async with running(node):
                wallet = await settle_in(node)
                room = node.room
                orchestrator = room.gateway._rooms.orchestrator
                made: list[ComputeJob] = []
                make = orchestrator._make

                async def borrow(job: ComputeJob, wait_ms: int) -> bool:
                    # What a peer does, and how its record comes into the pool.
                    await orchestrator.record(job)
                    orchestrator._make = counted  # type: ignore[method-assign]
                    return True

                async def counted(job: ComputeJob, cancel: object) -> None:
                    made.append(job)
                    await make(job, cancel)  # type: ignore[arg-type]

                orchestrator.borrow_from(borrow)
                accept = room.gateway.accept_transaction
                room.gateway.accept_transaction = (  # type: ignore[method-assign]
                    lambda transaction, foreign=True: accept(transaction, foreign=True)
                )
                call = InferCall(
                    model=MODEL, input=SAMPLE.job_input(seed=5), proof_system="attestation", salt=b"\x05" * 32
                )
                await wallet.transact(AI_CALL_ADDRESS, call.encode(), gas=5_000_000)
                assert made == []
                assert room.vm.head.records
        finally:
            node.close()

    asyncio.run(main())
