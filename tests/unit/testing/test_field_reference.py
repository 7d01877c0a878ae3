"""The plain arithmetic that field kernels are held to, against the laws of fields and the BLAKE3 package."""

from __future__ import annotations

from random import Random

import pytest
from blake3 import blake3

from lazai_core.testing import field_reference as f
from lazai_core.testing.field_reference import Element, P


def some(count: int, seed: int) -> list[Element]:
    random = Random(seed)
    draw = [random.randrange(P) for _ in range(5 * count)]
    return [(draw[i], draw[i + 1], draw[i + 2], draw[i + 3], draw[i + 4]) for i in range(0, 5 * count, 5)]


def power(value: Element, exponent: int) -> Element:
    result = f.ONE
    for bit in f"{exponent:b}":
        result = f.multiply(result, result)
        result = f.multiply(result, value) if bit == "1" else result
    return result


def test_the_extension_is_a_field_in_which_the_modulus_vanishes() -> None:
    x: Element = (0, 1, 0, 0, 0)
    assert f.add(power(x, 5), f.subtract(power(x, 2), f.ONE)) == f.ZERO
    a, b, c = some(3, 1)
    assert f.multiply(a, f.add(b, c)) == f.add(f.multiply(a, b), f.multiply(a, c))
    assert f.multiply(a, f.multiply(b, c)) == f.multiply(f.multiply(a, b), c)
    # Every element but zero has an order that divides p^5 - 1, so it has an inverse.
    assert power(a, P**5 - 1) == f.ONE
    assert power(a, P - 1) != f.ONE


@pytest.mark.parametrize("log_order", [1, 5, 24])
def test_roots_have_their_order(log_order: int) -> None:
    root = f.root_of_unity(log_order)
    assert pow(root, 1 << log_order, P) == 1
    assert pow(root, 1 << (log_order - 1), P) == P - 1


def test_a_code_word_of_natural_size_is_the_polynomial_at_all_powers() -> None:
    message = some(4, 2)
    root = f.root_of_unity(3)
    coefficients = [message[f.reversed_bits(i, 2)] for i in range(4)]
    for k, found in enumerate(f.code_word(message, 3)):
        point, value = f.lift(pow(root, k, P)), f.ZERO
        for coefficient in reversed(coefficients):
            value = f.add(f.multiply(value, point), coefficient)
        assert found == value


@pytest.mark.parametrize("size", [1, 63, 64, 65, 128, 500, 1024])
def test_keyed_blake3(size: int) -> None:
    random = Random(size)
    key, data = random.randbytes(32), random.randbytes(size)
    assert f.keyed_blake3(key, data) == blake3(data, key=key).digest()


@pytest.mark.parametrize("size", [0, 1025])
def test_more_than_one_chunk_is_refused(size: int) -> None:
    with pytest.raises(ValueError, match="one chunk"):
        f.keyed_blake3(bytes(32), bytes(size))
