"""Transforms against their definition, on both kinds of instructions."""

from __future__ import annotations

import random

import pytest

from lazai_proof_plonk import field
from lazai_proof_plonk.field import R
from lazai_proof_plonk.kernels import engines, ntt
from lazai_proof_plonk.kernels.fields import FR


@pytest.fixture(params=[engines.SCALAR_LANES, engines.SCALAR_WORDS], ids=["lanes", "words"], autouse=True)
def engine(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.param.lanes > 1 and not engines.has_vector_multiplier():
        pytest.skip("this processor has no 52-bit vector multiplier")
    monkeypatch.setattr(engines, "SCALAR", request.param)
    monkeypatch.setattr(FR, "engine", request.param)


def values(count: int, seed: int = 1) -> list[int]:
    source = random.Random(seed)
    return [source.choice((0, 1, R - 1, source.randrange(R))) for _ in range(count)]


def test_roots_are_those_of_the_circom_ecosystem() -> None:
    largest = 19103219067921713944291392827692070036145651957329286315305642004821462161904
    assert ntt.root_of_unity(1 << 28) == largest
    assert ntt.root_of_unity(1 << 27) == largest * largest % R
    assert ntt.root_of_unity(1) == 1


@pytest.mark.parametrize("shift", [1, 7, R - 5])
@pytest.mark.parametrize("size", [1, 2, 4, 16, 32, 64, 128, 256])
def test_both_directions_follow_the_definition(size: int, shift: int) -> None:
    coefficients = values(size)
    expected = field.transform(coefficients, shift)
    assert FR.decode(ntt.forward(FR.encode(coefficients), shift=shift)) == expected
    assert FR.decode(ntt.inverse(FR.encode(expected), shift=shift)) == coefficients


@pytest.mark.parametrize("count", [0, 1, 9, 63, 100])
def test_missing_coefficients_are_zeros(count: int) -> None:
    coefficients = values(count)
    expected = field.transform(coefficients + [0] * (128 - count), 3)
    assert FR.decode(ntt.forward(FR.encode(coefficients).reshape(-1, 4), 128, shift=3)) == expected


@pytest.mark.parametrize("threads", [1, 2, 3])
@pytest.mark.parametrize("log_size", [11, 13])
def test_larger_sizes_and_threads(log_size: int, threads: int) -> None:
    """Sizes with one and with several stages beyond a first-level block, checked at points and by the way back."""
    size = 1 << log_size
    coefficients = FR.powers(R - 3, size, first=11)
    found = ntt.forward(coefficients, shift=5, threads=threads)
    for index in (0, 1, size // 2 + 3, size - 1):
        point = 5 * pow(ntt.root_of_unity(size), index, R) % R
        assert FR.decode(found[index : index + 1]) == [FR.evaluate(coefficients, point)]
    assert (ntt.inverse(found, shift=5, threads=threads) == coefficients).all()


def test_sums_of_the_largest_elements_stay_exact() -> None:
    """All stages add what they can: the bound of unreduced sums is met by equal elements p - 1."""
    size = 1 << 12
    found = FR.decode(ntt.forward(FR.constant(R - 1, size)))
    assert found == [-size % R] + [0] * (size - 1)


def test_bad_sizes_are_refused() -> None:
    with pytest.raises(ValueError, match="root of unity of order 3"):
        ntt.forward(FR.zeros(3))
    with pytest.raises(ValueError, match="do not fit"):
        ntt.forward(FR.zeros(9), 8)
    with pytest.raises(ValueError, match="coset of zero"):
        ntt.inverse(FR.zeros(8), shift=0)
    with pytest.raises(ValueError, match="order 0"):
        ntt.inverse(FR.zeros(0))
