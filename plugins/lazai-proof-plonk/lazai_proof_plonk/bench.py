"""`lazai bench plonk`: proving and verifying beside snarkjs on the same circuits in the same run."""

from __future__ import annotations

import os
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from attrs import frozen

from lazai_core.api.service import Benchmark, BenchmarkResult

from .files.r1cs import R1cs, simple_r1cs
from .parameters import ORDER

Progress = Callable[[int, int, str], None]
SNARKJS_FOLDER = "LAZAI_SNARKJS"
"""The environment variable with the folder of snarkjs' npm package; without it only our own times are printed."""


@frozen(kw_only=True)
class Size:
    """A domain, the multiplication chain that fills it, and the bars of the project for two quiet cores."""

    power: int
    products: int
    seconds_max: float
    ratio_min: float
    worth_seconds: float
    """A time budget below this leaves the size out."""


SIZES = (
    Size(power=14, products=16_000, seconds_max=0.5, ratio_min=12, worth_seconds=0),
    Size(power=16, products=65_000, seconds_max=1.5, ratio_min=15, worth_seconds=60),
    Size(power=18, products=262_000, seconds_max=6.5, ratio_min=15, worth_seconds=240),
)
VERIFY_MS_MAX = 10.0
WARM_RUNS = 5


def benchmarks() -> Iterable[Benchmark]:
    """The benchmarks of this plugin."""
    yield Benchmark(name="plonk", summary="PLONK proving and verifying beside snarkjs 0.7.6", run=bench_plonk)


def chain(products: int) -> tuple[R1cs, list[int]]:
    """A circuit of `products` multiplications, one public input and one output, and its witness."""
    witness, constraints, previous = [1, 0, 3, 5], [], 2
    for index in range(products):
        value = witness[previous] * witness[3] % ORDER
        target = 1 if index == products - 1 else len(witness)
        if target == 1:
            witness[1] = value
        else:
            witness.append(value)
        constraints.append((((previous, 1),), ((3, 1),), ((target, 1),)))
        previous = target
    circuit = simple_r1cs(wires=len(witness), outputs=1, public_inputs=1, private_inputs=1, constraints=constraints)
    return circuit, witness


def bench_plonk(seconds: float, progress: Progress) -> Sequence[BenchmarkResult]:
    """One row a domain, as far as the budget reaches, and one for verification."""
    results: list[BenchmarkResult] = []
    sizes = [size for size in SIZES if size.worth_seconds <= seconds]
    for index, size in enumerate(sizes):
        progress(index, len(sizes), f"2^{size.power}")
        results.extend(_bench_size(size))
    return results


def _bench_size(size: Size) -> Iterable[BenchmarkResult]:
    from .blinding import SystemRng
    from .ceremony import insecure_test_powers
    from .files.limbs import limbs_from_integers
    from .files.wtns import write_wtns
    from .files.zkey import write_zkey
    from .kernels import engines
    from .snarkjs_prover import SnarkjsProver
    from .snarkjs_setup import setup
    from .snarkjs_verifier import verify

    circuit, witness = chain(size.products)
    zkey = setup(circuit, insecure_test_powers(size.power))
    prover, values = SnarkjsProver.load(zkey), limbs_from_integers(witness)
    prover.prove(values, SystemRng())
    times, made = [], prover.prove(values, SystemRng())
    for _ in range(WARM_RUNS):
        start = time.perf_counter()
        made = prover.prove(values, SystemRng())
        times.append(time.perf_counter() - start)
    ours = statistics.median(times)
    theirs = _snarkjs_seconds(write_zkey(zkey), write_wtns(values))
    yield BenchmarkResult(
        name=f"prove 2^{size.power}",
        value=ours,
        unit="s",
        bar=f"<= {size.seconds_max:g} s, >= {size.ratio_min:g} x snarkjs",
        peer=f"snarkjs {theirs:.1f} s" if theirs else "",
        ratio=theirs / ours if theirs else 0.0,
        notes=f"{size.products} products, warm, {WARM_RUNS} runs, best {min(times):.3f} s, {engines.engine_name()}",
    )
    if size is SIZES[0]:
        milliseconds = _verify_ms(lambda: verify(prover.key, made[1], made[0]))
        yield BenchmarkResult(
            name="verify", value=milliseconds, unit="ms", bar=f"<= {VERIFY_MS_MAX:g} ms", notes="warm, in process"
        )


def _verify_ms(run: Callable[[], None]) -> float:
    run()
    times = []
    for _ in range(20):
        start = time.perf_counter()
        run()
        times.append(1000 * (time.perf_counter() - start))
    return statistics.median(times)


def _snarkjs_seconds(zkey: bytes, witness: bytes) -> float:
    """Wall time of `snarkjs plonk prove`, its start-up included; 0 where snarkjs is not to be had."""
    folder = os.environ.get(SNARKJS_FOLDER)
    script = Path(folder) / "build" / "cli.cjs" if folder else None
    if script is None or not script.is_file():
        return 0.0
    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        (place / "k.zkey").write_bytes(zkey)
        (place / "w.wtns").write_bytes(witness)
        files = [str(place / each) for each in ("k.zkey", "w.wtns", "proof.json", "public.json")]
        start = time.perf_counter()
        subprocess.run(["node", str(script), "plonk", "prove", *files], check=True, capture_output=True)
        return time.perf_counter() - start
