"""G1 and multi-scalar multiplication against py_ecc and the slow reference, on both kinds of instructions."""

from __future__ import annotations

import random

import numpy as np
import pytest
from py_ecc import bn128

from lazai_proof_plonk import curve
from lazai_proof_plonk.curve import Point
from lazai_proof_plonk.field import Q, R
from lazai_proof_plonk.kernels import buckets, engines, g1
from lazai_proof_plonk.kernels.fields import FQ, FR


@pytest.fixture(params=["lanes", "words"], autouse=True)
def engine(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    lanes = request.param == "lanes"
    if lanes and not engines.has_vector_multiplier():
        pytest.skip("this processor has no 52-bit vector multiplier")
    scalar, base = (engines.SCALAR_LANES, engines.BASE_LANES) if lanes else (engines.SCALAR_WORDS, engines.BASE_WORDS)
    monkeypatch.setattr(engines, "SCALAR", scalar)
    monkeypatch.setattr(engines, "BASE", base)
    monkeypatch.setattr(FR, "engine", scalar)
    monkeypatch.setattr(FQ, "engine", base)


def oracle_multiply(scalar: int) -> Point:
    found = bn128.multiply(bn128.G1, scalar % R)
    return None if found is None else (int(found[0]), int(found[1]))


def expected_sum(logarithms: list[int], scalars: list[int]) -> Point:
    """The sum over bases that are known multiples of the generator."""
    total = sum(a * b for a, b in zip(logarithms, scalars, strict=True))
    return curve.multiply(g1.GENERATOR, total)


def test_multiples_agree_with_the_oracle() -> None:
    source = random.Random(1)
    scalars = [0, 1, 2, 3, R - 1, R, R + 2, *(source.randrange(R) for _ in range(6))]
    expected = [oracle_multiply(scalar) for scalar in scalars]
    assert [curve.multiply(g1.GENERATOR, scalar) for scalar in scalars] == expected
    assert [g1.multiply(g1.GENERATOR, scalar) for scalar in scalars] == expected
    assert g1.decode(g1.fixed_base(g1.GENERATOR, FR.encode(scalars))) == expected
    base = oracle_multiply(99)
    repeated = g1.encode([base] * len(scalars))
    multiples = [oracle_multiply(99 * scalar) for scalar in scalars]
    assert g1.decode(g1.scale_each(repeated, FR.encode(scalars))) == multiples
    assert g1.decode(g1.scale_each(g1.encode([None] * 3), FR.encode([0, 1, R - 1]))) == [None] * 3


def test_encoding_is_that_of_files() -> None:
    points: list[Point] = [g1.GENERATOR, None, oracle_multiply(5)]
    array = g1.encode(points)
    assert g1.decode(array) == points
    assert not array[1].any()
    assert array[0, :4].tobytes() == ((1 << 256) % Q).to_bytes(32, "little")


@pytest.mark.parametrize("count", [1, 2, 9, 300])
def test_sums_of_random_terms(count: int) -> None:
    source = random.Random(count)
    logarithms = [source.randrange(R) for _ in range(count)]
    scalars = [source.randrange(R) for _ in range(count)]
    bases = g1.fixed_base(g1.GENERATOR, FR.encode(logarithms))
    expected = expected_sum(logarithms, scalars)
    assert g1.msm(bases, FR.encode(scalars), threads=1) == expected
    assert g1.msm(bases, FR.from_montgomery(FR.encode(scalars)), montgomery=False, threads=2) == expected


KINDS = {
    "zeros": lambda source: 0,
    "bits": lambda source: source.randrange(2),
    "bytes with sign": lambda source: source.randrange(-128, 128),
    "sixteen bits": lambda source: source.randrange(1 << 16),
    "window edges": lambda source: source.choice([1 << k for k in range(254)] + [(1 << k) - 1 for k in range(254)]),
    "around half the order": lambda source: R // 2 + source.randrange(-2, 3),
    "around the order": lambda source: R - source.randrange(1, 4),
    "equal": lambda source: 0x1234567,
    "mixed": lambda source: source.choice((0, 1, -1, 7, source.randrange(R))),
}


@pytest.mark.parametrize("kind", KINDS)
def test_sums_of_special_scalars(kind: str) -> None:
    source = random.Random(kind)
    logarithms = [source.randrange(R) for _ in range(600)]
    scalars = [KINDS[kind](source) for _ in logarithms]
    bases = g1.fixed_base(g1.GENERATOR, FR.encode(logarithms))
    assert g1.msm(bases, FR.encode(scalars)) == expected_sum(logarithms, scalars)


@pytest.mark.parametrize("choices", [(1,), (1, R - 1), (0, 1, 2, R - 2), (0,)], ids=str)
def test_equal_opposite_and_infinite_bases(choices: tuple[int, ...]) -> None:
    """Pairs whose affine sum has no slope."""
    source = random.Random(3)
    logarithms = [source.choice(choices) for _ in range(200)]
    scalars = [source.choice((3, R - 3, source.randrange(R))) for _ in logarithms]
    bases = g1.fixed_base(g1.GENERATOR, FR.encode(logarithms))
    assert g1.msm(bases, FR.encode(scalars)) == expected_sum(logarithms, scalars)


def test_bases_need_not_be_aligned() -> None:
    """The lowest bit of an address is the sign of its point."""
    bases = g1.fixed_base(g1.GENERATOR, FR.powers(5, 20))
    unaligned = np.frombuffer(b"x" + bases.tobytes(), dtype=np.uint64, count=160, offset=1).reshape(20, 8)
    scalars = FR.powers(7, 20)
    assert g1.msm(unaligned, scalars) == g1.msm(bases, scalars)
    assert g1.all_on_curve(unaligned)


def test_cancelling_sums_are_infinity() -> None:
    points = g1.fixed_base(g1.GENERATOR, FR.encode([5, 9]))
    bases = np.concatenate([points, g1.encode([g1.negate(point) for point in g1.decode(points)])])
    assert g1.msm(bases, FR.encode([7, 8, 7, 8])) is None
    assert g1.msm(bases[:0], FR.zeros(0)) is None


def test_chunks_and_ranges_join(monkeypatch: pytest.MonkeyPatch) -> None:
    """Buckets carried from one chunk of points to the next, and a window shared by threads."""
    monkeypatch.setattr(buckets, "POINTS_A_CHUNK", 700)
    logarithms, scalars = list(range(1, 3001)), [i % 5 - 2 for i in range(3000)]
    bases = g1.fixed_base(g1.GENERATOR, FR.encode(logarithms))
    for threads in (1, 2, 3):
        assert g1.msm(bases, FR.encode(scalars), threads=threads) == expected_sum(logarithms, scalars)


def test_many_sums_over_one_base() -> None:
    source = random.Random(4)
    logarithms = [source.randrange(R) for _ in range(100)]
    bases = g1.fixed_base(g1.GENERATOR, FR.encode(logarithms))
    rows = [[source.randrange(R) for _ in range(100)], [0] * 50, [1] * 7, []]
    found = g1.msm_many(bases, [FR.encode(row).reshape(-1, 4) for row in rows], threads=2)
    assert found == [expected_sum(logarithms[: len(row)], row) for row in rows]
    with pytest.raises(ValueError, match="101 scalars for 100 bases"):
        g1.msm(bases, FR.zeros(101))


def test_small_combinations() -> None:
    points: list[Point] = [oracle_multiply(k) for k in (1, 5, 0, R - 1, 77)]
    scalars = [3, -1, 8, R, 2**200]
    assert g1.linear_combination(points, scalars) == curve.multi_scalar_multiply(points, scalars)
    assert g1.linear_combination([], []) is None
    assert g1.linear_combination([g1.GENERATOR, g1.negate(g1.GENERATOR)], [4, 4]) is None


@pytest.mark.parametrize("place", [0, 11, 12, 18])
def test_points_off_the_curve_are_found(place: int) -> None:
    bases = g1.fixed_base(g1.GENERATOR, FR.powers(3, 19))
    bases[4] = 0
    assert g1.all_on_curve(bases)
    for bad in ((1, 3), (0, 5), (5, 0)):
        wrong = bases.copy()
        wrong[place] = FQ.encode(bad).reshape(8)
        assert not g1.all_on_curve(wrong)
        assert not g1.is_on_curve(bad)
    wrong = bases.copy()
    x = int.from_bytes(wrong[place, :4].tobytes(), "little") + Q
    wrong[place, :4] = np.frombuffer(x.to_bytes(32, "little"), dtype="<u8")
    assert not g1.all_on_curve(wrong)
    assert not g1.is_on_curve((1 + Q, 2))
