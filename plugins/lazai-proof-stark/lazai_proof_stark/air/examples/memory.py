"""The memory of a small machine: every read gives what was written last at its address.

Each row holds one access in order of time and one in order of (address, time). A permutation says that both are the
same accesses; within an address, a read repeats the value before it; that the order is right is shown by looking up
the gaps between neighbours in a table of all numbers below the number of rows.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np
from attrs import frozen
from numpy.typing import NDArray

from lazai_core.api.errors import InvalidInput

from ..definition import Air

COLUMNS = (
    "time",
    "address",
    "value",
    "is_write",
    "sorted_time",
    "sorted_address",
    "sorted_value",
    "sorted_is_write",
    "same",
    "gap",
    "number",
    "asked",
)


@frozen
class Access:
    """One access; a read's value is what the machine claims to have read."""

    address: int
    value: int
    is_write: bool


def memory(log_rows: int) -> Air:
    """Addresses below the number of rows; the first access of an address is a write."""
    air = Air("memory", COLUMNS, log_rows)
    row, following = air.row, air.following
    same = row["same"]
    later = following["sorted_time"] - row["sorted_time"]
    further = following["sorted_address"] - row["sorted_address"]
    air.always("write flag", row["is_write"] * (row["is_write"] - 1))
    air.always("same flag", same * (same - 1))
    air.transition("time", following["time"] - row["time"] - 1)
    air.transition("number", following["number"] - row["number"] - 1)
    # `same` speaks of this row and the next: the address stays, or it grows by gap + 1.
    air.transition("same address", same * further)
    air.transition("gap", row["gap"] - same * (later - 1) - (1 - same) * (further - 1))
    reads = 1 - following["sorted_is_write"]
    air.transition("read repeats", same * reads * (following["sorted_value"] - row["sorted_value"]))
    air.transition("first is a write", (1 - same) * reads)
    names = ("time", "address", "value", "is_write")
    air.permutation("order", [row[name] for name in names], [row[f"sorted_{name}"] for name in names])
    # Gaps and addresses are numbers below the number of rows, so that no order wraps around p.
    air.send("below rows", [row["gap"]], 1)
    air.send("below rows", [row["sorted_address"]], 1)
    air.send("below rows", [row["number"]], -row["asked"])
    for column, place in (("time", 0), ("number", 0), ("sorted_is_write", 0), ("value", -1)):
        air.public(column, place)
    return air


def memory_publics(last_value: int) -> list[int]:
    """Time and numbers begin with 0, the first access is a write, and the last access has this value."""
    return [0, 0, 1, last_value]


def memory_table(accesses: Sequence[Access]) -> dict[str, NDArray[np.int64]]:
    """The table of accesses in order of time. Raises InvalidInput for an address that does not fit."""
    count = len(accesses)
    rows = [(time, a.address, a.value, int(a.is_write)) for time, a in enumerate(accesses)]
    if any(not 0 <= address < count for _, address, _, _ in rows):
        raise InvalidInput(f"addresses are numbers below the number of accesses, {count}")
    ordered = sorted(rows, key=lambda entry: (entry[1], entry[0]))
    same, gap = [0] * count, [0] * count
    for index in range(count - 1):
        (time, address, _, _), (next_time, next_address, _, _) = ordered[index : index + 2]
        same[index] = int(address == next_address)
        gap[index] = (next_time - time if same[index] else next_address - address) - 1
    asked = Counter([*gap, *(entry[1] for entry in ordered)])
    columns = [
        *zip(*rows, strict=True),
        *zip(*ordered, strict=True),
        same,
        gap,
        range(count),
        [asked[number] for number in range(count)],
    ]
    return {name: np.array(list(column), dtype=np.int64) for name, column in zip(COLUMNS, columns, strict=True)}
