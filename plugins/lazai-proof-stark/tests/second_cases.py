"""Small programs for the branches of PROTOCOL.md, section 14, that one program of each kind does not reach."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from lazai_core.api.program import Dim, DType
from lazai_core.exact.builder import ProgramBuilder, Value
from lazai_core.exact.model import ExactModel

Build = Callable[[ProgramBuilder, Any], None]


def model_of(build: Build, seed: int = 1) -> ExactModel:
    dim = Dim(name="rows", minimum=1, maximum=9) if build.__name__.endswith("_symbolic") else None
    builder = ProgramBuilder(dim)
    build(builder, np.random.default_rng(seed))
    return builder.build()


def _weights(g: Any, *shape: int, top: int = 9) -> Any:
    return g.integers(-top, top, shape)


def _layer(b: ProgramBuilder, g: Any, x: Value, outputs: int, top: int = 9) -> Value:
    return b.dense(x, _weights(g, outputs, x.shape[-1], top=top), _weights(g, outputs, top=99))


def _narrow(b: ProgramBuilder, x: Value, shift: int = 4, dtype: DType = DType.INT8, **limits: int) -> Value:
    return b.requantize(x, dtype=dtype, shift=shift, **limits)


def left_shifts(b: ProgramBuilder, g: Any) -> None:
    """Within the limits, beyond them, one and several, of leaves and of a product."""
    x = b.input("x", DType.INT8, (3, 5), low=-9, high=9)
    shifts = np.array([0, -1, -3, -2, 0])
    b.output("inside", b.requantize(x, dtype=DType.INT8, shifts=shifts, axis=1))
    b.output("beyond", b.requantize(x, dtype=DType.INT8, shifts=shifts, axis=1, low=-20, high=7))
    y = b.requantize(_layer(b, g, x, 5), dtype=DType.INT16, shifts=shifts, axis=1)
    b.output("product", b.requantize(y, dtype=DType.INT8, shift=7))
    b.output("sum", b.reduce_sum(y, axes=(1,), keepdims=True))
    b.output("mean", b.reduce_mean(y, axes=(0, 1)))
    b.output("same", b.requantize(x, dtype=DType.INT16, shift=0))


def cut_pieces(b: ProgramBuilder, g: Any) -> None:
    """Extents a little above powers of two: columns, lookups and equalities over several pieces, of products too."""
    x = b.input("x", DType.INT8, (65, 37))
    y = _narrow(b, _layer(b, g, x, 34))
    z = _narrow(b, b.concat([_layer(b, g, y, 3), _layer(b, g, y, 31), _layer(b, g, y, 5)], axis=1), 5)
    flat = b.reshape(z, (39 * 65,))
    b.output("sum", b.reduce_sum(b.slice(flat, axis=0, start=100, length=2000), axes=(0,)))
    b.output("z", b.slice(z, axis=0, start=2, length=3))


def long_vector(b: ProgramBuilder, g: Any) -> None:
    """2^11 and a few cells, one row longer than a power of two."""
    x = b.input("x", DType.INT16, (2053,))
    y = _narrow(b, x, 9)
    b.output("y", b.table(y, g.integers(-99, 99, 256), offset=-128))
    squares = b.requantize(b.multiply(y, y), dtype=DType.INT16, shift=2)
    b.output("square", b.reduce_max(b.reshape(squares, (2053, 1)), axes=(0,)))


def moved_products(b: ProgramBuilder, g: Any) -> None:
    """Products that pass through maps before they are rounded."""
    x = b.input("x", DType.INT8, (4, 6))
    first, second = _layer(b, g, x, 12), _layer(b, g, x, 12)
    parts = b.reshape(first, (4, 3, 4))
    turned = b.transpose(parts, (1, 0, 2))
    b.output("turned", _narrow(b, turned))
    b.output("back", _narrow(b, b.reshape(turned, (3, 16)), 5))
    b.output("joined", _narrow(b, b.concat([first, second, first], axis=0), 3))
    b.output("tall", _narrow(b, b.concat([b.slice(second, axis=1, start=1, length=5), first], axis=1), 3))
    b.output("cut", _narrow(b, b.slice(b.add(first, second, shift_right=1), axis=1, start=4, length=5), 6))
    b.output("row", _narrow(b, b.slice(turned, axis=0, start=1, length=1), 6))
    column = b.slice(first, axis=1, start=2, length=1)
    b.output("spread", _narrow(b, b.subtract(column, second), 5))
    b.output("seen", first)
    b.output("again", first)


def moved_conv(b: ProgramBuilder, g: Any) -> None:
    """Convolutions whose image is one group, and maps behind them."""
    x = b.input("x", DType.INT8, (2, 3, 5, 5))
    wide = b.conv2d(x, _weights(g, 4, 3, 3, 3), _weights(g, 4, top=99), pads=(1, 1, 1, 1))
    y = b.requantize(wide, dtype=DType.INT8, shifts=np.array([3, 5, 4, 1]), axis=1)
    deep = b.conv2d(y, _weights(g, 4, 1, 2, 2), _weights(g, 4, top=99), groups=4)
    b.output("deep", _narrow(b, deep, 3))
    pooled = b.max_pool2d(y, kernel=(1, 3), strides=(1, 2), pads=(0, 1, 0, 0))
    summed = _narrow(b, b.sum_pool2d(pooled, kernel=(2, 2), pads=(1, 0, 0, 1)), 1)
    b.output("active", b.table(summed, g.integers(-99, 99, 256), offset=-128))
    b.output("both", b.max_pool2d(_narrow(b, b.add(wide, y, shift_right=2), 4), kernel=(3, 2), pads=(2, 1, 1, 0)))
    b.output("pair", b.reduce_max(b.max_pool2d(y, kernel=(2, 1)), axes=(0, 3)))
    b.output("left", b.requantize(wide, dtype=DType.INT16, shift=0))


def pools_wide(b: ProgramBuilder, g: Any) -> None:
    """Maxima that no table of differences holds."""
    x = b.input("x", DType.INT16, (1, 2, 5, 6), low=-32768, high=30000)
    b.output("y", b.max_pool2d(x, kernel=(2, 3), strides=(2, 1), pads=(1, 0, 0, 2)))
    b.output("z", _narrow(b, b.max_pool2d(x, kernel=(3, 1), pads=(0, 0, 1, 0)), 7))


def shared_clamps(b: ProgramBuilder, g: Any) -> None:
    """Two functions of one clamped value, functions of one that is inside, and of an input."""
    x = b.input("x", DType.INT16, (2, 7))
    tables = [g.integers(-99, 99, 256) for _ in range(3)]
    y = _narrow(b, x, 7)
    b.output("first", b.table(y, tables[0], offset=-128))
    b.output("second", b.table(y, tables[1], offset=-128))
    z = _narrow(b, x, 8)
    b.output("third", b.table(z, tables[2], offset=-128))
    b.output("fourth", b.table(z, tables[0], offset=-128))
    b.output("chain", b.table(b.table(y, tables[1], offset=-128), tables[2], offset=-128))
    b.output("z", z)


def norms(b: ProgramBuilder, g: Any) -> None:
    """Two digits of an input, of a checked leaf and of a form; with and without mean."""
    x = b.input("x", DType.INT16, (3, 6))
    settings: dict[str, Any] = {"epsilon": 5, "precision": 20, "shift_normal": 12, "dtype": DType.INT16}

    def norm(value: Value, shift_out: int, mean: bool) -> Value:
        return b.layer_norm(
            value, g.integers(50, 200, 6), g.integers(-999, 999, 6), shift_out=shift_out, subtract_mean=mean, **settings
        )

    b.output("public", norm(x, 8, True))
    leaf = _narrow(b, x, 1, DType.INT16)
    inner = norm(leaf, 7, False)
    b.output("leaf", inner)
    b.output("form", norm(b.transpose(b.reshape(b.concat([leaf, inner], axis=0), (6, 6)), (1, 0)), 6, True))
    b.output("table", norm(_narrow(b, _layer(b, g, _narrow(b, x, 8), 6), 0, DType.INT16), -1, True))


def softmaxes(b: ProgramBuilder, g: Any) -> None:
    """One key, fewer queries than keys, tables shorter and longer than the span."""
    x = b.input("x", DType.INT8, (2, 3, 5), low=-9, high=9)
    entries = [max(1, int(4000 * 0.8**i)) for i in range(40)]
    b.output("long", b.softmax(x, entries, precision=10, causal=True))
    b.output("short", b.softmax(x, [*entries[:4], 0], precision=14))
    b.output("one", b.softmax(b.slice(x, axis=2, start=2, length=1), entries, precision=3))
    b.output("flat", b.softmax(b.slice(b.reshape(x, (30,)), axis=0, start=0, length=17), [9, 7, 1], precision=8))
    b.output("scores", b.softmax(_narrow(b, _layer(b, g, x, 5), 1), [32768, 30000, 20000, 7], precision=12))


def deep_sums(b: ProgramBuilder, g: Any) -> None:
    """Forms of too many paths and of too great a depth."""
    x = b.input("x", DType.INT8, (3, 4), low=-1, high=1)
    y = b.add(x, b.constant(_weights(g, 4), DType.INT8))
    for _ in range(5):
        y = b.add(y, y)
    z = _layer(b, g, x, 4)
    for _ in range(26):
        z = b.transpose(b.subtract(z, x, shift_right=1), (0, 1))
        z = b.reshape(b.transpose(b.reshape(z, (4, 3)), (1, 0)), (3, 4))
    b.output("paths", b.requantize(y, dtype=DType.INT16, shift=2))
    b.output("depth", b.requantize(z, dtype=DType.INT16, shift=1))


def gathers(b: ProgramBuilder, g: Any) -> None:
    """Indices that are maps of inputs, that are not, and tables of several ranks."""
    x = b.input("x", DType.INT8, (2, 3), low=0, high=4)
    y = b.input("y", DType.INT8, (3,), low=0, high=3)
    sums = b.reduce_sum(b.transpose(x, (1, 0)), axes=(1,))
    index = b.concat([b.reshape(b.add(x, y), (6,)), b.slice(sums, axis=0, start=1, length=2)], axis=0)
    b.output("public", b.dense(b.gather(_weights(g, 9, 4), index), _weights(g, 3, 4), _weights(g, 3)))
    b.output("tail", b.gather(_weights(g, 5, 2, 3), x))
    moved = b.add(y, b.constant(np.array([1, 0, 2]), DType.INT8))
    b.output("mixed", b.gather(_weights(g, 8, 2), moved))
    squares = b.requantize(b.multiply(y, y), dtype=DType.INT8, shift=0, low=0, high=12)
    b.output("computed", b.gather(_weights(g, 13), squares))
    b.output("best", b.gather(_weights(g, 3, 2), b.argmax(x, axis=1)))


def products_small(b: ProgramBuilder, g: Any) -> None:
    """Products of every broadcast, of one cell, and of operands that are products."""
    x = b.input("x", DType.INT8, (3, 1, 4))
    y = b.input("y", DType.INT8, (5, 1))
    one = b.input("one", DType.INT8, (1, 1))
    product = b.multiply(x, y)
    b.output("product", product)
    b.output("single", b.multiply(one, one))
    b.output("scaled", b.reduce_sum(b.requantize(b.multiply(x, one), dtype=DType.INT16, shift=0), axes=(0, 2)))
    narrow = b.requantize(product, dtype=DType.INT16, shift=-1, low=-32768, high=32767)
    b.output("cube", b.requantize(b.multiply(narrow, y), dtype=DType.INT16, shift=9))
    b.output("dots", b.matmul(b.transpose(narrow, (0, 2, 1)), b.constant(_weights(g, 3, 5, 2), DType.INT8)))
    b.output("outer", b.matmul(y, one, transpose_right=True))
    crossed = b.matmul(b.requantize(product, dtype=DType.INT8, shift=7), x, transpose_right=True)
    b.output("crossed", b.requantize(crossed, dtype=DType.INT8, shift=8))
    b.output("constant", b.requantize(b.add(b.constant(_weights(g, 3, 4), DType.INT8), one), dtype=DType.INT8, shift=1))


def reductions(b: ProgramBuilder, g: Any) -> None:
    """Means of one, of a power of two and of other numbers; maxima of one; argmax of one and along a first axis."""
    x = b.input("x", DType.INT8, (3, 4, 2))
    y = _narrow(b, _layer(b, g, x, 2), 3)
    b.output("all", b.reduce_mean(y, axes=(0, 1, 2)))
    b.output("eight", b.reduce_mean(y, axes=(1, 2), keepdims=True))
    one = b.slice(y, axis=0, start=1, length=1)
    b.output("one", b.reduce_mean(one, axes=(0,)))
    b.output("mean", b.reduce_mean(b.requantize(_layer(b, g, x, 3), dtype=DType.INT16, shift=0), axes=(1,)))
    b.output("max", b.reduce_max(y, axes=(0, 2), keepdims=True))
    b.output("same", b.reduce_max(one, axes=(0,)))
    b.output("first", b.argmax(_layer(b, g, x, 5), axis=0))
    b.output("nothing", b.argmax(one, axis=0))
    b.output("sum", b.add(b.argmax(y, axis=2), b.argmax(y, axis=2), shift_left=1))


def plain_copies(b: ProgramBuilder, g: Any) -> None:
    """Outputs that are inputs, parts of constants or other outputs, seen by other operations."""
    x = b.input("x", DType.INT8, (4, 3))
    same = b.transpose(x, (0, 1))
    b.output("same", same)
    y = _narrow(b, _layer(b, g, x, 3), 2)
    b.output("y", y)
    b.output("twice", y)
    b.output("shaped", b.reshape(y, (12,)))
    b.output("used", _narrow(b, _layer(b, g, y, 70), 2))
    tall = b.concat([same, b.constant(_weights(g, 2, 3), DType.INT8)], axis=0)
    b.output("fixed", b.slice(tall, axis=0, start=3, length=2))


def weights_cut(b: ProgramBuilder, g: Any) -> None:
    """Weights that the tight rule lays out in fewer variables."""
    x = b.input("x", DType.INT8, (1, 67))
    y = _narrow(b, _layer(b, g, x, 33))
    b.output("y", _layer(b, g, y, 40))


def rows_symbolic(b: ProgramBuilder, g: Any) -> None:
    """The symbolic dimension in products, sums, tables and a causal softmax."""
    x = b.input("x", DType.INT8, (-1, 6))
    y = _narrow(b, _layer(b, g, x, 8), 3)
    heads = b.transpose(b.reshape(y, (-1, 2, 4)), (1, 0, 2))
    scores = _narrow(b, b.matmul(heads, heads, transpose_right=True), 8, low=-20, high=20)
    mixed = b.matmul(b.softmax(scores, [500, 400, 300, 100, 10, 1], precision=8, causal=True), heads)
    b.output("mixed", _narrow(b, b.reshape(b.transpose(mixed, (1, 0, 2)), (-1, 8)), 8))
    b.output("sum", b.reduce_mean(y, axes=(0,)))
    b.output("best", b.argmax(y, axis=0))


def many_cuts(b: ProgramBuilder, g: Any) -> None:
    """More axes to cut than six pieces allow, and an image whose channels are cut."""
    x = b.input("x", DType.INT8, (5, 17, 33))
    b.output("box", b.reduce_max(_narrow(b, x, 1), axes=(0, 1)))
    image = b.input("image", DType.INT8, (1, 3, 21, 21))
    wide = b.conv2d(image, _weights(g, 5, 3, 1, 1), _weights(g, 5, top=99))
    b.output("image", b.reduce_mean(_narrow(b, wide, 3), axes=(2, 3)))


def small_norm(b: ProgramBuilder, g: Any) -> None:
    """Identities of one digit, equal shifts of channels, and entries of joined products beyond the first."""
    x = b.input("x", DType.INT8, (3, 2), low=-1, high=1)
    norm = b.layer_norm(x, g.integers(1, 9, 2), g.integers(-9, 9, 2), epsilon=1, precision=0, shift_normal=0,
                        shift_out=0, dtype=DType.INT8)
    b.output("norm", norm)
    y = _layer(b, g, x, 4)
    b.output("equal", b.requantize(y, dtype=DType.INT8, shifts=np.array([3, 3, 3, 3]), axis=1, low=-1, high=1))
    b.output("one", b.requantize(_layer(b, g, x, 1), dtype=DType.INT8, shifts=np.array([2]), axis=1))
    b.output("part", _narrow(b, b.slice(b.concat([y, b.add(y, y)], axis=1), axis=1, start=3, length=2), 3))


def index_windows(b: ProgramBuilder, g: Any) -> None:
    """Public indices through windows, and a constant zero among them."""
    x = b.input("x", DType.INT8, (1, 1, 3, 3), low=0, high=3)
    sums = b.reshape(b.sum_pool2d(x, kernel=(2, 2), pads=(1, 0, 0, 1)), (9,))
    zero = b.argmax(b.reshape(x, (9, 1)), axis=1)
    b.output("y", b.gather(_weights(g, 13, 2), b.concat([sums, zero], axis=0)))


def there_and_back(b: ProgramBuilder, g: Any) -> None:
    """Joint vectors over extents that are no powers of two, flattened again."""
    x, z = b.input("x", DType.INT8, (6,)), b.input("z", DType.INT8, (4, 6))
    b.output("flat", b.requantize(b.reshape(b.reshape(x, (2, 3)), (6,)), dtype=DType.INT8, shift=2))
    h = b.requantize(b.dense(z, g.integers(-9, 9, (6, 6)), np.zeros(6, dtype=np.int64)), dtype=DType.INT8, shift=5)
    b.output("column", b.requantize(b.reshape(b.reshape(h, (4, 2, 3)), (4, 6)), dtype=DType.INT8, shift=2))


def long_exponentials(b: ProgramBuilder, g: Any) -> None:
    """The softmax's table has more rows than the constant, and its last piece reads none of it."""
    x = b.input("x", DType.INT16, (1, 4), low=-2048, high=2048)
    b.output("y", b.softmax(x, [max(1, int(9000 * 0.99**i)) for i in range(300)], precision=10))


def constants_unread(b: ProgramBuilder, g: Any) -> None:
    x = b.input("x", DType.INT8, (2,))
    joined = b.concat([b.constant(np.array([5, 6]), DType.INT8), x], axis=0)
    b.output("y", b.requantize(b.slice(joined, axis=0, start=3, length=1), dtype=DType.INT8, shift=2))


BRANCHES: tuple[Build, ...] = (
    left_shifts,
    cut_pieces,
    long_vector,
    moved_products,
    moved_conv,
    pools_wide,
    shared_clamps,
    norms,
    softmaxes,
    deep_sums,
    gathers,
    products_small,
    reductions,
    plain_copies,
    weights_cut,
    rows_symbolic,
    many_cuts,
    small_norm,
    index_windows,
    there_and_back,
    long_exponentials,
    constants_unread,
)


def too_far_left(b: ProgramBuilder, g: Any) -> None:
    x = b.input("x", DType.INT16, (3,))
    b.output("y", b.requantize(x, dtype=DType.INT8, shift=-15))


def shifts_too_far_apart(b: ProgramBuilder, g: Any) -> None:
    x = b.input("x", DType.INT32, (3, 2), low=-(2**26), high=2**26)
    b.output("y", b.requantize(x, dtype=DType.INT8, shifts=np.array([1, 9]), axis=1))


def maximum_too_wide(b: ProgramBuilder, g: Any) -> None:
    x = b.input("x", DType.INT32, (3, 2), low=-(2**29), high=2**29)
    b.output("y", b.reduce_max(x, axes=(1,)))


def output_too_wide(b: ProgramBuilder, g: Any) -> None:
    x = b.input("x", DType.INT32, (3, 2))
    b.output("y", b.reshape(x, (6,)))


def index_too_wide(b: ProgramBuilder, g: Any) -> None:
    x = b.input("x", DType.INT32, (3, 2), low=-(2**29), high=2**29)
    b.output("y", b.argmax(x, axis=1))


def beyond_the_field() -> tuple[Build, ...]:
    """Programs of docs/EXACT.md whose relations might hold modulo p only."""
    return (too_far_left, shifts_too_far_apart, maximum_too_wide, output_too_wide, index_too_wide)
