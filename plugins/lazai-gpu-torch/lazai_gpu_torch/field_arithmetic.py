"""KoalaBear and its extension of degree 5 on tensors: canonical int64 in, canonical int64 out, exact on every device.

Products of two elements are below 2^62, so two of them may be added before one remainder.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache

import torch

from lazai_core.api.field_kernels import EXTENSION_DEGREE, FIELD_MODULUS, Element

P = FIELD_MODULUS
GENERATOR = 3
LIMB_BITS = 16
"""Limbs of factors of a float64 product: 256 products of two limbs stay far below 2^53."""


def root_of_unity(log_order: int) -> int:
    """A primitive root of unity of order 2^k."""
    return pow(GENERATOR, (P - 1) >> log_order, P)


def column(value: Element, device: torch.device) -> torch.Tensor:
    """One element of K as `[5, 1]`."""
    return torch.tensor(value, dtype=torch.int64, device=device)[:, None]


def multiply(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """a b over K: `[5, n]` each, or `[5, 1]` for one factor of all; X^5 = 1 - X^2."""
    c = [_coefficient(a, b, power) for power in range(2 * EXTENSION_DEGREE - 1)]
    reduced = [c[0] + c[5] - c[8], c[1] + c[6], c[2] - c[5] + c[7] + c[8], c[3] - c[6] + c[8], c[4] - c[7]]
    return torch.stack(reduced).remainder_(P)


def _coefficient(a: torch.Tensor, b: torch.Tensor, power: int) -> torch.Tensor:
    """sum of a_i b_(power - i), below 3 p."""
    pairs = [(i, power - i) for i in range(EXTENSION_DEGREE) if 0 <= power - i < EXTENSION_DEGREE]
    found: torch.Tensor | None = None
    for start in range(0, len(pairs), 2):
        (i, j), *second = pairs[start : start + 2]
        products = a[i] * b[j]
        for k, m in second:
            products += a[k] * b[m]
        products.remainder_(P)
        found = products if found is None else found.add_(products)
    assert found is not None, "every power of the product has a pair"
    return found


def total(values: torch.Tensor) -> torch.Tensor:
    """Sums along the last axis, canonical; fewer than 2^32 terms."""
    return values.sum(-1).remainder_(P)


def element(values: torch.Tensor) -> Element:
    """`[5]` as canonical integers; waits for the device."""
    a, b, c, d, e = (int(value) for value in values.tolist())
    return (a, b, c, d, e)


def powers(base: int, count: int, first: int, device: torch.device) -> torch.Tensor:
    """first * base^k for k < count, by doubling: `[count]`."""
    found = torch.tensor([first], dtype=torch.int64, device=device)
    while len(found) < count:
        found = torch.cat([found, found * pow(base, len(found), P) % P])
    return found[:count]


@lru_cache(maxsize=32)
def roots(log_size: int, device: torch.device) -> torch.Tensor:
    """w^k for k below half the order 2^log_size."""
    return powers(root_of_unity(log_size), max(1, 1 << (log_size - 1)), 1, device)


@lru_cache(maxsize=32)
def halved_inverse_roots(log_size: int, device: torch.device) -> torch.Tensor:
    """w^-k / 2 for k below half the order."""
    return powers(pow(root_of_unity(log_size), -1, P), 1 << (log_size - 1), (P + 1) // 2, device)


def transform(message: torch.Tensor, log_rate: int) -> torch.Tensor:
    """Code words of columns: `[n, w]` with coefficients in bit-reversed order to `[n 2^log_rate, w]`, natural order.

    Decimation in time; with zero padding its first log_rate stages only repeat rows.
    """
    values = message.repeat_interleave(1 << log_rate, dim=0)
    size, width = values.shape
    log_size = size.bit_length() - 1
    table = roots(log_size, values.device)
    for stage in range(log_rate, log_size):
        length = 1 << stage
        halves = values.view(size // (2 * length), 2, length, width)
        twiddles = table[:: size // (2 * length)][:length, None]
        low, high = halves[:, 0], halves[:, 1] * twiddles % P
        values = torch.stack([(low + high) % P, (low - high) % P], dim=1).view(size, width)
    return values


def weighted_columns(matrix: torch.Tensor, weights: Sequence[Element]) -> torch.Tensor:
    """matrix `[n, w]` times weights over K: `[5, n]`. Limbs of 16 bits in float64 products, exact in any order."""
    factors = torch.tensor(list(weights), dtype=torch.int64, device=matrix.device)
    mask = (1 << LIMB_BITS) - 1
    limbs = torch.cat([factors & mask, factors >> LIMB_BITS], dim=1).double()
    low = ((matrix & mask).double() @ limbs).long()
    high = ((matrix >> LIMB_BITS).double() @ limbs).long()
    middle = (low[:, EXTENSION_DEGREE:] + high[:, :EXTENSION_DEGREE]) % P * ((1 << LIMB_BITS) % P)
    top = high[:, EXTENSION_DEGREE:] % P * ((1 << (2 * LIMB_BITS)) % P)
    return ((low[:, :EXTENSION_DEGREE] + middle % P + top % P) % P).t()


def in_chunks(count: int, size: int, run: Callable[[slice], torch.Tensor], dim: int) -> torch.Tensor:
    """The results of `run` for parts of 0 .. count, side by side along `dim`: bounds what is in flight."""
    if count <= size:
        return run(slice(0, count))
    return torch.cat([run(slice(start, min(start + size, count))) for start in range(0, count, size)], dim=dim)
