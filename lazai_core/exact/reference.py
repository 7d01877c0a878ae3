"""The reference executor: one operation after the other in numpy. What it gives is what a program means."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from attrs import field, frozen

from lazai_core.api.compute import CancelToken, TensorView
from lazai_core.api.program import BoundProgram, Op, Program, Shape
from lazai_core.exact.codec import as_view, bind_arrays, decode_inputs, encode_outputs, numpy_dtype
from lazai_core.exact.cost import last_uses
from lazai_core.exact.model import ExactModel

if TYPE_CHECKING:
    from lazai_core.exact.model import IntArray


@frozen(kw_only=True)
class ReferenceTrace:
    """Every value of one run by value index: the witness of proof systems."""

    program: Program
    arrays: tuple[IntArray, ...] = field(eq=False, repr=False)

    def value(self, index: int) -> TensorView:
        """Value `index` as bytes."""
        return as_view(self.arrays[index], self.program.values[index].dtype)


@frozen(kw_only=True)
class ReferenceRun:
    """Outcome of a run: output arrays in the program's order, and the trace where it was asked for."""

    bound: BoundProgram
    outputs: tuple[IntArray, ...] = field(eq=False, repr=False)
    trace: ReferenceTrace | None = field(default=None, repr=False)

    def output_bytes(self) -> bytes:
        """The job output."""
        return encode_outputs(self.bound, self.outputs)


def apply_op(op: Op, operands: Sequence[IntArray], shape: Shape) -> IntArray:
    """One operation on stored operands; `shape` is its concrete result shape. The op must be valid."""
    import numpy as np

    from lazai_core.exact.kernels import KERNELS

    result = KERNELS[op.kind](op, operands, shape)
    assert tuple(result.shape) == tuple(shape), f"{op.kind}: {result.shape} is not {shape}"
    return np.ascontiguousarray(result, dtype=numpy_dtype(op.dtype)).reshape(shape)


def run(
    program: Program,
    constants: Sequence[IntArray],
    inputs: Sequence[IntArray],
    *,
    dim_value: int | None = None,
    cancel: CancelToken | None = None,
    on_op: Callable[[int], None] | None = None,
    keep_trace: bool = False,
) -> ReferenceRun:
    """Run on arrays. `on_op` is called with each op's index before it runs and may raise to stop the run.

    Raises `InvalidInput` for inputs that do not fit and `Cancelled` when the token is set.
    """
    bound = bind_arrays(program, inputs, dim_value)
    stored = [a.astype(numpy_dtype(i.dtype)) for a, i in zip(inputs, program.inputs, strict=True)]
    return _run(bound, constants, stored, cancel, on_op, keep_trace)


def _run(
    bound: BoundProgram,
    constants: Sequence[IntArray],
    inputs: Sequence[IntArray],
    cancel: CancelToken | None,
    on_op: Callable[[int], None] | None,
    keep_trace: bool,
) -> ReferenceRun:
    program = bound.program
    assert len(constants) == len(program.constants), "a model has one array per constant"
    values: list[IntArray | None] = [*inputs, *constants]
    last = last_uses(program)
    for index, op in enumerate(program.ops):
        if cancel is not None:
            cancel.raise_if_cancelled()
        if on_op is not None:
            on_op(index)
        value = program.first_result + index
        result = apply_op(op, [_present(values, operand) for operand in op.operands], bound.shapes[value])
        info = program.values[value]
        # The interval rules promise this; a break here is a mistake of ours, never of the input.
        assert info.low <= int(result.min()), f"op {index} falls below its interval"
        assert int(result.max()) <= info.high, f"op {index} rises above its interval"
        values.append(result)
        if not keep_trace:
            for operand in op.operands:
                if last[operand] == index:
                    values[operand] = None
    outputs = tuple(_present(values, output.value) for output in program.outputs)
    trace = None
    if keep_trace:
        arrays = tuple(_present(values, index) for index in range(len(values)))
        trace = ReferenceTrace(program=program, arrays=arrays)
    return ReferenceRun(bound=bound, outputs=outputs, trace=trace)


def _present(values: Sequence[IntArray | None], index: int) -> IntArray:
    array = values[index]
    assert array is not None, f"value {index} was dropped before its last use"
    return array


def run_job(
    model: ExactModel,
    job_input: bytes,
    *,
    cancel: CancelToken | None = None,
    on_op: Callable[[int], None] | None = None,
    keep_trace: bool = False,
) -> ReferenceRun:
    """Run on job input bytes. Raises `InvalidInput` and `Cancelled` as `run` does."""
    bound, inputs = decode_inputs(model.program, job_input)
    return _run(bound, model.constants, inputs, cancel, on_op, keep_trace)
