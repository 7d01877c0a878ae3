"""Attention in one call: the composed operations without storing what lies between them.

The intermediate roundings are part of the meaning, so they stay; only copies between stored types go.
"""

from __future__ import annotations

import torch

from lazai_core.api.compute import AttentionStep
from lazai_core.api.program import DType, ValueInfo
from lazai_core.exact.codec import dtype_name

from .devices import Device
from .normalization import build_softmax
from .products import activation_product
from .rescale import Rescale

DTYPES = {dtype_name(dtype): dtype for dtype in DType}


def attention(
    step: AttentionStep,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    table: torch.Tensor,
    device: Device,
) -> torch.Tensor:
    """Query `[..., Q, D]`, key `[..., K, D]`, value `[..., K, E]`, table `[L]` to `[..., Q, E]`."""
    inner, keys = query.shape[-1], key.shape[-2]
    scores = activation_product((_info(query), _info(key)), inner, True, device)(query, key)
    narrowed = Rescale.uniform(step.score_shift, step.score_low, step.score_high, DType.INT16, 2**30)(scores)
    probabilities = build_softmax(table, step.causal, step.precision)((narrowed,))
    weights = _info(probabilities, last_axis_sum=(1 << step.precision) + (keys + 1) // 2)
    mixed = activation_product((weights, _info(value)), keys, False, device)(probabilities, value)
    dtype = DTYPES[step.output_dtype]
    return Rescale.uniform(step.output_shift, step.output_low, step.output_high, dtype, 2**30)(mixed)


def _info(tensor: torch.Tensor, last_axis_sum: int | None = None) -> ValueInfo:
    """What is known of a tensor whose elements can be looked at."""
    dtype = {torch.int8: DType.INT8, torch.int16: DType.INT16, torch.int32: DType.INT32}[tensor.dtype]
    low, high = int(tensor.min()), int(tensor.max())
    return ValueInfo(
        dtype=dtype, shape=tuple(tensor.shape), low=low, high=high, last_axis_sum=last_axis_sum
    )
