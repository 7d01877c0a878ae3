"""Every operation of an exact program alone, over small, odd, larger and extreme shapes and intervals."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import numpy as np

from lazai_core.api.program import Dim, DType
from lazai_core.exact.builder import Value
from lazai_core.testing.sample import Sample, SampleBuilder, finish

INT8, INT16, INT32 = DType.INT8, DType.INT16, DType.INT32
SIZES = ("one", "odd", "large")

_Build = Callable[[SampleBuilder, str], Value]
_BUILDS: dict[str, _Build] = {}


def _operation(build: _Build) -> _Build:
    _BUILDS[build.__name__.strip("_").replace("_", "-")] = build
    return build


def _pick(size: str, one: tuple[int, ...], odd: tuple[int, ...], large: tuple[int, ...]) -> tuple[int, ...]:
    return {"one": one, "odd": odd, "large": large}[size]


@cache
def operation_samples() -> tuple[Sample, ...]:
    """A one-operation program for every kind, variant and size, and those whose accumulators nearly reach 2^30."""
    found = [
        finish(f"{name}-{size}", builder, y=build(builder, size))
        for name, build in _BUILDS.items()
        for size in SIZES
        for builder in (SampleBuilder(len(name)),)
    ]
    return (*found, *_extreme_samples(), *_symbolic_samples())


@_operation
def _dense(b: SampleBuilder, size: str) -> Value:
    rows, inner, columns = _pick(size, (1, 1, 1), (3, 7, 5), (19, 130, 67))
    x = b.input("x", INT8, (rows, inner))
    return b.dense(x, b.draw(-128, 127, columns, inner), b.draw(-9999, 9999, columns))


@_operation
def _dense_int16(b: SampleBuilder, size: str) -> Value:
    batch, rows, inner, columns = _pick(size, (1, 1, 1, 1), (2, 3, 7, 5), (2, 9, 120, 31))
    x = b.input("x", INT16, (batch, rows, inner))
    return b.dense(x, b.draw(-128, 127, columns, inner), b.draw(-9999, 9999, columns))


@_operation
def _matmul(b: SampleBuilder, size: str) -> Value:
    rows, inner, columns = _pick(size, (1, 1, 1), (3, 7, 5), (33, 65, 40))
    return b.matmul(b.input("a", INT8, (rows, inner)), b.input("b", INT8, (inner, columns)))


@_operation
def _matmul_transposed_int16(b: SampleBuilder, size: str) -> Value:
    heads, rows, inner, columns = _pick(size, (1, 1, 1, 1), (2, 3, 7, 5), (3, 17, 40, 21))
    a = b.input("a", INT16, (2, heads, rows, inner), low=-5000, high=5000)
    return b.matmul(a, b.input("b", INT8, (2, heads, columns, inner)), transpose_right=True)


@_operation
def _conv2d(b: SampleBuilder, size: str) -> Value:
    channels, height, width, outputs, kh, kw = _pick(size, (1,) * 6, (3, 5, 7, 2, 3, 2), (8, 20, 17, 12, 5, 3))
    x = b.input("x", INT8, (2, channels, height, width))
    return b.conv2d(x, b.draw(-128, 127, outputs, channels, kh, kw), b.draw(-999, 999, outputs))


@_operation
def _conv2d_all_attributes(b: SampleBuilder, size: str) -> Value:
    groups, height, width = _pick(size, (1, 3, 3), (3, 7, 6), (6, 21, 18))
    x = b.input("x", INT16, (1, 2 * groups, height, width))
    weight, bias = b.draw(-128, 127, 3 * groups, 2, 2, 2), b.draw(-999, 999, 3 * groups)
    return b.conv2d(x, weight, bias, strides=(2, 1), pads=(1, 0, 2, 3), dilations=(2, 1), groups=groups)


@_operation
def _requantize(b: SampleBuilder, size: str) -> Value:
    x = b.input("x", INT32, _pick(size, (1,), (3, 5), (40, 91)))
    return b.requantize(x, shift=17, dtype=INT16)


@_operation
def _requantize_largest_shift(b: SampleBuilder, size: str) -> Value:
    return b.requantize(b.input("x", INT32, _pick(size, (1,), (3, 5), (40, 91))), shift=30, dtype=INT8)


@_operation
def _requantize_left(b: SampleBuilder, size: str) -> Value:
    x = b.input("x", INT32, _pick(size, (1,), (3, 5), (40, 91)))
    return b.requantize(x, shift=-16, dtype=INT32, low=-(2**29), high=2**29 - 7)


@_operation
def _requantize_each_channel(b: SampleBuilder, size: str) -> Value:
    channels, columns = _pick(size, (1, 1), (3, 5), (40, 33))
    shifts = b.draw(-16, 30, channels)
    shifts[0] = 0
    return b.requantize(b.input("x", INT32, (2, channels, columns)), shifts=shifts, axis=1, dtype=INT8, low=-100)


@_operation
def _requantize_copy(b: SampleBuilder, size: str) -> Value:
    return b.requantize(b.input("x", INT8, _pick(size, (), (3, 5), (40, 91))), shift=0, dtype=INT16)


@_operation
def _add_broadcast(b: SampleBuilder, size: str) -> Value:
    rows, columns = _pick(size, (1, 1), (3, 5), (64, 33))
    left = b.input("a", INT16, (2, rows, 1))
    return b.add(left, b.input("b", INT8, (columns,)), shift_left=3, shift_right=7)


@_operation
def _add_constant(b: SampleBuilder, size: str) -> Value:
    x = b.input("x", INT32, _pick(size, (1,), (3, 5), (64, 33)), low=-(2**14), high=2**14)
    return b.add(x, b.constant(b.draw(-999, 999, *x.shape), INT16), shift_left=15)


@_operation
def _subtract(b: SampleBuilder, size: str) -> Value:
    shape = _pick(size, (1,), (3, 5), (64, 33))
    return b.subtract(b.input("a", INT8, shape), b.input("b", INT16, shape), shift_left=15, shift_right=2)


@_operation
def _multiply(b: SampleBuilder, size: str) -> Value:
    rows, columns = _pick(size, (1, 1), (3, 5), (64, 33))
    return b.multiply(b.input("a", INT16, (rows, columns)), b.input("b", INT8, (1, columns)))


@_operation
def _square(b: SampleBuilder, size: str) -> Value:
    x = b.input("x", INT16, _pick(size, (1,), (3, 5), (64, 33)), low=-32767)
    return b.multiply(x, x)


@_operation
def _table(b: SampleBuilder, size: str) -> Value:
    x = b.input("x", INT8, _pick(size, (1,), (3, 5), (64, 33)))
    return b.table(x, b.draw(-(2**15), 2**15 - 1, 256), offset=-128, dtype=INT16)


@_operation
def _table_wide(b: SampleBuilder, size: str) -> Value:
    x = b.input("x", INT16, _pick(size, (1,), (3, 5), (64, 33)))
    return b.table(x, b.draw(1 - 2**30, 2**30 - 1, 2**16 + 3), offset=-(2**15) - 2, dtype=INT32)


@_operation
def _gather(b: SampleBuilder, size: str) -> Value:
    entries, width, count = _pick(size, (1, 1, 1), (5, 3, 7), (300, 65, 40))
    tokens = b.input("x", INT32, (count,), low=0, high=entries - 1)
    return b.gather(b.draw(-128, 127, entries, width), tokens)


@_operation
def _gather_scalars(b: SampleBuilder, size: str) -> Value:
    entries, rows, columns = _pick(size, (1, 1, 1), (5, 3, 7), (300, 30, 40))
    tokens = b.input("x", INT16, (rows, columns), low=0, high=entries - 1)
    return b.gather(b.draw(1 - 2**30, 2**30 - 1, entries), tokens, dtype=INT32)


@_operation
def _max_pool2d(b: SampleBuilder, size: str) -> Value:
    channels, height, width = _pick(size, (1, 1, 1), (3, 5, 7), (4, 20, 17))
    kernel = (min(height, 3), min(width, 2))
    pads = (kernel[0] - 1, 0, 0, kernel[1] - 1)
    return b.max_pool2d(b.input("x", INT8, (2, channels, height, width)), kernel=kernel, strides=(2, 1), pads=pads)


@_operation
def _sum_pool2d(b: SampleBuilder, size: str) -> Value:
    channels, height, width = _pick(size, (1, 1, 1), (3, 5, 7), (4, 20, 17))
    kernel = (min(height, 2), min(width, 3))
    pads = (kernel[0] - 1, kernel[1] - 1, kernel[0] - 1, kernel[1] - 1)
    return b.sum_pool2d(b.input("x", INT16, (2, channels, height, width)), kernel=kernel, strides=(1, 2), pads=pads)


@_operation
def _reduce_sum(b: SampleBuilder, size: str) -> Value:
    return b.reduce_sum(b.input("x", INT16, _pick(size, (1, 1, 1), (2, 3, 5), (9, 33, 20))), axes=(0, 2))


@_operation
def _reduce_mean(b: SampleBuilder, size: str) -> Value:
    x = b.input("x", INT8, _pick(size, (1, 1, 1), (2, 3, 5), (9, 33, 20)))
    return b.reduce_mean(x, axes=(1,), keepdims=True)


@_operation
def _reduce_mean_everything(b: SampleBuilder, size: str) -> Value:
    return b.reduce_mean(b.input("x", INT16, _pick(size, (1, 1), (3, 5), (33, 20))), axes=(0, 1))


@_operation
def _reduce_max(b: SampleBuilder, size: str) -> Value:
    return b.reduce_max(b.input("x", INT32, _pick(size, (1, 1, 1), (2, 3, 5), (9, 33, 20))), axes=(0, 1))


@_operation
def _argmax(b: SampleBuilder, size: str) -> Value:
    x = b.input("x", INT8, _pick(size, (1, 1, 1), (2, 3, 5), (9, 33, 20)), low=-2, high=2)
    return b.argmax(x, axis=1)


@_operation
def _layer_norm(b: SampleBuilder, size: str) -> Value:
    rows, width = _pick(size, (1, 1), (3, 5), (20, 96))
    x = b.input("x", INT8, (rows, width))
    gain, bias = b.draw(-1500, 1500, width), b.draw(-99999, 99999, width)
    return b.layer_norm(x, gain, bias, epsilon=1, precision=14, shift_normal=7, shift_out=6, dtype=INT8)


@_operation
def _rms_norm_int16(b: SampleBuilder, size: str) -> Value:
    rows, width = _pick(size, (1, 1), (3, 5), (20, 96))
    x = b.input("x", INT16, (2, rows, width))
    gain, bias = b.draw(-400, 400, width), b.draw(-999, 999, width)
    return b.layer_norm(
        x, gain, bias, epsilon=77, precision=20, shift_normal=13, shift_out=-2, dtype=INT32, subtract_mean=False
    )


def _exponentials(top: int, length: int) -> list[int]:
    return [int(value) for value in np.floor(top * np.exp(-np.arange(length) / (length / 6)) + 0.5)]


@_operation
def _softmax(b: SampleBuilder, size: str) -> Value:
    rows, keys = _pick(size, (1, 1), (3, 5), (20, 65))
    return b.softmax(b.input("x", INT8, (rows, keys)), _exponentials(2**14, 90), precision=14)


@_operation
def _softmax_causal_int16(b: SampleBuilder, size: str) -> Value:
    heads, queries, keys = _pick(size, (1, 1, 1), (2, 3, 5), (3, 20, 33))
    x = b.input("x", INT16, (heads, queries, keys))
    return b.softmax(x, _exponentials(2**15, 30000), precision=9, causal=True)


@_operation
def _softmax_flat_table(b: SampleBuilder, size: str) -> Value:
    return b.softmax(b.input("x", INT16, _pick(size, (1,), (5,), (999,))), [1], precision=0)


@_operation
def _reshape(b: SampleBuilder, size: str) -> Value:
    rows, columns = _pick(size, (1, 1), (3, 10), (64, 34))
    return b.reshape(b.input("x", INT16, (rows, columns)), (columns, 1, rows))


@_operation
def _transpose(b: SampleBuilder, size: str) -> Value:
    return b.transpose(b.input("x", INT8, _pick(size, (1, 1, 1), (2, 3, 5), (9, 33, 20))), (2, 0, 1))


@_operation
def _concat(b: SampleBuilder, size: str) -> Value:
    rows, columns = _pick(size, (1, 1), (3, 5), (40, 33))
    x = b.input("x", INT16, (rows, columns))
    fixed = b.constant(b.draw(-999, 999, rows, 2), INT16)
    return b.concat((x, fixed, b.input("z", INT16, (rows, 1)), x), axis=1)


@_operation
def _slice(b: SampleBuilder, size: str) -> Value:
    rows, columns = _pick(size, (1, 2), (3, 7), (40, 33))
    return b.slice(b.input("x", INT32, (rows, columns)), axis=1, start=1, length=columns // 2)


def _extreme_samples() -> tuple[Sample, ...]:
    """Programs whose accumulators come as close to 2^30 as their interval rule lets them."""
    return (_extreme_dense(), _extreme_matmul(), _extreme_products(), _extreme_convolution(), _extreme_norm())


def _extreme_dense() -> Sample:
    builder = SampleBuilder(0)
    x = builder.input("x", INT16, (2, 258))
    signs = np.where(builder.draw(0, 1, 3, 258) == 1, 127, -127)
    signs[0], signs[1] = 127, -127
    # 258 * 127 * 32768 = 2^30 - 65536.
    return finish("dense-accumulators", builder, y=builder.dense(x, signs, np.array([65535, -65535, 0])))


def _extreme_matmul() -> Sample:
    builder = SampleBuilder(0)
    a, b = builder.input("a", INT16, (3, 255)), builder.input("b", INT8, (255, 4))
    return finish("matmul-accumulators", builder, y=builder.matmul(a, b))


def _extreme_products() -> Sample:
    builder = SampleBuilder(0)
    a = builder.input("a", INT16, (5, 1), low=-32767)
    b = builder.input("b", INT16, (1, 7), low=-32767)
    return finish("matmul-products", builder, y=builder.matmul(a, b))


def _extreme_convolution() -> Sample:
    builder = SampleBuilder(0)
    x = builder.input("x", INT16, (1, 28, 4, 4))
    weight = np.full((2, 28, 3, 3), 127)
    weight[1] = -128
    # The row of -128 has the larger sum: 252 * 128 * 32768 < 2^30.
    return finish("conv2d-accumulators", builder, y=builder.conv2d(x, weight, np.array([99, -99]), pads=(1, 1, 1, 1)))


def _extreme_norm() -> Sample:
    builder = SampleBuilder(0)
    x = builder.input("x", INT16, (4, 512))
    y = builder.layer_norm(
        x,
        np.full(512, 32767),
        np.full(512, 2**28),
        epsilon=1,
        precision=25,
        shift_normal=15,
        shift_out=14,
        dtype=INT16,
    )
    return finish("layer-norm-accumulators", builder, y=y)


def _symbolic_samples() -> tuple[Sample, ...]:
    """Operations in which the symbolic dimension is summed over, masked, sliced or moved."""
    dim = Dim(name="sequence", minimum=1, maximum=17)

    def mean(b: SampleBuilder) -> Value:
        return b.reduce_mean(b.input("x", INT8, (-1, 3)), axes=(0,))

    def total(b: SampleBuilder) -> Value:
        return b.reduce_sum(b.input("x", INT16, (2, -1)), axes=(1,), keepdims=True)

    def masked(b: SampleBuilder) -> Value:
        return b.softmax(b.input("x", INT8, (2, -1, -1)), _exponentials(2**15, 60), precision=12, causal=True)

    def positions(b: SampleBuilder) -> Value:
        table = b.constant(b.draw(-128, 127, 17, 3), INT8)
        return b.add(b.input("x", INT8, (-1, 3)), b.slice(table, axis=0, start=0, length=-1))

    def last(b: SampleBuilder) -> Value:
        return b.argmax(b.input("x", INT16, (3, -1), low=-3, high=3), axis=1)

    def mixed(b: SampleBuilder) -> Value:
        return b.matmul(b.input("a", INT16, (-1, -1), low=0, high=999), b.input("b", INT8, (-1, 5)))

    recipes = {
        "reduce-mean": mean,
        "reduce-sum": total,
        "softmax-causal": masked,
        "slice": positions,
        "argmax": last,
        "matmul": mixed,
    }
    found = []
    for name, recipe in recipes.items():
        builder = SampleBuilder(7, dim)
        found.append(finish(f"{name}-symbolic", builder, y=recipe(builder)))
    return tuple(found)
