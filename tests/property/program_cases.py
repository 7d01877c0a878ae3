"""Random valid programs from a seed: every operation kind, symbolic shapes, small extents."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from random import Random
from typing import Any

import numpy as np
from hypothesis import settings
from hypothesis import strategies as st

from lazai_core.api.errors import InvalidProgram
from lazai_core.api.program import SYMBOLIC, BoundProgram, Dim, DType, Scale
from lazai_core.exact.builder import ProgramBuilder, Value
from lazai_core.exact.model import ExactModel

Array = np.ndarray[Any, Any]
SEEDS = st.integers(min_value=0, max_value=2**32 - 1)
DTYPES = list(DType)
NARROW = (DType.INT8, DType.INT16)


def examples(count: int) -> settings:
    """At least `count` cases: a seed that makes a whole program is cheap, and the profile may ask for more."""
    return settings(max_examples=max(count, settings.default.max_examples), deadline=None)


class Grower:
    """Adds operations that fit what is there; an attempt that a rule refuses is simply dropped."""

    def __init__(self, seed: int) -> None:
        self.rng = Random(seed)
        low = self.rng.randint(1, 3)
        self.dim = self.rng.choice([None, Dim(name="n", minimum=low, maximum=low + self.rng.randint(0, 3))])
        self.builder = ProgramBuilder(self.dim)
        self.values: list[Value] = []
        self.results: list[Value] = []

    def interval(self, dtype: DType) -> tuple[int, int]:
        ends = self.rng.choice([(dtype.low, dtype.high), (-9, 9), (0, 5), (dtype.low, -1), (3, 3)])
        return max(ends[0], dtype.low), min(ends[1], dtype.high)

    def shape(self, rank: int) -> tuple[int, ...]:
        choices = [1, 2, 3, 4] + ([SYMBOLIC, SYMBOLIC] if self.dim else [])
        return tuple(self.rng.choice(choices) for _ in range(rank))

    def add_input(self) -> None:
        dtype = self.rng.choice(DTYPES)
        low, high = self.interval(dtype)
        shape = self.shape(self.rng.choice([0, 1, 2, 2, 3, 4, 4]))
        name = f"input{len(self.values)}"
        scale = self.rng.choice([Scale.none(), Scale.from_float(self.rng.uniform(1e-9, 9.0))])
        self.values.append(self.builder.input(name, dtype, shape, low=low, high=high, scale=scale))

    def array(self, shape: tuple[int, ...], low: int, high: int) -> Array:
        flat = [self.rng.choice([low, high, self.rng.randint(low, high)]) for _ in range(int(np.prod(shape)))]
        return np.array(flat, dtype=np.int64).reshape(shape)

    def pick(self, test: Callable[[Value], bool] = lambda value: True) -> Value:
        fitting = [value for value in self.values if test(value)]
        if not fitting:
            raise InvalidProgram("nothing fits")
        return self.rng.choice(fitting)

    def narrow(self, rank: int = 0) -> Value:
        return self.pick(lambda value: value.dtype in NARROW and len(value.shape) >= rank)

    def grow(self) -> ExactModel:
        for _ in range(self.rng.randint(1, 3)):
            self.add_input()
        wanted = self.rng.randint(1, 10)
        for _ in range(60):
            kind = self.rng.choice(KINDS)
            with suppress(InvalidProgram):
                result = KINDS_TABLE[kind](self)
                self.values.append(result)
                self.results.append(result)
            if len(self.results) >= wanted:
                break
        if not self.results:
            self.results.append(requantize(self))
        for index in range(self.rng.randint(1, 2)):
            self.builder.output(f"output{index}", self.rng.choice(self.results))
        return self.builder.build()


def static_last(value: Value) -> bool:
    return value.dtype in NARROW and len(value.shape) >= 1 and value.shape[-1] != SYMBOLIC


def dense(g: Grower) -> Value:
    x, rows = g.pick(static_last), g.rng.randint(1, 4)
    weight = g.array((rows, x.shape[-1]), *g.rng.choice([(-128, 127), (-3, 3), (1, 5)]))
    return g.builder.dense(x, weight, g.array((rows,), -999, 999))


def matmul(g: Grower) -> Value:
    a = g.narrow(2)
    flag = g.rng.random() < 0.5
    inner = -1 if flag else -2

    def fits(b: Value) -> bool:
        same = len(b.shape) == len(a.shape) and b.shape[:-2] == a.shape[:-2]
        return same and b.dtype in NARROW and b.shape[inner] == a.shape[-1]

    return g.builder.matmul(a, g.pick(fits), transpose_right=flag)


def window(g: Grower) -> Value:
    return g.pick(lambda v: v.dtype in NARROW and len(v.shape) == 4 and SYMBOLIC not in v.shape[1:])


def small(g: Grower, count: int, low: int, high: int) -> Any:
    return tuple(g.rng.randint(low, high) for _ in range(count))


def conv2d(g: Grower) -> Value:
    x = window(g)
    groups = g.rng.choice([n for n in (1, 2, 3, 4) if x.shape[1] % n == 0])
    outputs = groups * g.rng.randint(1, 2)
    weight = g.array((outputs, x.shape[1] // groups, *small(g, 2, 1, 3)), -128, 127)
    return g.builder.conv2d(
        x,
        weight,
        g.array((outputs,), -99, 99),
        strides=small(g, 2, 1, 2),
        pads=small(g, 4, 0, 2),
        dilations=small(g, 2, 1, 2),
        groups=groups,
    )


def pool(kind: str) -> Callable[[Grower], Value]:
    def apply(g: Grower) -> Value:
        method = getattr(g.builder, kind)
        result: Value = method(window(g), kernel=small(g, 2, 1, 3), strides=small(g, 2, 1, 2), pads=small(g, 4, 0, 2))
        return result

    return apply


def requantize(g: Grower) -> Value:
    x, dtype = g.pick(), g.rng.choice([DType.INT8, DType.INT16, DType.INT16, DType.INT32])
    low, high = g.interval(dtype)
    axes = [axis for axis, n in enumerate(x.shape) if n != SYMBOLIC]
    if axes and g.rng.random() < 0.4:
        axis = g.rng.choice(axes)
        shifts = g.array((x.shape[axis],), -16, 30)
        return g.builder.requantize(x, dtype=dtype, shifts=shifts, axis=axis, low=low, high=high)
    return g.builder.requantize(x, dtype=dtype, shift=g.rng.randint(-16, 30), low=low, high=high)


def combine(kind: str) -> Callable[[Grower], Value]:
    def apply(g: Grower) -> Value:
        a, b = g.pick(), g.pick()
        if kind == "multiply":
            return g.builder.multiply(a, b)
        left, right = g.rng.choice([0, 1, 15]), g.rng.choice([0, 2])
        return g.builder.apply(kind, (a, b), {"shift_left": left, "shift_right": right})

    return apply


def table(g: Grower) -> Value:
    x = g.pick(lambda v: v.high - v.low < 300)
    dtype = g.rng.choice(DTYPES)
    offset = x.low - g.rng.randint(0, 3)
    entries = g.array((x.high - offset + 1 + g.rng.randint(0, 3),), *g.interval(dtype))
    return g.builder.table(x, entries, offset=offset, dtype=dtype)


def gather(g: Grower) -> Value:
    x = g.pick(lambda v: 0 <= v.low and v.high < 300)
    dtype = g.rng.choice(DTYPES)
    tail = g.rng.choice([(), (2,), (3, 1)])
    return g.builder.gather(g.array((x.high + 1, *tail), *g.interval(dtype)), x, dtype=dtype)


def reduce(kind: str) -> Callable[[Grower], Value]:
    def apply(g: Grower) -> Value:
        x = g.pick(lambda v: len(v.shape) >= 1)
        axes = sorted(g.rng.sample(range(len(x.shape)), g.rng.randint(1, len(x.shape))))
        result: Value = getattr(g.builder, kind)(x, axes=axes, keepdims=g.rng.random() < 0.5)
        return result

    return apply


def argmax(g: Grower) -> Value:
    x = g.pick(lambda v: len(v.shape) >= 1)
    return g.builder.argmax(x, axis=g.rng.randrange(len(x.shape)))


def layer_norm(g: Grower) -> Value:
    x = g.pick(static_last)
    extent, dtype = x.shape[-1], g.rng.choice(DTYPES)
    return g.builder.layer_norm(
        x,
        g.array((extent,), -200, 200),
        g.array((extent,), -9999, 9999),
        epsilon=g.rng.choice([1, 50, 2**40]),
        precision=g.rng.randint(0, 28),
        shift_normal=g.rng.randint(0, 30),
        shift_out=g.rng.randint(-4, 12),
        dtype=dtype,
        subtract_mean=g.rng.random() < 0.5,
    )


def softmax(g: Grower) -> Value:
    entries = sorted((g.rng.randint(0, 32768) for _ in range(g.rng.randint(1, 9))), reverse=True)
    entries[0] = max(entries[0], 1)
    causal = g.rng.random() < 0.5
    return g.builder.softmax(g.narrow(1), entries, precision=g.rng.randint(0, 14), causal=causal)


def reshape(g: Grower) -> Value:
    x = g.pick()
    shape = list(x.shape)
    g.rng.shuffle(shape)
    if g.rng.random() < 0.5 and len(shape) < 6:
        shape.insert(0, 1)
    static = [n for n in shape if n != SYMBOLIC]
    if g.rng.random() < 0.5 and static:
        symbolic = [SYMBOLIC] * (len(shape) - len(static))
        shape = [int(np.prod(static)), *symbolic]
    return g.builder.reshape(x, shape)


def transpose(g: Grower) -> Value:
    x = g.pick()
    return g.builder.transpose(x, g.rng.sample(range(len(x.shape)), len(x.shape)))


def concat(g: Grower) -> Value:
    first = g.pick(lambda v: len(v.shape) >= 1)
    axis = g.rng.randrange(len(first.shape))

    def fits(v: Value) -> bool:
        same = v.dtype == first.dtype and len(v.shape) == len(first.shape)
        return same and all(i == axis or n == m for i, (n, m) in enumerate(zip(v.shape, first.shape, strict=True)))

    return g.builder.concat([first, *(g.pick(fits) for _ in range(g.rng.randint(0, 2)))], axis=axis)


def slice_(g: Grower) -> Value:
    x = g.pick(lambda v: len(v.shape) >= 1)
    start = g.rng.randint(0, 2)
    length = g.rng.choice([SYMBOLIC, 1, 2])
    return g.builder.slice(x, axis=g.rng.randrange(len(x.shape)), start=start, length=length)


KINDS_TABLE: dict[str, Callable[[Grower], Value]] = {
    "dense": dense,
    "matmul": matmul,
    "conv2d": conv2d,
    "requantize": requantize,
    "add": combine("add"),
    "subtract": combine("subtract"),
    "multiply": combine("multiply"),
    "table": table,
    "gather": gather,
    "max_pool2d": pool("max_pool2d"),
    "sum_pool2d": pool("sum_pool2d"),
    "reduce_sum": reduce("reduce_sum"),
    "reduce_mean": reduce("reduce_mean"),
    "reduce_max": reduce("reduce_max"),
    "argmax": argmax,
    "layer_norm": layer_norm,
    "softmax": softmax,
    "reshape": reshape,
    "transpose": transpose,
    "concat": concat,
    "slice": slice_,
}
KINDS = [*KINDS_TABLE, "requantize", "requantize", "requantize"]


def random_model(seed: int) -> ExactModel:
    """A valid model with at most ten operations; the same seed gives the same model."""
    return Grower(seed).grow()


def random_inputs(model: ExactModel, seed: int) -> tuple[BoundProgram, list[Array]]:
    """A legal value of the dimension and inputs that often sit at the ends of their intervals."""
    rng = Random(seed)
    dim = model.program.dim
    bound = model.program.bind(rng.randint(dim.minimum, dim.maximum) if dim else 0)
    arrays = []
    for declared, shape in zip(model.program.inputs, bound.shapes, strict=False):
        count = int(np.prod(shape))
        choices: list[list[int]] = [
            [declared.low] * count,
            [declared.high] * count,
            [rng.choice([declared.low, declared.high]) for _ in range(count)],
            [rng.randint(declared.low, declared.high) for _ in range(count)],
        ]
        arrays.append(np.array(rng.choice(choices), dtype=np.int64).reshape(shape))
    return bound, arrays
