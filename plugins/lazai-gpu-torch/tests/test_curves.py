"""BN254 on tensors: the conformance suite, the arithmetic's bounds, and py_ecc as the oracle of the group law."""

from __future__ import annotations

import random

import pytest
import torch
from py_ecc import bn128

from lazai_core.api.curve_kernels import COORDINATE_MODULUS as Q
from lazai_core.api.curve_kernels import SCALAR_MODULUS as R
from lazai_core.api.curve_kernels import CurveKernels, CurvePoint
from lazai_core.testing.conformance import CurveKernelsConformance
from lazai_core.testing.conformance.curve_kernels import drawn, integers, point_words, words
from lazai_gpu_torch.curves.kernels import TorchCurveKernels
from lazai_gpu_torch.curves.limbs import LIMBS, LOOSE, MASK, PrimeField, integer_of, limbs_of
from lazai_gpu_torch.curves.points import Curve
from lazai_gpu_torch.devices import open_device
from lazai_gpu_torch.options import TorchOptions

CPU = torch.device("cpu")
CUDA = [pytest.mark.gpu, pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")]


class TestTorchCurves(CurveKernelsConformance):
    @pytest.fixture(params=["cpu", pytest.param("cuda", marks=CUDA)])
    def kernels(self, request: pytest.FixtureRequest) -> CurveKernels:
        return TorchCurveKernels(open_device(TorchOptions(device=request.param, threads=1)))


@pytest.fixture(scope="module")
def kernels() -> TorchCurveKernels:
    return TorchCurveKernels(open_device(TorchOptions(device="cpu", threads=1)))


def test_products_hold_over_the_whole_loose_range() -> None:
    field = PrimeField(Q, CPU)
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
    field = PrimeField(R, CPU)
    numbers = drawn(60, 2)
    left = field.from_words(torch.frombuffer(bytearray(words(numbers)), dtype=torch.int64).reshape(-1, 4))
    assert [integer_of(row) for row in left.T.tolist()] == numbers
    right = left.flip(1)
    pairs = list(zip(numbers, reversed(numbers), strict=True))
    for multiple in (2, 4, 16):
        difference = field.subtract(left, right, multiple)
        assert [integer_of(row) for row in difference.T.tolist()] == [x - y + multiple * R for x, y in pairs]
    lowered = field.canonical(field.add(left, right))
    assert integers(field.to_words(lowered).numpy().tobytes()) == [(x + y) % R for x, y in pairs]


def test_the_formula_adds_any_two_points() -> None:
    curve = Curve(CPU)
    oracle = [None, *(bn128.multiply(bn128.G1, scalar) for scalar in (1, 2, 3, R - 1, R - 2, 12345))]
    points: list[CurvePoint] = [None if point is None else (int(point[0]), int(point[1])) for point in oracle]
    loaded = curve.load(torch.frombuffer(bytearray(point_words(points)), dtype=torch.int64).reshape(-1, 8))
    for index, point in enumerate(oracle):
        added = curve.add(loaded, loaded[:, :, index : index + 1].expand_as(loaded))
        for axis_values, other in zip(
            zip(*(curve.field.integers(axis) for axis in added), strict=True), oracle, strict=True
        ):
            x, y, z = axis_values
            found = None if z == 0 else (x * pow(z, -1, Q) % Q, y * pow(z, -1, Q) % Q)
            wanted = bn128.add(point, other)
            assert found == (None if wanted is None else (int(wanted[0]), int(wanted[1])))


@pytest.mark.parametrize(("count", "size"), [(5, 4), (2, 3), (2, 1 << 29), (2, 0)])
def test_sizes_that_do_not_fit_are_refused(kernels: TorchCurveKernels, count: int, size: int) -> None:
    with pytest.raises(ValueError, match="power of two"):
        kernels.evaluate(words([1] * count), size, 1)
    for values in (0, 3, 6):
        with pytest.raises(ValueError, match="power of two"):
            kernels.interpolate(words([1] * values), 1)


def test_points_that_do_not_fit_are_refused(kernels: TorchCurveKernels) -> None:
    class Strange:
        count = 1

    with pytest.raises(ValueError, match="load_points"):
        kernels.sums(Strange(), [words([1])])
    points = kernels.load_points(point_words([(1, 2)]))
    with pytest.raises(ValueError, match="2 scalars for 1 points"):
        kernels.sums(points, [words([1, 1])])
