"""The pools: what they hold is bounded, ordered, and given back."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from lazai_core.api.errors import Busy, InvalidTransaction
from lazai_core.api.job import ComputeRecord, ProofEnvelope, ResourceUsage
from lazai_core.api.proof import Verdict
from lazai_core.api.types import Address, Gas, JobId, Wei
from lazai_core.chain.transaction import Transaction
from lazai_core.runtime.calls import explain_revert
from lazai_core.runtime.mempool import Mempool
from lazai_core.runtime.options import RuntimeOptions
from lazai_core.runtime.records import RecordPool
from lazai_core.runtime.work import NodeCall, WalletTransaction, Work

NODE = Address(b"\x09" * 20)


def transaction(sender: int, nonce: int, *, fee: int = 100, size: int = 10) -> WalletTransaction:
    body = Transaction(
        type_id=2,
        chain_id=1,
        nonce=nonce,
        max_fee_per_gas=Wei(fee),
        max_priority_fee_per_gas=Wei(0),
        gas=Gas(21_000),
    )
    return WalletTransaction(
        work_id=bytes([sender, nonce, fee % 256]),
        sender=Address(bytes([sender]) * 20),
        size_bytes=size,
        transaction=body,
    )


def call(lane: int, counter: int) -> NodeCall:
    return NodeCall(
        work_id=bytes([200, lane, counter]),
        sender=NODE,
        size_bytes=10,
        to=NODE,
        data=b"",
        jobs=(),
        fixed_gas=Gas(1),
        runs=(),
        explain=explain_revert,
        lane=(NODE, lane),
        counter=counter,
    )


def with_pool(work: Callable[[Mempool], None], options: RuntimeOptions | None = None) -> None:
    async def main() -> None:
        work(Mempool(options or RuntimeOptions()))

    asyncio.run(main())


def test_series_are_taken_in_their_own_order_and_others_keep_their_place() -> None:
    def work(pool: Mempool) -> None:
        arrived: list[Work] = [transaction(1, 6), call(0, 4), transaction(2, 0), call(0, 3), transaction(1, 5)]
        for item in arrived:
            pool.add(item)
            pool.mark_ready(item)
        assert [item.work_id for item in pool.ready()] == [
            item.work_id for item in (arrived[4], arrived[3], arrived[2], arrived[1], arrived[0])
        ]

    with_pool(work)


def test_nothing_overtakes_pending_work_of_its_series() -> None:
    def work(pool: Mempool) -> None:
        first, second, other = call(0, 3), call(0, 4), call(1, 9)
        for item in (first, second, other):
            pool.add(item)
        pool.mark_ready(second)
        pool.mark_ready(other)
        assert pool.ready() == [other]
        pool.changed.clear()
        pool.remove(first)
        assert pool.changed.is_set()
        assert pool.ready() == [second, other]
        assert pool.counts() == {"pending": 0, "ready": 2}

    with_pool(work)


def test_the_pool_is_bounded_in_number_bytes_and_for_each_sender() -> None:
    def by_number(pool: Mempool) -> None:
        pool.add(transaction(1, 0))
        pool.add(transaction(2, 0))
        with pytest.raises(Busy, match="2 transactions wait"):
            pool.add(transaction(3, 0))

    def by_bytes(pool: Mempool) -> None:
        pool.add(transaction(1, 0, size=60))
        with pytest.raises(Busy, match="60 bytes"):
            pool.add(transaction(2, 0, size=50))

    def by_sender(pool: Mempool) -> None:
        pool.add(transaction(1, 0))
        with pytest.raises(Busy, match="of this sender"):
            pool.add(transaction(1, 1))
        pool.add(transaction(2, 0))

    with_pool(by_number, RuntimeOptions(transactions_max=2))
    with_pool(by_bytes, RuntimeOptions(transactions_bytes_max=100))
    with_pool(by_sender, RuntimeOptions(transactions_per_account_max=1))


def test_a_replacement_must_offer_a_tenth_more_and_takes_the_place() -> None:
    def work(pool: Mempool) -> None:
        old = transaction(1, 0, fee=100)
        pool.add(old)
        with pytest.raises(InvalidTransaction, match="at least 10 percent more"):
            pool.add(transaction(1, 0, fee=109))
        assert pool.add(transaction(1, 0, fee=110)) is old
        assert len(pool) == 1

    with_pool(work, RuntimeOptions(transactions_max=1, transactions_per_account_max=1))


@given(st.lists(st.tuples(st.integers(1, 3), st.integers(0, 3), st.booleans()), max_size=25))
def test_the_pool_forgets_everything_it_is_told_to(steps: list[tuple[int, int, bool]]) -> None:
    def work(pool: Mempool) -> None:
        held: dict[tuple[int, int], Work] = {}
        for sender, nonce, adds in steps:
            if adds and (sender, nonce) not in held:
                held[sender, nonce] = transaction(sender, nonce)
                pool.add(held[sender, nonce])
            elif not adds and (sender, nonce) in held:
                pool.remove(held.pop((sender, nonce)))
            assert {item.work_id for item in pool} == {item.work_id for item in held.values()}
        for item in held.values():
            pool.remove(item)
            pool.remove(item)
        # Bounds are measured by what is in the pool, so an empty one takes a full load again.
        for sender in range(1, 5):
            pool.add(transaction(sender, 0))

    with_pool(work, RuntimeOptions(transactions_max=12, transactions_bytes_max=120))


def record(number: int, size: int = 100) -> ComputeRecord:
    return ComputeRecord(
        job_id=JobId(bytes([number]) * 32),
        output=bytes(size),
        usage=ResourceUsage(flops=1, memory_bytes_peak=1),
        proof=ProofEnvelope(system="attestation", version=1, data=b""),
        worker=NODE,
    )


VERDICT = Verdict(proven="seen")


def test_records_give_way_oldest_first_and_the_newest_stays() -> None:
    pool = RecordPool(count_max=3, bytes_max=350, blocks_max=2)
    for number in range(1, 6):
        pool.add(record(number), VERDICT, height=number)
    assert sorted(pool.snapshot()) == [JobId(bytes([number]) * 32) for number in (3, 4, 5)]
    pool.add(record(6, size=10_000), VERDICT, height=6)
    assert list(pool.snapshot()) == [JobId(bytes([6]) * 32)]
    assert pool.size_bytes == 10_000


def test_records_expire_settle_and_the_first_of_a_job_stays() -> None:
    pool = RecordPool(count_max=10, bytes_max=10_000, blocks_max=2)
    pool.add(record(1), VERDICT, height=1)
    pool.add(evolve(record(1), output=b"other"), VERDICT, height=1)
    pool.add(record(2), VERDICT, height=3)
    known = pool.get(record(1).job_id)
    assert known is not None
    assert known.record == record(1)
    assert pool.expire(3) == 0
    assert pool.expire(4) == 1
    pool.settled([record(2).job_id, record(3).job_id])
    assert (len(pool), pool.size_bytes) == (0, 0)
