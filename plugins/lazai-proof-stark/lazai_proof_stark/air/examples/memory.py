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

OWN = ("address", "value", "is_write")
COLUMNS = (*OWN, "sorted_time", *(f"sorted_{name}" for name in OWN), "same", "gap", "asked")


@frozen
class Access:
    """One access; a read's value is what the machine claims to have read."""

    address: int
    value: int
    is_write: bool


def memory(log_rows: int) -> Air:
    """As many accesses as rows; the first access of an address is a write, and the last one's value is public."""
    air = Air("memory", COLUMNS, log_rows)
    time = air.fixed("time", range(air.rows))
    row, following, same = air.row, air.following, air.row["same"]
    further, reads = following["sorted_address"] - row["sorted_address"], 1 - following["sorted_is_write"]
    for flag in ("is_write", "same"):
        air.always(f"{flag} is 0 or 1", row[flag] * (row[flag] - 1))
    # `same` speaks of this row and the next: the address stays, or it grows by gap + 1.
    air.transition("same address", same * further)
    later = following["sorted_time"] - row["sorted_time"]
    air.transition("gap", row["gap"] + 1 - same * later - (1 - same) * further)
    air.transition("read repeats", same * reads * (following["sorted_value"] - row["sorted_value"]))
    air.transition("first is a write", (1 - same) * reads)
    air.boundary("begins with a write", 0, 1 - row["sorted_is_write"])
    air.permutation("order", [time, *(row[n] for n in OWN)], [row["sorted_time"], *(row[f"sorted_{n}"] for n in OWN)])
    # Gaps and addresses are numbers below the number of rows, so that no order wraps around p.
    for name in ("gap", "sorted_address"):
        air.send("below rows", [row[name]], 1)
    air.send("below rows", [time], -row["asked"])
    air.public("value", -1)
    return air


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
    own = list(zip(*rows, strict=True))[1:]
    columns = [*own, *zip(*ordered, strict=True), same, gap, [asked[number] for number in range(count)]]
    return {name: np.array(list(column), dtype=np.int64) for name, column in zip(COLUMNS, columns, strict=True)}
