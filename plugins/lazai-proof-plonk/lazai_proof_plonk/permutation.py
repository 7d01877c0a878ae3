"""Copy constraints as a permutation of the 3N cells: the same wire in two cells must hold the same value."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from .parameters import K1, K2

if TYPE_CHECKING:
    from numpy.typing import NDArray


def cell_permutation(maps: tuple[NDArray[Any], NDArray[Any], NDArray[Any]], size: int) -> NDArray[np.int64]:
    """`[3N]`: each cell (column * N + row) maps to the wire's cell before it, the first to the last.

    Cells count row by row; rows that are not in use hold wire 0.
    """
    wires = np.zeros((size, 3), dtype=np.int64)
    for column, wire_map in enumerate(maps):
        wires[: len(wire_map), column] = wire_map
    order = wires.reshape(-1)
    ranked = np.argsort(order, kind="stable")
    sorted_wires = order[ranked]
    starts = np.flatnonzero(np.concatenate(([True], sorted_wires[1:] != sorted_wires[:-1])))
    ends = np.concatenate((starts[1:], [len(order)])) - 1
    previous = np.empty_like(ranked)
    previous[1:] = ranked[:-1]
    previous[starts] = ranked[ends]
    cells = (np.arange(3 * size) % 3) * size + np.arange(3 * size) // 3
    target = np.empty(3 * size, dtype=np.int64)
    target[cells[ranked]] = cells[previous]
    return target


def sigma_values(target: NDArray[np.int64], size: int) -> tuple[NDArray[np.uint64], ...]:
    """Values of S1, S2, S3 over the domain: cell (column, row) is k_column * w^row."""
    from .kernels import ntt
    from .kernels.fields import FR

    powers = FR.powers(ntt.root_of_unity(size), size)
    identity = np.concatenate([powers, FR.scale(powers, K1), FR.scale(powers, K2)])
    moved = identity[target]
    return tuple(np.ascontiguousarray(moved[start : start + size]) for start in (0, size, 2 * size))
