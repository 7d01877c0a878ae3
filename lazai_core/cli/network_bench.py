"""What a network of four processes does on this machine. `lazai bench network` runs this in a process of its own."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from statistics import mean, quantiles, stdev
from typing import Any

from attrs import frozen

from lazai_core.api.errors import LazAIError
from lazai_core.api.service import BenchmarkResult
from lazai_core.node.devnet import RunningNetwork, RunningNode, free_base_port, read_devnet

from .network_load import FORMAT as LOAD_FORMAT
from .network_load import LoadPlan, load_accounts, token_contract
from .new_network import NetworkPlan, write_network

Progress = Callable[[int, int, str], None]

VALIDATORS = 4
RATE_PER_SECOND = 300
BAR_PER_SECOND = 250
BAR_LATENCY_S = 2.0
EMPTY_S_MAX = 30.0
SETTLE_S = 15.0
CHAIN_ID = 31_340
OUT = Path("bench-out")
_LOAD = "from lazai_core.cli.network_load import main; main()"


@frozen(kw_only=True)
class Usage:
    """What the nodes had taken at one moment: processor seconds, bytes to and from other nodes, resident bytes."""

    cpu_s: float
    network_bytes: int
    memory_bytes: int


@frozen(kw_only=True)
class Sample:
    """One transaction: when it was sent, in seconds since the start, and how long until it was final (None: never)."""

    sent_s: float
    latency_s: float | None


def bench_network(seconds: float, progress: Progress, *, out: Path | None = None) -> Sequence[BenchmarkResult]:
    """Four validators as processes, and signed ERC-20 transfers sent over HTTP from another process."""
    with tempfile.TemporaryDirectory(prefix="lazai-bench-") as folder:
        plan = LoadPlan(rate_per_second=RATE_PER_SECOND, seconds=seconds, chain_id=CHAIN_ID)
        write_bench_network(Path(folder, "net"), plan)
        with RunningNetwork(read_devnet(Path(folder, "net"))) as running:
            running.wait_ready(lambda done, total: progress(done, total, "starting four nodes"))
            running.wait_height(3)
            empty = _empty_intervals(running, min(EMPTY_S_MAX, max(5.0, seconds / 2)), progress)
            before = _usage(running)
            samples, spans = _load(running, plan, Path(folder), progress)
            after = _usage(running)
            heads = running.heights()
    target = OUT if out is None else out
    picture = _draw(samples, spans, target)
    return list(_results(seconds, empty, samples, before, after, heads, picture))


def write_bench_network(folder: Path, plan: LoadPlan) -> None:
    """Four validators, a token, and accounts that hold it."""
    from lazai_core.registry import discover, load_catalog

    accounts = load_accounts(plan)
    address, contract = token_contract(accounts)
    network = NetworkPlan(
        folder=folder,
        validators=VALIDATORS,
        idaos=0,
        chain_id=plan.chain_id,
        base_port=free_base_port(VALIDATORS),
        funded=tuple(accounts),
        contracts={address: contract},
    )
    write_network(network, load_catalog(discover()))


def _empty_intervals(running: RunningNetwork, seconds: float, progress: Progress) -> list[float]:
    """Seconds between the commits of blocks without work, by the clock of the first node's log."""
    first = running.heights()[0]
    ends = time.monotonic() + seconds
    while (left := ends - time.monotonic()) > 0:
        progress(int(seconds - left), int(seconds), "blocks without work")
        time.sleep(0.5)
    times = [when for height, when, _ in committed(running.nodes[0]) if height > first]
    return [later - earlier for earlier, later in pairwise(times)]


def committed(node: RunningNode) -> Iterator[tuple[int, float, int]]:
    """Height, time in seconds since 1970, and transactions of each block that the node's log tells of."""
    from datetime import datetime

    for line in node.place.log.read_text(encoding="utf-8").splitlines():
        if '"block.committed"' not in line:
            continue
        event = json.loads(line)
        yield event["height"], datetime.fromisoformat(event["timestamp"]).timestamp(), event["transactions"]


def _usage(running: RunningNetwork) -> Usage:
    import psutil

    cpu_s, network_bytes, memory_bytes = 0.0, 0, 0
    for node in running.nodes:
        assert node.process is not None
        times = psutil.Process(node.process.pid).cpu_times()
        cpu_s += times.user + times.system
        peers = node.client.get("/v1/lazai/peers")["data"]
        network_bytes += sum(peer["bytes_in"] + peer["bytes_out"] for peer in peers)
        memory_bytes = max(memory_bytes, node.memory_bytes())
    return Usage(cpu_s=cpu_s, network_bytes=network_bytes, memory_bytes=memory_bytes)


def _load(
    running: RunningNetwork, plan: LoadPlan, folder: Path, progress: Progress
) -> tuple[list[Sample], list[tuple[float, int]]]:
    """Run the load generator: its samples, and the blocks as seconds since its start and transactions."""
    answers = folder / "load.json"
    command = [sys.executable, "-c", _LOAD, str(answers), plan.to_json(), *(node.place.api for node in running.nodes)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for line in process.stdout:
            done, total, text = line.split(maxsplit=2)
            progress(int(done), int(total), text.strip())
        _, errors = process.communicate()
    if process.returncode:
        raise LazAIError(f"the load generator failed: {errors.strip()[-2000:]}")
    document: dict[str, Any] = json.loads(answers.read_bytes())
    if document["format"] != LOAD_FORMAT:
        raise LazAIError("the load generator answered in another format")
    if document["refused"] == len(document["samples"]):
        raise LazAIError(f"every transaction was refused: {document['reason']}")
    samples = [Sample(sent_s=sent, latency_s=latency) for sent, latency in document["samples"]]
    start = document["started_at"]
    blocks = [(when - start, count) for _, when, count in committed(running.nodes[0])]
    return samples, [block for block in blocks if 0 <= block[0] <= plan.seconds + SETTLE_S]


def _results(
    seconds: float,
    empty: Sequence[float],
    samples: Sequence[Sample],
    before: Usage,
    after: Usage,
    heads: Sequence[int],
    picture: str,
) -> Iterator[BenchmarkResult]:
    final = [sample for sample in samples if sample.latency_s is not None]
    latencies = sorted(sample.latency_s for sample in final if sample.latency_s is not None)
    in_time = sum(sample.sent_s + (sample.latency_s or 0) <= seconds for sample in final)
    lost = len(samples) - len(final)
    p95 = quantiles(latencies, n=20)[-1] if len(latencies) > 1 else float("nan")
    yield BenchmarkResult(
        name="network-throughput",
        value=in_time / seconds,
        unit="tx/s",
        bar=f">= {BAR_PER_SECOND}",
        notes=f"{len(samples)} ERC-20 transfers offered in {seconds:g} s, {lost} not final, {VALIDATORS} validators",
    )
    median = latencies[len(latencies) // 2] if latencies else float("nan")
    worst = max(latencies, default=float("nan"))
    yield BenchmarkResult(
        name="network-latency-p95",
        value=p95,
        unit="s",
        bar=f"< {BAR_LATENCY_S:g}",
        notes=f"from sending to final at the same node; median {median:.2f} s, worst {worst:.2f} s; {picture}",
    )
    spread = stdev(empty) if len(empty) > 1 else 0.0
    yield BenchmarkResult(
        name="network-empty-interval",
        value=mean(empty) if empty else float("nan"),
        unit="s",
        bar="1",
        notes=f"{len(empty)} blocks without work, deviation {1000 * spread:.0f} ms, "
        f"{min(empty, default=0):.2f} to {max(empty, default=0):.2f} s",
    )
    nodes = len(heads)
    yield BenchmarkResult(
        name="network-bytes",
        value=(after.network_bytes - before.network_bytes) / nodes / max(len(final), 1),
        unit="B/tx",
        notes=f"in and out of one node, all its peers together; {after.memory_bytes / 2**20:.0f} MiB the largest node",
    )
    yield BenchmarkResult(
        name="network-processor",
        value=1000 * (after.cpu_s - before.cpu_s) / max(len(final), 1),
        unit="ms/tx",
        notes=f"processor time of all {nodes} nodes together, HTTP included",
    )


def _draw(samples: Sequence[Sample], blocks: Sequence[tuple[float, int]], folder: Path) -> str:
    """Latency over time and transactions a block, as PNG and SVG; says where they are."""
    try:
        from matplotlib.figure import Figure
    except ImportError:
        return "no picture without matplotlib"
    final = [sample for sample in samples if sample.latency_s is not None]
    latencies = [sample.latency_s for sample in final if sample.latency_s is not None]
    figure = Figure(figsize=(9, 5.5), layout="constrained")
    above, below = figure.subplots(2, 1, sharex=True, height_ratios=(2, 1))
    above.scatter([sample.sent_s for sample in final], latencies, s=2, alpha=0.3, label="one transaction")
    if len(latencies) > 1:
        p95 = quantiles(latencies, n=20)[-1]
        above.axhline(p95, color="tab:red", linewidth=1, label=f"95th percentile {p95:.2f} s")
    above.axhline(BAR_LATENCY_S, color="black", linewidth=1, linestyle="--", label=f"bar {BAR_LATENCY_S:g} s")
    above.set_ylim(bottom=0)
    above.set_ylabel("sent to final (s)")
    above.legend(loc="upper right", markerscale=4)
    below.bar([when for when, _ in blocks], [count for _, count in blocks], width=0.6)
    below.set_ylabel("transactions a block")
    below.set_xlabel("seconds since the start of the load")
    figure.suptitle(f"{VALIDATORS} validators on one machine, {RATE_PER_SECOND} ERC-20 transfers offered a second")
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"network-latency.{form}" for form in ("png", "svg")]
    for path in paths:
        figure.savefig(path, dpi=120)
    return f"drawn in {paths[0]}"


def main() -> None:
    """Entry point of the benchmark's process: seconds as argument, progress and results as lines."""
    from attrs import asdict

    def say(done: int, total: int, text: str) -> None:
        sys.stdout.write(f"{done} {total} {text}\n")
        sys.stdout.flush()

    results = bench_network(float(sys.argv[1]), say)
    sys.stdout.write(f"RESULTS {json.dumps([asdict(result) for result in results])}\n")
