"""What every rule is made of: the call it judges, and the refusals rules have in common."""

from __future__ import annotations

from collections.abc import Mapping

from attrs import frozen

from ..program_types import (
    ACCUMULATOR_LIMIT,
    ELEMENTS_MAX,
    EXTENT_MAX,
    NARROW,
    RANK_MAX,
    SYMBOLIC,
    AttributeValue,
    Dim,
    DType,
    Shape,
    ValueInfo,
)

SHIFT_MIN, SHIFT_MAX = -16, 30


class RuleViolation(ValueError):
    """Why one operation is refused; `Program` adds the index and the kind."""


@frozen(kw_only=True)
class Call:
    """One operation to be judged: operands, attributes and the program's symbolic dimension."""

    operands: tuple[ValueInfo, ...]
    attributes: Mapping[str, AttributeValue]
    dim: Dim | None

    def integer(self, name: str) -> int:
        """The attribute `name`, which the schema has shown to be an integer."""
        value = self.attributes[name]
        assert isinstance(value, int)
        return value

    def integers(self, name: str) -> tuple[int, ...]:
        """The attribute `name`, which the schema has shown to be a tuple."""
        value = self.attributes[name]
        assert isinstance(value, tuple)
        return value

    def largest(self, entry: int) -> int:
        """A shape entry at its maximum."""
        return entry if entry != SYMBOLIC or self.dim is None else self.dim.maximum

    def smallest(self, entry: int) -> int:
        """A shape entry at its minimum."""
        return entry if entry != SYMBOLIC or self.dim is None else self.dim.minimum


def require(condition: bool, reason: str) -> None:
    """Raise `RuleViolation` with `reason` unless `condition` holds."""
    if not condition:
        raise RuleViolation(reason)


def round_shift(value: int, shift: int) -> int:
    """`value / 2^shift` rounded to nearest, ties towards plus infinity; a negative shift multiplies."""
    if shift <= 0:
        return value << -shift
    return (value + (1 << (shift - 1))) >> shift


def require_narrow(value: ValueInfo, what: str) -> None:
    """Refuse a dtype other than int8 and int16."""
    require(value.dtype in NARROW, f"{what} must be int8 or int16, not {value.dtype.name.lower()}")


def require_constant(value: ValueInfo, what: str, dtypes: tuple[DType, ...], rank: int) -> None:
    """Refuse an activation, another dtype or another rank."""
    names = " or ".join(dtype.name.lower() for dtype in dtypes)
    require(value.is_constant, f"{what} must be a constant")
    require(value.dtype in dtypes, f"{what} must be {names}, not {value.dtype.name.lower()}")
    require(len(value.shape) == rank, f"{what} must have rank {rank}, not shape {value.shape}")


def require_accumulator(low: int, high: int, what: str = "the accumulator") -> None:
    """Refuse an intermediate that may leave |value| < 2^30."""
    if low <= -ACCUMULATOR_LIMIT or high >= ACCUMULATOR_LIMIT:
        raise RuleViolation(f"{what} may reach [{low}, {high}], outside |value| < 2^30")


def result_of(dtype: DType, shape: Shape, low: int, high: int, last_axis_sum: int | None = None) -> ValueInfo:
    """A derived result; refused where its interval leaves its dtype."""
    if low < dtype.low or high > dtype.high:
        raise RuleViolation(
            f"the result may reach [{low}, {high}], outside {dtype.name.lower()}: [{dtype.low}, {dtype.high}]"
        )
    return ValueInfo(dtype=dtype, shape=shape, low=low, high=high, last_axis_sum=last_axis_sum)


def same_as(value: ValueInfo, shape: Shape) -> ValueInfo:
    """A result with the dtype and interval of `value`."""
    return ValueInfo(dtype=value.dtype, shape=shape, low=value.low, high=value.high)


def axis_of(call: Call, name: str, rank: int) -> int:
    """The axis attribute `name`, refused outside the rank."""
    axis = call.integer(name)
    require(0 <= axis < rank, f"{name} {axis} is not an axis of a value of rank {rank}")
    return axis


def clamp_attributes(call: Call) -> tuple[DType, int, int]:
    """The attributes dtype, low and high of a clamp."""
    code, low, high = call.integer("dtype"), call.integer("low"), call.integer("high")
    require(code in (1, 2, 3), f"dtype code {code} is unknown")
    dtype = DType(code)
    require(low <= high, f"low {low} exceeds high {high}")
    require(dtype.low <= low and high <= dtype.high, f"[{low}, {high}] is outside {dtype.name.lower()}")
    return dtype, low, high


def check_extents(shape: Shape, dim: Dim | None) -> None:
    """Refuse an impossible rank, extent or number of elements; raises `RuleViolation`."""
    require(len(shape) <= RANK_MAX, f"rank {len(shape)} exceeds {RANK_MAX}")
    elements = 1
    for entry in shape:
        require(entry == SYMBOLIC or 1 <= entry <= EXTENT_MAX, f"shape {shape} has an impossible entry")
        require(
            entry != SYMBOLIC or dim is not None,
            f"shape {shape} is symbolic in a program without a dimension",
        )
        elements *= entry if dim is None or entry != SYMBOLIC else dim.maximum
    require(elements <= ELEMENTS_MAX, f"shape {shape} holds {elements} elements, more than {ELEMENTS_MAX}")
