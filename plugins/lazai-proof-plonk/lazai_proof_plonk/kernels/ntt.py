"""Number-theoretic transforms over Fr: polynomials to values on shifted subgroups and back."""

from __future__ import annotations

from functools import lru_cache
from itertools import pairwise

import numpy as np
from attrs import frozen
from numpy.typing import NDArray

from ..field import R, root_of_unity
from . import engines, transform, workers
from .fields import FR
from .rows import Array, address, rows_of

__all__ = ["forward", "inverse", "root_of_unity"]

Table = NDArray[np.uint8]


def _log(size: int) -> int:
    root_of_unity(size)
    return size.bit_length() - 1


def _place(table: Table) -> np.uint64:
    return np.uint64(table.ctypes.data)


def _uniform(engine: engines.Engine, values: Array) -> Table:
    """Factors in the form that kernels spread over the lanes."""
    table = np.empty(len(values) * engine.uniform_bytes, dtype=np.uint8)
    transform.uniform_twiddles(engine, address(values), _place(table), len(values))
    return table


@lru_cache(maxsize=64)
def _roots(engine: engines.Engine, rows: int, inverted: bool) -> Table:
    """Powers 0 .. rows / 2 - 1 of the root of order `rows`, or of its inverse."""
    root = root_of_unity(rows)
    return _uniform(engine, FR.powers(pow(root, -1, R) if inverted else root, max(rows // 2, 1)))


@frozen(kw_only=True)
class Plan:
    """What the two passes over n = first * second elements multiply by: powers of the roots and of the shift.

    Input index j1 * second + j2, output index k1 + first * k2: each power of the shift goes where it costs least.
    """

    engine: engines.Engine
    log_first: int
    log_second: int
    roots_first: Table
    roots_second: Table
    row_factors: Table | None
    firsts: Array
    steps: Array
    last_factors: Table


def _plan(size: int, shift: int, inverted: bool) -> Plan:
    log_size = _log(size)
    # Shorter transforms do not have a full block of columns in both passes.
    engine = engines.SCALAR if size >= engines.SCALAR.lanes**2 else engines.SCALAR_WORDS
    first, second = 1 << log_size // 2, 1 << log_size - log_size // 2
    root = root_of_unity(size)
    unshift = pow(shift, -1, R) if inverted else 1
    shifted = shift != 1 and not inverted
    return Plan(
        engine=engine,
        log_first=first.bit_length() - 1,
        log_second=second.bit_length() - 1,
        roots_first=_roots(engine, first, inverted),
        roots_second=_roots(engine, second, inverted),
        row_factors=_uniform(engine, FR.powers(pow(shift, second, R), first)) if shifted else None,
        firsts=FR.constant(pow(size, -1, R), second) if inverted else FR.powers(shift, second),
        steps=FR.powers(pow(root, -1, R) if inverted else root, second, first=unshift),
        last_factors=_uniform(engine, FR.powers(pow(unshift, first, R), second)),
    )


def _run(source: Array, size: int, threads: int | None, shift: int, inverted: bool) -> Array:
    plan = _plan(size, shift, inverted)
    first, second = 1 << plan.log_first, 1 << plan.log_second
    middle, result = np.empty((size, 4), np.uint64), np.empty((size, 4), np.uint64)
    row_place = np.uint64(0) if plan.row_factors is None else _place(plan.row_factors)

    def one(begin: int, end: int) -> None:
        transform.first_pass(
            plan.engine, address(source), len(source), address(middle), plan.log_first, second,
            _place(plan.roots_first), row_place, address(plan.firsts), address(plan.steps), begin, end,
        )  # fmt: skip

    def two(begin: int, end: int) -> None:
        transform.second_pass(
            plan.engine, address(middle), address(result), plan.log_second, first, _place(plan.roots_second),
            _place(plan.last_factors), begin, end,
        )  # fmt: skip

    workers.each(one, _column_ranges(second, size, plan.engine.lanes, threads), threads)
    workers.each(two, _column_ranges(first, size, plan.engine.lanes, threads), threads)
    return result


def _column_ranges(columns: int, size: int, lanes: int, threads: int | None) -> list[tuple[int, int]]:
    count = threads if threads is not None else workers.default_threads()
    count = max(1, min(count, size // workers.SMALLEST_RANGE, columns // lanes))
    return list(pairwise([columns * i // count // lanes * lanes for i in range(count)] + [columns]))


def forward(coefficients: Array, size: int | None = None, *, shift: int = 1, threads: int | None = None) -> Array:
    """Values at shift * w^i, i in natural order, of the polynomial padded by zeros to `size`, a power of two."""
    source = rows_of(coefficients, 4, "coefficients")
    wanted = len(source) if size is None else size
    if len(source) > wanted:
        raise ValueError(f"{len(source)} coefficients do not fit a transform of size {wanted}")
    if len(source) % engines.SCALAR.lanes and len(source) != wanted:
        padded = FR.zeros(min(wanted, len(source) + -len(source) % engines.SCALAR.lanes))
        padded[: len(source)] = source
        source = padded
    return _run(source, wanted, threads, shift % R, False)


def inverse(values: Array, *, shift: int = 1, threads: int | None = None) -> Array:
    """Coefficients of the polynomial with these values at shift * w^i."""
    source = rows_of(values, 4, "values")
    if shift % R == 0:
        raise ValueError("a transform cannot be inverted on a coset of zero; give a shift that is not zero")
    return _run(source, len(source), threads, shift % R, True)
