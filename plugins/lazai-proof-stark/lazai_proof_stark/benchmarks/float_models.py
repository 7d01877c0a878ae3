"""The small benchmark models with seeded weights: perceptrons, two CNNs, and one transformer block, as ONNX."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from attrs import frozen
from numpy.typing import NDArray

from .onnx_writer import OnnxGraph

SEED = 20261120
Floats = NDArray[np.float32]


@frozen(kw_only=True)
class FloatModel:
    """An ONNX file, one input for it, and calibration samples."""

    name: str
    onnx: bytes
    shape: tuple[int, ...]
    parameters: int
    sample: Floats
    calibration: tuple[Floats, ...]

    @property
    def samples(self) -> list[Mapping[str, Any]]:
        """The calibration samples as the compiler takes them."""
        return [{"input": values} for values in self.calibration]


class _Network:
    def __init__(self, name: str, number: int, shape: Sequence[int]) -> None:
        self.graph = OnnxGraph(name, shape)
        self.random = np.random.Generator(np.random.PCG64(SEED + number))
        self.parameters = 0

    def weight(self, shape: tuple[int, ...], fan_in: int, gain: float) -> str:
        """Normal weights of variance gain / fan_in."""
        self.parameters += int(np.prod(shape))
        return self.graph.constant((self.random.standard_normal(shape) * np.sqrt(gain / fan_in)).astype(np.float32))

    def bias(self, count: int) -> str:
        self.parameters += count
        return self.graph.constant((self.random.standard_normal(count) * 0.05).astype(np.float32))

    def scalar(self, value: float) -> str:
        return self.graph.constant(np.array(value, dtype=np.float32))

    def dense(self, x: str, inputs: int, outputs: int, gain: float) -> str:
        """Weights [outputs, inputs], as Gemm takes them."""
        weight, bias = self.weight((outputs, inputs), inputs, gain), self.bias(outputs)
        return self.graph.node("Gemm", x, weight, bias, transB=1)

    def linear(self, x: str, inputs: int, outputs: int, gain: float = 1.0) -> str:
        """Weights [inputs, outputs], over tokens."""
        weight, bias = self.weight((inputs, outputs), inputs, gain), self.bias(outputs)
        return self.graph.node("Add", self.graph.node("MatMul", x, weight), bias)

    def stack(self, x: str, widths: Sequence[int]) -> str:
        """Dense layers with ReLU between."""
        for index in range(len(widths) - 1):
            last = index == len(widths) - 2
            x = self.dense(x, widths[index], widths[index + 1], 1.0 if last else 2.0)
            x = x if last else self.graph.node("Relu", x)
        return x

    def block(self, x: str, channels_in: int, channels_out: int) -> str:
        """A 5 x 5 convolution, ReLU and 2 x 2 max pooling."""
        weight = self.weight((channels_out, channels_in, 5, 5), 25 * channels_in, 2.0)
        bias = self.bias(channels_out)
        x = self.graph.node("Conv", x, weight, bias, kernel_shape=[5, 5], strides=[1, 1], pads=[0, 0, 0, 0])
        return self.graph.node("MaxPool", self.graph.node("Relu", x), kernel_shape=[2, 2], strides=[2, 2])

    def norm(self, x: str, width: int) -> str:
        """Layer normalisation spelt out."""
        node = self.graph.node
        centred = node("Sub", x, node("ReduceMean", x, axes=[-1], keepdims=1))
        variance = node("ReduceMean", node("Mul", centred, centred), axes=[-1], keepdims=1)
        deviation = node("Sqrt", node("Add", variance, self.scalar(1e-5)))
        gain = self.graph.constant((1 + 0.1 * self.random.standard_normal(width)).astype(np.float32))
        self.parameters += width
        return node("Add", node("Mul", node("Div", centred, deviation), gain), self.bias(width))

    def gelu(self, x: str) -> str:
        node = self.graph.node
        error = node("Erf", node("Mul", x, self.scalar(float(np.sqrt(0.5)))))
        return node("Mul", node("Mul", x, node("Add", error, self.scalar(1.0))), self.scalar(0.5))


def perceptron(name: str, number: int, widths: Sequence[int]) -> tuple[_Network, bytes]:
    """Dense layers with ReLU between."""
    network = _Network(name, number, (1, widths[0]))
    return network, network.graph.finish(network.stack("input", widths), (1, widths[-1]))


def cnn(
    name: str, number: int, image: tuple[int, int], channels: Sequence[int], widths: Sequence[int]
) -> tuple[_Network, bytes]:
    """Two convolution blocks over square images (channels, extent), then dense layers."""
    depth, extent = image
    network = _Network(name, number, (1, depth, extent, extent))
    x = "input"
    for count in channels:
        x, depth, extent = network.block(x, depth, count), count, (extent - 4) // 2
    flat = network.graph.node("Flatten", x, axis=1)
    x = network.stack(flat, [depth * extent * extent, *widths])
    return network, network.graph.finish(x, (1, widths[-1]))


def transformer(
    name: str, number: int, activation: str, width: int = 64, tokens: int = 16, heads: int = 4
) -> tuple[_Network, bytes]:
    """One pre-norm block over embedded tokens, their mean, and a linear head of ten classes."""
    network = _Network(name, number, (1, tokens, width))
    node, depth, inner = network.graph.node, width // heads, 4 * width

    def split(x: str, permutation: Sequence[int]) -> str:
        shape = network.graph.constant(np.array([1, tokens, heads, depth], dtype=np.int64))
        return node("Transpose", node("Reshape", network.linear(x, width, width), shape), perm=permutation)

    normal = network.norm("input", width)
    query, key, value = (split(normal, order) for order in ((0, 2, 1, 3), (0, 2, 3, 1), (0, 2, 1, 3)))
    scores = node("Mul", node("MatMul", query, key), network.scalar(float(depth**-0.5)))
    mixed = node("Transpose", node("MatMul", node("Softmax", scores, axis=3), value), perm=[0, 2, 1, 3])
    joined = node("Reshape", mixed, network.graph.constant(np.array([1, tokens, width], dtype=np.int64)))
    x = node("Add", "input", network.linear(joined, width, width))
    hidden = network.linear(network.norm(x, width), width, inner, 2.0)
    hidden = node("Relu", hidden) if activation == "relu" else network.gelu(hidden)
    x = node("Add", x, network.linear(hidden, inner, width))
    pooled = node("ReduceMean", x, axes=[1], keepdims=0)
    return network, network.graph.finish(network.dense(pooled, width, 10, 1.0), (1, 10))


Maker = Callable[[str, int], tuple[_Network, bytes]]
FLOAT_MODELS: Mapping[str, tuple[int, Maker, str, int]] = {
    "mlp_tiny": (0, lambda name, number: perceptron(name, number, (4, 8, 8, 3)), "normal", 20),
    "mlp_784": (1, lambda name, number: perceptron(name, number, (784, 128, 10)), "unit", 10),
    "lenet_max": (3, lambda name, number: cnn(name, number, (1, 28), (6, 16), (120, 84, 10)), "unit", 4),
    "cnn_264k": (4, lambda name, number: cnn(name, number, (3, 32), (16, 32), (256, 168, 10)), "unit", 2),
    "dense_4m": (5, lambda name, number: perceptron(name, number, (4, *[1000] * 5, 3)), "normal", 2),
    "tf1_relu": (6, lambda name, number: transformer(name, number, "relu"), "normal", 4),
    "tf1_gelu": (7, lambda name, number: transformer(name, number, "gelu"), "normal", 4),
}
"""Number (part of the seed), maker, how inputs are drawn, and calibration samples."""


def float_model(name: str) -> FloatModel:
    """The model of that name; KeyError for another."""
    number, make, draw, calibration = FLOAT_MODELS[name]
    network, onnx = make(name, number)
    shape = network.graph.input_shape
    random = np.random.Generator(np.random.PCG64(SEED + 1000 + number))

    def sample() -> Floats:
        values = random.random(shape) if draw == "unit" else random.standard_normal(shape)
        return np.round(values, 6).astype(np.float32)

    return FloatModel(
        name=name,
        onnx=onnx,
        shape=shape,
        parameters=network.parameters,
        sample=sample(),
        calibration=tuple(sample() for _ in range(calibration)),
    )
