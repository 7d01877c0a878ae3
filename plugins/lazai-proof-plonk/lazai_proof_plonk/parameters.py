"""BN254 and the sizes of its PLONK: the constants that every room shares."""

from __future__ import annotations

FIELD = 21888242871839275222246405745257275088696311157297823662689037894645226208583
"""The prime of the coordinates, called q in the files."""

ORDER = 21888242871839275222246405745257275088548364400416034343698204186575808495617
"""The prime of the scalars and of the circuit's values, called r in the files."""

MONTGOMERY = 2**256
ROOT_POWER = 28
ROOT = pow(5, (ORDER - 1) >> ROOT_POWER, ORDER)
"""A root of unity of order 2^28."""

K1, K2 = 2, 3
"""Coset representatives of the second and third wire column."""

DOMAIN_MIN = 8
POWER_MAX = 24
"""Domains above 2^24 are refused: their keys would pass 50 GiB."""


def root_of_unity(power: int) -> int:
    """The generator of the subgroup of 2^`power` elements, for 0 <= power <= 28."""
    if not 0 <= power <= ROOT_POWER:
        raise ValueError(f"the field has subgroups of 2^0 to 2^{ROOT_POWER} elements, not 2^{power}")
    return pow(ROOT, 1 << (ROOT_POWER - power), ORDER)
