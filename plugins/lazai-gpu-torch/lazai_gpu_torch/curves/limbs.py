"""Arithmetic modulo a prime of 254 bits on int64 tensors `[9, ...]`: nine limbs of 29 bits, lowest first.

Elements are kept loosely: any number congruent to the value, below `LOOSE` times the prime, with limbs in [0, 2^29).
Products are Montgomery's (Mathematics of Computation 44, 1985) with R = 2^261: a column of eighteen products below
2^58 and a carry stay below 2^63, so nothing ever leaves int64. Of factors below 80 p the product is below 40 p, of
factors below 8 p below 2 p.
"""

from __future__ import annotations

import numpy as np
import torch

LIMBS, BITS = 9, 29
MASK = (1 << BITS) - 1
RADIX_BITS = LIMBS * BITS
LOOSE = 80
WORDS, WORD_BITS = 4, 64


def limbs_of(value: int) -> list[int]:
    """Nine limbs of an integer below 2^261."""
    assert 0 <= value < 1 << RADIX_BITS
    return [value >> BITS * index & MASK for index in range(LIMBS)]


def integer_of(limbs: list[int]) -> int:
    """Inverse of `limbs_of`."""
    return sum(limb << BITS * index for index, limb in enumerate(limbs))


class PrimeField:
    """One prime on one device. Tensors come and go as `[9, ...]`."""

    def __init__(self, modulus: int, device: torch.device) -> None:
        assert 1 << 253 < modulus < 1 << 254
        self.modulus = modulus
        self.device = device
        self._inverse = -pow(modulus, -1, 1 << BITS) & MASK
        self._limbs = self._column(modulus)
        self._multiples: dict[int, torch.Tensor] = {count: self._column(count * modulus) for count in (2, 4, 16)}

    def _column(self, value: int) -> torch.Tensor:
        return torch.tensor(limbs_of(value), dtype=torch.int64, device=self.device)

    def constant(self, value: int) -> torch.Tensor:
        """One number in Montgomery form, `[9, 1]`."""
        return self._column(value * (1 << RADIX_BITS) % self.modulus)[:, None]

    def constants(self, values: list[int]) -> torch.Tensor:
        """Numbers in Montgomery form, `[9, n]`."""
        rows = [limbs_of(value * (1 << RADIX_BITS) % self.modulus) for value in values]
        return torch.tensor(rows, dtype=torch.int64, device=self.device).T.contiguous()

    def integers(self, elements: torch.Tensor) -> list[int]:
        """Canonical integers that Montgomery forms `[9, n]` stand for."""
        unscale = pow(1 << RADIX_BITS, -1, self.modulus)
        return [integer_of(row) * unscale % self.modulus for row in elements.T.tolist()]

    def carried(self, columns: torch.Tensor) -> torch.Tensor:
        """Columns of any sign, of a number in [0, 2^261), to limbs; in place."""
        for index in range(LIMBS - 1):
            columns[index + 1] += columns[index] >> BITS
            columns[index] &= MASK
        return columns

    def add(self, left: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
        """Left + right."""
        return self.carried(left + right)

    def subtract(self, left: torch.Tensor, right: torch.Tensor, multiple: int) -> torch.Tensor:
        """Left - right + multiple p, for right below multiple p; multiple is 2, 4 or 16."""
        offset = self._multiples[multiple].reshape(LIMBS, *[1] * (left.dim() - 1))
        return self.carried(left - right + offset)

    def scale(self, elements: torch.Tensor, factor: int) -> torch.Tensor:
        """Times a small factor, 1 to 16."""
        return self.carried(elements * factor)

    def multiply(self, left: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
        """Left * right / 2^261, shapes broadcast."""
        shape = np.broadcast_shapes(left.shape[1:], right.shape[1:])
        columns = torch.zeros((2 * LIMBS, *shape), dtype=torch.int64, device=self.device)
        for index in range(LIMBS):
            columns[index : index + LIMBS].addcmul_(left[index], right)
        prime = self._limbs.reshape(LIMBS, *[1] * len(shape))
        for index in range(LIMBS):
            digit = (columns[index] & MASK) * self._inverse & MASK
            columns[index : index + LIMBS].addcmul_(digit, prime)
            columns[index + 1] += columns[index] >> BITS
        return self.carried(columns[LIMBS:])

    def canonical(self, elements: torch.Tensor) -> torch.Tensor:
        """Elements below 2 p to elements below p."""
        lowered = self.carried(elements - self._limbs.reshape(LIMBS, *[1] * (elements.dim() - 1)))
        return torch.where(lowered[LIMBS - 1 :] < 0, elements, lowered)

    def from_words(self, words: torch.Tensor) -> torch.Tensor:
        """Int64 words `[n, 4]`, of numbers below 2^256, to limbs `[9, n]`."""
        limbs = []
        for index in range(LIMBS):
            word, shift = divmod(BITS * index, WORD_BITS)
            room = WORD_BITS - shift
            limb = words[:, word] >> shift
            if room < BITS:
                limb = limb & (1 << room) - 1
                if word + 1 < WORDS:
                    limb = limb | words[:, word + 1] << room
            limbs.append(limb & MASK)
        return torch.stack(limbs)

    def to_words(self, elements: torch.Tensor) -> torch.Tensor:
        """Canonical limbs `[9, n]` to int64 words `[n, 4]`."""
        words = []
        for index in range(WORDS):
            word = torch.zeros_like(elements[0])
            for limb in range(LIMBS):
                shift = BITS * limb - WORD_BITS * index
                if -BITS < shift < WORD_BITS:
                    word |= elements[limb] << shift if shift >= 0 else elements[limb] >> -shift
            words.append(word)
        return torch.stack(words, dim=1)
