"""Fibonacci numbers mod p: the smallest computation with a memory."""

from __future__ import annotations

from ...field import P
from ..definition import Air


def fibonacci(log_rows: int) -> Air:
    """Two neighbours a row; public are both beginnings and the last number."""
    air = Air("fibonacci", ("a", "b"), log_rows)
    row, following = air.row, air.following
    air.transition("shift", following["a"] - row["b"])
    air.transition("sum", following["b"] - row["a"] - row["b"])
    air.public("a", 0)
    air.public("b", 0)
    air.public("b", -1)
    return air


def fibonacci_table(log_rows: int, first: int = 1, second: int = 1) -> dict[str, list[int]]:
    """The numbers from two beginnings."""
    a, b = [first], [second]
    for _ in range((1 << log_rows) - 1):
        a.append(b[-1])
        b.append((a[-2] + b[-1]) % P)
    return {"a": a, "b": b}
