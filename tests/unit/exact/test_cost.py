"""Static cost: figures worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from lazai_core.api.encoding import Writer
from lazai_core.api.program import Dim, DType
from lazai_core.exact.builder import ProgramBuilder
from lazai_core.exact.cost import op_costs, planned_usage


def test_a_convolutional_network_by_hand() -> None:
    builder = ProgramBuilder()
    x = builder.input("x", DType.INT8, (1, 1, 8, 8))
    weight, bias = np.ones((4, 1, 3, 3), dtype=int), np.zeros(4, dtype=int)
    y = builder.conv2d(x, weight, bias, pads=(1, 1, 1, 1))
    y = builder.requantize(y, dtype=DType.INT8, shift=4)
    y = builder.max_pool2d(y, kernel=(2, 2), strides=(2, 2))
    y = builder.reshape(y, (1, 64))
    y = builder.dense(y, np.ones((10, 64), dtype=int), np.zeros(10, dtype=int))
    builder.output("y", builder.argmax(y, axis=1))
    bound = builder.build().program.bind()

    costs = list(op_costs(bound))

    assert [cost.flops for cost in costs] == [2 * 256 * 9, 256, 64 * 4, 0, 2 * 10 * 64, 10]
    assert [cost.live_bytes for cost in costs] == [
        64 + 4 * 256,
        4 * 256 + 256,
        256 + 64,
        64 + 64,
        64 + 40,
        40 + 4,
    ]
    constants = 4 * 9 + 4 * 4 + 640 + 10 * 4
    usage = planned_usage(bound, tokens_in=3)
    assert (usage.flops, usage.memory_bytes_peak, usage.tokens_in) == (
        4608 + 256 + 256 + 1280 + 10,
        constants + 1280,
        3,
    )


@pytest.mark.parametrize("rows", [1, 5])
def test_attention_by_hand(rows: int) -> None:
    builder = ProgramBuilder(Dim(name="n", minimum=1, maximum=8))
    x = builder.input("x", DType.INT8, (-1, 4))
    scores = builder.requantize(builder.matmul(x, x, transpose_right=True), dtype=DType.INT8, shift=6)
    weights = builder.softmax(scores, [100, 10, 1], precision=8)
    y = builder.requantize(builder.matmul(weights, x), dtype=DType.INT8, shift=8)
    builder.output("y", builder.layer_norm(
        y, np.ones(4, dtype=int), np.zeros(4, dtype=int),
        epsilon=1, precision=20, shift_normal=10, shift_out=2, dtype=DType.INT8,
    ))  # fmt: skip
    bound = builder.build().program.bind(rows)

    costs = list(op_costs(bound))

    n = rows
    assert [cost.flops for cost in costs] == [2 * n * n * 4, n * n, 6 * n * n, 2 * n * n * 4, 4 * n, 8 * 4 * n]
    # x stays until its last use, the second product.
    assert [cost.live_bytes for cost in costs] == [
        4 * n + 4 * n * n,
        4 * n + 5 * n * n,
        4 * n + 3 * n * n,
        4 * n + 2 * n * n + 16 * n,
        16 * n + 4 * n,
        8 * n,
    ]


def test_outputs_live_to_the_end_and_idle_values_do_not() -> None:
    builder = ProgramBuilder()
    x = builder.input("x", DType.INT8, (10,))
    builder.input("idle", DType.INT8, (7,))
    first = builder.add(x, x)
    builder.multiply(x, x)
    last = builder.reduce_max(x, axes=(0,))
    builder.output("first", first)
    builder.output("last", last)

    costs = list(op_costs(builder.build().program.bind()))

    assert [cost.live_bytes for cost in costs] == [10 + 7 + 40, 10 + 40 + 40, 10 + 40 + 1]


def test_absurd_totals_still_have_an_encoding() -> None:
    builder = ProgramBuilder()
    x = builder.input("x", DType.INT8, (1, 1, 2**15, 2**15), low=0, high=0)
    for index in range(130):
        y = builder.sum_pool2d(x, kernel=(2**14, 2**14))
        if index in (126, 129):
            builder.output(f"y{index}", y)
    bound = builder.build().program.bind()
    one = (2**14 + 1) ** 2 * 2**28

    usage = planned_usage(bound)

    assert sum(cost.flops for cost in op_costs(bound)) == 130 * one > 2**63
    assert usage.flops == 2**63 - 1
    usage.write(Writer())
