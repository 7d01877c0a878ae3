"""The builder: constants stored once, and mistakes named where they happen."""

from __future__ import annotations

import numpy as np
import pytest

from lazai_core.api.errors import InvalidProgram
from lazai_core.api.program import Dim, DType, Scale
from lazai_core.exact.builder import ProgramBuilder


def test_values_are_renumbered_whatever_the_order_of_calls() -> None:
    builder = ProgramBuilder(Dim(name="n", minimum=1, maximum=4))
    x = builder.input("x", DType.INT8, (-1,))
    first = builder.add(x, builder.constant([3], DType.INT8))
    y = builder.input("y", DType.INT8, (-1,), low=0, high=5, scale=Scale.from_float(0.5))
    second = builder.subtract(first, builder.add(y, builder.constant([4], DType.INT8)), shift_left=2)
    builder.output("z", second, scale=Scale.from_float(0.125))

    program = builder.build().program

    assert [op.operands for op in program.ops] == [(0, 2), (1, 3), (4, 5)]
    assert program.outputs[0].value == 6
    assert (second.dtype, second.shape, second.low, second.high) == (DType.INT32, (-1,), -509, 516)


def test_equal_constants_are_stored_once() -> None:
    builder = ProgramBuilder()

    first = builder.constant(np.array([1, 2]), DType.INT8)

    assert builder.constant([1, 2], DType.INT8) is first
    assert builder.constant([1, 2], DType.INT16) is not first
    assert builder.constant([[1, 2]], DType.INT8) is not first


def test_a_later_change_of_the_array_does_not_reach_the_model() -> None:
    builder = ProgramBuilder()
    given = np.array([1, 2], dtype=np.int8)
    builder.output("y", builder.add(builder.input("x", DType.INT8, (2,)), builder.constant(given, DType.INT8)))
    given[0] = 9

    model = builder.build()

    assert model.constants[0].tolist() == [1, 2]
    assert not model.constants[0].flags.writeable


def test_mistakes_name_the_operation() -> None:
    builder = ProgramBuilder()
    x = builder.input("x", DType.INT8, (2, 3))
    builder.reshape(x, (3, 2))

    with pytest.raises(InvalidProgram, match=r"operation 1 \(dense\): x ends in 3, weight expects 4"):
        builder.dense(x, [[1, 2, 3, 4]], [0])


@pytest.mark.parametrize(
    ("values", "reason"),
    [([0.5], "must hold integers, not float64"), ([128], "outside int8"), ([], "integers|no elements")],
)
def test_constants_must_fit(values: list[float], reason: str) -> None:
    with pytest.raises(InvalidProgram, match=reason):
        ProgramBuilder().constant(values, DType.INT8)
    with pytest.raises(InvalidProgram, match="no elements"):
        ProgramBuilder().constant(np.zeros((0,), dtype=np.int8), DType.INT8)


def test_values_of_another_builder_are_refused() -> None:
    foreign = ProgramBuilder().input("x", DType.INT8, (2,))
    builder = ProgramBuilder()
    builder.input("x", DType.INT8, (2,))

    with pytest.raises(InvalidProgram, match="another builder"):
        builder.argmax(foreign, axis=0)


def test_requantize_needs_one_kind_of_shift() -> None:
    builder = ProgramBuilder()
    x = builder.input("x", DType.INT8, (2,))

    for arguments in ({}, {"shift": 1, "shifts": [1, 1]}):
        with pytest.raises(InvalidProgram, match="either shift or shifts"):
            builder.requantize(x, dtype=DType.INT8, **arguments)


def test_a_program_without_output_is_refused() -> None:
    builder = ProgramBuilder()
    builder.argmax(builder.input("x", DType.INT8, (2,)), axis=0)

    with pytest.raises(InvalidProgram, match="1 to 64 outputs"):
        builder.build()
