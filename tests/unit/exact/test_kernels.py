"""Each operation against the same operation written as plain loops."""

from __future__ import annotations

from math import isqrt
from typing import Any

import numpy as np
import pytest

from lazai_core.api.program import DType
from lazai_core.exact.builder import ProgramBuilder, Value
from lazai_core.exact.kernels import integer_sqrt, round_shift
from lazai_core.exact.reference import run
from tests.unit.exact import oracles

Array = np.ndarray[Any, Any]

EXP_TABLE = [1000, 900, 620, 400, 200, 80, 20, 3, 0]


def numbers(seed: int, shape: tuple[int, ...], low: int, high: int) -> Array:
    """Random integers in which both ends occur."""
    rng = np.random.default_rng(seed)
    array = rng.integers(low, high + 1, size=shape)
    if array.size > 1:
        array.flat[0], array.flat[-1] = low, high
    return array


def check(kind: str, operands: list[tuple[Array, DType, bool]], **attributes: Any) -> Array:
    """Build a program of one op (arrays marked True are constants), run it and compare with the oracle."""
    builder = ProgramBuilder()
    builder.input("unused", DType.INT8, (1,))
    values: list[Value] = []
    inputs: list[Array] = [np.zeros(1, dtype=np.int8)]
    for index, (array, dtype, constant) in enumerate(operands):
        if constant:
            values.append(builder.constant(array, dtype))
        else:
            low, high = int(array.min()), int(array.max())
            values.append(builder.input(f"x{index}", dtype, array.shape, low=low, high=high))
            inputs.append(array)
    builder.output("y", builder.apply(kind, values, attributes))
    model = builder.build()
    (got,) = run(model.program, model.constants, inputs).outputs
    oracle = getattr(oracles, kind if kind != "slice" else "slice_")
    expected = oracle(*(array for array, _, _ in operands), **attributes)

    assert got.shape == expected.shape
    assert got.tolist() == expected.tolist()
    return got


I8, I16, I32 = DType.INT8, DType.INT16, DType.INT32


@pytest.mark.parametrize("lead", [(), (2,), (2, 3)])
def test_dense(lead: tuple[int, ...]) -> None:
    x, weight = numbers(1, (*lead, 5), -32768, 32767), numbers(2, (4, 5), -128, 127)
    check("dense", [(x, I16, False), (weight, I8, True), (numbers(3, (4,), -(2**20), 2**20), I32, True)])


@pytest.mark.parametrize("flag", [0, 1])
@pytest.mark.parametrize("lead", [(), (2,), (1, 3)])
def test_matmul(flag: int, lead: tuple[int, ...]) -> None:
    a = numbers(1, (*lead, 2, 3), -128, 127)
    b = numbers(2, (*lead, 4, 3) if flag else (*lead, 3, 4), -32768, 32767)
    check("matmul", [(a, I8, False), (b, I16, False)], transpose_right=flag)


@pytest.mark.parametrize(
    ("strides", "pads", "dilations", "groups"),
    [
        ((1, 1), (0, 0, 0, 0), (1, 1), 1),
        ((2, 1), (1, 0, 2, 3), (1, 2), 1),
        ((1, 3), (2, 2, 2, 2), (2, 1), 2),
        ((1, 1), (1, 1, 1, 1), (1, 1), 4),
    ],
)
def test_conv2d(strides: Any, pads: Any, dilations: Any, groups: int) -> None:
    x, weight = numbers(1, (2, 4, 5, 6), -128, 127), numbers(2, (8, 4 // groups, 3, 2), -128, 127)
    operands = [(x, I8, False), (weight, I8, True), (numbers(3, (8,), -999, 999), I32, True)]
    check("conv2d", operands, strides=strides, pads=pads, dilations=dilations, groups=groups)


@pytest.mark.parametrize("shift", [-16, -3, 0, 1, 4, 30])
def test_requantize_by_one_shift(shift: int) -> None:
    x = np.concatenate([numbers(1, (20,), 1 - 2**30, 2**30 - 1), np.arange(-24, 25)])
    check("requantize", [(x, I32, False)], shift=shift, axis=0, low=-100, high=90, dtype=int(I8))
    check("requantize", [(x, I32, False)], shift=shift, axis=0, low=1 - 2**30, high=2**30 - 1, dtype=int(I32))


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_requantize_by_shifts_along_an_axis(axis: int) -> None:
    x = numbers(1, (3, 3, 3), -40000, 40000)
    operands = [(x, I32, False), (np.array([-2, 0, 5]), I8, True)]
    check("requantize", operands, shift=0, axis=axis, low=-32768, high=32767, dtype=int(I16))


@pytest.mark.parametrize("kind", ["add", "subtract"])
@pytest.mark.parametrize(("left", "right"), [(0, 0), (3, 0), (15, 1)])
def test_add_and_subtract_broadcast(kind: str, left: int, right: int) -> None:
    a, b = numbers(1, (2, 1, 3), -128, 127), numbers(2, (4, 1), -32768, 32767)
    check(kind, [(a, I8, False), (b, I16, False)], shift_left=left, shift_right=right)
    check(kind, [(a, I8, False), (np.array(7), I8, True)], shift_left=left, shift_right=right)


def test_multiply_broadcasts() -> None:
    a, b = numbers(1, (2, 1, 3), -32767, 32767), numbers(2, (4, 1), -32767, 32767)
    check("multiply", [(a, I16, False), (b, I16, False)])


@pytest.mark.parametrize("dtype", [I8, I16, I32])
def test_table(dtype: DType) -> None:
    entries = numbers(1, (30,), dtype.low, dtype.high)
    check("table", [(numbers(2, (3, 4), -9, 20), I8, False), (entries, dtype, True)], offset=-9)


@pytest.mark.parametrize("tail", [(), (3,), (2, 2)])
def test_gather(tail: tuple[int, ...]) -> None:
    entries = numbers(1, (6, *tail), -128, 127)
    check("gather", [(entries, I8, True), (numbers(2, (2, 3), 0, 5), I32, False)])


@pytest.mark.parametrize("kind", ["max_pool2d", "sum_pool2d"])
@pytest.mark.parametrize(
    ("kernel", "strides", "pads"),
    [((2, 2), (2, 2), (0, 0, 0, 0)), ((3, 2), (2, 1), (2, 1, 1, 0)), ((5, 6), (1, 1), (4, 5, 4, 5))],
)
def test_pools(kind: str, kernel: Any, strides: Any, pads: Any) -> None:
    x = numbers(1, (2, 2, 5, 6), -128, -3)
    check(kind, [(x, I8, False)], kernel=kernel, strides=strides, pads=pads)


@pytest.mark.parametrize("kind", ["reduce_sum", "reduce_mean", "reduce_max"])
@pytest.mark.parametrize("axes", [(0,), (1, 2), (0, 1, 2), (2,)])
@pytest.mark.parametrize("keepdims", [0, 1])
def test_reductions(kind: str, axes: tuple[int, ...], keepdims: int) -> None:
    x = numbers(1, (2, 3, 5), -32768, 32767)
    check(kind, [(x, I16, False)], axes=axes, keepdims=keepdims)


def test_mean_rounds_halves_up() -> None:
    x = np.array([[1, 2], [-1, -2], [0, -1], [3, 3]])
    assert check("reduce_mean", [(x, I8, False)], axes=(1,), keepdims=0).tolist() == [2, -1, 0, 3]


@pytest.mark.parametrize("axis", [0, 1])
def test_argmax_takes_the_lowest_index(axis: int) -> None:
    x = np.array([[3, 3, 1], [3, 5, 5]])
    assert check("argmax", [(x, I8, False)], axis=axis).tolist() == ([0, 1, 1] if axis == 0 else [0, 1])


@pytest.mark.parametrize("subtract_mean", [0, 1])
@pytest.mark.parametrize(("precision", "normal", "out"), [(12, 4, 10), (20, 14, 8), (0, 0, 0), (28, 30, -2)])
def test_layer_norm(subtract_mean: int, precision: int, normal: int, out: int) -> None:
    x = np.concatenate([numbers(1, (4, 7), -32768, 32767), np.full((1, 7), 5), np.zeros((1, 7), dtype=int)])
    gain, bias = numbers(2, (7,), -900, 900), numbers(3, (7,), -(2**20), 2**20)
    check(
        "layer_norm",
        [(x, I16, False), (gain, I16, True), (bias, I32, True)],
        subtract_mean=subtract_mean,
        epsilon=3,
        precision=precision,
        shift_normal=normal,
        shift_out=out,
        low=-30000,
        high=32000,
        dtype=int(I16),
    )


@pytest.mark.parametrize("precision", [0, 8, 14])
@pytest.mark.parametrize(("shape", "causal"), [((4,), 0), ((3, 5), 0), ((2, 4, 4), 1), ((3, 6), 1)])
def test_softmax(shape: tuple[int, ...], causal: int, precision: int) -> None:
    x = numbers(1, shape, -6, 9)
    check("softmax", [(x, I8, False), (np.array(EXP_TABLE), I16, True)], causal=causal, precision=precision)


def test_softmax_of_one_key_is_the_whole() -> None:
    operands = [(np.array([[-32768]]), I16, False), (np.array([32768, 0]), I32, True)]
    assert check("softmax", operands, causal=1, precision=14).tolist() == [[16384]]


def test_moving_data() -> None:
    x = numbers(1, (2, 3, 4), -128, 127)
    y = numbers(2, (2, 1, 4), -5, 5)
    check("reshape", [(x, I8, False)], shape=(4, 6))
    check("transpose", [(x, I8, False)], permutation=(2, 0, 1))
    check("concat", [(x, I8, False), (y, I8, False), (x, I8, False)], axis=1)
    check("slice", [(x, I8, False)], axis=2, start=1, length=2)


def test_rank_zero_values() -> None:
    x = np.array([4, -2])
    got = check("reduce_sum", [(x, I8, False)], axes=(0,), keepdims=0)
    assert got.shape == ()
    assert int(got) == 2


def test_integer_sqrt_is_exact_around_squares() -> None:
    roots = np.array([0, 1, 2, 3, 10**6, 94906265, 94906266, 2**28, 2**29 + 1, 2**30 - 1], dtype=np.int64)
    for nearby in (-1, 0, 1):
        x = np.clip(roots * roots + nearby, 0, 2**60 - 1)
        assert integer_sqrt(x).tolist() == [isqrt(int(e)) for e in x]


def test_round_shift_is_floor_of_the_half_up() -> None:
    x = np.arange(-9, 10, dtype=np.int64)
    assert round_shift(x, 1).tolist() == [(e + 1) // 2 for e in range(-9, 10)]
    assert round_shift(x, 2).tolist() == [(e + 2) // 4 for e in range(-9, 10)]
