"""Seeded cases: generated input that repeats, with the seed in the text of every failure.

    for case in cases(50):
        with case:
            data = case.some_bytes(1, 100)
            ...

A failure says `seed 17`; `LAZAI_CASE=17` runs that case alone, and `LAZAI_CASES=1000` runs more of them.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from random import Random
from types import TracebackType
from typing import Self, TypeVar

T = TypeVar("T")

ONE_SEED_VARIABLE = "LAZAI_CASE"
COUNT_VARIABLE = "LAZAI_CASES"


class Case:
    """One generated case. As a context manager it adds its seed to whatever is raised inside."""

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.random = Random(seed)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is not None:
            error.add_note(f"seed {self.seed}: run this case alone with {ONE_SEED_VARIABLE}={self.seed}")

    def __repr__(self) -> str:
        return f"Case(seed={self.seed})"

    def integer(self, low: int, high: int) -> int:
        """An integer from `low` to `high`, both included; the ends come up often."""
        if self.random.random() < 0.2:
            return self.random.choice((low, high))
        return self.random.randint(low, high)

    def some_bytes(self, length_min: int, length_max: int) -> bytes:
        """Random bytes of a length from `length_min` to `length_max`."""
        return self.random.randbytes(self.integer(length_min, length_max))

    def choice(self, items: Sequence[T]) -> T:
        """One of `items`."""
        return self.random.choice(items)

    def flip_bit(self, data: bytes) -> bytes:
        """`data`, which is not empty, with one bit changed."""
        position = self.random.randrange(len(data))
        return flip(data, position, self.random.randrange(8))

    def mutate(self, data: bytes) -> bytes:
        """Other bytes than `data`: a flipped bit, a cut, an insertion, a repeated or a replaced part."""
        for _ in range(100):
            changed = self._mutated(data)
            if changed != data:
                return changed
        return data + b"\x00"

    def _mutated(self, data: bytes) -> bytes:
        start = self.random.randint(0, len(data))
        end = self.random.randint(start, min(len(data), start + 40))
        kind = self.random.randrange(5)
        if kind == 0 and data:
            return self.flip_bit(data)
        if kind == 1:
            return data[:start] + data[end:]
        if kind == 2:
            return data[:start] + self.some_bytes(1, 40) + data[start:]
        if kind == 3:
            return data[:end] + data[start:end] + data[end:]
        return data[:start] + self.random.randbytes(end - start) + data[end:]


def flip(data: bytes, position: int, bit: int = 0) -> bytes:
    """`data` with one bit of the byte at `position` changed."""
    return data[:position] + bytes([data[position] ^ (1 << bit)]) + data[position + 1 :]


def cases(count: int, *, first_seed: int = 0) -> Iterator[Case]:
    """`count` cases with seeds from `first_seed` on; the environment may ask for one seed, or for more cases."""
    wanted = os.environ.get(ONE_SEED_VARIABLE)
    if wanted is not None:
        yield Case(int(wanted))
        return
    total = max(count, int(os.environ.get(COUNT_VARIABLE, "0")))
    for seed in range(first_seed, first_seed + total):
        yield Case(seed)
