"""Exact integer matrix products, each by the fastest route that is exact for its operands on this device.

A product is a sum of terms; when no partial sum can reach 2^24, float32 holds them all in whatever order the
library adds, and below 2^53 float64 does. The int8 route accumulates in int32.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from attrs import frozen
from torch.nn.functional import linear

from lazai_core.api.program import DType, ValueInfo

from .devices import FLOAT32_EXACT_LIMIT, Device, int8_product

Product = Callable[[torch.Tensor], torch.Tensor]

INT8_INNER_MIN = 8
"""Shorter sums take another route: torch 2.13 reads `_int_mm` operands wrongly on the CPU when there is one term."""

SPLIT_HIGH_MAX = 127 * 256 + 127
"""Largest value whose upper byte, after the lower byte was taken off as a signed number, still fits int8."""


@frozen(kw_only=True)
class Route:
    """How one product runs; `name` is for tests and for the bench."""

    name: str
    product: Product


def weight_product(x: ValueInfo, weight: torch.Tensor, row_sum: int, device: Device) -> Route:
    """`[M, K] -> [M, N]` int32 against int8 weights `[N, K]`, whose rows' absolute sums are at most `row_sum`."""
    transposed = weight.t()
    int8_product_serves = device.int8_product and weight.shape[1] >= INT8_INNER_MIN
    if int8_product_serves and x.dtype is DType.INT8:
        return Route(name="int8", product=lambda rows: int8_product(rows, transposed))
    if int8_product_serves and x.dtype is DType.INT16 and x.high <= SPLIT_HIGH_MAX:
        return Route(name="split", product=lambda rows: _split_product(rows, transposed))
    if device.float32_product and row_sum * x.magnitude < FLOAT32_EXACT_LIMIT:
        single = weight.float()
        return Route(name="float32", product=lambda rows: linear(rows.float(), single).to(torch.int32))
    double = weight.double()
    return Route(name="float64", product=lambda rows: linear(rows.double(), double).to(torch.int32))


def _split_product(rows: torch.Tensor, transposed: torch.Tensor) -> torch.Tensor:
    """int16 rows as 256 * upper + lower, both int8: two int8 products."""
    lower = rows.to(torch.int8)  # keeps the low byte, as a signed number
    upper = ((rows - lower) >> 8).to(torch.int8)
    return int8_product(upper, transposed).bitwise_left_shift_(8).add_(int8_product(lower, transposed))


def activation_product(
    operands: Sequence[ValueInfo], inner_max: int, transpose_right: bool, device: Device
) -> Callable[[torch.Tensor, torch.Tensor], torch.Tensor]:
    """Batched product of two activations `[..., M, K] @ [..., K, N]`, int32; K is at most `inner_max`."""
    left, right = operands
    reach = inner_max * left.magnitude
    if left.last_axis_sum is not None:
        reach = min(reach, left.last_axis_sum)
    fits = device.float32_product and reach * right.magnitude < FLOAT32_EXACT_LIMIT
    dtype = torch.float32 if fits else torch.float64

    def product(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        other = b.to(dtype)
        return torch.matmul(a.to(dtype), other.mT if transpose_right else other).to(torch.int32)

    return product
