"""`lazai bench`: what this machine does, measured by the benchmarks that plugins offer."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from attrs import define, field

from .output import columns, heading, plural, print_json, style, wants_debug

if TYPE_CHECKING:
    from lazai_core.api.errors import PluginError
    from lazai_core.api.service import Benchmark, BenchmarkResult
    from lazai_core.registry import Candidate, Collected

EXIT_FAILED = 1
PICTURE_NAME = re.compile(r"^[A-Za-z0-9][A-Za-z0-9.-]*$")
SECONDS_MAX = 3600.0


@define(kw_only=True)
class _Outcome:
    """What the benchmarks gave, and those that gave nothing."""

    measured: list[tuple[Candidate, BenchmarkResult]] = field(factory=list)
    skipped: list[str] = field(factory=list)
    failures: list[str] = field(factory=list)


@click.command(short_help="Measure this machine.")
@click.argument("names", metavar="[NAME]...", nargs=-1)
@click.option(
    "--seconds",
    type=click.FloatRange(0.1, SECONDS_MAX),
    default=10.0,
    show_default=True,
    help="Time budget of each benchmark.",
)
@click.option("--vs", "peer", metavar="PEER", help="Measure this other system beside it, in the same run.")
@click.option("--out", type=click.Path(path_type=Path, file_okay=False), help="Folder for the pictures that are drawn.")
@click.option("--list", "is_list", is_flag=True, help="List the benchmarks there are, and run none.")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON document.")
def bench(
    names: tuple[str, ...], seconds: float, peer: str | None, out: Path | None, is_list: bool, as_json: bool
) -> int:
    """Run the benchmarks called NAME, or all of them, and print what was measured.

    A bar is what the project holds itself to; a ratio compares with a peer measured in the same run.
    """
    from lazai_core.registry import discover, load_catalog

    collected = load_catalog(discover()).calls.benchmarks()
    chosen = _chosen(collected, names, peer)
    if is_list:
        for line in columns([(item.name, _summary(item), candidate.source) for candidate, item in chosen]):
            click.echo(line)
        return 0
    outcome = _Outcome(failures=[error.message for error in collected.failures])
    for candidate, item in chosen:
        _run(candidate, item, seconds, peer, outcome)
    if out is not None:
        _write_pictures(outcome, out)
    if as_json:
        print_json(_document(outcome, seconds))
    else:
        for line in _lines(outcome):
            click.echo(line)
    return EXIT_FAILED if outcome.failures else 0


def _summary(item: Benchmark) -> str:
    return item.summary + (f"; --vs {', '.join(sorted(item.peers))}" if item.peers else "")


def _chosen(
    collected: Collected[Benchmark], names: Sequence[str], peer: str | None
) -> list[tuple[Candidate, Benchmark]]:
    known = [item.name for _, item in collected.items]
    unknown = [name for name in names if name not in known]
    if unknown:
        from lazai_core.registry.messages import near_match

        match = near_match(unknown[0], known)
        hint = f" Did you mean '{match}'?" if match else f" There are: {', '.join(known) or 'none'}."
        raise click.UsageError(f"no benchmark is called '{unknown[0]}'.{hint}")
    chosen = [(candidate, item) for candidate, item in collected.items if not names or item.name in names]
    if peer is None:
        return chosen
    compared = [(candidate, item) for candidate, item in chosen if peer in item.peers]
    alone = [item.name for _, item in chosen if peer not in item.peers]
    if not compared or (names and alone):
        pairs = [f"{item.name} --vs {other}" for _, item in collected.items for other in sorted(item.peers)]
        raise click.UsageError(
            f"'{peer}' cannot be measured beside {', '.join(alone)}. There are: {', '.join(pairs) or 'no peers'}."
        )
    return compared


def _run(candidate: Candidate, item: Benchmark, seconds: float, peer: str | None, outcome: _Outcome) -> None:
    """Run one benchmark and note what came of it. What this machine lacks the means for is left out, not a failure."""
    from lazai_core.api.errors import BackendUnavailable, PluginError
    from lazai_core.api.service import BenchmarkResult
    from lazai_core.registry.guard import guarded

    from .progress import progress

    with progress(item.name) as report:
        try:
            run = item.run if peer is None else item.peers[peer]
            found: list[Any] = guarded(candidate, f"benchmark {item.name}", lambda: list(run(seconds, report)))
        except PluginError as error:
            cause = error.__cause__
            if isinstance(cause, BackendUnavailable):
                outcome.skipped.append(f"{item.name}: {cause.message}" + (f"; {cause.hint}" if cause.hint else ""))
            else:
                outcome.failures.append(_failure_text(error))
            return
    outcome.measured.extend((candidate, result) for result in found if isinstance(result, BenchmarkResult))


def _write_pictures(outcome: _Outcome, folder: Path) -> None:
    """Names come from plugins: what is no plain file name is not written."""
    folder.mkdir(parents=True, exist_ok=True)
    for _, result in outcome.measured:
        for name, data in sorted(result.pictures.items()):
            if PICTURE_NAME.match(name):
                (folder / name).write_bytes(data)
                click.echo(f"picture: {folder / name}", err=True)


def _failure_text(error: PluginError) -> str:
    from lazai_core.registry.guard import traceback_of

    return f"{error.message}\n{traceback_of(error).rstrip()}" if wants_debug() else error.message


def machine_line() -> str:
    """The machine that was measured, on one line."""
    machine = machine_document()
    return (
        f"{machine['processor']}, {plural(machine['usable_cores'], 'usable core')}, {machine['memory']}; "
        f"Python {machine['python']}, lazai-core {machine['lazai_core']}"
    )


def machine_document() -> dict[str, Any]:
    """The machine that was measured, for scripts."""
    import platform

    import psutil

    import lazai_core

    from .machine_checks import usable_cores
    from .output import bytes_text

    processor = platform.processor() or platform.machine()
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
        models = [line.partition(":")[2].strip() for line in text.splitlines() if line.startswith("model name")]
        processor = models[0] if models else processor
    except OSError:
        pass
    return {
        "processor": processor,
        "usable_cores": usable_cores(),
        "memory": bytes_text(int(psutil.virtual_memory().total)),
        "python": platform.python_version(),
        "lazai_core": lazai_core.__version__,
    }


def _document(outcome: _Outcome, seconds: float) -> dict[str, Any]:
    from attrs import asdict

    return {
        "machine": machine_document(),
        "seconds": seconds,
        "results": [
            asdict(result, filter=lambda attribute, _: attribute.name != "pictures") | {"plugin": candidate.name}
            for candidate, result in outcome.measured
        ],
        "skipped": outcome.skipped,
        "failures": outcome.failures,
    }


def _lines(outcome: _Outcome) -> Iterator[str]:
    yield machine_line()
    rows = [
        (result.name, number_text(result.value), result.unit, result.bar, _peer_text(result), result.notes)
        for _, result in outcome.measured
    ]
    if rows:
        yield ""
        header, *body = columns([("benchmark", "value", "unit", "bar", "peer", "notes"), *rows], right=(1,))
        yield heading(header)
        yield from body
    for text in outcome.skipped:
        yield f"\n{style('skip', 'yellow')}  {text}"
    for text in outcome.failures:
        yield f"\n{style('FAIL', 'red')}  {text}"
    if not rows and not outcome.skipped and not outcome.failures:
        yield "no benchmark is installed"


def _peer_text(result: BenchmarkResult) -> str:
    return f"{result.ratio:.2f} x {result.peer}" if result.peer and result.ratio else result.peer


def number_text(value: float) -> str:
    """Three significant digits, thousands apart, no exponent for the sizes that occur."""
    if value == 0 or not -1e15 < value < 1e15:
        return f"{value:g}"
    if abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:.4g}" if abs(value) >= 0.001 else f"{value:.3g}"
