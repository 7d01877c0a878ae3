"""Arrays to bytes and back: job inputs, job outputs and tensor views."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from lazai_core.api.compute import TensorView
from lazai_core.api.errors import EncodingError, InvalidInput
from lazai_core.api.program import SYMBOLIC, BoundProgram, DType, Program, element_count

if TYPE_CHECKING:
    import numpy as np

    from lazai_core.exact.model import IntArray

_CODES = {DType.INT8: "<i1", DType.INT16: "<i2", DType.INT32: "<i4"}


def numpy_dtype(dtype: DType) -> np.dtype[Any]:
    """The little-endian numpy type of `dtype`."""
    import numpy as np

    return np.dtype(_CODES[dtype])


def dtype_name(dtype: DType) -> str:
    """The name that views use: int8, int16 or int32."""
    return dtype.name.lower()


def tensor_bytes(array: IntArray, dtype: DType) -> bytes:
    """Little-endian C-order bytes of an array whose elements fit `dtype`."""
    return array.astype(numpy_dtype(dtype), order="C", copy=False).tobytes()


def as_view(array: IntArray, dtype: DType) -> TensorView:
    """A view for other rooms."""
    return TensorView(dtype=dtype_name(dtype), shape=tuple(array.shape), data=tensor_bytes(array, dtype))


def from_view(view: TensorView) -> IntArray:
    """A read-only array over a view's bytes. Raises `EncodingError` where they do not fit its shape."""
    import numpy as np

    dtype = {dtype_name(known): known for known in DType}.get(view.dtype)
    if dtype is None:
        raise EncodingError(f"tensor views hold int8, int16 or int32, not {view.dtype!r}")
    expected = element_count(view.shape) * dtype.size
    if len(view.data) != expected or any(entry < 1 for entry in view.shape):
        raise EncodingError(f"a {view.dtype} view of shape {view.shape} does not have {len(view.data)} bytes")
    array = np.frombuffer(view.data, dtype=numpy_dtype(dtype)).reshape(view.shape)
    array.setflags(write=False)
    return array


def bind_arrays(program: Program, arrays: Sequence[IntArray], dim_value: int | None = None) -> BoundProgram:
    """Bind to the dimension the arrays have (or `dim_value`) and check them. Raises `InvalidInput`.

    Checked are number, shapes, that the elements are integers, and that they lie in the inputs' intervals.
    """
    if len(arrays) != len(program.inputs):
        raise InvalidInput(f"{len(program.inputs)} input tensors are needed, {len(arrays)} were given")
    if dim_value is None:
        dim_value = 0
        for declared, array in zip(program.inputs, arrays, strict=True):
            if SYMBOLIC in declared.shape and array.ndim == len(declared.shape):
                dim_value = array.shape[declared.shape.index(SYMBOLIC)]
    bound = program.bind(dim_value)
    for index, array in enumerate(arrays):
        _check_input(bound, index, array)
    return bound


def _check_input(bound: BoundProgram, index: int, array: IntArray) -> None:
    declared = bound.program.inputs[index]
    if array.dtype.kind not in "iu":
        raise InvalidInput(f"input {declared.name} must hold integers, not {array.dtype}")
    if tuple(array.shape) != bound.shapes[index]:
        raise InvalidInput(f"input {declared.name} must have shape {bound.shapes[index]}, not {array.shape}")
    low, high = int(array.min()), int(array.max())
    if low < declared.low or high > declared.high:
        raise InvalidInput(f"input {declared.name} reaches [{low}, {high}], outside [{declared.low}, {declared.high}]")


def encode_inputs(program: Program, arrays: Sequence[IntArray], dim_value: int | None = None) -> bytes:
    """Job input bytes of one array per input. Raises `InvalidInput`."""
    bound = bind_arrays(program, arrays, dim_value)
    parts = [tensor_bytes(a, declared.dtype) for a, declared in zip(arrays, program.inputs, strict=True)]
    return bound.dim_value.to_bytes(4, "big") + b"".join(parts)


def decode_inputs(program: Program, data: bytes) -> tuple[BoundProgram, tuple[IntArray, ...]]:
    """The bound program and read-only input arrays. Raises `InvalidInput` on any misfit."""
    import numpy as np

    bound = program.bind_input(data)
    arrays = []
    for index, part in enumerate(bound.split_input(data)):
        dtype = numpy_dtype(program.inputs[index].dtype)
        array = np.frombuffer(part, dtype=dtype).reshape(bound.shapes[index])
        _check_input(bound, index, array)
        arrays.append(array)
    return bound, tuple(arrays)


def encode_outputs(bound: BoundProgram, arrays: Sequence[IntArray]) -> bytes:
    """Job output bytes of one array per output. Raises `EncodingError` where they do not fit the program."""
    outputs = bound.program.outputs
    if len(arrays) != len(outputs):
        raise EncodingError(f"{len(outputs)} output tensors are needed, {len(arrays)} were given")
    parts = []
    for output, array in zip(outputs, arrays, strict=True):
        info = bound.program.values[output.value]
        if tuple(array.shape) != bound.shapes[output.value]:
            raise EncodingError(f"output {output.name} must have shape {bound.shapes[output.value]}, not {array.shape}")
        if int(array.min()) < info.low or int(array.max()) > info.high:
            raise EncodingError(f"output {output.name} leaves its interval [{info.low}, {info.high}]")
        parts.append(tensor_bytes(array, info.dtype))
    return b"".join(parts)


def decode_outputs(bound: BoundProgram, data: bytes) -> tuple[IntArray, ...]:
    """Read-only output arrays. Raises `EncodingError` on another length."""
    import numpy as np

    arrays = []
    for output, part in zip(bound.program.outputs, bound.split_output(data), strict=True):
        dtype = numpy_dtype(bound.program.values[output.value].dtype)
        arrays.append(np.frombuffer(part, dtype=dtype).reshape(bound.shapes[output.value]))
    return tuple(arrays)
