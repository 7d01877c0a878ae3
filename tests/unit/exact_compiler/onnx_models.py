"""Small ONNX models with seeded weights, built node by node for the compiler's tests."""

from __future__ import annotations

from collections.abc import Sequence
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
    for position, (inner, outer) in enumerate(zip(widths, widths[1:], strict=False)):
        value = builder.op("Gemm", value, builder.weight(inner, outer), builder.weight(outer, scale=0.1))
        if position < len(widths) - 2:
            value = builder.op("Relu", value)
    builder.output(value)
    return builder.build()
