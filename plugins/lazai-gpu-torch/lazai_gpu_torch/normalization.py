"""Exact layer normalisation and softmax (docs/EXACT.md, section 2), pinned to one value by integer brackets."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch

from lazai_core.api.program import Op, ValueInfo
from lazai_core.api.program_rules import DType

from .rescale import Rescale

FLOAT64_EXACT_LIMIT = 2**53
SOFTMAX_ONE_BITS = 29

Step = Callable[[Sequence[torch.Tensor]], torch.Tensor]


def integer_sqrt(x: torch.Tensor) -> torch.Tensor:
    """The largest r with r^2 <= x for int64 x in [0, 2^60); the double is off by less than one unit there."""
    root = x.double().sqrt().to(torch.int64)
    root -= (root * root > x).to(torch.int64)
    root += ((root + 1) * (root + 1) <= x).to(torch.int64)
    return root


def build_layer_norm(op: Op, x_info: ValueInfo, gain: torch.Tensor, bias: torch.Tensor) -> Step:
    """Gain int16 and bias int32 `[D]`, on the device."""
    extent = x_info.shape[-1]
    epsilon, numerator = op.integer("epsilon"), extent << (2 * op.integer("precision"))
    subtract_mean = bool(op.integer("subtract_mean"))
    spread = x_info.high - x_info.low if subtract_mean else x_info.magnitude
    squares_in_float = extent * spread * spread + epsilon < FLOAT64_EXACT_LIMIT
    dividend = torch.tensor(numerator, dtype=torch.int64, device=gain.device)
    normal_shift = op.integer("shift_normal")
    normal_half = 1 << (normal_shift - 1) if normal_shift else 0
    wide_gain = gain.to(torch.int32)
    # The accumulator is below 2^30, which bounds what the last shift may be given.
    rescale = Rescale.uniform(
        op.integer("shift_out"), op.integer("low"), op.integer("high"), DType(op.integer("dtype")), 2**30
    )
    folded = bias + rescale.half if rescale.can_fold_bias else bias

    def step(operands: Sequence[torch.Tensor]) -> torch.Tensor:
        x = operands[0].to(torch.int32)
        if subtract_mean:
            total = x.sum(-1, keepdim=True, dtype=torch.int32)
            x = x - torch.div(total + extent // 2, extent, rounding_mode="floor")
        if squares_in_float:
            floats = x.double()
            variance = (floats * floats).sum(-1, keepdim=True).to(torch.int64)
        else:
            wide = x.to(torch.int64)
            variance = (wide * wide).sum(-1, keepdim=True)
        quotient = torch.div(dividend, variance.add_(epsilon), rounding_mode="floor")
        y = x * integer_sqrt(quotient).to(torch.int32)
        if normal_shift:
            y.add_(normal_half).bitwise_right_shift_(normal_shift)
        y.mul_(wide_gain).add_(folded)
        return rescale.finish(y) if rescale.can_fold_bias else rescale(y)

    return step


def build_softmax(table: torch.Tensor, causal: bool, precision: int) -> Step:
    """Table `[L]` of non-increasing weights, on the device."""
    entries = table.to(torch.int32)
    last = entries.shape[0] - 1
    shift = SOFTMAX_ONE_BITS - precision
    half = 1 << (shift - 1)
    one = torch.tensor(1 << SOFTMAX_ONE_BITS, dtype=torch.int32, device=table.device)

    def step(operands: Sequence[torch.Tensor]) -> torch.Tensor:
        x = operands[0].to(torch.int32)
        hidden = None
        if causal:
            queries, keys = x.shape[-2:]
            hidden = torch.ones((queries, keys), dtype=torch.bool, device=x.device).triu_(1 + keys - queries)
            peak = x.masked_fill(hidden, -(2**31)).amax(-1, keepdim=True)
        else:
            peak = x.amax(-1, keepdim=True)
        distance = (peak - x).clamp_(0, last)
        weights = entries.index_select(0, distance.reshape(-1)).view(x.shape)
        if hidden is not None:
            weights.masked_fill_(hidden, 0)
        inverse = torch.div(one, weights.sum(-1, keepdim=True, dtype=torch.int32), rounding_mode="floor")
        return weights.mul_(inverse).add_(half).bitwise_right_shift_(shift).to(torch.int16)

    return step
