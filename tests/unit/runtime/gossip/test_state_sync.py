"""A node that begins from a snapshot ends with the same chain, whoever lies, and never with half of one."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from functools import cache
from typing import Any

import pytest
from attrs import evolve

from lazai_core.api.consensus import Certificate, Validator
from lazai_core.api.errors import ConsensusFault, InvalidGenesis
from lazai_core.api.network import PeerFault
from lazai_core.api.types import Address, Hash32, Height, Wei
from lazai_core.builtin.stores import MemoryStore
from lazai_core.chain.block import BlockHeader
from lazai_core.chain.genesis import Genesis
from lazai_core.chain.history import ChainHistory
from lazai_core.chain.staking_genesis import with_staking
from lazai_core.config.trusted_block import TrustedBlock
from lazai_core.lazvm.snapshot import EntryKind, StateBuilder, missing_entries, references
from lazai_core.lazvm.vm import LazVM
from lazai_core.runtime.gossip import GossipOptions
from lazai_core.runtime.gossip.snapshot_wire import GetByHash, GetHeaders, Items
from lazai_core.runtime.gossip.state_sync import StateSync
from lazai_core.runtime.gossip.sync_wire import GetBlocks, encode_blocks
from lazai_core.runtime.gossip.wire import Topic
from lazai_core.runtime.index import SettlementIndex
from lazai_core.testing.parts import KnownIdentity
from lazai_core.testing.rng import SeededRng
from tests.unit.lazvm import world
from tests.unit.runtime.gossip.rig import Mesh, Stranger, address, certificate_of, make_block, peer_id, run

COUNT = 4
BLOCKS = 12
TRUSTED = 9


def rich_genesis(**changes: Any) -> Genesis:
    validators = tuple(Validator(address=address(number), power=1) for number in range(COUNT))
    balances = {Address(number.to_bytes(20, "big")): Wei(10**18 + number) for number in range(1, 1500)}
    small = world.genesis(validators=validators)
    return evolve(small, balances={**small.balances, **balances}, **changes)


@cache
def machine() -> LazVM:
    """A chain with accounts, contracts, storage and code."""
    vm = world.machine(start=rich_genesis())
    for number in range(BLOCKS):
        transactions = [
            world.transaction(sender, number, to=(5000 + 10 * number + sender).to_bytes(20, "big"), value=7)
            for sender in range(1, 5)
        ]
        built = vm.build_block(world.plan(vm, *transactions))
        assert len(built.executed.block.transactions) == 4
        vm.commit(built.executed, certificate_of(built.executed.block, COUNT).encode())
    return vm


def verify(certificate: Certificate, validators: Sequence[Validator], chain_id: int) -> None:
    assert {one.address for one in validators} == {address(number) for number in range(COUNT)}
    block = machine().history.block(certificate.height)
    if block is None or certificate != certificate_of(block, COUNT):
        raise ConsensusFault("forged")


def trusted(height: int = TRUSTED) -> TrustedBlock:
    block_hash = machine().history.block_hash(height)
    assert block_hash is not None
    return TrustedBlock(height=Height(height), hash=block_hash)


class Watching(MemoryStore):
    """Notes how many batches came before there was a chain."""

    def __init__(self) -> None:
        super().__init__()
        self.batches = 0
        self.chain_since = 0

    def _apply(self, writes: Any) -> None:
        super()._apply(writes)
        self.batches += 1
        if not self.chain_since and (b"h" in self._entries or b"g" in self._entries):
            self.chain_since = self.batches


def syncing(mesh: Mesh, store: MemoryStore, number: int = 20, **changes: Any) -> StateSync:
    wanted: dict[str, Any] = {
        "transport": mesh.wires.end(peer_id(number)),
        "identity": KnownIdentity(number),
        "genesis": machine().genesis,
        "store": store,
        "verify_certificate": verify,
        "trusted": trusted(),
        "rng": SeededRng(number),
    }
    return StateSync(**{**wanted, **changes})


def meet_all(mesh: Mesh, number: int = 20) -> None:
    for node in mesh.nodes:
        mesh.wires.join(peer_id(number), node.peer)


def faults(mesh: Mesh, number: int = 20) -> list[tuple[Any, PeerFault]]:
    return mesh.wires.ends[peer_id(number)].faults


def check_whole(store: MemoryStore) -> None:
    """The store is good for a machine that goes on with the chain."""
    vm = machine()
    header = vm.history.header(TRUSTED)
    assert header is not None
    assert list(missing_entries(store, header.state_root)) == []
    other = world.machine(store=store, start=vm.genesis)
    assert other.head.hash == header.hash
    assert other.history.first_height() == TRUSTED
    index = SettlementIndex(store=MemoryStore(), history=other.history, chain_id=vm.genesis.chain_id)
    assert index.catch_up() == 0, "the snapshot's own block was not executed here"
    assert [other.history.block_hash(height) for height in range(TRUSTED)] == [
        vm.history.block_hash(height) for height in range(TRUSTED)
    ]
    for height in range(TRUSTED + 1, BLOCKS + 1):
        block = vm.history.block(height)
        assert block is not None
        other.commit(other.check_block(block), vm.history.certificate(height))
    assert other.head == vm.head
    assert index.catch_up() == BLOCKS - TRUSTED
    assert other.validators(Height(TRUSTED - 5)) == vm.validators(Height(TRUSTED - 5))


def test_a_new_node_ends_with_the_same_chain() -> None:
    async def work() -> None:
        async with Mesh(COUNT, nodes=3, chain=machine()) as mesh:
            store = Watching()
            sync = syncing(mesh, store)
            task = asyncio.create_task(sync.run())
            meet_all(mesh)
            await task

            assert store.chain_since == store.batches > 3, "what names the head comes last, in one batch"
            await sync.run()
            assert store.chain_since == store.batches, "a store with a chain is left alone"
            check_whole(store)
            givers = {node.number for node in mesh.nodes if mesh.wires.ends[node.peer].received}
            assert givers == {0, 1, 2}
            assert faults(mesh) == []
            assert all(node.faults == [] for node in mesh.nodes)

    run(work)


def test_a_crash_half_way_leaves_no_chain_and_what_came_is_kept() -> None:
    async def work() -> None:
        options = GossipOptions(state_entries=40, state_requests=1)
        async with Mesh(COUNT, nodes=2, chain=machine()) as mesh:
            store = Watching()
            asked = []
            for number, seconds in ((20, 0.6), (21, 60)):
                task = asyncio.create_task(syncing(mesh, store, number, options=options).run())
                before = mesh.wires.sent[Topic.GET_ENTRIES]
                meet_all(mesh, number)
                done, _ = await asyncio.wait([task], timeout=seconds)
                if not done:
                    task.cancel()
                    await asyncio.gather(task, return_exceptions=True)
                    assert store.batches >= 1
                    assert store.chain_since == 0
                    assert world.machine(store=MemoryStore(), start=machine().genesis).head.height == 0
                asked.append(mesh.wires.sent[Topic.GET_ENTRIES] - before)
            assert task.done()
            task.result()

            check_whole(store)
            entries = sum(1 for _ in store.scan(b"s"))
            assert asked[0] > 10
            assert asked[1] * 40 < entries, "what the first life wrote was asked for again"

    run(work)


class Liar(Stranger):
    """Answers requests for a snapshot wrongly, in the way it is told."""

    def __init__(self, mesh: Mesh, number: int, lie: str) -> None:
        super().__init__(mesh, number)
        self.lie = lie
        self.told = 0

    async def answer_all(self, to: Any) -> None:
        while True:
            await asyncio.sleep(0.01)
            received, self.end.received = self.end.received, []
            for envelope in received:
                answer = self.answer(envelope.topic, envelope.payload)
                if answer is not None:
                    topic, payload = answer
                    self.end.send(to, topic, payload, 0)  # type: ignore[arg-type]

    def answer(self, topic: str, payload: bytes) -> tuple[str, bytes] | None:
        history = machine().history
        if topic == Topic.GET_HEADERS:
            wanted = GetHeaders.decode(payload)
            headers = [
                history.header_bytes(height) or b""
                for height in range(wanted.newest, max(-1, wanted.newest - wanted.count), -1)
            ]
            if self.lie == "headers" and wanted.count > 1:
                self.told += 1
                one = BlockHeader.decode(headers[1])
                headers[1] = evolve(one, timestamp=one.timestamp + 1).encode()
            return Topic.HEADERS, Items(request=wanted.request, items=tuple(headers)).encode()
        if topic == Topic.GET_ENTRIES:
            asked = GetByHash.decode(payload, 512)
            entries = [history.state_entry(each) or b"" for each in asked.hashes]
            if self.lie == "entries":
                self.told += 1
                entries[-1] = entries[-1][:-1] + b"\x00"
            if self.lie == "nothing":
                self.told += 1
                entries = []
            return Topic.ENTRIES, Items(request=asked.request, items=tuple(entries)).encode()
        if topic == Topic.GET_SETS:
            asked = GetByHash.decode(payload, 64)
            sets = [history.validators_bytes(each) or b"" for each in asked.hashes]
            if self.lie == "sets":
                self.told += 1
                sets = [sets[0][:-1] + b"\x01"]
            return Topic.SETS, Items(request=asked.request, items=tuple(sets)).encode()
        if topic == Topic.GET_BLOCKS:
            request = GetBlocks.decode(payload)
            block = history.block(request.start)
            assert block is not None
            certificate = certificate_of(block, COUNT)
            if self.lie == "certificate":
                self.told += 1
                certificate = evolve(certificate, signatures=certificate.signatures[1:])
            if self.lie == "body":
                self.told += 1
                block = evolve(block, transactions=block.transactions[1:])
            return Topic.BLOCKS, encode_blocks(request.request, [(certificate.encode(), block.encode())])
        return None


LIES = {
    "entries": PeerFault.WRONG_PART,
    "headers": PeerFault.INVALID_BLOCK,
    "sets": PeerFault.WRONG_PART,
    "certificate": PeerFault.FORGED_CERTIFICATE,
    "body": PeerFault.INVALID_BLOCK,
    "nothing": None,
}


@pytest.mark.parametrize("lie", LIES)
def test_a_peer_that_lies_is_blamed_by_name_and_others_are_asked(lie: str) -> None:
    async def work() -> None:
        async with Mesh(COUNT, nodes=1, chain=machine()) as mesh:
            store = Watching()
            task = asyncio.create_task(syncing(mesh, store).run())
            liar = Liar(mesh, 9, lie)
            mesh.wires.join(liar.peer, peer_id(20))
            answering = asyncio.create_task(liar.answer_all(peer_id(20)))
            status = evolve(  # As an honest node of this chain says it.
                _status(), height=Height(BLOCKS + 1)
            )
            liar.end.send(peer_id(20), Topic.STATUS, status.encode(), 0)  # type: ignore[arg-type]
            await asyncio.sleep(1)
            assert liar.told
            assert store.chain_since == 0
            meet_all(mesh)
            await task
            answering.cancel()
            await asyncio.gather(answering, return_exceptions=True)

            check_whole(store)
            expected = LIES[lie]
            assert {fault for peer, fault in faults(mesh) if peer == liar.peer} == (
                set() if expected is None else {expected}
            )
            assert [peer for peer, _ in faults(mesh) if peer != liar.peer] == []

    run(work)


def _status() -> Any:
    from lazai_core.runtime.gossip.wire import PROTOCOL, Status

    genesis = machine().genesis
    return Status(
        protocol=PROTOCOL,
        chain_id=genesis.chain_id,
        genesis=genesis.hash,
        sequence=1,
        height=Height(1),
        lowest=Height(1),
        head=Hash32(bytes(32)),
    )


def test_a_wrong_hash_of_the_operator_blames_nobody_and_begins_nothing() -> None:
    async def work() -> None:
        async with Mesh(COUNT, nodes=2, chain=machine()) as mesh:
            store = Watching()
            wrong = TrustedBlock(height=Height(TRUSTED), hash=Hash32(b"\x07" * 32))
            task = asyncio.create_task(syncing(mesh, store, trusted=wrong).run())
            meet_all(mesh)
            await asyncio.sleep(60)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

            assert store.batches == 0
            assert faults(mesh) == []

    run(work)


def test_a_block_of_another_genesis_is_refused() -> None:
    other = rich_genesis(timestamp=1_600_000_000)

    class Disguised:
        """The chain, under the other's name."""

        def __getattr__(self, name: str) -> Any:
            return other if name == "genesis" else getattr(machine(), name)

    async def work() -> None:
        async with Mesh(COUNT, nodes=1, chain=Disguised()) as mesh:
            store = Watching()
            task = asyncio.create_task(syncing(mesh, store, genesis=other).run())
            meet_all(mesh)
            with pytest.raises(InvalidGenesis, match="begins with"):
                await task
            assert store.chain_since == 0

    run(work)


def test_answers_that_nobody_asked_for_are_blamed() -> None:
    async def work() -> None:
        async with Mesh(COUNT, nodes=1, chain=machine()) as mesh:
            store = Watching()
            task = asyncio.create_task(syncing(mesh, store).run())
            liar = Stranger(mesh, 9)
            mesh.wires.join(liar.peer, peer_id(20))
            await asyncio.sleep(0.1)
            for topic in (Topic.ENTRIES, Topic.HEADERS, Topic.SETS, Topic.BLOCKS):
                liar.end.send(peer_id(20), topic, Items(request=7, items=()).encode(), 0)  # type: ignore[arg-type]
            liar.end.send(peer_id(20), Topic.STATUS, b"?", 0)  # type: ignore[arg-type]
            await asyncio.sleep(0.1)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

            assert [fault for _, fault in faults(mesh)] == [PeerFault.UNASKED_ANSWER] * 4 + [PeerFault.UNDECODABLE]

    run(work)


@pytest.mark.parametrize("batch", [1, 7, 384])
def test_the_state_is_walked_with_bounded_memory(batch: int) -> None:
    """Depth first: what is open is about one batch times the depth, not the width of the state."""
    history = machine().history
    header = history.header(TRUSTED)
    assert header is not None
    store = MemoryStore()
    builder = StateBuilder(store, header.state_root)
    most = 0
    while not builder.is_whole:
        for digest in builder.wanted(batch):
            assert builder.add(history.state_entry(digest) or b"")
            assert not builder.add(history.state_entry(digest) or b""), "each is taken once"
        most = max(most, builder.open_entries)

    assert list(missing_entries(store, header.state_root)) == []
    assert builder.added > 2000
    assert most < 16 * 8 + 16 * batch


def test_no_entry_is_in_the_store_without_all_that_is_below_it() -> None:
    """Whatever comes, in whatever order, and wherever it stops."""
    history = machine().history
    header = history.header(TRUSTED)
    assert header is not None
    kinds: dict[Hash32, EntryKind] = {header.state_root: EntryKind.ACCOUNTS}

    class Checked(Watching):
        def _apply(self, writes: Any) -> None:
            super()._apply(writes)
            entries = {key[1:]: value for key, value in writes.items() if key.startswith(b"s")}
            for digest, value in entries.items():
                for kind, below in references(kinds[digest], value):
                    assert self.get(b"s" + below) is not None
                    kinds[below] = kind

    store = Checked()
    builder = StateBuilder(store, header.state_root)
    while not builder.is_whole:
        wanted = builder.wanted(500)
        for digest in wanted[1::2]:
            data = history.state_entry(digest)
            assert data is not None
            kinds.update({below: each for each, below in references(kinds[digest], data)})
            builder.add(data)
        builder.put_back(wanted[0::2])
        if len(wanted) == 1:
            data = history.state_entry(wanted[0])
            assert data is not None
            kinds.update({below: each for each, below in references(kinds[wanted[0]], data)})
            builder.add(data)
    assert store.batches > 1


def test_a_trusted_block_that_is_larger_than_an_envelope_comes_in_parts() -> None:
    vm = world.machine(start=rich_genesis())
    transactions = [
        world.transaction(sender, number, to=b"\x09" * 20, data=bytes(60_000), gas=700_000)
        for sender in range(8)
        for number in range(5)
    ]
    built = vm.build_block(world.plan(vm, *transactions))
    block = built.executed.block
    assert len(block.encode()) > 2 << 20
    vm.commit(built.executed, certificate_of(block, COUNT).encode())

    async def work() -> None:
        async with Mesh(COUNT, nodes=2, chain=vm) as mesh:
            store = Watching()
            wanted = TrustedBlock(height=block.height, hash=block.hash)
            sync = syncing(
                mesh, store, trusted=wanted, verify_certificate=lambda certificate, validators, chain_id: None
            )
            task = asyncio.create_task(sync.run())
            meet_all(mesh)
            await task

            assert world.machine(store=store, start=vm.genesis).head == block
            assert mesh.wires.sent[Topic.PART] >= 36
            assert faults(mesh) == []

    run(work)


def test_headers_come_in_as_many_answers_as_they_need() -> None:
    """One answer holds a thousand or so; each is checked against the one above it."""
    start = with_staking(rich_genesis())
    first = world.machine(start=start)
    store, blocks = MemoryStore(), [first.head]
    history = ChainHistory(store)
    for _ in range(1500):
        blocks.append(make_block(blocks[-1]))
    batch = store.batch()
    for block in blocks:
        history.put_block(batch, block, (), b"" if not block.height else certificate_of(block, COUNT).encode())
    history.put_validators(batch, start.validators)
    for key, value in first.history._store.scan(b"s"):
        batch.put(key, value)
    batch.commit()

    class Long:
        genesis = start
        head = blocks[-1]

        def __init__(self) -> None:
            self.history = history

    async def work() -> None:
        async with Mesh(COUNT, nodes=2, chain=Long()) as mesh:
            fresh = Watching()
            newest = blocks[-1]
            sync = syncing(
                mesh,
                fresh,
                genesis=start,
                trusted=TrustedBlock(height=newest.height, hash=newest.hash),
                verify_certificate=lambda certificate, validators, chain_id: None,
            )
            task = asyncio.create_task(sync.run())
            meet_all(mesh)
            await task
            began = ChainHistory(fresh)
            assert began.head_height() == 1500
            assert [began.block_hash(height) for height in range(1500)] == [block.hash for block in blocks[:1500]]
            assert mesh.wires.sent[Topic.GET_HEADERS] == 1 + 2, "the trusted one, 1024 and the rest"

    run(work)
