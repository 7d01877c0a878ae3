"""BN254 on tensors against the definitions, with py_ecc's curve as the oracle."""

from __future__ import annotations

import random
from collections.abc import Sequence

import pytest
import torch
from py_ecc import bn128

from lazai_core.api.curve_kernels import COORDINATE_MODULUS as Q
from lazai_core.api.curve_kernels import ROOT_GENERATOR, CurvePoint
from lazai_core.api.curve_kernels import SCALAR_MODULUS as R
from lazai_gpu_torch.curves.kernels import TorchCurveKernels
from lazai_gpu_torch.curves.limbs import LIMBS, LOOSE, MASK, PrimeField, integer_of, limbs_of
from lazai_gpu_torch.curves.points import Curve
from lazai_gpu_torch.devices import open_device
from lazai_gpu_torch.options import TorchOptions

DEVICES = [
    pytest.param("cpu", id="cpu"),
    pytest.param(
        "cuda",
        id="cuda",
        marks=[pytest.mark.gpu, pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")],
    ),
]
EDGES = [0, 1, 2, R - 1, R - 2, (R - 1) // 2, 1 << 29, (1 << 232) - 1, 1 << 253]


@pytest.fixture(scope="module", params=DEVICES)
def kernels(request: pytest.FixtureRequest) -> TorchCurveKernels:
    return TorchCurveKernels(open_device(TorchOptions(device=request.param, threads=1)))


def words(values: Sequence[int]) -> memoryview:
    return memoryview(b"".join(value.to_bytes(32, "little") for value in values))


def integers(data: bytes) -> list[int]:
    return [int.from_bytes(data[at : at + 32], "little") for at in range(0, len(data), 32)]


def value_at(coefficients: Sequence[int], point: int) -> int:
    total = 0
    for coefficient in reversed(coefficients):
        total = (total * point + coefficient) % R
    return total


def drawn(count: int, seed: int) -> list[int]:
    source = random.Random(seed)
    return [*EDGES, *(source.randrange(R) for _ in range(count))][:count]


def test_products_hold_over_the_whole_loose_range() -> None:
    field = PrimeField(Q, torch.device("cpu"))
    source = random.Random(1)
    numbers = [0, 1, Q - 1, Q, 2 * Q - 1, LOOSE * Q - 1, *(source.randrange(LOOSE * Q) for _ in range(40))]
    columns = torch.tensor([limbs_of(number) for number in numbers], dtype=torch.int64).T.contiguous()
    product = field.multiply(columns[:, :, None], columns[:, None, :])
    assert int(product.min()) >= 0
    assert int(product.max()) <= MASK
    unscale = pow(1 << 29 * LIMBS, -1, Q)
    for i, x in enumerate(numbers):
        for j, y in enumerate(numbers):
            found = integer_of(product[:, i, j].tolist())
            assert found % Q == x * y * unscale % Q
            assert found < (40 if max(x, y) >= 8 * Q else 2) * Q


def test_differences_and_words_are_exact() -> None:
    field = PrimeField(R, torch.device("cpu"))
    numbers = drawn(60, 2)
    left = field.from_words(torch.frombuffer(bytearray(words(numbers)), dtype=torch.int64).reshape(-1, 4))
    assert [integer_of(row) for row in left.T.tolist()] == numbers
    right = left.flip(1)
    for multiple in (2, 4, 16):
        difference = field.subtract(left, right, multiple)
        expected = [x - y + multiple * R for x, y in zip(numbers, reversed(numbers), strict=True)]
        assert [integer_of(row) for row in difference.T.tolist()] == expected
    lowered = field.canonical(field.add(left, right))
    expected = [(x + y) % R for x, y in zip(numbers, reversed(numbers), strict=True)]
    assert integers(field.to_words(lowered).numpy().tobytes()) == expected


@pytest.mark.parametrize(("count", "size"), [(1, 1), (1, 2), (2, 2), (3, 8), (8, 8), (16, 64), (60, 64)])
@pytest.mark.parametrize("shift", [1, 5, R - 1])
def test_transforms_are_values_and_come_back(kernels: TorchCurveKernels, count: int, size: int, shift: int) -> None:
    coefficients = drawn(count, count)
    root = pow(ROOT_GENERATOR, (R - 1) // size, R)
    found = kernels.evaluate(words(coefficients), size, shift)

    assert integers(found) == [value_at(coefficients, shift * pow(root, i, R) % R) for i in range(size)]
    assert integers(kernels.interpolate(memoryview(found), shift)) == coefficients + [0] * (size - count)


def test_long_transforms_agree_with_the_definition_at_some_points(kernels: TorchCurveKernels) -> None:
    size = 1 << 14
    coefficients = drawn(size, 3)
    found = integers(kernels.evaluate(words(coefficients), size, 5))
    root = pow(ROOT_GENERATOR, (R - 1) // size, R)
    for at in (0, 1, 77, size // 2, size - 1):
        assert found[at] == value_at(coefficients, 5 * pow(root, at, R) % R)


@pytest.mark.parametrize(("count", "size"), [(5, 4), (2, 3), (2, 1 << 29), (2, 0)])
def test_sizes_that_do_not_fit_are_refused(kernels: TorchCurveKernels, count: int, size: int) -> None:
    with pytest.raises(ValueError, match="power of two"):
        kernels.evaluate(words([1] * count), size, 1)
    for values in (0, 3, 6):
        with pytest.raises(ValueError, match="power of two"):
            kernels.interpolate(words([1] * values), 1)


def affine(point: CurvePoint) -> tuple[bn128.FQ, bn128.FQ] | None:
    return None if point is None else (bn128.FQ(point[0]), bn128.FQ(point[1]))


def canonical(point: tuple[bn128.FQ, bn128.FQ] | None) -> CurvePoint:
    return None if point is None else (int(point[0]), int(point[1]))


def multiples(scalars: Sequence[int]) -> list[CurvePoint]:
    return [canonical(bn128.multiply(bn128.G1, scalar)) if scalar % R else None for scalar in scalars]


def point_words(points: Sequence[CurvePoint]) -> memoryview:
    flat = [part for point in points for part in (point or (0, 0))]
    return words([part * (1 << 256) % Q for part in flat])


def test_the_formula_adds_any_two_points() -> None:
    curve = Curve(torch.device("cpu"))
    points = multiples([0, 1, 2, 3, R - 1, R - 2, 12345])
    loaded = curve.load(torch.frombuffer(bytearray(point_words(points)), dtype=torch.int64).reshape(-1, 8))
    for index, point in enumerate(points):
        repeated = loaded[:, :, index : index + 1].expand_as(loaded)
        added = curve.add(loaded, repeated)
        for other, expected in enumerate(points):
            x, y, z = (curve.field.integers(added[axis, :, other : other + 1])[0] for axis in range(3))
            wanted = canonical(bn128.add(affine(point), affine(expected)))
            found = None if z == 0 else (x * pow(z, -1, Q) % Q, y * pow(z, -1, Q) % Q)
            assert found == wanted, (index, other)


def test_sums_of_multiples(kernels: TorchCurveKernels) -> None:
    logarithms = [1, 2, R - 1, 0, 7, 7, 7, 0, 123456789, 5, *range(20, 90)]
    points = kernels.load_points(point_words(multiples(logarithms)))
    count = len(logarithms)
    assert points.count == count
    source = random.Random(4)
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
    expected = [sum(s * d for s, d in zip(vector, logarithms, strict=False)) % R for vector in vectors]
    assert list(kernels.sums(points, [words(vector) for vector in vectors])) == multiples(expected)
    with pytest.raises(ValueError, match="scalars for"):
        kernels.sums(points, [words([1] * (count + 1))])


def test_what_is_not_loaded_is_refused(kernels: TorchCurveKernels) -> None:
    class Strange:
        count = 1

    with pytest.raises(ValueError, match="load_points"):
        kernels.sums(Strange(), [words([1])])
