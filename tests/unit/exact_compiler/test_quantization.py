"""Quantisation by itself: weights, norms, tables, steps, and the costly rescale where steps cannot be tied."""

from __future__ import annotations

import math

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx.reference import ReferenceEvaluator

from lazai_core.api.errors import InvalidInput
from lazai_core.exact.compiler import QuantizeOptions, compile_onnx
from lazai_core.exact.compiler.calibrate import ValueRange
from lazai_core.exact.compiler.onnx_import import import_onnx
from lazai_core.exact.compiler.patterns import simplify
from lazai_core.exact.compiler.plan import table_interval
from lazai_core.exact.compiler.simulate import run_exact
from lazai_core.exact.compiler.weights import quantize_linear, quantize_norm, softmax_table
from tests.unit.exact_compiler.onnx_models import POSITIONS, OnnxBuilder, bert, mlp


@settings(max_examples=60, deadline=None)
@given(
    st.integers(0, 1 << 30),
    st.integers(1, 40),
    st.floats(1e-3, 1e3),
    st.floats(1e-3, 1e3),
    st.sampled_from([127, 32767]),
    st.integers(-128, 0),
)
def test_linear_weights_land_on_the_output_step(
    seed: int, width: int, input_step: float, output_step: float, top: int, zero: int
) -> None:
    random = np.random.default_rng(seed)
    weight = random.standard_normal((3, width)) * random.choice([1e-4, 1.0, 1e4])
    bias = random.standard_normal(3)
    linear = quantize_linear(
        weight,
        bias,
        input_step=input_step,
        input_zero=0,
        input_top=top,
        output_step=output_step,
        output_zero=zero,
        per_channel=True,
    )
    assert np.abs(linear.weight.astype(int)).max() <= 127
    assert np.abs(linear.weight.astype(int)).sum(axis=1).max() * top + np.abs(linear.bias).max() < 1 << 30
    steps = output_step * 2.0 ** -linear.shifts.astype(float) / input_step
    error = np.abs(linear.weight * steps[:, None] - weight).max(axis=1)
    free = (linear.shifts > -14) & (linear.shifts < 24)
    # A row is off by half a step, or by what clipping its largest entries to the next shift costs.
    assert np.all(error[free] <= np.maximum(steps, np.abs(weight).max(axis=1))[free])


def test_zero_points_cancel_in_the_bias() -> None:
    random = np.random.default_rng(1)
    weight, bias = random.standard_normal((4, 16)), random.standard_normal(4)
    x = random.uniform(0, 1, 16)
    plain, shifted = (
        quantize_linear(
            weight,
            bias,
            input_step=1 / 128,
            input_zero=zero,
            input_top=128,
            output_step=0.05,
            output_zero=0,
            per_channel=True,
        )
        for zero in (0, -128)
    )
    units = np.rint(x * 128).astype(int)
    assert np.array_equal(plain.weight, shifted.weight)
    left = plain.weight.astype(int) @ units + plain.bias
    right = shifted.weight.astype(int) @ (units - 128) + shifted.bias
    assert np.array_equal(left, right)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 1 << 30), st.sampled_from([8, 64, 384, 1024]), st.sampled_from([1e-4, 1e-2, 0.1]))
def test_norm_integers_give_the_float_norm(seed: int, size: int, step: float) -> None:
    random = np.random.default_rng(seed)
    gain, bias = random.uniform(0.2, 2, size), random.standard_normal(size)
    norm = quantize_norm(gain, bias, epsilon=1e-5, input_step=1e-3, output_step=step)
    x = np.rint(random.standard_normal(size) * 1000).astype(np.int64)
    centred = x - int((int(x.sum()) + size // 2) // size)
    variance = int(np.square(centred).sum()) + norm.epsilon
    root = math.isqrt((size << (2 * norm.precision)) // variance)
    half = 1 << (norm.shift_normal - 1) if norm.shift_normal else 0
    normals = (centred * root + half) >> norm.shift_normal
    got = (normals * norm.gain + norm.bias) * 2.0**-norm.shift_out * step
    real = x * 1e-3
    want = (real - real.mean()) / np.sqrt(real.var() + 1e-5) * gain + bias
    assert np.abs(got - want).max() < 0.01 + step
    assert np.abs(norm.gain).max() <= 32767


@given(st.floats(1e-3, 1.0), st.integers(1, 1 << 16))
@settings(max_examples=40, deadline=None)
def test_softmax_tables_obey_the_format(step: float, keys: int) -> None:
    table = softmax_table(step, keys)
    assert table[-1] == 0
    assert 1 <= table[0] <= 1 << 15
    assert np.all(np.diff(table) <= 0)
    assert int(table[0]) * keys < 1 << 29


def test_function_intervals_cover_all_readers() -> None:
    seen = ValueRange(low=-50.0, high=20.0, observations=1 << 20)
    low, high = table_interval(seen, {"tanh"})
    assert (low, high) == (-5.6, 5.6)
    low, high = table_interval(seen, {"tanh", "gelu"})
    assert low == -5.6
    assert high > 20


def test_few_observations_widen_the_bound() -> None:
    bounds = []
    for count in (16, 1 << 16):
        entry = ValueRange(low=-1.0, high=1.0, observations=count)
        entry.add_histogram(np.linspace(-1, 1, count))
        bounds.append(entry.best_clip(127))
    assert bounds[0] > bounds[1]


def close_to_onnx(builder: OnnxBuilder, shape: tuple[int, ...], tolerance: float) -> int:
    data = builder.build()
    random = np.random.default_rng(4)
    samples = [{"x": random.standard_normal(shape).astype(np.float32)} for _ in range(40)]
    compiled = compile_onnx(data, samples[:32])
    model = ReferenceEvaluator(onnx.load_from_string(data))
    for sample in samples[32:]:
        want = model.run(None, sample)[0]
        assert np.abs(run_exact(compiled, sample)["output_0"] - want).max() < tolerance
    return compiled.report.rescales


def test_steps_that_cannot_be_tied_are_rescaled() -> None:
    builder = OnnxBuilder()
    x = builder.input("x", [1, 2, 6, 6])
    pooled = builder.op("AveragePool", x, kernel_shape=[3, 3], pads=[1, 1, 1, 1], count_include_pad=1)
    builder.output(builder.op("Add", pooled, x))
    assert close_to_onnx(builder, (1, 2, 6, 6), 0.05) == 1


def test_a_softmax_result_can_be_added() -> None:
    builder = OnnxBuilder()
    x = builder.input("x", [2, 5])
    builder.output(builder.op("Sub", x, builder.op("Softmax", x, axis=-1)))
    close_to_onnx(builder, (2, 5), 0.02)


def test_a_product_of_sums_and_a_softmax_over_another_axis() -> None:
    builder = OnnxBuilder()
    x = builder.input("x", [1, 3, 4])
    product = builder.op("Mul", x, builder.op("Add", x, builder.weight(4, scale=1.0)))
    builder.output(builder.op("Softmax", builder.op("Mul", product, builder.constant(-0.7)), axis=1))
    close_to_onnx(builder, (1, 3, 4), 0.02)


def test_constant_sums_are_joined() -> None:
    from lazai_core.exact.compiler import ImportOptions

    graph = simplify(import_onnx(bert(), ImportOptions(maximum=POSITIONS)))
    kinds = [node.op for node in graph.nodes]
    assert kinds[: kinds.index("layer_norm")] == ["gather", "slice", "add"]


def test_options_out_of_range_are_refused() -> None:
    with pytest.raises(InvalidInput, match="matmul_bits is 2"):
        QuantizeOptions(matmul_bits=2)


def test_progress_counts_both_passes() -> None:
    seen: list[tuple[int, int]] = []
    samples = [{"x": np.full((1, 4), value, np.float32)} for value in (0.1, 0.5, -0.5)]
    compile_onnx(mlp(), samples, progress=lambda done, whole: seen.append((done, whole)))
    assert seen == [(done, 6) for done in range(1, 7)]
