"""Verification keys of snarkjs mode, and what makes any key's points acceptable."""

from __future__ import annotations

from attrs import frozen

from lazai_core.api.encoding import Writer, domain_hash
from lazai_core.api.errors import ProofRejected

from .curve import G2_GENERATOR, Point, Point2
from .parameters import DOMAIN_MIN, K1, K2, POWER_MAX

__all__ = [
    "COMMITMENT_NAMES",
    "G2_GENERATOR",
    "Point",
    "Point2",
    "SnarkjsKey",
    "check_key",
    "check_points",
    "check_setup",
    "write_point",
    "write_point2",
]

COMMITMENT_NAMES = ("Qm", "Ql", "Qr", "Qo", "Qc", "S1", "S2", "S3")


def write_point(writer: Writer, point: Point) -> None:
    """X and y as 32 bytes each, big-endian; infinity is 64 zeros."""
    x, y = (0, 0) if point is None else point
    writer.raw(x.to_bytes(32, "big")).raw(y.to_bytes(32, "big"))


def write_point2(writer: Writer, point: Point2) -> None:
    """x.c0, x.c1, y.c0, y.c1 as 32 bytes each, big-endian; infinity is 128 zeros."""
    pairs = ((0, 0), (0, 0)) if point is None else point
    for pair in pairs:
        for part in pair:
            writer.raw(part.to_bytes(32, "big"))


@frozen(kw_only=True)
class SnarkjsKey:
    """What a verifier of snarkjs mode needs; `commitments` in the order of `COMMITMENT_NAMES`."""

    public: int
    power: int
    k1: int
    k2: int
    commitments: tuple[Point, ...]
    x_2: Point2

    @property
    def domain_size(self) -> int:
        """Rows of the domain."""
        return 1 << self.power

    def encode(self) -> bytes:
        """Canonical bytes, the mode first."""
        writer = Writer().text("snarkjs").u32(self.public).u32(self.power)
        writer.raw(self.k1.to_bytes(32, "big")).raw(self.k2.to_bytes(32, "big"))
        for point in self.commitments:
            write_point(writer, point)
        write_point2(writer, self.x_2)
        return writer.finish()

    @property
    def digest(self) -> bytes:
        """Identity of the key (32 bytes); it binds the mode and every field."""
        return domain_hash("lazai/plonk/key/v1", self.encode())


def check_key(key: SnarkjsKey) -> None:
    """Points on their curves, a usable setup, coset representatives as agreed. Raises ProofRejected."""
    if not DOMAIN_MIN <= key.domain_size <= 1 << POWER_MAX or not 0 <= key.public <= key.domain_size:
        raise ProofRejected(f"{key.public} public values, domain 2^{key.power}", check="key size")
    if (key.k1, key.k2) != (K1, K2):
        raise ProofRejected(f"k1 and k2 are {key.k1} and {key.k2}, not {K1} and {K2}", check="key cosets")
    check_points(key.commitments, COMMITMENT_NAMES)
    check_setup(key.x_2)


def check_points(points: tuple[Point, ...], names: tuple[str, ...]) -> None:
    """Every commitment lies on the curve; infinity (the zero polynomial) may occur in a key. Raises ProofRejected."""
    from .kernels import g1

    for name, point in zip(names, points, strict=True):
        if not g1.is_on_curve(point):
            raise ProofRejected(f"{name} is not a point of the curve", check="key points")


def check_setup(x_2: Point2) -> None:
    """Tau times the generator of G2: in the subgroup, and neither tau = 0 nor tau = 1. Raises ProofRejected."""
    from .kernels import g2

    if x_2 is None or x_2 == G2_GENERATOR:
        raise ProofRejected("tau is zero or one: the setup is open to forgers", check="key setup")
    if not g2.is_in_subgroup(x_2):
        raise ProofRejected("X_2 is not a point of the subgroup", check="key setup")
