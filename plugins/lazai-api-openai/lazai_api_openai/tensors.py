"""Tensors of the Open Inference Protocol, to job input bytes and from job output bytes.

Reals become integers here and nowhere else: `q = floor(x / scale + 1/2)`, held within the input's interval, with
`x` as a 32-bit float. What was held back is counted and told to the client. Integers are taken as they are.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import chain
from math import prod
from typing import TYPE_CHECKING, Any

from attrs import frozen

from lazai_core.api.errors import InvalidInput
from lazai_core.api.program import SYMBOLIC, BoundProgram, DType, InputValue, Program, Shape

from .failures import ApiFailure, bad_request, unsupported

if TYPE_CHECKING:
    import numpy as np

INTEGER_TYPES = ("INT8", "INT16", "INT32", "INT64")
REAL_SUFFIX = "@fp32"
"""Ends the names of outputs that are given as reals; `@` occurs in no program's own names."""
_RANK_MAX = 7
_NUMPY_TYPES = {DType.INT8: "<i1", DType.INT16: "<i2", DType.INT32: "<i4"}


@frozen(kw_only=True)
class RequestTensor:
    """A tensor as it came: flat values in C order, as many as the shape says."""

    name: str
    datatype: str
    shape: Shape
    values: Sequence[int | float]


@frozen(kw_only=True)
class Batch:
    """Job inputs of one request: `bound` is the program at the dimension asked for, `saturated` counts values."""

    bound: BoundProgram
    inputs: tuple[bytes, ...]
    stacked: bool
    saturated: int


def read_tensor(item: Any, index: int) -> RequestTensor:
    """Read `inputs[index]`. Raises ApiFailure (400)."""
    where = f"inputs[{index}]"
    if not isinstance(item, dict):
        raise bad_request(f"{where} must be an object", where)
    name, datatype, shape = item.get("name"), item.get("datatype"), item.get("shape")
    if not isinstance(name, str):
        raise bad_request(f"{where}.name must be a text", f"{where}.name")
    if datatype not in ("FP32", *INTEGER_TYPES):
        raise bad_request(f"{where}.datatype must be FP32 or one of {', '.join(INTEGER_TYPES)}", f"{where}.datatype")
    if not isinstance(shape, list) or len(shape) > _RANK_MAX:
        raise bad_request(f"{where}.shape must be a list of at most {_RANK_MAX} extents", f"{where}.shape")
    if not all(type(extent) is int and 0 < extent < 2**31 for extent in shape):
        raise bad_request(f"{where}.shape must hold positive whole numbers", f"{where}.shape")
    parameters = item.get("parameters") or {}
    if not isinstance(parameters, dict) or "binary_data_size" in parameters:
        raise unsupported(f"{where}.parameters", "tensor data must stand in the JSON")
    values = _flatten(item.get("data"), shape, f"{where}.data")
    _check_elements(values, datatype, f"{where}.data")
    return RequestTensor(name=name, datatype=datatype, shape=tuple(shape), values=values)


def _flatten(data: Any, shape: Sequence[int], where: str) -> list[Any]:
    """Flat values of nested or flat data; the nesting must agree with the shape."""
    if not isinstance(data, list):
        raise bad_request(f"{where} must be a list", where)
    flat: list[Any] = data
    if flat and isinstance(flat[0], list):
        for axis in range(1, len(shape)):
            rows = prod(shape[:axis])
            if len(flat) != rows or not all(type(row) is list and len(row) == shape[axis] for row in flat):
                raise bad_request(f"{where} is not nested as the shape {list(shape)} says", where)
            flat = list(chain.from_iterable(flat))
    if len(flat) != prod(shape):
        raise bad_request(f"{where} has {len(flat)} values, the shape {list(shape)} asks for {prod(shape)}", where)
    return flat


def _check_elements(values: list[Any], datatype: str, where: str) -> None:
    kinds = {type(value) for value in values}
    if not kinds <= ({int, float} if datatype == "FP32" else {int}):
        what = "numbers" if datatype == "FP32" else "whole numbers"
        raise bad_request(f"{where} must hold {what} only, as {datatype} says", where)


def pack_tensors(program: Program, tensors: Sequence[RequestTensor], inputs_max: int) -> Batch:
    """Job inputs for these tensors, several when they carry one more leading axis. Raises ApiFailure (400)."""
    by_name = _by_name(program, tensors)
    dimension, count = _fit(program, by_name)
    if count > inputs_max:
        raise bad_request(
            f"the batch has {count} entries, this node takes at most {inputs_max} a request",
            "inputs",
            code="too_many_inputs",
        )
    try:
        bound = program.bind(dimension)
    except InvalidInput as cause:
        raise _too_long(program, dimension, str(cause)) from None
    saturated, columns = 0, []
    for value in program.inputs:
        integers, held = _integers(value, by_name[value.name])
        saturated += held
        rows = integers.reshape(max(count, 1), -1)
        columns.append([row.astype(_NUMPY_TYPES[value.dtype]).tobytes() for row in rows])
    prefix = dimension.to_bytes(4, "big")
    inputs = tuple(prefix + b"".join(parts) for parts in zip(*columns, strict=True))
    return Batch(bound=bound, inputs=inputs, stacked=count > 0, saturated=saturated)


def _too_long(program: Program, dimension: int, message: str) -> ApiFailure:
    assert program.dim is not None
    if dimension > program.dim.maximum:
        counts = {"tokens": dimension, "tokens_max": program.dim.maximum}
        return ApiFailure(400, "context_length_exceeded", message, param="inputs", extra=counts)
    return bad_request(message, "inputs", code="invalid_input")


def _by_name(program: Program, tensors: Sequence[RequestTensor]) -> dict[str, RequestTensor]:
    wanted = [value.name for value in program.inputs]
    by_name = {tensor.name: tensor for tensor in tensors}
    if sorted(tensor.name for tensor in tensors) != sorted(wanted):
        given = ", ".join(tensor.name[:64] for tensor in tensors) or "none"
        raise bad_request(f"the model takes the inputs {', '.join(wanted)}; given: {given}", "inputs")
    return by_name


def _match(shape: Shape, given: Shape) -> int | None:
    """The dimension's value that makes the shapes equal: 0 where none is needed, None where none does."""
    if len(shape) != len(given):
        return None
    found = 0
    for extent, value in zip(shape, given, strict=True):
        if extent == SYMBOLIC and found in (0, value):
            found = value
        elif extent != value:
            return None
    return found


def _common(dimensions: Iterable[int | None]) -> int | None:
    values = list(dimensions)
    known = {value for value in values if value}
    if None in values or len(known) > 1:
        return None
    return known.pop() if known else 0


def _fit(program: Program, by_name: Mapping[str, RequestTensor]) -> tuple[int, int]:
    """The dimension's value and the number of stacked entries, 0 where the shapes are the program's own."""
    pairs = [(value.shape, by_name[value.name].shape) for value in program.inputs]
    single = _common(_match(shape, given) for shape, given in pairs)
    if single is not None and (single or program.dim is None):
        return single, 0
    leading = {given[0] for _, given in pairs if given}
    stackable = all(shape and shape[0] == 1 and given for shape, given in pairs) and len(leading) == 1
    if stackable and all(program.values[output.value].shape[:1] == (1,) for output in program.outputs):
        stacked = _common(_match(shape[1:], given[1:]) for shape, given in pairs)
        if stacked is not None and (stacked or program.dim is None):
            return stacked, leading.pop()
    expected = ", ".join(f"{value.name} {list(value.shape)}" for value in program.inputs)
    given_text = ", ".join(f"{value.name} {list(by_name[value.name].shape)}" for value in program.inputs)
    raise bad_request(f"the shapes do not fit: expected {expected} (-1 is any), given {given_text}", "inputs")


def _integers(value: InputValue, tensor: RequestTensor) -> tuple[np.ndarray[Any, Any], int]:
    """The elements as int64 within the input's interval, and how many reals were held back to it."""
    import numpy as np

    if tensor.datatype == "FP32":
        return _quantize(value, tensor)
    try:
        elements = np.array(tensor.values, dtype=np.int64)
    except OverflowError:
        elements = None
    if elements is None or elements.min() < value.low or elements.max() > value.high:
        raise bad_request(
            f"{value.name}: every element must lie in [{value.low}, {value.high}]", "inputs", code="invalid_input"
        )
    return elements, 0


def _quantize(value: InputValue, tensor: RequestTensor) -> tuple[np.ndarray[Any, Any], int]:
    import numpy as np

    scale = value.scale.to_float()
    if scale == 0.0:
        raise bad_request(f"{value.name} takes integers, not FP32", "inputs", code="invalid_input")
    try:
        with np.errstate(over="ignore"):
            reals = np.array(tensor.values, dtype=np.float64).astype(np.float32).astype(np.float64)
            steps = np.floor(reals / scale + 0.5)
    except OverflowError:
        reals = np.array([np.inf])
    if not np.isfinite(reals).all():
        raise bad_request(f"{value.name}: every element must be a finite 32-bit float", "inputs")
    held = np.clip(steps, value.low, value.high)
    return held.astype(np.int64), int((held != steps).sum())


def unpack_outputs(batch: Batch, outputs: Sequence[bytes], wanted: Sequence[str]) -> list[dict[str, Any]]:
    """Output tensors as INT32 and, where a unit has a real value, as FP32 too. `wanted` empty means all."""
    import numpy as np

    program, bound = batch.bound.program, batch.bound
    rows = [bound.split_output(output) for output in outputs]
    result: list[dict[str, Any]] = []
    for index, output in enumerate(program.outputs):
        info = program.values[output.value]
        raw = b"".join(row[index] for row in rows)
        integers = np.frombuffer(raw, _NUMPY_TYPES[info.dtype]).astype(np.int64)
        shape = list(bound.shapes[output.value])
        if batch.stacked:
            shape[0] = len(rows)
        real_name = output.name + REAL_SUFFIX
        if not wanted or output.name in wanted:
            result.append(_tensor(output.name, "INT32", shape, integers.tolist()))
        if output.scale.mantissa and (not wanted or real_name in wanted):
            with np.errstate(over="ignore"):
                reals = (integers * output.scale.to_float()).astype(np.float32)
            result.append(_tensor(real_name, "FP32", shape, reals.tolist()))
    return result


def _tensor(name: str, datatype: str, shape: list[int], data: list[Any]) -> dict[str, Any]:
    return {"name": name, "datatype": datatype, "shape": shape, "data": data}


def output_names(program: Program) -> list[str]:
    """Every output name a request may ask for."""
    names = [output.name for output in program.outputs]
    return names + [output.name + REAL_SUFFIX for output in program.outputs if output.scale.mantissa]


def placeholder_input(program: Program, dimension: int) -> bytes:
    """A job input of this size with harmless values, for asking the price. Raises InvalidInput."""
    import numpy as np

    bound = program.bind(dimension)
    parts = [dimension.to_bytes(4, "big")]
    for index, value in enumerate(program.inputs):
        element = min(max(0, value.low), value.high)
        count = prod(bound.shapes[index])
        parts.append(np.full(count, element, _NUMPY_TYPES[value.dtype]).tobytes())
    return b"".join(parts)
