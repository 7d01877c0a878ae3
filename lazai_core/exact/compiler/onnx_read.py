"""Reads ONNX bytes defensively into plain nodes and arrays; no other module touches protobuf.

Everything a file claims is checked before memory is spent on it: total size, counts, tensor sizes against
their bytes, value names, order. A cycle, an unknown value or a value defined twice is an error naming the node.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from attrs import frozen

from lazai_core.api.errors import ModelError, UnsupportedProgram
from lazai_core.exact.compiler.float_graph import Array

FILE_BYTES_MAX = 1 << 31
NODES_MAX = 200_000
VALUES_PER_NODE_MAX = 4096
TENSOR_ELEMENTS_MAX = 1 << 30
OPSET_MIN, OPSET_MAX = 7, 25


@frozen(kw_only=True)
class RawNode:
    """One ONNX node; an empty input name stands for an absent optional input."""

    op: str
    name: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: Mapping[str, Any]

    def describe(self) -> str:
        label = self.name or (self.outputs[0] if self.outputs else "?")
        return f"node {label!r} ({self.op})"


@frozen(kw_only=True)
class RawInput:
    """One graph input; an axis is a size, or the name of a free dimension."""

    name: str
    integer: bool
    axes: tuple[int | str, ...]


@frozen(kw_only=True)
class RawModel:
    """A checked ONNX graph: nodes in topological order."""

    opset: int
    inputs: tuple[RawInput, ...]
    constants: Mapping[str, Array]
    nodes: tuple[RawNode, ...]
    outputs: tuple[str, ...]


def read_onnx(data: bytes) -> RawModel:
    """Parse and check an ONNX file.

    Raises `ModelError` for bytes that are not a sound model and `UnsupportedProgram` for features outside
    the supported set; both name the node or tensor.
    """
    if len(data) > FILE_BYTES_MAX:
        raise ModelError(f"the ONNX file has {len(data)} bytes, the limit is {FILE_BYTES_MAX}")
    model = _parse(data)
    graph = model.graph
    if not graph.node and not graph.output:
        raise ModelError("the ONNX file holds no graph", hint="check that the file is complete")
    if len(graph.node) > NODES_MAX:
        raise ModelError(f"the ONNX graph has {len(graph.node)} nodes, the limit is {NODES_MAX}")
    if graph.sparse_initializer:
        raise UnsupportedProgram("the model holds sparse initializers", hint="export it with dense weights")
    constants: dict[str, Array] = {}
    for tensor in graph.initializer:
        if not tensor.name or tensor.name in constants:
            raise ModelError(f"the initializer name {tensor.name!r} is empty or used twice")
        constants[tensor.name] = read_tensor(tensor, f"initializer {tensor.name!r}")
    inputs = tuple(_read_input(entry) for entry in graph.input if entry.name not in constants)
    nodes = [_read_node(node) for node in graph.node]
    outputs = tuple(entry.name for entry in graph.output)
    ordered = _ordered(nodes, {entry.name for entry in inputs} | set(constants), outputs)
    return RawModel(opset=_opset(model), inputs=inputs, constants=constants, nodes=ordered, outputs=outputs)


def _parse(data: bytes) -> Any:
    import onnx
    from google.protobuf.message import DecodeError

    model: Any = onnx.ModelProto()
    try:
        model.ParseFromString(data)
    except (DecodeError, RecursionError, ValueError, UnicodeDecodeError) as error:
        raise ModelError(
            f"the bytes are not an ONNX model ({type(error).__name__})", hint="check that the file is complete"
        ) from error
    if model.functions:
        raise UnsupportedProgram("the model defines local functions", hint="export it with functions inlined")
    return model


def _opset(model: Any) -> int:
    versions = [entry.version for entry in model.opset_import if entry.domain in ("", "ai.onnx")]
    if len(versions) != 1 or not OPSET_MIN <= versions[0] <= OPSET_MAX:
        raise UnsupportedProgram(
            f"the model imports the ONNX operator sets {versions}, one of {OPSET_MIN} to {OPSET_MAX} is needed"
        )
    return int(versions[0])


def read_tensor(tensor: Any, where: str) -> Array:
    """The array of a TensorProto, its stated size checked against the bytes it brings."""
    import onnx
    from onnx import numpy_helper

    if tensor.data_location == onnx.TensorProto.EXTERNAL or tensor.external_data:
        raise UnsupportedProgram(
            f"{where}: the data lie in another file", hint="save the model as a single file with its weights"
        )
    kinds = _tensor_kinds()
    if tensor.data_type not in kinds:
        raise UnsupportedProgram(f"{where}: element type {tensor.data_type} is not supported")
    dtype, holder = kinds[tensor.data_type]
    dims = tuple(tensor.dims)
    if any(size < 0 for size in dims) or len(dims) > 8 or math.prod(dims) > TENSOR_ELEMENTS_MAX:
        raise ModelError(f"{where}: the shape {dims} is negative or above {TENSOR_ELEMENTS_MAX} elements")
    count = math.prod(dims)
    held = len(tensor.raw_data) // dtype.itemsize if tensor.HasField("raw_data") else len(getattr(tensor, holder))
    exact = not tensor.HasField("raw_data") or len(tensor.raw_data) == count * dtype.itemsize
    if held != count or not exact:
        raise ModelError(f"{where}: the shape {dims} needs {count} elements, the file brings {held}")
    try:
        array: Array = numpy_helper.to_array(tensor)
    except (ValueError, TypeError, OverflowError) as error:
        raise ModelError(f"{where}: the tensor cannot be read ({error})") from error
    return _checked_floats(array, where)


def _checked_floats(array: Array, where: str) -> Array:
    if array.dtype.kind != "f":
        return array
    if np.isnan(array).any():
        raise ModelError(f"{where}: a value is NaN")
    with np.errstate(over="ignore"):
        return array.astype(np.float32)


def _tensor_kinds() -> Mapping[int, tuple[np.dtype[Any], str]]:
    from onnx import TensorProto

    return {
        TensorProto.FLOAT: (np.dtype(np.float32), "float_data"),
        TensorProto.DOUBLE: (np.dtype(np.float64), "double_data"),
        TensorProto.FLOAT16: (np.dtype(np.float16), "int32_data"),
        TensorProto.INT64: (np.dtype(np.int64), "int64_data"),
        TensorProto.INT32: (np.dtype(np.int32), "int32_data"),
        TensorProto.INT16: (np.dtype(np.int16), "int32_data"),
        TensorProto.INT8: (np.dtype(np.int8), "int32_data"),
        TensorProto.UINT8: (np.dtype(np.uint8), "int32_data"),
        TensorProto.BOOL: (np.dtype(np.bool_), "int32_data"),
    }


def _read_input(entry: Any) -> RawInput:
    from onnx import TensorProto

    where = f"input {entry.name!r}"
    if not entry.name or not entry.type.HasField("tensor_type"):
        raise UnsupportedProgram(f"{where}: only named tensors can be inputs")
    kind = entry.type.tensor_type
    floats = (TensorProto.FLOAT, TensorProto.FLOAT16, TensorProto.DOUBLE)
    integers = (TensorProto.INT32, TensorProto.INT64, TensorProto.BOOL)
    if kind.elem_type not in floats + integers:
        raise UnsupportedProgram(f"{where}: element type {kind.elem_type} is not supported")
    if not kind.HasField("shape"):
        raise UnsupportedProgram(f"{where}: the shape is not stated", hint="export the model with input shapes")
    axes: list[int | str] = []
    for position, axis in enumerate(kind.shape.dim):
        if axis.HasField("dim_value"):
            if axis.dim_value < 1:
                raise ModelError(f"{where}: axis {position} has size {axis.dim_value}")
            axes.append(int(axis.dim_value))
        else:
            axes.append(axis.dim_param or f"{entry.name}_axis_{position}")
    return RawInput(name=entry.name, integer=kind.elem_type in integers, axes=tuple(axes))


def _read_node(node: Any) -> RawNode:
    label = node.name or (node.output[0] if node.output else "?")
    where = f"node {label!r} ({node.op_type})"
    if node.domain not in ("", "ai.onnx"):
        raise UnsupportedProgram(f"{where}: the operator domain {node.domain!r} is not supported")
    if max(len(node.input), len(node.output)) > VALUES_PER_NODE_MAX:
        raise ModelError(f"{where}: more than {VALUES_PER_NODE_MAX} inputs or outputs")
    attributes: dict[str, Any] = {}
    for attribute in node.attribute:
        if attribute.name in attributes:
            raise ModelError(f"{where}: the attribute {attribute.name!r} is given twice")
        attributes[attribute.name] = _read_attribute(attribute, where)
    return RawNode(
        op=node.op_type, name=label, inputs=tuple(node.input), outputs=tuple(node.output), attributes=attributes
    )


def _read_attribute(attribute: Any, where: str) -> Any:
    from onnx import AttributeProto

    kinds: Mapping[int, Callable[[], Any]] = {
        AttributeProto.INT: lambda: int(attribute.i),
        AttributeProto.FLOAT: lambda: float(attribute.f),
        AttributeProto.STRING: lambda: bytes(attribute.s).decode("utf-8", "replace"),
        AttributeProto.INTS: lambda: tuple(int(entry) for entry in attribute.ints),
        AttributeProto.FLOATS: lambda: tuple(float(entry) for entry in attribute.floats),
        AttributeProto.TENSOR: lambda: read_tensor(attribute.t, f"{where}, attribute {attribute.name!r}"),
    }
    reader = kinds.get(attribute.type)
    if reader is None:
        raise UnsupportedProgram(f"{where}: the attribute {attribute.name!r} has an unsupported type")
    return reader()


def _ordered(nodes: Sequence[RawNode], given: set[str], outputs: Sequence[str]) -> tuple[RawNode, ...]:
    """Nodes in topological order (the file's order where it already is one)."""
    makers: dict[str, int] = {}
    for position, node in enumerate(nodes):
        for name in filter(None, node.outputs):
            if name in makers or name in given:
                raise ModelError(f"{node.describe()}: the value {name!r} is defined twice")
            makers[name] = position
    waiting = []
    readers: dict[int, list[int]] = {}
    for position, node in enumerate(nodes):
        sources = set()
        for name in filter(None, node.inputs):
            if name not in makers and name not in given:
                raise ModelError(f"{node.describe()}: the value {name!r} is never defined")
            if name in makers:
                sources.add(makers[name])
        waiting.append(len(sources))
        for source in sources:
            readers.setdefault(source, []).append(position)
    for name in outputs:
        if name not in makers and name not in given:
            raise ModelError(f"the graph output {name!r} is never defined")
    return _kahn(nodes, waiting, readers)


def _kahn(nodes: Sequence[RawNode], waiting: list[int], readers: Mapping[int, Sequence[int]]) -> tuple[RawNode, ...]:
    import heapq

    ready = [position for position, count in enumerate(waiting) if count == 0]
    order: list[int] = []
    while ready:
        position = heapq.heappop(ready)
        order.append(position)
        for reader in readers.get(position, ()):
            waiting[reader] -= 1
            if waiting[reader] == 0:
                heapq.heappush(ready, reader)
    if len(order) != len(nodes):
        stuck = next(node for position, node in enumerate(nodes) if waiting[position] > 0)
        raise ModelError(f"{stuck.describe()}: the graph has a cycle through this node")
    return tuple(nodes[position] for position in order)
