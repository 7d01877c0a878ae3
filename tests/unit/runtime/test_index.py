"""The index is a function of the chain: what a crash left out is made again, the same byte for byte."""

from __future__ import annotations

import asyncio
from pathlib import Path

from lazai_core.api.types import AI_CALL_ADDRESS
from lazai_core.builtin.stores import MemoryStore
from lazai_core.chain.system_calls import InferCall
from lazai_core.node.assemble import assemble
from lazai_core.runtime.index import SettlementIndex
from lazai_core.runtime.lanes import RequestKey
from lazai_core.runtime.namespace import PrefixedStore
from tests.e2e.solo import (
    CHAIN_ID,
    MODEL,
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


def test_an_index_made_later_equals_the_one_kept_up(tmp_path: Path) -> None:
    async def main() -> None:
        node = assemble(plan(write_folder(tmp_path, storage="memory"), points=gas_points()))
        try:
            async with running(node):
                wallet = await settle_in(node)
                inputs = tuple(SAMPLE.job_input(seed=seed) for seed in range(3))
                quote = await node.gateway.quote(MODEL, inputs)
                signed = authorize(body=b"b", max_cost=quote.cost_max)
                await node.gateway.submit(request_of(signed, *inputs))
                call = InferCall(model=MODEL, input=inputs[0], proof_system="attestation", salt=b"\x05" * 32)
                await wallet.transact(AI_CALL_ADDRESS, call.encode(), gas=5_000_000)
            room = node.room
            kept = dict(room.index._store.scan(b""))
            fresh_store = MemoryStore()
            fresh = SettlementIndex(store=fresh_store, history=room.vm.history, chain_id=CHAIN_ID)
            assert fresh.catch_up() == room.vm.head.height
            assert dict(fresh_store.scan(b"")) == kept
            assert fresh.catch_up() == 0
            place = fresh.request(RequestKey(user=WALLET, lane=0, counter=0))
            assert place is not None
            assert place.body_hash == signed.body_hash
            assert fresh.request(RequestKey(user=WALLET, lane=0, counter=1)) is None
        finally:
            node.close()

    asyncio.run(main())


def test_a_namespace_sees_only_its_own_keys() -> None:
    store = MemoryStore()
    first, second = PrefixedStore(store, b"a/"), PrefixedStore(store, b"b/")
    batch = first.batch()
    batch.put(b"k1", b"1")
    batch.put(b"k2", b"2")
    batch.commit()

    assert first.get(b"k1") == b"1"
    assert second.get(b"k1") is None
    assert list(first.scan(b"k")) == [(b"k1", b"1"), (b"k2", b"2")]
    assert list(second.scan(b"")) == []
    batch = first.batch()
    batch.delete(b"k1")
    batch.commit()
    assert list(store.scan(b"")) == [(b"a/k2", b"2")]
    first.close()
    assert store.get(b"a/k2") == b"2"
