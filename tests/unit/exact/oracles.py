"""Every operation once more, in plain Python loops over Python integers, written from the specification alone."""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np

Tensor = Any


def loop(shape: tuple[int, ...]) -> Any:
    return product(*(range(n) for n in shape))


def build(shape: tuple[int, ...], element: Any) -> np.ndarray[Any, Any]:
    result = np.zeros(shape, dtype=object)
    for index in loop(shape):
        result[index] = element(index)
    return result


def at(x: Tensor, index: tuple[int, ...]) -> int:
    return int(x[index])


def floor_divide(a: int, b: int) -> int:
    quotient = abs(a) // b
    if a < 0:
        return -quotient - (1 if abs(a) % b else 0)
    return quotient


def round_shift(x: int, s: int) -> int:
    if s == 0:
        return x
    if s < 0:
        return x << -s
    return floor_divide(x + 2 ** (s - 1), 2**s)


def clamp(x: int, low: int, high: int) -> int:
    return low if x < low else high if x > high else x


def dense(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    def element(index: tuple[int, ...]) -> int:
        *lead, n = index
        return sum(at(x, (*lead, k)) * at(weight, (n, k)) for k in range(weight.shape[1])) + at(bias, (n,))

    return build((*x.shape[:-1], weight.shape[0]), element)


def matmul(a: Tensor, b: Tensor, *, transpose_right: int) -> Tensor:
    columns = b.shape[-2] if transpose_right else b.shape[-1]

    def element(index: tuple[int, ...]) -> int:
        *lead, m, n = index
        total = 0
        for k in range(a.shape[-1]):
            total += at(a, (*lead, m, k)) * at(b, (*lead, n, k) if transpose_right else (*lead, k, n))
        return total

    return build((*a.shape[:-1], columns), element)


def conv2d(
    x: Tensor,
    weight: Tensor,
    bias: Tensor,
    *,
    strides: tuple[int, int],
    pads: tuple[int, int, int, int],
    dilations: tuple[int, int],
    groups: int,
) -> Tensor:
    batch, _, height, width = x.shape
    outputs, channels, kh, kw = weight.shape
    rows = (height + pads[0] + pads[2] - (kh - 1) * dilations[0] - 1) // strides[0] + 1
    columns = (width + pads[1] + pads[3] - (kw - 1) * dilations[1] - 1) // strides[1] + 1

    def element(index: tuple[int, ...]) -> int:
        b, o, r, c = index
        group = o // (outputs // groups)
        total = at(bias, (o,))
        for channel, i, j in loop((channels, kh, kw)):
            down = r * strides[0] - pads[0] + i * dilations[0]
            across = c * strides[1] - pads[1] + j * dilations[1]
            if 0 <= down < height and 0 <= across < width:
                total += at(x, (b, group * channels + channel, down, across)) * at(weight, (o, channel, i, j))
        return total

    return build((batch, outputs, rows, columns), element)


def requantize(
    x: Tensor, shifts: Tensor | None = None, *, shift: int, axis: int, low: int, high: int, dtype: int
) -> Tensor:
    def element(index: tuple[int, ...]) -> int:
        s = shift if shifts is None else at(shifts, (index[axis],))
        return clamp(round_shift(at(x, index), s), low, high)

    return build(x.shape, element)


def _broadcast(a: Tensor, b: Tensor, combine: Any) -> Tensor:
    shape = np.broadcast_shapes(a.shape, b.shape)

    def pick(x: Tensor, index: tuple[int, ...]) -> int:
        tail = index[len(index) - x.ndim :]
        return at(x, tuple(0 if n == 1 else i for i, n in zip(tail, x.shape, strict=True)))

    return build(shape, lambda index: combine(pick(a, index), pick(b, index)))


def add(a: Tensor, b: Tensor, *, shift_left: int, shift_right: int) -> Tensor:
    return _broadcast(a, b, lambda p, q: p * 2**shift_left + q * 2**shift_right)


def subtract(a: Tensor, b: Tensor, *, shift_left: int, shift_right: int) -> Tensor:
    return _broadcast(a, b, lambda p, q: p * 2**shift_left - q * 2**shift_right)


def multiply(a: Tensor, b: Tensor) -> Tensor:
    return _broadcast(a, b, lambda p, q: p * q)


def table(x: Tensor, entries: Tensor, *, offset: int) -> Tensor:
    return build(x.shape, lambda index: at(entries, (at(x, index) - offset,)))


def gather(entries: Tensor, x: Tensor) -> Tensor:
    def element(index: tuple[int, ...]) -> int:
        return at(entries, (at(x, index[: x.ndim]), *index[x.ndim :]))

    return build(x.shape + entries.shape[1:], element)


def _pool(
    x: Tensor, combine: Any, kernel: tuple[int, int], strides: tuple[int, int], pads: tuple[int, int, int, int]
) -> Tensor:
    batch, channels, height, width = x.shape
    rows = (height + pads[0] + pads[2] - kernel[0]) // strides[0] + 1
    columns = (width + pads[1] + pads[3] - kernel[1]) // strides[1] + 1

    def element(index: tuple[int, ...]) -> int:
        b, c, r, s = index
        inside = []
        for i, j in loop(kernel):
            down, across = r * strides[0] - pads[0] + i, s * strides[1] - pads[1] + j
            if 0 <= down < height and 0 <= across < width:
                inside.append(at(x, (b, c, down, across)))
        result: int = combine(inside)
        return result

    return build((batch, channels, rows, columns), element)


def max_pool2d(x: Tensor, **window: Any) -> Tensor:
    return _pool(x, max, **window)


def sum_pool2d(x: Tensor, **window: Any) -> Tensor:
    return _pool(x, sum, **window)


def _reduce(x: Tensor, combine: Any, axes: tuple[int, ...], keepdims: int) -> Tensor:
    kept = tuple(1 if i in axes else n for i, n in enumerate(x.shape))

    def element(index: tuple[int, ...]) -> int:
        ranges = [range(n) if i in axes else [index[i]] for i, n in enumerate(x.shape)]
        result: int = combine([at(x, place) for place in product(*ranges)])
        return result

    result = build(kept, element)
    return result if keepdims else result.reshape([n for i, n in enumerate(x.shape) if i not in axes])


def reduce_sum(x: Tensor, *, axes: tuple[int, ...], keepdims: int) -> Tensor:
    return _reduce(x, sum, axes, keepdims)


def reduce_mean(x: Tensor, *, axes: tuple[int, ...], keepdims: int) -> Tensor:
    return _reduce(x, lambda e: floor_divide(sum(e) + len(e) // 2, len(e)), axes, keepdims)


def reduce_max(x: Tensor, *, axes: tuple[int, ...], keepdims: int) -> Tensor:
    return _reduce(x, max, axes, keepdims)


def argmax(x: Tensor, *, axis: int) -> Tensor:
    def element(index: tuple[int, ...]) -> int:
        line = [at(x, (*index[:axis], i, *index[axis:])) for i in range(x.shape[axis])]
        return line.index(max(line))

    return build(x.shape[:axis] + x.shape[axis + 1 :], element)


def _search_root(limit: int, v: int) -> int:
    low, high = 0, 2**31
    while high - low > 1:
        middle = (low + high) // 2
        if middle * middle * v <= limit:
            low = middle
        else:
            high = middle
    return low


def layer_norm(
    x: Tensor,
    gain: Tensor,
    bias: Tensor,
    *,
    subtract_mean: int,
    epsilon: int,
    precision: int,
    shift_normal: int,
    shift_out: int,
    low: int,
    high: int,
    dtype: int,
) -> Tensor:
    extent = x.shape[-1]

    def element(index: tuple[int, ...]) -> int:
        *lead, i = index
        line = [at(x, (*lead, j)) for j in range(extent)]
        mean = floor_divide(sum(line) + extent // 2, extent) if subtract_mean else 0
        v = sum((e - mean) ** 2 for e in line) + epsilon
        r = _search_root(extent * 4**precision, v)
        t = round_shift((line[i] - mean) * r, shift_normal)
        return clamp(round_shift(t * at(gain, (i,)) + at(bias, (i,)), shift_out), low, high)

    return build(x.shape, element)


def softmax(x: Tensor, entries: Tensor, *, causal: int, precision: int) -> Tensor:
    keys = x.shape[-1]

    def element(index: tuple[int, ...]) -> int:
        *lead, j = index
        last = lead[-1] + keys - x.shape[-2] if causal else keys - 1
        line = [at(x, (*lead, k)) for k in range(last + 1)]
        if j > last:
            return 0
        weights = [at(entries, (min(max(line) - e, len(entries) - 1),)) for e in line]
        return round_shift(weights[j] * (2**29 // sum(weights)), 29 - precision)

    return build(x.shape, element)


def reshape(x: Tensor, *, shape: tuple[int, ...]) -> Tensor:
    flat = [at(x, index) for index in loop(x.shape)]
    result = np.zeros(shape, dtype=object)
    for place, index in enumerate(loop(shape)):
        result[index] = flat[place]
    return result


def transpose(x: Tensor, *, permutation: tuple[int, ...]) -> Tensor:
    shape = tuple(x.shape[axis] for axis in permutation)

    def element(index: tuple[int, ...]) -> int:
        source = [0] * len(shape)
        for place, axis in enumerate(permutation):
            source[axis] = index[place]
        return at(x, tuple(source))

    return build(shape, element)


def concat(*xs: Tensor, axis: int) -> Tensor:
    shape = list(xs[0].shape)
    shape[axis] = sum(x.shape[axis] for x in xs)

    def element(index: tuple[int, ...]) -> int:
        place = index[axis]
        for x in xs:
            if place < x.shape[axis]:
                return at(x, (*index[:axis], place, *index[axis + 1 :]))
            place -= x.shape[axis]
        raise AssertionError("the index is outside")

    return build(tuple(shape), element)


def slice_(x: Tensor, *, axis: int, start: int, length: int) -> Tensor:
    shape = (*x.shape[:axis], length, *x.shape[axis + 1 :])
    return build(shape, lambda index: at(x, (*index[:axis], start + index[axis], *index[axis + 1 :])))
