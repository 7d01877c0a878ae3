"""Field kernels on the CPU, on a CUDA device where there is one, and what they do with foreign arrays."""

from __future__ import annotations

from typing import ClassVar

import pytest
import torch
from attrs import frozen

from lazai_core.api.errors import ComputeError, OutOfMemory
from lazai_core.api.field_kernels import FieldKernels
from lazai_core.testing.conformance import FieldKernelsConformance
from lazai_gpu_torch import field_kernels
from lazai_gpu_torch.backend import TorchCoprocessor
from lazai_gpu_torch.options import TorchOptions


def kernels_on(device: str) -> FieldKernels:
    """What the coprocessor offers."""
    offered = TorchCoprocessor(TorchOptions(device=device, threads=1)).fields
    assert offered is not None
    return offered


@pytest.fixture(scope="module")
def on_cpu() -> FieldKernels:
    return kernels_on("cpu")


class TestCpu(FieldKernelsConformance):
    @pytest.fixture
    def kernels(self, on_cpu: FieldKernels) -> FieldKernels:
        return on_cpu


class TestCpuInChunks(FieldKernelsConformance):
    """The same with so little in flight that every step takes several chunks."""

    @pytest.fixture
    def kernels(self, monkeypatch: pytest.MonkeyPatch) -> FieldKernels:
        monkeypatch.setattr(field_kernels, "CHUNK_CPU", 16)
        return kernels_on("cpu")


@pytest.mark.gpu
class TestCuda(FieldKernelsConformance):
    @pytest.fixture(scope="class")
    @classmethod
    def kernels(cls) -> FieldKernels:
        if not torch.cuda.is_available():
            pytest.skip("torch sees no CUDA device here")
        return kernels_on("cuda")

    def test_it_is_accelerated(self, kernels: FieldKernels) -> None:
        assert kernels.accelerated


def test_the_cpu_is_no_accelerator(on_cpu: FieldKernels) -> None:
    assert not on_cpu.accelerated
    assert on_cpu.device.startswith("cpu")


def test_arrays_of_other_kernels_are_refused(on_cpu: FieldKernels) -> None:
    @frozen
    class Foreign:
        shape: ClassVar[tuple[int, ...]] = (16,)
        over_extension: ClassVar[bool] = True

    with pytest.raises(ComputeError, match="other kernels"):
        on_cpu.read(Foreign())


def test_a_device_that_is_full_says_so(on_cpu: FieldKernels, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_arguments: object) -> torch.Tensor:
        raise torch.OutOfMemoryError("no more")

    monkeypatch.setattr(field_kernels, "transform", full)
    values = on_cpu.load_base(memoryview(bytes(4 * 256)).cast("I"))
    with pytest.raises(OutOfMemory, match="no more"):
        on_cpu.encode(values, 4, 1)
