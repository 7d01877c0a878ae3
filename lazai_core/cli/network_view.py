"""The live view of a network on this machine: a table on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import sys
import time
from collections import deque
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import click
from attrs import define, field

from lazai_core.api.errors import LazAIError

from .output import bytes_text
from .progress import wants_bars

if TYPE_CHECKING:
    from rich.table import Table

    from lazai_core.node.devnet import RunningNetwork, RunningNode

EVERY_S = 0.5
LINE_EVERY_S = 5.0
RATE_S = 10.0


@define
class _Sight:
    """What was seen of one node last."""

    node: RunningNode
    status: dict[str, Any] = field(factory=dict)
    peers: list[dict[str, Any]] = field(factory=list)
    state: str = "starting"
    memory_bytes: int = 0

    def look(self) -> None:
        """Ask the node. Blocks for as long as the client's patience."""
        if not self.node.is_running:
            self.state = f"ended with code {self.node.process.returncode}" if self.node.process else "not started"
            return
        try:
            self.status = self.node.client.get("/status")
            self.peers = self.node.client.get("/v1/lazai/peers")["data"]
        except (OSError, LazAIError):
            self.state = "does not answer" if self.status else "starting"
            return
        self.state = "ready" if self.status["ready"] else ", ".join(self.status["failing"])
        self.memory_bytes = self.node.memory_bytes()


@define
class _Blocks:
    """Newest blocks as one node tells of them, and when they were first seen here."""

    seen: deque[tuple[float, int, int]] = field(factory=lambda: deque(maxlen=120))
    height: int = -1

    def look(self, sights: list[_Sight]) -> None:
        """Note blocks that are new."""
        best = max(sights, key=lambda sight: int(sight.status.get("height", -1)))
        newest = int(best.status.get("height", -1))
        if self.height < 0:
            # Blocks from before say nothing of how fast they come now.
            self.height = newest
        try:
            for height in range(max(self.height + 1, newest - 10, 1), newest + 1):
                block = best.node.client.get(f"/v1/lazai/blocks/{height}")
                self.seen.append((time.monotonic(), height, len(block["transactions"])))
                self.height = height
        except (OSError, LazAIError):
            return

    def rates(self) -> tuple[float, float]:
        """Transactions a second, and seconds a block, over the last while."""
        recent = [item for item in self.seen if item[0] > time.monotonic() - RATE_S]
        if len(recent) < 2:
            return 0.0, 0.0
        seconds = recent[-1][0] - recent[0][0]
        heights = recent[-1][1] - recent[0][1]
        return sum(item[2] for item in recent[1:]) / max(seconds, EVERY_S), seconds / max(heights, 1)


def watch(running: RunningNetwork) -> int:
    """Show the network until it is interrupted. Returns 1 when every node has ended by itself."""
    sights = [_Sight(node) for node in running.nodes]
    for node in running.nodes:
        node.client.timeout_s = 2.0
    blocks = _Blocks()
    with ThreadPoolExecutor(min(16, len(sights))) as pool:
        for _ in _shown(running, sights, blocks):
            list(pool.map(_Sight.look, sights))
            blocks.look(sights)
            if not any(node.is_running for node in running.nodes):
                first = running.nodes[0]
                click.echo(f"every node has ended; the last lines of {first.place.log}:\n{first.log_tail()}", err=True)
                return 1
    return 0


def _shown(running: RunningNetwork, sights: list[_Sight], blocks: _Blocks) -> Iterator[None]:
    """Yields whenever it is time to look again, and shows what was seen."""
    devnet = running.devnet
    click.echo(f"chain {devnet.chain_id} in {devnet.folder}/, funded account {devnet.account} (account.json)")
    click.echo("Ctrl-C stops all nodes")
    if not wants_bars() or not sys.stdout.isatty():
        said = 0.0
        while True:
            yield
            if time.monotonic() - said >= LINE_EVERY_S:
                said = time.monotonic()
                click.echo(_line(sights, blocks))
            time.sleep(EVERY_S)
    from rich.live import Live

    with Live(_table(sights, blocks), auto_refresh=False) as live:
        while True:
            yield
            live.update(_table(sights, blocks), refresh=True)
            time.sleep(EVERY_S)


def _line(sights: list[_Sight], blocks: _Blocks) -> str:
    per_second, interval = blocks.rates()
    heights = " ".join(str(sight.status.get("height", "-")) for sight in sights)
    states = sorted({sight.state for sight in sights})
    return f"heights {heights}; {per_second:.1f} tx/s, {interval:.2f} s a block; {', '.join(states)}"


def _table(sights: list[_Sight], blocks: _Blocks) -> Table:
    from rich import box
    from rich.table import Table

    per_second, interval = blocks.rates()
    host = sights[0].node.place.api.rpartition(":")[0]
    caption = f"{per_second:.1f} tx/s, {interval:.2f} s a block; API on {host}"
    table = Table(caption=caption, caption_justify="left", box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for name in ("node", "state"):
        table.add_column(name, no_wrap=True)
    for name in ("API", "height", "round", "peers", "waiting", "ping", "sent", "MiB"):
        table.add_column(name, justify="right", no_wrap=True)
    for sight in sights:
        status, peers = sight.status, sight.peers
        pings = [peer["round_trip_ms"] for peer in peers]
        table.add_row(
            sight.node.place.name,
            sight.state,
            f":{sight.node.place.api.rpartition(':')[2]}",
            str(status.get("height", "")),
            str(status.get("round", "")),
            str(status.get("peers", "")),
            str(status.get("transactions_waiting", "")),
            f"{sum(pings) / len(pings):.0f} ms" if pings else "",
            bytes_text(sum(peer["bytes_out"] for peer in peers)) if peers else "",
            f"{sight.memory_bytes / 2**20:.0f}" if sight.memory_bytes else "",
        )
    return table
