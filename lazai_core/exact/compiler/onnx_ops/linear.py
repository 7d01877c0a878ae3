"""Operators with weights and windows: products, convolutions, pooling, normalisations, softmax."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from lazai_core.api.errors import ModelError
from lazai_core.exact.compiler.onnx_import import Importer
from lazai_core.exact.compiler.onnx_read import RawNode

from .common import Results, Translator, Translators, add_node, constant, unsupported


def _bias_or_zeros(importer: Importer, node: RawNode, position: int, size: int, factor: float = 1.0) -> str:
    given = importer.static(node, position)
    values = np.zeros(size) if given is None else np.broadcast_to(given.reshape(-1) * factor, (size,))
    return constant(importer, np.array(values))


def _gemm(importer: Importer, node: RawNode) -> Results:
    alpha, beta = node.attributes.get("alpha", 1.0), node.attributes.get("beta", 1.0)
    if node.attributes.get("transA", 0):
        raise unsupported(node, "transA is not supported")
    x = importer.operand(node, 0)
    weight = importer.static(node, 1)
    if weight is None:
        raise ModelError(f"{node.describe()}: input 1 is missing")
    matrix = np.ascontiguousarray(weight if node.attributes.get("transB", 0) else weight.T) * np.float32(alpha)
    bias = _bias_or_zeros(importer, node, 2, matrix.shape[0], beta)
    return [add_node(importer, node, "dense", [x, constant(importer, matrix), bias])]


def _matmul(importer: Importer, node: RawNode) -> Results:
    if importer.is_known(node, 1):
        weight = importer.static(node, 1)
        assert weight is not None
        while weight.ndim > 2 and weight.shape[0] == 1:
            weight = weight[0]
        if weight.ndim == 2:
            matrix = constant(importer, np.ascontiguousarray(weight.T))
            zeros = constant(importer, np.zeros(weight.shape[1]))
            return [add_node(importer, node, "dense", [importer.operand(node, 0), matrix, zeros])]
    if importer.is_known(node, 0):
        return [_constant_left(importer, node)]
    return [add_node(importer, node, "matmul", [importer.operand(node, 0), importer.operand(node, 1)])]


def _constant_left(importer: Importer, node: RawNode) -> str:
    """`W @ x` as the transpose of `x^T @ W^T`, so that the constant is a weight."""
    weight = importer.static(node, 0)
    assert weight is not None
    rank = importer.rank_of(node.inputs[1])
    if weight.ndim != 2 or rank < 2:
        raise unsupported(node, "a constant left operand must be a matrix and the right one of rank 2 or more")
    order = [*range(rank - 2), rank - 1, rank - 2]
    turned = add_node(importer, node, "transpose", [importer.operand(node, 1)], permutation=order)
    zeros = constant(importer, np.zeros(weight.shape[0]))
    product = add_node(importer, node, "dense", [turned, constant(importer, weight), zeros])
    return add_node(importer, node, "transpose", [product], permutation=order)


def _pads(importer: Importer, node: RawNode, kernel: Sequence[int], strides: Sequence[int]) -> tuple[int, ...]:
    mode = node.attributes.get("auto_pad", "NOTSET")
    if mode == "NOTSET":
        return tuple(node.attributes.get("pads", (0, 0, 0, 0)))
    if mode == "VALID":
        return (0, 0, 0, 0)
    if mode not in ("SAME_UPPER", "SAME_LOWER"):
        raise unsupported(node, f"auto_pad {mode!r} is unknown")
    shapes = importer.shape_of(node.inputs[0])
    if len({shape[2:] for shape in shapes}) != 1:
        raise unsupported(node, "auto_pad needs static height and width")
    before, after = [], []
    for size, reach, stride in zip(shapes[0][2:], kernel, strides, strict=True):
        total = max(0, (-(-size // stride) - 1) * stride + reach - size)
        small, large = total // 2, total - total // 2
        before.append(small if mode == "SAME_UPPER" else large)
        after.append(large if mode == "SAME_UPPER" else small)
    return (*before, *after)


def _window_attributes(
    importer: Importer, node: RawNode, kernel: Sequence[int]
) -> tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]]:
    if importer.rank_of(node.inputs[0]) != 4 or len(kernel) != 2:
        raise unsupported(node, "only two spatial axes are supported")
    strides = tuple(node.attributes.get("strides", (1, 1)))
    dilations = tuple(node.attributes.get("dilations", (1, 1)))
    reach = [dilation * (size - 1) + 1 for size, dilation in zip(kernel, dilations, strict=True)]
    pads = _pads(importer, node, reach, strides)
    if len(strides) != 2 or len(pads) != 4 or min(*strides, *dilations) < 1 or min(pads) < 0:
        raise unsupported(node, f"strides {strides}, dilations {dilations} and pads {pads} are not supported")
    return strides, pads, dilations


def _conv(importer: Importer, node: RawNode) -> Results:
    weight = importer.static(node, 1)
    if weight is None or weight.ndim != 4:
        raise unsupported(node, "only two-dimensional convolution with constant weights is supported")
    kernel = node.attributes.get("kernel_shape", weight.shape[2:])
    if tuple(kernel) != weight.shape[2:]:
        raise ModelError(f"{node.describe()}: kernel_shape {tuple(kernel)} differs from the weight's")
    strides, pads, dilations = _window_attributes(importer, node, weight.shape[2:])
    bias = _bias_or_zeros(importer, node, 2, weight.shape[0])
    inputs = [importer.operand(node, 0), constant(importer, weight), bias]
    groups = node.attributes.get("group", 1)
    if groups < 1:
        raise ModelError(f"{node.describe()}: group {groups} is not positive")
    return [add_node(importer, node, "conv2d", inputs, strides=strides, pads=pads, dilations=dilations, groups=groups)]


def _pool(op: str) -> Translator:
    def translator(importer: Importer, node: RawNode) -> Results:
        kernel = tuple(node.attributes["kernel_shape"])
        strides, pads, dilations = _window_attributes(importer, node, kernel)
        if dilations != (1, 1) or min(kernel) < 1:
            raise unsupported(node, "dilated pooling is not supported")
        if any(pads) and op == "average_pool2d" and not node.attributes.get("count_include_pad", 0):
            raise unsupported(node, "padding must count in the average (count_include_pad = 1)")
        if node.attributes.get("ceil_mode", 0):
            shape = importer.shape_of(node.inputs[0])[0]
            for axis in range(2):
                if (shape[2 + axis] + pads[axis] + pads[2 + axis] - kernel[axis]) % strides[axis]:
                    raise unsupported(node, "ceil_mode changes the result's size here, which is not supported")
        x = importer.operand(node, 0)
        return [add_node(importer, node, op, [x], kernel=kernel, strides=strides, pads=pads)]

    return translator


def _global_pool(op: str) -> Translator:
    def translator(importer: Importer, node: RawNode) -> Results:
        axes = tuple(range(2, importer.rank_of(node.inputs[0])))
        return [add_node(importer, node, op, [importer.operand(node, 0)], axes=axes, keepdims=True)]

    return translator


def _batch_norm(importer: Importer, node: RawNode) -> Results:
    if node.attributes.get("training_mode", 0):
        raise unsupported(node, "training mode is not supported")
    arrays = [importer.static(node, position) for position in range(1, 5)]
    if any(array is None for array in arrays):
        raise ModelError(f"{node.describe()}: it needs scale, bias, mean and variance")
    gain, bias, mean, variance = (np.asarray(array, dtype=np.float64) for array in arrays)
    factor = gain / np.sqrt(variance + node.attributes.get("epsilon", 1e-5))
    spread = (-1,) + (1,) * (importer.rank_of(node.inputs[0]) - 2)
    scaled = add_node(
        importer, node, "multiply", [importer.operand(node, 0), constant(importer, factor.reshape(spread))]
    )
    return [add_node(importer, node, "add", [scaled, constant(importer, (bias - mean * factor).reshape(spread))])]


def _norm(subtract_mean: bool) -> Translator:
    def translator(importer: Importer, node: RawNode) -> Results:
        shape = importer.shape_of(node.inputs[0])[0]
        if node.attributes.get("axis", -1) % len(shape) != len(shape) - 1:
            raise unsupported(node, "only the last axis can be normalised")
        gain = _bias_or_zeros(importer, node, 1, shape[-1])
        bias = _bias_or_zeros(importer, node, 2, shape[-1])
        epsilon = float(node.attributes.get("epsilon", 1e-5))
        inputs = [importer.operand(node, 0), gain, bias]
        return [add_node(importer, node, "layer_norm", inputs, epsilon=epsilon, subtract_mean=subtract_mean)]

    return translator


def _softmax(importer: Importer, node: RawNode) -> Results:
    rank = importer.rank_of(node.inputs[0])
    axis = node.attributes.get("axis", -1 if importer.opset >= 13 else 1) % rank
    x = importer.operand(node, 0)
    if axis == rank - 1:
        return [add_node(importer, node, "softmax", [x], causal=False)]
    if importer.opset < 13:
        raise unsupported(node, "before operator set 13 only the last axis is supported")
    order = [entry for entry in range(rank) if entry != axis] + [axis]
    turned = add_node(importer, node, "transpose", [x], permutation=order)
    result = add_node(importer, node, "softmax", [turned], causal=False)
    back = [order.index(entry) for entry in range(rank)]
    return [add_node(importer, node, "transpose", [result], permutation=back)]


_WINDOW = "auto_pad dilations kernel_shape pads strides"
_POOLING = f"{_WINDOW} ceil_mode count_include_pad storage_order"

TRANSLATORS: Translators = {
    "AveragePool": (_pool("average_pool2d"), _POOLING),
    "BatchNormalization": (_batch_norm, "epsilon momentum spatial training_mode"),
    "Conv": (_conv, f"{_WINDOW} group"),
    "Gemm": (_gemm, "alpha beta transA transB"),
    "GlobalAveragePool": (_global_pool("reduce_mean"), ""),
    "GlobalMaxPool": (_global_pool("reduce_max"), ""),
    "LayerNormalization": (_norm(True), "axis epsilon stash_type"),
    "MatMul": (_matmul, ""),
    "MaxPool": (_pool("max_pool2d"), _POOLING),
    "RMSNormalization": (_norm(False), "axis epsilon stash_type"),
    "Softmax": (_softmax, "axis"),
}
