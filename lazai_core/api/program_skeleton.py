"""Canonical bytes of the parts of a program. Reading checks the form only; `Program` checks the rules."""

from __future__ import annotations

from .encoding import Reader, Writer
from .program_types import (
    ATTRIBUTE_ENTRIES_MAX,
    ATTRIBUTES_MAX,
    NAME_BYTES_MAX,
    OPERANDS_MAX,
    RANK_MAX,
    AttributeValue,
    ConstantValue,
    Dim,
    DType,
    InputValue,
    Op,
    OutputValue,
    Scale,
    Shape,
)


def write_shape(writer: Writer, shape: Shape) -> None:
    """A u8 rank and an i64 per entry."""
    writer.u8(len(shape))
    for entry in shape:
        writer.i64(entry)


def read_shape(reader: Reader) -> Shape:
    """A u8 rank and an i64 per entry."""
    rank = reader.u8()
    if rank > RANK_MAX:
        raise reader.fail(f"rank {rank} exceeds {RANK_MAX}")
    return tuple(reader.i64() for _ in range(rank))


def read_dtype(reader: Reader) -> DType:
    """A u8 code."""
    code = reader.u8()
    if code not in (1, 2, 3):
        raise reader.fail(f"dtype code {code} is unknown")
    return DType(code)


def write_scale(writer: Writer, scale: Scale) -> None:
    """An i64 mantissa and an i64 exponent."""
    writer.i64(scale.mantissa).i64(scale.exponent)


def read_scale(reader: Reader) -> Scale:
    """An i64 mantissa and an i64 exponent."""
    return Scale(mantissa=reader.i64(), exponent=reader.i64())


def write_dim(writer: Writer, dim: Dim) -> None:
    """Name, minimum, maximum."""
    writer.text(dim.name).u32(dim.minimum).u32(dim.maximum)


def read_dim(reader: Reader) -> Dim:
    """Name, minimum, maximum."""
    return Dim(name=reader.text(NAME_BYTES_MAX), minimum=reader.u32(), maximum=reader.u32())


def write_input(writer: Writer, value: InputValue) -> None:
    """Name, type, interval, scale."""
    writer.text(value.name).u8(value.dtype)
    write_shape(writer, value.shape)
    writer.i64(value.low).i64(value.high)
    write_scale(writer, value.scale)


def read_input(reader: Reader) -> InputValue:
    """Name, type, interval, scale."""
    return InputValue(
        name=reader.text(NAME_BYTES_MAX),
        dtype=read_dtype(reader),
        shape=read_shape(reader),
        low=reader.i64(),
        high=reader.i64(),
        scale=read_scale(reader),
    )


def write_constant(writer: Writer, value: ConstantValue) -> None:
    """Type, digest, interval, row sum."""
    writer.u8(value.dtype)
    write_shape(writer, value.shape)
    writer.raw(value.digest).i64(value.low).i64(value.high).u64(value.row_sum)


def read_constant(reader: Reader) -> ConstantValue:
    """Type, digest, interval, row sum."""
    return ConstantValue(
        dtype=read_dtype(reader),
        shape=read_shape(reader),
        digest=reader.raw(32),
        low=reader.i64(),
        high=reader.i64(),
        row_sum=reader.u64(),
    )


def write_attribute(writer: Writer, attribute: tuple[str, AttributeValue]) -> None:
    """Name, tag, one or several i64."""
    name, value = attribute
    writer.text(name)
    if isinstance(value, tuple):
        writer.u8(1).sequence(value, Writer.i64)
    else:
        writer.u8(0).i64(value)


def read_attribute(reader: Reader) -> tuple[str, AttributeValue]:
    """Name, tag, one or several i64."""
    name = reader.text(NAME_BYTES_MAX)
    tag = reader.u8()
    if tag == 0:
        return name, reader.i64()
    if tag == 1:
        return name, reader.sequence(Reader.i64, limit=ATTRIBUTE_ENTRIES_MAX, item_bytes_min=8)
    raise reader.fail(f"attribute tag {tag} is unknown")


def write_op(writer: Writer, op: Op) -> None:
    """Kind, operands, attributes, result type."""
    writer.text(op.kind).sequence(op.operands, Writer.u32)
    writer.sequence(op.attributes, write_attribute).u8(op.dtype)
    write_shape(writer, op.shape)


def read_op(reader: Reader) -> Op:
    """Kind, operands, attributes, result type."""
    return Op(
        kind=reader.text(NAME_BYTES_MAX),
        operands=reader.u32_sequence(OPERANDS_MAX),
        attributes=reader.sequence(read_attribute, limit=ATTRIBUTES_MAX, item_bytes_min=9),
        dtype=read_dtype(reader),
        shape=read_shape(reader),
    )


def write_output(writer: Writer, value: OutputValue) -> None:
    """Name, value index, scale."""
    writer.text(value.name).u32(value.value)
    write_scale(writer, value.scale)


def read_output(reader: Reader) -> OutputValue:
    """Name, value index, scale."""
    return OutputValue(name=reader.text(NAME_BYTES_MAX), value=reader.u32(), scale=read_scale(reader))
