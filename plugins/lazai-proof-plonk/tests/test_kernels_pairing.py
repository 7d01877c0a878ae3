"""G2 and the pairing against py_ecc; EIP-197's cases, its bad points among them."""

from __future__ import annotations

import random
from functools import lru_cache

import pytest
from py_ecc import bn128

from lazai_core.api.errors import ProofMalformed
from lazai_proof_plonk import curve
from lazai_proof_plonk.curve import Point, Point2
from lazai_proof_plonk.field import Q, R
from lazai_proof_plonk.kernels import g1, g2, pairing
from lazai_proof_plonk.kernels.fields import FR

G, H = g1.GENERATOR, g2.GENERATOR


@lru_cache(maxsize=1)
def twist_point_of_another_order() -> Point2:
    """The twist has r (2 q - r) points, so a point found by its x is hardly ever of order r."""
    for x in range(1, 100):
        argument = curve.fq2_mul((x, 0), curve.fq2_mul((x, 0), (x, 0)))
        root = square_root(curve.fq2_add(argument, curve.TWIST_B))
        if root is not None:
            return (x, 0), root
    raise AssertionError("no point of the twist has a small x")


def square_root(value: curve.Fq2) -> curve.Fq2 | None:
    """In Fq2 = Fq[i], q = 3 mod 4: by norms down to Fq."""
    norm = pow(value[0] ** 2 + value[1] ** 2, (Q + 1) // 4, Q)
    for sign in (1, -1):
        real_square = (value[0] + sign * norm) * pow(2, -1, Q) % Q
        real = pow(real_square, (Q + 1) // 4, Q)
        if real:
            root = (real, value[1] * pow(2 * real, -1, Q) % Q)
            if curve.fq2_mul(root, root) == value:
                return root
    return None


def in_the_oracles_basis(value: tuple[int, ...]) -> list[int]:
    """py_ecc has no i: w^12 = 18 w^6 - 82, i = w^6 - 9."""
    low = [(value[2 * k] - 9 * value[2 * k + 1]) % Q for k in range(6)]
    return low + [value[2 * k + 1] for k in range(6)]


def oracle_point(scalar: int) -> Point2:
    found = bn128.multiply(bn128.G2, scalar)
    return None if found is None else tuple(tuple(int(part) for part in axis.coeffs) for axis in found)  # type: ignore[return-value]


def test_the_value_is_the_oracles() -> None:
    first, second = curve.multiply(G, 5), curve.multiply2(H, 7)
    assert first is not None
    assert second is not None
    expected = bn128.pairing(bn128.multiply(bn128.G2, 7), bn128.multiply(bn128.G1, 5))
    assert in_the_oracles_basis(pairing.pairing(first, second)) == [int(part) for part in expected.coeffs]


def test_multiples_in_g2_agree_with_the_oracle() -> None:
    source = random.Random(1)
    scalars = [0, 1, 2, R - 1, source.randrange(R)]
    expected = [oracle_point(scalar) for scalar in scalars]
    assert [curve.multiply2(H, scalar) for scalar in scalars] == expected
    assert [g2.multiply(H, scalar) for scalar in scalars] == expected
    assert g2.decode(g2.fixed_base(H, FR.encode(scalars))) == expected
    assert g2.multiply(H, R) is None
    assert g2.multiply(H, -2) == g2.negate(oracle_point(2))
    assert g2.decode(g2.encode(expected)) == expected


@pytest.mark.parametrize("threads", [1, 2])
def test_sums_in_g2(threads: int) -> None:
    source = random.Random(2)
    logarithms, scalars = [[source.randrange(R) for _ in range(9)] + [0, 5] for _ in range(2)]
    bases = g2.fixed_base(H, FR.encode(logarithms))
    expected = g2.multiply(H, sum(a * b for a, b in zip(logarithms, scalars, strict=True)) % R)
    assert g2.msm(bases, FR.encode(scalars), threads=threads) == expected
    assert g2.linear_combination(g2.decode(bases), scalars) == expected
    assert g2.msm(bases, FR.encode([3] * 11)) == g2.multiply(H, 3 * sum(logarithms) % R)
    assert g2.msm(bases, FR.zeros(0)) is None
    with pytest.raises(ValueError, match="12 scalars for 11 bases"):
        g2.msm(bases, FR.zeros(12))


def test_the_pairing_is_bilinear() -> None:
    source = random.Random(3)
    for _ in range(3):
        a, b = source.randrange(R), source.randrange(R)
        left = (g1.multiply(G, a), g2.multiply(H, b))
        assert pairing.product_is_one([left, (g1.negate(g1.multiply(G, a * b)), H)])
        assert pairing.product_is_one([left, (g1.multiply(G, a * b), g2.negate(H))])
        assert not pairing.product_is_one([left, (g1.negate(g1.multiply(G, a * b + 1)), H)])
        assert not pairing.product_is_one([left])


def test_products_of_many_pairs() -> None:
    """EIP-197: the product over k pairs with sum a_i b_i = 0 modulo r is one."""
    source = random.Random(4)
    terms = [(source.randrange(R), source.randrange(R)) for _ in range(5)]
    pairs: list[tuple[Point, Point2]] = [(g1.multiply(G, a), g2.multiply(H, b)) for a, b in terms]
    rest = -sum(a * b for a, b in terms) % R
    assert pairing.product_is_one([*pairs, (g1.multiply(G, rest), H)])
    assert not pairing.product_is_one([*pairs, (g1.multiply(G, rest + 1), H)])
    assert pairing.product_is_one([(g1.multiply(G, rest), H), *reversed(pairs)])


def test_infinity_is_the_neutral_element() -> None:
    assert pairing.product_is_one([])
    assert pairing.product_is_one([(None, H), (G, None), (None, None)])
    assert not pairing.product_is_one([(G, H), (None, H)])
    assert pairing.product_is_one([(G, H), (None, H), (g1.negate(G), H)])
    assert pairing.pairing(None, H) == (1,) + (0,) * 11


def test_order_of_pairs_and_sides_matters_not() -> None:
    assert pairing.pairing(g1.multiply(G, 6), H) == pairing.pairing(G, g2.multiply(H, 6))


BAD_FIRST: list[Point] = [(1, 3), (0, 0), (1 + Q, 2), (1, 2 - Q), (Q, Q), (-1, 2), (1 << 256, 2)]


@pytest.mark.parametrize("bad", BAD_FIRST, ids=str)
def test_points_outside_g1_are_refused(bad: Point) -> None:
    with pytest.raises(ProofMalformed, match="pair 1: the first point"):
        pairing.product_is_one([(G, H), (bad, H)])


def test_points_outside_g2_are_refused() -> None:
    assert H is not None
    (x, y), other = H, twist_point_of_another_order()
    bad: list[Point2] = [((0, 0), (0, 0)), (x, (y[0] + 1, y[1])), (x, (y[0] + Q, y[1])), (y, x), other]
    for point in bad:
        with pytest.raises(ProofMalformed, match="pair 0: the second point"):
            pairing.product_is_one([(G, point)])


def test_a_twist_point_of_another_order_is_on_the_curve_only() -> None:
    point = twist_point_of_another_order()
    assert g2.is_on_curve(point)
    assert g2.all_on_curve(g2.encode([point]))
    assert not g2.is_in_subgroup(point)
    assert not curve.is_in_subgroup(point)
    assert g2.is_in_subgroup(H)
    assert g2.is_in_subgroup(None)
    assert g2.multiply(point, 5) == curve.multiply2(point, 5)
    # Clearing the cofactor leads into the group.
    assert g2.is_in_subgroup(g2.multiply(point, 2 * Q - R))


def test_twist_arrays_off_the_curve_are_found() -> None:
    points = g2.fixed_base(H, FR.encode([1, 2, 0, 4]))
    assert g2.all_on_curve(points)
    for column in (0, 5, 8, 15):
        wrong = points.copy()
        wrong[3, column] ^= 1
        assert not g2.all_on_curve(wrong)
