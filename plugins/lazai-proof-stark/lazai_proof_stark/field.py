"""KoalaBear and its extension of degree 5, slow and plain: the meaning of every kernel.

F has p = 2^31 - 2^24 + 1 elements; its multiplicative group has a subgroup of each order 2^k, k <= 24. K is
F[X] / (X^5 + X^2 - 1), about 2^154.9 elements, as tuples of five integers, lowest power first.
"""

from __future__ import annotations

from collections.abc import Sequence

P = 2**31 - 2**24 + 1
TWO_ADICITY = 24
GENERATOR = 3
"""A generator of the multiplicative group of F."""
DEGREE = 5

Extension = tuple[int, int, int, int, int]

ZERO: Extension = (0, 0, 0, 0, 0)
ONE: Extension = (1, 0, 0, 0, 0)


def root_of_unity(log_order: int) -> int:
    """A primitive 2^log_order-th root of unity; squares give the root of the next smaller order."""
    if not 0 <= log_order <= TWO_ADICITY:
        raise ValueError(f"F has no subgroup of order 2^{log_order}")
    return pow(GENERATOR, (P - 1) >> log_order, P)


def from_signed(value: int) -> int:
    """The field element of a signed integer, canonical."""
    return value % P


def lift(value: int) -> Extension:
    """An element of F as an element of K."""
    return (value % P, 0, 0, 0, 0)


def add(a: Extension, b: Extension) -> Extension:
    """a + b."""
    return ((a[0] + b[0]) % P, (a[1] + b[1]) % P, (a[2] + b[2]) % P, (a[3] + b[3]) % P, (a[4] + b[4]) % P)


def subtract(a: Extension, b: Extension) -> Extension:
    """a - b."""
    return ((a[0] - b[0]) % P, (a[1] - b[1]) % P, (a[2] - b[2]) % P, (a[3] - b[3]) % P, (a[4] - b[4]) % P)


def negate(a: Extension) -> Extension:
    """-a."""
    return subtract(ZERO, a)


def multiply(a: Extension, b: Extension) -> Extension:
    """a * b: with X^5 = 1 - X^2, X^6 = X - X^3, X^7 = X^2 - X^4, X^8 = X^3 - X^5 = X^3 + X^2 - 1."""
    a0, a1, a2, a3, a4 = a
    b0, b1, b2, b3, b4 = b
    c5 = a1 * b4 + a2 * b3 + a3 * b2 + a4 * b1
    c6 = a2 * b4 + a3 * b3 + a4 * b2
    c7 = a3 * b4 + a4 * b3
    c8 = a4 * b4
    return (
        (a0 * b0 + c5 - c8) % P,
        (a0 * b1 + a1 * b0 + c6) % P,
        (a0 * b2 + a1 * b1 + a2 * b0 - c5 + c7 + c8) % P,
        (a0 * b3 + a1 * b2 + a2 * b1 + a3 * b0 - c6 + c8) % P,
        (a0 * b4 + a1 * b3 + a2 * b2 + a3 * b1 + a4 * b0 - c7) % P,
    )


def scale(a: Extension, b: int) -> Extension:
    """a * b for b in F."""
    return (a[0] * b % P, a[1] * b % P, a[2] * b % P, a[3] * b % P, a[4] * b % P)


def power(a: Extension, exponent: int) -> Extension:
    """a to a non-negative power."""
    result, square = ONE, a
    while exponent:
        if exponent & 1:
            result = multiply(result, square)
        square = multiply(square, square)
        exponent >>= 1
    return result


def _frobenius_table() -> tuple[Extension, ...]:
    """X^(i p) for i below 5: raising to the power p is linear over F."""
    step = power((0, 1, 0, 0, 0), P)
    table = [ONE]
    for _ in range(DEGREE - 1):
        table.append(multiply(table[-1], step))
    return tuple(table)


def frobenius(a: Extension) -> Extension:
    """a^p."""
    return sum_all([scale(image, coefficient) for image, coefficient in zip(_FROBENIUS, a, strict=True)])


def invert(a: Extension) -> Extension:
    """1 / a; ZeroDivisionError for 0. The product of all conjugates lies in F."""
    if a == ZERO:
        raise ZeroDivisionError("zero has no inverse")
    first = frobenius(a)
    second = frobenius(first)
    pair = multiply(first, second)
    others = multiply(pair, frobenius(frobenius(pair)))
    norm = multiply(a, others)[0]
    return scale(others, pow(norm, -1, P))


def invert_all(values: Sequence[Extension]) -> list[Extension]:
    """Inverses of non-zero elements, with one inversion (Montgomery's trick)."""
    running = [ONE]
    for value in values:
        running.append(multiply(running[-1], value))
    inverse = invert(running[-1])
    results: list[Extension] = []
    for index in range(len(values) - 1, -1, -1):
        results.append(multiply(inverse, running[index]))
        inverse = multiply(inverse, values[index])
    return results[::-1]


def multiply_all(factors: Sequence[Extension]) -> Extension:
    """The product, ONE of nothing."""
    result = ONE
    for factor in factors:
        result = multiply(result, factor)
    return result


def eq(z: Sequence[Extension], x: Sequence[Extension]) -> Extension:
    """prod_i (z_i x_i + (1 - z_i)(1 - x_i))."""
    result = ONE
    for a, b in zip(z, x, strict=True):
        ab = multiply(a, b)
        term = add(subtract(subtract(ONE, a), b), add(ab, ab))
        result = multiply(result, term)
    return result


def eq_vector(z: Sequence[Extension]) -> list[Extension]:
    """eq(z, x) for all x in {0,1}^v; bit i of the index belongs to z[i]."""
    values = [ONE]
    for coordinate in z:
        ones = [multiply(value, coordinate) for value in values]
        values = [subtract(value, one) for value, one in zip(values, ones, strict=True)] + ones
    return values


def evaluate_multilinear(values: Sequence[Extension], z: Sequence[Extension]) -> Extension:
    """The multilinear extension of `values` (length 2^v) at z."""
    current = list(values)
    for coordinate in reversed(z):
        half = len(current) // 2
        current = [
            add(low, multiply(coordinate, subtract(high, low)))
            for low, high in zip(current[:half], current[half:], strict=True)
        ]
    return current[0]


def sum_all(terms: Sequence[Extension]) -> Extension:
    """The sum, ZERO of nothing."""
    a = b = c = d = e = 0
    for term in terms:
        a, b, c, d, e = a + term[0], b + term[1], c + term[2], d + term[3], e + term[4]
    return (a % P, b % P, c % P, d % P, e % P)


_FROBENIUS = _frobenius_table()
