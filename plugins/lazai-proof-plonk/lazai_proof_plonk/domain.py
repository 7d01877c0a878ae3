"""Small computations over the domain of N-th roots of unity that verifiers need."""

from __future__ import annotations

from collections.abc import Sequence

from attrs import frozen

from lazai_core.api.errors import ProofRejected

from .field import batch_inverse
from .parameters import ORDER, domain_root


@frozen(kw_only=True)
class Opening:
    """The point and what belongs to it: `vanishing` = point^N - 1, `first` = L_1, `public` = PI at the point."""

    point: int
    root: int
    power_n: int
    vanishing: int
    first: int
    public: int


def open_at(power: int, point: int, public: Sequence[int]) -> Opening:
    """Evaluate at a point outside the domain; PI = -sum of public[i] * L_i. Raises ProofRejected for one inside."""
    size, root = 1 << power, domain_root(power)
    power_n = pow(point, size, ORDER)
    vanishing = (power_n - 1) % ORDER
    if vanishing == 0:
        raise ProofRejected("the opening point lies in the domain", check="challenge")
    count = max(1, len(public))
    roots, current = [], 1
    for _ in range(count):
        roots.append(current)
        current = current * root % ORDER
    inverses = batch_inverse([size * (point - each) % ORDER for each in roots], ORDER)
    lagrange = [each * vanishing % ORDER * inverse % ORDER for each, inverse in zip(roots, inverses, strict=True)]
    total = sum(value * each for value, each in zip(public, lagrange, strict=False)) % ORDER
    return Opening(
        point=point, root=root, power_n=power_n, vanishing=vanishing, first=lagrange[0], public=-total % ORDER
    )
