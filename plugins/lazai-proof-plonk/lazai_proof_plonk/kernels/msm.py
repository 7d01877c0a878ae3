"""Multi-scalar multiplication on G1: which windows, which threads, and the sum of the parts."""

from __future__ import annotations

from collections.abc import Sequence
from queue import SimpleQueue

import numpy as np
from attrs import frozen
from numpy.typing import NDArray

from ..curve import G1_GENERATOR, Point, add
from ..field import R
from . import buckets, engines, workers
from . import digits as digit_kernels
from .fields import FQ, FR
from .rows import Array, address, canonical_rows, rows_of

BUCKET_COST = 3
"""Weighing a bucket costs as much as so many additions to buckets."""
WINDOW_BITS_MIN, WINDOW_BITS_MAX = 4, 16


@frozen(kw_only=True)
class Job:
    """One sum: signed digits by window, and the bases they belong to."""

    bases: Array
    digits: NDArray[np.int32]
    window_bits: int


class Workspace:
    """Memory that one thread needs for one window after another."""

    def __init__(self, chunk: int, bucket_count: int) -> None:
        room = chunk + bucket_count
        self.chunk = chunk
        self.held = np.zeros(bucket_count, dtype=np.bool_)
        self.points = np.empty((bucket_count, 8), dtype=np.uint64)
        self.items = np.empty(room, dtype=np.uint64)
        self.arena = np.empty((room + buckets.SPARE_ROWS, 8), dtype=np.uint64)
        # Two elements of at most 40 bytes for each pair.
        self.scratch = np.empty(256 + 2 * 5 * (buckets.PAIRS_A_BATCH + 8), dtype=np.uint64)
        generator: Point = G1_GENERATOR
        self.spare = FQ.encode([c for point in (generator, add(generator, generator)) for c in point or (0, 0)])

    def window(self, job: Job, window: int, begin: int, end: int) -> Array:
        """The projective sum of one window over bases begin .. end."""
        used = 1 << (job.window_bits - 1)
        held, result = self.held[:used], np.empty((1, 12), dtype=np.uint64)
        bases = np.uint64(int(address(job.bases)) + 64 * begin)
        buckets.fill_buckets(
            engines.BASE, engines.BASE_WORDS, job.digits[window, begin:end], bases, self.chunk, held, self.points,
            self.items, address(self.arena), address(self.spare), address(self.scratch),
        )  # fmt: skip
        buckets.weigh_buckets(engines.BASE, engines.BASE_WORDS, held, self.points, address(self.spare), address(result))
        return result


def _window_bits(lengths: NDArray[np.int64]) -> int:
    """The width that makes additions and buckets cheapest for scalars of these bit lengths."""
    longest = int(lengths.max(initial=0))
    longer_than = np.concatenate([np.bincount(lengths, minlength=longest + 1)[::-1].cumsum()[::-1], [0]])

    def cost(bits: int) -> int:
        starts = range(0, longest + 1, bits)
        return sum(int(longer_than[start + 1]) for start in starts) + BUCKET_COST * len(starts) * (1 << (bits - 1))

    return min(range(WINDOW_BITS_MIN, WINDOW_BITS_MAX + 1), key=cost)


def _job(bases: Array, magnitudes: Array, threads: int | None) -> Job | None:
    """None where every scalar is zero. `magnitudes`: canonical scalars, which are overwritten."""
    count, order = len(magnitudes), canonical_rows([R])[0]
    signs, lengths = np.empty(count, dtype=np.uint8), np.empty(count, dtype=np.int64)
    ranges = workers.ranges(count, threads)
    workers.each(digit_kernels.split_signs, [(magnitudes, order, signs, lengths, *part) for part in ranges], threads)
    longest = int(lengths.max(initial=0))
    if longest == 0:
        return None
    bits = _window_bits(lengths)
    digits = np.empty((longest // bits + 1, count), dtype=np.int32)
    workers.each(
        digit_kernels.signed_digits, [(magnitudes, signs, bases, bits, digits, *part) for part in ranges], threads
    )
    return Job(bases=bases, digits=digits, window_bits=bits)


def _joined(job: Job, sums: Sequence[Array]) -> Array:
    """One projective row from those of all windows, parts of a window next to each other."""
    count = len(job.digits)
    windows, result = np.concatenate(sums), np.empty((1, 12), dtype=np.uint64)
    buckets.join_windows(
        engines.BASE_WORDS, address(windows), count, len(windows) // count, job.window_bits, address(result)
    )
    return result


def to_point(projective: Array) -> Point:
    """Affine canonical integers of one projective row."""
    x, y, z = FQ.decode(projective.reshape(3, 4))
    if z == 0:
        return None
    inverse = pow(z, -1, FQ.modulus)
    return x * inverse % FQ.modulus, y * inverse % FQ.modulus


def msm_many(
    bases: Array, scalar_arrays: Sequence[Array], *, montgomery: bool = True, threads: int | None = None
) -> list[Point]:
    """Several sums over the first of the same bases; each array of scalars may be shorter than `bases`."""
    points = rows_of(bases, 8, "bases")
    jobs: list[Job | None] = []
    for scalars in scalar_arrays:
        rows = rows_of(scalars, 4, "scalars")
        if len(rows) > len(points):
            raise ValueError(f"{len(rows)} scalars for {len(points)} bases")
        canonical = FR.from_montgomery(rows, threads=threads) if montgomery else rows.copy()
        jobs.append(_job(points[: len(rows)], canonical, threads))
    return _run(jobs, threads if threads is not None else workers.default_threads())


def _run(jobs: Sequence[Job | None], threads: int) -> list[Point]:
    busy = [job for job in jobs if job is not None]
    longest = max((len(job.digits[0]) for job in busy), default=0)
    widest = max((1 << (job.window_bits - 1) for job in busy), default=0)
    # Where windows are fewer than threads can share, each window is cut into ranges of points.
    parts = max(1, min(threads, 2 * threads // max(1, sum(len(job.digits) for job in busy)), longest // 1024))
    chunk = min(longest, buckets.POINTS_A_CHUNK)
    spaces: SimpleQueue[Workspace] = SimpleQueue()
    for _ in range(min(threads, parts * sum(len(job.digits) for job in busy))):
        spaces.put(Workspace(chunk, widest))

    def window(job: Job, index: int, part: int) -> Array:
        length, space = job.digits.shape[1], spaces.get()
        try:
            return space.window(job, index, length * part // parts, length * (part + 1) // parts)
        finally:
            spaces.put(space)

    tasks = [(job, index, part) for job in busy for index in range(len(job.digits)) for part in range(parts)]
    sums = iter(workers.each(window, tasks, threads))
    results: list[Point] = []
    for job in jobs:
        if job is None:
            results.append(None)
        else:
            results.append(to_point(_joined(job, [next(sums) for _ in range(parts * len(job.digits))])))
    return results


def msm(bases: Array, scalars: Array, *, montgomery: bool = True, threads: int | None = None) -> Point:
    """sum scalars[i] * bases[i]."""
    return msm_many(bases, [scalars], montgomery=montgomery, threads=threads)[0]
