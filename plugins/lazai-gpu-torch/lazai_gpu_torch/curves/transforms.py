"""Number-theoretic transforms over the scalar field: Stockham's order, decimation in time, radix two.

Van Loan, Computational Frameworks for the Fast Fourier Transform, section 1.7: no step permutes, and each adds at most
2 p to what its elements may reach, so only products reduce: 1 + 2 * 28 < `LOOSE` times p at the end.
"""

from __future__ import annotations

from functools import lru_cache

import torch

from lazai_core.api.curve_kernels import ROOT_GENERATOR, SCALAR_MODULUS

from .limbs import LIMBS, PrimeField

TWO_ADICITY = 28
PLANS_KEPT = 16


class Transforms:
    """Transforms on one device."""

    def __init__(self, device: torch.device) -> None:
        self.field = PrimeField(SCALAR_MODULUS, device)
        self._roots = lru_cache(maxsize=PLANS_KEPT)(self._powers_of_root)

    def evaluate(self, coefficients: torch.Tensor, size: int, shift: int) -> torch.Tensor:
        """Values at shift w^i: `[9, m]` to canonical `[9, size]`."""
        count = coefficients.shape[1]
        padded = torch.zeros((LIMBS, size), dtype=torch.int64, device=self.field.device)
        padded[:, :count] = coefficients
        if shift != 1:
            padded[:, :count] = self.field.multiply(coefficients, self._powers(shift, count))
        return self._settled(self._transformed(padded, False), self.field.constant(1))

    def interpolate(self, values: torch.Tensor, shift: int) -> torch.Tensor:
        """Inverse of `evaluate`: `[9, n]` to canonical `[9, n]`."""
        size = values.shape[1]
        scale = pow(size, -1, SCALAR_MODULUS)
        factors = self.field.constant(scale)
        if shift != 1:
            factors = self._powers(pow(shift, -1, SCALAR_MODULUS), size, scale)
        return self._settled(self._transformed(values, True), factors)

    def _settled(self, elements: torch.Tensor, factors: torch.Tensor) -> torch.Tensor:
        return self.field.canonical(self.field.multiply(elements, factors))

    def _transformed(self, elements: torch.Tensor, inverted: bool) -> torch.Tensor:
        size = elements.shape[1]
        done = 1
        while done < size:
            halves = elements.reshape(LIMBS, 2, size // (2 * done), done)
            turned = self.field.multiply(halves[:, 1], self._roots(2 * done, inverted)[:, None])
            sums = self.field.add(halves[:, 0], turned)
            differences = self.field.subtract(halves[:, 0], turned, 2)
            elements = torch.stack([sums, differences], dim=2).reshape(LIMBS, size)
            done *= 2
        return elements

    def _powers_of_root(self, order: int, inverted: bool) -> torch.Tensor:
        """Powers 0 .. order / 2 - 1 of the root of this order, or of its inverse."""
        root = pow(ROOT_GENERATOR, (SCALAR_MODULUS - 1) // order, SCALAR_MODULUS)
        return self._powers(pow(root, -1, SCALAR_MODULUS) if inverted else root, order // 2)

    def _powers(self, base: int, count: int, first: int = 1) -> torch.Tensor:
        """first * base^i in Montgomery form, `[9, count]`, by doubling."""
        powers = self.field.constant(first)
        while powers.shape[1] < count:
            step = self.field.constant(pow(base, powers.shape[1], SCALAR_MODULUS))
            powers = torch.cat([powers, self.field.multiply(powers, step)], dim=1)
        return powers[:, :count]
