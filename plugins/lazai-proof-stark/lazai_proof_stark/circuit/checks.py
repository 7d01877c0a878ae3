"""What waits for the end of a compilation: range checks and clamps of leaves, and what they ask of tables."""

from __future__ import annotations

from attrs import define, frozen

from .layout import bits_of, pieces_of
from .nodes import Node


@define(kw_only=True, eq=False)
class PendingCheck:
    """Lookups that bound a leaf; they wait, because a later operation may merge them into its own."""

    op: int
    leaf: Node
    low: int
    high: int
    image: bool
    excess: tuple[Node, ...] = ()
    reach: int = 0
    sign: Node | None = None
    beyond: int = 0
    mergeable: bool = False
    tight: bool = False
    wanted: bool = True
    constant: Node | None = None
    offset: int = 0
    result: Node | None = None


@frozen(kw_only=True)
class Demand:
    """A clamp, for choosing table sizes: its interval's width, largest excess, cells, and if functions read it."""

    width: int
    beyond: int
    cells: int
    mergeable: bool
    count: int = 1


def demand_of(check: PendingCheck) -> Demand:
    """What a clamp asks of the tables."""
    cells = sum(1 << piece.bits for piece in pieces_of(check.leaf.shape, image=check.image))
    return Demand(width=check.high - check.low, beyond=check.beyond, cells=cells, mergeable=check.mergeable)


def limb_coefficients(beyond: int, reach: int) -> list[int]:
    """Coefficients c_i so that every |e| <= beyond is a sum of c_i times digits up to `reach`."""
    if reach < 1:
        raise ValueError("digits of no reach sum up to nothing")
    found = [1]
    while (reach + 1) * found[-1] <= beyond:
        found.append(found[-1] * (reach + 1))
    if len(found) > 1:
        # The top coefficient as small as it may be, but a multiple of the one below, so that digits are plain.
        found[-1] = found[-2] * -(-(beyond // (reach + 1) + 1) // found[-2])
    return found


def least_reach(beyond: int, limbs: int) -> int:
    """The least reach of at least 1 with (reach + 1)^limbs > beyond."""
    low, high = 1, max(1, beyond)
    while low < high:
        middle = (low + high) // 2
        if (middle + 1) ** limbs > beyond:
            high = middle
        else:
            low = middle + 1
    return low


def signed_bits(low: int, high: int) -> tuple[int, int]:
    """Bits and offset of a range check that covers [low, high]."""
    if low >= 0:
        return max(1, bits_of(high + 1)), 0
    bits = bits_of(max(high + 1, -low)) + 1
    return bits, 1 << (bits - 1)
