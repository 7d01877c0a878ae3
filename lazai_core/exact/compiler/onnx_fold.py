"""Evaluates ONNX nodes whose operands are all known: the shape arithmetic and weight preparation of exporters.

Each function receives numpy arrays (or None for an absent optional input) and returns the node's results. The
size of a result is checked before it is made, so a hostile file cannot ask for memory here.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from lazai_core.api.errors import LazAIError, ModelError, UnsupportedProgram
from lazai_core.exact.compiler.float_graph import Array
from lazai_core.exact.compiler.onnx_read import RawNode

FOLDED_ELEMENTS_MAX = 1 << 26
FOLDED_TOTAL_MAX = 1 << 28

Operands = Sequence[Any]
Fold = Callable[[Operands, Mapping[str, Any], RawNode], Sequence[Array]]


def can_fold(op: str) -> bool:
    return op in FOLDS


def fold(node: RawNode, operands: Operands) -> tuple[Array, ...]:
    """Results of a node on known operands; `UnsupportedProgram` names the node when it cannot be evaluated."""
    function = FOLDS.get(node.op)
    if function is None:
        raise UnsupportedProgram(f"{node.describe()}: the operation is not supported on constants")
    try:
        with np.errstate(all="ignore"):
            results = tuple(np.asarray(result) for result in function(operands, node.attributes, node))
    except LazAIError:
        raise
    except (ArithmeticError, AttributeError, IndexError, KeyError, TypeError, ValueError, MemoryError) as error:
        raise ModelError(f"{node.describe()}: the operands do not fit ({error})") from error
    return tuple(result.astype(np.float32) if result.dtype == np.float64 else result for result in results)


def guard(shape: Sequence[int], node: RawNode) -> tuple[int, ...]:
    """`shape` as a tuple, refused when it is negative or larger than constants may become."""
    shape = tuple(int(entry) for entry in np.asarray(shape, dtype=object).reshape(-1))
    if len(shape) > 8 or any(entry < 0 for entry in shape) or math.prod(shape) > FOLDED_ELEMENTS_MAX:
        raise ModelError(f"{node.describe()}: a constant of shape {shape} is above {FOLDED_ELEMENTS_MAX} elements")
    return shape


def _elementwise(function: Callable[..., Any]) -> Fold:
    def folded(operands: Operands, attributes: Mapping[str, Any], node: RawNode) -> Sequence[Array]:
        guard(np.broadcast_shapes(*(operand.shape for operand in operands)), node)
        return (function(*operands),)

    return folded


def _divide(left: Array, right: Array) -> Array:
    if left.dtype.kind == "f":
        return np.asarray(left / right)
    if not np.all(right):
        raise ValueError("division by zero")
    quotient = np.abs(left) // np.abs(right)
    return np.asarray(np.sign(left) * np.sign(right) * quotient, dtype=left.dtype)


def _power(left: Array, right: Array) -> Array:
    return np.asarray(np.power(left.astype(np.float64), right), dtype=left.dtype)


def cast_dtype(code: int, node: RawNode) -> np.dtype[Any]:
    """Numpy type of an ONNX element type code."""
    kinds: Mapping[int, type] = {
        1: np.float32,
        2: np.uint8,
        3: np.int8,
        5: np.int16,
        6: np.int32,
        7: np.int64,
        9: np.bool_,
        10: np.float32,
        11: np.float32,
    }
    if code not in kinds:
        raise UnsupportedProgram(f"{node.describe()}: a cast to element type {code} is not supported")
    return np.dtype(kinds[code])


def _cast(operands: Operands, attributes: Mapping[str, Any], node: RawNode) -> Sequence[Array]:
    return (operands[0].astype(cast_dtype(attributes["to"], node)),)


def _constant(operands: Operands, attributes: Mapping[str, Any], node: RawNode) -> Sequence[Array]:
    for key, dtype in (
        ("value_int", np.int64),
        ("value_ints", np.int64),
        ("value_float", np.float32),
        ("value_floats", np.float32),
    ):
        if key in attributes:
            return (np.asarray(attributes[key], dtype=dtype),)
    if "value" not in attributes:
        raise UnsupportedProgram(f"{node.describe()}: only numeric constants are supported")
    return (attributes["value"],)


def _constant_of_shape(operands: Operands, attributes: Mapping[str, Any], node: RawNode) -> Sequence[Array]:
    value = attributes.get("value", np.zeros(1, dtype=np.float32))
    return (np.full(guard(operands[0], node), value.reshape(-1)[0], dtype=value.dtype),)


def _expand(operands: Operands, attributes: Mapping[str, Any], node: RawNode) -> Sequence[Array]:
    shape = np.broadcast_shapes(operands[0].shape, guard(operands[1], node))
    return (np.array(np.broadcast_to(operands[0], guard(shape, node))),)


def _tile(operands: Operands, attributes: Mapping[str, Any], node: RawNode) -> Sequence[Array]:
    guard([size * int(count) for size, count in zip(operands[0].shape, operands[1], strict=True)], node)
    return (np.tile(operands[0], operands[1]),)


def _range(operands: Operands, attributes: Mapping[str, Any], node: RawNode) -> Sequence[Array]:
    start, stop, step = (operand.item() for operand in operands)
    guard([max(0, math.ceil((stop - start) / step))], node)
    return (np.arange(start, stop, step, dtype=operands[0].dtype),)


def _gather(operands: Operands, attributes: Mapping[str, Any], node: RawNode) -> Sequence[Array]:
    data, indices = operands
    axis = attributes.get("axis", 0) % data.ndim
    guard((*data.shape[:axis], *indices.shape, *data.shape[axis + 1 :]), node)
    return (np.take(data, indices, axis=axis),)


def axes_of(operands: Operands, attributes: Mapping[str, Any], position: int) -> tuple[int, ...] | None:
    """Axes given as an operand (newer operator sets) or as an attribute (older ones)."""
    if len(operands) > position and operands[position] is not None:
        return tuple(int(axis) for axis in np.asarray(operands[position]).reshape(-1))
    axes = attributes.get("axes")
    return None if axes is None else tuple(axes)


def _unsqueeze(operands: Operands, attributes: Mapping[str, Any], node: RawNode) -> Sequence[Array]:
    return (np.expand_dims(operands[0], axes_of(operands, attributes, 1) or ()),)


def _squeeze(operands: Operands, attributes: Mapping[str, Any], node: RawNode) -> Sequence[Array]:
    return (np.squeeze(operands[0], axis=axes_of(operands, attributes, 1)),)


def reshape_target(shape: Sequence[int], target: Sequence[int], attributes: Mapping[str, Any]) -> tuple[int, ...]:
    """ONNX's target of a Reshape with 0 (copy) and -1 (infer) replaced."""
    wanted = [int(entry) for entry in target]
    if not attributes.get("allowzero", 0):
        wanted = [shape[axis] if entry == 0 else entry for axis, entry in enumerate(wanted)]
    if wanted.count(-1) > 1 or any(entry < -1 for entry in wanted):
        raise ValueError(f"{tuple(target)} is no shape")
    if -1 in wanted:
        known = math.prod(entry for entry in wanted if entry != -1)
        wanted[wanted.index(-1)] = math.prod(shape) // known if known else 0
    if math.prod(wanted) != math.prod(shape):
        raise ValueError(f"{tuple(shape)} does not reshape to {tuple(target)}")
    return tuple(wanted)


def _reshape(operands: Operands, attributes: Mapping[str, Any], node: RawNode) -> Sequence[Array]:
    target = operands[1] if len(operands) > 1 else attributes["shape"]
    return (operands[0].reshape(reshape_target(operands[0].shape, target, attributes)),)


def _integers(operand: Any) -> list[int]:
    return [int(entry) for entry in np.asarray(operand).reshape(-1)]


def slice_ranges(
    shape: Sequence[int], operands: Operands, attributes: Mapping[str, Any]
) -> list[tuple[int, int, int, int]]:
    """(axis, start, stop, step) of a Slice, with negative and out-of-range entries resolved as numpy does."""
    if len(operands) > 1:
        given = [None if operand is None else _integers(operand) for operand in operands[1:]]
        starts, stops = given[0], given[1]
        axes = given[2] if len(given) > 2 else None
        steps = given[3] if len(given) > 3 else None
    else:
        starts, stops = list(attributes["starts"]), list(attributes["ends"])
        axes, steps = (list(attributes["axes"]) if "axes" in attributes else None), None
    if starts is None or stops is None:
        raise ValueError("starts and ends are required")
    axes = axes if axes is not None else list(range(len(starts)))
    steps = steps if steps is not None else [1] * len(starts)
    ranges = []
    for axis, start, stop, step in zip(axes, starts, stops, steps, strict=True):
        axis = axis % len(shape)
        resolved = slice(start, stop, step).indices(shape[axis])
        ranges.append((axis, *resolved))
    return ranges


def _slice(operands: Operands, attributes: Mapping[str, Any], node: RawNode) -> Sequence[Array]:
    data = operands[0]
    for axis, start, stop, step in slice_ranges(data.shape, operands, attributes):
        data = np.take(data, np.arange(start, stop, step), axis=axis)
    return (data,)


def split_sizes(size: int, operands: Operands, node: RawNode) -> list[int]:
    """Lengths of the parts of a Split along an axis of `size`."""
    if len(operands) > 1 and operands[1] is not None:
        sizes = _integers(operands[1])
    elif "split" in node.attributes:
        sizes = list(node.attributes["split"])
    else:
        parts = len(node.outputs)
        each = -(-size // parts)
        sizes = [each] * (parts - 1) + [size - each * (parts - 1)]
    if sum(sizes) != size or len(sizes) != len(node.outputs) or any(entry < 1 for entry in sizes):
        raise ModelError(f"{node.describe()}: parts {sizes} do not fill an axis of {size}")
    return sizes


def _split(operands: Operands, attributes: Mapping[str, Any], node: RawNode) -> Sequence[Array]:
    axis = attributes.get("axis", 0)
    sizes = split_sizes(operands[0].shape[axis], operands, node)
    return np.split(operands[0], np.cumsum(sizes)[:-1], axis=axis)


def _concat(operands: Operands, attributes: Mapping[str, Any], node: RawNode) -> Sequence[Array]:
    guard([sum(operand.size for operand in operands)], node)
    return (np.concatenate(list(operands), axis=attributes["axis"]),)


def _transpose(operands: Operands, attributes: Mapping[str, Any], node: RawNode) -> Sequence[Array]:
    return (operands[0].transpose(attributes.get("perm")),)


def _flatten(operands: Operands, attributes: Mapping[str, Any], node: RawNode) -> Sequence[Array]:
    axis = attributes.get("axis", 1) % (operands[0].ndim + 1)
    return (operands[0].reshape(math.prod(operands[0].shape[:axis]), -1),)


def _matmul(operands: Operands, attributes: Mapping[str, Any], node: RawNode) -> Sequence[Array]:
    left, right = operands
    if left.ndim > 1 and right.ndim > 1:
        batch = np.broadcast_shapes(left.shape[:-2], right.shape[:-2])
        guard((*batch, left.shape[-2], right.shape[-1]), node)
    return (left @ right,)


def _trilu(operands: Operands, attributes: Mapping[str, Any], node: RawNode) -> Sequence[Array]:
    diagonal = int(operands[1].item()) if len(operands) > 1 and operands[1] is not None else 0
    return (np.triu(operands[0], diagonal) if attributes.get("upper", 1) else np.tril(operands[0], diagonal),)


def _clip(operands: Operands, attributes: Mapping[str, Any], node: RawNode) -> Sequence[Array]:
    bounds = [operands[i] if len(operands) > i and operands[i] is not None else None for i in (1, 2)]
    low = attributes.get("min") if bounds[0] is None else bounds[0]
    high = attributes.get("max") if bounds[1] is None else bounds[1]
    return (operands[0] if low is None and high is None else np.clip(operands[0], low, high),)


def _reduce(function: Callable[..., Any]) -> Fold:
    def folded(operands: Operands, attributes: Mapping[str, Any], node: RawNode) -> Sequence[Array]:
        axes = axes_of(operands, attributes, 1)
        keep = bool(attributes.get("keepdims", 1))
        result = function(operands[0], axis=axes, keepdims=keep)
        return (np.asarray(result, dtype=operands[0].dtype),)

    return folded


def _cumulative_sum(operands: Operands, attributes: Mapping[str, Any], node: RawNode) -> Sequence[Array]:
    if attributes.get("exclusive", 0) or attributes.get("reverse", 0):
        raise UnsupportedProgram(f"{node.describe()}: exclusive and reverse sums are not supported")
    return (np.cumsum(operands[0], axis=int(operands[1].item()), dtype=operands[0].dtype),)


def _first(operands: Operands, attributes: Mapping[str, Any], node: RawNode) -> Sequence[Array]:
    return (operands[0],)


FOLDS: Mapping[str, Fold] = {
    "Abs": _elementwise(np.abs),
    "Add": _elementwise(np.add),
    "And": _elementwise(np.logical_and),
    "Cast": _cast,
    "Ceil": _elementwise(np.ceil),
    "Clip": _clip,
    "Concat": _concat,
    "Constant": _constant,
    "ConstantOfShape": _constant_of_shape,
    "CumSum": _cumulative_sum,
    "Div": _elementwise(_divide),
    "Dropout": _first,
    "Equal": _elementwise(np.equal),
    "Exp": _elementwise(np.exp),
    "Expand": _expand,
    "Flatten": _flatten,
    "Floor": _elementwise(np.floor),
    "Gather": _gather,
    "Greater": _elementwise(np.greater),
    "GreaterOrEqual": _elementwise(np.greater_equal),
    "Identity": _first,
    "IsNaN": _elementwise(np.isnan),
    "Less": _elementwise(np.less),
    "LessOrEqual": _elementwise(np.less_equal),
    "Log": _elementwise(np.log),
    "MatMul": _matmul,
    "Max": _elementwise(lambda *xs: np.maximum.reduce(np.broadcast_arrays(*xs))),
    "Min": _elementwise(lambda *xs: np.minimum.reduce(np.broadcast_arrays(*xs))),
    "Mod": _elementwise(np.mod),
    "Mul": _elementwise(np.multiply),
    "Neg": _elementwise(np.negative),
    "Not": _elementwise(np.logical_not),
    "Or": _elementwise(np.logical_or),
    "Pow": _elementwise(_power),
    "Range": _range,
    "Reciprocal": _elementwise(np.reciprocal),
    "ReduceMax": _reduce(np.max),
    "ReduceMean": _reduce(np.mean),
    "ReduceProd": _reduce(np.prod),
    "ReduceSum": _reduce(np.sum),
    "Reshape": _reshape,
    "Slice": _slice,
    "Split": _split,
    "Sqrt": _elementwise(np.sqrt),
    "Squeeze": _squeeze,
    "Sub": _elementwise(np.subtract),
    "Tile": _tile,
    "Transpose": _transpose,
    "Trilu": _trilu,
    "Unsqueeze": _unsqueeze,
    "Where": _elementwise(np.where),
}
