"""Matrix times vector over the field of 2^61 - 1 elements, with 64-bit integers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from lazai_core.exact.model import IntArray


PRIME = 2**61 - 1
EXTENT_MAX = 2**15
LIMB_BITS, LIMBS = 16, 4


def project(matrix: IntArray, vector: Sequence[int]) -> list[int]:
    """`matrix` (rows x extent, |element| < 2^31) times `vector` (elements of the field), reduced.

    The vector is cut into limbs of 16 bits: a sum of 2^15 products of 31 and 16 bits stays below 2^62.
    """
    mask = (1 << LIMB_BITS) - 1
    limbs = np.array([[(element >> (LIMB_BITS * limb)) & mask for limb in range(LIMBS)] for element in vector])
    sums = matrix.astype(np.int64) @ limbs.astype(np.int64)
    return [sum(int(part) << (LIMB_BITS * limb) for limb, part in enumerate(row)) % PRIME for row in sums]
