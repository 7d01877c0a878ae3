"""Whole programs on the torch backend: output, trace, usage, limits and cancellation against the reference."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lazai_core.api.compute import CancelToken
from lazai_core.api.errors import Cancelled, ComputeError, ComputeLimitExceeded, InvalidInput
from lazai_core.api.job import ResourceLimits
from lazai_core.exact.codec import as_view, encode_inputs
from lazai_core.exact.cost import planned_usage
from lazai_core.exact.reference import run_job
from lazai_gpu_torch.backend import TorchCoprocessor
from lazai_gpu_torch.options import TorchOptions
from tests.property.program_cases import random_inputs, random_model

NO_LIMITS = ResourceLimits()


@pytest.fixture(scope="module")
def cpu() -> TorchCoprocessor:
    return TorchCoprocessor(TorchOptions(device="cpu", threads=1))


@pytest.fixture(scope="module")
def cuda() -> TorchCoprocessor:
    return TorchCoprocessor(TorchOptions(device="cuda"))


def check_equal(backend: TorchCoprocessor, seed: int) -> None:
    """Output bytes with and without trace, every traced value, and the planned usage."""
    model = random_model(seed)
    bound, inputs = random_inputs(model, seed + 1)
    job_input = encode_inputs(model.program, inputs, bound.dim_value)
    expected = run_job(model, job_input, keep_trace=True)
    assert expected.trace is not None
    loaded = backend.models.load(model.program, model)

    plain = backend.execute(loaded, job_input, backend.monitor(NO_LIMITS), CancelToken())
    traced = backend.execute(loaded, job_input, backend.monitor(NO_LIMITS), CancelToken(), keep_trace=True)

    assert plain.output == traced.output == expected.output_bytes()
    assert plain.usage == planned_usage(bound)
    assert plain.measurement.flops == plain.usage.flops
    assert traced.trace is not None
    for index, info in enumerate(model.program.values):
        assert traced.trace.value(index) == as_view(expected.trace.arrays[index], info.dtype), f"value {index}"


@settings(max_examples=150, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_random_programs_are_bit_equal_on_the_cpu(cpu: TorchCoprocessor, seed: int) -> None:
    check_equal(cpu, seed)


@pytest.mark.gpu
@settings(max_examples=150, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_random_programs_are_bit_equal_on_cuda(cuda: TorchCoprocessor, seed: int) -> None:
    check_equal(cuda, seed)


def test_limits_stop_the_run(cpu: TorchCoprocessor) -> None:
    model = random_model(3)
    bound, inputs = random_inputs(model, 4)
    job_input = encode_inputs(model.program, inputs, bound.dim_value)
    loaded = cpu.models.load(model.program, model)
    usage = cpu.models.plan(model.program, job_input)
    assert usage.flops > 0
    for limits in (
        ResourceLimits(flops_max=usage.flops - 1),
        ResourceLimits(memory_bytes_max=usage.memory_bytes_peak - 1),
    ):
        with pytest.raises(ComputeLimitExceeded):
            cpu.execute(loaded, job_input, cpu.monitor(limits), CancelToken())
    exact = ResourceLimits(flops_max=usage.flops, memory_bytes_max=usage.memory_bytes_peak)
    assert cpu.execute(loaded, job_input, cpu.monitor(exact), CancelToken()).usage == usage


def test_a_cancelled_token_stops_the_run(cpu: TorchCoprocessor) -> None:
    model = random_model(3)
    bound, inputs = random_inputs(model, 4)
    token = CancelToken()
    token.cancel()
    with pytest.raises(Cancelled):
        cpu.execute(
            cpu.models.load(model.program, model),
            encode_inputs(model.program, inputs, bound.dim_value),
            cpu.monitor(NO_LIMITS),
            token,
        )


def test_bytes_that_do_not_fit_are_refused(cpu: TorchCoprocessor) -> None:
    model = random_model(3)
    bound, inputs = random_inputs(model, 4)
    job_input = encode_inputs(model.program, inputs, bound.dim_value)
    loaded = cpu.models.load(model.program, model)
    for wrong in (b"", job_input[:-1], job_input + b"\x00", b"\xff" * len(job_input)):
        with pytest.raises(InvalidInput):
            cpu.execute(loaded, wrong, cpu.monitor(NO_LIMITS), CancelToken())


def test_an_unloaded_model_is_refused_and_holds_no_tensors(cpu: TorchCoprocessor) -> None:
    model = random_model(3)
    bound, inputs = random_inputs(model, 4)
    loaded = cpu.models.load(model.program, model)
    cpu.models.unload(loaded)
    assert not loaded.constants
    assert not loaded.steps
    with pytest.raises(ComputeError, match="load it first"):
        cpu.execute(
            loaded, encode_inputs(model.program, inputs, bound.dim_value), cpu.monitor(NO_LIMITS), CancelToken()
        )


def test_the_backend_leaves_no_global_switch_behind(cpu: TorchCoprocessor) -> None:
    assert not torch.is_inference_mode_enabled()
    assert torch.get_default_dtype() is torch.float32
