"""The constants that every room of PLONK shares: the primes under the names that the files use, and the sizes."""

from __future__ import annotations

from .field import MONTGOMERY, root_of_unity
from .field import TWO_ADICITY as ROOT_POWER
from .field import Q as FIELD
from .field import R as ORDER

__all__ = ["DOMAIN_MIN", "FIELD", "K1", "K2", "MONTGOMERY", "ORDER", "POWER_MAX", "ROOT_POWER", "domain_root"]

K1, K2 = 2, 3
"""Coset representatives of the second and third wire column."""

DOMAIN_MIN = 8
POWER_MAX = 24
"""Domains above 2^24 are refused: their keys would pass 50 GiB."""


def domain_root(power: int) -> int:
    """The generator of the subgroup of 2^`power` elements, for 0 <= power <= 28."""
    if not 0 <= power <= ROOT_POWER:
        raise ValueError(f"the field has subgroups of 2^0 to 2^{ROOT_POWER} elements, not 2^{power}")
    return root_of_unity(1 << power)
