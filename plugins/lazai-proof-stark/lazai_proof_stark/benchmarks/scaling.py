"""Dense networks of one shape and growing width: how proving grows with what is committed, over three decades."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
from attrs import frozen

from lazai_core.api.program import DType
from lazai_core.api.proof import AcceptancePolicy
from lazai_core.exact.builder import ProgramBuilder
from lazai_core.exact.codec import encode_inputs
from lazai_core.exact.model import ExactModel

from ..model_key import circuit_of
from ..options import StarkOptions
from ..runs import prove_run, run_model
from ..system import StarkProofSystem

WIDTHS = (32, 128, 512, 2048)
"""Two square layers: 2 * 10^3 to 8 * 10^6 weights."""
RUNS = 3
SEED = 11


@frozen(kw_only=True)
class ScalingPoint:
    """One network: cells committed to (activations and weights), and the best of a few warm runs in seconds."""

    width: int
    cells: int
    prove_seconds: float
    verify_seconds: float


def dense_network(width: int) -> ExactModel:
    """Two dense layers with a ReLU between them, random weights."""
    random = np.random.Generator(np.random.PCG64(SEED + width))
    build = ProgramBuilder()
    value = build.input("x", DType.INT8, (1, width))
    for layer in range(2):
        weight = random.integers(-127, 128, (width, width))
        shift = 6 + (width.bit_length() + 1) // 2
        low = 0 if layer == 0 else -128
        sums = build.dense(value, weight, random.integers(-999, 1000, width))
        value = build.requantize(sums, shift=shift, dtype=DType.INT8, low=low)
    build.output("y", value)
    return build.build()


def scaling_points(parameters: str, tell: Callable[[str], None]) -> tuple[ScalingPoint, ...]:
    """Prove and verify each width a few times. Raises UnsupportedProgram, ProvingFailed, ProofError."""
    system = StarkProofSystem(StarkOptions(parameters=parameters))
    policy = AcceptancePolicy(security_bits_min=0)
    points = []
    for width in WIDTHS:
        tell(f"dense network of width {width}")
        model = dense_network(width)
        key = system.prepare(model.program, model)
        x = np.random.Generator(np.random.PCG64(width)).integers(-128, 128, (1, width))
        run = run_model(model, encode_inputs(model.program, [x.astype(np.int8)]))
        times, checks = [], []
        for _ in range(RUNS + 1):
            proved = prove_run(system, key, run)
            started = time.perf_counter()
            system.verify(key.verifying_key, run.statement, proved.envelope, policy)
            checks.append(time.perf_counter() - started)
            times.append(proved.profile.seconds)
        circuit = circuit_of(key.program, 0, key.weight_key)
        points.append(
            ScalingPoint(
                width=width,
                cells=(1 << circuit.activations.variables) + (1 << circuit.weights.variables),
                prove_seconds=min(times[1:]),
                verify_seconds=min(checks[1:]),
            )
        )
    return tuple(points)
