"""The groups G1 and G2 of BN254 in plain Python integers: the slow reference beside the kernels.

G1 is y^2 = x^3 + 3 over Fq, of prime order r. G2 is the part of order r of y^2 = x^3 + 3 / (9 + i) over Fq2 = Fq[i],
i^2 = -1. Points are affine; None is infinity. Source: EIP-196, EIP-197.
"""

from __future__ import annotations

from collections.abc import Sequence

from .field import Q, R

Point = tuple[int, int] | None
Fq2 = tuple[int, int]
Point2 = tuple[Fq2, Fq2] | None

CURVE_B = 3
G1_GENERATOR: Point = (1, 2)
G2_GENERATOR: Point2 = (
    (
        10857046999023057135944570762232829481370756359578518086990519993285655852781,
        11559732032986387107991004021392285783925812861821192530917403151452391805634,
    ),
    (
        8495653923123431417604973247489272438418190587263600148770280649306958101930,
        4082367875863433681332203403145435568316851327593401208105741076214120093531,
    ),
)


def is_on_curve(point: Point) -> bool:
    """Canonical coordinates that satisfy the equation; infinity passes."""
    if point is None:
        return True
    x, y = point
    return 0 <= x < Q and 0 <= y < Q and (y * y - x * x * x - CURVE_B) % Q == 0


def negate(point: Point) -> Point:
    return None if point is None else (point[0], -point[1] % Q)


def add(left: Point, right: Point) -> Point:
    if left is None:
        return right
    if right is None:
        return left
    (x1, y1), (x2, y2) = left, right
    if x1 == x2:
        if (y1 + y2) % Q == 0:
            return None
        slope = 3 * x1 * x1 * pow(2 * y1, -1, Q) % Q
    else:
        slope = (y2 - y1) * pow(x2 - x1, -1, Q) % Q
    x3 = (slope * slope - x1 - x2) % Q
    return x3, (slope * (x1 - x3) - y1) % Q


def multiply(point: Point, scalar: int) -> Point:
    """`scalar` is reduced modulo the order r."""
    total: Point = None
    for bit in bin(scalar % R)[2:]:
        total = add(total, total)
        if bit == "1":
            total = add(total, point)
    return total


def multi_scalar_multiply(points: Sequence[Point], scalars: Sequence[int]) -> Point:
    """sum scalar_i * point_i."""
    total: Point = None
    for point, scalar in zip(points, scalars, strict=True):
        total = add(total, multiply(point, scalar))
    return total


def fq2_add(a: Fq2, b: Fq2) -> Fq2:
    return (a[0] + b[0]) % Q, (a[1] + b[1]) % Q


def fq2_sub(a: Fq2, b: Fq2) -> Fq2:
    return (a[0] - b[0]) % Q, (a[1] - b[1]) % Q


def fq2_mul(a: Fq2, b: Fq2) -> Fq2:
    return (a[0] * b[0] - a[1] * b[1]) % Q, (a[0] * b[1] + a[1] * b[0]) % Q


def fq2_inverse(a: Fq2) -> Fq2:
    norm = pow(a[0] * a[0] + a[1] * a[1], -1, Q)
    return a[0] * norm % Q, -a[1] * norm % Q


TWIST_B: Fq2 = fq2_mul((CURVE_B, 0), fq2_inverse((9, 1)))


def is_on_twist(point: Point2) -> bool:
    """Canonical coordinates that satisfy the equation of the twist; infinity passes. Says nothing about the order."""
    if point is None:
        return True
    x, y = point
    if not all(0 <= coordinate < Q for coordinate in (*x, *y)):
        return False
    return fq2_mul(y, y) == fq2_add(fq2_mul(fq2_mul(x, x), x), TWIST_B)


def negate2(point: Point2) -> Point2:
    return None if point is None else (point[0], fq2_sub((0, 0), point[1]))


def add2(left: Point2, right: Point2) -> Point2:
    if left is None:
        return right
    if right is None:
        return left
    (x1, y1), (x2, y2) = left, right
    if x1 == x2:
        if fq2_add(y1, y2) == (0, 0):
            return None
        square = fq2_mul(x1, x1)
        slope = fq2_mul(fq2_add(square, fq2_add(square, square)), fq2_inverse(fq2_add(y1, y1)))
    else:
        slope = fq2_mul(fq2_sub(y2, y1), fq2_inverse(fq2_sub(x2, x1)))
    x3 = fq2_sub(fq2_sub(fq2_mul(slope, slope), x1), x2)
    return x3, fq2_sub(fq2_mul(slope, fq2_sub(x1, x3)), y1)


def multiply2(point: Point2, scalar: int) -> Point2:
    """`scalar` is not reduced: the point may not have order r."""
    total: Point2 = None
    for bit in bin(scalar)[2:]:
        total = add2(total, total)
        if bit == "1":
            total = add2(total, point)
    return total


def is_in_subgroup(point: Point2) -> bool:
    """On the twist and of order r; infinity passes."""
    return is_on_twist(point) and multiply2(point, R) is None
