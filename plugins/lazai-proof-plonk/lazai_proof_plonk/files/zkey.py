"""PLONK `.zkey` version 1: the proving key that snarkjs and this package share.

Sections 1 (protocol), 2 (header with the verification key), 3 (additions), 4 to 6 (wire maps), 7 to 11 (Qm, Ql, Qr,
Qo, Qc: N coefficients, then 4N values), 12 (S1, S2, S3 likewise), 13 (Lagrange polynomials likewise), 14 (N + 6
powers of tau). Field elements and points are in Montgomery form; they are stored here as limbs.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any

import numpy as np
from attrs import field, frozen

from ..keys import COMMITMENT_NAMES, Point, Point2
from ..parameters import DOMAIN_MIN, FIELD, K1, K2, MONTGOMERY, ORDER, POWER_MAX
from .container import Container, Cursor, Section, read_container, write_container
from .limbs import check_below, limbs_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

MAGIC, VERSION = b"zkey", 1
PLONK = 2
PROTOCOL, HEADER, ADDITIONS, MAP_A, MAP_B, MAP_C = 1, 2, 3, 4, 5, 6
SELECTORS = (7, 8, 9, 10, 11)
SIGMA, LAGRANGE, POWERS = 12, 13, 14
EXTRA_POWERS = 6
VARIABLES_MAX = 1 << 27
PUBLIC_MAX = 1 << 16
ADDITION = np.dtype([("first", "<u4"), ("second", "<u4"), ("scales", "<u8", (2, 4))])
WRITING_ORDER = (ADDITIONS, MAP_A, MAP_B, MAP_C, *SELECTORS, SIGMA, LAGRANGE, POWERS, PROTOCOL, HEADER)
"""The order in which snarkjs lays the sections down; readers take any."""


@frozen(kw_only=True, eq=False)
class Zkey:
    """A proving key. `maps` are the wire ids of columns a, b, c; `commitments` go by the names of the JSON key.

    `selectors`, `sigmas`, `lagrange` hold polynomials as `[5N, 4]`: N coefficients, then 4N values.
    """

    variables: int
    public: int
    domain_size: int
    k1: int
    k2: int
    commitments: dict[str, Point]
    x_2: Point2
    additions: NDArray[Any] = field(repr=False)
    maps: tuple[NDArray[np.uint32], ...] = field(repr=False)
    selectors: tuple[NDArray[np.uint64], ...] = field(repr=False)
    sigmas: tuple[NDArray[np.uint64], ...] = field(repr=False)
    lagrange: NDArray[np.uint64] = field(repr=False)
    powers: NDArray[np.uint64] = field(repr=False)

    @property
    def constraints(self) -> int:
        """Rows in use."""
        return len(self.maps[0])

    @property
    def power(self) -> int:
        """Base-two logarithm of the domain."""
        return self.domain_size.bit_length() - 1


def _from_montgomery(value: int, modulus: int) -> int:
    return value * pow(MONTGOMERY, -1, modulus) % modulus


def _coordinate(cursor: Cursor) -> int:
    value = cursor.integer(32)
    if value >= FIELD:
        raise cursor.fail("a coordinate is not below the prime")
    return _from_montgomery(value, FIELD)


def _scalar(cursor: Cursor) -> int:
    value = cursor.integer(32)
    if value >= ORDER:
        raise cursor.fail("a scalar is not below the prime")
    return _from_montgomery(value, ORDER)


def _point(cursor: Cursor) -> Point:
    x, y = _coordinate(cursor), _coordinate(cursor)
    return (x, y) if (x, y) != (0, 0) else None


def _point2(cursor: Cursor) -> Point2:
    x0, x1, y0, y1 = (_coordinate(cursor) for _ in range(4))
    return ((x0, x1), (y0, y1)) if (x0, x1, y0, y1) != (0, 0, 0, 0) else None


def read_zkey(data: bytes | memoryview) -> Zkey:
    """Parse a key and check sizes, ranges and indices; points are checked by `key_checks`. Raises EncodingError."""
    container = read_container(data, MAGIC, (VERSION,))
    protocol = Cursor(container.section(PROTOCOL))
    if protocol.u32() != PLONK:
        raise protocol.fail(f"this is no PLONK key; protocol {PLONK} is expected")
    protocol.finish()
    cursor = Cursor(container.section(HEADER))
    cursor.prime(FIELD)
    cursor.prime(ORDER)
    variables, public, size, additions, constraints = (cursor.u32() for _ in range(5))
    _check_counts(cursor, variables, public, size, additions, constraints)
    k1, k2 = _scalar(cursor), _scalar(cursor)
    if (k1, k2) != (K1, K2):
        raise cursor.fail(f"the coset representatives are {k1} and {k2}, {K1} and {K2} are expected")
    commitments = {name: _point(cursor) for name in COMMITMENT_NAMES}
    x_2 = _point2(cursor)
    cursor.finish()
    sigmas = _field_elements(container.section(SIGMA), 15 * size)
    return Zkey(
        variables=variables,
        public=public,
        domain_size=size,
        k1=k1,
        k2=k2,
        commitments=commitments,
        x_2=x_2,
        additions=read_additions(container.section(ADDITIONS), additions, variables),
        maps=tuple(read_map(container, number, constraints, variables) for number in (MAP_A, MAP_B, MAP_C)),
        selectors=tuple(_field_elements(container.section(number), 5 * size) for number in SELECTORS),
        sigmas=tuple(sigmas[start : start + 5 * size] for start in (0, 5 * size, 10 * size)),
        lagrange=_field_elements(container.section(LAGRANGE), 5 * size * max(public, 1)),
        powers=_powers(container.section(POWERS), size + EXTRA_POWERS),
    )


def _check_counts(cursor: Cursor, variables: int, public: int, size: int, additions: int, constraints: int) -> None:
    if size & (size - 1) or not DOMAIN_MIN <= size <= 1 << POWER_MAX:
        raise cursor.fail(f"the domain size {size} is not a power of two from {DOMAIN_MIN} to 2^{POWER_MAX}")
    if not public <= constraints <= size or public > PUBLIC_MAX:
        raise cursor.fail(f"{public} public values and {constraints} rows do not fit a domain of {size}")
    if not 1 <= variables <= VARIABLES_MAX or additions >= variables or public >= variables:
        raise cursor.fail(f"{variables} variables cannot hold {public} public values and {additions} additions")


def _sized(section: Section, size: int) -> Section:
    if len(section.body) != size:
        raise section.fail(0, f"{len(section.body)} bytes, {size} are expected")
    return section


def _field_elements(section: Section, count: int) -> NDArray[np.uint64]:
    limbs = limbs_of(_sized(section, 32 * count).body, 4)
    check_below(section, limbs, ORDER)
    return limbs


def _powers(section: Section, count: int) -> NDArray[np.uint64]:
    limbs = limbs_of(_sized(section, 64 * count).body, 8)
    check_below(section, limbs, FIELD)
    return limbs


def read_map(container: Container, number: int, count: int, variables: int) -> NDArray[np.uint32]:
    """The wires of one column, each below `variables`. Raises EncodingError."""
    section = container.section(number)
    wires = np.frombuffer(_sized(section, 4 * count).body, dtype="<u4")
    if count and int(wires.max()) >= variables:
        first = int(np.argmax(wires >= variables))
        raise section.fail(4 * first, f"wire {int(wires[first])} of {variables}")
    return wires


def read_additions(section: Section, count: int, variables: int) -> NDArray[Any]:
    """Additions that use only wires that are there before them. Raises EncodingError."""
    additions = np.frombuffer(_sized(section, ADDITION.itemsize * count).body, dtype=ADDITION)
    if count:
        check_below(section, additions["scales"].reshape(-1, 4), ORDER)
        # An addition may use only what stands before it.
        limits = np.arange(variables - count, variables, dtype=np.int64)
        bad = (additions["first"] >= limits) | (additions["second"] >= limits)
        if bool(bad.any()):
            first = int(np.argmax(bad))
            raise section.fail(ADDITION.itemsize * first, f"addition {first} uses a wire that is not there yet")
    return additions


def _limb_bytes(value: int, modulus: int) -> bytes:
    return (value * MONTGOMERY % modulus).to_bytes(32, "little")


def _point_bytes(point: Point) -> bytes:
    return bytes(64) if point is None else b"".join(_limb_bytes(part, FIELD) for part in point)


def _point2_bytes(point: Point2) -> bytes:
    if point is None:
        return bytes(128)
    return b"".join(_limb_bytes(part, FIELD) for pair in point for part in pair)


def _header(key: Zkey) -> bytes:
    parts = [struct.pack("<I", 32), FIELD.to_bytes(32, "little"), struct.pack("<I", 32), ORDER.to_bytes(32, "little")]
    counts = (key.variables, key.public, key.domain_size, len(key.additions), key.constraints)
    parts.append(struct.pack("<IIIII", *counts))
    parts += [_limb_bytes(key.k1, ORDER), _limb_bytes(key.k2, ORDER)]
    parts += [_point_bytes(key.commitments[name]) for name in COMMITMENT_NAMES]
    parts.append(_point2_bytes(key.x_2))
    return b"".join(parts)


def write_zkey(key: Zkey) -> bytes:
    """The file, byte for byte as snarkjs 0.7.6 writes it."""

    def raw(array: NDArray[Any]) -> bytes:
        return np.ascontiguousarray(array).tobytes()

    bodies: dict[int, list[bytes]] = {
        ADDITIONS: [raw(key.additions)],
        SIGMA: [raw(sigma) for sigma in key.sigmas],
        LAGRANGE: [raw(key.lagrange)],
        POWERS: [raw(key.powers)],
        PROTOCOL: [struct.pack("<I", PLONK)],
        HEADER: [_header(key)],
    }
    bodies |= {number: [raw(wires)] for number, wires in zip((MAP_A, MAP_B, MAP_C), key.maps, strict=True)}
    bodies |= {number: [raw(poly)] for number, poly in zip(SELECTORS, key.selectors, strict=True)}
    return write_container(MAGIC, VERSION, [(number, bodies[number]) for number in WRITING_ORDER])
