"""The reference backend: limits, cancellation, traces, and attention made of the operations it stands for."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from lazai_core.api.compute import AttentionStep, CancelToken, TensorView
from lazai_core.api.errors import BackendUnavailable, Cancelled, ComputeLimitExceeded, EncodingError, InvalidInput
from lazai_core.api.job import ResourceLimits
from lazai_core.builtin.reference_coprocessor import ReferenceCoprocessor
from lazai_core.exact.cost import planned_usage
from lazai_core.testing.samples import attention, perceptron

SAMPLE = perceptron()
INPUT = SAMPLE.job_input(seed=1)


class CountingToken(CancelToken):
    """Cancels itself when it has been looked at so many times."""

    def __init__(self, looks: int) -> None:
        super().__init__()
        self.looks = looks

    def raise_if_cancelled(self) -> None:
        self.looks -= 1
        if self.looks < 0:
            self.cancel()
        super().raise_if_cancelled()


def execute(limits: ResourceLimits = ResourceLimits(), cancel: CancelToken | None = None, **options: bool) -> object:  # noqa: B008
    backend = ReferenceCoprocessor()
    model = backend.models.load(SAMPLE.model.program, SAMPLE.model)
    return backend.execute(model, INPUT, backend.monitor(limits), cancel or CancelToken(), **options)


def test_the_plan_is_exactly_enough() -> None:
    planned = planned_usage(SAMPLE.model.program.bind_input(INPUT))
    limits = ResourceLimits(flops_max=planned.flops, memory_bytes_max=planned.memory_bytes_peak)

    result = execute(limits)

    assert result.usage == planned  # type: ignore[attr-defined]
    assert result.output == SAMPLE.run(INPUT).output_bytes()  # type: ignore[attr-defined]
    assert result.measurement.flops == planned.flops  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    "limits",
    [
        lambda planned: ResourceLimits(flops_max=planned.flops - 1),
        lambda planned: ResourceLimits(memory_bytes_max=planned.memory_bytes_peak - 1),
        lambda planned: ResourceLimits(output_bytes_max=1),
    ],
)
def test_one_less_than_the_plan_is_too_little(limits: Callable[..., ResourceLimits]) -> None:
    planned = planned_usage(SAMPLE.model.program.bind_input(INPUT))

    with pytest.raises(ComputeLimitExceeded):
        execute(limits(planned))


def test_cancellation_is_seen_before_and_between_operations() -> None:
    operations = len(SAMPLE.model.program.ops)
    for looks in range(operations):
        with pytest.raises(Cancelled):
            execute(cancel=CountingToken(looks))


def test_a_trace_holds_every_value_and_only_when_asked_for() -> None:
    assert execute().trace is None  # type: ignore[attr-defined]
    trace = execute(keep_trace=True).trace  # type: ignore[attr-defined]
    expected = SAMPLE.run(INPUT, keep_trace=True).trace
    assert expected is not None
    for index in range(len(SAMPLE.model.program.values)):
        assert trace.value(index) == expected.value(index)


def test_what_cannot_be_run_is_refused() -> None:
    backend = ReferenceCoprocessor()
    model = backend.models.load(SAMPLE.model.program, SAMPLE.model)
    with pytest.raises(InvalidInput):
        backend.execute(model, INPUT + b"x", backend.monitor(ResourceLimits()), CancelToken())
    with pytest.raises(BackendUnavailable):
        backend.execute(object(), INPUT, backend.monitor(ResourceLimits()), CancelToken())  # type: ignore[arg-type]
    backend.close()
    backend.close()
    with pytest.raises(BackendUnavailable):
        backend.execute(model, INPUT, backend.monitor(ResourceLimits()), CancelToken())


STEP = AttentionStep(
    score_shift=4,
    score_low=-1000,
    score_high=1000,
    causal=True,
    precision=14,
    output_shift=10,
    output_low=-128,
    output_high=127,
    output_dtype="int8",
)


def view(array: np.ndarray, dtype: str) -> TensorView:  # type: ignore[type-arg]
    return TensorView(dtype=dtype, shape=array.shape, data=array.astype(dtype).tobytes())


def test_attention_by_hand() -> None:
    """One head, computed here with Python's integers by the formulas of docs/EXACT.md."""
    generator = np.random.default_rng(7)
    query, key, value = (generator.integers(-128, 128, (3, 4)) for _ in range(3))
    table = [2**14 >> z for z in range(12)]

    found = ReferenceCoprocessor().tensors.attention(
        STEP, view(query, "int8"), view(key, "int8"), view(value, "int8"), view(np.array(table), "int16")
    )

    expected = []
    for row in range(3):
        scores = [int(query[row] @ key[column]) for column in range(row + 1)]
        narrow = [max(-1000, min(1000, (score + 8) >> 4)) for score in scores]
        weights = [table[min(max(narrow) - score, len(table) - 1)] for score in narrow]
        inverse = 2**29 // sum(weights)
        shares = [(weight * inverse + 2**14) >> 15 for weight in weights]
        mixed = [sum(share * int(value[column, lane]) for column, share in enumerate(shares)) for lane in range(4)]
        expected.append([max(-128, min(127, (item + 512) >> 10)) for item in mixed])
    assert np.frombuffer(found.data, dtype="int8").reshape(3, 4).tolist() == expected


def test_attention_refuses_shapes_that_do_not_fit() -> None:
    small, wide = view(np.zeros((2, 4)), "int8"), view(np.zeros((2, 5)), "int8")
    table = view(np.ones(3), "int16")

    with pytest.raises(EncodingError, match="attention needs"):
        ReferenceCoprocessor().tensors.attention(STEP, small, wide, small, table)


def test_a_model_with_attention_runs() -> None:
    sample = attention()
    backend = ReferenceCoprocessor()
    model = backend.models.load(sample.model.program, sample.model)
    job_input = sample.job_input(seed=2)

    result = backend.execute(model, job_input, backend.monitor(ResourceLimits()), CancelToken())

    assert result.output == sample.run(job_input).output_bytes()
