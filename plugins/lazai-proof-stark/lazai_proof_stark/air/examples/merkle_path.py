"""A Merkle path: this leaf is under this root, without saying where."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ..definition import Air
from ..poseidon2 import RATE, WIDTH, compress, constrain_permutation, permutation_columns
from .hash_chain import permutation_table


def merkle_path(log_depth: int) -> Air:
    """One level a row: the node (`here`), its sibling, on which side it is (`bit`), and the parent (`up`)."""
    own = [f"{kind}{index}" for kind in ("here", "sibling", "up") for index in range(RATE)]
    air = Air("merkle path", (*permutation_columns(), *own, "bit"), log_depth)
    row, following, bit = air.row, air.following, air.row["bit"]
    outputs = constrain_permutation(air)
    air.always("bit", bit * (bit - 1))
    for index in range(RATE):
        here, sibling, up = row[f"here{index}"], row[f"sibling{index}"], row[f"up{index}"]
        air.always(f"left {index}", row[f"in{index}"] - here - bit * (sibling - here))
        air.always(f"right {index}", row[f"in{RATE + index}"] - sibling - bit * (here - sibling))
        air.always(f"up {index}", up - outputs[index] - row[f"in{index}"])
        air.transition(f"next {index}", following[f"here{index}"] - up)
        air.public(f"here{index}", 0)
        air.public(f"up{index}", -1)
    return air


def merkle_path_table(
    leaf: Sequence[int], siblings: Sequence[Sequence[int]], bits: Sequence[int]
) -> dict[str, NDArray[np.int64]]:
    """The table of a path from a leaf upwards; a bit is 1 where the node is the right child."""
    here, rows = list(leaf), []
    inputs = np.zeros((len(bits), WIDTH), dtype=np.int64)
    for level, (sibling, bit) in enumerate(zip(siblings, bits, strict=True)):
        left, right = (list(sibling), here) if bit else (here, list(sibling))
        inputs[level] = [*left, *right]
        up = compress(left, right)
        rows.append([*here, *sibling, *up, bit])
        here = up
    own = np.array(rows, dtype=np.int64)
    names = [f"{kind}{index}" for kind in ("here", "sibling", "up") for index in range(RATE)] + ["bit"]
    return permutation_table(inputs) | {name: own[:, index] for index, name in enumerate(names)}
