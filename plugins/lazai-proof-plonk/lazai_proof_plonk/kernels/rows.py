"""Arrays as kernels take them: checked, contiguous, aligned, by address."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from . import engines

Array = NDArray[np.uint64]
ROW_BYTES = engines.PUBLIC_BYTES


def address(array: Array) -> np.uint64:
    return np.uint64(array.ctypes.data)


def rows_of(array: Array, columns: int, what: str) -> Array:
    """The array, checked for shape and kind; a copy where it is not contiguous or, like parts of files, not aligned."""
    if array.ndim != 2 or array.shape[1] != columns or array.dtype != np.uint64:
        raise ValueError(f"{what} must be uint64[n, {columns}], not {array.dtype}{list(array.shape)}")
    return np.require(array, requirements=["C_CONTIGUOUS", "ALIGNED"])


def canonical_rows(values: Sequence[int]) -> Array:
    """Canonical array of integers from 0 to 2^256 - 1."""
    joined = b"".join(value.to_bytes(ROW_BYTES, "little") for value in values)
    return np.frombuffer(joined, dtype="<u8").reshape(-1, 4).astype(np.uint64)
