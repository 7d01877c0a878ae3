"""Checking constants against what the skeleton declares of them, and bounds that backends and compilers use."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from lazai_core.api.errors import InvalidProgram
from lazai_core.api.program import ConstantValue, DType, Program, element_count
from lazai_core.api.program_rules import ACCUMULATOR_LIMIT, weighted_reach
from lazai_core.exact.codec import numpy_dtype, tensor_bytes

if TYPE_CHECKING:
    from lazai_core.exact.model import IntArray

# Elements that are widened to 64 bits at a time, so that checking a large model needs little memory.
BLOCK_ELEMENTS = 2**20


def row_sum_max(array: IntArray) -> int:
    """The largest, over the rows along the first axis, sum of absolute elements."""
    import numpy as np

    rows = array.reshape(array.shape[0] if array.ndim else 1, -1)
    width = min(rows.shape[1], BLOCK_ELEMENTS)
    height = max(1, BLOCK_ELEMENTS // width)
    largest = 0
    for top in range(0, rows.shape[0], height):
        block = rows[top : top + height]
        sums = np.zeros(len(block), dtype=np.int64)
        for left in range(0, rows.shape[1], width):
            sums += np.abs(block[:, left : left + width].astype(np.int64)).sum(axis=1)
        largest = max(largest, int(sums.max()))
    return largest


def describe_constant(array: IntArray, dtype: DType) -> ConstantValue:
    """The tightest declaration of an array that has the numpy type of `dtype`."""
    if array.size == 0:
        raise InvalidProgram(f"a constant of shape {array.shape} has no elements")
    return ConstantValue(
        dtype=dtype,
        shape=tuple(array.shape),
        digest=hashlib.sha256(tensor_bytes(array, dtype)).digest(),
        low=int(array.min()),
        high=int(array.max()),
        row_sum=row_sum_max(array),
    )


def check_constant(index: int, declared: ConstantValue, array: IntArray) -> None:
    """Raise `InvalidProgram` where the array breaks its declaration. The digest is the reader's matter."""
    what = f"constant {index}"
    if array.dtype != numpy_dtype(declared.dtype) or tuple(array.shape) != declared.shape:
        raise InvalidProgram(
            f"{what} must be {declared.dtype.name.lower()} of shape {declared.shape}, "
            f"not {array.dtype} of shape {array.shape}"
        )
    low, high = int(array.min()), int(array.max())
    if low < declared.low or high > declared.high:
        raise InvalidProgram(f"{what} reaches [{low}, {high}], outside the declared [{declared.low}, {declared.high}]")
    total = row_sum_max(array)
    if total > declared.row_sum:
        raise InvalidProgram(f"{what} has a row whose absolute sum is {total}, declared are {declared.row_sum}")


def softmax_tables(program: Program) -> Iterator[tuple[int, int]]:
    """(op index, constant index) of every softmax."""
    for index, op in enumerate(program.ops):
        if op.kind == "softmax":
            yield index, op.operands[1] - program.first_constant


def check_constants(program: Program, arrays: Sequence[IntArray]) -> None:
    """Check every constant and the order of softmax tables. Raises `InvalidProgram`."""
    if len(arrays) != len(program.constants):
        raise InvalidProgram(f"the program has {len(program.constants)} constants, {len(arrays)} were given")
    for index, (declared, array) in enumerate(zip(program.constants, arrays, strict=True)):
        check_constant(index, declared, array)
    for op_index, index in softmax_tables(program):
        entries = arrays[index]
        if int(entries[0]) < 1 or bool((entries[1:] > entries[:-1]).any()):
            raise InvalidProgram(f"operation {op_index} (softmax): the table must start above 0 and never rise")


def accumulator_bound(program: Program, index: int) -> int:
    """Bound of every partial sum, in any order, of operation `index`: a dense, conv2d or matmul.

    Below 2^24 float32 accumulates it exactly; it is always below 2^30. The bias is not included.
    """
    op = program.ops[index]
    if op.kind == "matmul":
        return program.values[program.first_result + index].magnitude
    if op.kind not in ("dense", "conv2d"):
        raise ValueError(f"operation {index} ({op.kind}) accumulates nothing")
    x, weight = (program.values[operand] for operand in op.operands[:2])
    return weighted_reach(x, weight, element_count(weight.shape[1:]))


def activation_limit(row_sum: int, bias_magnitude: int) -> int:
    """The largest |x| for which a dense or conv2d with these weights keeps the accumulator rule; 0 if none."""
    return max(0, (ACCUMULATOR_LIMIT - 1 - bias_magnitude) // max(1, row_sum))
