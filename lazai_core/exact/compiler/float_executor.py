"""Runs a `FloatGraph` in numpy float32: the float reference of calibration and of the accuracy figures."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from lazai_core.api.errors import InvalidInput, UnsupportedProgram
from lazai_core.exact.compiler.float_graph import (
    SYMBOLIC,
    Array,
    FloatGraph,
    FloatNode,
    bind_attributes,
)

Observer = Callable[[str, Array], None]
Kernel = Callable[[Sequence[Array], Mapping[str, Any]], Array]


def run_float(graph: FloatGraph, inputs: Mapping[str, Array], observe: Observer | None = None) -> dict[str, Array]:
    """Outputs by name for one set of inputs; `observe` sees every input and node result once.

    Raises `InvalidInput` when an input is missing or has the wrong shape.
    """
    values, size = _bind_inputs(graph, inputs)
    last_use = _last_uses(graph)
    for name in list(values):
        if observe is not None:
            observe(name, values[name])
    for position, node in enumerate(graph.nodes):
        operands = [graph.constants[n] if n in graph.constants else values[n] for n in node.inputs]
        result = evaluate(node, operands, size)
        values[node.output] = result
        if observe is not None:
            observe(node.output, result)
        for name in node.inputs:
            if last_use.get(name) == position:
                values.pop(name, None)
    return {name: values[v] if v in values else graph.constants[v] for name, v in graph.outputs}


def evaluate(node: FloatNode, operands: Sequence[Array], size: int) -> Array:
    """The result of one node with the symbolic dimension bound to `size`."""
    kernel = KERNELS.get(node.op)
    if kernel is None:
        raise UnsupportedProgram(f"{node.describe()}: the operation has no float kernel")
    result = kernel(operands, bind_attributes(node.attributes, size))
    low, high = node.attributes.get("clip", (None, None))
    if low is not None or high is not None:
        result = np.clip(result, low, high)
    return result.astype(np.float32) if result.dtype == np.float64 else result


def _last_uses(graph: FloatGraph) -> dict[str, int]:
    uses = {name: position for position, node in enumerate(graph.nodes) for name in node.inputs}
    for _, value in graph.outputs:
        uses.pop(value, None)
    return uses


def _bind_inputs(graph: FloatGraph, inputs: Mapping[str, Array]) -> tuple[dict[str, Array], int]:
    values: dict[str, Array] = {}
    size = 0
    for entry in graph.inputs:
        if entry.name not in inputs:
            raise InvalidInput(f"the model's input {entry.name!r} is missing; it has shape {entry.shape}")
        array = np.asarray(inputs[entry.name], dtype=np.int64 if entry.integer else np.float32)
        fits = array.ndim == len(entry.shape) and all(
            want in (SYMBOLIC, got) for want, got in zip(entry.shape, array.shape, strict=True)
        )
        if not fits:
            raise InvalidInput(f"input {entry.name!r} has shape {array.shape}, the model wants {entry.shape}")
        for want, got in zip(entry.shape, array.shape, strict=True):
            if want == SYMBOLIC:
                if size not in (0, got):
                    raise InvalidInput(f"input {entry.name!r} gives the symbolic dimension both {size} and {got}")
                size = got
        values[entry.name] = array
    symbol = graph.symbol
    if symbol is not None and not symbol.minimum <= size <= symbol.maximum:
        raise InvalidInput(
            f"the dimension {symbol.name!r} is {size}, it must lie in [{symbol.minimum}, {symbol.maximum}]"
        )
    return values, size


def erf(x: Array) -> Array:
    """Error function to 1.5e-7 (Abramowitz and Stegun 7.1.26), enough for a float32 reference."""
    sign = np.sign(x)
    magnitude = np.abs(x).astype(np.float64)
    t = 1.0 / (1.0 + 0.3275911 * magnitude)
    series = t * (0.254829592 + t * (-0.284496736 + t * (1.421413741 + t * (-1.453152027 + t * 1.061405429))))
    result: Array = (sign * (1.0 - series * np.exp(-magnitude * magnitude))).astype(np.float32)
    return result


def sigmoid(x: Array) -> Array:
    result: Array = 1.0 / (1.0 + np.exp(-np.clip(x, -80.0, 80.0)))
    return result


UNARY: Mapping[str, Callable[[Array], Array]] = {
    "gelu": lambda x: 0.5 * x * (1.0 + erf(x * np.float32(1 / math.sqrt(2)))),
    "gelu_tanh": lambda x: 0.5 * x * (1.0 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x * x * x))),
    "erf": erf,
    "tanh": np.tanh,
    "sigmoid": sigmoid,
    "silu": lambda x: x * sigmoid(x),
    "exponential": lambda x: np.exp(np.minimum(x, 80.0)),
    "absolute": np.abs,
    "square": np.square,
    "square_root": lambda x: np.sqrt(np.maximum(x, 0.0)),
    "softplus": lambda x: np.logaddexp(0.0, x),
    "hard_sigmoid": lambda x: np.clip(x / 6.0 + 0.5, 0.0, 1.0),
    "hard_swish": lambda x: x * np.clip(x / 6.0 + 0.5, 0.0, 1.0),
    "elu": lambda x: np.where(x > 0, x, np.expm1(np.minimum(x, 0.0))),
}


def _dense(operands: Sequence[Array], attributes: Mapping[str, Any]) -> Array:
    x, weight, bias = operands
    result: Array = x @ weight.T + bias
    return result


def _matmul(operands: Sequence[Array], attributes: Mapping[str, Any]) -> Array:
    left, right = operands
    right = np.swapaxes(right, -1, -2) if attributes.get("transpose_right") else right
    result: Array = left @ right * np.float32(attributes.get("factor", 1.0))
    return result


def windows(x: Array, kernel: Sequence[int], attributes: Mapping[str, Any], fill: float) -> Array:
    """Sliding windows `[B, C, OH, OW, kh, kw]` of a padded `[B, C, H, W]` array."""
    top, left, bottom, right = attributes["pads"]
    (sy, sx), (dy, dx) = attributes["strides"], attributes.get("dilations", (1, 1))
    padded = np.pad(x, ((0, 0), (0, 0), (top, bottom), (left, right)), constant_values=fill)
    reach = (dy * (kernel[0] - 1) + 1, dx * (kernel[1] - 1) + 1)
    view: Array = np.lib.stride_tricks.sliding_window_view(padded, reach, axis=(2, 3))  # type: ignore[call-overload]
    return view[:, :, ::sy, ::sx, ::dy, ::dx]


def _conv2d(operands: Sequence[Array], attributes: Mapping[str, Any]) -> Array:
    x, weight, bias = operands
    groups = attributes["groups"]
    view = windows(x, weight.shape[2:], attributes, 0.0)
    step_in, step_out = x.shape[1] // groups, weight.shape[0] // groups
    parts = []
    for group in range(groups):
        part = view[:, group * step_in : (group + 1) * step_in]
        kernel = weight[group * step_out : (group + 1) * step_out]
        parts.append(np.einsum("bchwij,ocij->bohw", part, kernel, optimize=True))
    result: Array = np.concatenate(parts, axis=1) + bias[:, None, None]
    return result


def _average_pool(operands: Sequence[Array], attributes: Mapping[str, Any]) -> Array:
    total = windows(operands[0], attributes["kernel"], attributes, 0.0).sum(axis=(-1, -2))
    result: Array = total / np.float32(math.prod(attributes["kernel"]))
    return result


def _max_pool(operands: Sequence[Array], attributes: Mapping[str, Any]) -> Array:
    result: Array = windows(operands[0], attributes["kernel"], attributes, -np.inf).max(axis=(-1, -2))
    return result


def _layer_norm(operands: Sequence[Array], attributes: Mapping[str, Any]) -> Array:
    x, gain, bias = operands
    centred = x - x.mean(axis=-1, keepdims=True) if attributes["subtract_mean"] else x
    variance = np.mean(centred * centred, axis=-1, keepdims=True)
    result: Array = centred / np.sqrt(variance + attributes["epsilon"]) * gain + bias
    return result


def _softmax(operands: Sequence[Array], attributes: Mapping[str, Any]) -> Array:
    x = operands[0]
    if attributes["causal"]:
        rows, columns = x.shape[-2:]
        hidden = np.arange(columns)[None, :] > np.arange(rows)[:, None] + (columns - rows)
        x = np.where(hidden, -np.inf, x)
    exponents = np.exp(x - x.max(axis=-1, keepdims=True))
    result: Array = exponents / exponents.sum(axis=-1, keepdims=True)
    return result


def _slice(operands: Sequence[Array], attributes: Mapping[str, Any]) -> Array:
    index: list[slice] = [slice(None)] * operands[0].ndim
    start = attributes["start"]
    index[attributes["axis"]] = slice(start, start + attributes["length"])
    return operands[0][tuple(index)]


def _gather(operands: Sequence[Array], attributes: Mapping[str, Any]) -> Array:
    table, indices = operands
    if indices.size and (indices.min() < 0 or indices.max() >= table.shape[0]):
        raise InvalidInput(f"an index is outside [0, {table.shape[0] - 1}]")
    result: Array = table[indices.astype(np.int64)]
    return result


def _reduction(function: Callable[..., Any]) -> Kernel:
    def kernel(operands: Sequence[Array], attributes: Mapping[str, Any]) -> Array:
        result: Array = function(operands[0], axis=tuple(attributes["axes"]), keepdims=attributes["keepdims"])
        return result

    return kernel


KERNELS: Mapping[str, Kernel] = {
    "dense": _dense,
    "matmul": _matmul,
    "conv2d": _conv2d,
    "add": lambda o, a: o[0] + o[1],
    "subtract": lambda o, a: o[0] - o[1],
    "multiply": lambda o, a: o[0] * o[1],
    "divide": lambda o, a: o[0] / o[1],
    "power": lambda o, a: np.power(o[0], o[1]),
    "select": lambda o, a: np.where(o[0], o[1], o[2]),
    "clip": lambda o, a: o[0],
    "unary": lambda o, a: UNARY[a["function"]](o[0]),
    "softmax": _softmax,
    "max_pool2d": _max_pool,
    "average_pool2d": _average_pool,
    "reduce_mean": _reduction(np.mean),
    "reduce_sum": _reduction(np.sum),
    "reduce_max": _reduction(np.max),
    "layer_norm": _layer_norm,
    "reshape": lambda o, a: o[0].reshape(a["shape"]),
    "transpose": lambda o, a: o[0].transpose(a["permutation"]),
    "concat": lambda o, a: np.concatenate(list(o), axis=a["axis"]),
    "slice": _slice,
    "gather": _gather,
    "argmax": lambda o, a: np.asarray(np.argmax(o[0], axis=a["axis"])),
}
