"""Running a program: jobs, cancelling, observers, traces, refused inputs."""

from __future__ import annotations

import numpy as np
import pytest

from lazai_core.api.compute import CancelToken
from lazai_core.api.errors import Cancelled, ComputeLimitExceeded, EncodingError, InvalidInput
from lazai_core.api.program import Dim, DType
from lazai_core.exact.builder import ProgramBuilder
from lazai_core.exact.codec import as_view, encode_inputs, encode_outputs, from_view
from lazai_core.exact.model import ExactModel
from lazai_core.exact.reference import apply_op, run, run_job


@pytest.fixture(scope="module")
def model() -> ExactModel:
    """Two dense layers over a symbolic number of rows, and the class of each row."""
    builder = ProgramBuilder(Dim(name="rows", minimum=1, maximum=4))
    x = builder.input("x", DType.INT8, (-1, 2), low=-10, high=10)
    hidden = builder.requantize(
        builder.dense(x, [[1, 2], [3, -4], [-1, 0]], [5, 0, 1]), dtype=DType.INT8, shift=1, low=0
    )
    scores = builder.dense(hidden, [[1, 0, 0], [0, 1, 1]], [0, 0])
    builder.output("scores", scores)
    builder.output("class", builder.argmax(scores, axis=1))
    return builder.build()


def test_a_job_worked_out_by_hand(model: ExactModel) -> None:
    # [3, -4] -> dense [0, 25, -2] -> (0+1)>>1, 13, clamp(-1) -> [0, 13, 0] -> scores [0, 13], class 1.
    job_input = b"\x00\x00\x00\x01" + bytes([3, 256 - 4])

    output = run_job(model, job_input).output_bytes()

    assert output == bytes([0, 0, 0, 0, 13, 0, 0, 0]) + bytes([1, 0, 0, 0])


def test_arrays_and_bytes_give_the_same(model: ExactModel) -> None:
    x = np.array([[3, -4], [10, 10], [-10, 0]])

    by_array = run(model.program, model.constants, [x])
    by_bytes = run_job(model, encode_inputs(model.program, [x]))

    assert by_array.bound.dim_value == 3
    assert by_array.output_bytes() == by_bytes.output_bytes()


def test_the_trace_holds_every_value(model: ExactModel) -> None:
    result = run(model.program, model.constants, [np.array([[3, -4]])], keep_trace=True)

    assert result.trace is not None
    assert [array.shape for array in result.trace.arrays] == list(result.bound.shapes)
    first = result.trace.value(model.program.first_result)
    assert (first.dtype, first.shape) == ("int32", (1, 3))
    assert from_view(first).tolist() == [[0, 25, -2]]
    assert run(model.program, model.constants, [np.array([[3, -4]])]).trace is None


def test_one_operation_on_its_own(model: ExactModel) -> None:
    op = model.program.ops[0]
    constants = [from_view(model.constant(index)) for index in (0, 1)]

    result = apply_op(op, [np.array([[3, -4]], dtype=np.int8), *constants], (1, 3))

    assert result.dtype == np.int32
    assert result.tolist() == [[0, 25, -2]]


def test_observers_see_each_operation_and_may_stop_the_run(model: ExactModel) -> None:
    seen: list[int] = []
    run(model.program, model.constants, [np.array([[3, -4]])], on_op=seen.append)

    def refuse(index: int) -> None:
        if index == 2:
            raise ComputeLimitExceeded("enough")

    assert seen == [0, 1, 2, 3]
    with pytest.raises(ComputeLimitExceeded):
        run(model.program, model.constants, [np.array([[3, -4]])], on_op=refuse)


def test_a_run_can_be_cancelled_between_operations(model: ExactModel) -> None:
    cancel = CancelToken()
    seen: list[int] = []

    def observe(index: int) -> None:
        seen.append(index)
        if index == 1:
            cancel.cancel()

    with pytest.raises(Cancelled):
        run(model.program, model.constants, [np.array([[3, -4]])], cancel=cancel, on_op=observe)
    assert seen == [0, 1]


@pytest.mark.parametrize(
    ("inputs", "reason"),
    [
        ([], "1 input tensors are needed, 0 were given"),
        ([np.zeros((1, 2))], "must hold integers, not float64"),
        ([np.zeros((1, 3), dtype=int)], r"must have shape \(1, 2\)"),
        ([np.zeros((5, 2), dtype=int)], "rows must be from 1 to 4, not 5"),
        ([np.zeros((0, 2), dtype=int)], "rows must be from 1 to 4, not 0"),
        ([np.zeros((2,), dtype=int)], "rows must be from 1 to 4, not 0"),
        ([np.full((1, 2), 11)], r"input x reaches \[11, 11\], outside \[-10, 10\]"),
    ],
)
def test_inputs_that_do_not_fit_are_refused(model: ExactModel, inputs: list[np.ndarray], reason: str) -> None:
    with pytest.raises(InvalidInput, match=reason):
        run(model.program, model.constants, inputs)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "begins with 4 bytes"),
        (b"\x00\x00\x00\x01\x00", "must have 6 bytes, 5 were given"),
        (b"\x00\x00\x00\x01\x00\x00\x00", "must have 6 bytes, 7 were given"),
        (b"\x00\x00\x00\x05" + bytes(10), "from 1 to 4, not 5"),
        (b"\xff\xff\xff\xff" + bytes(2), "from 1 to 4"),
        (b"\x00\x00\x00\x01\x0b\x00", r"\[0, 11\], outside \[-10, 10\]"),
    ],
)
def test_job_bytes_that_do_not_fit_are_refused(model: ExactModel, data: bytes, reason: str) -> None:
    with pytest.raises(InvalidInput, match=reason):
        run_job(model, data)


def test_outputs_are_checked_before_they_become_bytes(model: ExactModel) -> None:
    bound = model.program.bind(1)
    scores, classes = np.array([[0, 1]]), np.array([1])

    assert len(encode_outputs(bound, [scores, classes])) == 12
    with pytest.raises(EncodingError, match="2 output tensors"):
        encode_outputs(bound, [scores])
    with pytest.raises(EncodingError, match="must have shape"):
        encode_outputs(bound, [scores, scores])
    with pytest.raises(EncodingError, match="output class leaves its interval"):
        encode_outputs(bound, [scores, np.array([2])])


def test_views_that_do_not_fit_are_refused() -> None:
    view = as_view(np.array([[1, -2]]), DType.INT16)

    assert view.data == b"\x01\x00\xfe\xff"
    for changed in (("uint8", (1, 2)), ("int16", (1, 3)), ("int16", (-1, -2)), ("int8", (1, 2))):
        with pytest.raises(EncodingError):
            from_view(type(view)(dtype=changed[0], shape=changed[1], data=view.data))
