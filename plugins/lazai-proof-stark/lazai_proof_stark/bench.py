"""`lazai stark bench`, and `lazai bench stark`: prove and verify times, sizes and memory against the bars.

Medians of warm runs in one process. Every report names what one core does, because machines differ.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from attrs import asdict, define, evolve, field, frozen

from lazai_core.api.errors import BackendUnavailable, ComputeError, InvalidInput, LazAIError
from lazai_core.api.service import Benchmark, BenchmarkResult

if TYPE_CHECKING:
    from .benchmarks.exact_models import Bar, Prepared
    from .benchmarks.scaling import ScalingPoint
    from .benchmarks.speed import MachineSpeed

Progress = Callable[[int, int, str], None]
RUNS_MIN, RUNS_MAX = 3, 50
PERMUTATIONS = "poseidon2"
PERMUTATION_LOG_ROWS = 12
LARGE_SECONDS = 20.0
"""Proofs that take longer than this are measured once."""


@frozen(kw_only=True)
class BenchOptions:
    """What to measure. `seconds` is shared by all models; each is proved `RUNS_MIN` times at least."""

    names: tuple[str, ...]
    seconds: float = 10.0
    peer: str = ""
    peer_seconds: float = 3600.0
    with_scaling: bool = False
    parameters: str = "proven100"


@frozen(kw_only=True)
class Figures:
    """One model's figures: seconds are medians of `runs` proofs, the best in `prove_seconds_best`."""

    name: str
    parameters: int
    cells: int
    weight_cells: int
    runs: int
    key_seconds: float
    key_bytes: int
    prove_seconds: float
    prove_seconds_best: float
    verify_seconds: float
    proof_bytes: int
    memory_bytes: int
    stages: dict[str, float]
    peer: str = ""
    peer_seconds: float = 0.0

    @property
    def ratio(self) -> float:
        """How many times longer the peer took; 0 without one."""
        return self.peer_seconds / self.prove_seconds if self.peer_seconds else 0.0


@define(kw_only=True)
class Report:
    """All figures of one run of the benchmark."""

    speed: MachineSpeed
    figures: list[Figures] = field(factory=list)
    failures: list[str] = field(factory=list)
    permutations_per_second: float = 0.0
    """Poseidon2 permutations proved a second, each of them independent of the others."""
    scaling: tuple[ScalingPoint, ...] = ()
    """Dense networks of one shape, for the plot of time against size; empty where nobody asked."""

    def document(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


def benchmarks() -> Iterable[Benchmark]:
    """The benchmarks of this plugin."""
    yield Benchmark(
        name="stark",
        summary="proofs of the benchmark models (MiniLM from 60 s, the GPT-2 shape from 300 s of budget)",
        run=bench_stark,
        peers={"ezkl": bench_beside_ezkl},
    )


def chosen_names(names: Sequence[str], seconds: float = 0.0) -> tuple[str, ...]:
    """The models of these names; without names the small ones, and the large ones that fit. Raises InvalidInput."""
    from .benchmarks.exact_models import MODELS, SECONDS_FOR_LARGE, SMALL

    known = (*MODELS, PERMUTATIONS)
    unknown = [name for name in names if name not in known]
    if unknown:
        raise InvalidInput(f"no benchmark model is called {unknown[0]!r}; there are {', '.join(known)}")
    large = tuple(name for name, least in SECONDS_FOR_LARGE.items() if seconds >= least)
    return tuple(names) or (*SMALL, PERMUTATIONS, *large)


def bench_stark(seconds: float, progress: Progress) -> Sequence[BenchmarkResult]:
    """The hook's benchmark. Raises ComputeError when a model could not be measured."""
    return _measured(BenchOptions(names=chosen_names((), seconds), seconds=seconds, with_scaling=True), progress)


def bench_beside_ezkl(seconds: float, progress: Progress) -> Sequence[BenchmarkResult]:
    """The models that EZKL finishes too, each proved by both, one after the other. Raises BackendUnavailable."""
    from .benchmarks.ezkl_peer import COMPARED, peer_python

    peer_python()
    return _measured(BenchOptions(names=COMPARED, seconds=seconds, peer="ezkl"), progress)


def _measured(options: BenchOptions, progress: Progress) -> Sequence[BenchmarkResult]:
    report = model_figures(options, progress)
    if report.failures:
        raise ComputeError("; ".join(report.failures))
    results = [result for figures in report.figures for result in _results(figures, report.speed)]
    if report.permutations_per_second:
        rate = report.permutations_per_second
        results.append(BenchmarkResult(name="Poseidon2 permutations proved", value=rate, unit="1/s"))
    drawn = {f"stark-size{suffix}": data for suffix, data in size_plots(report).items()}
    results[0] = evolve(results[0], pictures=drawn)
    return results


def model_figures(options: BenchOptions, progress: Progress) -> Report:
    """Measure each model; what fails is named and does not stop the others."""
    from .benchmarks.exact_models import MODELS
    from .benchmarks.speed import measure_speed

    total = len(options.names)
    progress(0, total, "measuring one core")
    report = Report(speed=measure_speed())
    for index, name in enumerate(options.names):
        if name == PERMUTATIONS:
            progress(index, total, "Poseidon2 permutations")
            report.permutations_per_second = permutation_rate(options.parameters)
            continue
        progress(index, total, f"{name}: making the model")
        try:
            prepared = MODELS[name]()
            tell = partial(progress, index, total)
            report.figures.append(_measure(prepared, options, tell))
        except LazAIError as cause:
            report.failures.append(f"{name}: {cause}")
    if options.with_scaling:
        from .benchmarks.scaling import scaling_points

        report.scaling = scaling_points(options.parameters, partial(progress, total, total))
    progress(total, total, "done")
    return report


def permutation_rate(parameters: str, log_rows: int = PERMUTATION_LOG_ROWS) -> float:
    """Poseidon2 permutations proved a second with the named set, the best of three. Raises ProofMalformed."""
    import numpy as np

    from .air import prove_air
    from .air.examples.hash_chain import permutations, permutations_table
    from .air.poseidon2 import permutation_columns
    from .field import P
    from .parameters import parameter_set

    air, chosen = permutations(log_rows), parameter_set(parameters)
    each_row = len(air.columns) // len(permutation_columns())
    inputs = np.random.Generator(np.random.PCG64(1)).integers(0, P, (each_row, air.rows, 16))
    table = permutations_table(inputs)
    times = []
    for _ in range(RUNS_MIN + 1):
        started = time.perf_counter()
        prove_air(air, table, chosen)
        times.append(time.perf_counter() - started)
    return each_row * air.rows / min(times[1:])


def _measure(prepared: Prepared, options: BenchOptions, tell: Callable[[str], None]) -> Figures:
    from lazai_core.api.proof import AcceptancePolicy

    from .model_key import circuit_of
    from .options import StarkOptions
    from .runs import prove_run, run_model
    from .system import StarkProofSystem

    system = StarkProofSystem(StarkOptions(parameters=options.parameters))
    tell(f"{prepared.name}: committing to the weights")
    started = time.perf_counter()
    key = system.prepare(prepared.model.program, prepared.model)
    key_seconds = time.perf_counter() - started
    run = run_model(prepared.model, prepared.job_input)
    policy = AcceptancePolicy(security_bits_min=0, proof_bytes_max=64 << 20)
    until = time.perf_counter() + options.seconds / max(1, len(options.names))
    tell(f"{prepared.name}: proving")
    proofs, verify_times = [prove_run(system, key, run)], []
    while len(proofs) < RUNS_MAX:
        proofs.append(prove_run(system, key, run))
        started = time.perf_counter()
        system.verify(key.verifying_key, run.statement, proofs[-1].envelope, policy)
        verify_times.append(time.perf_counter() - started)
        spent = proofs[-1].profile.seconds
        if time.perf_counter() >= until and (len(proofs) > RUNS_MIN or spent > LARGE_SECONDS):
            break
    # The first proof compiles or loads kernels, the first verification reads the key.
    warm, checks = proofs[1:], verify_times[1:] or verify_times
    times = [proof.profile.seconds for proof in warm]
    peer, peer_seconds = _peer(prepared, options, tell)
    circuit = circuit_of(key.program, int.from_bytes(prepared.job_input[:4], "big"), key.weight_key)
    return Figures(
        name=prepared.name,
        parameters=prepared.parameters,
        cells=1 << circuit.activations.variables,
        weight_cells=1 << circuit.weights.variables,
        runs=len(warm),
        key_seconds=key_seconds,
        key_bytes=len(key.verifying_key.data),
        prove_seconds=statistics.median(times),
        prove_seconds_best=min(times),
        verify_seconds=statistics.median(checks),
        proof_bytes=len(warm[-1].envelope.data),
        memory_bytes=max(proof.profile.memory_bytes_peak for proof in warm),
        stages={
            stage.name: statistics.median(proof.profile.stages[index].nanoseconds for proof in warm) / 1e9
            for index, stage in enumerate(warm[-1].profile.stages)
        },
        peer=peer,
        peer_seconds=peer_seconds,
    )


def _peer(prepared: Prepared, options: BenchOptions, tell: Callable[[str], None]) -> tuple[str, float]:
    if options.peer != "ezkl":
        return "", 0.0
    from .benchmarks.ezkl_peer import run_peer

    tell(f"{prepared.name}: ezkl")
    with tempfile.TemporaryDirectory(prefix="lazai-ezkl-") as folder:
        try:
            found = run_peer(prepared, Path(folder), options.peer_seconds)
        except ComputeError as cause:
            return str(cause), 0.0
    memory = found["memory_bytes"] / 2**30
    return f"ezkl: prove {found['prove']:.1f} s, verify {found['verify']:.2f} s, {memory:.1f} GiB", found["prove"]


def _results(figures: Figures, speed: MachineSpeed) -> list[BenchmarkResult]:
    from .benchmarks.exact_models import BARS

    bar = BARS.get(figures.name)
    memory = f"{figures.memory_bytes / 2**20:.0f} MiB resident, {speed.line}"

    def result(what: str, value: float, unit: str, limit: str, notes: str, ratio: float = 0.0) -> BenchmarkResult:
        return BenchmarkResult(
            name=f"{figures.name} {what}",
            value=value,
            unit=unit,
            bar=limit,
            peer=figures.peer if what == "prove" else "",
            ratio=ratio,
            notes=notes,
        )

    return [
        result("prove", figures.prove_seconds * 1e3, "ms", _limit(bar, "prove"), memory, figures.ratio),
        result("verify", figures.verify_seconds * 1e3, "ms", _limit(bar, "verify"), f"{figures.runs} runs"),
        result("proof", figures.proof_bytes / 1024, "KiB", _limit(bar, "proof"), ""),
    ]


def _limit(bar: Bar | None, what: str) -> str:
    if bar is None:
        return ""
    limits = {
        "prove": f"<= {bar.prove_seconds * 1e3:g} ms",
        "verify": f"<= {bar.verify_seconds * 1e3:g} ms",
        "proof": f"<= {bar.proof_bytes // 1024} KiB",
        "memory": f"<= {bar.memory_bytes / 2**30:g} GiB",
    }
    return limits[what]


def report_lines(report: Report) -> list[str]:
    """The figures for people, each beside its bar."""
    from .benchmarks.exact_models import BARS

    rows = [("model", "weights", "prove", "bar", "verify", "bar", "proof", "bar", "memory", "bar", "key", "peer")]
    for figures in report.figures:
        bar = BARS.get(figures.name)
        peer = f"{figures.peer} ({figures.ratio:,.0f} x)" if figures.ratio else figures.peer
        rows.append(
            (
                figures.name,
                f"{figures.parameters:,}",
                f"{figures.prove_seconds * 1e3:,.1f} ms",
                _limit(bar, "prove"),
                f"{figures.verify_seconds * 1e3:,.1f} ms",
                _limit(bar, "verify"),
                f"{figures.proof_bytes / 1024:,.0f} KiB",
                _limit(bar, "proof"),
                f"{figures.memory_bytes / 2**20:,.0f} MiB",
                _limit(bar, "memory"),
                f"{figures.key_seconds:.2f} s",
                peer,
            )
        )
    widths = [max(len(row[index]) for row in rows) for index in range(len(rows[0]))]
    lines = [report.speed.line, ""]
    lines += ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    if report.permutations_per_second:
        rate = f"{report.permutations_per_second:,.0f} permutations proved a second"
        lines += ["", f"Poseidon2 (KoalaBear, width 16): {rate}"]
    lines += ["", *(_stage_line(figures) for figures in report.figures)]
    return lines + [f"FAIL  {failure}" for failure in report.failures]


def _stage_line(figures: Figures) -> str:
    stages = ", ".join(f"{name} {seconds * 1e3:.1f}" for name, seconds in figures.stages.items())
    return f"{figures.name} in ms: {stages}"


def size_plots(report: Report) -> dict[str, bytes]:
    """Prove and verify time against committed cells, ".svg" and, with matplotlib, ".png". Raises InvalidInput."""
    from .drawing import Points, line_png, line_svg

    if not report.figures:
        raise InvalidInput("there is nothing to plot")
    places = [float(figures.cells + figures.weight_cells) for figures in report.figures]
    names = tuple(figures.name for figures in report.figures)
    times = tuple(zip(places, (figures.prove_seconds for figures in report.figures), strict=True))
    series = [Points(name="prove, benchmark models", points=times, labels=names, joined=False)]
    if report.scaling:
        proved = tuple((float(point.cells), point.prove_seconds) for point in report.scaling)
        checked = tuple((float(point.cells), point.verify_seconds) for point in report.scaling)
        widths = tuple(f"width {point.width}" for point in report.scaling)
        series.append(Points(name="prove, dense networks of one shape", points=proved))
        series.append(Points(name="verify, dense networks of one shape", points=checked, labels=widths))
    texts = ("time against size of the model", "cells committed to, activations and weights", "seconds")
    plots = {".svg": line_svg(*texts, series).encode("utf-8")}
    with suppress(BackendUnavailable):
        plots[".png"] = line_png(*texts, series)
    return plots
