"""`lazai bench plonk`: proving and verifying beside snarkjs on the same circuits in the same run."""

from __future__ import annotations

import resource
import statistics
import time
from collections.abc import Callable, Iterable, Sequence

from attrs import frozen

from lazai_core.api.errors import BackendUnavailable
from lazai_core.api.service import Benchmark, BenchmarkResult

from .bench_digits import VERIFY_MS_MAX, VERIFY_RUNS, digits_rows, median_seconds
from .bench_snarkjs import KIBIBYTES_A_GIBIBYTE, measure, require_snarkjs, snarkjs_script
from .files.r1cs import R1cs, simple_r1cs
from .parameters import ORDER

Progress = Callable[[int, int, str], None]


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
WARM_RUNS = 5


def benchmarks() -> Iterable[Benchmark]:
    """The benchmarks of this plugin."""
    yield Benchmark(
        name="plonk",
        summary="PLONK proving and verifying, with snarkjs beside where it is installed",
        run=bench_plonk,
        peers={"snarkjs": bench_beside_snarkjs},
    )


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
    """One row a domain, as far as the budget reaches, beside snarkjs where it is installed; then the digits model."""
    sizes = [size for size in SIZES if size.worth_seconds <= seconds]
    return list(bench_sizes(sizes, progress, with_peer=True))


def bench_beside_snarkjs(seconds: float, progress: Progress) -> Sequence[BenchmarkResult]:
    """As `bench_plonk`. Raises BackendUnavailable where snarkjs is not installed."""
    require_snarkjs()
    return bench_plonk(seconds, progress)


def bench_sizes(sizes: Sequence[Size], progress: Progress, *, with_peer: bool) -> Iterable[BenchmarkResult]:
    """Rows of some domains, then of the digits model."""
    for index, size in enumerate(sizes):
        progress(index, len(sizes) + 1, f"2^{size.power}")
        yield from bench_size(size, with_peer=with_peer)
    progress(len(sizes), len(sizes) + 1, "digits")
    try:
        yield from digits_rows()
    except BackendUnavailable:
        # The digits are trained on scikit-learn's images; without it the domains are all there is.
        return


def bench_size(size: Size, *, with_peer: bool) -> Iterable[BenchmarkResult]:
    """Proving and verifying in snarkjs mode on one domain."""
    from .blinding import SystemRng
    from .ceremony import insecure_test_powers
    from .files.json_codec import write_verification_key
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
    times, made = list[tuple[float, float]](), prover.prove(values, SystemRng())
    for _ in range(WARM_RUNS):
        start, processor = time.perf_counter(), time.process_time()
        made = prover.prove(values, SystemRng())
        times.append((time.perf_counter() - start, time.process_time() - processor))
    ours, ours_cpu = (statistics.median(column) for column in zip(*times, strict=True))
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / KIBIBYTES_A_GIBIBYTE
    verify_seconds, verify_cpu = median_seconds(lambda: verify(prover.key, made[1], made[0]), VERIFY_RUNS)
    script = snarkjs_script() if with_peer else None
    theirs = (
        measure(script, write_zkey(zkey), write_wtns(values), write_verification_key(prover.key)) if script else None
    )
    peer_notes = (
        f"; snarkjs {theirs.prove_cpu_seconds:.1f} s of processor time ({theirs.prove_cpu_seconds / ours_cpu:.1f} x), "
        f"{theirs.memory_gib:.2f} GiB"
        if theirs
        else ""
    )
    yield BenchmarkResult(
        name=f"prove 2^{size.power}",
        value=ours,
        unit="s",
        bar=f"<= {size.seconds_max:g} s, >= {size.ratio_min:g} x snarkjs",
        peer=f"snarkjs {theirs.prove_seconds:.1f} s" if theirs else "",
        ratio=theirs.prove_seconds / ours if theirs else 0.0,
        notes=f"{size.products} products, warm, {WARM_RUNS} runs, best {min(times)[0]:.3f} s, "
        f"{ours_cpu:.3f} s of processor time, {memory:.2f} GiB, {engines.engine_name()}{peer_notes}",
    )
    yield BenchmarkResult(
        name=f"verify 2^{size.power}",
        value=1000 * verify_seconds,
        unit="ms",
        bar=f"<= {VERIFY_MS_MAX:g} ms",
        peer=f"snarkjs {theirs.verify_seconds:.2f} s with start-up" if theirs else "",
        ratio=theirs.verify_seconds / verify_seconds if theirs else 0.0,
        notes=f"warm, in process, {1000 * verify_cpu:.1f} ms of processor time",
    )
