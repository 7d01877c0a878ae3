"""Small ONNX models with seeded weights, built node by node for the compiler's tests."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from onnx import TensorProto, helper, numpy_helper


class OnnxBuilder:
    """Collects nodes and initializers; every method returns the name of a result."""

    def __init__(self, seed: int = 1, opset: int = 17) -> None:
        self.random = np.random.default_rng(seed)
        self.opset = opset
        self.nodes: list[Any] = []
        self.constants: list[Any] = []
        self.inputs: list[Any] = []
        self.outputs: list[Any] = []

    def input(self, name: str, shape: Sequence[int | str], kind: int = TensorProto.FLOAT) -> str:
        self.inputs.append(helper.make_tensor_value_info(name, kind, list(shape)))
        return name

    def constant(self, value: Any, dtype: Any = np.float32) -> str:
        name = f"c{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.asarray(value, dtype=dtype), name))
        return name

    def weight(self, *shape: int, scale: float | None = None) -> str:
        factor = scale if scale is not None else 1 / np.sqrt(shape[0] if len(shape) == 2 else np.prod(shape[1:]))
        return self.constant(self.random.standard_normal(shape) * factor)

    def op(self, kind: str, *inputs: str, outputs: int = 1, **attributes: Any) -> Any:
        names = [f"{kind.lower()}_{len(self.nodes)}_{i}" for i in range(outputs)]
        node = helper.make_node(kind, list(inputs), names, name=f"n{len(self.nodes)}_{kind}", **attributes)
        self.nodes.append(node)
        return names[0] if outputs == 1 else names

    def ints(self, *values: int) -> str:
        return self.constant(values, np.int64)

    def output(self, name: str) -> None:
        self.nodes.append(helper.make_node("Identity", [name], [f"output_{len(self.outputs)}"]))
        info = helper.make_tensor_value_info(f"output_{len(self.outputs)}", TensorProto.FLOAT, None)
        self.outputs.append(info)

    def build(self) -> bytes:
        graph = helper.make_graph(self.nodes, "test", self.inputs, self.outputs, self.constants)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", self.opset)])
        model.ir_version = 8
        return bytes(model.SerializeToString(deterministic=True))


def mlp(widths: Sequence[int] = (4, 8, 3), seed: int = 1) -> bytes:
    """Gemm and ReLU layers; input `x` `[1, widths[0]]`."""
    builder = OnnxBuilder(seed)
    value = builder.input("x", [1, widths[0]])
    for position, (inner, outer) in enumerate(pairwise(widths)):
        value = builder.op("Gemm", value, builder.weight(inner, outer), builder.weight(outer, scale=0.1))
        if position < len(widths) - 2:
            value = builder.op("Relu", value)
    builder.output(value)
    return builder.build()


HIDDEN, HEADS, VOCABULARY, POSITIONS = 16, 2, 50, 32


class Transformer(OnnxBuilder):
    """Pieces as PyTorch's exporter writes them: shapes computed in the graph, norms and GELU decomposed."""

    def size(self, value: str, axis: int) -> str:
        return str(self.op("Gather", self.op("Shape", value), self.constant(axis, np.int64), axis=0))

    def linear(self, value: str, inner: int, outer: int) -> str:
        product = self.op("MatMul", value, self.weight(inner, outer))
        return str(self.op("Add", self.weight(outer, scale=0.05), product))

    def norm(self, value: str) -> str:
        centred = self.op("Sub", value, self.op("ReduceMean", value, axes=[-1]))
        square = self.op("Pow", centred, self.constant(2.0))
        variance = self.op("ReduceMean", square, axes=[-1])
        root = self.op("Sqrt", self.op("Add", variance, self.constant(1e-5)))
        scaled = self.op("Mul", self.op("Div", centred, root), self.constant(self.random.uniform(0.8, 1.2, HIDDEN)))
        return str(self.op("Add", scaled, self.weight(HIDDEN, scale=0.05)))

    def gelu_erf(self, value: str) -> str:
        inner = self.op("Erf", self.op("Div", value, self.constant(np.sqrt(2.0))))
        return str(self.op("Mul", self.op("Mul", value, self.op("Add", inner, self.constant(1.0))), self.constant(0.5)))

    def gelu_tanh(self, value: str) -> str:
        cube = self.op("Mul", self.op("Pow", value, self.constant(3.0)), self.constant(0.044715))
        inner = self.op("Mul", self.op("Add", value, cube), self.constant(np.sqrt(2 / np.pi)))
        half = self.op("Mul", value, self.constant(0.5))
        return str(self.op("Mul", half, self.op("Add", self.op("Tanh", inner), self.constant(1.0))))

    def heads(self, value: str, order: Sequence[int]) -> str:
        sizes = [self.op("Unsqueeze", self.size(value, axis), self.ints(0)) for axis in (0, 1)]
        shape = self.op("Concat", *sizes, self.ints(HEADS), self.ints(HIDDEN // HEADS), axis=0)
        return str(self.op("Transpose", self.op("Reshape", value, shape), perm=list(order)))

    def joined(self, value: str) -> str:
        turned = self.op("Transpose", value, perm=[0, 2, 1, 3])
        return str(self.op("Reshape", turned, self.ints(0, -1, HIDDEN)))

    def positions(self, ids: str) -> str:
        length = self.op("Unsqueeze", self.size(ids, 1), self.ints(0))
        table = self.constant(np.arange(POSITIONS)[None, :], np.int64)
        places = self.op("Slice", table, self.ints(0), length, self.ints(1), self.ints(1))
        return str(self.op("Gather", self.weight(POSITIONS, HIDDEN, scale=0.5), places))


def bert() -> bytes:
    """One encoder layer over ids, an attention mask and token types; mean pooling under the mask."""
    b = Transformer(3)
    ids = b.input("input_ids", ["batch", "sequence"], TensorProto.INT64)
    mask = b.input("attention_mask", ["batch", "sequence"], TensorProto.INT64)
    kinds = b.input("token_type_ids", ["batch", "sequence"], TensorProto.INT64)
    words = b.op("Gather", b.weight(VOCABULARY, HIDDEN, scale=0.5), ids)
    words = b.op("Add", words, b.op("Gather", b.weight(2, HIDDEN, scale=0.5), kinds))
    x = b.norm(b.op("Add", words, b.positions(ids)))
    wide = b.op("Cast", b.op("Unsqueeze", b.op("Unsqueeze", mask, b.ints(1)), b.ints(2)), to=TensorProto.FLOAT)
    hidden = b.op("Mul", b.op("Sub", b.constant(1.0), wide), b.constant(-3.4e38))
    query, value = (b.heads(b.linear(x, HIDDEN, HIDDEN), (0, 2, 1, 3)) for _ in range(2))
    key = b.heads(b.linear(x, HIDDEN, HIDDEN), (0, 2, 3, 1))
    scores = b.op("Div", b.op("MatMul", query, key), b.constant(np.sqrt(HIDDEN / HEADS)))
    shares = b.op("Softmax", b.op("Add", scores, hidden), axis=-1)
    attended = b.linear(b.joined(b.op("MatMul", shares, value)), HIDDEN, HIDDEN)
    x = b.norm(b.op("Add", attended, x))
    inner = b.gelu_erf(b.linear(x, HIDDEN, 4 * HIDDEN))
    x = b.norm(b.op("Add", b.linear(inner, 4 * HIDDEN, HIDDEN), x))
    spread = b.op("Expand", b.op("Unsqueeze", b.op("Cast", mask, to=TensorProto.FLOAT), b.ints(2)), b.op("Shape", x))
    total = b.op("ReduceSum", b.op("Mul", x, spread), b.ints(1), keepdims=0)
    count = b.op("Clip", b.op("ReduceSum", spread, b.ints(1), keepdims=0), b.constant(1e-9))
    b.output(b.op("Div", total, count))
    return b.build()


def gpt2(masking: str = "where") -> bytes:
    """One pre-norm decoder layer and a language-model head; the mask is chosen or added."""
    b = Transformer(4)
    ids = b.input("input_ids", [1, "sequence"], TensorProto.INT64)
    table = b.weight(VOCABULARY, HIDDEN, scale=0.5)
    x = b.op("Add", b.op("Gather", table, ids), b.positions(ids))
    h = b.norm(x)
    joint = b.linear(h, HIDDEN, 3 * HIDDEN)
    parts = b.op("Split", joint, b.ints(HIDDEN, HIDDEN, HIDDEN), outputs=3, axis=2)
    query, value = b.heads(parts[0], (0, 2, 1, 3)), b.heads(parts[2], (0, 2, 1, 3))
    key = b.heads(parts[1], (0, 2, 3, 1))
    scores = b.op("Mul", b.op("MatMul", query, key), b.constant(1 / np.sqrt(HIDDEN / HEADS)))
    length = b.op("Unsqueeze", b.size(ids, 1), b.ints(0))
    square = np.tril(np.ones((1, 1, POSITIONS, POSITIONS)))
    triangle = b.constant(square, np.bool_) if masking == "where" else b.constant((1 - square) * -1e4)
    seen = b.op("Slice", triangle, b.ints(0), length, b.ints(2))
    seen = b.op("Slice", seen, b.ints(0), length, b.ints(3))
    masked = b.op("Where", seen, scores, b.constant(-3.4e38)) if masking == "where" else b.op("Add", scores, seen)
    context = b.joined(b.op("MatMul", b.op("Softmax", masked, axis=-1), value))
    x = b.op("Add", b.linear(context, HIDDEN, HIDDEN), x)
    x = b.op("Add", x, b.linear(b.gelu_tanh(b.linear(b.norm(x), HIDDEN, 4 * HIDDEN)), 4 * HIDDEN, HIDDEN))
    b.output(b.op("MatMul", b.norm(x), b.op("Transpose", table, perm=[1, 0])))
    return b.build()


def convolutional() -> bytes:
    """Convolutions with batch norm, a residual sum, both poolings, and a head."""
    b = OnnxBuilder(5)
    x = b.input("x", [1, 2, 8, 8])

    def block(value: str, inner: int, outer: int, relu: bool = True, **attributes: Any) -> str:
        made = b.op("Conv", value, b.weight(outer, inner, 3, 3), pads=[1, 1, 1, 1], **attributes)
        statistics = [b.constant(b.random.uniform(0.5, 1.5, outer)) for _ in range(4)]
        made = b.op("BatchNormalization", made, *statistics, epsilon=1e-5)
        return str(b.op("Relu", made)) if relu else str(made)

    first = block(x, 2, 4)
    second = block(block(first, 4, 4), 4, 4, relu=False)
    joined = b.op("Relu", b.op("Add", second, first))
    pooled = b.op("MaxPool", joined, kernel_shape=[2, 2], strides=[2, 2])
    pooled = b.op("AveragePool", pooled, kernel_shape=[2, 2], strides=[2, 2])
    flat = b.op("Flatten", b.op("Sigmoid", block(pooled, 4, 6, strides=[2, 2])), axis=1)
    b.output(b.op("Gemm", flat, b.weight(5, 6), transB=1))
    return b.build()
