"""Rules of the operations: what each refuses, and bounds worked out by hand."""

from __future__ import annotations

from typing import Any

import pytest

from lazai_core.api.program import DType, ValueInfo
from lazai_core.api.program_rules import OP_SCHEMAS, Dim, RuleViolation, infer

I8, I16, I32 = DType.INT8, DType.INT16, DType.INT32
DIM = Dim(name="n", minimum=2, maximum=10)


def value(shape: tuple[int, ...], dtype: DType = I8, low: int | None = None, high: int | None = None) -> ValueInfo:
    return ValueInfo(
        dtype=dtype, shape=shape, low=dtype.low if low is None else low, high=dtype.high if high is None else high
    )


def constant(
    shape: tuple[int, ...],
    dtype: DType = I8,
    low: int | None = None,
    high: int | None = None,
    row_sum: int | None = None,
) -> ValueInfo:
    known = value(shape, dtype, low, high)
    return ValueInfo(dtype=dtype, shape=shape, low=known.low, high=known.high, is_constant=True, row_sum=row_sum)


def apply(kind: str, *operands: ValueInfo, **attributes: Any) -> ValueInfo:
    return infer(kind, operands, tuple(sorted(attributes.items())), DIM)


POOL = {"kernel": (2, 2), "strides": (1, 1), "pads": (0, 0, 0, 0)}
CONV = {"strides": (1, 1), "pads": (0, 0, 0, 0), "dilations": (1, 1), "groups": 1}
CLAMP = {"low": -128, "high": 127, "dtype": 1}
QUANT = {"shift": 0, "axis": 0, **CLAMP}
NORM = {"subtract_mean": 1, "epsilon": 1, "precision": 20, "shift_normal": 10, "shift_out": 8, **CLAMP}
SHIFTS = {"shift_left": 0, "shift_right": 0}
IMAGE, WIDE = value((1, 2, 4, 4)), value((2, 3), I32)
SMALL_BIAS = {"dtype": I32, "low": -9, "high": 9}


@pytest.mark.parametrize(
    ("kind", "operands", "attributes", "reason"),
    [
        ("dense", (WIDE, constant((4, 3)), constant((4,), I32)), {}, "x must be int8 or int16"),
        ("dense", (value((2, 3)), value((4, 3)), constant((4,), I32)), {}, "weight must be a constant"),
        ("dense", (value((2, 3)), constant((4, 3), I16), constant((4,), I32)), {}, "weight must be int8"),
        ("dense", (value((2, 3)), constant((4, 3)), constant((4,))), {}, "bias must be int32"),
        ("dense", (value((2, 3)), constant((4, 2)), constant((4,), I32)), {}, "x ends in 3, weight expects 2"),
        ("dense", (value((2, 3)), constant((4, 3)), constant((5,), I32)), {}, "bias has 5 entries for 4"),
        ("dense", (value(()), constant((4, 3)), constant((4,), I32)), {}, "rank 1"),
        ("dense", (value((2, 3)), constant((4, 3)), constant((4,), I32)), {}, r"outside \|value\| < 2\^30"),
        ("dense", (value((2, 3)),), {}, "1 operands given, 3 to 3 expected"),
        ("matmul", (value((2, 3)), value((3,))), {"transpose_right": 0}, "rank 2"),
        ("matmul", (value((2, 3)), value((2, 3))), {"transpose_right": 0}, "3 entries in a, 2 in b"),
        ("matmul", (value((4, 2, 3)), value((5, 3, 2))), {"transpose_right": 0}, "leading axes"),
        ("matmul", (value((2, 3)), value((3, 2))), {"transpose_right": 2}, "must be 0 or 1"),
        ("matmul", (value((2, 3)), value((3, 2))), {"transpose_right": (0,)}, "must be an integer"),
        ("matmul", (value((1, -1), I16), value((-1, 1), I16)), {"transpose_right": 0}, "2\\^30"),
        ("conv2d", (IMAGE, constant((2, 2, 2, 2)), constant((2,), **SMALL_BIAS)), {**CONV, "groups": 0}, "groups 0"),
        ("conv2d", (IMAGE, constant((3, 1, 2, 2)), constant((3,), **SMALL_BIAS)), {**CONV, "groups": 2}, "split"),
        ("conv2d", (IMAGE, constant((2, 1, 2, 2)), constant((2,), **SMALL_BIAS)), CONV, "x has 2 channels"),
        ("conv2d", (IMAGE, constant((2, 2, 5, 2)), constant((2,), **SMALL_BIAS)), CONV, "does not fit"),
        ("conv2d", (IMAGE, constant((2, 2, 2, 2)), constant((2,), **SMALL_BIAS)), {**CONV, "strides": (0, 1)}, "str"),
        ("conv2d", (IMAGE, constant((2, 2, 2, 2)), constant((2,), **SMALL_BIAS)), {**CONV, "pads": (1, 1)}, "4 ent"),
        (
            "conv2d",
            (value((1, 2, -1, 4)), constant((2, 2, 2, 2)), constant((2,), **SMALL_BIAS)),
            CONV,
            "must not be symbolic",
        ),
        ("requantize", (WIDE,), {**QUANT, "shift": 31}, r"shifts \[31, 31\]"),
        ("requantize", (WIDE,), {**QUANT, "shift": -17}, r"shifts \[-17, -17\]"),
        ("requantize", (WIDE,), {**QUANT, "axis": 1}, "axis must be 0"),
        ("requantize", (WIDE,), {**QUANT, "high": 128}, "outside int8"),
        ("requantize", (WIDE,), {**QUANT, "low": 5, "high": 4}, "low 5 exceeds high 4"),
        ("requantize", (WIDE,), {**QUANT, "dtype": 4}, "dtype code 4"),
        ("requantize", (WIDE, constant((3,))), {**QUANT, "axis": 1}, r"shifts \[-128, 127\]"),
        ("requantize", (WIDE, constant((3,), I8, 0, 9)), {**QUANT, "axis": 0}, "axis 0 has 2 entries"),
        ("requantize", (WIDE, constant((3,), I8, 0, 9)), {**QUANT, "axis": 2}, "axis 2 is not an axis"),
        ("requantize", (WIDE, constant((3,), I8, 0, 9)), {**QUANT, "axis": 1, "shift": 1}, "shift must be 0"),
        ("add", (value((2,)), value((3,))), SHIFTS, "do not broadcast"),
        ("add", (value((-1,)), value((3,))), SHIFTS, "do not broadcast"),
        ("add", (WIDE, value((3,))), SHIFTS, "outside int32"),
        ("add", (value((3,)), value((3,))), {"shift_left": 16, "shift_right": 0}, "from 0 to 15"),
        ("subtract", (value((3,), I16), value((3,))), {"shift_left": 15, "shift_right": 0}, "a shifted operand"),
        ("multiply", (value((3,), I16), value((3,), I16)), {}, "outside int32"),
        ("multiply", (WIDE, value((3,))), {}, "a must be int8"),
        ("table", (value((3,)), constant((255,))), {"offset": -128}, r"covers \[-128, 126\]"),
        ("table", (value((3,)), constant((999,))), {"offset": -127}, r"covers \[-127, 871\]"),
        ("gather", (constant((9, 2)), value((3,))), {}, "rows 0 to 8"),
        ("gather", (value((9, 2)), value((3,), I8, 0, 8)), {}, "table must be a constant"),
        ("max_pool2d", (IMAGE,), {**POOL, "pads": (2, 0, 0, 0)}, "smaller than the kernel"),
        ("sum_pool2d", (IMAGE,), {**POOL, "kernel": (5, 2)}, "does not fit"),
        ("sum_pool2d", (WIDE,), POOL, "x must be int8"),
        ("max_pool2d", (value((2, 2)),), POOL, "rank 4"),
        ("reduce_sum", (value((2, 3)),), {"axes": (), "keepdims": 0}, "must not be empty"),
        ("reduce_sum", (value((2, 3)),), {"axes": (1, 0), "keepdims": 0}, "must ascend"),
        ("reduce_mean", (value((2, 3)),), {"axes": (1, 1), "keepdims": 0}, "must ascend"),
        ("reduce_max", (value((2, 3)),), {"axes": (2,), "keepdims": 0}, "not axes"),
        ("reduce_sum", (value((2**16,), I16),), {"axes": (0,), "keepdims": 0}, "outside int32"),
        ("reduce_mean", (value((2**16,), I16),), {"axes": (0,), "keepdims": 0}, "the sum may reach"),
        ("argmax", (value((2, 3)),), {"axis": -1}, "axis -1"),
        ("layer_norm", (value((4,)), constant((3,), I16), constant((3,), I32)), NORM, "4 entries"),
        ("layer_norm", (value((-1,)), constant((3,), I16), constant((3,), I32)), NORM, "static axis"),
        ("layer_norm", (value((3,)), constant((3,), I16), constant((3,), I32)), NORM, r"gain \* t|2\^30"),
        (
            "layer_norm",
            (value((3,)), constant((3,), I16, 0, 1), constant((3,), **SMALL_BIAS)),
            {**NORM, "epsilon": 0},
            "epsilon 0",
        ),
        (
            "layer_norm",
            (value((3,)), constant((3,), I16, 0, 1), constant((3,), **SMALL_BIAS)),
            {**NORM, "epsilon": 2**62},
            "squares",
        ),
        (
            "layer_norm",
            (value((3,)), constant((3,), I16, 0, 1), constant((3,), **SMALL_BIAS)),
            {**NORM, "precision": 30},
            r"4\^precision",
        ),
        (
            "layer_norm",
            (value((3,)), constant((3,), I16, 0, 1), constant((3,), **SMALL_BIAS)),
            {**NORM, "shift_normal": -1},
            "shift_normal",
        ),
        (
            "layer_norm",
            (value((3,)), constant((3,), I16, 0, 1), constant((3,), **SMALL_BIAS)),
            {**NORM, "shift_out": 31},
            "shift_out",
        ),
        ("softmax", (value((3, 3)), constant((4,), I16, -1, 9)), {"causal": 0, "precision": 8}, "entries"),
        ("softmax", (value((3, 3)), constant((4,), I16, 0, 0)), {"causal": 0, "precision": 8}, "entries"),
        ("softmax", (value((3, 3)), constant((4,), I32, 0, 32769)), {"causal": 0, "precision": 8}, "entries"),
        ("softmax", (value((3, 3)), constant((4,), I16, 0, 9)), {"causal": 0, "precision": 15}, "precision 15"),
        ("softmax", (value((4, 3)), constant((4,), I16, 0, 9)), {"causal": 1, "precision": 8}, "as many keys"),
        ("softmax", (value((-1, 3)), constant((4,), I16, 0, 9)), {"causal": 1, "precision": 8}, "as many keys"),
        ("softmax", (value((3, -1)), constant((4,), I16, 0, 9)), {"causal": 1, "precision": 8}, "as many keys"),
        ("softmax", (value((3,)), constant((4,), I16, 0, 9)), {"causal": 1, "precision": 8}, "rank 2"),
        ("softmax", (value((2**14,)), constant((4,), I32, 0, 2**15)), {"causal": 0, "precision": 8}, r"below 2\^29"),
        ("reshape", (value((2, 3)),), {"shape": (7,)}, "different numbers"),
        ("reshape", (value((-1, 3)),), {"shape": (-1, -1)}, "different numbers"),
        ("reshape", (value((2, 3)),), {"shape": (0, 6)}, "impossible"),
        ("reshape", (value((1,)),), {"shape": (1,) * 7}, "rank 7"),
        ("transpose", (value((2, 3)),), {"permutation": (0, 0)}, "does not permute"),
        ("transpose", (value((2, 3)),), {"permutation": (0,)}, "does not permute"),
        ("concat", (value((2, 3)), value((2, 3), I16)), {"axis": 0}, "one dtype"),
        ("concat", (value((2, 3)), value((2, 4))), {"axis": 0}, "differ outside"),
        ("concat", (value((-1, 3)), value((2, 3))), {"axis": 0}, "must not be symbolic"),
        ("concat", (), {"axis": 0}, "0 operands"),
        ("concat", (value((2**23,)),) * 3, {"axis": 0}, "impossible entry"),
        ("slice", (value((3,)),), {"axis": 0, "start": 2, "length": 2}, "up to 4 are needed"),
        ("slice", (value((3,)),), {"axis": 0, "start": -1, "length": 2}, "start -1"),
        ("slice", (value((3,)),), {"axis": 0, "start": 0, "length": 0}, "length 0"),
        ("slice", (value((9,)),), {"axis": 0, "start": 0, "length": -1}, "up to 10 are needed"),
        ("slice", (value((-1,)),), {"axis": 0, "start": 1, "length": -1}, "starts at 0"),
        ("slice", (value((-1,)),), {"axis": 0, "start": 0, "length": 3}, "up to 3 are needed"),
    ],
)
def test_refusals(kind: str, operands: tuple[ValueInfo, ...], attributes: dict[str, Any], reason: str) -> None:
    with pytest.raises(RuleViolation, match=reason):
        apply(kind, *operands, **attributes)


def test_attributes_are_complete_and_known() -> None:
    for kind, schema in OP_SCHEMAS.items():
        operands = (value((2, 2)),) * schema.operands[0]
        with pytest.raises(RuleViolation, match="attributes must be"):
            infer(kind, operands, (("surprise", 1),), DIM)


def test_dense_is_bounded_by_the_declared_row_sum() -> None:
    # 1536 inputs of 16 bits: full-range weights reach 1536 * 32767 * 128 > 2^30, these rows add up to 20000.
    x, bias = value((-1, 1536), I16, -32767, 32767), constant((8,), I32, -5, 7)

    result = apply("dense", x, constant((8, 1536), row_sum=20000), bias)

    assert (result.dtype, result.shape) == (I32, (-1, 8))
    assert (result.low, result.high) == (-20000 * 32767 - 5, 20000 * 32767 + 7)
    with pytest.raises(RuleViolation, match="2\\^30"):
        apply("dense", x, constant((8, 1536), row_sum=40000), bias)


def test_dense_is_bounded_by_the_interval_where_that_is_smaller() -> None:
    result = apply("dense", value((4,), I8, -3, 2), constant((1, 4), I8, -1, 1, 10**6), constant((1,), I32, 0, 0))

    assert (result.low, result.high) == (-12, 12)


def test_matmul_counts_the_symbolic_axis_at_its_maximum() -> None:
    result = apply("matmul", value((3, -1), I8, -2, 5), value((-1, 4), I8, -7, 3), transpose_right=0)

    assert (result.shape, result.low, result.high) == ((3, 4), -350, 150)


def test_matmul_of_positive_values_counts_the_symbolic_axis_at_its_minimum() -> None:
    result = apply("matmul", value((3, -1), I8, 2, 5), value((-1, 4), I8, 3, 3), transpose_right=0)

    assert (result.low, result.high) == (2 * 6, 10 * 15)


def test_rows_of_a_softmax_add_up() -> None:
    scores = value((4, 512), I16)
    weights = apply("softmax", scores, constant((9,), I16, 0, 1000), causal=0, precision=14)
    values = value((512, 64), I16, -32767, 32767)

    product = apply("matmul", weights, values, transpose_right=0)

    # Without the sum of the row the bound would be 512 * 2^14 * 32767, far above 2^30.
    assert product.high == (2**14 + 256) * 32767
    assert (weights.low, weights.high, weights.last_axis_sum) == (0, 2**14, 2**14 + 256)


def test_an_odd_row_of_a_softmax_rounds_down() -> None:
    weights = apply("softmax", value((5,)), constant((9,), I16, 0, 1000), causal=0, precision=8)

    assert weights.last_axis_sum == 2**8 + 2


def test_the_spread_around_the_mean_counts_in_the_sum_of_squares() -> None:
    operands = (value((3,)), constant((3,), I16, 0, 1), constant((3,), **SMALL_BIAS))
    epsilon = 2**62 - 3 * 128**2 - 1

    apply("layer_norm", *operands, **{**NORM, "subtract_mean": 0, "epsilon": epsilon})
    with pytest.raises(RuleViolation, match="squares"):
        apply("layer_norm", *operands, **{**NORM, "subtract_mean": 0, "epsilon": epsilon + 1})
    with pytest.raises(RuleViolation, match="squares"):
        apply("layer_norm", *operands, **{**NORM, "subtract_mean": 1, "epsilon": epsilon})


def test_requantize_takes_the_worst_shift() -> None:
    x = value((3,), I32, -1000, 3)
    result = apply("requantize", x, constant((3,), I8, -1, 4), shift=0, axis=0, low=-32768, high=32767, dtype=2)

    # -1000 * 2 at shift -1; 3 * 2 at shift -1.
    assert (result.low, result.high) == (-2000, 6)


def test_means_stay_in_their_interval() -> None:
    result = apply("reduce_mean", value((-1, 3), I8, -5, 9), axes=(0,), keepdims=0)

    assert (result.shape, result.low, result.high) == ((3,), -5, 9)


def test_sums_include_the_shortest_axis() -> None:
    result = apply("reduce_sum", value((-1, 3), I8, 4, 9), axes=(0,), keepdims=1)

    assert (result.shape, result.low, result.high) == ((1, 3), 8, 90)


def test_a_layer_norm_of_two_entries() -> None:
    # isqrt(2 * 4^4) = 22; 22 >> 1 = 11; 11 * 3 + 5 = 38; (38 + 2) >> 2 = 10; and (-33 + 5 + 2) >> 2 = -7.
    operands = (value((2,)), constant((2,), I16, 0, 3), constant((2,), I32, 5, 5))
    result = apply("layer_norm", *operands, **{**NORM, "precision": 4, "shift_normal": 1, "shift_out": 2})

    assert (result.dtype, result.low, result.high) == (I8, -7, 10)


def test_slices_of_the_symbolic_axis() -> None:
    first = apply("slice", value((-1, 3)), axis=0, start=0, length=1)
    positions = apply("slice", constant((12, 3)), axis=0, start=2, length=-1)

    assert (first.shape, positions.shape) == ((1, 3), (-1, 3))
