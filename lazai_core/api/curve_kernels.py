"""Curve kernels: the hot steps of proof systems over BN254, on the device that a coprocessor opened.

Both steps are exact: two implementations give the same numbers, so a proof does not show who computed it. Numbers
cross the border as little-endian words of 32 bytes, the bytes of `.ptau` and `.zkey` sections (EIP-196 for the curve;
r is its order, q the prime of its coordinates).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, TypeAlias, runtime_checkable

SCALAR_MODULUS = 21888242871839275222246405745257275088548364400416034343698204186575808495617
"""r, the order of the curve."""
COORDINATE_MODULUS = 21888242871839275222246405745257275088696311157297823662689037894645226208583
"""q, the prime of the coordinates."""
ROOT_GENERATOR = 5
"""The root of unity of order n, a power of two up to 2^28, is 5^((r - 1) / n), as in the circom ecosystem."""

CurvePoint: TypeAlias = tuple[int, int] | None
"""An affine point with canonical coordinates, or None for infinity."""


@runtime_checkable
class PointArray(Protocol):
    """Points on the device; never changed once they are loaded."""

    @property
    def count(self) -> int:
        """How many points."""


class CurveKernels(Protocol):
    """Safe to use from several threads. Every step may raise OutOfMemory, and nothing else for arguments as told."""

    @property
    def device(self) -> str:
        """For people, for example "cpu" or "cuda:0 NVIDIA H100"."""

    @property
    def accelerated(self) -> bool:
        """Whether this is a device of its own, faster than kernels compiled for the processor."""

    def evaluate(self, coefficients: memoryview, size: int, shift: int) -> bytes:
        """Values at shift w^i, i ascending, of the polynomial: `[m, 32]` to `[size, 32]` bytes, m <= size = 2^k.

        Elements x are words below r and stand for x, or all for x 2^256: the step is linear. shift is in 1 .. r - 1.
        """

    def interpolate(self, values: memoryview, shift: int) -> bytes:
        """Inverse of `evaluate` at full size: `[n, 32]` to `[n, 32]` bytes."""

    def load_points(self, points: memoryview) -> PointArray:
        """Points of the curve to the device: `[n, 64]` bytes, x 2^256 mod q, then y 2^256; zeros for infinity."""

    def sums(self, points: PointArray, scalars: Sequence[memoryview]) -> Sequence[CurvePoint]:
        """sum_i s_i P_i over the first of the points, for each vector `[m, 32]` of canonical scalars below r."""
