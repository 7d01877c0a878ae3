"""Constants against their declarations, and the bounds that others build on."""

from __future__ import annotations

import attrs
import numpy as np
import pytest

from lazai_core.api.errors import InvalidProgram
from lazai_core.api.program import DType, Program
from lazai_core.exact import bounds
from lazai_core.exact.builder import ProgramBuilder
from lazai_core.exact.model import ExactModel


@pytest.fixture
def model() -> ExactModel:
    builder = ProgramBuilder()
    x = builder.input("x", DType.INT8, (2, 3), low=-4, high=100)
    y = builder.requantize(builder.dense(x, [[1, -2, 3], [-128, 0, 0]], [7, -7]), dtype=DType.INT8, shift=4)
    y = builder.softmax(y, [90, 9, 9, 0], precision=8)
    builder.output("y", builder.matmul(y, builder.reshape(y, (2, 2))))
    return builder.build()


def test_a_constant_is_described_exactly() -> None:
    described = bounds.describe_constant(np.array([[1, -2, 3], [-128, 0, 0]], dtype=np.int8), DType.INT8)

    assert (described.shape, described.low, described.high, described.row_sum) == ((2, 3), -128, 3, 128)


@pytest.mark.parametrize("block", [1, 2, 5, 1000])
@pytest.mark.parametrize("shape", [(), (7,), (3, 4), (2, 3, 4), (1, 50)])
def test_row_sums_in_blocks(monkeypatch: pytest.MonkeyPatch, block: int, shape: tuple[int, ...]) -> None:
    monkeypatch.setattr(bounds, "BLOCK_ELEMENTS", block)
    array = np.random.default_rng(1).integers(-128, 128, size=shape).astype(np.int8)
    rows = array.reshape(shape[0] if shape else 1, -1).tolist()

    assert bounds.row_sum_max(array) == max(sum(abs(element) for element in row) for row in rows)


def redeclared(model: ExactModel, index: int, **changes: int) -> Program:
    constants = list(model.program.constants)
    constants[index] = attrs.evolve(constants[index], **changes)
    return attrs.evolve(model.program, constants=tuple(constants))


def test_a_looser_declaration_is_fine(model: ExactModel) -> None:
    program = redeclared(model, 0, low=-128, high=127, row_sum=384)

    bounds.check_constants(program, model.constants)
    assert program.digest() != model.program.digest()


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"low": -127}, r"constant 0 reaches \[-128, 3\], outside the declared \[-127, 3\]"),
        ({"high": 2}, "constant 0 reaches"),
        ({"row_sum": 127}, "constant 0 has a row whose absolute sum is 128, declared are 127"),
    ],
)
def test_a_tighter_declaration_is_a_lie(model: ExactModel, changes: dict[str, int], reason: str) -> None:
    with pytest.raises(InvalidProgram, match=reason):
        bounds.check_constants(redeclared(model, 0, **changes), model.constants)


def test_arrays_must_match_in_number_type_and_shape(model: ExactModel) -> None:
    weight, *others = model.constants
    with pytest.raises(InvalidProgram, match="3 constants, 2 were given"):
        bounds.check_constants(model.program, others)
    for wrong in (weight.astype(np.int16), weight.reshape(3, 2)):
        with pytest.raises(InvalidProgram, match=r"constant 0 must be int8 of shape \(2, 3\)"):
            bounds.check_constants(model.program, [wrong, *others])


@pytest.mark.parametrize("entries", [[9, 90, 9, 0], [0, 0, 0, 0]])
def test_softmax_tables_start_above_zero_and_never_rise(model: ExactModel, entries: list[int]) -> None:
    arrays = [*model.constants[:2], np.array(entries, dtype=np.int16)]
    program = redeclared(model, 2, low=0, high=90)

    with pytest.raises(InvalidProgram, match=r"operation 2 \(softmax\): the table"):
        bounds.check_constants(program, arrays)


def test_accumulator_bounds(model: ExactModel) -> None:
    # Rows add up to 128 at most, |x| to 100; rows of the softmax to 2^8 + 1, its elements to 2^8.
    assert bounds.accumulator_bound(model.program, 0) == 128 * 100
    assert bounds.accumulator_bound(model.program, 4) == (2**8 + 1) * 2**8
    with pytest.raises(ValueError, match=r"operation 1 \(requantize\)"):
        bounds.accumulator_bound(model.program, 1)


def test_the_activation_limit_is_the_largest_that_passes() -> None:
    limit = bounds.activation_limit(40000, 1000)

    assert 40000 * limit + 1000 < 2**30 <= 40000 * (limit + 1) + 1000
    assert bounds.activation_limit(40000, 2**30) == 0
