"""The numerator of PLONK's quotient on a coset, in one pass over all columns: no value is stored in between."""

# mypy: allow-untyped-defs, allow-untyped-calls, no-check-untyped-defs
# numba infers the types of kernels: words are uint64, engines and elements the types of `elements`.

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numba import njit

from . import engines, workers
from .elements import (
    keep_alive,
    lane_count,
    load_rows,
    load_uniform,
    one,
    prepared,
    raw_multiply,
    store_rows,
    store_uniform,
    uniform_bytes,
)
from .fields import FR
from .rows import Array, address, rows_of

COLUMNS = (
    "a", "b", "c", "z", "pi", "x", "l1", "s1", "s2", "s3", "qm", "ql", "qr", "qo", "qn", "qc",
    "s", "m", "qk", "tag", "t1", "t2", "t3",
)  # fmt: skip
"""In the order of the kernel's list of addresses; the last seven belong to lookups."""
(
    A, B, C, Z, PI, X, L1, S1, S2, S3, QM, QL, QR, QO, QN, QC, S, M, QK, TAG, T1, T2, T3,
) = range(len(COLUMNS))  # fmt: skip
SHIFTED = ("c", "z", "s")
"""Columns that are read at the next row of the circuit too, and so go on for `blow_up` rows behind the end."""
BETA, ALPHA, ALPHA_2, ALPHA_3, ETA, ETA_2, GAMMA, CHI = range(8)
FACTORS = 6
INVERSE_ROWS = 8
"""A multiple of the lanes and of the period of 1 / (X^N - 1)."""
TASK_ROWS = 1 << 13
_ROW = np.uint64(engines.PUBLIC_BYTES)
_ZERO = np.uint64(0)


@njit(cache=True, nogil=True)
def numerator_rows(engine, places, constants, inverses, step, out, begin, end):
    """out[i] = t(i) for begin <= i < end, multiples of the lanes; PROTOCOL.md, section 4, round 3.

    `places`: addresses of the columns, 0 for those that are zero everywhere. `constants`: eight elements in the order
    of BETA .. CHI. `inverses`: 1 / Z_H at row i modulo eight. `step`: rows from one row of the circuit to the next.
    """
    lanes, size = np.int64(lane_count(engine)), uniform_bytes(engine)
    table = np.empty(FACTORS * np.int64(size), np.uint8)
    spread = np.uint64(table.ctypes.data)
    for j in range(FACTORS):
        factor = prepared(load_rows(engine, constants + np.uint64(j) * _ROW, _ZERO))
        store_uniform(factor, spread + np.uint64(j) * size)
    gamma = load_rows(engine, constants + np.uint64(GAMMA) * _ROW, _ZERO)
    chi = load_rows(engine, constants + np.uint64(CHI) * _ROW, _ZERO)
    has_lookups = places[QK] != _ZERO
    for i in range(begin, end, lanes):
        at = np.uint64(i) * _ROW
        after = at + np.uint64(step) * _ROW
        a = load_rows(engine, places[A] + at, _ROW)
        b = load_rows(engine, places[B] + at, _ROW)
        c = load_rows(engine, places[C] + at, _ROW)
        total = load_rows(engine, places[PI] + at, _ROW)
        if places[QM] != _ZERO:
            total = total + load_rows(engine, places[QM] + at, _ROW) * (a * b)
        if places[QL] != _ZERO:
            total = total + load_rows(engine, places[QL] + at, _ROW) * a
        if places[QR] != _ZERO:
            total = total + load_rows(engine, places[QR] + at, _ROW) * b
        if places[QO] != _ZERO:
            total = total + load_rows(engine, places[QO] + at, _ROW) * c
        if places[QN] != _ZERO:
            total = total + load_rows(engine, places[QN] + at, _ROW) * load_rows(engine, places[C] + after, _ROW)
        if places[QC] != _ZERO:
            total = total + load_rows(engine, places[QC] + at, _ROW)
        if has_lookups:
            eta = load_uniform(engine, spread + np.uint64(ETA) * size)
            eta_2 = load_uniform(engine, spread + np.uint64(ETA_2) * size)
            looked = chi + a + raw_multiply(eta, b)
            looked = looked + raw_multiply(eta_2, load_rows(engine, places[TAG] + at, _ROW))
            listed = chi + load_rows(engine, places[T1] + at, _ROW)
            listed = listed + raw_multiply(eta, load_rows(engine, places[T2] + at, _ROW))
            listed = listed + raw_multiply(eta_2, load_rows(engine, places[T3] + at, _ROW))
            part = load_rows(engine, places[S] + after, _ROW) - load_rows(engine, places[S] + at, _ROW)
            part = part * looked - load_rows(engine, places[QK] + at, _ROW)
            part = part * listed + load_rows(engine, places[M] + at, _ROW) * looked
            total = total + raw_multiply(load_uniform(engine, spread + np.uint64(ALPHA_3) * size), part)
        beta = load_uniform(engine, spread + np.uint64(BETA) * size)
        a, b, c = a + gamma, b + gamma, c + gamma
        # The coset representatives 1, 2, 3 are multiples of one step.
        multiple = raw_multiply(beta, load_rows(engine, places[X] + at, _ROW))
        z = load_rows(engine, places[Z] + at, _ROW)
        twice = multiple + multiple
        straight = z * (a + multiple) * (b + twice) * (c + (twice + multiple))
        permuted = load_rows(engine, places[Z] + after, _ROW)
        permuted = permuted * (a + raw_multiply(beta, load_rows(engine, places[S1] + at, _ROW)))
        permuted = permuted * (b + raw_multiply(beta, load_rows(engine, places[S2] + at, _ROW)))
        permuted = permuted * (c + raw_multiply(beta, load_rows(engine, places[S3] + at, _ROW)))
        alpha = load_uniform(engine, spread + np.uint64(ALPHA) * size)
        total = total + raw_multiply(alpha, straight - permuted)
        first = (z - one(engine)) * load_rows(engine, places[L1] + at, _ROW)
        total = total + raw_multiply(load_uniform(engine, spread + np.uint64(ALPHA_2) * size), first)
        inverse = load_rows(engine, inverses + np.uint64(i % INVERSE_ROWS) * _ROW, _ROW)
        store_rows(total * inverse, out + at, _ROW)
    keep_alive(table)


def numerator_over_vanishing(
    columns: Mapping[str, Array],
    constants: Sequence[int],
    inverses: Array,
    step: int,
    *,
    engine: engines.Engine = engines.SCALAR,
    threads: int | None = None,
) -> Array:
    """t on the coset, `[count, 4]`, from columns of `count` rows, those of `SHIFTED` of `count + step`.

    `constants` are beta, alpha, alpha^2, alpha^3, eta, eta^2, gamma, chi. Columns that are missing are zero; all or
    none of the lookups' must be there. Raises ValueError for columns that do not fit.
    """
    count = len(columns["a"])
    held = {name: rows_of(column, 4, name) for name, column in columns.items()}
    for name, column in held.items():
        if len(column) != count + (step if name in SHIFTED else 0):
            raise ValueError(f"column {name} has {len(column)} rows, the coset has {count}")
    missing = {name for name in COLUMNS if name not in held}
    if missing & set(COLUMNS[:QM]) or (missing & set(COLUMNS[S:])) not in (set(), set(COLUMNS[S:])):
        raise ValueError(f"columns {sorted(missing)} are missing")
    if count % INVERSE_ROWS or INVERSE_ROWS % len(inverses):
        raise ValueError(f"{count} rows and {len(inverses)} inverses do not fit together")
    places = np.array([address(held[name]) if name in held else _ZERO for name in COLUMNS], dtype=np.uint64)
    encoded, repeated = FR.encode(constants), np.tile(inverses, (INVERSE_ROWS // len(inverses), 1))
    out = np.empty((count, 4), dtype=np.uint64)
    starts = range(0, count, TASK_ROWS)
    tasks = [
        (engine, places, address(encoded), address(repeated), step, address(out), start, min(start + TASK_ROWS, count))
        for start in starts
    ]
    workers.each(numerator_rows, tasks, threads)
    return out
