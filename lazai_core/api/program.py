"""Exact integer programs: the canonical graph that is a model's identity (`docs/EXACT.md`, section 1).

A `Program` that exists is valid: its constructor checks every structural limit and every operation's rule
(types, shapes, intervals, the accumulator bound) and needs no weights for it, so a validator that holds only
the skeleton knows as much as the prover.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from itertools import accumulate

from attrs import field, frozen

from .encoding import Reader, Writer
from .errors import EncodingError, InvalidInput, InvalidProgram
from .program_rules import RuleViolation, check_extents, infer
from .program_skeleton import (
    read_constant,
    read_dim,
    read_input,
    read_op,
    read_output,
    write_constant,
    write_dim,
    write_input,
    write_op,
    write_output,
)
from .program_types import (
    CONSTANT_BYTES_MAX,
    CONSTANTS_MAX,
    EXTENT_MAX,
    INPUTS_MAX,
    OPS_MAX,
    OUTPUTS_MAX,
    SKELETON_BYTES_MAX,
    SYMBOLIC,
    AttributeValue,
    ConstantValue,
    Dim,
    DType,
    InputValue,
    Op,
    OutputValue,
    Scale,
    Shape,
    TensorType,
    ValueInfo,
    element_count,
)
from .types import ModelId

__all__ = [
    "Program",
    "BoundProgram",
    "Dim",
    "InputValue",
    "ConstantValue",
    "Op",
    "OutputValue",
    "DType",
    "Scale",
    "Shape",
    "SYMBOLIC",
    "TensorType",
    "ValueInfo",
    "SKELETON_BYTES_MAX",
    "element_count",
    "infer_op",
]

DIGEST_DOMAIN = b"lazai/program/v1\x00"
SKELETON_VERSION = 1

_NAME = re.compile(r"[A-Za-z0-9_.:/-]{1,64}\Z")


@frozen(kw_only=True)
class Program:
    """A valid exact program. The constructor raises `InvalidProgram` with the op's index, kind and reason.

    `values[i]` tells all that is statically known of value `i`: inputs, then constants, then op results.
    """

    dim: Dim | None
    inputs: tuple[InputValue, ...]
    constants: tuple[ConstantValue, ...]
    ops: tuple[Op, ...]
    outputs: tuple[OutputValue, ...]
    values: tuple[ValueInfo, ...] = field(init=False, eq=False, repr=False)

    def __attrs_post_init__(self) -> None:
        _check_counts(self)
        values = [_input_info(index, value, self.dim) for index, value in enumerate(self.inputs)]
        values += [_constant_info(index, value) for index, value in enumerate(self.constants)]
        _check_constants(self.constants)
        for index, op in enumerate(self.ops):
            values.append(infer_op(index, op.kind, op.operands, op.attributes, values, self.dim, declared=op.type))
        _check_outputs(self)
        object.__setattr__(self, "values", tuple(values))

    @property
    def first_constant(self) -> int:
        """Value index of the first constant."""
        return len(self.inputs)

    @property
    def first_result(self) -> int:
        """Value index of the first operation's result."""
        return len(self.inputs) + len(self.constants)

    def skeleton(self) -> bytes:
        """The canonical bytes, constants by digest. Raises `InvalidProgram` above 16 MiB."""
        writer = Writer().u16(SKELETON_VERSION)
        writer.sequence([] if self.dim is None else [self.dim], write_dim)
        writer.sequence(self.inputs, write_input)
        writer.sequence(self.constants, write_constant)
        writer.sequence(self.ops, write_op)
        writer.sequence(self.outputs, write_output)
        data = writer.finish()
        if len(data) > SKELETON_BYTES_MAX:
            raise InvalidProgram(f"the skeleton has {len(data)} bytes, more than {SKELETON_BYTES_MAX}")
        return data

    def digest(self) -> ModelId:
        """The model's identity: SHA-256 of `"lazai/program/v1"`, a zero byte and the skeleton."""
        return ModelId(hashlib.sha256(DIGEST_DOMAIN + self.skeleton()).digest())

    @classmethod
    def from_skeleton(cls, data: bytes) -> Program:
        """Read canonical bytes. Raises `EncodingError` (not canonical) or `InvalidProgram` (a rule)."""
        if len(data) > SKELETON_BYTES_MAX:
            raise EncodingError(f"a skeleton of {len(data)} bytes exceeds the limit of {SKELETON_BYTES_MAX}")
        reader = Reader(data)
        version = reader.u16()
        if version != SKELETON_VERSION:
            raise reader.fail(f"skeleton version {version} is unknown, {SKELETON_VERSION} is expected")
        dims = reader.sequence(read_dim, limit=1)
        inputs = reader.sequence(read_input, limit=INPUTS_MAX, item_bytes_min=38)
        constants = reader.sequence(read_constant, limit=CONSTANTS_MAX, item_bytes_min=58)
        ops = reader.sequence(read_op, limit=OPS_MAX, item_bytes_min=14)
        outputs = reader.sequence(read_output, limit=OUTPUTS_MAX, item_bytes_min=24)
        reader.finish()
        return cls(dim=dims[0] if dims else None, inputs=inputs, constants=constants, ops=ops, outputs=outputs)

    def bind(self, dim_value: int = 0) -> BoundProgram:
        """The program with its symbolic dimension fixed (0 where it has none). Raises `InvalidInput`."""
        return BoundProgram(program=self, dim_value=dim_value)

    def bind_input(self, data: bytes) -> BoundProgram:
        """Bind to the dimension a job input begins with; checks the length. Raises `InvalidInput`."""
        if len(data) < 4:
            raise InvalidInput(f"a job input begins with 4 bytes, {len(data)} were given")
        bound = self.bind(int.from_bytes(data[:4], "big"))
        if len(data) != bound.input_bytes:
            raise InvalidInput(f"the job input must have {bound.input_bytes} bytes, {len(data)} were given")
        return bound


@frozen(kw_only=True)
class BoundProgram:
    """A program at one value of its symbolic dimension: every shape is concrete."""

    program: Program
    dim_value: int
    shapes: tuple[Shape, ...] = field(init=False, eq=False, repr=False)

    def __attrs_post_init__(self) -> None:
        dim = self.program.dim
        if dim is None and self.dim_value != 0:
            raise InvalidInput(f"the program has no symbolic dimension, {self.dim_value} was given instead of 0")
        if dim is not None and not dim.minimum <= self.dim_value <= dim.maximum:
            raise InvalidInput(f"{dim.name} must be from {dim.minimum} to {dim.maximum}, not {self.dim_value}")
        object.__setattr__(self, "shapes", tuple(self.concrete(value.shape) for value in self.program.values))

    def concrete(self, shape: Shape) -> Shape:
        """`shape` with the symbolic dimension replaced."""
        return tuple(self.dim_value if entry == SYMBOLIC else entry for entry in shape)

    def byte_size(self, value: int) -> int:
        """Bytes of the raw tensor of value index `value`."""
        return element_count(self.shapes[value]) * self.program.values[value].dtype.size

    @property
    def input_bytes(self) -> int:
        """Length of the job input: the 4-byte prefix and every input tensor."""
        return 4 + sum(self.byte_size(index) for index in range(len(self.program.inputs)))

    @property
    def output_bytes(self) -> int:
        """Length of the job output: every output tensor."""
        return sum(self.byte_size(output.value) for output in self.program.outputs)

    def split_input(self, data: bytes) -> tuple[memoryview, ...]:
        """The raw bytes of each input tensor. Raises `InvalidInput` on another length or prefix.

        Intervals are *not* checked here: the backend does that when it has the elements.
        """
        if len(data) != self.input_bytes or int.from_bytes(data[:4], "big") != self.dim_value:
            raise InvalidInput(
                f"the job input must have {self.input_bytes} bytes and begin with {self.dim_value}, "
                f"{len(data)} bytes beginning with {int.from_bytes(data[:4], 'big')} were given"
            )
        return _split(memoryview(data)[4:], [self.byte_size(i) for i in range(len(self.program.inputs))])

    def split_output(self, data: bytes) -> tuple[memoryview, ...]:
        """The raw little-endian bytes of each output tensor. Raises `EncodingError` on another length."""
        if len(data) != self.output_bytes:
            raise EncodingError(f"the job output must have {self.output_bytes} bytes, {len(data)} were given")
        return _split(memoryview(data), [self.byte_size(output.value) for output in self.program.outputs])


def _split(data: memoryview, sizes: list[int]) -> tuple[memoryview, ...]:
    ends = list(accumulate(sizes))
    return tuple(data[end - size : end] for end, size in zip(ends, sizes, strict=True))


def infer_op(
    index: int,
    kind: str,
    operands: tuple[int, ...],
    attributes: tuple[tuple[str, AttributeValue], ...],
    values: Sequence[ValueInfo],
    dim: Dim | None,
    *,
    declared: TensorType | None = None,
) -> ValueInfo:
    """The result of operation `index` over the values so far. Raises `InvalidProgram` naming it."""
    try:
        for operand in operands:
            if not 0 <= operand < len(values):
                raise RuleViolation(f"operand {operand} is not a value before this operation ({len(values)} exist)")
        result = infer(kind, tuple(values[operand] for operand in operands), attributes, dim)
        if declared is not None and (declared.dtype, declared.shape) != (result.dtype, result.shape):
            raise RuleViolation(
                f"the declared result {declared.dtype.name.lower()} {declared.shape} differs from "
                f"the derived {result.dtype.name.lower()} {result.shape}"
            )
        return result
    except RuleViolation as violation:
        raise InvalidProgram(f"operation {index} ({kind[:40]}): {violation}") from None


def _check_name(name: str, what: str) -> None:
    if not _NAME.match(name):
        raise InvalidProgram(f"{what}: the name {name[:80]!r} must be 1 to 64 of A-Z a-z 0-9 _ . : / -")


def _check_counts(program: Program) -> None:
    limits = (
        ("inputs", len(program.inputs), INPUTS_MAX, 1),
        ("constants", len(program.constants), CONSTANTS_MAX, 0),
        ("operations", len(program.ops), OPS_MAX, 1),
        ("outputs", len(program.outputs), OUTPUTS_MAX, 1),
    )
    for what, count, most, least in limits:
        if not least <= count <= most:
            raise InvalidProgram(f"a program must have {least} to {most} {what}, not {count}")
    if program.dim is not None:
        dim = program.dim
        _check_name(dim.name, "symbolic dimension")
        if not 1 <= dim.minimum <= dim.maximum <= EXTENT_MAX:
            raise InvalidProgram(f"{dim.name}: the range {dim.minimum} to {dim.maximum} must lie in 1 to {EXTENT_MAX}")
    for what, names in (
        ("input", [v.name for v in program.inputs]),
        ("output", [v.name for v in program.outputs]),
    ):
        for index, name in enumerate(names):
            _check_name(name, f"{what} {index}")
        if len(set(names)) != len(names):
            raise InvalidProgram(f"{what} names must differ: {names}")


def _check_interval(what: str, dtype: DType, low: int, high: int) -> None:
    if not dtype.low <= low <= high <= dtype.high:
        raise InvalidProgram(
            f"{what}: the interval [{low}, {high}] is empty or leaves "
            f"[{dtype.low}, {dtype.high}] of {dtype.name.lower()}"
        )


def _check_scale(what: str, scale: Scale) -> None:
    absent = scale.mantissa == 0 and scale.exponent == 0
    # The bounds are those of finite doubles, so that `to_float` is always exact.
    present = 0 < scale.mantissa < 2**53 and scale.mantissa % 2 == 1 and scale.exponent >= -1074
    if not absent and not (present and scale.exponent + scale.mantissa.bit_length() <= 1024):
        raise InvalidProgram(f"{what}: the scale {scale.mantissa} * 2^{scale.exponent} is not a canonical float")


def _check_shape(what: str, shape: Shape, dim: Dim | None) -> None:
    try:
        check_extents(shape, dim)
    except RuleViolation as violation:
        raise InvalidProgram(f"{what}: {violation}") from None


def _input_info(index: int, value: InputValue, dim: Dim | None) -> ValueInfo:
    what = f"input {index} ({value.name})"
    _check_shape(what, value.shape, dim)
    _check_interval(what, value.dtype, value.low, value.high)
    _check_scale(what, value.scale)
    return ValueInfo(dtype=value.dtype, shape=value.shape, low=value.low, high=value.high)


def _constant_info(index: int, value: ConstantValue) -> ValueInfo:
    what = f"constant {index}"
    _check_shape(what, value.shape, None)
    _check_interval(what, value.dtype, value.low, value.high)
    if len(value.digest) != 32:
        raise InvalidProgram(f"{what}: a digest has 32 bytes, not {len(value.digest)}")
    if not 0 <= value.row_sum < 2**63:
        raise InvalidProgram(f"{what}: the row sum {value.row_sum} must lie in [0, 2^63)")
    return ValueInfo(
        dtype=value.dtype,
        shape=value.shape,
        low=value.low,
        high=value.high,
        is_constant=True,
        row_sum=value.row_sum,
    )


def _check_constants(constants: tuple[ConstantValue, ...]) -> None:
    total = sum(value.byte_size for value in constants)
    if total > CONSTANT_BYTES_MAX:
        raise InvalidProgram(f"the constants hold {total} bytes, more than {CONSTANT_BYTES_MAX}")
    sizes: dict[bytes, int] = {}
    for index, value in enumerate(constants):
        if sizes.setdefault(value.digest, value.byte_size) != value.byte_size:
            raise InvalidProgram(f"constant {index}: another constant of the same digest has another length")


def _check_outputs(program: Program) -> None:
    for index, output in enumerate(program.outputs):
        what = f"output {index} ({output.name})"
        if not program.first_result <= output.value < program.first_result + len(program.ops):
            raise InvalidProgram(f"{what}: value {output.value} is not the result of an operation")
        _check_scale(what, output.scale)
