"""Every operation of docs/EXACT.md in torch.

`build_step` prepares one operation: attributes are read, routes chosen and constants converted once, at load. The step
then maps operand tensors to the result tensor. All tensors hold the stored types; nothing here rounds in floating
point: floats only ever carry integers they hold exactly.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from attrs import field, frozen
from torch.nn.functional import pad, unfold

from lazai_core.api.program import SYMBOLIC, Op, ValueInfo
from lazai_core.api.program_rules import DType

from .devices import FLOAT32_EXACT_LIMIT, Device
from .normalization import build_layer_norm, build_softmax
from .products import activation_product, weight_product
from .rescale import Rescale

Tensors = Sequence[torch.Tensor]
Step = Callable[[Tensors], torch.Tensor]


@frozen(kw_only=True)
class StepContext:
    """What is known of one operation at load: its operands' rules, the constants among them, the device.

    `constants[i]` is operand i on the device, or None for an activation; `dim_max` is the largest value of the
    program's symbolic dimension (1 without one); `shape` is the declared result shape.
    """

    op: Op
    infos: tuple[ValueInfo, ...]
    constants: tuple[torch.Tensor | None, ...] = field(eq=False)
    shape: tuple[int, ...]
    dim_max: int
    device: Device

    def constant(self, index: int) -> torch.Tensor:
        """Operand `index`, which the program's rules have shown to be a constant."""
        tensor = self.constants[index]
        assert tensor is not None, f"operand {index} of {self.op.kind} is no constant"
        return tensor

    def largest(self, entry: int) -> int:
        """A shape entry at its maximum."""
        return self.dim_max if entry == SYMBOLIC else entry

    def rescale(self) -> Rescale:
        """The requantisation that this `requantize` op stands for."""
        op, info = self.op, self.infos[0]
        low, high, dtype = op.integer("low"), op.integer("high"), DType(op.integer("dtype"))
        if len(self.infos) == 1:
            return Rescale.uniform(op.integer("shift"), low, high, dtype, info.magnitude)
        along = [1] * len(info.shape)
        along[op.integer("axis")] = -1
        return Rescale.by_channel(self.constant(1).reshape(along), low, high, dtype, info.magnitude)


def build_dense(context: StepContext, rescale: Rescale | None = None) -> Step:
    """With `rescale`, the requantisation that alone reads the result is done in the same go."""
    weight, bias = context.constant(1), context.constant(2)
    row_sum = context.infos[1].row_sum
    assert row_sum is not None, "a weight's row sum is declared"
    product = weight_product(context.infos[0], weight, row_sum, context.device).product
    inner, outputs = weight.shape[1], weight.shape[0]

    def accumulate(x: torch.Tensor, addend: torch.Tensor) -> torch.Tensor:
        rows = product(x.reshape(-1, inner)).add_(addend)
        return rows.view((*x.shape[:-1], outputs))

    if rescale is None:
        return lambda operands: accumulate(operands[0], bias)
    if rescale.can_fold_bias and (isinstance(rescale.half, int) or rescale.half.numel() == outputs):
        half = rescale.half if isinstance(rescale.half, int) else rescale.half.reshape(-1)
        folded = bias + half
        return lambda operands: rescale.finish(accumulate(operands[0], folded))
    return lambda operands: rescale(accumulate(operands[0], bias))


def build_matmul(context: StepContext) -> Step:
    left = context.infos[0]
    inner = context.largest(left.shape[-1])
    product = activation_product(context.infos, inner, bool(context.op.integer("transpose_right")), context.device)
    return lambda operands: product(operands[0], operands[1])


def build_conv2d(context: StepContext) -> Step:
    op, weight, bias = context.op, context.constant(1), context.constant(2)
    top, left, bottom, right = op.integers("pads")
    groups, dilations, strides = op.integer("groups"), op.integers("dilations"), op.integers("strides")
    outputs, kernel = weight.shape[0], tuple(weight.shape[2:])
    row_sum = context.infos[1].row_sum
    assert row_sum is not None, "a weight's row sum is declared"
    fits = context.device.float32_product and row_sum * context.infos[0].magnitude < FLOAT32_EXACT_LIMIT
    dtype = torch.float32 if fits else torch.float64
    matrix = weight.reshape(groups, outputs // groups, -1).to(dtype)
    height, width = context.shape[2:]

    def step(operands: Tensors) -> torch.Tensor:
        x = pad(operands[0].to(dtype), (left, right, top, bottom))
        columns = unfold(x, kernel, dilation=dilations, stride=strides)
        grouped = columns.view(x.shape[0], groups, matrix.shape[2], columns.shape[-1])
        total = torch.matmul(matrix, grouped).to(torch.int32)
        return total.reshape(x.shape[0], outputs, height, width).add_(bias[:, None, None])

    return step


def build_requantize(context: StepContext) -> Step:
    rescale = context.rescale()
    return lambda operands: rescale(operands[0])


def build_add(context: StepContext) -> Step:
    return _build_sum(context, torch.add)


def build_subtract(context: StepContext) -> Step:
    return _build_sum(context, torch.subtract)


def _build_sum(context: StepContext, combine: Callable[[torch.Tensor, torch.Tensor], torch.Tensor]) -> Step:
    shift_left, shift_right = context.op.integer("shift_left"), context.op.integer("shift_right")

    def widened(x: torch.Tensor, shift: int) -> torch.Tensor:
        y = x.to(torch.int32)
        return y << shift if shift else y

    return lambda operands: combine(widened(operands[0], shift_left), widened(operands[1], shift_right))


def build_multiply(context: StepContext) -> Step:
    return lambda operands: operands[0].to(torch.int32) * operands[1].to(torch.int32)


def build_table(context: StepContext) -> Step:
    offset, entries = context.op.integer("offset"), context.constant(1)

    def step(operands: Tensors) -> torch.Tensor:
        index = operands[0].to(torch.int32)
        index = index - offset if offset else index
        return entries.index_select(0, index.reshape(-1)).view(operands[0].shape)

    return step


def build_gather(context: StepContext) -> Step:
    entries = context.constant(0)
    tail = entries.shape[1:]

    def step(operands: Tensors) -> torch.Tensor:
        index = operands[1].to(torch.int32).reshape(-1)
        return entries.index_select(0, index).view((*operands[1].shape, *tail))

    return step


def _build_windows(context: StepContext, fill: int) -> Callable[[torch.Tensor], torch.Tensor]:
    """All windows as a view `[B, C, OH, OW, kh, kw]`."""
    (height, width), (down, across) = context.op.integers("kernel"), context.op.integers("strides")
    top, left, bottom, right = context.op.integers("pads")

    def windows(x: torch.Tensor) -> torch.Tensor:
        padded = pad(x, (left, right, top, bottom), value=fill) if top or left or bottom or right else x
        return padded.unfold(2, height, down).unfold(3, width, across)

    return windows


def build_max_pool2d(context: StepContext) -> Step:
    windows = _build_windows(context, context.infos[0].dtype.low)
    return lambda operands: windows(operands[0]).amax(dim=(-2, -1))


def build_sum_pool2d(context: StepContext) -> Step:
    windows = _build_windows(context, 0)
    return lambda operands: windows(operands[0]).sum(dim=(-2, -1), dtype=torch.int32)


def build_reduce_sum(context: StepContext) -> Step:
    axes, keep = context.op.integers("axes"), bool(context.op.integer("keepdims"))
    return lambda operands: operands[0].sum(dim=axes, keepdim=keep, dtype=torch.int32)


def build_reduce_mean(context: StepContext) -> Step:
    axes, keep = context.op.integers("axes"), bool(context.op.integer("keepdims"))

    def step(operands: Tensors) -> torch.Tensor:
        x = operands[0]
        total = x.sum(dim=axes, keepdim=keep, dtype=torch.int64)
        count = x.numel() // total.numel()
        return torch.div(total + count // 2, count, rounding_mode="floor").to(x.dtype)

    return step


def build_reduce_max(context: StepContext) -> Step:
    axes, keep = context.op.integers("axes"), bool(context.op.integer("keepdims"))
    return lambda operands: operands[0].amax(dim=axes, keepdim=keep)


def build_argmax(context: StepContext) -> Step:
    axis = context.op.integer("axis")

    def step(operands: Tensors) -> torch.Tensor:
        # torch.argmax may give any of several equal maxima; the lowest index is wanted.
        x = operands[0]
        along = [1] * x.dim()
        along[axis] = -1
        positions = torch.arange(x.shape[axis], dtype=torch.int32, device=x.device).view(along)
        candidates = torch.where(x == x.amax(dim=axis, keepdim=True), positions, x.shape[axis])
        return candidates.amin(dim=axis).to(torch.int32)

    return step


def build_transpose(context: StepContext) -> Step:
    permutation = tuple(context.op.integers("permutation"))
    return lambda operands: operands[0].permute(permutation)


def build_concat(context: StepContext) -> Step:
    axis = context.op.integer("axis")
    return lambda operands: torch.cat(tuple(operands), dim=axis)


def _layer_norm(context: StepContext) -> Step:
    return build_layer_norm(context.op, context.infos[0], context.constant(1), context.constant(2))


def _softmax(context: StepContext) -> Step:
    return build_softmax(context.constant(1), bool(context.op.integer("causal")), context.op.integer("precision"))


BUILDERS: dict[str, Callable[[StepContext], Step]] = {
    "dense": build_dense,
    "matmul": build_matmul,
    "conv2d": build_conv2d,
    "requantize": build_requantize,
    "add": build_add,
    "subtract": build_subtract,
    "multiply": build_multiply,
    "table": build_table,
    "gather": build_gather,
    "max_pool2d": build_max_pool2d,
    "sum_pool2d": build_sum_pool2d,
    "reduce_sum": build_reduce_sum,
    "reduce_mean": build_reduce_mean,
    "reduce_max": build_reduce_max,
    "argmax": build_argmax,
    "layer_norm": _layer_norm,
    "softmax": _softmax,
    "transpose": build_transpose,
    "concat": build_concat,
}


def build_slice(context: StepContext, dim_value: Callable[[], int]) -> Step:
    axis, start, length = (context.op.integer(name) for name in ("axis", "start", "length"))
    return lambda operands: operands[0].narrow(axis, start, dim_value() if length == SYMBOLIC else length)


def build_reshape(context: StepContext, dim_value: Callable[[], int]) -> Step:
    shape = tuple(context.op.integers("shape"))
    if SYMBOLIC not in shape:
        return lambda operands: operands[0].reshape(shape)
    return lambda operands: operands[0].reshape([dim_value() if entry == SYMBOLIC else entry for entry in shape])


SYMBOLIC_BUILDERS: dict[str, Callable[[StepContext, Callable[[], int]], Step]] = {
    "slice": build_slice,
    "reshape": build_reshape,
}
"""The operations that need the run's value of the symbolic dimension."""
