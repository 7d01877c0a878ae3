"""A state that is put together from its entries has no hole, whatever anybody has deployed as code."""

from __future__ import annotations

from functools import cache
from random import Random
from typing import Any

import pytest

from lazai_core.api.types import Hash32
from lazai_core.builtin.stores import MemoryStore
from lazai_core.chain.history import ChainHistory
from lazai_core.lazvm.snapshot import (
    CODE_ALONE_PREFIX,
    EntryKind,
    StateBuilder,
    begin_chain,
    missing_entries,
    references,
)
from lazai_core.lazvm.vm import LazVM
from tests.unit.lazvm import world


@cache
def machine_with_nodes_for_code() -> LazVM:
    """A chain on which somebody has deployed every inner node of others' storage as the code of contracts."""
    vm = world.machine()
    code = [
        vm.history.state_entry(digest) or b""
        for kind, digest in reachable(vm.history.state_entry, vm.head.header.state_root)
        if kind is EntryKind.STORAGE
    ]
    code = [each for each in code if references(EntryKind.STORAGE, each)]
    assert code
    # PUSH2 length, DUP1, PUSH1 12, PUSH1 0, CODECOPY, PUSH1 0, RETURN: the init code that returns what follows it.
    inits = [bytes.fromhex(f"61{len(each):04x}80600c6000396000f3") + each for each in code]
    transactions = [
        world.transaction(1 + number % 4, number // 4, to=b"", value=0, data=init, gas=2_000_000)
        for number, init in enumerate(inits * 8)
    ]
    built = vm.build_block(world.plan(vm, *transactions))
    assert all(receipt.succeeded for receipt in built.executed.receipts)
    vm.commit(built.executed)
    return vm


def reachable(read: Any, root: Hash32) -> list[tuple[EntryKind, Hash32]]:
    """All that a state consists of; one that `read` lacks stands there without what is below it."""
    waiting, found = [(EntryKind.ACCOUNTS, root)], dict[tuple[EntryKind, Hash32], None]()
    while waiting:
        each = waiting.pop()
        if each not in found:
            found[each] = None
            data = read(each[1])
            waiting += [] if data is None else references(each[0], data)
    return list(found)


@pytest.mark.parametrize("seed", range(6))
def test_code_that_is_a_trie_node_does_not_stand_for_what_is_below_the_node(seed: int) -> None:
    """Code and nodes share one space of hashes: the copy counted as the subtree, a hole for ever.

    Whatever comes first, the code or the node, and wherever a crash falls.
    """
    history = machine_with_nodes_for_code().history
    root = machine_with_nodes_for_code().head.header.state_root
    random, store = Random(seed), MemoryStore()
    builder = StateBuilder(store, root)
    while not builder.is_whole:
        wanted = builder.wanted(random.choice((1, 3, 1000)))
        random.shuffle(wanted)
        came = random.randrange(len(wanted) + 1)
        for digest in wanted[:came]:
            builder.add(history.state_entry(digest) or b"")
        builder.put_back(wanted[came:])
        if random.random() < 0.2:
            builder.flush()
        if random.random() < 0.05:
            builder = StateBuilder(store, root)

    whole = reachable(history.state_entry, root)
    assert set(reachable(ChainHistory(store).state_entry, root)) == set(whole)
    assert all(store.get(b"s" + digest) is not None for _, digest in whole)
    assert list(missing_entries(store, root)) == []
    for kind, digest in whole:
        if kind is EntryKind.STORAGE:
            lacking = MemoryStore()
            batch = lacking.batch()
            for _, other in whole:
                if other != digest:
                    batch.put(b"s" + other, store.get(b"s" + other) or b"")
            batch.commit()
            assert set(missing_entries(lacking, root)) == {digest}, "what looks for holes finds this one"


def test_the_marks_of_code_alone_end_with_the_beginning_of_the_chain() -> None:
    block = machine_with_nodes_for_code().head
    history, store = machine_with_nodes_for_code().history, MemoryStore()
    builder = StateBuilder(store, block.header.state_root)
    while not builder.is_whole:
        for digest in builder.wanted(1):
            builder.add(history.state_entry(digest) or b"")
        builder.flush()
    batch = store.batch()
    batch.put(CODE_ALONE_PREFIX + bytes(32), b"\x01")
    batch.commit()
    begin_chain(store, genesis_hash=Hash32(bytes(32)), block=block, certificate=b"", sets=())

    assert list(store.scan(CODE_ALONE_PREFIX)) == []
