"""Every operation of `docs/EXACT.md` in numpy, slow and plain: the meaning of a program.

A kernel takes the op, its operands in their stored types and the concrete result shape; it computes in int64
and returns the result in int64 or in the stored type. Nothing here can overflow, because a `Program` has been
shown to keep every intermediate below 2^62.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from lazai_core.api.program import Op
from lazai_core.api.program_rules import Shape

if TYPE_CHECKING:
    from lazai_core.exact.model import IntArray

    Kernel = Callable[[Op, Sequence[IntArray], Shape], IntArray]


def wide(array: IntArray) -> IntArray:
    """The array in int64."""
    return array.astype(np.int64)


def round_shift(x: IntArray, shift: IntArray | int) -> IntArray:
    """`round_shift` of the specification, element by element; `x` in int64."""
    s = np.asarray(shift, dtype=np.int64)
    right = np.maximum(s, 1)
    rounded = (x + (np.int64(1) << (right - 1))) >> right
    return np.where(s > 0, rounded, x << np.maximum(-s, 0))


def integer_sqrt(x: IntArray) -> IntArray:
    """The largest r with r^2 <= x, for 0 <= x < 2^60."""
    root = np.sqrt(x.astype(np.float64)).astype(np.int64)
    # The double is off by less than one unit here, hence so is its integer part.
    root -= root * root > x
    root += (root + 1) * (root + 1) <= x
    return root


def exact_matmul(a: IntArray, b: IntArray) -> IntArray:
    """`a @ b`. Every partial sum is below 2^53 in a valid program, so doubles hold it whatever the order."""
    product: IntArray = (a.astype(np.float64) @ b.astype(np.float64)).astype(np.int64)
    return product


def dense(op: Op, operands: Sequence[IntArray], shape: Shape) -> IntArray:
    x, weight, bias = operands
    return exact_matmul(x.reshape(-1, x.shape[-1]), weight.T).reshape(shape) + wide(bias)


def matmul(op: Op, operands: Sequence[IntArray], shape: Shape) -> IntArray:
    a, b = operands
    return exact_matmul(a, np.swapaxes(b, -1, -2) if op.integer("transpose_right") else b)


def _padded(x: IntArray, pads: tuple[int, ...], fill: int) -> IntArray:
    top, left, bottom, right = pads
    return np.pad(wide(x), ((0, 0), (0, 0), (top, bottom), (left, right)), constant_values=fill)


def _window_positions(
    op: Op, x: IntArray, kernel: tuple[int, ...], dilations: tuple[int, ...], shape: Shape, fill: int
) -> Iterator[tuple[int, int, IntArray]]:
    """For each position (i, j) in the window: the elements that all windows have there, `[B, C, OH, OW]`."""
    padded = _padded(x, op.integers("pads"), fill)
    (down, across), (height, width) = op.integers("strides"), shape[2:]
    for i in range(kernel[0]):
        for j in range(kernel[1]):
            top, left = i * dilations[0], j * dilations[1]
            rows = slice(top, top + (height - 1) * down + 1, down)
            columns = slice(left, left + (width - 1) * across + 1, across)
            yield i, j, padded[:, :, rows, columns]


def conv2d(op: Op, operands: Sequence[IntArray], shape: Shape) -> IntArray:
    x, weight, bias = operands
    groups = op.integer("groups")
    outputs, channels, kernel_height, kernel_width = weight.shape
    batch, height, width = shape[0], shape[2], shape[3]
    total = np.zeros((batch, groups, outputs // groups, height * width), dtype=np.int64)
    kernel = (kernel_height, kernel_width)
    for i, j, part in _window_positions(op, x, kernel, op.integers("dilations"), shape, 0):
        columns = part.reshape(batch, groups, channels, height * width)
        total += exact_matmul(weight[:, :, i, j].reshape(groups, outputs // groups, channels), columns)
    return total.reshape(shape) + wide(bias)[:, None, None]


def requantize(op: Op, operands: Sequence[IntArray], shape: Shape) -> IntArray:
    shift: IntArray | int = op.integer("shift")
    if len(operands) == 2:
        along = [1] * len(shape)
        along[op.integer("axis")] = -1
        shift = operands[1].reshape(along)
    return np.clip(round_shift(wide(operands[0]), shift), op.integer("low"), op.integer("high"))


def add(op: Op, operands: Sequence[IntArray], shape: Shape) -> IntArray:
    a, b = operands
    return (wide(a) << op.integer("shift_left")) + (wide(b) << op.integer("shift_right"))


def subtract(op: Op, operands: Sequence[IntArray], shape: Shape) -> IntArray:
    a, b = operands
    return (wide(a) << op.integer("shift_left")) - (wide(b) << op.integer("shift_right"))


def multiply(op: Op, operands: Sequence[IntArray], shape: Shape) -> IntArray:
    a, b = operands
    return wide(a) * wide(b)


def table(op: Op, operands: Sequence[IntArray], shape: Shape) -> IntArray:
    x, entries = operands
    return entries[wide(x) - op.integer("offset")]


def gather(op: Op, operands: Sequence[IntArray], shape: Shape) -> IntArray:
    entries, x = operands
    return entries[wide(x)]


def max_pool2d(op: Op, operands: Sequence[IntArray], shape: Shape) -> IntArray:
    fill = int(np.iinfo(np.int64).min)
    best = np.full(shape, fill, dtype=np.int64)
    for _, _, part in _window_positions(op, operands[0], op.integers("kernel"), (1, 1), shape, fill):
        best = np.maximum(best, part)
    return best


def sum_pool2d(op: Op, operands: Sequence[IntArray], shape: Shape) -> IntArray:
    total = np.zeros(shape, dtype=np.int64)
    for _, _, part in _window_positions(op, operands[0], op.integers("kernel"), (1, 1), shape, 0):
        total += part
    return total


def reduce_sum(op: Op, operands: Sequence[IntArray], shape: Shape) -> IntArray:
    return np.asarray(wide(operands[0]).sum(axis=op.integers("axes"))).reshape(shape)


def reduce_mean(op: Op, operands: Sequence[IntArray], shape: Shape) -> IntArray:
    x = operands[0]
    total = reduce_sum(op, operands, shape)
    count = x.size // total.size
    return (total + count // 2) // count


def reduce_max(op: Op, operands: Sequence[IntArray], shape: Shape) -> IntArray:
    largest: IntArray = np.asarray(operands[0].max(axis=op.integers("axes")))
    return largest.reshape(shape)


def argmax(op: Op, operands: Sequence[IntArray], shape: Shape) -> IntArray:
    # numpy gives the first, hence lowest, index of equal maxima.
    return np.asarray(np.argmax(operands[0], axis=op.integer("axis")), dtype=np.int64)


def layer_norm(op: Op, operands: Sequence[IntArray], shape: Shape) -> IntArray:
    x, gain, bias = (wide(operand) for operand in operands)
    extent = shape[-1]
    mean = (x.sum(axis=-1, keepdims=True) + extent // 2) // extent if op.integer("subtract_mean") else 0
    centred = x - mean
    variance = (centred * centred).sum(axis=-1, keepdims=True) + op.integer("epsilon")
    # r^2 V <= N holds exactly when r^2 <= floor(N / V).
    inverse_root = integer_sqrt((extent << (2 * op.integer("precision"))) // variance)
    normal = round_shift(centred * inverse_root, op.integer("shift_normal"))
    scaled = round_shift(normal * gain + bias, op.integer("shift_out"))
    return np.clip(scaled, op.integer("low"), op.integer("high"))


def softmax(op: Op, operands: Sequence[IntArray], shape: Shape) -> IntArray:
    x, entries = (wide(operand) for operand in operands)
    visible = np.ones(shape[-1:], dtype=bool)
    if op.integer("causal"):
        queries, keys = shape[-2:]
        visible = np.arange(keys) <= np.arange(queries)[:, None] + (keys - queries)
    peak = np.where(visible, x, np.iinfo(np.int64).min).max(axis=-1, keepdims=True)
    distance = np.clip(peak - x, 0, len(entries) - 1)
    weights = np.where(visible, entries[distance], 0)
    inverse = 2**29 // weights.sum(axis=-1, keepdims=True)
    return round_shift(weights * inverse, 29 - op.integer("precision"))


def reshape(op: Op, operands: Sequence[IntArray], shape: Shape) -> IntArray:
    return operands[0].reshape(shape)


def transpose(op: Op, operands: Sequence[IntArray], shape: Shape) -> IntArray:
    return operands[0].transpose(op.integers("permutation"))


def concat(op: Op, operands: Sequence[IntArray], shape: Shape) -> IntArray:
    return np.concatenate(operands, axis=op.integer("axis"))


def slice_(op: Op, operands: Sequence[IntArray], shape: Shape) -> IntArray:
    axis, start = op.integer("axis"), op.integer("start")
    index: list[Any] = [slice(None)] * len(shape)
    index[axis] = slice(start, start + shape[axis])
    part: IntArray = operands[0][tuple(index)]
    return part


KERNELS: Mapping[str, Kernel] = {
    "dense": dense,
    "matmul": matmul,
    "conv2d": conv2d,
    "requantize": requantize,
    "add": add,
    "subtract": subtract,
    "multiply": multiply,
    "table": table,
    "gather": gather,
    "max_pool2d": max_pool2d,
    "sum_pool2d": sum_pool2d,
    "reduce_sum": reduce_sum,
    "reduce_mean": reduce_mean,
    "reduce_max": reduce_max,
    "argmax": argmax,
    "layer_norm": layer_norm,
    "softmax": softmax,
    "reshape": reshape,
    "transpose": transpose,
    "concat": concat,
    "slice": slice_,
}
