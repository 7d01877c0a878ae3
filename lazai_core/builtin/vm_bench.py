"""Benchmarks of the virtual machine, each in a process of its own: nothing else shares its time or its caches."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterable, Sequence

from lazai_core.api.service import Benchmark, BenchmarkResult

from .bench_process import Progress, run_program

# Built-ins know neither the virtual machine nor py-evm; the processes that they start do.
_ERC20_BLOCK = """
import json, sys
from attrs import asdict
from lazai_core.builtin.sqlite_store import SqliteOptions, build_sqlite
from lazai_core.lazvm.bench import erc20_block
say = lambda *text: print(*text, flush=True)
results = erc20_block(float(sys.argv[1]), say, lambda path: build_sqlite(path, SqliteOptions()))
say("RESULTS", json.dumps([asdict(result) for result in results]))
"""
_IMPORT = "import time; start = time.perf_counter(); import {}; print(time.perf_counter() - start)"
_IMPORT_RUNS = 3


def bench_erc20_block(seconds: float, progress: Progress) -> Sequence[BenchmarkResult]:
    """Signed ERC-20 transfers a second: proposed and durable, and checked by a validator. One thread."""
    return run_program(_ERC20_BLOCK, seconds, progress, "ERC-20 blocks")


def bench_import(seconds: float, progress: Progress) -> Sequence[BenchmarkResult]:
    """Milliseconds until a fresh interpreter has imported py-evm, which the first use of the machine pays."""
    times = []
    for attempt in range(_IMPORT_RUNS):
        progress(attempt, _IMPORT_RUNS, "importing py-evm")
        command = [sys.executable, "-c", _IMPORT.format("lazai_core.lazvm.engine")]
        times.append(float(subprocess.run(command, check=True, capture_output=True, text=True).stdout))
    notes = f"best of {_IMPORT_RUNS}, fresh process; the files are in the system's cache"
    return [BenchmarkResult(name="import-py-evm", value=1000 * min(times), unit="ms", notes=notes)]


def vm_benchmarks() -> Iterable[Benchmark]:
    """All benchmarks of this module."""
    yield Benchmark(
        name="erc20-block", summary="blocks of signed ERC-20 transfers, rooted and durable", run=bench_erc20_block
    )
    yield Benchmark(name="import-py-evm", summary="what the first use of the virtual machine costs", run=bench_import)
