"""Weighted round robin without state: who proposes is a function of the weights and a running index.

Member i of power p owns p slots of a period of `sum(p)` slots, at the places (2j + 1) / (2p) of the unit interval
(Sainte-Lague apportionment), so its turns are spread as evenly as they can be and every prefix of a period is fair.
Two places that fall together are ordered by the member's position. Integers only.
"""

from __future__ import annotations

from collections.abc import Sequence


def _slots_up_to(power: int, mark: int, bits: int) -> int:
    """How many of a member's places lie at or before `mark / 2**bits`."""
    return (((2 * power * mark) >> bits) + 1) // 2


def turn(powers: Sequence[int], index: int) -> tuple[int, int]:
    """Position of the member whose turn `index` is, and how many turns it had before since index 0.

    `powers` are at least 1 each; `index` counts from 0. Equal powers rotate in order of position.
    """
    total = sum(powers)
    period, offset = divmod(index, total)
    # Different places are more than 2**-bits apart, so each step of the search holds one place at most.
    bits = 2 * max(powers).bit_length() + 3
    low, high = 0, 1 << bits
    while low < high:
        middle = (low + high) // 2
        if sum(_slots_up_to(power, middle, bits) for power in powers) > offset:
            high = middle
        else:
            low = middle + 1
    earlier = [_slots_up_to(power, low - 1, bits) if low else 0 for power in powers]
    rank = offset - sum(earlier)
    for position, power in enumerate(powers):
        if _slots_up_to(power, low, bits) > earlier[position]:
            if rank == 0:
                return position, period * power + earlier[position]
            rank -= 1
    raise AssertionError("a slot below the total belongs to a member")
