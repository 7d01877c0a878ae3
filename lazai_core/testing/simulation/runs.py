"""Many seeds, in several processes: what they gave together, and the first that shows a violation."""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from itertools import islice
from multiprocessing import connection, get_context, parent_process
from threading import Thread

from attrs import define, field, frozen

from lazai_core.api.entries import ConsensusEntry

from .chain import Shape
from .checks import Violation
from .world import Outcome, Plan, Simulation

CHUNK_SEEDS = 10
DEFAULT_SHAPES = ("4", "4", "4", "7", "7", "4x4")


@frozen(kw_only=True)
class SeedFailure:
    """A seed that shows a violation, and who is faulty in it."""

    shape: str
    seed: int
    text: str
    faulty: str


@define(kw_only=True)
class Totals:
    """What the seeds gave together."""

    seeds: int = 0
    heights: int = 0
    rounds: int = 0
    rounds_max: int = 0
    transactions: int = 0
    crashes: int = 0
    convictions: int = 0
    virtual_s: float = 0.0
    processor_s: float = 0.0
    evidence: Counter[str] = field(factory=Counter)
    failures: list[SeedFailure] = field(factory=list)

    def add(self, outcome: Outcome) -> None:
        """Count one seed."""
        self.seeds += 1
        self.heights += len(outcome.rounds)
        self.rounds += sum(outcome.rounds)
        self.rounds_max = max(self.rounds_max, *outcome.rounds)
        self.transactions += outcome.transactions
        self.crashes += outcome.crashes
        self.convictions += outcome.convictions
        self.virtual_s += outcome.virtual_s
        self.evidence.update({str(kind): count for kind, count in outcome.evidence.items()})

    def merge(self, other: Totals) -> None:
        """Count others' seeds."""
        self.seeds += other.seeds
        self.heights += other.heights
        self.rounds += other.rounds
        self.rounds_max = max(self.rounds_max, other.rounds_max)
        self.transactions += other.transactions
        self.crashes += other.crashes
        self.convictions += other.convictions
        self.virtual_s += other.virtual_s
        self.processor_s += other.processor_s
        self.evidence.update(other.evidence)
        self.failures += other.failures


Job = tuple[str, int]
"""Committee and seed."""


def jobs_of(shapes: Sequence[str], first: int, count: int) -> Iterator[Job]:
    """Seeds dealt out to the committees in turn."""
    return ((shapes[seed % len(shapes)], seed) for seed in range(first, first + count))


def run_jobs(jobs: Sequence[Job], find: Callable[[], ConsensusEntry]) -> Totals:
    """Run seeds one after the other."""
    quiet_logs()
    totals, entry = Totals(), find()
    started_s = time.process_time()
    for shape, seed in jobs:
        simulation = Simulation(Plan(shape=Shape(shape), seed=seed, entry=entry))
        try:
            totals.add(simulation.run())
        except Violation as violation:
            faulty = ", ".join(f"{number}: {behaviour}" for number, behaviour in sorted(simulation.faulty.items()))
            totals.failures.append(SeedFailure(shape=shape, seed=seed, text=str(violation), faulty=faulty))
    totals.processor_s = time.process_time() - started_s
    return totals


def run_many(
    jobs: Iterator[Job], find: Callable[[], ConsensusEntry], processes: int, report: Callable[[Totals], None]
) -> Totals:
    """Run seeds in `processes` processes until all are done or one fails; `report` hears of every chunk.

    `find` gives the engine's entry and must be importable by name.
    """
    totals = Totals()
    if processes == 1:
        while not totals.failures and (chunk := list(islice(jobs, CHUNK_SEEDS))):
            totals.merge(run_jobs(chunk, find))
            report(totals)
        return totals
    # A fresh interpreter for each worker: nothing of this process, with its threads, is copied.
    with ProcessPoolExecutor(processes, mp_context=get_context("spawn"), initializer=_end_with_parent) as pool:
        running: set[Future[Totals]] = set()
        while True:
            while len(running) < 2 * processes and not totals.failures:
                chunk = list(islice(jobs, CHUNK_SEEDS))
                if not chunk:
                    break
                running.add(pool.submit(run_jobs, chunk, find))
            if not running:
                return totals
            done, running = wait(running, return_when=FIRST_COMPLETED)
            for future in done:
                totals.merge(future.result())
                report(totals)


def _end_with_parent() -> None:
    """In a worker: whoever started it may be killed, and a pool's workers would wait for its next word for ever."""
    parent = parent_process()
    assert parent is not None, "workers have a parent"

    def watch() -> None:
        connection.wait([parent.sentinel])
        os._exit(1)

    Thread(target=watch, name="parent-watch", daemon=True).start()


def quiet_logs() -> None:
    """Nodes log nothing below errors: a seed that fails is played again to be looked at."""
    import logging

    import structlog

    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
