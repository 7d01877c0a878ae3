"""What curve kernels must give: values of polynomials by definition, and sums of points by the affine formulas."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from random import Random

import pytest

from lazai_core.api.curve_kernels import COORDINATE_MODULUS as Q
from lazai_core.api.curve_kernels import ROOT_GENERATOR, CurveKernels, CurvePoint
from lazai_core.api.curve_kernels import SCALAR_MODULUS as R

GENERATOR: CurvePoint = (1, 2)
EDGES = [0, 1, 2, R - 1, R - 2, (R - 1) // 2, 1 << 29, (1 << 232) - 1, 1 << 253]


def words(values: Sequence[int]) -> memoryview:
    """Little-endian words of 32 bytes."""
    return memoryview(b"".join(value.to_bytes(32, "little") for value in values))


def integers(data: bytes) -> list[int]:
    """Inverse of `words`; each must be below r."""
    found = [int.from_bytes(data[at : at + 32], "little") for at in range(0, len(data), 32)]
    assert all(value < R for value in found)
    return found


def drawn(count: int, seed: int) -> list[int]:
    """Scalars, the awkward ones first."""
    source = Random(seed)
    return [*EDGES, *(source.randrange(R) for _ in range(count))][:count]


def value_at(coefficients: Sequence[int], point: int) -> int:
    """Horner's rule."""
    total = 0
    for coefficient in reversed(coefficients):
        total = (total * point + coefficient) % R
    return total


def add(left: CurvePoint, right: CurvePoint) -> CurvePoint:
    """Affine addition on y^2 = x^3 + 3."""
    if left is None or right is None:
        return right if left is None else left
    (x1, y1), (x2, y2) = left, right
    if x1 == x2 and (y1 + y2) % Q == 0:
        return None
    slope = 3 * x1 * x1 * pow(2 * y1, -1, Q) if x1 == x2 else (y2 - y1) * pow(x2 - x1, -1, Q)
    x = (slope * slope - x1 - x2) % Q
    return x, (slope * (x1 - x) - y1) % Q


def multiple(scalar: int) -> CurvePoint:
    """Scalar times the generator."""
    total: CurvePoint = None
    for bit in bin(scalar % R)[2:]:
        total = add(total, total)
        if bit == "1":
            total = add(total, GENERATOR)
    return total


def point_words(points: Sequence[CurvePoint]) -> memoryview:
    """As `CurveKernels.load_points` takes them."""
    return words([part * (1 << 256) % Q for point in points for part in (point or (0, 0))])


class CurveKernelsConformance:
    """Subclass it and give the fixture `kernels`."""

    @pytest.fixture
    def kernels(self) -> CurveKernels:
        """The kernels under test."""
        raise NotImplementedError("give a fixture `kernels` that returns your CurveKernels")

    def test_they_say_where_they_run(self, kernels: CurveKernels) -> None:
        assert kernels.device
        assert kernels.accelerated in (True, False)

    @pytest.mark.parametrize(("count", "size"), [(1, 1), (1, 2), (2, 2), (3, 8), (8, 8), (16, 64), (60, 64)])
    @pytest.mark.parametrize("shift", [1, 5, R - 1])
    def test_values_follow_the_definition_and_come_back(
        self, kernels: CurveKernels, count: int, size: int, shift: int
    ) -> None:
        coefficients = drawn(count, count)
        root = pow(ROOT_GENERATOR, (R - 1) // size, R)
        found = kernels.evaluate(words(coefficients), size, shift)
        assert integers(found) == [value_at(coefficients, shift * pow(root, i, R) % R) for i in range(size)]
        assert integers(kernels.interpolate(memoryview(found), shift)) == coefficients + [0] * (size - count)

    def test_long_polynomials_are_right_at_some_points(self, kernels: CurveKernels) -> None:
        size = 1 << 13
        coefficients = drawn(size, 3)
        found = integers(kernels.evaluate(words(coefficients), size, 5))
        root = pow(ROOT_GENERATOR, (R - 1) // size, R)
        for at in (0, 1, 77, size // 2, size - 1):
            assert found[at] == value_at(coefficients, 5 * pow(root, at, R) % R)

    def test_sums_of_multiples(self, kernels: CurveKernels) -> None:
        logarithms = [1, 2, R - 1, 0, 7, 7, 7, 0, 123456789, 5, *range(20, 90)]
        points = kernels.load_points(point_words([multiple(logarithm) for logarithm in logarithms]))
        count, source = len(logarithms), Random(4)
        assert points.count == count
        vectors = [
            [],
            [0] * 5,
            [1],
            [R - 1] * count,
            [1, 1, 2, 3],
            [1] * 4 + [R - 1, 1],
            EDGES,
            [source.randrange(R) for _ in range(count)],
            [source.choice([0, 0, 1, 255]) for _ in range(count)],
        ]
        expected = [sum(s * d for s, d in zip(vector, logarithms, strict=False)) for vector in vectors]
        found = list(kernels.sums(points, [words(vector) for vector in vectors]))
        assert found == [multiple(each) for each in expected]

    def test_threads_do_not_disturb_each_other(self, kernels: CurveKernels) -> None:
        inputs = [drawn(64, 30 + index)[index:] for index in range(8)]
        with ThreadPoolExecutor(max_workers=4) as pool:
            found = list(pool.map(lambda each: kernels.evaluate(words(each), 64, 1), inputs))
        assert found == [kernels.evaluate(words(each), 64, 1) for each in inputs]
