"""Quantises the constants of linear layers so that every output channel lands on a power-of-two rescale."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from attrs import frozen

from lazai_core.api.errors import UnsupportedProgram
from lazai_core.exact.compiler.float_graph import Array

SHIFT_LOW, SHIFT_HIGH = -14, 24
WEIGHT_TOP = 127
ACCUMULATOR_SHARE = 1 << 29
SHIFT_CHOICES = 3
SHIFT_SPREAD_MAX = 8
"""Rows of one layer differ by at most this many bits: finer steps for rows of tiny weights change no result, and
proofs bring all rows to the largest shift, which must not wrap around in a 31-bit field."""


@frozen(kw_only=True, eq=False)
class LinearWeights:
    """Integer weight rows, bias, and per row the shift that brings the accumulator to the output's step."""

    weight: np.ndarray[Any, np.dtype[np.int8]]
    bias: np.ndarray[Any, np.dtype[np.int32]]
    shifts: np.ndarray[Any, np.dtype[np.int8]]


def quantize_linear(
    weight: Array,
    bias: Array,
    *,
    input_step: float,
    input_zero: int,
    input_top: int,
    output_step: float,
    output_zero: int,
    per_channel: bool,
    input_mean: Array | None = None,
) -> LinearWeights:
    """Weights of a `dense` (`[N, K]`) or `conv2d` (`[O, C, kh, kw]`) for given activation steps.

    The step of row n is tied to `output_step * 2^-shift[n] / input_step`. Of the shifts that the row's range
    allows, and the next ones, which clip its largest entries, the one of least square error is taken. The
    integer `input_zero` stands for an activation of 0, `output_zero` for a result of 0. `input_mean` (per input
    channel) lets the bias absorb the mean effect of rounding. The shift of a row is
    lowered until its accumulator provably stays below 2^30.
    """
    rows = weight.reshape(weight.shape[0], -1).astype(np.float64)
    ratio = output_step / input_step
    choices = _row_shifts(rows, ratio, per_channel)
    mean = _spread_mean(weight, input_mean)
    quantized = np.zeros(rows.shape, dtype=np.int8)
    biases = np.zeros(len(rows), dtype=np.int32)
    shifts = np.zeros(len(rows), dtype=np.int8)
    for index, row in enumerate(rows):
        shift = choices[index]
        while True:
            step = ratio * 2.0**-shift
            entries = np.clip(np.rint(row / step), -WEIGHT_TOP, WEIGHT_TOP)
            offset = float(bias[index])
            if mean is not None:
                offset += float(mean @ (row - entries * step))
            target = (offset / output_step + output_zero) * 2.0**shift - input_zero * float(entries.sum())
            if np.abs(entries).sum() * input_top < ACCUMULATOR_SHARE and abs(target) < ACCUMULATOR_SHARE:
                break
            if shift < SHIFT_LOW:
                raise UnsupportedProgram(f"row {index} of the weights or its bias is too large for its inputs")
            shift -= 1
        quantized[index], biases[index], shifts[index] = entries, round(target), shift
    return LinearWeights(weight=quantized.reshape(weight.shape), bias=biases, shifts=shifts)


def _row_shifts(rows: Array, ratio: float, per_channel: bool) -> list[int]:
    """The shift of each row; rows of zeros follow the others."""
    found = [_row_shift(row, ratio) for row in rows]
    least = min((shift for shift, row in zip(found, rows, strict=True) if row.any()), default=0)
    if not per_channel:
        return [least] * len(found)
    return [min(max(shift, least), least + SHIFT_SPREAD_MAX) for shift in found]


def _row_shift(row: Array, ratio: float) -> int:
    largest = float(np.abs(row).max(initial=0.0))
    if largest == 0.0:
        return 0
    first = math.floor(math.log2(WEIGHT_TOP * ratio / largest))
    best, best_error = first, math.inf
    for shift in range(first, first + SHIFT_CHOICES):
        step = ratio * 2.0**-shift
        error = float(np.square(np.clip(np.rint(row / step), -WEIGHT_TOP, WEIGHT_TOP) * step - row).sum())
        if error < best_error:
            best, best_error = shift, error
    return max(SHIFT_LOW, min(SHIFT_HIGH, best))


def _spread_mean(weight: Array, mean: Array | None) -> Array | None:
    """The input's mean per entry of a flattened weight row; grouped convolutions go without."""
    if mean is None or mean.shape[0] != weight.shape[1]:
        return None
    spread: Array = np.repeat(mean.astype(np.float64), math.prod(weight.shape[2:]))
    return spread


def quantize_to(values: Array, step: float, top: int) -> np.ndarray[Any, np.dtype[np.int64]]:
    """Nearest multiples of `step`, clamped to `[-top, top]`."""
    result: np.ndarray[Any, np.dtype[np.int64]] = np.clip(np.rint(values.astype(np.float64) / step), -top, top).astype(
        np.int64
    )
    return result


@frozen(kw_only=True, eq=False)
class NormWeights:
    """Integers of one `layer_norm`."""

    gain: np.ndarray[Any, np.dtype[np.int64]]
    bias: np.ndarray[Any, np.dtype[np.int64]]
    epsilon: int
    precision: int
    shift_normal: int
    shift_out: int


NORMAL_BITS = 12


def quantize_norm(
    gain: Array, bias: Array, *, epsilon: float, input_step: float, output_step: Array | float
) -> NormWeights:
    """Gain and bias so that the result comes out in units of `output_step` (one, or one per channel).

    Normals are kept with up to 12 fractional bits; the shift after the gain is the largest for which the gain
    fits int16 and the sum provably stays below 2^30.
    """
    size = gain.shape[0]
    precision = _norm_precision(size)
    normal_bits = min(NORMAL_BITS, precision)
    reach = math.isqrt(size << (2 * normal_bits)) + 2
    gain, bias = gain / output_step, bias / output_step
    largest = max(float(np.abs(gain).max()), 1e-12)
    offset = float(np.abs(bias).max())
    shift = 24
    while shift > -14:
        top = largest * 2.0 ** (shift - normal_bits)
        total = reach * (top + 1) + offset * 2.0**shift
        if top <= 32766 and total < ACCUMULATOR_SHARE * 1.9:
            break
        shift -= 1
    return NormWeights(
        gain=quantize_to(gain, 2.0 ** (normal_bits - shift), 32767),
        bias=quantize_to(bias, 2.0**-shift, 1 << 29),
        epsilon=max(1, round(min(size * epsilon / (input_step * input_step), 2.0**40))),
        precision=precision,
        shift_normal=precision - normal_bits,
        shift_out=shift,
    )


def _norm_precision(size: int) -> int:
    precision = 0
    while size << (2 * (precision + 1)) < 1 << 60:
        precision += 1
    return min(precision, 30)


SOFTMAX_TOP = 32767


def softmax_table(step: float, keys_max: int) -> Array:
    """`T[z] = round(T[0] * exp(-z * step))` down to its first zero; `T[0] * keys_max` stays below 2^29."""
    top = SOFTMAX_TOP
    while top * keys_max >= 1 << 29:
        top //= 2
    entries = [top]
    while entries[-1] > 0:
        entries.append(round(top * math.exp(-len(entries) * step)))
    return np.array(entries, dtype=np.int64)
