"""The equation that a proof in native mode must satisfy at the point zeta, written once for both sides.

Prover and verifier fold the same scalars, the one into polynomials, the other into commitments.
"""

from __future__ import annotations

from collections.abc import Mapping

from attrs import frozen

from .domain import Opening
from .parameters import K1, K2, ORDER


@frozen(kw_only=True)
class NativeChallenges:
    """Challenges up to zeta; `eta` and `chi` are 0 without lookups."""

    beta: int
    gamma: int
    eta: int
    chi: int
    alpha: int
    zeta: int


def linearisation(
    evaluations: Mapping[str, int], challenges: NativeChallenges, opening: Opening, lookups: bool
) -> tuple[dict[str, int], int]:
    """Scalars by column name and the constant of R, the polynomial that vanishes at zeta."""
    a, b, c, s1, s2 = (evaluations[name] for name in ("a", "b", "c", "s1", "s2"))
    z_next, c_next = evaluations["z_next"], evaluations["c_next"]
    beta, gamma, alpha, zeta = challenges.beta, challenges.gamma, challenges.alpha, challenges.zeta
    permuted = (a + beta * s1 + gamma) * (b + beta * s2 + gamma) % ORDER
    straight = (a + beta * zeta + gamma) * (b + beta * K1 * zeta + gamma) * (c + beta * K2 * zeta + gamma) % ORDER
    first = alpha * alpha * opening.first % ORDER
    scalars = {
        "qm": a * b,
        "ql": a,
        "qr": b,
        "qo": c,
        "qn": c_next,
        "qc": 1,
        "z": alpha * straight + first,
        "s3": -alpha * beta * permuted * z_next,
        "t_low": -opening.vanishing,
        "t_mid": -opening.vanishing * opening.power_n,
        "t_high": -opening.vanishing * opening.power_n**2,
    }
    constant = opening.public - first - alpha * permuted * (c + gamma) * z_next
    if lookups:
        extra, extra_constant = _lookup_part(evaluations, challenges)
        scalars |= extra
        constant += extra_constant
    return {name: scalar % ORDER for name, scalar in scalars.items()}, constant % ORDER


def _lookup_part(evaluations: Mapping[str, int], challenges: NativeChallenges) -> tuple[dict[str, int], int]:
    eta, chi = challenges.eta, challenges.chi
    looked = chi + evaluations["a"] + eta * evaluations["b"] + eta * eta * evaluations["tag"]
    table = chi + evaluations["table"]
    cube = pow(challenges.alpha, 3, ORDER)
    both = cube * looked % ORDER * table
    return {"s": -both, "qk": -cube * table, "m": cube * looked}, both * evaluations["s_next"]


def opened_here(lookups: bool) -> tuple[str, ...]:
    """Columns opened at zeta besides R, in the order of the powers of v; "table" is t1 + eta t2 + eta^2 t3."""
    return ("a", "b", "c", "s1", "s2", "tag", "table") if lookups else ("a", "b", "c", "s1", "s2")


def opened_next(lookups: bool) -> tuple[str, ...]:
    """Columns opened at w zeta, in the order of the powers of v, the first with 1."""
    return ("z", "c", "s") if lookups else ("z", "c")
