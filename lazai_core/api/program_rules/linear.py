"""Sums of products and sums over windows."""

from __future__ import annotations

from ..program_types import EXTENT_MAX, SYMBOLIC, DType, Shape, ValueInfo
from .base import Call, require, require_accumulator, require_constant, require_narrow, result_of, same_as


def weighted_reach(x: ValueInfo, weight: ValueInfo, terms: int) -> int:
    """Bound of every partial sum of `terms` products of x and a row of weight, in any order."""
    row_sum = terms * weight.magnitude
    if weight.row_sum is not None:
        row_sum = min(row_sum, weight.row_sum)
    return row_sum * x.magnitude


def _weighted(x: ValueInfo, weight: ValueInfo, bias: ValueInfo, terms: int, shape: Shape) -> ValueInfo:
    reach = weighted_reach(x, weight, terms)
    low, high = -reach + bias.low, reach + bias.high
    # The sum without the bias is bounded as well, so that it may be accumulated in any order.
    require_accumulator(min(low, -reach), max(high, reach))
    return result_of(DType.INT32, shape, low, high)


def dense(call: Call) -> ValueInfo:
    """`y[..., n] = sum_k x[..., k] * weight[n, k] + bias[n]`."""
    x, weight, bias = call.operands
    require_narrow(x, "x")
    require_constant(weight, "weight", (DType.INT8,), 2)
    require_constant(bias, "bias", (DType.INT32,), 1)
    require(len(x.shape) >= 1, "x must have rank 1 or more")
    require(x.shape[-1] == weight.shape[1], f"x ends in {x.shape[-1]}, weight expects {weight.shape[1]}")
    require(bias.shape[0] == weight.shape[0], f"bias has {bias.shape[0]} entries for {weight.shape[0]} rows")
    return _weighted(x, weight, bias, weight.shape[1], (*x.shape[:-1], weight.shape[0]))


def matmul(call: Call) -> ValueInfo:
    """Batched product; the left operand's `last_axis_sum` sharpens the bound where it is known."""
    a, b = call.operands
    require_narrow(a, "a")
    require_narrow(b, "b")
    require(len(a.shape) >= 2 and len(b.shape) >= 2, "a and b must have rank 2 or more")
    require(a.shape[:-2] == b.shape[:-2], f"leading axes {a.shape[:-2]} and {b.shape[:-2]} differ")
    inner, columns = (b.shape[-1], b.shape[-2]) if call.integer("transpose_right") else b.shape[-2:]
    require(a.shape[-1] == inner, f"the summed axis has {a.shape[-1]} entries in a, {inner} in b")
    products = [p * q for p in (a.low, a.high) for q in (b.low, b.high)]
    counts = (call.smallest(inner), call.largest(inner))
    low = min(count * min(products) for count in counts)
    high = max(count * max(products) for count in counts)
    if a.last_axis_sum is not None:
        reach = a.last_axis_sum * b.magnitude
        low, high = max(low, -reach), min(high, reach)
    require_accumulator(low, high)
    return result_of(DType.INT32, (*a.shape[:-1], columns), low, high)


def _window(extent: int, kernel: int, stride: int, before: int, after: int) -> int:
    require(extent != SYMBOLIC, "height and width must not be symbolic")
    padded = extent + before + after
    require(padded <= EXTENT_MAX, f"the padded extent {padded} exceeds {EXTENT_MAX}")
    require(kernel <= padded, f"a window of {kernel} does not fit in the padded extent {padded}")
    return (padded - kernel) // stride + 1


def _spatial(call: Call, x: ValueInfo, kernel: tuple[int, int]) -> tuple[int, int]:
    strides, pads = call.integers("strides"), call.integers("pads")
    require(all(1 <= s <= EXTENT_MAX for s in strides), f"strides {strides} must be positive")
    require(all(0 <= p <= EXTENT_MAX for p in pads), f"pads {pads} must not be negative")
    top, left, bottom, right = pads
    height = _window(x.shape[2], kernel[0], strides[0], top, bottom)
    width = _window(x.shape[3], kernel[1], strides[1], left, right)
    return height, width


def conv2d(call: Call) -> ValueInfo:
    """Cross-correlation with zero padding."""
    x, weight, bias = call.operands
    require_narrow(x, "x")
    require_constant(weight, "weight", (DType.INT8,), 4)
    require_constant(bias, "bias", (DType.INT32,), 1)
    require(len(x.shape) == 4, f"x must have rank 4, not shape {x.shape}")
    groups, dilations = call.integer("groups"), call.integers("dilations")
    outputs, channels, height, width = weight.shape
    require(1 <= groups <= outputs, f"groups {groups} must be from 1 to {outputs}")
    require(outputs % groups == 0, f"{outputs} output channels do not split into {groups} groups")
    require(x.shape[1] == channels * groups, f"x has {x.shape[1]} channels, weight expects {channels * groups}")
    require(bias.shape[0] == outputs, f"bias has {bias.shape[0]} entries for {outputs} output channels")
    require(all(1 <= d <= EXTENT_MAX for d in dilations), f"dilations {dilations} must be positive")
    reach = ((height - 1) * dilations[0] + 1, (width - 1) * dilations[1] + 1)
    shape = (x.shape[0], outputs, *_spatial(call, x, reach))
    return _weighted(x, weight, bias, channels * height * width, shape)


def _pool_shape(call: Call, x: ValueInfo) -> Shape:
    require_narrow(x, "x")
    require(len(x.shape) == 4, f"x must have rank 4, not shape {x.shape}")
    height, width = call.integers("kernel")
    require(1 <= height <= EXTENT_MAX and 1 <= width <= EXTENT_MAX, f"kernel {height} x {width} must be positive")
    top, left, bottom, right = call.integers("pads")
    inside = max(top, bottom) < height and max(left, right) < width
    require(inside, "each padding must be smaller than the kernel, so that every window holds an element")
    return (*x.shape[:2], *_spatial(call, x, (height, width)))


def max_pool2d(call: Call) -> ValueInfo:
    """Maximum over the part of each window that lies inside."""
    return same_as(call.operands[0], _pool_shape(call, call.operands[0]))


def sum_pool2d(call: Call) -> ValueInfo:
    """Sum over each window, zeros outside."""
    x = call.operands[0]
    shape = _pool_shape(call, x)
    height, width = call.integers("kernel")
    low, high = min(0, height * width * x.low), max(0, height * width * x.high)
    return result_of(DType.INT32, shape, low, high)
