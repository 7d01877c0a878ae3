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


def permutations(log_rows: int) -> Air:
    """Independent permutations, one a row, nothing public: what the benchmark counts."""
    air = Air("poseidon2", permutation_columns(), log_rows)
    constrain_permutation(air)
    return air


__all__ = ["compress", "hash_chain", "hash_chain_table", "permutation_table", "permutations"]
