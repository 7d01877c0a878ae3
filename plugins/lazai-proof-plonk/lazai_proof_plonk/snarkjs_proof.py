"""A proof in snarkjs mode: nine points and six evaluations."""

from __future__ import annotations

from attrs import frozen

from lazai_core.api.encoding import Reader, Writer
from lazai_core.api.errors import EncodingError, ProofMalformed

from .keys import Point, write_point
from .parameters import FIELD, ORDER

POINT_NAMES = ("A", "B", "C", "Z", "T1", "T2", "T3", "Wxi", "Wxiw")
EVALUATION_NAMES = ("eval_a", "eval_b", "eval_c", "eval_s1", "eval_s2", "eval_zw")
PROOF_BYTES = 64 * len(POINT_NAMES) + 32 * len(EVALUATION_NAMES)


@frozen(kw_only=True)
class SnarkjsProof:
    """`points` and `evaluations` in the order of `POINT_NAMES` and `EVALUATION_NAMES`, canonical integers."""

    points: tuple[Point, ...]
    evaluations: tuple[int, ...]

    def encode(self) -> bytes:
        """768 bytes, the layout of the calldata: big-endian words, points then evaluations."""
        writer = Writer()
        for point in self.points:
            write_point(writer, point)
        for scalar in self.evaluations:
            writer.raw(scalar.to_bytes(32, "big"))
        return writer.finish()

    @classmethod
    def decode(cls, data: bytes) -> SnarkjsProof:
        """Inverse of `encode`. Raises ProofMalformed for a length or a number that is not canonical."""
        if len(data) != PROOF_BYTES:
            raise ProofMalformed(f"a proof has {PROOF_BYTES} bytes, {len(data)} were given")
        reader = Reader(data)
        points = tuple(read_point(reader, name) for name in POINT_NAMES)
        return cls(points=points, evaluations=tuple(read_scalar(reader, name) for name in EVALUATION_NAMES))


def read_point(reader: Reader, name: str) -> Point:
    """64 bytes, coordinates below q; zeros are infinity. Raises ProofMalformed."""
    try:
        x, y = (int.from_bytes(reader.raw(32), "big") for _ in range(2))
    except EncodingError as error:
        raise ProofMalformed(f"{name}: {error}") from error
    if x >= FIELD or y >= FIELD:
        raise ProofMalformed(f"{name}: a coordinate is not below the prime")
    return None if (x, y) == (0, 0) else (x, y)


def read_scalar(reader: Reader, name: str) -> int:
    """32 bytes below r. Raises ProofMalformed."""
    try:
        value = int.from_bytes(reader.raw(32), "big")
    except EncodingError as error:
        raise ProofMalformed(f"{name}: {error}") from error
    if value >= ORDER:
        raise ProofMalformed(f"{name}: the number is not below the prime")
    return value
