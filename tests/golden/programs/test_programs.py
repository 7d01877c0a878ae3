"""Bytes of two small programs that must never change: skeleton, digest, file, cost, job input and output.

Wanted changes of the format are written with ``pytest --regenerate-golden tests/golden/programs``.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from lazai_core.api.program import Dim, DType, Program, Scale
from lazai_core.exact.builder import ProgramBuilder
from lazai_core.exact.codec import encode_inputs
from lazai_core.exact.cost import planned_usage
from lazai_core.exact.model import ExactModel
from lazai_core.exact.program_file import file_chunks
from lazai_core.exact.reference import run_job
from lazai_core.testing.golden import GoldenFolder

Sample = Callable[[], tuple[ExactModel, bytes]]


def pattern(shape: tuple[int, ...], modulus: int, factor: int) -> np.ndarray:
    """Integers from -(modulus // 2) up, in an order that looks mixed and never changes."""
    return ((np.arange(np.prod(shape)) * factor) % modulus - modulus // 2).reshape(shape)


def attention() -> tuple[ExactModel, bytes]:
    """One causal attention layer over token numbers with a normalised, gated output."""
    builder = ProgramBuilder(Dim(name="sequence", minimum=1, maximum=16))
    tokens = builder.input("tokens", DType.INT32, (-1,), low=0, high=30)
    positions = builder.slice(builder.constant(pattern((16, 8), 91, 37), DType.INT8), axis=0, start=0, length=-1)
    x = builder.add(builder.gather(pattern((31, 8), 251, 67), tokens), positions)
    x = builder.layer_norm(
        builder.requantize(x, dtype=DType.INT16, shift=0),
        pattern((8,), 300, 71) + 200,
        pattern((8,), 4000, 911),
        epsilon=5,
        precision=20,
        shift_normal=12,
        shift_out=9,
        dtype=DType.INT8,
    )
    query, key, value = (
        builder.requantize(
            builder.dense(x, pattern((8, 8), 255, factor), pattern((8,), 999, factor)),
            dtype=DType.INT8,
            shifts=[5, 6, 7, 6, 5, 6, 7, 6],
            axis=1,
        )
        for factor in (29, 53, 83)
    )
    scores = builder.requantize(builder.matmul(query, key, transpose_right=True), dtype=DType.INT8, shift=9)
    weights = builder.softmax(scores, [round(32768 * 0.93**z) for z in range(80)], precision=14, causal=True)
    mixed = builder.requantize(builder.matmul(weights, value), dtype=DType.INT8, shift=14)
    gated = builder.multiply(mixed, builder.table(x, pattern((256,), 256, 1) // 2, offset=-128))
    narrow = builder.requantize(gated, dtype=DType.INT16, shift=2)
    out = builder.reduce_mean(builder.concat([narrow, narrow], axis=1), axes=(0,))
    builder.output("vector", builder.subtract(out, builder.constant([3], DType.INT16), shift_left=1),
                   scale=Scale.from_float(0.03125))  # fmt: skip
    model = builder.build()
    return model, encode_inputs(model.program, [np.arange(7) * 4])


def convolution() -> tuple[ExactModel, bytes]:
    """A grouped convolution, both pools, a classifier and its class."""
    builder = ProgramBuilder()
    image = builder.input("image", DType.INT8, (1, 2, 9, 7), scale=Scale.from_float(1 / 3))
    weight, bias = pattern((4, 1, 3, 3), 255, 101), pattern((4,), 5000, 1237)
    x = builder.conv2d(image, weight, bias, strides=(1, 2), pads=(1, 0, 1, 1), dilations=(1, 1), groups=2)
    x = builder.requantize(x, dtype=DType.INT8, shift=7, low=0)
    x = builder.max_pool2d(x, kernel=(2, 2), strides=(2, 1), pads=(0, 0, 1, 0))
    x = builder.requantize(builder.sum_pool2d(x, kernel=(2, 1)), dtype=DType.INT8, shift=1)
    x = builder.transpose(x, (0, 2, 3, 1))
    x = builder.reshape(x, (1, 4 * 2 * 4))
    peak = builder.reduce_max(x, axes=(1,), keepdims=True)
    scores = builder.dense(x, pattern((5, 32), 200, 77), pattern((5,), 10000, 3331))
    builder.output("scores", builder.add(scores, peak, shift_right=3))
    builder.output("class", builder.argmax(scores, axis=1))
    builder.output("total", builder.reduce_sum(x, axes=(0, 1)))
    model = builder.build()
    return model, encode_inputs(model.program, [pattern((1, 2, 9, 7), 256, 89)])


@pytest.mark.parametrize("sample", [attention, convolution], ids=["attention", "convolution"])
def test_programs_keep_their_bytes(sample: Sample, request: pytest.FixtureRequest) -> None:
    regenerate = bool(request.config.getoption("--regenerate-golden", default=False))
    golden = GoldenFolder(Path(__file__).parent, regenerate=regenerate)
    model, job_input = sample()
    result = run_job(model, job_input)
    usage = planned_usage(result.bound)

    golden.check_json(
        f"{sample.__name__}.json",
        {
            "digest": model.program.digest().hex(),
            "skeleton": model.program.skeleton().hex(),
            "file_sha256": hashlib.sha256(b"".join(file_chunks(model))).hexdigest(),
            "flops": usage.flops,
            "memory_bytes_peak": usage.memory_bytes_peak,
            "intervals": [[value.low, value.high] for value in model.program.values],
            "job_input": job_input.hex(),
            "job_output": result.output_bytes().hex(),
        },
    )


@pytest.mark.parametrize("name", ["attention", "convolution"])
def test_kept_skeletons_are_still_read(name: str) -> None:
    kept = GoldenFolder(Path(__file__).parent).load_json(f"{name}.json")
    assert isinstance(kept, dict)

    skeleton = bytes.fromhex(kept["skeleton"])
    assert Program.from_skeleton(skeleton).digest().hex() == kept["digest"]
    assert hashlib.sha256(b"lazai/program/v1\x00" + skeleton).hexdigest() == kept["digest"]
