"""The functions columns are computed with, by the name a `Fill` gives; `numbers` come first, then the arrays."""

from __future__ import annotations

from typing import Any

import numpy as np

from .karray import IntArray


def _digit(numbers: tuple[int, ...], x: IntArray) -> IntArray:
    """Bits [shift, shift + bits) of x + offset."""
    shift, bits, offset = numbers
    return ((x + offset) >> shift) & ((1 << bits) - 1)


def _signed_digit(numbers: tuple[int, ...], x: IntArray) -> IntArray:
    """(|x| mod above) // below with the sign of x; all of |x| where `above` is 0."""
    below, above = numbers
    size = np.abs(x)
    if above:
        size = size % above
    return np.asarray(np.sign(x) * (size // below if below > 1 else size))


def _limbs(numbers: tuple[int, ...], x: IntArray) -> IntArray:
    """Digits of base 2^bits along a new last axis."""
    bits, count = numbers
    return np.stack([(x >> (bits * i)) & ((1 << bits) - 1) for i in range(count)], axis=-1)


def _square_root(numbers: tuple[int, ...], variance: IntArray) -> IntArray:
    """The largest r with r^2 * V <= numbers[0]."""
    from lazai_core.exact.kernels import integer_sqrt

    return integer_sqrt(numbers[0] // np.maximum(variance, 1))


def _bracket_slack(numbers: tuple[int, ...], variance: IntArray, root: IntArray) -> IntArray:
    return numbers[0] - root * root * variance


def _bracket_excess(numbers: tuple[int, ...], variance: IntArray, root: IntArray) -> IntArray:
    return (root + 1) * (root + 1) * variance - numbers[0] - 1


def _carries(numbers: tuple[int, ...], coefficients: IntArray) -> IntArray:
    """Carries c of sum of t_i X^i = (X - base) * c(X) from the t_i along the last axis."""
    base, count = numbers
    carry = np.zeros(coefficients.shape[:-1], dtype=np.int64)
    found = []
    for i in range(count):
        carry = (carry - coefficients[..., i]) // base
        found.append(carry)
    return np.stack(found, axis=-1)


def _convolve(a: IntArray, b: IntArray, count: int) -> IntArray:
    result = np.zeros((*a.shape[:-1], count), dtype=np.int64)
    for i in range(a.shape[-1]):
        for j in range(b.shape[-1]):
            result[..., i + j] += a[..., i] * b[..., j]
    return result


def _padded(x: IntArray, count: int) -> IntArray:
    width = [(0, 0)] * (x.ndim - 1) + [(0, count - x.shape[-1])]
    return np.pad(x, width)


def _row_digits(numbers: tuple[int, ...], x: IntArray) -> IntArray:
    """numbers[1:] along a last axis, once a row; x has numbers[0] row axes (all where negative)."""
    shape = x.shape if numbers[0] < 0 else x.shape[: numbers[0]]
    return np.broadcast_to(np.array(numbers[1:], dtype=np.int64), (*shape, len(numbers) - 1))


def _masked_max(numbers: tuple[int, ...], x: IntArray) -> IntArray:
    """Largest visible element of the last axis."""
    if numbers[0]:
        queries, keys = x.shape[-2:]
        visible = np.arange(keys) <= np.arange(queries)[:, None] + (keys - queries)
        x = np.where(visible, x, np.iinfo(np.int64).min)
    return np.asarray(x.max(axis=-1))


def _convolve_sum(x: IntArray, count: int) -> IntArray:
    """Coefficients of the sum over the axis before the last of squares of polynomials along the last axis."""
    result = np.zeros((*x.shape[:-2], count), dtype=np.int64)
    for i in range(x.shape[-1]):
        for j in range(x.shape[-1]):
            result[..., i + j] += (x[..., i] * x[..., j]).sum(axis=-1)
    return result


FILLS: dict[str, Any] = {
    "floor": lambda numbers, x: x >> numbers[0],
    "divide": lambda numbers, x: x // numbers[0],
    "quotient": lambda numbers, x: numbers[0] // np.maximum(x, 1),
    "subtract": lambda numbers, x, y: x - y,
    "add": lambda numbers, x, y: x + y,
    "multiply": lambda numbers, x, y: x * y,
    "remainder": lambda numbers, x: numbers[0] % np.maximum(x, 1),
    "affine": lambda numbers, x: numbers[0] * x + numbers[1],
    "clip": lambda numbers, x: np.clip(x, numbers[0], numbers[1]),
    "sign": lambda numbers, x: np.sign(x),
    "is_zero": lambda numbers, x: (x == 0).astype(np.int64),
    "below_zero": lambda numbers, x: (x < 0).astype(np.int64),
    "positive_part": lambda numbers, x: np.maximum(x, 0),
    "maximum": lambda numbers, x, y: np.maximum(x, y),
    "max_along": lambda numbers, x: x.max(axis=numbers[0]),
    "argmax_along": lambda numbers, x: np.argmax(x, axis=numbers[0]),
    "sum_along": lambda numbers, x: x.sum(axis=numbers[0]),
    "look_up": lambda numbers, x, table: np.where(x < 0, 0, table[np.clip(x, 0, len(table) - 1)]),
    "digit": _digit,
    "signed_digit": _signed_digit,
    "limbs": _limbs,
    "square_root": _square_root,
    "bracket_slack": _bracket_slack,
    "bracket_excess": _bracket_excess,
    "carries": _carries,
    "convolve": lambda numbers, a, b: _convolve(a, b, numbers[0]),
    "square_coefficients": lambda numbers, x: _convolve_sum(x, numbers[0]),
    "pad": lambda numbers, x: _padded(x, numbers[0]),
    "join": lambda numbers, *parts: np.concatenate(parts, axis=-1),
    "masked_max": lambda numbers, x: _masked_max(numbers, x),
    "evaluate": lambda numbers, x: sum(x[..., i] * numbers[0] ** i for i in range(x.shape[-1])),
    "row_digits": _row_digits,
    "stack": lambda numbers, *parts: np.stack(parts, axis=-1),
}
