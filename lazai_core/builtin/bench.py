"""Benchmarks of the core. Whole processes are measured from outside, as an operator sees them."""

from __future__ import annotations

import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from lazai_core.api.errors import LazAIError
from lazai_core.api.service import Benchmark, BenchmarkResult

from .accuracy_bench import accuracy_benchmarks
from .network_bench import network_benchmarks
from .vm_bench import vm_benchmarks

Progress = Callable[[int, int, str], None]

_LAZAI = (sys.executable, "-c", "from lazai_core.cli.main import main; main()")
_START_RUNS_MAX = 10
_PATIENCE_S = 60


def bench_node_start(seconds: float, progress: Progress) -> Sequence[BenchmarkResult]:
    """Seconds from the start of the process until the node is ready, with every installed plugin loaded."""
    times: list[float] = []
    help_times: list[float] = []
    ends = time.monotonic() + seconds
    with tempfile.TemporaryDirectory(prefix="lazai-bench-") as folder:
        place = Path(folder, "node")
        _run_to_end("init", str(place))
        while len(times) < _START_RUNS_MAX and (len(times) < 3 or time.monotonic() < ends):
            times.append(_time_until_ready(place / "node.toml"))
            began = time.perf_counter()
            _run_to_end("--help")
            help_times.append(time.perf_counter() - began)
            progress(len(times), _START_RUNS_MAX, "starting the node")
    spread = f"{len(times)} starts, {min(times):.2f} to {max(times):.2f} s"
    return (
        BenchmarkResult(name="node-start", value=statistics.median(times), unit="s", bar="< 2 s", notes=spread),
        BenchmarkResult(name="help", value=1000 * statistics.median(help_times), unit="ms", bar="< 150 ms"),
    )


def _environment() -> dict[str, str]:
    # The API's port may be taken by the node that this machine runs already.
    return {**os.environ, "LAZAI_LOG__FORMAT": "json", "LAZAI_LOG__LEVEL": "info"}


def _run_to_end(*arguments: str) -> None:
    subprocess.run(
        [*_LAZAI, *arguments], check=True, stdout=subprocess.DEVNULL, env=_environment(), timeout=_PATIENCE_S
    )


def _time_until_ready(config: Path) -> float:
    began = time.perf_counter()
    process = subprocess.Popen(
        [*_LAZAI, "run", str(config)], stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, env=_environment(), text=True
    )
    try:
        assert process.stderr is not None
        lines: list[str] = []
        for line in process.stderr:
            lines.append(line)
            if _event(line) == "node.ready":
                return time.perf_counter() - began
        raise LazAIError(f"the node ended before it was ready: {''.join(lines[-5:])}")
    finally:
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=_PATIENCE_S)


def _event(line: str) -> str:
    try:
        document = json.loads(line)
    except ValueError:
        return ""
    return str(document.get("event", "")) if isinstance(document, dict) else ""


def benchmarks() -> Iterable[Benchmark]:
    """The benchmarks of the core."""
    yield Benchmark(
        name="node-start",
        summary="start of a node with every installed plugin, until it is ready",
        run=bench_node_start,
    )
    yield from vm_benchmarks()
    yield from accuracy_benchmarks()
    yield from network_benchmarks()
