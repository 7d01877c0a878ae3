"""The group G1: arrays of points, sums, multiples and checks; the package's docstring describes the layouts."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from ..curve import CURVE_B, Point, add, is_on_curve, negate
from ..curve import G1_GENERATOR as GENERATOR
from ..field import R
from . import engines, group, workers
from .fields import FQ, FR
from .msm import msm, msm_many, to_point
from .rows import Array, address, canonical_rows, rows_of

__all__ = [
    "GENERATOR", "add", "all_on_curve", "decode", "encode", "fixed_base", "is_on_curve", "linear_combination", "msm",
    "msm_many", "multiply", "negate", "scale_each",
]  # fmt: skip


def encode(points: Iterable[Point]) -> Array:
    """Affine rows in Montgomery form; None becomes zeros."""
    return FQ.encode([coordinate for point in points for coordinate in point or (0, 0)]).reshape(-1, 8)


def decode(array: Array) -> list[Point]:
    """Points of affine rows."""
    values = FQ.decode(rows_of(array, 8, "points").reshape(-1, 4))
    pairs = zip(values[::2], values[1::2], strict=True)
    return [None if x == 0 and y == 0 else (x, y) for x, y in pairs]


def _over(length: int, threads: int | None, kernel: Any, *arguments: Any) -> list[Any]:
    """Whole blocks by the fast engine over the threads, the rest by the one-lane engine."""
    whole = length - length % engines.BASE.lanes
    tasks = [(engines.BASE, *arguments, begin, end) for begin, end in workers.ranges(whole, threads)]
    results = workers.each(kernel, tasks, threads)
    return results if whole == length else [*results, kernel(engines.BASE_WORDS, *arguments, whole, length)]


def all_on_curve(array: Array, *, threads: int | None = None) -> bool:
    """Every row has canonical coordinates and is infinity or on the curve."""
    rows = rows_of(array, 8, "points")
    curve_b = FQ.encode([CURVE_B])
    return FQ.is_canonical(rows.reshape(-1, 4)) and all(
        _over(len(rows), threads, group.on_curve, address(rows), address(curve_b))
    )


def _projective(rows: Array) -> Array:
    result = np.empty((len(rows), 12), dtype=np.uint64)
    _over(len(rows), 1, group.affine_to_projective, address(rows), address(result))
    return result


def _affine(projective: Array, threads: int | None) -> Array:
    parts = projective.reshape(-1, 3, 4)
    z = np.ascontiguousarray(parts[:, 2])
    finite = z.any(axis=1)
    z[~finite] = FQ.encode([1])
    inverses = FQ.inverse(z, threads=threads)
    result = np.empty((len(parts), 2, 4), dtype=np.uint64)
    for coordinate in range(2):
        values = np.ascontiguousarray(parts[:, coordinate])
        result[:, coordinate] = FQ.mul(values, inverses, threads=threads)
    result[~finite] = 0
    return result.reshape(-1, 8)


def _canonical(scalars: Array, montgomery: bool) -> Array:
    rows = rows_of(scalars, 4, "scalars")
    return FR.from_montgomery(rows) if montgomery else rows


def scale_each(array: Array, scalars: Array, *, montgomery: bool = True, threads: int | None = None) -> Array:
    """Row i times scalar i."""
    rows, canonical = rows_of(array, 8, "points"), _canonical(scalars, montgomery)
    if len(rows) != len(canonical):
        raise ValueError(f"{len(canonical)} scalars for {len(rows)} points")
    points = _projective(rows)
    return _affine(_multiplied(points, canonical, threads), threads)


def _multiplied(points: Array, canonical: Array, threads: int | None) -> Array:
    result = np.empty_like(points)
    _over(len(points), threads, group.multiply_each, address(points), canonical, address(result))
    return result


def fixed_base(base: Point, scalars: Array, *, montgomery: bool = True, threads: int | None = None) -> Array:
    """`base` times each scalar."""
    canonical, start = _canonical(scalars, montgomery), _projective(encode([base]))
    table = np.empty((32 * 256, 12), dtype=np.uint64)
    result = np.empty((len(canonical), 12), dtype=np.uint64)
    group.fill_table(engines.BASE_WORDS, address(start), address(table))
    _over(len(canonical), threads, group.multiply_base, address(table), canonical, address(result))
    return _affine(result, threads)


def linear_combination(points: Sequence[Point], scalars: Sequence[int]) -> Point:
    """sum scalars[i] * points[i] for the few points of a verifier, on the calling thread."""
    if len(points) != len(scalars):
        raise ValueError(f"{len(scalars)} scalars for {len(points)} points")
    # Filling the lanes with infinity is cheaper than one-lane code for the rest.
    missing = -len(points) % engines.BASE.lanes
    rows = _projective(encode([*points, *[None] * missing]))
    canonical = canonical_rows([scalar % R for scalar in scalars] + [0] * missing)
    products, total = _multiplied(rows, canonical, 1), np.empty((1, 12), dtype=np.uint64)
    group.sum_points(engines.BASE_WORDS, address(products), len(products), address(total))
    return to_point(total)


def multiply(point: Point, scalar: int) -> Point:
    """scalar * point, the scalar modulo r."""
    return linear_combination([point], [scalar])
