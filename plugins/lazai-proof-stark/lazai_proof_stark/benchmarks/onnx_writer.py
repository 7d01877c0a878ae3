"""Small ONNX files written by hand: the subset of the format that the benchmark models need (onnx.proto, IR version 8).

The compiler and the peers then read the very same bytes, and nothing but the compiler needs the onnx package.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

IR_VERSION, OPSET = 8, 13
FLOAT, INT64 = 1, 7
ATTRIBUTE_INT, ATTRIBUTE_INTS = 2, 7
Attribute = int | Sequence[int]


def varint(value: int) -> bytes:
    """Protobuf's base-128 number; negative ones as 64-bit two's complement."""
    value &= (1 << 64) - 1
    parts = bytearray()
    while value >= 0x80:
        parts.append(value & 0x7F | 0x80)
        value >>= 7
    parts.append(value)
    return bytes(parts)


def number(field: int, value: int) -> bytes:
    """A numeric field."""
    return varint(field << 3) + varint(value)


def block(field: int, data: bytes) -> bytes:
    """A field of bytes, text, or an inner message."""
    return varint(field << 3 | 2) + varint(len(data)) + data


def text(field: int, value: str) -> bytes:
    """A text field."""
    return block(field, value.encode("utf-8"))


def tensor(name: str, values: NDArray[np.generic]) -> bytes:
    """A TensorProto of float32 or int64 values."""
    kind, stored = (FLOAT, "<f4") if values.dtype.kind == "f" else (INT64, "<i8")
    dims = b"".join(number(1, extent) for extent in values.shape)
    return dims + number(2, kind) + text(8, name) + block(9, values.astype(stored).tobytes())


def attribute(name: str, value: Attribute) -> bytes:
    """An AttributeProto of one integer or a list."""
    if isinstance(value, int):
        return text(1, name) + number(3, value) + number(20, ATTRIBUTE_INT)
    return text(1, name) + b"".join(number(8, entry) for entry in value) + number(20, ATTRIBUTE_INTS)


def float_value(name: str, shape: Sequence[int]) -> bytes:
    """A ValueInfoProto of a float32 tensor."""
    dims = b"".join(block(1, number(1, extent)) for extent in shape)
    return text(1, name) + block(2, block(1, number(1, FLOAT) + block(2, dims)))


class OnnxGraph:
    """Collects nodes and constants; `finish` gives the file."""

    def __init__(self, name: str, input_shape: Sequence[int]) -> None:
        self.name, self.input_shape = name, tuple(input_shape)
        self._nodes: list[bytes] = []
        self._tensors: list[bytes] = []
        self._count = 0

    def constant(self, values: NDArray[np.generic]) -> str:
        """The name of a new constant."""
        self._count += 1
        name = f"constant_{self._count}"
        self._tensors.append(tensor(name, np.asarray(values)))
        return name

    def node(self, kind: str, *inputs: str, **attributes: Attribute) -> str:
        """The name of the result of a new node."""
        self._count += 1
        return self._node(kind, inputs, f"{kind.lower()}_{self._count}", attributes)

    def _node(self, kind: str, inputs: Sequence[str], output: str, attributes: dict[str, Attribute]) -> str:
        message = b"".join(text(1, name) for name in inputs) + text(2, output) + text(3, f"node_{output}")
        message += text(4, kind) + b"".join(block(5, attribute(name, value)) for name, value in attributes.items())
        self._nodes.append(message)
        return output

    def finish(self, output: str, shape: Sequence[int]) -> bytes:
        """The model with one input, `input`, and one output, `output`."""
        self._node("Identity", (output,), "output", {})
        graph = b"".join(block(1, node) for node in self._nodes) + text(2, self.name)
        graph += b"".join(block(5, stored) for stored in self._tensors)
        graph += block(11, float_value("input", self.input_shape)) + block(12, float_value("output", shape))
        opset = text(1, "") + number(2, OPSET)
        return number(1, IR_VERSION) + text(2, "lazai-proof-stark") + block(7, graph) + block(8, opset)
