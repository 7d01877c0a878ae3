"""What gossip costs on one core: `python -m tests.unit.runtime.gossip.measure`. Figures, not a test."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from random import Random

import structlog

from lazai_core.api.network import PeerId, Priority
from lazai_core.api.types import Address, Wei
from lazai_core.builtin.stores import MemoryStore
from lazai_core.chain.block import Block
from lazai_core.config.trusted_block import TrustedBlock
from lazai_core.lazvm.vm import LazVM
from lazai_core.runtime.gossip.part_set import PART_BYTES, PartSet
from lazai_core.runtime.gossip.state_sync import StateSync
from lazai_core.runtime.gossip.transaction_wire import frames_of
from lazai_core.runtime.gossip.wire import SignedPayload, Topic, batch_messages
from lazai_core.testing.parts import KnownIdentity
from lazai_core.testing.rng import SeededRng
from tests.unit.lazvm import world
from tests.unit.runtime.gossip.pools import Transactions
from tests.unit.runtime.gossip.rig import (
    Chain,
    Mesh,
    Stranger,
    certificate_of,
    genesis_of,
    make_block,
    message_of,
    peer_id,
    run,
)


def timed(work: Callable[[], object]) -> float:
    start = time.process_time()
    work()
    return time.process_time() - start


def silent(peer: PeerId, topic: str, payload: bytes, priority: Priority) -> bool:
    return True


def messages(count: int) -> None:
    """New, repeated and relayed messages of one height, as one node with many peers sees them."""

    async def work() -> None:
        async with Mesh(count, nodes=1) as mesh:
            (node,) = mesh.nodes
            strangers = [Stranger(mesh, number) for number in range(1, count)]
            for stranger in strangers:
                await stranger.meet(node)
            node.end.send = silent  # type: ignore[method-assign]
            signed = [message_of(number, 1, round_number) for number in range(1, count) for round_number in range(3)]
            frames = [
                batch_messages([SignedPayload(payload=one.payload, signature=one.signature).encode()])
                for one in signed
            ]
            room = node.gossip.messages
            states = [node.gossip.peers.get(stranger.peer) for stranger in strangers]
            for state in states:
                assert state is not None
                state.messages.rate = state.messages.burst = state.messages._left = 1e9

            def first() -> None:
                for place, frame in enumerate(frames):
                    room.arrive(states[place // 3], frame)  # type: ignore[arg-type]

            def again() -> None:
                for frame in frames:
                    for state in states[:20]:
                        room.arrive(state, frame)  # type: ignore[arg-type]

            seconds = timed(first)
            print(f"{count} validators: {len(frames) / seconds:,.0f} new messages/s, relayed to all", end="; ")
            seconds = timed(again)
            print(f"{len(frames) * len(states[:20]) / seconds:,.0f} repeated messages/s")
            await asyncio.sleep(0.1)

    run(work)


def full_mesh(count: int) -> None:
    """CPU of a whole network for three messages of each validator."""

    async def work() -> None:
        async with Mesh(count) as mesh:
            await asyncio.sleep(1)
            before = mesh.wires.sent[Topic.MESSAGES]
            start = time.process_time()
            for round_number in range(3):
                for node in mesh.nodes:
                    node.gossip.send_message(message_of(node.number, 1, round_number))
                await asyncio.sleep(0.02)
            seconds = time.process_time() - start
            heard = sum(len(node.host.heard) for node in mesh.nodes)
            assert heard == 3 * count * (count - 1)
            sent = mesh.wires.sent[Topic.MESSAGES] - before
            sent_bytes = mesh.wires.sent_bytes[Topic.MESSAGES] / count
            print(
                f"{count} nodes, full mesh, 3 messages each: {seconds * 1000 / count:.1f} ms CPU a node, "
                f"{sent / count:,.0f} envelopes and {sent_bytes / 1000:,.0f} kB sent by a node"
            )

    run(work)


def parts() -> None:
    """Parts of a 16 MiB block through one node with three peers."""

    async def work() -> None:
        async with Mesh(4, nodes=1) as mesh:
            (node,) = mesh.nodes
            strangers = [Stranger(mesh, number) for number in range(1, 4)]
            for stranger in strangers:
                await stranger.meet(node)
            node.end.send = silent  # type: ignore[method-assign]
            random = Random(1)
            transactions = [random.randbytes(10_000) for _ in range(1600)]
            block = make_block(node.chain.head, proposer=1, transactions=transactions)
            seconds = timed(lambda: PartSet.of(block, KnownIdentity(1).sign))
            print(f"cutting and signing: {len(block.encode()) / seconds / 1e6:,.0f} MB/s", end="; ")
            made = PartSet.of(block, KnownIdentity(1).sign)
            frames = [made.part(index).encode() for index in range(len(made.pieces))]
            state = node.gossip.peers.get(strangers[0].peer)
            assert state is not None

            def arrive() -> None:
                for frame in frames:
                    node.gossip.blocks.part_arrived(state, frame)

            seconds = timed(arrive)
            assert len(node.host.blocks) == 1
            print(f"taking in, relaying, putting together: {len(frames) * PART_BYTES / seconds / 1e6:,.0f} MB/s")

    run(work)


def transactions() -> None:
    """Signed transfers through decoding, signature and a pool that takes all."""

    async def work() -> None:
        async with Mesh(4, nodes=1, ports=lambda: {"transactions": Transactions()}) as mesh:
            (node,) = mesh.nodes
            stranger = Stranger(mesh, 1)
            await stranger.meet(node)
            made = [world.transaction(number % 8, 1 + number // 8).raw for number in range(4000)]
            for frame in frames_of(made):
                stranger.send(node, Topic.TRANSACTIONS, frame)
            start = time.process_time()
            await asyncio.sleep(5)
            seconds = time.process_time() - start
            assert len(node.ports["transactions"].held) == len(made)
            print(f"{len(made) / seconds:,.0f} transactions/s admitted before the pool's own checks")

    run(work)


def sync(transactions_each: int) -> None:
    """Decided blocks from three peers to one, with a host that only compares certificates."""

    async def work() -> None:
        mesh = Mesh(4)
        raw = [world.transaction(0, number).raw for number in range(transactions_each)]
        blocks = mesh.extend(500, [0, 1, 2], transactions=raw)
        late = mesh.nodes[3]
        late.host.refuse = lambda block, certificate: None
        start, before = time.process_time(), asyncio.get_running_loop().time()
        async with mesh:
            while late.chain.head.height < len(blocks):
                await asyncio.sleep(0.01)
            virtual = asyncio.get_running_loop().time() - before
        seconds = time.process_time() - start
        print(
            f"{len(blocks)} blocks of {transactions_each} transactions in {seconds:.2f} s CPU of all four nodes: "
            f"{len(blocks) / seconds:,.0f} blocks/s ({virtual:.2f} s of virtual time at 2 ms a hop)"
        )

    run(work)


class Executing(Chain):
    """A chain whose blocks are executed before they are committed."""

    def __init__(self, vm: LazVM) -> None:
        self.vm = vm
        self.genesis, self.history = vm.genesis, vm.history

    @property
    def head(self) -> Block:
        return self.vm.head

    def commit(self, block: Block, certificate: bytes) -> None:
        self.vm.commit(self.vm.check_block(block), certificate)


def sync_executed(blocks: int, transactions_each: int) -> None:
    """The same with the virtual machine, certificates of four signatures compared, a store in memory."""
    start = world.genesis(validators=genesis_of(4).validators)
    source = world.machine(start=start)
    for number in range(blocks):
        made = [
            world.transaction(place % 8, number * transactions_each // 8 + place // 8, to=b"\x01" * 20, value=1)
            for place in range(transactions_each)
        ]
        built = source.build_block(world.plan(source, *made))
        assert len(built.executed.block.transactions) == transactions_each
        source.commit(built.executed, certificate_of(built.executed.block, 4).encode())

    async def work() -> None:
        mesh = Mesh(4, nodes=2, chain=Executing(source))
        late = mesh.nodes[1]
        late.chain = Executing(world.machine(start=start))
        late.host.chain = late.gossip.peers.chain = late.chain
        late.gossip.peers.height = late.host.height
        begin = time.process_time()
        async with mesh:
            while late.chain.head.height < blocks:
                await asyncio.sleep(0.01)
        seconds = time.process_time() - begin
        print(
            f"executed: {blocks} blocks of {transactions_each} transfers in {seconds:.2f} s: "
            f"{blocks / seconds:,.0f} blocks/s, {blocks * transactions_each / seconds:,.0f} transactions/s"
        )

    run(work)


def state(accounts: int) -> None:
    """A state from three peers to an empty store in memory, with a header before it and all checks."""
    balances = {Address(number.to_bytes(20, "big")): Wei(10**18 + number) for number in range(1, accounts)}
    start = world.genesis(validators=genesis_of(4).validators, balances=balances)
    source = world.machine(start=start)
    built = source.build_block(world.plan(source))
    source.commit(built.executed, certificate_of(built.executed.block, 4).encode())
    block = source.head

    async def work() -> None:
        async with Mesh(4, nodes=3, chain=source) as mesh:
            store = MemoryStore()
            sync = StateSync(
                transport=mesh.wires.end(peer_id(9)),
                identity=KnownIdentity(9),
                genesis=start,
                store=store,
                verify_certificate=lambda certificate, validators, chain_id: None,
                trusted=TrustedBlock(height=block.height, hash=block.hash),
                rng=SeededRng(9),
            )
            begin = time.process_time()
            task = asyncio.create_task(sync.run())
            for node in mesh.nodes:
                mesh.wires.join(peer_id(9), node.peer)
            most = 0
            while not task.done():
                most = max(most, sync.open_entries)
                await asyncio.sleep(0.01)
            task.result()
            seconds = time.process_time() - begin
            entries = sum(1 for _ in store.scan(b"s"))
            print(
                f"state of {accounts} accounts, {entries} entries, in {seconds:.1f} s CPU of all four nodes: "
                f"{entries / seconds:,.0f} entries/s, at most {most} of them in memory"
            )

    run(work)


if __name__ == "__main__":
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    for validators in (4, 31, 100):
        messages(validators)
    for nodes in (4, 31, 100):
        full_mesh(nodes)
    parts()
    transactions()
    for count in (0, 100):
        sync(count)
    state(30_000)
    sync_executed(400, 0)
    sync_executed(60, 80)
