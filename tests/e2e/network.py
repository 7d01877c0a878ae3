"""Networks of real processes under faults: killed, stopped and cut off, then looked at for forks and equivocation."""

from __future__ import annotations

import asyncio
import contextlib
import json
import signal
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from random import Random

from attrs import define, field

from lazai_core.api.consensus import Certificate
from lazai_core.api.errors import LazAIError
from lazai_core.builtin.sqlite_store import SqliteOptions, build_sqlite
from lazai_core.chain.history import ChainHistory
from lazai_core.cli.new_network import NetworkPlan, write_network
from lazai_core.config.peer_address import split_host_port
from lazai_core.node.devnet import RunningNetwork, RunningNode, free_base_port, read_devnet
from lazai_core.registry import discover, load_catalog

LEVEL_S = 10.0
"""Every node is level with the others again so long after a fault is over."""
PATIENCE_S = 300.0
_CHUNK_BYTES = 1 << 16


class Wires:
    """A TCP proxy between every two nodes, in a thread of its own, so that any of them can be cut."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self._cut: set[int] = set()
        self._servers: list[asyncio.Server] = []
        self._open: dict[tuple[int, int], set[asyncio.StreamWriter]] = defaultdict(set)

    def _call(self, work: Callable[[], object]) -> None:
        done = threading.Event()

        def run() -> None:
            work()
            done.set()

        self._loop.call_soon_threadsafe(run)
        assert done.wait(10)

    def lay(self, dialler: int, listener: int, port: int) -> int:
        """A wire to a node's port; returns the port to dial instead."""

        async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            # Streams report a cancelled handler as a failure; here it is how a wire is taken away.
            with contextlib.suppress(asyncio.CancelledError):
                await self._join(dialler, listener, port, reader, writer)

        server = asyncio.run_coroutine_threadsafe(asyncio.start_server(accept, "127.0.0.1", 0), self._loop).result(10)
        self._servers.append(server)
        return int(server.sockets[0].getsockname()[1])

    async def _join(
        self, dialler: int, listener: int, port: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        if self._is_cut(dialler, listener):
            writer.transport.abort()
            return
        try:
            far_reader, far_writer = await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            writer.transport.abort()
            return
        writers = self._open[dialler, listener]
        writers |= {writer, far_writer}
        await asyncio.gather(_pipe(reader, far_writer), _pipe(far_reader, writer))
        writers -= {writer, far_writer}

    def _is_cut(self, one: int, other: int) -> bool:
        return (one in self._cut) != (other in self._cut)

    def cut_off(self, nodes: set[int]) -> None:
        """These nodes reach each other, and nobody else; an empty set heals everything."""

        def change() -> None:
            self._cut = set(nodes)
            for pair, writers in self._open.items():
                if self._is_cut(*pair):
                    for writer in tuple(writers):
                        writer.transport.abort()

        self._call(change)

    def close(self) -> None:
        """Take all wires away."""

        async def end() -> None:
            for server in self._servers:
                server.close()
            for writers in self._open.values():
                for writer in tuple(writers):
                    writer.transport.abort()
            others = asyncio.all_tasks() - {asyncio.current_task()}
            for task in others:
                task.cancel()
            await asyncio.gather(*others, return_exceptions=True)

        asyncio.run_coroutine_threadsafe(end(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()


async def _pipe(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError, asyncio.IncompleteReadError):
        while data := await reader.read(_CHUNK_BYTES):
            writer.write(data)
            await writer.drain()
    writer.transport.abort()


@define
class Trial:
    """A running network, and how long recoveries took by kind of fault."""

    running: RunningNetwork
    wires: Wires
    random: Random
    recoveries: dict[str, list[float]] = field(factory=lambda: defaultdict(list))

    @property
    def faulty_max(self) -> int:
        """How many validators may fail at once: less than a third."""
        return (len(self.running.nodes) - 1) // 3

    def some(self) -> list[int]:
        """One to as many validators as may fail, drawn by chance."""
        nodes = range(len(self.running.nodes))
        return self.random.sample(nodes, self.random.randint(1, self.faulty_max))

    def kill(self) -> None:
        """SIGKILL some, start them again after a while, and wait until all are level."""
        victims = [self.running.nodes[number] for number in self.some()]
        for node in victims:
            node.kill()
        time.sleep(self.random.random() * 2)
        for node in victims:
            node.start()
        self._level("kill", victims)

    def stop(self) -> None:
        """SIGSTOP some for a while."""
        victims = [self.running.nodes[number] for number in self.some()]
        for node in victims:
            node.send(signal.SIGSTOP)
        time.sleep(1 + self.random.random() * 4)
        for node in victims:
            node.send(signal.SIGCONT)
        self._level("stop", victims)

    def partition(self) -> None:
        """Cut some off from the others for a while."""
        numbers = set(self.some())
        self.wires.cut_off(numbers)
        time.sleep(1 + self.random.random() * 4)
        self.wires.cut_off(set())
        self._level("partition", [self.running.nodes[number] for number in numbers])

    def _level(self, kind: str, victims: Sequence[RunningNode]) -> None:
        """Until those that had failed have the newest block of the others, and all of them a newer one."""
        began = time.monotonic()
        others = [node for node in self.running.nodes if node not in victims]
        target = max(_heights(others))
        while min(_heights(self.running.nodes)) < target + 1:
            for node in self.running.nodes:
                node.require_running()
            assert time.monotonic() - began < PATIENCE_S, f"{kind}: heights {_heights(self.running.nodes)}, {target}"
            time.sleep(0.1)
        self.recoveries[kind].append(time.monotonic() - began)


def _heights(nodes: Sequence[RunningNode]) -> list[int]:
    found = []
    for node in nodes:
        try:
            found.append(int(node.client.get("/status")["height"]))
        except (OSError, LazAIError):
            found.append(-1)
    return found


def write_wired(folder: Path, wires: Wires, *, validators: int, idaos: int = 0) -> None:
    """A network on this machine in which every node dials the others through wires."""
    plan = NetworkPlan(
        folder=folder,
        validators=validators,
        idaos=idaos,
        chain_id=1612,
        base_port=free_base_port(validators),
    )
    write_network(plan, load_catalog(discover()))
    nodes = read_devnet(folder).nodes
    for dialler, node in enumerate(nodes):
        text = node.config.read_text(encoding="utf-8")
        for listener, other in enumerate(nodes):
            if other is not node:
                port = wires.lay(dialler, listener, split_host_port(other.network)[1])
                text = text.replace(f"{other.address}@{other.network}", f"{other.address}@127.0.0.1:{port}")
        node.config.write_text(text, encoding="utf-8")


@contextmanager
def trial(folder: Path, *, validators: int, seed: int) -> Iterator[Trial]:
    """A network that decides blocks; all processes are gone in the end."""
    wires = Wires()
    try:
        write_wired(folder, wires, validators=validators)
        with RunningNetwork(read_devnet(folder)) as running:
            for node in running.nodes:
                node.client.timeout_s = 2.0
            running.wait_ready(patience_s=PATIENCE_S)
            running.wait_height(2, patience_s=PATIENCE_S)
            yield Trial(running=running, wires=wires, random=Random(seed))
    finally:
        wires.close()


def check_ledgers(folder: Path) -> int:
    """After all have stopped: one chain everywhere, and no validator under two blocks of one round. Its height.

    Raises AssertionError.
    """
    devnet = read_devnet(folder)
    hashes: dict[int, bytes] = {}
    signed: dict[tuple[int, int, bytes], bytes] = {}
    heights = []
    for node in devnet.nodes:
        store = build_sqlite(node.folder / "data" / "sqlite", SqliteOptions())
        try:
            history = ChainHistory(store)
            height = history.head_height()
            assert height is not None, f"{node.name} has no chain"
            heights.append(height)
            for number in range(height + 1):
                found = history.block_hash(number)
                assert found is not None, f"{node.name} has no block {number}"
                assert hashes.setdefault(number, found) == found, f"a fork at height {number}"
                if number:
                    _note_signatures(signed, Certificate.decode(history.certificate(number)), found)
        finally:
            store.close()
        for event in _events(node.log):
            assert event["event"] != "validator.misbehaved", f"{node.name} convicts a validator: {event}"
            assert event["level"] != "error", f"{node.name}: {event}"
    return min(heights)


def _note_signatures(signed: dict[tuple[int, int, bytes], bytes], certificate: Certificate, block_hash: bytes) -> None:
    assert certificate.block_id == block_hash
    for entry in certificate.signatures:
        key = (certificate.height, certificate.round, entry.validator)
        assert signed.setdefault(key, certificate.block_id) == certificate.block_id, f"equivocation: {key}"


def _events(path: Path) -> Iterator[Mapping[str, str]]:
    for line in path.read_text(encoding="utf-8").splitlines():
        # A line that SIGKILL cut in half says nothing.
        with contextlib.suppress(ValueError):
            event = json.loads(line)
            if isinstance(event, dict) and "event" in event and "level" in event:
                yield event
