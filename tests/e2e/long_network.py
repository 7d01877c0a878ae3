"""The long trial of processes: `python -m tests.e2e.long_network`. Prints what it measured; fails on the first fork.

    --kills 100 --stops 15 --partitions 15    rounds with four validators, in random order
    --many 31                                 so many validators that keep deciding, and what memory they take
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

from tests.e2e.network import LEVEL_S, Trial, check_ledgers, trial


def faults(folder: Path, arguments: argparse.Namespace) -> int:
    """Rounds of faults; returns how many recoveries took longer than they may."""
    with trial(folder, validators=4, seed=arguments.seed) as network:
        rounds = [Trial.kill] * arguments.kills + [Trial.stop] * arguments.stops
        rounds += [Trial.partition] * arguments.partitions
        network.random.shuffle(rounds)
        began = time.monotonic()
        for number, fault in enumerate(rounds, 1):
            fault(network)
            if number % 10 == 0:
                say(f"{number} of {len(rounds)} rounds in {time.monotonic() - began:.0f} s")
        codes = network.running.stop()
    assert not any(codes), f"exit codes {codes}"
    height = check_ledgers(folder)
    say(f"no fork and no equivocation in {height} blocks of four validators, seed {arguments.seed}")
    late = 0
    for kind, times in sorted(network.recoveries.items()):
        late += sum(taken > LEVEL_S for taken in times)
        say(f"{kind}: {len(times)} rounds, level after {median(times):.1f} s (median), {max(times):.1f} s (worst)")
    return late


def many(folder: Path, count: int, seconds: float) -> None:
    """Validators in a full mesh on this machine."""
    with trial(folder, validators=count, seed=1) as network:
        first, began = min(network.running.heights()), time.monotonic()
        while time.monotonic() - began < seconds:
            time.sleep(1)
        last = min(network.running.heights())
        memory = sorted(node.memory_bytes() for node in network.running.nodes)
        say(
            f"{count} validators: {last - first} blocks in {time.monotonic() - began:.0f} s, resident memory "
            f"{memory[0] / 2**20:.0f} to {memory[-1] / 2**20:.0f} MiB each, {sum(memory) / 2**30:.1f} GiB together"
        )
        assert last > first, "they decide nothing"
    check_ledgers(folder)
    say(f"no fork and no equivocation among {count} validators")


def say(text: str) -> None:
    """One line of the report."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def main() -> int:
    """Returns 1 where a node was level again later than it may be."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--stops", type=int, default=15)
    parser.add_argument("--partitions", type=int, default=15)
    parser.add_argument("--many", type=int, default=31)
    parser.add_argument("--many-seconds", type=float, default=60.0)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    late = 0
    with tempfile.TemporaryDirectory(prefix="lazai-network-") as folder:
        if arguments.kills + arguments.stops + arguments.partitions:
            late = faults(Path(folder, "four"), arguments)
        if arguments.many:
            many(Path(folder, "many"), arguments.many, arguments.many_seconds)
    if late:
        say(f"{late} recoveries took longer than {LEVEL_S:g} s")
    return int(late > 0)


if __name__ == "__main__":
    sys.exit(main())
