"""`verification_key.json`, `proof.json` and `public.json` of snarkjs' PLONK."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from lazai_core.api.errors import EncodingError

from ..keys import COMMITMENT_NAMES, Point, Point2, SnarkjsKey
from ..parameters import DOMAIN_MIN, FIELD, ORDER, POWER_MAX, domain_root
from ..snarkjs_proof import EVALUATION_NAMES, POINT_NAMES, SnarkjsProof
from .json_strict import count, decimal, dump_json, keys_of, listed, parse_json

PROOF, PUBLIC, KEY = "proof.json", "public.json", "verification_key.json"
PROTOCOL, CURVE = "plonk", "bn128"
PUBLIC_MAX = 1 << 16


def _point(kind: str, name: str, value: Any) -> Point:
    x, y, z = (decimal(kind, name, part, FIELD) for part in listed(kind, name, value, 3))
    if (x, y, z) == (0, 1, 0):
        return None
    if z != 1 or (x, y) == (0, 0):
        raise EncodingError(f"{kind}: {name}: a point is [x, y, 1], infinity is [0, 1, 0]")
    return (x, y)


def _point2(kind: str, name: str, value: Any) -> Point2:
    rows = [
        [decimal(kind, name, part, FIELD) for part in listed(kind, name, row, 2)]
        for row in listed(kind, name, value, 3)
    ]
    (x0, x1), (y0, y1), z = rows
    if rows == [[0, 0], [1, 0], [0, 0]]:
        return None
    if z != [1, 0]:
        raise EncodingError(f"{kind}: {name}: a point ends in [1, 0]")
    return ((x0, x1), (y0, y1))


def _point_texts(point: Point) -> list[str]:
    return ["0", "1", "0"] if point is None else [str(point[0]), str(point[1]), "1"]


def _check_names(kind: str, value: Any) -> None:
    if value["protocol"] != PROTOCOL or value["curve"] != CURVE:
        raise EncodingError(f"{kind}: protocol and curve must be {PROTOCOL} and {CURVE}")


def read_verification_key(data: bytes | str) -> SnarkjsKey:
    """A key with its derived fields checked. Raises EncodingError; `check_key` checks the points."""
    names = ("protocol", "curve", "nPublic", "power", "k1", "k2", *COMMITMENT_NAMES, "X_2", "w")
    value = keys_of(KEY, parse_json(KEY, data), names)
    _check_names(KEY, value)
    power = count(KEY, "power", value["power"], POWER_MAX)
    if 1 << power < DOMAIN_MIN:
        raise EncodingError(f"{KEY}: power: a domain has at least {DOMAIN_MIN} rows")
    key = SnarkjsKey(
        public=count(KEY, "nPublic", value["nPublic"], min(PUBLIC_MAX, 1 << power)),
        power=power,
        k1=decimal(KEY, "k1", value["k1"], ORDER),
        k2=decimal(KEY, "k2", value["k2"], ORDER),
        commitments=tuple(_point(KEY, name, value[name]) for name in COMMITMENT_NAMES),
        x_2=_point2(KEY, "X_2", value["X_2"]),
    )
    if decimal(KEY, "w", value["w"], ORDER) != domain_root(power):
        raise EncodingError(f"{KEY}: w is not the domain's root of unity")
    return key


def write_verification_key(key: SnarkjsKey) -> str:
    """The text that snarkjs exports."""
    value: dict[str, Any] = {"protocol": PROTOCOL, "curve": CURVE, "nPublic": key.public, "power": key.power}
    value |= {"k1": str(key.k1), "k2": str(key.k2)}
    value |= {name: _point_texts(point) for name, point in zip(COMMITMENT_NAMES, key.commitments, strict=True)}
    x, y = ((0, 0), (1, 0)) if key.x_2 is None else key.x_2
    z = ["0", "0"] if key.x_2 is None else ["1", "0"]
    value["X_2"] = [[str(part) for part in x], [str(part) for part in y], z]
    value["w"] = str(domain_root(key.power))
    return dump_json(value)


def read_proof(data: bytes | str) -> SnarkjsProof:
    """A proof in range; points are checked by the verifier. Raises EncodingError."""
    value = keys_of(PROOF, parse_json(PROOF, data), (*POINT_NAMES, *EVALUATION_NAMES, "protocol", "curve"))
    _check_names(PROOF, value)
    return SnarkjsProof(
        points=tuple(_point(PROOF, name, value[name]) for name in POINT_NAMES),
        evaluations=tuple(decimal(PROOF, name, value[name], ORDER) for name in EVALUATION_NAMES),
    )


def write_proof(proof: SnarkjsProof) -> str:
    """The text that snarkjs writes."""
    value: dict[str, Any] = {n: _point_texts(p) for n, p in zip(POINT_NAMES, proof.points, strict=True)}
    value |= {name: str(scalar) for name, scalar in zip(EVALUATION_NAMES, proof.evaluations, strict=True)}
    return dump_json(value | {"protocol": PROTOCOL, "curve": CURVE})


def read_public(data: bytes | str) -> tuple[int, ...]:
    """Public values, outputs first, each below r. Raises EncodingError."""
    value = parse_json(PUBLIC, data)
    if not isinstance(value, list) or len(value) > PUBLIC_MAX:
        raise EncodingError(f"{PUBLIC}: a list of at most {PUBLIC_MAX} numbers is expected")
    return tuple(decimal(PUBLIC, f"entry {index}", entry, ORDER) for index, entry in enumerate(value))


def write_public(values: Sequence[int]) -> str:
    """The text that snarkjs writes."""
    return dump_json([str(value) for value in values])
