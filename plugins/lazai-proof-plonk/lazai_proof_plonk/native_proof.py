"""A proof in native mode. Each proof has one encoding: fixed length, canonical numbers, no point at infinity."""

from __future__ import annotations

from attrs import frozen

from lazai_core.api.encoding import Reader, Writer
from lazai_core.api.errors import ProofMalformed

from .keys import Point, write_point
from .snarkjs_proof import read_point, read_scalar

POINTS = ("a", "b", "c", "z", "t_low", "t_mid", "t_high", "w", "w_next")
LOOKUP_POINTS = ("a", "b", "c", "m", "z", "s", "t_low", "t_mid", "t_high", "w", "w_next")
EVALUATIONS = ("a", "b", "c", "s1", "s2", "z_next", "c_next")
LOOKUP_EVALUATIONS = (*EVALUATIONS, "tag", "table", "s_next")


def point_names(lookups: bool) -> tuple[str, ...]:
    """Points in the order of the bytes."""
    return LOOKUP_POINTS if lookups else POINTS


def evaluation_names(lookups: bool) -> tuple[str, ...]:
    """Evaluations in the order of the bytes."""
    return LOOKUP_EVALUATIONS if lookups else EVALUATIONS


def proof_bytes(lookups: bool) -> int:
    """Length of every proof: 800 without lookups, 1,024 with them."""
    return 64 * len(point_names(lookups)) + 32 * len(evaluation_names(lookups))


@frozen(kw_only=True)
class NativeProof:
    """Points and evaluations by name."""

    lookups: bool
    points: dict[str, Point]
    evaluations: dict[str, int]

    def encode(self) -> bytes:
        """The only bytes of this proof: points as x || y, then evaluations, 32-byte big-endian words."""
        writer = Writer()
        for name in point_names(self.lookups):
            write_point(writer, self.points[name])
        for name in evaluation_names(self.lookups):
            writer.raw(self.evaluations[name].to_bytes(32, "big"))
        return writer.finish()

    @classmethod
    def decode(cls, data: bytes, lookups: bool) -> NativeProof:
        """Inverse of `encode`. Raises ProofMalformed: length, range, infinity."""
        if len(data) != proof_bytes(lookups):
            raise ProofMalformed(f"a proof has {proof_bytes(lookups)} bytes, {len(data)} were given")
        reader = Reader(data)
        points = {name: read_point(reader, name) for name in point_names(lookups)}
        for name, point in points.items():
            if point is None:
                raise ProofMalformed(f"{name} is the point at infinity, which no blinded commitment is")
        evaluations = {name: read_scalar(reader, name) for name in evaluation_names(lookups)}
        return cls(lookups=lookups, points=points, evaluations=evaluations)
