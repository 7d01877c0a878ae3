"""The group G2: arrays of points, sums, multiples and checks; the package's docstring describes the layouts."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import lru_cache

import numpy as np

from ..curve import G2_GENERATOR as GENERATOR
from ..curve import TWIST_B, Point2, is_on_twist
from ..curve import add2 as add
from ..curve import negate2 as negate
from ..field import R
from . import engines, twist, workers
from .fields import FQ, FR
from .rows import Array, address, canonical_rows, rows_of

__all__ = [
    "GENERATOR", "add", "all_on_curve", "decode", "encode", "fixed_base", "is_in_subgroup", "is_on_curve",
    "linear_combination", "msm", "multiply", "negate",
]  # fmt: skip

is_on_curve = is_on_twist
WINDOW_BITS = 8
_TWIST_B = FQ.encode(TWIST_B)
_TWIST_B3 = FQ.encode([3 * part for part in TWIST_B])
_WORDS = engines.BASE_WORDS


def encode(points: Iterable[Point2]) -> Array:
    """Affine rows in Montgomery form; None becomes zeros."""
    flat = [part for point in points for coordinate in point or ((0, 0), (0, 0)) for part in coordinate]
    return FQ.encode(flat).reshape(-1, 16)


def decode(array: Array) -> list[Point2]:
    """Points of affine rows."""
    values = FQ.decode(rows_of(array, 16, "points").reshape(-1, 4))
    rows = [values[i : i + 4] for i in range(0, len(values), 4)]
    return [((row[0], row[1]), (row[2], row[3])) if any(row) else None for row in rows]


def all_on_curve(array: Array) -> bool:
    """Every row has canonical coordinates and is infinity or on the twist. Says nothing about the order."""
    rows = rows_of(array, 16, "points")
    return FQ.is_canonical(rows.reshape(-1, 4)) and bool(
        twist.on_twist(_WORDS, address(rows), len(rows), address(_TWIST_B))
    )


def _affine(projective: Array, threads: int | None) -> Array:
    """Affine rows; x / z for z = a + b i is x (a - b i) / (a^2 + b^2)."""
    parts = projective.reshape(-1, 6, 4)
    real, imaginary = np.ascontiguousarray(parts[:, 4]), np.ascontiguousarray(parts[:, 5])
    finite = real.any(axis=1) | imaginary.any(axis=1)
    norm = FQ.multiply_add(imaginary, imaginary, FQ.mul(real, real))
    norm[~finite] = FQ.encode([1])
    norm = FQ.inverse(norm, threads=threads)
    real, imaginary = FQ.mul(real, norm), FQ.neg(FQ.mul(imaginary, norm))
    result = np.empty((len(parts), 4, 4), dtype=np.uint64)
    for first in (0, 2):
        a, b = np.ascontiguousarray(parts[:, first]), np.ascontiguousarray(parts[:, first + 1])
        result[:, first] = FQ.sub(FQ.mul(a, real), FQ.mul(b, imaginary))
        result[:, first + 1] = FQ.multiply_add(a, imaginary, FQ.mul(b, real))
    result[~finite] = 0
    return result.reshape(-1, 16)


def _multiplied(points: Array, canonical: Array) -> list[Point2]:
    result = np.empty((len(canonical), 24), dtype=np.uint64)
    twist.multiply_each(_WORDS, address(points), canonical, address(_TWIST_B3), address(result))
    return decode(_affine(result, 1))


def multiply(point: Point2, scalar: int) -> Point2:
    """scalar * point; the scalar is not reduced, since the point may not have order r. At most 256 bits."""
    magnitude = negate(point) if scalar < 0 else point
    return _multiplied(encode([magnitude]), canonical_rows([abs(scalar)]))[0]


@lru_cache(maxsize=256)
def is_in_subgroup(point: Point2) -> bool:
    """On the twist with canonical coordinates, and of order r; infinity passes."""
    return is_on_twist(point) and multiply(point, R) is None


def msm(bases: Array, scalars: Array, *, montgomery: bool = True, threads: int | None = None) -> Point2:
    """sum scalars[i] * bases[i] over the first bases."""
    points, rows = rows_of(bases, 16, "bases"), rows_of(scalars, 4, "scalars")
    if len(rows) > len(points):
        raise ValueError(f"{len(rows)} scalars for {len(points)} bases")
    canonical = FR.from_montgomery(rows) if montgomery else rows
    used = np.flatnonzero(canonical.any(axis=0))
    count = 64 // WINDOW_BITS * (int(used[-1]) + 1 if len(used) else 0)
    sums, result = np.empty((count, 24), dtype=np.uint64), np.empty((1, 24), dtype=np.uint64)

    def window(index: int) -> None:
        table = np.empty((1 << WINDOW_BITS, 24), dtype=np.uint64)
        target = np.uint64(int(address(sums)) + index * int(twist.PROJECTIVE_BYTES))
        twist.window_sum(
            _WORDS, address(points), canonical, index, WINDOW_BITS, address(_TWIST_B3), address(table), target
        )

    workers.each(window, [(index,) for index in range(count)], threads)
    twist.join_windows(_WORDS, address(sums), count, WINDOW_BITS, address(_TWIST_B3), address(result))
    return decode(_affine(result, 1))[0]


def linear_combination(points: Sequence[Point2], scalars: Sequence[int]) -> Point2:
    """sum scalars[i] * points[i] of few points of order r, on the calling thread."""
    if len(points) != len(scalars):
        raise ValueError(f"{len(scalars)} scalars for {len(points)} points")
    total: Point2 = None
    for product in _multiplied(encode(points), canonical_rows([scalar % R for scalar in scalars])):
        total = add(total, product)
    return total


def fixed_base(base: Point2, scalars: Array, *, montgomery: bool = True, threads: int | None = None) -> Array:
    """`base` times each scalar."""
    rows, start = rows_of(scalars, 4, "scalars"), encode([base])
    canonical = FR.from_montgomery(rows) if montgomery else rows
    table, result = np.empty((32 * 256, 24), dtype=np.uint64), np.empty((len(canonical), 24), dtype=np.uint64)
    twist.fill_table(_WORDS, address(start), address(_TWIST_B3), address(table))
    fixed = (_WORDS, address(table), canonical, address(_TWIST_B3), address(result))
    ranges = workers.ranges(len(canonical), threads)
    workers.each(twist.multiply_base, [(*fixed, *part) for part in ranges], threads)
    return _affine(result, threads)
