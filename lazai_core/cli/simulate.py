"""`lazai simulate`: whole networks in virtual time, one a seed, until a property breaks or all seeds have passed."""

from __future__ import annotations

import os
from collections.abc import Iterator
from functools import partial
from typing import TYPE_CHECKING

import click

from .bench import number_text
from .output import columns, plural
from .progress import progress

if TYPE_CHECKING:
    from lazai_core.api.entries import ConsensusEntry
    from lazai_core.testing.simulation.runs import SeedFailure, Totals
    from lazai_core.testing.simulation.world import Outcome

EXIT_FAILED = 1
VALIDATORS_MAX = 200


@click.command(short_help="Networks of validators in virtual time, with every fault there is.")
@click.option(
    "--validators",
    type=click.IntRange(1, VALIDATORS_MAX),
    help="Validators; without it committees of 4, of 7, and of 4 iDAOs of 4 in turn.",
)
@click.option("--idaos", type=click.IntRange(1, VALIDATORS_MAX), help="Share the validators out to so many iDAOs.")
@click.option("--seeds", type=click.IntRange(1), default=100, show_default=True, help="How many seeds.")
@click.option("--seed", "first", type=click.IntRange(0), default=0, show_default=True, help="The first seed.")
@click.option("--jobs", type=click.IntRange(1, 256), help="Processes at once; without it one a core.")
@click.option("--engine", default="bft", show_default=True, help="The consensus engine.")
@click.option(
    "--report",
    "is_report",
    is_flag=True,
    help="Play one network without faults, and say what it took: rounds a height, bytes a node.",
)
def simulate(
    validators: int | None,
    idaos: int | None,
    seeds: int,
    first: int,
    jobs: int | None,
    engine: str,
    is_report: bool,
) -> int:
    """Play whole networks on one thread each: shipped host, gossip and machine; simulated network, disks and clocks.

    A seed says who is faulty and how, every delay, loss, crash, torn write and payment. Checked throughout: one block a
    height, valid blocks only, coins conserved, no honest key signs twice, nobody honest is accused; and when the faults
    end every honest node decides new heights. A failure prints the command that plays it again.
    """
    from lazai_core.testing.simulation.runs import DEFAULT_SHAPES, jobs_of, run_many

    shapes = DEFAULT_SHAPES if validators is None else (_shape(validators, idaos),)
    if idaos is not None and validators is None:
        raise click.UsageError("--idaos needs --validators")
    find = partial(find_engine, engine)
    find()
    if is_report:
        return _report(shapes[0], first, find())
    processes = min(jobs or os.cpu_count() or 1, seeds)
    with progress(f"{plural(seeds, 'seed')} of {', '.join(dict.fromkeys(shapes))}") as show:
        totals = run_many(
            jobs_of(shapes, first, seeds),
            find,
            processes,
            lambda so_far: show(so_far.seeds, seeds, f"{so_far.seeds} of {seeds}"),
        )
    for line in _lines(totals):
        click.echo(line)
    for failure in totals.failures:
        for line in _failure_lines(failure, engine):
            click.echo(line, err=True)
    return EXIT_FAILED if totals.failures else 0


def find_engine(name: str) -> ConsensusEntry:
    """The entry of an installed consensus engine."""
    from lazai_core.api.entries import ConsensusEntry
    from lazai_core.registry import Kind, discover, load_catalog

    entry = load_catalog(discover()).find(Kind.CONSENSUS, name).entry
    assert isinstance(entry, ConsensusEntry), "the catalog keeps kinds apart"
    return entry


def _shape(validators: int, idaos: int | None) -> str:
    if idaos is None:
        return str(validators)
    if validators % idaos:
        raise click.UsageError(f"{validators} validators cannot be shared out evenly to {idaos} iDAOs")
    return f"{idaos}x{validators // idaos}"


def _lines(totals: Totals) -> Iterator[str]:
    evidence = ", ".join(f"{kind} {count}" for kind, count in sorted(totals.evidence.items())) or "none"
    seconds = totals.processor_s / max(totals.seeds, 1)
    rounds = f"{totals.rounds / max(totals.heights, 1):.2f} rounds each, at most {totals.rounds_max}"
    rows = [
        ("seeds passed", number_text(totals.seeds), f"{seconds:.2f} s of processor time each"),
        ("heights", number_text(totals.heights), rounds),
        ("payments", number_text(totals.transactions), ""),
        ("crashes", number_text(totals.crashes), ""),
        ("evidence seen", number_text(totals.evidence.total()), evidence),
        ("convictions", number_text(totals.convictions), "in blocks"),
    ]
    yield from columns(rows, right=(1,))


def _failure_lines(failure: SeedFailure, engine: str) -> Iterator[str]:
    outer, _, inner = failure.shape.partition("x")
    size = int(outer) * int(inner or 1)
    committee = f"--validators {size}" + (f" --idaos {outer}" if inner else "")
    yield f"seed {failure.seed}: {failure.text}"
    yield f"faulty: {failure.faulty or 'nobody'}"
    yield f"again: lazai simulate {committee} --seed {failure.seed} --seeds 1 --engine {engine}"


def _report(shape: str, seed: int, entry: ConsensusEntry) -> int:
    from lazai_core.testing.simulation.chain import Shape
    from lazai_core.testing.simulation.runs import quiet_logs
    from lazai_core.testing.simulation.world import Plan, Simulation

    quiet_logs()
    with progress(f"a network of {shape} without faults"):
        outcome = Simulation(
            Plan(shape=Shape(shape), seed=seed, entry=entry, faulty={}, calm=True, heights=5, shipped_times=True)
        ).run()
    for line in _report_lines(outcome):
        click.echo(line)
    return 0


def _report_lines(outcome: Outcome) -> Iterator[str]:
    heights = len(outcome.rounds)
    per_node = [size / heights for size in outcome.bytes_by_node.values()]
    spread = f"least {number_text(min(per_node))}, most {number_text(max(per_node))}"
    rows = [
        ("heights", str(heights), f"in {outcome.virtual_s:.1f} virtual seconds"),
        ("rounds to decide", f"{sum(outcome.rounds) / heights:.2f}", f"each height: {list(outcome.rounds)}"),
        ("bytes sent a node and height", number_text(sum(per_node) / len(per_node)), spread),
    ]
    total = sum(outcome.bytes_by_topic.values())
    rows += [
        (f"  {topic}", number_text(size / heights / len(per_node)), f"{100 * size / total:.0f} %")
        for topic, size in sorted(outcome.bytes_by_topic.items(), key=lambda item: -item[1])
    ]
    yield from columns(rows, right=(1,))
