"""Verification in snarkjs mode: accepts what `snarkjs plonk verify` accepts, in one encoding.

Stands alone: nothing of the prover is imported. Gabizon, Williamson, Ciobotaru: PLONK (ePrint 2019/953), section 8.3,
with the transcript of snarkjs.
"""

from __future__ import annotations

from collections.abc import Sequence

from lazai_core.api.errors import ProofMalformed, ProofRejected

from .domain import Opening, open_at
from .keys import G2_GENERATOR, Point, SnarkjsKey, check_key
from .parameters import ORDER
from .snarkjs_proof import EVALUATION_NAMES, POINT_NAMES, SnarkjsProof
from .snarkjs_transcript import SnarkjsChallenges, derive


def check_public(public: Sequence[int], count: int) -> None:
    """As many values as the key has, each canonical. Raises ProofRejected."""
    if len(public) != count:
        raise ProofRejected(f"{len(public)} public values, the key has {count}", check="public values")
    for index, value in enumerate(public):
        if not 0 <= value < ORDER:
            raise ProofRejected(f"value {index} is not below the prime", check="public values")


def _check_proof(proof: SnarkjsProof) -> None:
    from .kernels import g1

    if len(proof.points) != len(POINT_NAMES) or len(proof.evaluations) != len(EVALUATION_NAMES):
        raise ProofMalformed(f"a proof has {len(POINT_NAMES)} points and {len(EVALUATION_NAMES)} evaluations")
    for name, point in zip(POINT_NAMES, proof.points, strict=True):
        if not g1.is_on_curve(point):
            raise ProofRejected(f"{name} is not a point of the curve", check="proof points")
    for name, value in zip(EVALUATION_NAMES, proof.evaluations, strict=True):
        if not 0 <= value < ORDER:
            raise ProofRejected(f"{name} is not below the prime", check="proof evaluations")


def verify(key: SnarkjsKey, public: Sequence[int], proof: SnarkjsProof) -> None:
    """Returns when the proof is right. Raises ProofRejected naming the check that failed."""
    from .kernels import g1, pairing

    check_key(key)
    check_public(public, key.public)
    _check_proof(proof)
    challenges = derive(key, public, proof)
    opening = open_at(key.power, challenges.xi, public)
    points, scalars = _right_side(key, proof, challenges, opening)
    left = g1.linear_combination([proof.points[7], proof.points[8]], [1, challenges.u])
    right = g1.linear_combination(points, scalars)
    if not pairing.product_is_one([(g1.negate(left), key.x_2), (right, G2_GENERATOR)]):
        raise ProofRejected("the pairing equation does not hold", check="pairing")


def _right_side(
    key: SnarkjsKey, proof: SnarkjsProof, ch: SnarkjsChallenges, opening: Opening
) -> tuple[list[Point], list[int]]:
    """Xi Wxi + u xi w Wxiw + F - E as one sum of points and scalars."""
    a, b, c, s1, s2, zw = proof.evaluations
    permuted = (a + ch.beta * s1 + ch.gamma) * (b + ch.beta * s2 + ch.gamma) % ORDER
    constant = opening.public - opening.first * ch.alpha**2 - ch.alpha * permuted * (c + ch.gamma) % ORDER * zw
    straight = (a + ch.beta * ch.xi + ch.gamma) * (b + ch.beta * key.k1 * ch.xi + ch.gamma) % ORDER
    z_scale = ch.alpha * straight * (c + ch.beta * key.k2 * ch.xi + ch.gamma) + opening.first * ch.alpha**2 + ch.u
    v = [pow(ch.v, power, ORDER) for power in range(6)]
    claimed = sum(weight * value for weight, value in zip(v[1:], (a, b, c, s1, s2), strict=True)) + ch.u * zw
    point_a, point_b, point_c, z, t1, t2, t3, wxi, wxiw = proof.points
    qm, ql, qr, qo, qc, sigma1, sigma2, sigma3 = key.commitments
    quotient = -opening.vanishing
    terms: list[tuple[Point, int]] = [
        (qm, a * b),
        (ql, a),
        (qr, b),
        (qo, c),
        (qc, 1),
        (z, z_scale),
        (sigma3, -ch.alpha * ch.beta * permuted * zw),
        (t1, quotient),
        (t2, quotient * opening.power_n),
        (t3, quotient * opening.power_n**2),
        (point_a, v[1]),
        (point_b, v[2]),
        (point_c, v[3]),
        (sigma1, v[4]),
        (sigma2, v[5]),
        ((1, 2), constant - claimed),
        (wxi, ch.xi),
        (wxiw, ch.u * ch.xi * opening.root),
    ]
    return [point for point, _ in terms], [scalar % ORDER for _, scalar in terms]
