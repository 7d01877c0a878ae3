"""Shape rules of the float operations, on plain integer shapes.

Every rule refuses impossible operands with `UnsupportedProgram`, naming the node; no rule looks at values.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from lazai_core.api.errors import UnsupportedProgram

Shape = tuple[int, ...]
Rule = Callable[[Sequence[Shape], Mapping[str, Any], str], Shape]

ELEMENTS_MAX = 1 << 31
RANK_MAX = 6


def infer_shape(op: str, shapes: Sequence[Shape], attributes: Mapping[str, Any], where: str) -> Shape:
    """Shape of the result of `op`; raises `UnsupportedProgram` for an unknown op or operands that do not fit."""
    rule = RULES.get(op)
    if rule is None:
        raise UnsupportedProgram(f"{where}: there is no rule for the operation {op!r}")
    try:
        shape = tuple(int(entry) for entry in rule(shapes, attributes, where))
    except (IndexError, KeyError, TypeError, ValueError, ZeroDivisionError) as error:
        raise UnsupportedProgram(f"{where}: operands of shapes {list(shapes)} do not fit ({error})") from error
    if len(shape) > RANK_MAX:
        raise UnsupportedProgram(f"{where}: rank {len(shape)} is above the largest rank {RANK_MAX}")
    if any(entry < 1 for entry in shape) or math.prod(shape) > ELEMENTS_MAX:
        raise UnsupportedProgram(f"{where}: the result's shape {shape} is empty or above {ELEMENTS_MAX} elements")
    return shape


def _need(condition: bool, where: str, shapes: Sequence[Shape], reason: str) -> None:
    if not condition:
        raise UnsupportedProgram(f"{where}: {reason}; operand shapes are {list(shapes)}")


def broadcast(shapes: Sequence[Shape], where: str) -> Shape:
    """Numpy broadcasting of shapes."""
    rank = max(len(shape) for shape in shapes)
    padded = [(1,) * (rank - len(shape)) + tuple(shape) for shape in shapes]
    result = []
    for entries in zip(*padded, strict=True):
        sizes = set(entries) - {1}
        _need(len(sizes) <= 1, where, shapes, "the operands do not broadcast")
        result.append(sizes.pop() if sizes else 1)
    return tuple(result)


def _elementwise(shapes: Sequence[Shape], attributes: Mapping[str, Any], where: str) -> Shape:
    return broadcast(shapes, where)


def _same(shapes: Sequence[Shape], attributes: Mapping[str, Any], where: str) -> Shape:
    return shapes[0]


def _dense(shapes: Sequence[Shape], attributes: Mapping[str, Any], where: str) -> Shape:
    x, weight, bias = shapes
    _need(len(weight) == 2 and len(x) >= 1 and x[-1] == weight[1], where, shapes, "inner sizes differ")
    _need(bias == (weight[0],), where, shapes, "the bias does not fit the weight")
    return (*x[:-1], weight[0])


def _matmul(shapes: Sequence[Shape], attributes: Mapping[str, Any], where: str) -> Shape:
    left, right = shapes
    _need(len(left) >= 2 and len(right) >= 2, where, shapes, "both operands need rank 2 or more")
    inner, columns = (right[-1], right[-2]) if attributes.get("transpose_right") else (right[-2], right[-1])
    _need(left[-1] == inner, where, shapes, "inner sizes differ")
    return (*broadcast([left[:-2], right[:-2]], where), left[-2], columns)


def window_size(size: int, kernel: int, stride: int, before: int, after: int, dilation: int = 1) -> int:
    """Number of window positions along one axis."""
    return (size + before + after - dilation * (kernel - 1) - 1) // stride + 1


def _windows(x: Shape, kernel: Sequence[int], attributes: Mapping[str, Any]) -> Shape:
    pads, strides = attributes["pads"], attributes["strides"]
    dilations = attributes.get("dilations", (1, 1))
    return tuple(
        window_size(x[2 + axis], kernel[axis], strides[axis], pads[axis], pads[2 + axis], dilations[axis])
        for axis in range(2)
    )


def _conv2d(shapes: Sequence[Shape], attributes: Mapping[str, Any], where: str) -> Shape:
    x, weight, bias = shapes
    groups = attributes["groups"]
    _need(len(x) == 4 and len(weight) == 4, where, shapes, "only two-dimensional convolution is supported")
    _need(x[1] == weight[1] * groups and weight[0] % groups == 0, where, shapes, "the channels do not fit")
    _need(bias == (weight[0],), where, shapes, "the bias does not fit the weight")
    return (x[0], weight[0], *_windows(x, weight[2:], attributes))


def _pool(shapes: Sequence[Shape], attributes: Mapping[str, Any], where: str) -> Shape:
    _need(len(shapes[0]) == 4, where, shapes, "only two-dimensional pooling is supported")
    return (*shapes[0][:2], *_windows(shapes[0], attributes["kernel"], attributes))


def _reduce(shapes: Sequence[Shape], attributes: Mapping[str, Any], where: str) -> Shape:
    axes, keep = attributes["axes"], attributes["keepdims"]
    _need(all(0 <= axis < len(shapes[0]) for axis in axes), where, shapes, f"axes {axes} are out of range")
    kept = [(1 if axis in axes else size) for axis, size in enumerate(shapes[0]) if keep or axis not in axes]
    return tuple(kept)


def _layer_norm(shapes: Sequence[Shape], attributes: Mapping[str, Any], where: str) -> Shape:
    last = shapes[0][-1:]
    _need(shapes[1] == last and shapes[2] == last, where, shapes, "gain and bias do not fit the last axis")
    return shapes[0]


def _reshape(shapes: Sequence[Shape], attributes: Mapping[str, Any], where: str) -> Shape:
    shape = tuple(attributes["shape"])
    _need(math.prod(shape) == math.prod(shapes[0]), where, shapes, f"cannot reshape to {shape}")
    return shape


def _transpose(shapes: Sequence[Shape], attributes: Mapping[str, Any], where: str) -> Shape:
    permutation = attributes["permutation"]
    fits = sorted(permutation) == list(range(len(shapes[0])))
    _need(fits, where, shapes, f"{permutation} is not a permutation of the axes")
    return tuple(shapes[0][axis] for axis in permutation)


def _concat(shapes: Sequence[Shape], attributes: Mapping[str, Any], where: str) -> Shape:
    axis = attributes["axis"]
    first = shapes[0]
    for shape in shapes:
        same = len(shape) == len(first) and shape[:axis] == first[:axis] and shape[axis + 1 :] == first[axis + 1 :]
        _need(same, where, shapes, f"the operands differ outside axis {axis}")
    return (*first[:axis], sum(shape[axis] for shape in shapes), *first[axis + 1 :])


def _slice(shapes: Sequence[Shape], attributes: Mapping[str, Any], where: str) -> Shape:
    axis, start, length = attributes["axis"], attributes["start"], attributes["length"]
    x = shapes[0]
    _need(0 <= start and start + length <= x[axis], where, shapes, f"slice {start}+{length} is outside axis {axis}")
    return (*x[:axis], length, *x[axis + 1 :])


def _gather(shapes: Sequence[Shape], attributes: Mapping[str, Any], where: str) -> Shape:
    return (*shapes[1], *shapes[0][1:])


def _argmax(shapes: Sequence[Shape], attributes: Mapping[str, Any], where: str) -> Shape:
    axis = attributes["axis"]
    return (*shapes[0][:axis], *shapes[0][axis + 1 :])


RULES: Mapping[str, Rule] = {
    "dense": _dense,
    "matmul": _matmul,
    "conv2d": _conv2d,
    "add": _elementwise,
    "subtract": _elementwise,
    "multiply": _elementwise,
    "divide": _elementwise,
    "power": _elementwise,
    "select": _elementwise,
    "clip": _same,
    "unary": _same,
    "softmax": _same,
    "max_pool2d": _pool,
    "average_pool2d": _pool,
    "reduce_mean": _reduce,
    "reduce_sum": _reduce,
    "reduce_max": _reduce,
    "layer_norm": _layer_norm,
    "reshape": _reshape,
    "transpose": _transpose,
    "concat": _concat,
    "slice": _slice,
    "gather": _gather,
    "argmax": _argmax,
}
