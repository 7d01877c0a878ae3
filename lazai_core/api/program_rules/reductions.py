"""Operations over whole axes: sums, maxima, normalisation, softmax."""

from __future__ import annotations

from itertools import pairwise
from math import isqrt

from ..program_types import SYMBOLIC, DType, Shape, ValueInfo
from .base import (
    SHIFT_MAX,
    SHIFT_MIN,
    Call,
    axis_of,
    clamp_attributes,
    require,
    require_accumulator,
    require_constant,
    require_narrow,
    result_of,
    round_shift,
    same_as,
)


def _reduced(call: Call, x: ValueInfo) -> tuple[Shape, int, int]:
    axes, rank = call.integers("axes"), len(x.shape)
    require(len(axes) >= 1, "axes must not be empty")
    require(all(0 <= axis < rank for axis in axes), f"axes {axes} are not axes of a value of rank {rank}")
    require(all(a < b for a, b in pairwise(axes)), f"axes {axes} must ascend")
    least = most = 1
    for axis in axes:
        least, most = least * call.smallest(x.shape[axis]), most * call.largest(x.shape[axis])
    if call.integer("keepdims"):
        return tuple(1 if i in axes else n for i, n in enumerate(x.shape)), least, most
    return tuple(n for i, n in enumerate(x.shape) if i not in axes), least, most


def reduce_sum(call: Call) -> ValueInfo:
    """Sum over `axes`."""
    x = call.operands[0]
    require_narrow(x, "x")
    shape, least, most = _reduced(call, x)
    return result_of(DType.INT32, shape, min(least * x.low, most * x.low), max(least * x.high, most * x.high))


def reduce_mean(call: Call) -> ValueInfo:
    """Mean over `axes`, rounded to nearest; it stays in x's interval."""
    x = call.operands[0]
    require_narrow(x, "x")
    shape, _, most = _reduced(call, x)
    require_accumulator(-most * x.magnitude, most * x.magnitude + most // 2, "the sum")
    return same_as(x, shape)


def reduce_max(call: Call) -> ValueInfo:
    """Maximum over `axes`."""
    x = call.operands[0]
    return same_as(x, _reduced(call, x)[0])


def argmax(call: Call) -> ValueInfo:
    """Lowest index of the maximum along `axis`."""
    x = call.operands[0]
    axis = axis_of(call, "axis", len(x.shape))
    shape = x.shape[:axis] + x.shape[axis + 1 :]
    return result_of(DType.INT32, shape, 0, call.largest(x.shape[axis]) - 1)


def layer_norm(call: Call) -> ValueInfo:
    """Exact layer normalisation (or RMS normalisation) over the last axis."""
    x, gain, bias = call.operands
    require_narrow(x, "x")
    require_constant(gain, "gain", (DType.INT16,), 1)
    require_constant(bias, "bias", (DType.INT32,), 1)
    require(len(x.shape) >= 1 and x.shape[-1] != SYMBOLIC, "x must end in a static axis")
    extent, precision = x.shape[-1], call.integer("precision")
    require(gain.shape == (extent,) and bias.shape == (extent,), f"gain and bias must have {extent} entries")
    dtype, low, high = clamp_attributes(call)
    normal, out = call.integer("shift_normal"), call.integer("shift_out")
    require(0 <= normal <= SHIFT_MAX, f"shift_normal {normal} must be from 0 to {SHIFT_MAX}")
    require(SHIFT_MIN <= out <= SHIFT_MAX, f"shift_out {out} must be from {SHIFT_MIN} to {SHIFT_MAX}")
    require(
        0 <= precision <= SHIFT_MAX and extent << (2 * precision) < 2**60,
        "D * 4^precision must be below 2^60",
    )
    require_accumulator(-extent * x.magnitude, extent * x.magnitude + extent // 2, "the sum")
    spread = x.high - x.low if call.integer("subtract_mean") else x.magnitude
    epsilon = call.integer("epsilon")
    require(epsilon >= 1, f"epsilon {epsilon} must be 1 or more")
    require(extent * spread * spread + epsilon < 2**62, "the sum of squares may reach 2^62")
    # |d| * r <= sqrt(V) * r <= sqrt(D) * 2^k, hence at most its integer part.
    reach = isqrt(extent << (2 * precision))
    normals = (round_shift(-reach, normal), round_shift(reach, normal))
    products = [t * g for t in normals for g in (gain.low, gain.high)]
    # A product without its bias is bounded as well: backends hold it in the same register.
    require_accumulator(min(products), max(products), "gain * t")
    ends = (min(products) + bias.low, max(products) + bias.high)
    require_accumulator(*ends)
    bounds = [max(low, min(high, round_shift(v, out))) for v in ends]
    return result_of(dtype, x.shape, min(bounds), max(bounds))


def softmax(call: Call) -> ValueInfo:
    """Exact softmax over the last axis from a table of exponentials."""
    x, entries = call.operands
    require_narrow(x, "x")
    require_constant(entries, "table", (DType.INT16, DType.INT32), 1)
    causal, precision = call.integer("causal"), call.integer("precision")
    require(len(x.shape) >= (2 if causal else 1), "x must have rank 2 or more (1 where not causal)")
    require(0 <= precision <= 14, f"precision {precision} must be from 0 to 14")
    require(
        entries.low >= 0 and 1 <= entries.high <= 2**15,
        "table entries must lie in [0, 2^15], the first above 0",
    )
    keys = call.largest(x.shape[-1])
    require(keys * entries.high < 2**29, f"{keys} keys times table[0] = {entries.high} must stay below 2^29")
    if causal and x.shape[-2] != x.shape[-1]:
        enough = call.smallest(x.shape[-1]) >= call.largest(x.shape[-2])
        require(enough, f"a causal mask needs at least as many keys as queries, shape {x.shape}")
    # y_j <= e_j * v / 2^(29 - P) + 1/2, and the e_j * v add up to at most 2^29; the sum is an integer.
    total = (1 << precision) + keys // 2
    return result_of(DType.INT16, x.shape, 0, 1 << precision, last_axis_sum=total)
