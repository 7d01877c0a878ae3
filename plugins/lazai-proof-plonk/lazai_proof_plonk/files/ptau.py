"""`.ptau` version 1: powers of tau of a ceremony.

Sections 2 to 6 hold tau^i G1 (2^(k+1) - 1 points), tau^i G2 (2^k), alpha and beta multiples; 7 the contributions;
prepared files add Lagrange bases in 12 to 15, which are not read: they follow from section 2. Points are affine,
x then y, in Montgomery form.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from attrs import field, frozen

from ..parameters import FIELD
from .container import Container, Cursor, read_container, write_container
from .limbs import check_below, limbs_of

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

MAGIC, VERSION = b"ptau", 1
HEADER, TAU_G1, TAU_G2, ALPHA_G1, BETA_G1, BETA_G2, CONTRIBUTIONS = 1, 2, 3, 4, 5, 6, 7
POWER_MAX = 28


@frozen(kw_only=True, eq=False)
class PowersOfTau:
    """The part of a ceremony that PLONK needs; coordinates are Montgomery limbs.

    `g1` is `[2^(power+1) - 1, 8]`, `g2` is `[2^power, 16]` with x.c0, x.c1, y.c0, y.c1.
    """

    power: int
    ceremony_power: int
    g1: NDArray[np.uint64] = field(repr=False)
    g2: NDArray[np.uint64] = field(repr=False)


def read_ptau(data: bytes | memoryview) -> PowersOfTau:
    """Parse a file and check that coordinates are canonical, not yet that points are right. Raises EncodingError."""
    container = read_container(data, MAGIC, (VERSION,))
    cursor = Cursor(container.section(HEADER))
    cursor.prime(FIELD)
    power, ceremony_power = cursor.u32(), cursor.u32()
    cursor.finish()
    if not 1 <= power <= ceremony_power <= POWER_MAX:
        raise cursor.fail(f"power {power} of a ceremony of {ceremony_power} is not within 1 to {POWER_MAX}")
    return PowersOfTau(
        power=power,
        ceremony_power=ceremony_power,
        g1=_points(container, TAU_G1, (2 << power) - 1, 8),
        g2=_points(container, TAU_G2, 1 << power, 16),
    )


def _points(container: Container, number: int, count: int, width: int) -> NDArray[np.uint64]:
    section = container.section(number)
    if len(section.body) != 8 * width * count:
        raise section.fail(0, f"{len(section.body)} bytes are not {count} points of {8 * width} bytes")
    limbs = limbs_of(section.body, width)
    check_below(section, limbs, FIELD)
    return limbs


def write_ptau(powers: PowersOfTau) -> bytes:
    """A file with the sections that PLONK needs: 1, 2 and 3."""
    import numpy as np

    header = struct.pack("<I", 32) + FIELD.to_bytes(32, "little")
    header += struct.pack("<II", powers.power, powers.ceremony_power)
    points = [np.ascontiguousarray(array).tobytes() for array in (powers.g1, powers.g2)]
    return write_container(MAGIC, VERSION, [(HEADER, [header]), (TAU_G1, [points[0]]), (TAU_G2, [points[1]])])
