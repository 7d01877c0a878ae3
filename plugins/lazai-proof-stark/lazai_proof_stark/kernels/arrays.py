"""Arrays over F and K as the kernels want them, and back to Python integers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..field import Extension, P
from .lanes import LANES

Words = NDArray[np.uint32]

MONTGOMERY = (1 << 32) % P
MONTGOMERY_INVERSE = pow(1 << 32, -1, P)


def to_montgomery(values: NDArray[Any]) -> Words:
    """Signed or unsigned integers below 2^63 in absolute value to elements of F."""
    canonical = np.mod(values.astype(np.int64, copy=False), P).astype(np.uint64)
    return (canonical * np.uint64(MONTGOMERY) % np.uint64(P)).astype(np.uint32)


def from_montgomery(words: Words) -> NDArray[np.uint32]:
    """Elements of F to canonical integers."""
    return (words.astype(np.uint64) * np.uint64(MONTGOMERY_INVERSE) % np.uint64(P)).astype(np.uint32)


def k_words(values: NDArray[np.int64]) -> Words:
    """Canonical `[n, 5]` to Montgomery words `[n, 5]`."""
    return (values.astype(np.uint64) * np.uint64(MONTGOMERY) % np.uint64(P)).astype(np.uint32)


def blocked(values: NDArray[np.int64]) -> Words:
    """Canonical `[n, 5]`, n a multiple of sixteen, in blocks."""
    return np.ascontiguousarray(k_words(values).reshape(-1, LANES, 5).transpose(0, 2, 1))


def splat(value: Extension) -> Words:
    """One element of K in all lanes: `uint32[5, 16]`."""
    words = np.array([coefficient * MONTGOMERY % P for coefficient in value], dtype=np.uint32)
    return np.ascontiguousarray(np.broadcast_to(words[:, None], (5, LANES)))


def extension_array(values: Sequence[Extension]) -> Words:
    """Elements of K in blocks, zeros up to a multiple of sixteen."""
    blocks = -(-len(values) // LANES)
    flat = np.zeros((blocks * LANES, 5), dtype=np.uint64)
    if values:
        flat[: len(values)] = np.array(values, dtype=np.uint64)
    words = (flat * np.uint64(MONTGOMERY) % np.uint64(P)).astype(np.uint32)
    return np.ascontiguousarray(words.reshape(blocks, LANES, 5).transpose(0, 2, 1))


def extension_values(array: Words, count: int | None = None) -> list[Extension]:
    """The first `count` elements of a blocked array as tuples."""
    rows = from_montgomery(array.transpose(0, 2, 1).reshape(-1, 5))[:count]
    return [(int(a), int(b), int(c), int(d), int(e)) for a, b, c, d, e in rows.tolist()]


def lift_array(base: Words) -> Words:
    """An array over F as one over K."""
    result = np.zeros((len(base) // LANES, 5, LANES), dtype=np.uint32)
    result[:, 0, :] = base.reshape(-1, LANES)
    return result


def lane_sums(accumulator: Words) -> list[Extension]:
    """Accumulators `uint32[k, 5, 16]` to k elements of K."""
    totals = accumulator.astype(np.uint64).sum(axis=-1) % np.uint64(P)
    canonical = totals * np.uint64(MONTGOMERY_INVERSE) % np.uint64(P)
    return [(int(a), int(b), int(c), int(d), int(e)) for a, b, c, d, e in canonical.tolist()]
