"""Building a program step by step, with every mistake reported at the operation that makes it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from attrs import frozen

from lazai_core.api.errors import InvalidProgram
from lazai_core.api.program import (
    ConstantValue,
    Dim,
    DType,
    InputValue,
    Op,
    OutputValue,
    Program,
    Scale,
    ValueInfo,
    infer_op,
)
from lazai_core.api.program_rules import AttributeValue, Shape
from lazai_core.exact.bounds import describe_constant
from lazai_core.exact.codec import numpy_dtype
from lazai_core.exact.model import ExactModel

if TYPE_CHECKING:
    from lazai_core.exact.model import IntArray


@frozen(kw_only=True, eq=False)
class Value:
    """A value of a program under construction. It belongs to the builder that made it."""

    section: str
    position: int
    info: ValueInfo

    @property
    def dtype(self) -> DType:
        """Element type."""
        return self.info.dtype

    @property
    def shape(self) -> Shape:
        """Shape, -1 for the symbolic dimension."""
        return self.info.shape

    @property
    def low(self) -> int:
        """Smallest possible element."""
        return self.info.low

    @property
    def high(self) -> int:
        """Largest possible element."""
        return self.info.high


class ProgramBuilder:
    """Collects inputs, constants and operations; one method per operation kind of `docs/EXACT.md`.

    Methods infer dtype, shape and interval, and raise `InvalidProgram` naming the operation's index, its
    kind and the reason. Constants may be given as arrays of integers: equal ones are stored once.
    """

    def __init__(self, dim: Dim | None = None) -> None:
        self._dim = dim
        self._inputs: list[InputValue] = []
        self._constants: list[ConstantValue] = []
        self._arrays: list[IntArray] = []
        self._known: dict[ConstantValue, Value] = {}
        self._ops: list[tuple[Op, tuple[Value, ...]]] = []
        self._values: dict[tuple[str, int], Value] = {}
        self._outputs: list[tuple[str, Value, Scale]] = []

    def _add_value(self, section: str, position: int, info: ValueInfo) -> Value:
        value = Value(section=section, position=position, info=info)
        self._values[section, position] = value
        return value

    def input(
        self,
        name: str,
        dtype: DType,
        shape: Shape,
        *,
        low: int | None = None,
        high: int | None = None,
        scale: Scale | None = None,
    ) -> Value:
        """A tensor the job brings; the interval is the dtype's own unless given."""
        described = InputValue(
            name=name,
            dtype=dtype,
            shape=tuple(shape),
            low=dtype.low if low is None else low,
            high=dtype.high if high is None else high,
            scale=scale or Scale.none(),
        )
        self._inputs.append(described)
        info = ValueInfo(dtype=dtype, shape=described.shape, low=described.low, high=described.high)
        return self._add_value("input", len(self._inputs) - 1, info)

    def constant(self, values: Any, dtype: DType) -> Value:
        """A tensor of the model. Raises `InvalidProgram` where an element does not fit `dtype`."""
        import numpy as np

        given = np.asarray(values)
        if not np.issubdtype(given.dtype, np.integer):
            raise InvalidProgram(f"a constant must hold integers, not {given.dtype}")
        if given.size and (int(given.min()) < dtype.low or int(given.max()) > dtype.high):
            raise InvalidProgram(f"a constant reaches [{given.min()}, {given.max()}], outside {dtype.name.lower()}")
        # The dtype's array is made anew, so that a caller's later change of his own cannot reach the model.
        array = np.array(given, dtype=numpy_dtype(dtype), order="C", copy=True)
        array.setflags(write=False)
        described = describe_constant(array, dtype)
        if described not in self._known:
            self._constants.append(described)
            self._arrays.append(array)
            info = ValueInfo(
                dtype=dtype,
                shape=described.shape,
                low=described.low,
                high=described.high,
                is_constant=True,
                row_sum=described.row_sum,
            )
            self._known[described] = self._add_value("constant", len(self._constants) - 1, info)
        return self._known[described]

    def apply(self, kind: str, operands: Sequence[Value], attributes: Mapping[str, AttributeValue]) -> Value:
        """One operation of any kind, attributes by name."""
        index = len(self._ops)
        for operand in operands:
            if self._values.get((operand.section, operand.position)) is not operand:
                raise InvalidProgram(f"operation {index} ({kind}): an operand belongs to another builder")
        ordered = tuple(sorted(attributes.items()))
        infos = [operand.info for operand in operands]
        info = infer_op(index, kind, tuple(range(len(infos))), ordered, infos, self._dim)
        op = Op(kind=kind, operands=(), attributes=ordered, dtype=info.dtype, shape=info.shape)
        self._ops.append((op, tuple(operands)))
        return self._add_value("op", index, info)

    def output(self, name: str, value: Value, *, scale: Scale | None = None) -> None:
        """Let the result of an operation leave the program."""
        self._outputs.append((name, value, scale or Scale.none()))

    def build(self) -> ExactModel:
        """The finished model. Raises `InvalidProgram` where the whole breaks a rule."""
        offsets = {"input": 0, "constant": len(self._inputs), "op": len(self._inputs) + len(self._constants)}

        def index(value: Value) -> int:
            return offsets[value.section] + value.position

        ops = tuple(
            Op(
                kind=op.kind,
                operands=tuple(index(operand) for operand in operands),
                attributes=op.attributes,
                dtype=op.dtype,
                shape=op.shape,
            )
            for op, operands in self._ops
        )
        outputs = tuple(OutputValue(name=name, value=index(v), scale=scale) for name, v, scale in self._outputs)
        program = Program(
            dim=self._dim,
            inputs=tuple(self._inputs),
            constants=tuple(self._constants),
            ops=ops,
            outputs=outputs,
        )
        return ExactModel(program=program, constants=tuple(self._arrays))

    def _as_value(self, value: Any, dtype: DType) -> Value:
        return value if isinstance(value, Value) else self.constant(value, dtype)

    # Linear operations.

    def dense(self, x: Value, weight: Any, bias: Any) -> Value:
        """`y[..., n] = sum_k x[..., k] * weight[n, k] + bias[n]`; weight int8, bias int32."""
        return self.apply("dense", (x, self._as_value(weight, DType.INT8), self._as_value(bias, DType.INT32)), {})

    def matmul(self, a: Value, b: Value, *, transpose_right: bool = False) -> Value:
        """Batched product of `[..., M, K]` with `[..., K, N]` (or `[..., N, K]` with the flag)."""
        return self.apply("matmul", (a, b), {"transpose_right": int(transpose_right)})

    def conv2d(
        self,
        x: Value,
        weight: Any,
        bias: Any,
        *,
        strides: tuple[int, int] = (1, 1),
        pads: tuple[int, int, int, int] = (0, 0, 0, 0),
        dilations: tuple[int, int] = (1, 1),
        groups: int = 1,
    ) -> Value:
        """Cross-correlation; weight int8 `[O, C/groups, kh, kw]`, pads top, left, bottom, right."""
        operands = (x, self._as_value(weight, DType.INT8), self._as_value(bias, DType.INT32))
        attributes: dict[str, AttributeValue] = {
            "strides": tuple(strides),
            "pads": tuple(pads),
            "dilations": tuple(dilations),
            "groups": groups,
        }
        return self.apply("conv2d", operands, attributes)

    # Element by element.

    def requantize(
        self,
        x: Value,
        *,
        dtype: DType,
        shift: int | None = None,
        shifts: Any = None,
        axis: int = 0,
        low: int | None = None,
        high: int | None = None,
    ) -> Value:
        """`clamp(round_shift(x, s), low, high)`: one `shift`, or int8 `shifts` along `axis`."""
        attributes: dict[str, AttributeValue] = {
            "shift": shift or 0,
            "axis": axis,
            "low": dtype.low if low is None else low,
            "high": dtype.high if high is None else high,
            "dtype": int(dtype),
        }
        if (shift is None) == (shifts is None):
            raise InvalidProgram(f"operation {len(self._ops)} (requantize): give either shift or shifts")
        operands = (x,) if shifts is None else (x, self._as_value(shifts, DType.INT8))
        return self.apply("requantize", operands, attributes)

    def add(self, a: Value, b: Value, *, shift_left: int = 0, shift_right: int = 0) -> Value:
        """`a * 2^shift_left + b * 2^shift_right`."""
        return self.apply("add", (a, b), {"shift_left": shift_left, "shift_right": shift_right})

    def subtract(self, a: Value, b: Value, *, shift_left: int = 0, shift_right: int = 0) -> Value:
        """`a * 2^shift_left - b * 2^shift_right`."""
        return self.apply("subtract", (a, b), {"shift_left": shift_left, "shift_right": shift_right})

    def multiply(self, a: Value, b: Value) -> Value:
        """`a * b`."""
        return self.apply("multiply", (a, b), {})

    def table(self, x: Value, entries: Any, *, offset: int, dtype: DType = DType.INT8) -> Value:
        """`entries[x - offset]`; `dtype` is that of entries given as an array."""
        return self.apply("table", (x, self._as_value(entries, dtype)), {"offset": offset})

    def gather(self, entries: Any, x: Value, *, dtype: DType = DType.INT8) -> Value:
        """`entries[x]` along the first axis; `dtype` is that of entries given as an array."""
        return self.apply("gather", (self._as_value(entries, dtype), x), {})

    # Windows and reductions.

    def _pool(
        self,
        kind: str,
        x: Value,
        kernel: tuple[int, int],
        strides: tuple[int, int],
        pads: tuple[int, int, int, int],
    ) -> Value:
        attributes = {"kernel": tuple(kernel), "strides": tuple(strides), "pads": tuple(pads)}
        return self.apply(kind, (x,), attributes)

    def max_pool2d(
        self,
        x: Value,
        *,
        kernel: tuple[int, int],
        strides: tuple[int, int] = (1, 1),
        pads: tuple[int, int, int, int] = (0, 0, 0, 0),
    ) -> Value:
        """Maximum over the part of each window that lies inside."""
        return self._pool("max_pool2d", x, kernel, strides, pads)

    def sum_pool2d(
        self,
        x: Value,
        *,
        kernel: tuple[int, int],
        strides: tuple[int, int] = (1, 1),
        pads: tuple[int, int, int, int] = (0, 0, 0, 0),
    ) -> Value:
        """Sum over each window, zeros outside."""
        return self._pool("sum_pool2d", x, kernel, strides, pads)

    def reduce_sum(self, x: Value, *, axes: Sequence[int], keepdims: bool = False) -> Value:
        """Sum over ascending `axes`."""
        return self.apply("reduce_sum", (x,), {"axes": tuple(axes), "keepdims": int(keepdims)})

    def reduce_mean(self, x: Value, *, axes: Sequence[int], keepdims: bool = False) -> Value:
        """Mean over ascending `axes`, rounded to nearest."""
        return self.apply("reduce_mean", (x,), {"axes": tuple(axes), "keepdims": int(keepdims)})

    def reduce_max(self, x: Value, *, axes: Sequence[int], keepdims: bool = False) -> Value:
        """Maximum over ascending `axes`."""
        return self.apply("reduce_max", (x,), {"axes": tuple(axes), "keepdims": int(keepdims)})

    def argmax(self, x: Value, *, axis: int) -> Value:
        """Lowest index of the maximum along `axis`, the axis dropped."""
        return self.apply("argmax", (x,), {"axis": axis})

    # Non-linear layers.

    def layer_norm(
        self,
        x: Value,
        gain: Any,
        bias: Any,
        *,
        epsilon: int,
        precision: int,
        shift_normal: int,
        shift_out: int,
        dtype: DType,
        low: int | None = None,
        high: int | None = None,
        subtract_mean: bool = True,
    ) -> Value:
        """Layer (or RMS) normalisation over the last axis; gain int16 `[D]`, bias int32 `[D]`."""
        attributes: dict[str, AttributeValue] = {
            "subtract_mean": int(subtract_mean),
            "epsilon": epsilon,
            "precision": precision,
            "shift_normal": shift_normal,
            "shift_out": shift_out,
            "low": dtype.low if low is None else low,
            "high": dtype.high if high is None else high,
            "dtype": int(dtype),
        }
        operands = (x, self._as_value(gain, DType.INT16), self._as_value(bias, DType.INT32))
        return self.apply("layer_norm", operands, attributes)

    def softmax(self, x: Value, entries: Any, *, precision: int, causal: bool = False) -> Value:
        """Softmax over the last axis; an array of `entries` becomes int16 (int32 where it holds 2^15)."""
        if not isinstance(entries, Value):
            entries = self.constant(entries, DType.INT16 if max(entries) < 2**15 else DType.INT32)
        return self.apply("softmax", (x, entries), {"causal": int(causal), "precision": precision})

    # Moving data.

    def reshape(self, x: Value, shape: Sequence[int]) -> Value:
        """The same elements in order; -1 stands for the symbolic dimension."""
        return self.apply("reshape", (x,), {"shape": tuple(shape)})

    def transpose(self, x: Value, permutation: Sequence[int]) -> Value:
        """Axes in another order."""
        return self.apply("transpose", (x,), {"permutation": tuple(permutation)})

    def concat(self, values: Sequence[Value], *, axis: int) -> Value:
        """Values of one dtype, one after the other along `axis`."""
        return self.apply("concat", tuple(values), {"axis": axis})

    def slice(self, x: Value, *, axis: int, start: int, length: int) -> Value:
        """`length` entries of `axis` from `start`; -1 stands for the symbolic dimension."""
        return self.apply("slice", (x,), {"axis": axis, "start": start, "length": length})
