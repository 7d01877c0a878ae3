"""Small exact programs with seeded weights: what suites run, and what an author may prove, price or serve."""

from __future__ import annotations

from functools import cache

import numpy as np

from lazai_core.api.program import Dim, DType
from lazai_core.exact.builder import Value
from lazai_core.testing.sample import CHAIN_ID, Claim, Fill, Sample, SampleBuilder, finish, make_claim

__all__ = [
    "CHAIN_ID",
    "Claim",
    "Fill",
    "Sample",
    "attention",
    "convolution",
    "exact_programs",
    "make_claim",
    "perceptron",
    "perceptron_batch",
    "token_mixer",
]


@cache
def perceptron(seed: int = 1) -> Sample:
    """Two dense layers over 20 features, four scores and the winning class: the shape of a small classifier."""
    builder = SampleBuilder(seed)
    x = builder.input("features", DType.INT8, (1, 20))
    hidden = builder.relu(builder.dense(x, builder.draw(-127, 127, 16, 20), builder.draw(-500, 500, 16)), shift=9)
    scores = builder.dense(hidden, builder.draw(-127, 127, 4, 16), builder.draw(-500, 500, 4))
    return finish("perceptron", builder, scores=scores, label=builder.argmax(scores, axis=1))


@cache
def perceptron_batch(seed: int = 2) -> Sample:
    """Dense layers over a batch of 1 to 24 rows, with shifts a channel: many rows share one weight."""
    builder = SampleBuilder(seed, Dim(name="batch", minimum=1, maximum=24))
    x = builder.input("features", DType.INT8, (-1, 12))
    wide = builder.dense(x, builder.draw(-127, 127, 10, 12), builder.draw(-500, 500, 10))
    hidden = builder.requantize(wide, shifts=builder.draw(6, 11, 10), axis=1, dtype=DType.INT16)
    scores = builder.dense(hidden, builder.draw(-9, 9, 3, 10), builder.draw(-500, 500, 3))
    return finish("perceptron-batch", builder, scores=scores)


@cache
def convolution(seed: int = 3) -> Sample:
    """Convolution, pooling, a depthwise convolution and a dense layer over 9 x 9 images."""
    builder = SampleBuilder(seed)
    x = builder.input("image", DType.INT8, (1, 2, 9, 9))
    wide = builder.conv2d(x, builder.draw(-127, 127, 4, 2, 3, 3), builder.draw(-99, 99, 4), pads=(1, 1, 1, 1))
    pooled = builder.max_pool2d(builder.relu(wide, shift=9), kernel=(3, 3), strides=(2, 2), pads=(1, 1, 1, 1))
    deep = builder.conv2d(
        pooled, builder.draw(-127, 127, 4, 1, 2, 2), builder.draw(-99, 99, 4), groups=4, dilations=(2, 2)
    )
    summed = builder.sum_pool2d(builder.relu(deep, shift=7), kernel=(3, 3), strides=(3, 3))
    flat = builder.reshape(builder.narrow(summed, shift=2), (1, 4))
    return finish("convolution", builder, scores=builder.linear(flat, 5, shift=5))


def _softmax_table(length: int) -> list[int]:
    return [int(value) for value in np.floor(2**14 * np.exp(-np.arange(length) / 24) + 0.5)]


def _heads(builder: SampleBuilder, x: Value, heads: int, width: int, shift: int) -> Value:
    projected = builder.linear(x, heads * width, shift=shift)
    return builder.transpose(builder.reshape(projected, (-1, heads, width)), (1, 0, 2))


@cache
def attention(seed: int = 4, *, causal: bool = True) -> Sample:
    """One transformer block over 1 to 20 tokens: embedding, attention, residual, normalisation, gated layer."""
    width, heads = 12, 3
    builder = SampleBuilder(seed, Dim(name="sequence", minimum=1, maximum=20))
    tokens = builder.input("tokens", DType.INT32, (-1,), low=0, high=49)
    x = builder.gather(builder.draw(-127, 127, 50, width), tokens)
    query, key, value = (_heads(builder, x, heads, width // heads, 8) for _ in range(3))
    scores = builder.narrow(builder.matmul(query, key, transpose_right=True), shift=6, dtype=DType.INT16)
    weights = builder.softmax(scores, _softmax_table(200), precision=14, causal=causal)
    mixed = builder.narrow(builder.matmul(weights, value), shift=14)
    joined = builder.reshape(builder.transpose(mixed, (1, 0, 2)), (-1, width))
    residual = builder.narrow(builder.add(x, builder.linear(joined, width, shift=7), shift_right=1), shift=1)
    normal = builder.layer_norm(
        residual,
        builder.draw(900, 1100, width),
        builder.draw(-99, 99, width),
        epsilon=1,
        precision=12,
        shift_normal=4,
        shift_out=7,
        dtype=DType.INT8,
    )
    gate = builder.table(builder.linear(normal, width, shift=8), np.arange(256) // 2, offset=-128)
    gated = builder.narrow(builder.multiply(normal, gate), shift=6)
    pooled = builder.reduce_mean(gated, axes=(0,))
    return finish("attention-causal" if causal else "attention", builder, tokens=gated, pooled=pooled)


@cache
def token_mixer(seed: int = 5) -> Sample:
    """Two inputs, broadcasts, slices and joins, several outputs: the parts that layers are glued with."""
    builder = SampleBuilder(seed, Dim(name="rows", minimum=2, maximum=9))
    left = builder.input("left", DType.INT8, (-1, 6))
    right = builder.input("right", DType.INT16, (-1, 1), low=-500, high=500)
    spread = builder.narrow(builder.subtract(left, right, shift_left=2), shift=3, dtype=DType.INT16)
    first = builder.slice(spread, axis=1, start=0, length=2)
    last = builder.slice(spread, axis=1, start=4, length=2)
    joined = builder.concat((last, first, last), axis=1)
    top = builder.reduce_max(joined, axes=(0,), keepdims=True)
    total = builder.reduce_sum(joined, axes=(1,))
    head = builder.slice(joined, axis=0, start=0, length=2)
    return finish("token-mixer", builder, top=top, total=total, head=head)


def exact_programs() -> tuple[Sample, ...]:
    """All samples that stand for whole models, small enough for a test of each."""
    return (
        perceptron(),
        perceptron_batch(),
        convolution(),
        attention(),
        attention(causal=False),
        token_mixer(),
    )
