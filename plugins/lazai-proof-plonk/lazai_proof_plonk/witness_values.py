"""The witness as field arrays: extended by additions, checked against the gates, laid into columns."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from lazai_core.api.errors import ProvingFailed

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from .files.zkey import Zkey


def extend_witness(variables: int, additions: NDArray[Any], witness: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """All variables in Montgomery form, `[variables, 4]`, from the canonical values of a `.wtns`.

    Wire 0 becomes zero: rows that are not in use hold it. Raises ProvingFailed for a witness of another circuit.
    """
    from .kernels.fields import FR

    base = variables - len(additions)
    if len(witness) != base:
        raise ProvingFailed(f"the witness has {len(witness)} values, the key's circuit {base} wires")
    values = np.zeros((variables, 4), dtype=np.uint64)
    values[:base] = FR.to_montgomery(np.ascontiguousarray(witness))
    values[0] = 0
    first = additions["first"].astype(np.int64)
    second = additions["second"].astype(np.int64)
    for rows in addition_levels(first, second, base):
        scales = additions["scales"][rows]
        left = FR.mul(np.ascontiguousarray(scales[:, 0]), values[first[rows]])
        right = FR.mul(np.ascontiguousarray(scales[:, 1]), values[second[rows]])
        values[base + rows] = FR.add(left, right)
    return values


def addition_levels(first: NDArray[np.int64], second: NDArray[np.int64], base: int) -> list[NDArray[np.int64]]:
    """Additions grouped so that each group uses only wires of groups before it."""
    depth = np.zeros(base + len(first), dtype=np.int64)
    while True:
        deeper = 1 + np.maximum(depth[first], depth[second])
        if np.array_equal(deeper, depth[base:]):
            break
        depth[base:] = deeper
    levels = depth[base:]
    return [np.flatnonzero(levels == level) for level in range(1, int(levels.max(initial=0)) + 1)]


def columns_of(key: Zkey, values: NDArray[np.uint64]) -> tuple[Any, Any, Any]:
    """Values of columns a, b, c over the domain."""
    columns = []
    for wires in key.maps:
        column = np.zeros((key.domain_size, 4), dtype=np.uint64)
        column[: len(wires)] = values[wires]
        columns.append(column)
    return columns[0], columns[1], columns[2]
