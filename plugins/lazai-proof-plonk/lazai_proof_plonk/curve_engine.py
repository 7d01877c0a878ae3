"""Who computes the prover's transforms and sums of points: the processor, or the kernels that a coprocessor offers.

Both are exact, so a proof does not show which it was.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Protocol

from attrs import frozen

from lazai_core.api.errors import BackendUnavailable, OutOfMemory

from .curve import Point

if TYPE_CHECKING:
    from lazai_core.api.compute import Coprocessor
    from lazai_core.api.curve_kernels import CurveKernels

FieldArray = Any
"""As in `kernels`: `uint64[n, 4]`, Montgomery form."""


class CurveEngine(Protocol):
    """The heavy steps of a prover over BN254."""

    def evaluate(self, coefficients: FieldArray, size: int, *, shift: int = 1) -> FieldArray:
        """Values at shift * w^i of a polynomial: `[m, 4]` to `[size, 4]`."""

    def interpolate(self, values: FieldArray, *, shift: int = 1) -> FieldArray:
        """Coefficients of the polynomial with these values at shift * w^i: `[n, 4]` to `[n, 4]`."""

    def load(self, bases: FieldArray) -> Any:
        """Points `uint64[n, 8]`, ready for `commit`; keep what this returns as long as they are used."""

    def commit(self, bases: Any, polynomials: Sequence[FieldArray]) -> list[Point]:
        """sum coefficient_i * base_i for each polynomial."""


class ProcessorEngine:
    """The kernels of this package."""

    def evaluate(self, coefficients: FieldArray, size: int, *, shift: int = 1) -> FieldArray:
        """See `CurveEngine`."""
        from .kernels import ntt

        return ntt.forward(coefficients, size, shift=shift)

    def interpolate(self, values: FieldArray, *, shift: int = 1) -> FieldArray:
        """See `CurveEngine`."""
        from .kernels import ntt

        return ntt.inverse(values, shift=shift)

    def load(self, bases: FieldArray) -> Any:
        """The points themselves."""
        return bases

    def commit(self, bases: Any, polynomials: Sequence[FieldArray]) -> list[Point]:
        """See `CurveEngine`."""
        from .kernels import g1

        return list(g1.msm_many(bases, list(polynomials)))


@frozen(kw_only=True, eq=False)
class _Loaded:
    """Points here and, unless its memory was too small, on the device."""

    here: FieldArray
    there: Any


class OfferedEngine:
    """A coprocessor's kernels; what does not fit its memory is computed by the processor."""

    def __init__(self, kernels: CurveKernels) -> None:
        self.kernels = kernels
        self._processor = ProcessorEngine()

    def evaluate(self, coefficients: FieldArray, size: int, *, shift: int = 1) -> FieldArray:
        """See `CurveEngine`."""
        try:
            return _rows(self.kernels.evaluate(_bytes(coefficients), size, shift))
        except OutOfMemory:
            return self._processor.evaluate(coefficients, size, shift=shift)

    def interpolate(self, values: FieldArray, *, shift: int = 1) -> FieldArray:
        """See `CurveEngine`."""
        try:
            return _rows(self.kernels.interpolate(_bytes(values), shift))
        except OutOfMemory:
            return self._processor.interpolate(values, shift=shift)

    def load(self, bases: FieldArray) -> Any:
        """The points on the device too."""
        try:
            return _Loaded(here=bases, there=self.kernels.load_points(_bytes(bases)))
        except OutOfMemory:
            return _Loaded(here=bases, there=None)

    def commit(self, bases: Any, polynomials: Sequence[FieldArray]) -> list[Point]:
        """See `CurveEngine`."""
        from .kernels.fields import FR

        if bases.there is not None:
            scalars = [_bytes(FR.from_montgomery(polynomial)) for polynomial in polynomials]
            try:
                return list(self.kernels.sums(bases.there, scalars))
            except OutOfMemory:
                pass
        return self._processor.commit(bases.here, polynomials)


def choose_engine(wanted: str, coprocessor: Coprocessor | None) -> CurveEngine:
    """The engine for "auto", "processor" or "coprocessor".

    "auto" takes a coprocessor's kernels where they are accelerated, and does without a coprocessor that cannot be
    opened. Raises BackendUnavailable where "coprocessor" is wanted and no kernels are to be had.
    """
    if wanted == "processor" or (coprocessor is None and wanted == "auto"):
        return ProcessorEngine()
    # Backends written before curve kernels were in the contract do not have the property.
    try:
        kernels = getattr(coprocessor, "curves", None)
    except BackendUnavailable:
        if wanted == "coprocessor":
            raise
        return ProcessorEngine()
    if kernels is not None and (wanted == "coprocessor" or kernels.accelerated):
        return OfferedEngine(kernels)
    if wanted == "auto":
        return ProcessorEngine()
    raise BackendUnavailable(
        "the coprocessor offers no curve kernels", hint='choose another coprocessor, or kernels = "processor"'
    )


def _bytes(array: FieldArray) -> memoryview:
    import numpy as np

    return np.ascontiguousarray(array).data.cast("B")


def _rows(data: bytes) -> FieldArray:
    import numpy as np

    return np.frombuffer(data, dtype="<u8").reshape(-1, 4).astype(np.uint64)
