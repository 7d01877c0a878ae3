"""The rule of every operation of an exact program: result type, result interval, and what is refused.

This is `docs/EXACT.md` sections 1 and 2 in Python integers. Nothing here touches tensor data, so that a
validator which holds only a program's skeleton can check it whole. The symbolic dimension counts at its
maximum (or minimum, whichever is worse).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import IntEnum
from itertools import pairwise
from math import isqrt

from attrs import frozen

SYMBOLIC = -1
RANK_MAX = 6
EXTENT_MAX = 2**24
ELEMENTS_MAX = 2**31
ACCUMULATOR_LIMIT = 2**30
SHIFT_MIN, SHIFT_MAX = -16, 30

Shape = tuple[int, ...]
AttributeValue = int | tuple[int, ...]


class DType(IntEnum):
    """Element type; the number is its code in the skeleton and in ``dtype`` attributes."""

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


class RuleViolation(ValueError):
    """Why one operation is refused; ``Program`` adds the index and the kind."""


@frozen(kw_only=True)
class Dim:
    """The symbolic dimension: its name and the inclusive range of its value."""

    name: str
    minimum: int
    maximum: int


@frozen(kw_only=True)
class ValueInfo:
    """All that is statically known of one value.

    ``low`` and ``high`` bound every element. ``row_sum`` (constants) bounds, over the rows along the first
    axis, the sum of absolute elements. ``last_axis_sum`` (softmax results) bounds the sum of absolute
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


@frozen(kw_only=True)
class Call:
    """One operation to be judged: operands, attributes and the program's symbolic dimension."""

    operands: tuple[ValueInfo, ...]
    attributes: Mapping[str, AttributeValue]
    dim: Dim | None

    def integer(self, name: str) -> int:
        """The attribute ``name``, which the schema has shown to be an integer."""
        value = self.attributes[name]
        assert isinstance(value, int)
        return value

    def integers(self, name: str) -> tuple[int, ...]:
        """The attribute ``name``, which the schema has shown to be a tuple."""
        value = self.attributes[name]
        assert isinstance(value, tuple)
        return value

    def largest(self, entry: int) -> int:
        """A shape entry at its maximum."""
        return entry if entry != SYMBOLIC or self.dim is None else self.dim.maximum

    def smallest(self, entry: int) -> int:
        """A shape entry at its minimum."""
        return entry if entry != SYMBOLIC or self.dim is None else self.dim.minimum


Rule = Callable[[Call], ValueInfo]


def require(condition: bool, reason: str) -> None:
    """Raise ``RuleViolation`` with ``reason`` unless ``condition`` holds."""
    if not condition:
        raise RuleViolation(reason)


def round_shift(value: int, shift: int) -> int:
    """``value / 2^shift`` rounded to nearest, ties towards plus infinity; a negative shift multiplies."""
    if shift <= 0:
        return value << -shift
    return (value + (1 << (shift - 1))) >> shift


def broadcast(left: Shape, right: Shape) -> Shape:
    """The numpy broadcast of two shapes; the symbolic dimension meets only itself or 1."""
    rank = max(len(left), len(right))
    padded_left = (1,) * (rank - len(left)) + left
    padded_right = (1,) * (rank - len(right)) + right
    result = []
    for a, b in zip(padded_left, padded_right, strict=True):
        require(a == b or a == 1 or b == 1, f"shapes {left} and {right} do not broadcast")
        result.append(b if a == 1 else a)
    return tuple(result)


def _narrow(value: ValueInfo, what: str) -> None:
    require(value.dtype in NARROW, f"{what} must be int8 or int16, not {value.dtype.name.lower()}")


def _constant(value: ValueInfo, what: str, dtypes: tuple[DType, ...], rank: int) -> None:
    names = " or ".join(dtype.name.lower() for dtype in dtypes)
    require(value.is_constant, f"{what} must be a constant")
    require(value.dtype in dtypes, f"{what} must be {names}, not {value.dtype.name.lower()}")
    require(len(value.shape) == rank, f"{what} must have rank {rank}, not shape {value.shape}")


def _accumulated(low: int, high: int, what: str = "the accumulator") -> None:
    if low <= -ACCUMULATOR_LIMIT or high >= ACCUMULATOR_LIMIT:
        raise RuleViolation(f"{what} may reach [{low}, {high}], outside |value| < 2^30")


def _result(dtype: DType, shape: Shape, low: int, high: int, last_axis_sum: int | None = None) -> ValueInfo:
    if low < dtype.low or high > dtype.high:
        raise RuleViolation(
            f"the result may reach [{low}, {high}], outside {dtype.name.lower()}: [{dtype.low}, {dtype.high}]"
        )
    return ValueInfo(dtype=dtype, shape=shape, low=low, high=high, last_axis_sum=last_axis_sum)


def _like(value: ValueInfo, shape: Shape) -> ValueInfo:
    return ValueInfo(dtype=value.dtype, shape=shape, low=value.low, high=value.high)


def _axis(call: Call, name: str, rank: int) -> int:
    axis = call.integer(name)
    require(0 <= axis < rank, f"{name} {axis} is not an axis of a value of rank {rank}")
    return axis


def weighted_reach(x: ValueInfo, weight: ValueInfo, terms: int) -> int:
    """Bound of every partial sum of ``terms`` products of x and a row of weight, in any order."""
    row_sum = terms * weight.magnitude
    if weight.row_sum is not None:
        row_sum = min(row_sum, weight.row_sum)
    return row_sum * x.magnitude


def _weighted(x: ValueInfo, weight: ValueInfo, bias: ValueInfo, terms: int, shape: Shape) -> ValueInfo:
    reach = weighted_reach(x, weight, terms)
    low, high = -reach + bias.low, reach + bias.high
    # The sum without the bias is bounded as well, so that it may be accumulated in any order.
    _accumulated(min(low, -reach), max(high, reach))
    return _result(DType.INT32, shape, low, high)


def dense(call: Call) -> ValueInfo:
    """``y[..., n] = sum_k x[..., k] * weight[n, k] + bias[n]``."""
    x, weight, bias = call.operands
    _narrow(x, "x")
    _constant(weight, "weight", (DType.INT8,), 2)
    _constant(bias, "bias", (DType.INT32,), 1)
    require(len(x.shape) >= 1, "x must have rank 1 or more")
    require(x.shape[-1] == weight.shape[1], f"x ends in {x.shape[-1]}, weight expects {weight.shape[1]}")
    require(bias.shape[0] == weight.shape[0], f"bias has {bias.shape[0]} entries for {weight.shape[0]} rows")
    return _weighted(x, weight, bias, weight.shape[1], (*x.shape[:-1], weight.shape[0]))


def matmul(call: Call) -> ValueInfo:
    """Batched product; the left operand's ``last_axis_sum`` sharpens the bound where it is known."""
    a, b = call.operands
    _narrow(a, "a")
    _narrow(b, "b")
    require(len(a.shape) >= 2 and len(b.shape) >= 2, "a and b must have rank 2 or more")
    require(a.shape[:-2] == b.shape[:-2], f"leading axes {a.shape[:-2]} and {b.shape[:-2]} differ")
    inner, columns = (b.shape[-1], b.shape[-2]) if call.integer("transpose_right") else b.shape[-2:]
    require(a.shape[-1] == inner, f"the summed axis has {a.shape[-1]} entries in a, {inner} in b")
    products = [p * q for p in (a.low, a.high) for q in (b.low, b.high)]
    counts = (call.smallest(inner), call.largest(inner))
    low = min(count * min(products) for count in counts)
    high = max(count * max(products) for count in counts)
    if a.last_axis_sum is not None:
        reach = a.last_axis_sum * b.magnitude
        low, high = max(low, -reach), min(high, reach)
    _accumulated(low, high)
    return _result(DType.INT32, (*a.shape[:-1], columns), low, high)


def _window(extent: int, kernel: int, stride: int, before: int, after: int) -> int:
    require(extent != SYMBOLIC, "height and width must not be symbolic")
    padded = extent + before + after
    require(padded <= EXTENT_MAX, f"the padded extent {padded} exceeds {EXTENT_MAX}")
    require(kernel <= padded, f"a window of {kernel} does not fit in the padded extent {padded}")
    return (padded - kernel) // stride + 1


def _spatial(call: Call, x: ValueInfo, kernel: tuple[int, int]) -> tuple[int, int]:
    strides, pads = call.integers("strides"), call.integers("pads")
    require(all(1 <= s <= EXTENT_MAX for s in strides), f"strides {strides} must be positive")
    require(all(0 <= p <= EXTENT_MAX for p in pads), f"pads {pads} must not be negative")
    top, left, bottom, right = pads
    height = _window(x.shape[2], kernel[0], strides[0], top, bottom)
    width = _window(x.shape[3], kernel[1], strides[1], left, right)
    return height, width


def conv2d(call: Call) -> ValueInfo:
    """Cross-correlation with zero padding."""
    x, weight, bias = call.operands
    _narrow(x, "x")
    _constant(weight, "weight", (DType.INT8,), 4)
    _constant(bias, "bias", (DType.INT32,), 1)
    require(len(x.shape) == 4, f"x must have rank 4, not shape {x.shape}")
    groups, dilations = call.integer("groups"), call.integers("dilations")
    outputs, channels, height, width = weight.shape
    require(1 <= groups <= outputs, f"groups {groups} must be from 1 to {outputs}")
    require(outputs % groups == 0, f"{outputs} output channels do not split into {groups} groups")
    require(x.shape[1] == channels * groups, f"x has {x.shape[1]} channels, weight expects {channels * groups}")
    require(bias.shape[0] == outputs, f"bias has {bias.shape[0]} entries for {outputs} output channels")
    require(all(1 <= d <= EXTENT_MAX for d in dilations), f"dilations {dilations} must be positive")
    reach = ((height - 1) * dilations[0] + 1, (width - 1) * dilations[1] + 1)
    shape = (x.shape[0], outputs, *_spatial(call, x, reach))
    return _weighted(x, weight, bias, channels * height * width, shape)


def _clamp_attributes(call: Call) -> tuple[DType, int, int]:
    code, low, high = call.integer("dtype"), call.integer("low"), call.integer("high")
    require(code in (1, 2, 3), f"dtype code {code} is unknown")
    dtype = DType(code)
    require(low <= high, f"low {low} exceeds high {high}")
    require(dtype.low <= low and high <= dtype.high, f"[{low}, {high}] is outside {dtype.name.lower()}")
    return dtype, low, high


def requantize(call: Call) -> ValueInfo:
    """``clamp(round_shift(x, s), low, high)``."""
    require(1 <= len(call.operands) <= 2, "one or two operands are needed")
    x = call.operands[0]
    dtype, low, high = _clamp_attributes(call)
    first = last = call.integer("shift")
    if len(call.operands) == 2:
        shifts = call.operands[1]
        _constant(shifts, "shifts", (DType.INT8,), 1)
        axis = _axis(call, "axis", len(x.shape))
        require(first == 0, "shift must be 0 where shifts are given")
        require(
            x.shape[axis] == shifts.shape[0],
            f"axis {axis} has {x.shape[axis]} entries, shifts {shifts.shape[0]}",
        )
        first, last = shifts.low, shifts.high
    else:
        require(call.integer("axis") == 0, "axis must be 0 where no shifts are given")
    require(first >= SHIFT_MIN and last <= SHIFT_MAX, f"shifts [{first}, {last}] leave [{SHIFT_MIN}, {SHIFT_MAX}]")
    shifted = [round_shift(v, s) for v in (x.low, x.high) for s in range(first, last + 1)]
    bounds = [max(low, min(high, v)) for v in shifted]
    return _result(dtype, x.shape, min(bounds), max(bounds))


def _sum_or_difference(call: Call, sign: int) -> ValueInfo:
    a, b = call.operands
    left, right = call.integer("shift_left"), call.integer("shift_right")
    require(0 <= left <= 15 and 0 <= right <= 15, f"shifts {left}, {right} must be from 0 to 15")
    ends = sorted((sign * b.low << right, sign * b.high << right))
    scaled = ((a.low << left, a.high << left), (ends[0], ends[1]))
    for low, high in scaled:
        _accumulated(low, high, "a shifted operand")
    low, high = scaled[0][0] + scaled[1][0], scaled[0][1] + scaled[1][1]
    return _result(DType.INT32, broadcast(a.shape, b.shape), low, high)


def add(call: Call) -> ValueInfo:
    """``a * 2^shift_left + b * 2^shift_right``."""
    return _sum_or_difference(call, 1)


def subtract(call: Call) -> ValueInfo:
    """``a * 2^shift_left - b * 2^shift_right``."""
    return _sum_or_difference(call, -1)


def multiply(call: Call) -> ValueInfo:
    """``a * b`` element by element."""
    a, b = call.operands
    _narrow(a, "a")
    _narrow(b, "b")
    products = [p * q for p in (a.low, a.high) for q in (b.low, b.high)]
    return _result(DType.INT32, broadcast(a.shape, b.shape), min(products), max(products))


def table(call: Call) -> ValueInfo:
    """``table[x - offset]``."""
    x, entries = call.operands
    _constant(entries, "table", ANY, 1)
    offset = call.integer("offset")
    last = offset + entries.shape[0] - 1
    require(
        offset <= x.low and x.high <= last,
        f"x may reach [{x.low}, {x.high}], the table covers [{offset}, {last}]",
    )
    return _like(entries, x.shape)


def gather(call: Call) -> ValueInfo:
    """``table[x]`` along the first axis of a constant."""
    entries, x = call.operands
    require(entries.is_constant, "table must be a constant")
    require(len(entries.shape) >= 1, "table must have rank 1 or more")
    last = entries.shape[0] - 1
    require(x.low >= 0 and x.high <= last, f"x may reach [{x.low}, {x.high}], the table has rows 0 to {last}")
    return _like(entries, x.shape + entries.shape[1:])


def _pool_shape(call: Call, x: ValueInfo) -> Shape:
    _narrow(x, "x")
    require(len(x.shape) == 4, f"x must have rank 4, not shape {x.shape}")
    height, width = call.integers("kernel")
    require(1 <= height <= EXTENT_MAX and 1 <= width <= EXTENT_MAX, f"kernel {height} x {width} must be positive")
    top, left, bottom, right = call.integers("pads")
    inside = max(top, bottom) < height and max(left, right) < width
    require(inside, "each padding must be smaller than the kernel, so that every window holds an element")
    return (*x.shape[:2], *_spatial(call, x, (height, width)))


def max_pool2d(call: Call) -> ValueInfo:
    """Maximum over the part of each window that lies inside."""
    return _like(call.operands[0], _pool_shape(call, call.operands[0]))


def sum_pool2d(call: Call) -> ValueInfo:
    """Sum over each window, zeros outside."""
    x = call.operands[0]
    shape = _pool_shape(call, x)
    height, width = call.integers("kernel")
    low, high = min(0, height * width * x.low), max(0, height * width * x.high)
    return _result(DType.INT32, shape, low, high)


def _reduced(call: Call, x: ValueInfo) -> tuple[Shape, int, int]:
    axes, rank = call.integers("axes"), len(x.shape)
    require(len(axes) >= 1, "axes must not be empty")
    require(all(0 <= axis < rank for axis in axes), f"axes {axes} are not axes of a value of rank {rank}")
    require(all(a < b for a, b in pairwise(axes)), f"axes {axes} must ascend")
    least = most = 1
    for axis in axes:
        least, most = least * call.smallest(x.shape[axis]), most * call.largest(x.shape[axis])
    if call.integer("keepdims"):
        return tuple(1 if i in axes else n for i, n in enumerate(x.shape)), least, most
    return tuple(n for i, n in enumerate(x.shape) if i not in axes), least, most


def reduce_sum(call: Call) -> ValueInfo:
    """Sum over ``axes``."""
    x = call.operands[0]
    _narrow(x, "x")
    shape, least, most = _reduced(call, x)
    return _result(DType.INT32, shape, min(least * x.low, most * x.low), max(least * x.high, most * x.high))


def reduce_mean(call: Call) -> ValueInfo:
    """Mean over ``axes``, rounded to nearest; it stays in x's interval."""
    x = call.operands[0]
    _narrow(x, "x")
    shape, _, most = _reduced(call, x)
    _accumulated(-most * x.magnitude, most * x.magnitude + most // 2, "the sum")
    return _like(x, shape)


def reduce_max(call: Call) -> ValueInfo:
    """Maximum over ``axes``."""
    x = call.operands[0]
    return _like(x, _reduced(call, x)[0])


def argmax(call: Call) -> ValueInfo:
    """Lowest index of the maximum along ``axis``."""
    x = call.operands[0]
    axis = _axis(call, "axis", len(x.shape))
    shape = x.shape[:axis] + x.shape[axis + 1 :]
    return _result(DType.INT32, shape, 0, call.largest(x.shape[axis]) - 1)


def layer_norm(call: Call) -> ValueInfo:
    """Exact layer normalisation (or RMS normalisation) over the last axis."""
    x, gain, bias = call.operands
    _narrow(x, "x")
    _constant(gain, "gain", (DType.INT16,), 1)
    _constant(bias, "bias", (DType.INT32,), 1)
    require(len(x.shape) >= 1 and x.shape[-1] != SYMBOLIC, "x must end in a static axis")
    extent, precision = x.shape[-1], call.integer("precision")
    require(gain.shape == (extent,) and bias.shape == (extent,), f"gain and bias must have {extent} entries")
    dtype, low, high = _clamp_attributes(call)
    normal, out = call.integer("shift_normal"), call.integer("shift_out")
    require(0 <= normal <= SHIFT_MAX, f"shift_normal {normal} must be from 0 to {SHIFT_MAX}")
    require(SHIFT_MIN <= out <= SHIFT_MAX, f"shift_out {out} must be from {SHIFT_MIN} to {SHIFT_MAX}")
    require(
        0 <= precision <= SHIFT_MAX and extent << (2 * precision) < 2**60,
        "D * 4^precision must be below 2^60",
    )
    _accumulated(-extent * x.magnitude, extent * x.magnitude + extent // 2, "the sum")
    spread = x.high - x.low if call.integer("subtract_mean") else x.magnitude
    epsilon = call.integer("epsilon")
    require(epsilon >= 1, f"epsilon {epsilon} must be 1 or more")
    require(extent * spread * spread + epsilon < 2**62, "the sum of squares may reach 2^62")
    # |d| * r <= sqrt(V) * r <= sqrt(D) * 2^k, hence at most its integer part.
    reach = isqrt(extent << (2 * precision))
    normals = (round_shift(-reach, normal), round_shift(reach, normal))
    products = [t * g for t in normals for g in (gain.low, gain.high)]
    # A product without its bias is bounded as well: backends hold it in the same register.
    _accumulated(min(products), max(products), "gain * t")
    ends = (min(products) + bias.low, max(products) + bias.high)
    _accumulated(*ends)
    bounds = [max(low, min(high, round_shift(v, out))) for v in ends]
    return _result(dtype, x.shape, min(bounds), max(bounds))


def softmax(call: Call) -> ValueInfo:
    """Exact softmax over the last axis from a table of exponentials."""
    x, entries = call.operands
    _narrow(x, "x")
    _constant(entries, "table", (DType.INT16, DType.INT32), 1)
    causal, precision = call.integer("causal"), call.integer("precision")
    require(len(x.shape) >= (2 if causal else 1), "x must have rank 2 or more (1 where not causal)")
    require(0 <= precision <= 14, f"precision {precision} must be from 0 to 14")
    require(
        entries.low >= 0 and 1 <= entries.high <= 2**15,
        "table entries must lie in [0, 2^15], the first above 0",
    )
    keys = call.largest(x.shape[-1])
    require(keys * entries.high < 2**29, f"{keys} keys times table[0] = {entries.high} must stay below 2^29")
    if causal and x.shape[-2] != x.shape[-1]:
        enough = call.smallest(x.shape[-1]) >= call.largest(x.shape[-2])
        require(enough, f"a causal mask needs at least as many keys as queries, shape {x.shape}")
    # y_j <= e_j * v / 2^(29 - P) + 1/2, and the e_j * v add up to at most 2^29.
    total = (1 << precision) + (keys + 1) // 2
    return _result(DType.INT16, x.shape, 0, 1 << precision, last_axis_sum=total)


def reshape(call: Call) -> ValueInfo:
    """The same elements in the same order, for every value of the symbolic dimension."""
    x, shape = call.operands[0], call.integers("shape")
    require(len(shape) <= RANK_MAX, f"rank {len(shape)} exceeds {RANK_MAX}")
    require(all(n == SYMBOLIC or 1 <= n <= EXTENT_MAX for n in shape), f"shape {shape} has an impossible entry")
    require(call.dim is not None or SYMBOLIC not in shape, "the program has no symbolic dimension")
    same = _static_product(shape) == _static_product(x.shape) and shape.count(SYMBOLIC) == x.shape.count(SYMBOLIC)
    require(same, f"shapes {x.shape} and {shape} hold different numbers of elements")
    return _like(x, shape)


def _static_product(shape: Shape) -> int:
    product = 1
    for entry in shape:
        product *= 1 if entry == SYMBOLIC else entry
    return product


def transpose(call: Call) -> ValueInfo:
    """Axes in another order."""
    x, permutation = call.operands[0], call.integers("permutation")
    require(
        sorted(permutation) == list(range(len(x.shape))),
        f"{permutation} does not permute {len(x.shape)} axes",
    )
    return _like(x, tuple(x.shape[axis] for axis in permutation))


def concat(call: Call) -> ValueInfo:
    """Operands one after the other along a static axis."""
    first = call.operands[0]
    axis = _axis(call, "axis", len(first.shape))
    extent = 0
    for value in call.operands:
        same = value.dtype == first.dtype and len(value.shape) == len(first.shape)
        require(same, "operands must have one dtype and one rank")
        others = value.shape[:axis] + value.shape[axis + 1 :] == first.shape[:axis] + first.shape[axis + 1 :]
        require(others, f"shapes {first.shape} and {value.shape} differ outside axis {axis}")
        require(value.shape[axis] != SYMBOLIC, f"axis {axis} must not be symbolic")
        extent += value.shape[axis]
    low, high = min(v.low for v in call.operands), max(v.high for v in call.operands)
    return _result(first.dtype, (*first.shape[:axis], extent, *first.shape[axis + 1 :]), low, high)


def slice_(call: Call) -> ValueInfo:
    """``length`` entries of ``axis`` from ``start``."""
    x = call.operands[0]
    axis = _axis(call, "axis", len(x.shape))
    start, length = call.integer("start"), call.integer("length")
    require(length >= 1 or (length == SYMBOLIC and call.dim is not None), f"length {length} is impossible")
    require(start >= 0, f"start {start} must not be negative")
    if x.shape[axis] == SYMBOLIC and length == SYMBOLIC:
        require(start == 0, "a symbolic length of a symbolic axis starts at 0")
    else:
        end = start + call.largest(length)
        require(end <= call.smallest(x.shape[axis]), f"entries up to {end} are needed, the axis may have fewer")
    return _like(x, (*x.shape[:axis], length, *x.shape[axis + 1 :]))


@frozen(kw_only=True)
class OpSchema:
    """Operand count (smallest, largest), attribute layout and rule of one kind.

    A layout entry is ``"int"``, ``"flag"`` (0 or 1), ``"tuple"`` or ``"tuple2"``/``"tuple4"`` (fixed length).
    """

    operands: tuple[int, int]
    attributes: Mapping[str, str]
    rule: Rule


def _schema(count: int, rule: Rule, most: int | None = None, /, **attributes: str) -> OpSchema:
    return OpSchema(operands=(count, most or count), attributes=attributes, rule=rule)


OPERANDS_MAX = 256

_CLAMP = {"low": "int", "high": "int", "dtype": "int"}
_REDUCE = {"axes": "tuple", "keepdims": "flag"}
_POOL = {"kernel": "tuple2", "strides": "tuple2", "pads": "tuple4"}

OP_SCHEMAS: Mapping[str, OpSchema] = {
    "dense": _schema(3, dense),
    "matmul": _schema(2, matmul, transpose_right="flag"),
    "conv2d": _schema(3, conv2d, strides="tuple2", pads="tuple4", dilations="tuple2", groups="int"),
    "requantize": _schema(1, requantize, 2, shift="int", axis="int", **_CLAMP),
    "add": _schema(2, add, shift_left="int", shift_right="int"),
    "subtract": _schema(2, subtract, shift_left="int", shift_right="int"),
    "multiply": _schema(2, multiply),
    "table": _schema(2, table, offset="int"),
    "gather": _schema(2, gather),
    "max_pool2d": _schema(1, max_pool2d, **_POOL),
    "sum_pool2d": _schema(1, sum_pool2d, **_POOL),
    "reduce_sum": _schema(1, reduce_sum, **_REDUCE),
    "reduce_mean": _schema(1, reduce_mean, **_REDUCE),
    "reduce_max": _schema(1, reduce_max, **_REDUCE),
    "argmax": _schema(1, argmax, axis="int"),
    "layer_norm": _schema(
        3,
        layer_norm,
        subtract_mean="flag",
        epsilon="int",
        precision="int",
        shift_normal="int",
        shift_out="int",
        **_CLAMP,
    ),
    "softmax": _schema(2, softmax, causal="flag", precision="int"),
    "reshape": _schema(1, reshape, shape="tuple"),
    "transpose": _schema(1, transpose, permutation="tuple"),
    "concat": _schema(1, concat, OPERANDS_MAX, axis="int"),
    "slice": _schema(1, slice_, axis="int", start="int", length="int"),
}


def _check_attribute(name: str, layout: str, value: AttributeValue) -> None:
    if layout.startswith("tuple"):
        require(isinstance(value, tuple), f"attribute {name} must be a tuple of integers")
        assert isinstance(value, tuple)
        length = layout.removeprefix("tuple")
        require(not length or len(value) == int(length), f"attribute {name} must have {length} entries")
        return
    require(not isinstance(value, tuple), f"attribute {name} must be an integer")
    require(layout != "flag" or value in (0, 1), f"attribute {name} must be 0 or 1, not {value}")


def check_extents(shape: Shape, dim: Dim | None) -> None:
    """Refuse an impossible rank, extent or number of elements; raises ``RuleViolation``."""
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


def infer(
    kind: str,
    operands: tuple[ValueInfo, ...],
    attributes: tuple[tuple[str, AttributeValue], ...],
    dim: Dim | None,
) -> ValueInfo:
    """The result of one operation: dtype, shape and interval. Raises ``RuleViolation`` with the reason."""
    schema = OP_SCHEMAS.get(kind)
    if schema is None:
        raise RuleViolation(f"the kind {kind[:40]!r} is unknown; kinds are {', '.join(OP_SCHEMAS)}")
    least, most = schema.operands
    require(least <= len(operands) <= most, f"{len(operands)} operands given, {least} to {most} expected")
    expected = sorted(schema.attributes)
    given = [name for name, _ in attributes]
    require(given == expected, f"attributes must be {expected} in this order, not {[n[:40] for n in given[:16]]}")
    for name, value in attributes:
        _check_attribute(name, schema.attributes[name], value)
    result = schema.rule(Call(operands=operands, attributes=dict(attributes), dim=dim))
    check_extents(result.shape, dim)
    return result
