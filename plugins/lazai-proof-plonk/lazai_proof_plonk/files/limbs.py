"""Field elements in files: little-endian 64-bit limbs, four an element, checked all at once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from .container import Section

if TYPE_CHECKING:
    from numpy.typing import NDArray


def limbs_of(body: memoryview, width: int) -> NDArray[np.uint64]:
    """Bytes as read-only limbs `[count, width]`; the length must be a multiple of 8 * width.

    A view where the bytes lie at a multiple of eight, else a copy: kernels take aligned memory only.
    """
    array = np.frombuffer(body, dtype="<u8").reshape(-1, width)
    if not array.flags.aligned:
        array = array.copy()
    array.setflags(write=False)
    return array


def below(limbs: NDArray[np.uint64], modulus: int) -> NDArray[np.bool_]:
    """Which of the elements `[count, 4]` are below the modulus."""
    parts = [np.uint64((modulus >> (64 * index)) & (2**64 - 1)) for index in range(4)]
    less = limbs[:, 0] < parts[0]
    for index in (1, 2, 3):
        column = limbs[:, index]
        less = (column < parts[index]) | ((column == parts[index]) & less)
    return less


def check_below(section: Section, limbs: NDArray[np.uint64], modulus: int) -> None:
    """Refuse elements `[count, 4k]` that are not canonical. Raises EncodingError naming the first."""
    flat = limbs.reshape(-1, 4)
    good = below(flat, modulus)
    if not bool(good.all()):
        first = int(np.argmin(good))
        raise section.fail(32 * first, f"element {first} is not below the prime")


def limbs_from_integers(values: Sequence[int]) -> NDArray[np.uint64]:
    """Limbs `[count, 4]` of integers in [0, 2^256)."""
    data = b"".join(value.to_bytes(32, "little") for value in values)
    return np.frombuffer(data, dtype="<u8").reshape(-1, 4).copy()


def integers_from_limbs(limbs: NDArray[np.uint64]) -> list[int]:
    """Integers of limbs `[count, 4]`."""
    data = np.ascontiguousarray(limbs).tobytes()
    return [int.from_bytes(data[index : index + 32], "little") for index in range(0, len(data), 32)]
