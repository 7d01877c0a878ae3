"""Challenges of snarkjs mode: Keccak-256 over big-endian words, restarted at each step.

This is a compatibility codec. The hash binds neither the domain's size nor the setup, and the last challenge does
not follow from the others; the verifier here fixes all of these from its own key. Native mode has none of this.
"""

from __future__ import annotations

from collections.abc import Sequence

from attrs import frozen

from lazai_core.api.hashing import keccak256

from .keys import Point, SnarkjsKey
from .parameters import ORDER
from .snarkjs_proof import SnarkjsProof


def challenge(points: Sequence[Point] = (), scalars: Sequence[int] = (), *, scalars_first: bool = False) -> int:
    """Keccak-256 of points (x || y, infinity as zeros) and scalars as 32-byte words, reduced modulo r."""
    point_bytes = b"".join(x.to_bytes(32, "big") + y.to_bytes(32, "big") for x, y in (p or (0, 0) for p in points))
    scalar_bytes = b"".join(value.to_bytes(32, "big") for value in scalars)
    data = scalar_bytes + point_bytes if scalars_first else point_bytes + scalar_bytes
    return int.from_bytes(keccak256(data), "big") % ORDER


def beta_challenge(key: SnarkjsKey, public: Sequence[int], wires: Sequence[Point]) -> int:
    """Binds the key's eight commitments, the public values and A, B, C."""
    words = [part for point in key.commitments for part in (point or (0, 0))]
    words += public
    return challenge(wires, words, scalars_first=True)


@frozen(kw_only=True)
class SnarkjsChallenges:
    """All challenges of a proof; `v` is the batching challenge, whose powers weigh the openings."""

    beta: int
    gamma: int
    alpha: int
    xi: int
    v: int
    u: int


def derive(key: SnarkjsKey, public: Sequence[int], proof: SnarkjsProof) -> SnarkjsChallenges:
    """The verifier's challenges."""
    a, b, c, z, t1, t2, t3, wxi, wxiw = proof.points
    beta = beta_challenge(key, public, (a, b, c))
    gamma = challenge(scalars=[beta])
    alpha = challenge([z], [beta, gamma], scalars_first=True)
    xi = challenge([t1, t2, t3], [alpha], scalars_first=True)
    v = challenge(scalars=[xi, *proof.evaluations])
    return SnarkjsChallenges(beta=beta, gamma=gamma, alpha=alpha, xi=xi, v=v, u=challenge([wxi, wxiw]))
