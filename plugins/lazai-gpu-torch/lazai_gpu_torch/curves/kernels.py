"""`CurveKernels` on a torch device."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

import numpy as np
import torch
from attrs import field, frozen

from lazai_core.api.curve_kernels import CurvePoint, PointArray
from lazai_core.api.errors import OutOfMemory
from lazai_gpu_torch.devices import Device

from .points import Curve
from .transforms import TWO_ADICITY, Transforms

T = TypeVar("T")
ELEMENT_WORDS, POINT_WORDS = 4, 8


@frozen(kw_only=True, eq=False)
class LoadedPoints:
    """Projective points `[3, 9, n]` on the device."""

    tensor: torch.Tensor = field(repr=False)

    @property
    def count(self) -> int:
        """How many points."""
        return int(self.tensor.shape[2])


class TorchCurveKernels:
    """Transforms and sums of points; holds no state but tables of roots."""

    def __init__(self, device: Device) -> None:
        self.device = device.description
        self.accelerated = device.is_cuda
        self._handle = device.handle
        self._transforms = Transforms(device.handle)
        self._curve = Curve(device.handle)

    def _words(self, data: memoryview, columns: int) -> torch.Tensor:
        """Int64 words `[n, columns]` on the device."""
        words = np.frombuffer(data, dtype="<i8").reshape(-1, columns)
        return torch.from_numpy(words.copy()).to(self._handle)

    def evaluate(self, coefficients: memoryview, size: int, shift: int) -> bytes:
        """See `CurveKernels.evaluate`. Raises ValueError for sizes that do not fit, OutOfMemory."""
        words = self._words(coefficients, ELEMENT_WORDS)
        if not len(words) <= size <= 1 << TWO_ADICITY or size & (size - 1):
            raise ValueError(f"{len(words)} coefficients at {size} points; take a power of two up to 2^{TWO_ADICITY}")
        return self._run(lambda: self._transforms.evaluate(self._elements(words), size, shift))

    def interpolate(self, values: memoryview, shift: int) -> bytes:
        """See `CurveKernels.interpolate`. Raises ValueError for sizes that do not fit, OutOfMemory."""
        words = self._words(values, ELEMENT_WORDS)
        if not 1 <= len(words) <= 1 << TWO_ADICITY or len(words) & (len(words) - 1):
            raise ValueError(f"{len(words)} values; take a power of two up to 2^{TWO_ADICITY}")
        return self._run(lambda: self._transforms.interpolate(self._elements(words), shift))

    def load_points(self, points: memoryview) -> LoadedPoints:
        """See `CurveKernels.load_points`. Raises OutOfMemory."""
        return _memory_checked(lambda: LoadedPoints(tensor=self._curve.load(self._words(points, POINT_WORDS))))

    def sums(self, points: PointArray, scalars: Sequence[memoryview]) -> Sequence[CurvePoint]:
        """See `CurveKernels.sums`. Raises ValueError for more scalars than points, OutOfMemory."""
        if not isinstance(points, LoadedPoints):
            raise ValueError(f"points come from load_points, got {type(points).__name__}")
        return _memory_checked(lambda: [self._sum(points, each) for each in scalars])

    def _sum(self, points: LoadedPoints, scalars: memoryview) -> CurvePoint:
        elements = self._elements(self._words(scalars, ELEMENT_WORDS))
        count = elements.shape[1]
        if count > points.count:
            raise ValueError(f"{count} scalars for {points.count} points")
        return self._curve.sum(points.tensor[:, :, :count], elements) if count else None

    def _elements(self, words: torch.Tensor) -> torch.Tensor:
        return self._transforms.field.from_words(words)

    def _run(self, transform: Callable[[], torch.Tensor]) -> bytes:
        words = _memory_checked(lambda: self._transforms.field.to_words(transform()))
        return words.cpu().numpy().astype("<i8", copy=False).tobytes()


def _memory_checked(call: Callable[[], T]) -> T:
    try:
        with torch.inference_mode():
            return call()
    except torch.OutOfMemoryError as cause:
        raise OutOfMemory(f"curve kernels ran out of memory: {cause}") from cause
