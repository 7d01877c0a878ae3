"""The parts of an exact program as plain values, and the limits they keep (`docs/EXACT.md`, section 1)."""

from __future__ import annotations

from enum import IntEnum
from math import ldexp

from attrs import frozen

SYMBOLIC = -1
RANK_MAX = 6
EXTENT_MAX = 2**24
ELEMENTS_MAX = 2**31
ACCUMULATOR_LIMIT = 2**30
OPS_MAX = 65_536
OPERANDS_MAX = 256
CONSTANTS_MAX = 65_536
INPUTS_MAX = 64
OUTPUTS_MAX = 64
NAME_BYTES_MAX = 64
CONSTANT_BYTES_MAX = 4 * 2**30
SKELETON_BYTES_MAX = 16 * 2**20
ATTRIBUTES_MAX = 16
ATTRIBUTE_ENTRIES_MAX = 16

Shape = tuple[int, ...]
AttributeValue = int | tuple[int, ...]


class DType(IntEnum):
    """Element type; the number is its code in the skeleton and in `dtype` attributes."""

    INT8 = 1
    INT16 = 2
    INT32 = 3

    @property
    def size(self) -> int:
        """Bytes of one element."""
        return 1 << (self.value - 1)

    @property
    def low(self) -> int:
        """Smallest value a program may hold in this type (int32 stops at -2^30 + 1)."""
        return 1 - ACCUMULATOR_LIMIT if self is DType.INT32 else -(1 << (8 * self.size - 1))

    @property
    def high(self) -> int:
        """Largest value a program may hold in this type (int32 stops at 2^30 - 1)."""
        return ACCUMULATOR_LIMIT - 1 if self is DType.INT32 else (1 << (8 * self.size - 1)) - 1


NARROW = (DType.INT8, DType.INT16)
ANY = (DType.INT8, DType.INT16, DType.INT32)


@frozen(kw_only=True)
class Dim:
    """The symbolic dimension: its name and the inclusive range of its value."""

    name: str
    minimum: int
    maximum: int


@frozen(kw_only=True)
class Scale:
    """The real value of one unit, exactly `mantissa * 2^exponent`; (0, 0) where a unit has no real value.

    It is for people and for the compiler's report. Execution never reads it.
    """

    mantissa: int
    exponent: int

    @classmethod
    def none(cls) -> Scale:
        """No real value: token identifiers, class indices."""
        return cls(mantissa=0, exponent=0)

    @classmethod
    def from_float(cls, value: float) -> Scale:
        """The scale that equals a positive finite float exactly; `ValueError` for another float."""
        if not 0.0 < value < float("inf"):
            raise ValueError(f"a scale must be a positive finite number, not {value!r}")
        numerator, denominator = value.as_integer_ratio()
        twos = (numerator & -numerator).bit_length() - 1
        return cls(mantissa=numerator >> twos, exponent=twos - (denominator.bit_length() - 1))

    def to_float(self) -> float:
        """The same number as a float, exactly; 0.0 where there is none."""
        return ldexp(self.mantissa, self.exponent)


@frozen(kw_only=True)
class TensorType:
    """Element type and shape; a shape entry may be `SYMBOLIC` (-1)."""

    dtype: DType
    shape: Shape


@frozen(kw_only=True)
class InputValue:
    """A tensor that the job brings; every element lies in `[low, high]`."""

    name: str
    dtype: DType
    shape: Shape
    low: int
    high: int
    scale: Scale

    @property
    def type(self) -> TensorType:
        """Element type and shape."""
        return TensorType(dtype=self.dtype, shape=self.shape)


@frozen(kw_only=True)
class ConstantValue:
    """A tensor that belongs to the model, by the SHA-256 of its little-endian C-order bytes.

    `low`, `high` bound every element; `row_sum` bounds, over the rows along the first axis, the sum of
    absolute elements. They are declared here and checked against the bytes when a program file is loaded.
    """

    dtype: DType
    shape: Shape
    digest: bytes
    low: int
    high: int
    row_sum: int

    @property
    def type(self) -> TensorType:
        """Element type and shape."""
        return TensorType(dtype=self.dtype, shape=self.shape)

    @property
    def byte_size(self) -> int:
        """Bytes of the raw tensor."""
        return element_count(self.shape) * self.dtype.size


@frozen(kw_only=True)
class Op:
    """One operation. `attributes` are sorted by name and complete; flags are 0 or 1, dtypes their code."""

    kind: str
    operands: tuple[int, ...]
    attributes: tuple[tuple[str, AttributeValue], ...]
    dtype: DType
    shape: Shape

    @property
    def type(self) -> TensorType:
        """Element type and shape of the result."""
        return TensorType(dtype=self.dtype, shape=self.shape)

    def integer(self, name: str) -> int:
        """The integer attribute `name`; `KeyError` where there is none."""
        value = dict(self.attributes)[name]
        assert isinstance(value, int)
        return value

    def integers(self, name: str) -> tuple[int, ...]:
        """The tuple attribute `name`; `KeyError` where there is none."""
        value = dict(self.attributes)[name]
        assert isinstance(value, tuple)
        return value


@frozen(kw_only=True)
class OutputValue:
    """A result that leaves the program: the value index of an operation's result."""

    name: str
    value: int
    scale: Scale


@frozen(kw_only=True)
class ValueInfo:
    """All that is statically known of one value.

    `low` and `high` bound every element. `row_sum` (constants) bounds, over the rows along the first
    axis, the sum of absolute elements. `last_axis_sum` (softmax results) bounds the sum of absolute
    elements along the last axis.
    """

    dtype: DType
    shape: Shape
    low: int
    high: int
    is_constant: bool = False
    row_sum: int | None = None
    last_axis_sum: int | None = None

    @property
    def magnitude(self) -> int:
        """Bound of the absolute value of an element."""
        return max(abs(self.low), abs(self.high))


def element_count(shape: Shape) -> int:
    """Elements of a concrete shape."""
    product = 1
    for entry in shape:
        product *= entry
    return product
