"""The digits classifier (64, 32, 10 units) proved as a node proves it, and what its verification costs a chain."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterable
from typing import Any

from lazai_core.api.compute import CancelToken, TraceHandle
from lazai_core.api.proof import AcceptancePolicy, Statement
from lazai_core.api.service import BenchmarkResult
from lazai_core.api.types import Hash32, JobId

from .blinding import SystemRng
from .options import PlonkOptions

PROVE_SECONDS_MAX = 1.0
VERIFY_MS_MAX = 10.0
GAS_A_SECOND = 10_000_000
PROVE_RUNS, VERIFY_RUNS = 5, 20


def digits_claim() -> tuple[Any, Statement, TraceHandle]:
    """The trained model, a true statement about a held-out image, and its trace.

    Raises BackendUnavailable without scikit-learn.
    """
    from lazai_core.exact.codec import encode_inputs
    from lazai_core.exact.compiler.compile import compile_onnx
    from lazai_core.exact.compiler.simulate import quantize_input
    from lazai_core.exact.cost import planned_usage
    from lazai_core.exact.models.digits import train_digits
    from lazai_core.exact.reference import run_job

    trained = train_digits()
    compiled = compile_onnx(trained.onnx, trained.calibration())
    program = compiled.program
    job_input = encode_inputs(program, [quantize_input(program.inputs[0], trained.test_images[7][None, :])])
    outcome = run_job(compiled.model, job_input, keep_trace=True)
    assert outcome.trace is not None
    statement = Statement(
        program_digest=program.digest(),
        job_id=JobId(Hash32(bytes(32))),
        chain_id=1,
        input=job_input,
        output=outcome.output_bytes(),
        usage=planned_usage(outcome.bound),
    )
    return compiled.model, statement, outcome.trace


def median_seconds(run: Callable[[], object], count: int) -> tuple[float, float]:
    """Wall and processor time, the first run not counted. The second says more on a busy machine."""
    run()
    times = []
    for _ in range(count):
        start, processor = time.perf_counter(), time.process_time()
        run()
        times.append((time.perf_counter() - start, time.process_time() - processor))
    walls, processors = zip(*times, strict=True)
    return statistics.median(walls), statistics.median(processors)


def digits_rows() -> Iterable[BenchmarkResult]:
    """Proving, verifying, and the gas of the precompile against what verifying costs."""
    from .ceremony import Setup
    from .system import PlonkProofSystem
    from .system_verify import PlonkVerifier

    model, statement, trace = digits_claim()
    system = PlonkProofSystem(PlonkOptions(setup="insecure-test"))
    start = time.perf_counter()
    key = system.prepare(model.program, model)
    key_seconds = time.perf_counter() - start
    made = [system.prove(key, statement, trace, SystemRng(), CancelToken())]
    seconds, processor = median_seconds(
        lambda: made.append(system.prove(key, statement, trace, SystemRng(), CancelToken())), PROVE_RUNS
    )
    yield BenchmarkResult(
        name="prove digits",
        value=seconds,
        unit="s",
        bar=f"<= {PROVE_SECONDS_MAX:g} s",
        notes=f"64-32-10 as an exact program, warm, {processor:.3f} s of processor time, key in {key_seconds:.1f} s, "
        f"{len(made[0].data)} bytes",
    )
    verifying, policy = key.verifying_key, AcceptancePolicy()
    seconds, processor = median_seconds(lambda: system.verify(verifying, statement, made[0], policy), VERIFY_RUNS)
    yield BenchmarkResult(
        name="verify digits",
        value=1000 * seconds,
        unit="ms",
        bar=f"<= {VERIFY_MS_MAX:g} ms",
        notes=f"native mode, warm, statement and proof, {1000 * processor:.1f} ms of processor time",
    )

    def first() -> None:
        PlonkProofSystem(PlonkOptions(setup="insecure-test")).verify(verifying, statement, made[0], policy)

    cold, _ = median_seconds(first, VERIFY_RUNS)
    charged = PlonkVerifier(Setup.INSECURE_TEST).gas(verifying, len(made[0].data))
    yield BenchmarkResult(
        name="gas digits",
        value=charged,
        unit="gas",
        bar=">= its cost at 10 Mgas/s",
        peer="the cost, key checked for the first time",
        ratio=charged / (cold * GAS_A_SECOND),
        notes=f"cost {seconds * GAS_A_SECOND:,.0f} gas warm, {cold * GAS_A_SECOND:,.0f} for a key not seen before",
    )
