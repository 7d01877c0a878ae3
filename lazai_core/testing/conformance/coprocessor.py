"""What every compute backend must do: give the reference's bytes, keep limits, and leave nothing behind."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from attrs import evolve

from lazai_core.api.compute import (
    AttentionStep,
    CancelToken,
    Capability,
    Coprocessor,
    ExecutionResult,
    LoadedModel,
    ResourceMonitor,
    TensorView,
)
from lazai_core.api.entries import CoprocessorEntry
from lazai_core.api.errors import BackendUnavailable, Cancelled, ComputeLimitExceeded, InvalidInput
from lazai_core.api.job import Measurement, ResourceLimits, ResourceUsage
from lazai_core.api.program import element_count
from lazai_core.exact.codec import as_view, decode_inputs
from lazai_core.exact.cost import planned_usage
from lazai_core.exact.reference import apply_op
from lazai_core.testing.attention_steps import AttentionCase, attention_cases, composed_attention
from lazai_core.testing.cases import cases
from lazai_core.testing.operations import operation_samples
from lazai_core.testing.parts import build_entry
from lazai_core.testing.sample import Fill, Sample
from lazai_core.testing.samples import attention, convolution, exact_programs, perceptron


class CancellingMonitor:
    """A monitor that cancels the run after a number of charges: what a user does in the middle of a job."""

    def __init__(self, inner: ResourceMonitor, cancel: CancelToken, after: int) -> None:
        self.limits = inner.limits
        self._inner = inner
        self._cancel = cancel
        self._left = after

    def start(self) -> None:
        """Begin to measure."""
        self._inner.start()

    def charge(self, flops: int, memory_bytes: int) -> None:
        """Book, and cancel when the count is reached."""
        self._inner.charge(flops, memory_bytes)
        self._left -= 1
        if self._left <= 0:
            self._cancel.cancel()

    def measurement(self) -> Measurement:
        """What was booked and measured so far."""
        return self._inner.measurement()


def _by_name(sample: Sample) -> str:
    return sample.name


OPERATIONS = pytest.mark.parametrize("sample", operation_samples(), ids=_by_name)
STATIC_OPERATIONS = pytest.mark.parametrize(
    "sample", [sample for sample in operation_samples() if sample.model.program.dim is None], ids=_by_name
)
PROGRAMS = pytest.mark.parametrize("sample", exact_programs(), ids=_by_name)


class CoprocessorConformance:
    """Subclass it, give the fixture `entry`; override `options` or `coprocessor` to choose a device."""

    @pytest.fixture
    def entry(self) -> CoprocessorEntry:
        """The entry under test."""
        raise NotImplementedError("give a fixture `entry` that returns your CoprocessorEntry")

    @pytest.fixture
    def options(self, entry: CoprocessorEntry) -> Any:
        """Options the backend is built with."""
        return entry.options()

    @pytest.fixture
    def absent_device(self, entry: CoprocessorEntry) -> Any:
        """Options that name a device no machine has, or None for a backend that has no choice."""
        return None

    @pytest.fixture(scope="class")
    @classmethod
    def open_backends(cls) -> Iterator[dict[str, Coprocessor]]:
        """Backends of this class by entry and options: devices are slow to open, so tests share one."""
        opened: dict[str, Coprocessor] = {}
        yield opened
        for backend in opened.values():
            backend.close()

    @pytest.fixture
    def coprocessor(
        self, entry: CoprocessorEntry, options: Any, open_backends: dict[str, Coprocessor]
    ) -> Coprocessor:
        """The backend."""
        key = f"{entry.name} {options}"
        if key not in open_backends:
            open_backends[key] = build_entry(entry, options=options)
        return open_backends[key]

    # Helpers.

    def load(self, coprocessor: Coprocessor, sample: Sample) -> LoadedModel:
        """Bring a sample onto the device."""
        return coprocessor.models.load(sample.model.program, sample.model)

    def execute(
        self,
        coprocessor: Coprocessor,
        model: LoadedModel,
        job_input: bytes,
        *,
        limits: ResourceLimits | None = None,
        keep_trace: bool = False,
    ) -> ExecutionResult:
        """Run once with a fresh monitor and token."""
        monitor = coprocessor.monitor(limits or ResourceLimits())
        return coprocessor.execute(model, job_input, monitor, CancelToken(), keep_trace=keep_trace)

    # What it is.

    def test_info_says_what_the_entry_says(self, entry: CoprocessorEntry, coprocessor: Coprocessor) -> None:
        info = coprocessor.info

        assert info.name == entry.name
        assert info.version
        assert info.device
        assert info.deterministic
        assert entry.capabilities <= info.capabilities
        assert Capability.EXACT_TENSORS in info.capabilities

    def test_an_absent_device_is_reported_with_a_way_out(self, entry: CoprocessorEntry, absent_device: Any) -> None:
        if absent_device is None:
            pytest.skip("this backend has no choice of devices")
        with pytest.raises(BackendUnavailable) as failure:
            build_entry(entry, options=absent_device)
        assert failure.value.hint, "say what to install or to configure"

    # Exactness.

    @STATIC_OPERATIONS
    def test_an_operation_gives_the_reference_bytes(self, coprocessor: Coprocessor, sample: Sample) -> None:
        program = sample.model.program
        (op,) = program.ops
        for fill in Fill:
            bound, arrays = decode_inputs(program, sample.job_input(seed=11, fill=fill))
            values = [*arrays, *sample.model.constants]
            expected = apply_op(op, [values[index] for index in op.operands], bound.shapes[program.first_result])
            views = [as_view(values[index], program.values[index].dtype) for index in op.operands]

            found = coprocessor.tensors.apply(op, views)

            assert (found.dtype, found.shape) == (op.dtype.name.lower(), tuple(expected.shape)), fill
            assert bytes(found.data) == as_view(expected, op.dtype).data, fill

    @OPERATIONS
    def test_a_program_of_one_operation_gives_the_reference_bytes(
        self, coprocessor: Coprocessor, sample: Sample
    ) -> None:
        self._check_program(coprocessor, sample, seed=12)

    @PROGRAMS
    def test_a_whole_program_gives_the_reference_bytes(self, coprocessor: Coprocessor, sample: Sample) -> None:
        self._check_program(coprocessor, sample, seed=13)

    def _check_program(self, coprocessor: Coprocessor, sample: Sample, seed: int) -> None:
        model = self.load(coprocessor, sample)
        for dim_value in sample.dims:
            for fill in Fill:
                job_input = sample.job_input(seed=seed, fill=fill, dim_value=dim_value)

                found = self.execute(coprocessor, model, job_input)

                assert found.output == sample.run(job_input).output_bytes(), (fill, dim_value)

    @pytest.mark.parametrize("case", attention_cases(), ids=lambda case: case.name)
    def test_fused_attention_equals_the_composed_operations(
        self, coprocessor: Coprocessor, case: AttentionCase
    ) -> None:
        for fill in Fill:
            operands = case.operands(fill)

            found = coprocessor.tensors.attention(case.step, *operands)

            expected = composed_attention(case.step, *operands)
            assert (found.dtype, found.shape) == (expected.dtype, expected.shape), fill
            assert bytes(found.data) == expected.data, fill

    def test_operands_may_be_borrowed_and_are_left_as_they_were(self, coprocessor: Coprocessor) -> None:
        step, operands = _causal_step()
        before = [bytes(view.data) for view in operands]
        borrowed = [evolve(view, data=memoryview(bytearray(view.data))) for view in operands]

        found = coprocessor.tensors.attention(step, *borrowed)

        assert bytes(found.data) == composed_attention(step, *operands).data
        assert [bytes(view.data) for view in borrowed] == before

    # Cost.

    @PROGRAMS
    def test_planned_usage_is_the_formula(self, coprocessor: Coprocessor, sample: Sample) -> None:
        program = sample.model.program
        model = self.load(coprocessor, sample)
        for dim_value in sample.dims:
            job_input = sample.job_input(dim_value=dim_value)
            expected = planned_usage(program.bind(dim_value))

            planned = coprocessor.models.plan(program, job_input)
            result = self.execute(coprocessor, model, job_input)

            assert _cost(planned) == _cost(expected)
            assert _cost(result.usage) == _cost(expected)
            assert result.measurement.flops == expected.flops
            assert result.measurement.memory_bytes_peak >= 0
            assert result.measurement.time_ns >= 0

    def test_flops_limit_is_exact(self, coprocessor: Coprocessor) -> None:
        sample = perceptron()
        job_input = sample.job_input()
        model = self.load(coprocessor, sample)
        flops = coprocessor.models.plan(sample.model.program, job_input).flops

        self.execute(coprocessor, model, job_input, limits=ResourceLimits(flops_max=flops))
        with pytest.raises(ComputeLimitExceeded):
            self.execute(coprocessor, model, job_input, limits=ResourceLimits(flops_max=flops - 1))

    def test_memory_limit_stops_the_run(self, coprocessor: Coprocessor) -> None:
        sample = convolution()
        job_input = sample.job_input()
        model = self.load(coprocessor, sample)
        peak = coprocessor.models.plan(sample.model.program, job_input).memory_bytes_peak

        self.execute(coprocessor, model, job_input, limits=ResourceLimits(memory_bytes_max=peak))
        with pytest.raises(ComputeLimitExceeded):
            self.execute(coprocessor, model, job_input, limits=ResourceLimits(memory_bytes_max=1))

    def test_output_limit_stops_the_run(self, coprocessor: Coprocessor) -> None:
        sample = perceptron()
        model = self.load(coprocessor, sample)
        job_input = sample.job_input()
        size = len(sample.run(job_input).output_bytes())

        self.execute(coprocessor, model, job_input, limits=ResourceLimits(output_bytes_max=size))
        with pytest.raises(ComputeLimitExceeded):
            self.execute(coprocessor, model, job_input, limits=ResourceLimits(output_bytes_max=size - 1))

    # Cancelling.

    def test_a_cancelled_job_does_not_start(self, coprocessor: Coprocessor) -> None:
        sample = perceptron()
        model = self.load(coprocessor, sample)
        cancel = CancelToken()
        cancel.cancel()

        with pytest.raises(Cancelled):
            coprocessor.execute(model, sample.job_input(), coprocessor.monitor(ResourceLimits()), cancel)

    def test_a_running_job_is_cancelled_between_operations(self, coprocessor: Coprocessor) -> None:
        sample = attention()
        model = self.load(coprocessor, sample)
        cancel = CancelToken()
        monitor = CancellingMonitor(coprocessor.monitor(ResourceLimits()), cancel, after=3)

        with pytest.raises(Cancelled):
            coprocessor.execute(model, sample.job_input(), monitor, cancel)

        job_input = sample.job_input()
        assert self.execute(coprocessor, model, job_input).output == sample.run(job_input).output_bytes()

    # Memory of earlier jobs.

    def test_the_same_job_gives_the_same_bytes_whatever_ran_before(self, coprocessor: Coprocessor) -> None:
        samples = exact_programs()
        models = [self.load(coprocessor, sample) for sample in samples]
        inputs = [sample.job_input(seed=21) for sample in samples]
        expected = [sample.run(data).output_bytes() for sample, data in zip(samples, inputs, strict=True)]

        for case in cases(20):
            with case:
                index = case.random.randrange(len(samples))
                assert self.execute(coprocessor, models[index], inputs[index]).output == expected[index]

    def test_a_model_unloaded_and_loaded_again_is_the_same(self, coprocessor: Coprocessor) -> None:
        sample = convolution()
        job_input = sample.job_input(seed=22)
        expected = sample.run(job_input).output_bytes()
        kept = self.load(coprocessor, perceptron())

        for _ in range(3):
            model = self.load(coprocessor, sample)
            assert model.program == sample.model.program
            assert model.memory_bytes > 0
            assert self.execute(coprocessor, model, job_input).output == expected
            coprocessor.models.unload(model)

        data = perceptron().job_input()
        assert self.execute(coprocessor, kept, data).output == perceptron().run(data).output_bytes()

    def test_another_thread_may_run_the_job(self, coprocessor: Coprocessor) -> None:
        sample = attention()
        model = self.load(coprocessor, sample)
        job_input = sample.job_input(seed=23)

        with ThreadPoolExecutor(max_workers=1) as pool:
            found = pool.submit(self.execute, coprocessor, model, job_input).result()

        assert found.output == sample.run(job_input).output_bytes()

    def test_close_may_be_repeated(self, entry: CoprocessorEntry, options: Any) -> None:
        backend: Coprocessor = build_entry(entry, options=options)

        backend.close()
        backend.close()

    # Bad input.

    @PROGRAMS
    def test_bytes_that_do_not_fit_are_refused(self, coprocessor: Coprocessor, sample: Sample) -> None:
        model = self.load(coprocessor, sample)
        good = sample.job_input(seed=24)
        for bad in _misfits(sample, good):
            with pytest.raises(InvalidInput):
                coprocessor.models.plan(sample.model.program, bad)
            with pytest.raises(InvalidInput):
                self.execute(coprocessor, model, bad)

    def test_an_element_outside_its_interval_is_refused(self, coprocessor: Coprocessor) -> None:
        sample = attention()
        model = self.load(coprocessor, sample)
        for token in (-1, 50, -(2**31), 2**31 - 1):
            bad = sample.job_input(dim_value=5)[:-4] + token.to_bytes(4, "little", signed=True)
            with pytest.raises(InvalidInput):
                self.execute(coprocessor, model, bad)

    # Traces.

    @PROGRAMS
    def test_the_trace_holds_the_reference_values(self, coprocessor: Coprocessor, sample: Sample) -> None:
        if Capability.TRACE not in coprocessor.info.capabilities:
            pytest.skip("this backend keeps no traces and says so")
        model = self.load(coprocessor, sample)
        for dim_value in sample.dims:
            job_input = sample.job_input(seed=25, dim_value=dim_value)
            run = sample.run(job_input, keep_trace=True)

            found = self.execute(coprocessor, model, job_input, keep_trace=True)

            assert run.trace is not None
            assert found.trace is not None
            assert found.output == run.output_bytes()
            for index in range(len(sample.model.program.values)):
                ours, theirs = found.trace.value(index), run.trace.value(index)
                assert (ours.dtype, ours.shape, bytes(ours.data)) == (theirs.dtype, theirs.shape, theirs.data), index


def _cost(usage: ResourceUsage) -> tuple[int, int]:
    # Whether a backend counts tokens is not part of docs/EXACT.md.
    return usage.flops, usage.memory_bytes_peak


def _misfits(sample: Sample, good: bytes) -> Iterator[bytes]:
    yield b""
    yield good[:3]
    yield good[:-1]
    yield good + b"\x00"
    yield good[4:]
    dim = sample.model.program.dim
    wrong = [1] if dim is None else [0, dim.maximum + 1, 2**32 - 1]
    for value in wrong:
        yield value.to_bytes(4, "big") + good[4:]
    if dim is not None:
        for value in (dim.minimum - 1, dim.maximum + 1):
            # A length that would fit the impossible dimension.
            row = (len(good) - 4) // sample.dims[-1]
            yield value.to_bytes(4, "big") + bytes(max(0, row * value))


def _causal_step() -> tuple[AttentionStep, Sequence[TensorView]]:
    case = next(case for case in attention_cases() if case.step.causal)
    operands = case.operands(Fill.RANDOM)
    assert all(element_count(view.shape) for view in operands)
    return case.step, operands
