"""Verification keys of native mode: sizes, commitments of the fixed columns, the setup's X_2."""

from __future__ import annotations

from attrs import field, frozen

from lazai_core.api.encoding import Reader, Writer, domain_hash
from lazai_core.api.errors import EncodingError, ProofMalformed, ProofRejected

from .keys import Point, Point2, check_points, check_setup, write_point, write_point2
from .parameters import DOMAIN_MIN, FIELD, POWER_MAX

MODE = "native"
VERSION = 1
GATE_COLUMNS = ("qm", "ql", "qr", "qo", "qn", "qc", "s1", "s2", "s3")
LOOKUP_COLUMNS = ("qk", "tag", "t1", "t2", "t3")
PUBLIC_MAX = 1 << 16


@frozen(kw_only=True)
class NativeKey:
    """What a verifier of native mode needs; `commitments` in the order of `columns`."""

    public: int
    power: int
    lookups: bool
    commitments: tuple[Point, ...]
    x_2: Point2
    digest: bytes = field(init=False, eq=False, repr=False)

    def __attrs_post_init__(self) -> None:
        object.__setattr__(self, "digest", domain_hash("lazai/plonk/key/v1", self.encode()))

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the fixed columns."""
        return GATE_COLUMNS + LOOKUP_COLUMNS if self.lookups else GATE_COLUMNS

    @property
    def domain_size(self) -> int:
        """Rows of the domain."""
        return 1 << self.power

    def commitment(self, name: str) -> Point:
        """The commitment of one fixed column."""
        return self.commitments[self.columns.index(name)]

    def encode(self) -> bytes:
        """Canonical bytes: mode, version, public, power, lookups, commitments, X_2."""
        writer = Writer().text(MODE).u32(VERSION).u32(self.public).u32(self.power).boolean(self.lookups)
        for point in self.commitments:
            write_point(writer, point)
        write_point2(writer, self.x_2)
        return writer.finish()

    @classmethod
    def decode(cls, data: bytes) -> NativeKey:
        """Inverse of `encode`; the points are checked by `check_native_key`. Raises ProofMalformed."""
        try:
            reader = Reader(data)
            mode, version = reader.text(16), reader.u32()
            if (mode, version) != (MODE, VERSION):
                raise reader.fail(f"a key of mode {mode!r} and version {version}, not {MODE!r} and {VERSION}")
            public, power, lookups = reader.u32(), reader.u32(), reader.boolean()
            count = len(GATE_COLUMNS) + (len(LOOKUP_COLUMNS) if lookups else 0)
            commitments = tuple(_point(reader) for _ in range(count))
            x_2 = _point2(reader)
            reader.finish()
        except EncodingError as error:
            raise ProofMalformed(f"the verification key: {error}") from error
        return cls(public=public, power=power, lookups=lookups, commitments=commitments, x_2=x_2)


def _coordinates(reader: Reader, count: int) -> list[int]:
    values = [int.from_bytes(reader.raw(32), "big") for _ in range(count)]
    if any(value >= FIELD for value in values):
        raise reader.fail("a coordinate is not below the prime")
    return values


def _point(reader: Reader) -> Point:
    x, y = _coordinates(reader, 2)
    return None if (x, y) == (0, 0) else (x, y)


def _point2(reader: Reader) -> Point2:
    x0, x1, y0, y1 = _coordinates(reader, 4)
    return None if (x0, x1, y0, y1) == (0, 0, 0, 0) else ((x0, x1), (y0, y1))


def check_native_key(key: NativeKey) -> None:
    """Sizes in range, points on their curves, a usable setup. Raises ProofRejected."""
    if not DOMAIN_MIN <= 1 << min(key.power, 64) <= 1 << POWER_MAX or not 0 <= key.public <= PUBLIC_MAX:
        raise ProofRejected(f"{key.public} public values, domain 2^{key.power}", check="key size")
    if key.public > key.domain_size or len(key.commitments) != len(key.columns):
        raise ProofRejected(f"{key.public} public values do not fit 2^{key.power} rows", check="key size")
    check_points(key.commitments, key.columns)
    check_setup(key.x_2)
