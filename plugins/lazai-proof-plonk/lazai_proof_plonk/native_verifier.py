"""Verification in native mode. Stands alone: nothing of the prover is imported."""

from __future__ import annotations

from collections.abc import Sequence

from lazai_core.api.errors import ProofRejected

from .domain import Opening, open_at
from .keys import G2_GENERATOR, Point
from .native_key import NativeKey, check_native_key
from .native_proof import NativeProof, point_names
from .native_relation import NativeChallenges, linearisation, opened_here, opened_next
from .native_transcript import NativeTranscript
from .parameters import ORDER
from .snarkjs_verifier import check_public


def verify(
    key: NativeKey, public: Sequence[int], proof: bytes, context: bytes = b"", *, trusted_key: bool = False
) -> None:
    """Returns when the bytes prove that the circuit holds for these public values in this context.

    `trusted_key` skips the checks of the key's points for a key that passed them before. Raises ProofMalformed for
    bytes that are no proof, ProofRejected naming the check that failed.
    """
    from .kernels import g1, pairing

    if not trusted_key:
        check_native_key(key)
    check_public(public, key.public)
    parsed = NativeProof.decode(proof, key.lookups)
    for name, point in parsed.points.items():
        if not g1.is_on_curve(point):
            raise ProofRejected(f"{name} is not a point of the curve", check="proof points")
    challenges, v, u = _challenges(key, public, parsed, context)
    opening = open_at(key.power, challenges.zeta, public)
    points, scalars = _right_side(key, parsed, challenges, opening, v, u)
    left = g1.linear_combination([parsed.points["w"], parsed.points["w_next"]], [1, u])
    right = g1.linear_combination(points, scalars)
    if not pairing.product_is_one([(g1.negate(left), key.x_2), (right, G2_GENERATOR)]):
        raise ProofRejected("the pairing equation does not hold", check="pairing")


def _challenges(
    key: NativeKey, public: Sequence[int], proof: NativeProof, context: bytes
) -> tuple[NativeChallenges, int, int]:
    transcript = NativeTranscript(key, public, context)
    points = iter(point_names(key.lookups))

    def absorb(last: str) -> None:
        for name in points:
            transcript.point(name, proof.points[name])
            if name == last:
                return

    absorb("m" if key.lookups else "c")
    beta, gamma = transcript.challenge("beta"), transcript.challenge("gamma")
    eta, chi = (transcript.challenge("eta"), transcript.challenge("chi")) if key.lookups else (0, 0)
    absorb("s" if key.lookups else "z")
    alpha = transcript.challenge("alpha")
    absorb("t_high")
    zeta = transcript.challenge("zeta")
    for name, value in proof.evaluations.items():
        transcript.scalar(name, value)
    v = transcript.challenge("v")
    absorb("w_next")
    found = NativeChallenges(beta=beta, gamma=gamma, eta=eta, chi=chi, alpha=alpha, zeta=zeta)
    return found, v, transcript.challenge("u")


def _right_side(
    key: NativeKey, proof: NativeProof, challenges: NativeChallenges, opening: Opening, v: int, u: int
) -> tuple[list[Point], list[int]]:
    """Zeta W + u w zeta W_next + F - E as one sum of points and scalars."""
    scalars, constant = linearisation(proof.evaluations, challenges, opening, key.lookups)
    weight = 1
    for name in opened_here(key.lookups):
        weight = weight * v % ORDER
        constant -= weight * proof.evaluations[name]
        for part, scale in _parts(name, challenges.eta):
            scalars[part] = scalars.get(part, 0) + weight * scale
    weight = u
    for name in opened_next(key.lookups):
        constant -= weight * proof.evaluations[name + "_next"]
        scalars[name] = scalars.get(name, 0) + weight
        weight = weight * v % ORDER
    scalars["w"] = challenges.zeta
    scalars["w_next"] = u * challenges.zeta * opening.root
    fixed = dict(zip(key.columns, key.commitments, strict=True))
    points: list[Point] = [proof.points[n] if n in proof.points else fixed[n] for n in scalars]
    return [*points, (1, 2)], [*(scalar % ORDER for scalar in scalars.values()), constant % ORDER]


def _parts(name: str, eta: int) -> tuple[tuple[str, int], ...]:
    """The columns whose sum is opened under this name."""
    return (("t1", 1), ("t2", eta), ("t3", eta * eta)) if name == "table" else ((name, 1),)
