"""Field arrays against Python integers, on both kinds of instructions."""

from __future__ import annotations

import os
import random
import subprocess
import sys
from itertools import accumulate

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lazai_proof_plonk import field
from lazai_proof_plonk.kernels import engines
from lazai_proof_plonk.kernels.fields import FieldArrays

FIELDS = [
    pytest.param((field.R, engines.SCALAR_LANES, engines.SCALAR_WORDS), id="fr-lanes"),
    pytest.param((field.Q, engines.BASE_LANES, engines.BASE_WORDS), id="fq-lanes"),
    pytest.param((field.R, engines.SCALAR_WORDS, engines.SCALAR_WORDS), id="fr-words"),
    pytest.param((field.Q, engines.BASE_WORDS, engines.BASE_WORDS), id="fq-words"),
]
SIZES = (0, 1, 2, 7, 8, 9, 33, 2500)


@pytest.fixture(params=FIELDS)
def arrays(request: pytest.FixtureRequest) -> FieldArrays:
    modulus, engine, words = request.param
    if engine.lanes > 1 and not engines.has_vector_multiplier():
        pytest.skip("this processor has no 52-bit vector multiplier")
    return FieldArrays(modulus, engine, words)


def edges(modulus: int) -> list[int]:
    """Values where carries and final subtractions go wrong first."""
    near = [0, 1, 2, modulus - 1, modulus - 2, modulus // 2, modulus // 2 + 1]
    powers = [1 << 52 * i for i in range(5)] + [(1 << 64 * i) - 1 for i in range(1, 4)]
    # Montgomery forms, not values, are what the limbs hold.
    inverse = pow(field.MONTGOMERY, -1, modulus)
    return [value % modulus for value in near + powers] + [value * inverse % modulus for value in near + powers]


def sample(modulus: int, count: int, seed: int) -> list[int]:
    source = random.Random(seed)
    return (edges(modulus) + [source.randrange(modulus) for _ in range(count)])[:count]


@pytest.mark.parametrize("count", SIZES)
def test_elementwise_operations(arrays: FieldArrays, count: int) -> None:
    p = arrays.modulus
    xs, ys = sample(p, count, 1), sample(p, count, 2)[::-1]
    a, b = arrays.encode(xs), arrays.encode(ys)
    pairs = list(zip(xs, ys, strict=True))
    assert arrays.decode(a) == xs
    assert arrays.decode(arrays.to_montgomery(arrays.from_montgomery(a))) == xs
    assert arrays.decode(arrays.add(a, b)) == [(x + y) % p for x, y in pairs]
    assert arrays.decode(arrays.sub(a, b)) == [(x - y) % p for x, y in pairs]
    assert arrays.decode(arrays.mul(a, b)) == [x * y % p for x, y in pairs]
    assert arrays.decode(arrays.neg(a)) == [-x % p for x in xs]
    assert arrays.decode(arrays.multiply_add(a, b, a)) == [(x * y + x) % p for x, y in pairs]
    assert arrays.decode(arrays.scale(a, -3)) == [-3 * x % p for x in xs]
    assert arrays.decode(arrays.add_constant(a, p + 5)) == [(x + 5) % p for x in xs]
    assert all(arrays.is_canonical(array) for array in (a, arrays.add(a, b), arrays.sub(a, b), arrays.mul(a, b)))


def test_all_pairs_of_edges(arrays: FieldArrays) -> None:
    p = arrays.modulus
    values = edges(p)
    left = arrays.encode([x for x in values for _ in values])
    right = arrays.encode(values * len(values))
    assert arrays.decode(arrays.mul(left, right)) == [x * y % p for x in values for y in values]
    assert arrays.decode(arrays.sub(left, right)) == [(x - y) % p for x in values for y in values]


def test_results_may_go_into_an_operand(arrays: FieldArrays) -> None:
    p, xs = arrays.modulus, sample(arrays.modulus, 100, 3)
    a = arrays.encode(xs)
    assert arrays.mul(a, a, out=a) is a
    assert arrays.decode(a) == [x * x % p for x in xs]


@pytest.mark.parametrize("threads", [1, 2, 3])
@pytest.mark.parametrize("count", [1, 7, 8, 17, 3000])
def test_sequences_do_not_depend_on_threads(arrays: FieldArrays, count: int, threads: int) -> None:
    p = arrays.modulus
    xs, ys = [x or 1 for x in sample(p, count, 4)], sample(p, count, 5)
    a, b, point = arrays.encode(xs), arrays.encode(ys), p - 77
    products = [1]
    for x in xs:
        products.append(products[-1] * x % p)
    quotient, remainder = field.divide_by_linear(xs, point, p)
    assert arrays.decode(arrays.inverse(a, threads=threads)) == field.batch_inverse(xs, p)
    assert arrays.decode(arrays.prefix_products(a, threads=threads)) == products
    assert arrays.decode(arrays.prefix_sums(b, threads=threads)) == [x % p for x in accumulate(ys, initial=0)]
    assert arrays.inner_product(a, b, threads=threads) == sum(x * y for x, y in zip(xs, ys, strict=True)) % p
    assert arrays.evaluate(a, point, threads=threads) == field.evaluate(xs, point, p)
    found, rest = arrays.divide_by_linear(a, point, threads=threads)
    assert (arrays.decode(found), rest) == (quotient, remainder)
    powers = [3 * pow(7, i, p) % p for i in range(count)]
    assert arrays.decode(arrays.powers(7, count, first=3, threads=threads)) == powers


def test_linear_combination_pads_shorter_arrays(arrays: FieldArrays) -> None:
    p = arrays.modulus
    parts = [sample(p, count, count) for count in (5000, 9, 8, 0, 5000, 2051)]
    factors = [3, p - 1, 0, 5, 1 << 200, -9]
    expected = [
        sum(factor * part[i] for factor, part in zip(factors, parts, strict=True) if i < len(part)) % p
        for i in range(5000)
    ]
    encoded = [arrays.encode(part).reshape(-1, 4) for part in parts]
    assert arrays.decode(arrays.linear_combination(encoded, factors)) == expected
    assert len(arrays.linear_combination([], [])) == 0


@pytest.mark.parametrize("place", [0, 8, 40, 41])
def test_zero_has_no_inverse(arrays: FieldArrays, place: int) -> None:
    a = arrays.powers(5, 42)
    a[place] = 0
    with pytest.raises(ZeroDivisionError, match="zero"):
        arrays.inverse(a)


def test_rows_from_the_modulus_on_are_not_canonical(arrays: FieldArrays) -> None:
    for value in (arrays.modulus, arrays.modulus + 1, (1 << 256) - 1):
        array = arrays.zeros(3)
        array[1] = np.frombuffer(value.to_bytes(32, "little"), dtype="<u8")
        assert not arrays.is_canonical(array)
    array[1] = np.frombuffer((arrays.modulus - 1).to_bytes(32, "little"), dtype="<u8")
    assert arrays.is_canonical(array)


def test_parts_of_files_need_not_be_aligned(arrays: FieldArrays) -> None:
    a = arrays.powers(5, 20)
    unaligned = np.frombuffer(b"x" + a.tobytes(), dtype=np.uint64, count=80, offset=1).reshape(20, 4)
    assert not unaligned.flags.aligned
    assert (arrays.mul(unaligned, unaligned) == arrays.mul(a, a)).all()


def test_shapes_that_do_not_fit_are_refused(arrays: FieldArrays) -> None:
    a, b = arrays.zeros(3), arrays.zeros(4)
    with pytest.raises(ValueError, match="do not fit"):
        arrays.add(a, b)
    with pytest.raises(ValueError, match="uint64"):
        arrays.add(a.astype(np.int64), a)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="do not fit"):
        arrays.inner_product(a, b)
    with pytest.raises(ValueError, match="out must be"):
        arrays.add(a, a, out=b)


def test_single_inverses(arrays: FieldArrays) -> None:
    """One greatest common divisor for each value: batches would hide nearly all of them."""
    p = arrays.modulus
    near_powers = [(1 << k) + d for k in range(254) for d in (-1, 0, 1)]
    for value in sample(p, 200, 6) + near_powers:
        if value % p:
            assert arrays.decode(arrays.inverse(arrays.encode([value]))) == [pow(value, -1, p)]


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(values=st.lists(st.integers(min_value=0), min_size=1, max_size=20), point=st.integers(min_value=0))
def test_division_is_undone_by_multiplication(arrays: FieldArrays, values: list[int], point: int) -> None:
    p, array = arrays.modulus, arrays.encode(values)
    quotient, remainder = arrays.divide_by_linear(array, point % p)
    shifted = arrays.linear_combination([np.concatenate([arrays.zeros(1), quotient]), quotient], [1, -point])
    total = arrays.linear_combination([shifted, arrays.encode([remainder])], [1, 1])
    assert arrays.decode(total) == [value % p for value in values]


def test_the_variable_forces_the_portable_path() -> None:
    program = "from lazai_proof_plonk.kernels import engines; print(engines.engine_name(), engines.SCALAR.lanes)"
    paths = os.pathsep.join(sys.path)
    environment = {**os.environ, engines.PORTABLE_VARIABLE: "1", "PYTHONPATH": paths}
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["portable-4x64", "1"]
