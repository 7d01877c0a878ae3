"""A chain of Poseidon2 hashes: each digest is the compression of the one before with zeros."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ...field import P
from ..definition import Air
from ..poseidon2 import RATE, STEPS, WIDTH, compress, constrain_permutation, permutation_cells, permutation_columns


def hash_chain(log_rows: int) -> Air:
    """One link a row; public are the first digest and the one before the last link."""
    air = Air("poseidon2 chain", permutation_columns(), log_rows)
    outputs = constrain_permutation(air)
    for index in range(RATE):
        air.transition(f"link {index}", air.following[f"in{index}"] - outputs[index] - air.row[f"in{index}"])
        air.always(f"padding {index}", air.row[f"in{RATE + index}"])
        air.public(f"in{index}", 0)
        air.public(f"in{index}", -1)
    return air


def hash_chain_table(log_rows: int, first: Sequence[int]) -> dict[str, NDArray[np.int64]]:
    """The chain from a digest of eight elements."""
    inputs = np.zeros((1 << log_rows, WIDTH), dtype=np.int64)
    current = [value % P for value in first]
    for row in range(len(inputs)):
        inputs[row, :RATE] = current
        if row + 1 < len(inputs):
            _, outputs = permutation_cells(inputs[row : row + 1])
            current = [int(value) for value in (outputs[0, :RATE] + inputs[row, :RATE]) % P]
    return permutation_table(inputs)


def permutation_table(inputs: NDArray[np.int64]) -> dict[str, NDArray[np.int64]]:
    """Columns of permutations of inputs `[rows, 16]`."""
    cells, _ = permutation_cells(inputs)
    table = {f"in{index}": inputs[:, index] for index in range(WIDTH)}
    return table | {f"box{index}": cells[:, index] for index in range(STEPS)}


def permutations(log_rows: int, each_row: int = 3) -> Air:
    """Independent permutations, nothing public: what the benchmark counts. Three fill 492 of 512 columns."""
    prefixes = [f"{index}." for index in range(each_row)]
    air = Air("poseidon2", [name for prefix in prefixes for name in permutation_columns(prefix)], log_rows)
    for prefix in prefixes:
        constrain_permutation(air, prefix)
    return air


def permutations_table(inputs: NDArray[np.int64]) -> dict[str, NDArray[np.int64]]:
    """The table for inputs `[permutations a row, rows, 16]`."""
    return {
        f"{index}.{name}": column
        for index, rows in enumerate(inputs)
        for name, column in permutation_table(rows).items()
    }


__all__ = ["compress", "hash_chain", "hash_chain_table", "permutation_table", "permutations", "permutations_table"]
