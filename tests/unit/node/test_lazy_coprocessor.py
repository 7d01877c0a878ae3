"""A backend behind its guard: built late and once, and its mistakes are failed jobs, not a failed node."""

from __future__ import annotations

from typing import Any

import pytest

from lazai_core.api.compute import CancelToken, Coprocessor
from lazai_core.api.errors import AssemblyError, BackendUnavailable, Cancelled, ComputeError, InvalidInput
from lazai_core.api.job import ResourceLimits
from lazai_core.builtin.reference_coprocessor import ReferenceCoprocessor
from lazai_core.node.lazy_coprocessor import LazyCoprocessor
from lazai_core.registry.discover import BUILT_IN
from lazai_core.testing.samples import perceptron

SAMPLE = perceptron()


class Breaking(ReferenceCoprocessor):
    """Raises what it is told to."""

    error: BaseException = RuntimeError("CUDA error: an illegal memory access was encountered")

    def execute(self, *arguments: Any, **options: Any) -> Any:
        raise self.error


def run(backend: LazyCoprocessor, job_input: bytes) -> Any:
    model = backend.models.load(SAMPLE.model.program, SAMPLE.model)
    try:
        return backend.execute(model, job_input, backend.monitor(ResourceLimits()), CancelToken())
    finally:
        backend.models.unload(model)


def test_it_is_built_once_when_it_is_first_used() -> None:
    built: list[Coprocessor] = []

    def build() -> Coprocessor:
        built.append(ReferenceCoprocessor())
        return built[-1]

    backend = LazyCoprocessor(build, BUILT_IN)
    assert built == []
    job_input = SAMPLE.job_input(seed=1)
    assert run(backend, job_input).output == SAMPLE.run(job_input).output_bytes()
    assert backend.info.name == "reference"
    assert backend.models.plan(SAMPLE.model.program, job_input).flops > 0
    assert len(built) == 1
    backend.close()
    backend.close()
    with pytest.raises(BackendUnavailable, match="closed"):
        run(backend, job_input)


def test_what_nobody_expects_becomes_a_compute_error_charged_to_the_plugin() -> None:
    backend = LazyCoprocessor(Breaking, BUILT_IN)

    with pytest.raises(ComputeError, match=r"(?s)plugin builtin .*execute raised.*illegal memory access"):
        run(backend, SAMPLE.job_input())


@pytest.mark.parametrize("error", [Cancelled("stop"), InvalidInput("odd")])
def test_errors_of_the_tree_pass_as_they_are(error: Exception) -> None:
    class Telling(Breaking):
        pass

    Telling.error = error
    backend = LazyCoprocessor(Telling, BUILT_IN)

    with pytest.raises(type(error)) as caught:
        run(backend, SAMPLE.job_input())
    assert caught.value is error


def test_a_backend_that_cannot_be_built_is_unavailable_and_tried_again() -> None:
    attempts = []

    def build() -> Coprocessor:
        attempts.append(1)
        if len(attempts) == 1:
            raise AssemblyError("no device", hint="plug one in")
        return ReferenceCoprocessor()

    backend = LazyCoprocessor(build, BUILT_IN)
    with pytest.raises(BackendUnavailable, match="no device; plug one in"):
        backend.open()
    assert backend.open().info.name == "reference"
