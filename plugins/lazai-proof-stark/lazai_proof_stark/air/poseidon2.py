"""Poseidon2 (Grassi, Khovratovich, Schofnegger, 2023/323) over KoalaBear, width 16: constants, reference, constraints.

S-box x^3, 8 full and 20 partial rounds. Round constants come from the Grain LFSR of the Poseidon paper (2019/458,
appendix E) in order of rounds; the external matrix is that of the paper for width 16 with M4 = circ(2, 3, 1, 1), the
internal one is all ones plus diag(V) with the published V for KoalaBear.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cache
from typing import Any, TypeVar

import numpy as np
from numba import njit
from numpy.typing import NDArray

from ..field import P
from .definition import Air
from .expressions import Expression

WIDTH, FULL_ROUNDS, PARTIAL_ROUNDS = 16, 8, 20
RATE = 8
HALF = FULL_ROUNDS // 2
STEPS = FULL_ROUNDS * WIDTH + PARTIAL_ROUNDS
"""S-boxes of a permutation: one committed cell each."""
FIELD_BITS = 31
GRAIN_TAPS = (0, 13, 23, 38, 51, 62)
M4 = ((2, 3, 1, 1), (1, 2, 3, 1), (1, 1, 2, 3), (3, 1, 1, 2))
T = TypeVar("T", int, Expression)


def _grain_bits() -> Iterator[int]:
    """Bits of the self-shrinking LFSR seeded with field kind, S-box, field bits, width and rounds."""
    state: list[int] = []
    seed = ((1, 2), (0, 4), (FIELD_BITS, 12), (WIDTH, 12), (FULL_ROUNDS, 10), (PARTIAL_ROUNDS, 10), (2**30 - 1, 30))
    for value, bits in seed:
        state += [value >> (bits - 1 - index) & 1 for index in range(bits)]

    def step() -> int:
        bit = 0
        for tap in GRAIN_TAPS:
            bit ^= state[tap]
        state.pop(0)
        state.append(bit)
        return bit

    for _ in range(160):
        step()
    while True:
        chosen, bit = step(), step()
        if chosen:
            yield bit


@cache
def round_constants() -> tuple[tuple[tuple[int, ...], ...], tuple[int, ...]]:
    """Constants of the full rounds (16 each) and of the partial rounds."""
    bits = _grain_bits()

    def element() -> int:
        while True:
            value = 0
            for _ in range(FIELD_BITS):
                value = 2 * value + next(bits)
            if value < P:
                return value

    first = [tuple(element() for _ in range(WIDTH)) for _ in range(HALF)]
    partial = tuple(element() for _ in range(PARTIAL_ROUNDS))
    last = [tuple(element() for _ in range(WIDTH)) for _ in range(HALF)]
    return (*first, *last), partial


@cache
def diagonal() -> tuple[int, ...]:
    """V = -2, 1, 2, 1/2, 3, 4, -1/2, -3, -4, 1/2^8, 1/8, 1/2^24, -1/2^8, -1/8, -1/16, -1/2^24."""

    def inverse_power(exponent: int) -> int:
        return pow(1 << exponent, -1, P)

    values = [-2, 1, 2, inverse_power(1), 3, 4, -inverse_power(1), -3, -4, inverse_power(8), inverse_power(3)]
    values += [inverse_power(24), -inverse_power(8), -inverse_power(3), -inverse_power(4), -inverse_power(24)]
    return tuple(value % P for value in values)


def _total(terms: Sequence[T]) -> T:
    result = terms[0]
    for term in terms[1:]:
        result = result + term
    return result


def external_layer(state: Sequence[T]) -> list[T]:
    """M4 on each four elements, then each plus the sum of those at its place in all fours."""
    mixed = [
        _total([entry * state[start + column] for column, entry in enumerate(row)])
        for start in range(0, WIDTH, 4)
        for row in M4
    ]
    sums = [_total(mixed[place::4]) for place in range(4)]
    return [value + sums[index % 4] for index, value in enumerate(mixed)]


def internal_layer(state: Sequence[T]) -> list[T]:
    """V_i x_i plus the sum of all."""
    total = _total(state)
    return [factor * value + total for factor, value in zip(diagonal(), state, strict=True)]


def permute(state: Sequence[int]) -> list[int]:
    """The permutation, slow and plain."""
    full, partial = round_constants()
    current = [value % P for value in external_layer(list(state))]
    for index in range(FULL_ROUNDS):
        if index == HALF:
            for constant in partial:
                current[0] = pow(current[0] + constant, 3, P)
                current = [value % P for value in internal_layer(current)]
        cubes = [pow(value + constant, 3, P) for value, constant in zip(current, full[index], strict=True)]
        current = [value % P for value in external_layer(cubes)]
    return current


def compress(left: Sequence[int], right: Sequence[int]) -> list[int]:
    """Two digests of eight elements to one: the first half of permutation plus input."""
    state = [*left, *right]
    return [(a + b) % P for a, b in zip(permute(state)[:RATE], state, strict=False)]


def permutation_columns(prefix: str = "") -> tuple[str, ...]:
    """Names of the 16 input columns and of one column an S-box."""
    return tuple(f"{prefix}in{i}" for i in range(WIDTH)) + tuple(f"{prefix}box{i}" for i in range(STEPS))


def constrain_permutation(air: Air, prefix: str = "") -> list[Expression]:
    """Add the constraints of one permutation a row; gives the output as linear expressions."""
    full, partial = round_constants()
    boxes = iter(range(STEPS))

    def cube(value: Expression) -> Expression:
        number = next(boxes)
        committed = air.row[f"{prefix}box{number}"]
        air.always(f"{prefix}box{number}", committed - value * value * value)
        return committed

    state = external_layer([air.row[f"{prefix}in{i}"] for i in range(WIDTH)])
    for index in range(FULL_ROUNDS):
        if index == HALF:
            for constant in partial:
                state = internal_layer([cube(state[0] + constant), *state[1:]])
        state = external_layer([cube(value + constant) for value, constant in zip(state, full[index], strict=True)])
    return state


def permutation_cells(inputs: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Cells of the S-boxes `[rows, STEPS]` and outputs `[rows, 16]` of inputs `[rows, 16]`."""
    full, partial = round_constants()
    cells = np.zeros((len(inputs), STEPS), dtype=np.int64)
    outputs = np.zeros((len(inputs), WIDTH), dtype=np.int64)
    fill_permutations(
        np.ascontiguousarray(inputs, dtype=np.int64),
        np.array(full, dtype=np.int64),
        np.array(partial, dtype=np.int64),
        np.array(diagonal(), dtype=np.int64),
        cells,
        outputs,
    )
    return cells, outputs


@njit(cache=True, nogil=True)
def _external(state: Any, mixed: Any) -> None:
    for start in range(0, 16, 4):
        a, b, c, d = state[start], state[start + 1], state[start + 2], state[start + 3]
        mixed[start] = 2 * a + 3 * b + c + d
        mixed[start + 1] = a + 2 * b + 3 * c + d
        mixed[start + 2] = a + b + 2 * c + 3 * d
        mixed[start + 3] = 3 * a + b + c + 2 * d
    for place in range(4):
        total = mixed[place] + mixed[place + 4] + mixed[place + 8] + mixed[place + 12]
        for start in range(0, 16, 4):
            state[start + place] = (mixed[start + place] + total) % P


@njit(cache=True, nogil=True)
def _cube(value: Any) -> Any:
    value %= P
    return value * value % P * value % P


@njit(cache=True, nogil=True)
def fill_permutations(inputs: Any, full: Any, partial: Any, factors: Any, cells: Any, outputs: Any) -> None:
    """The permutation of each row, with every S-box's result kept; canonical int64 arrays."""
    state, mixed = np.zeros(16, np.int64), np.zeros(16, np.int64)
    for row in range(inputs.shape[0]):
        for i in range(16):
            state[i] = inputs[row, i]
        _external(state, mixed)
        place = 0
        for index in range(full.shape[0]):
            if index == full.shape[0] // 2:
                for constant in partial:
                    state[0] = _cube(state[0] + constant)
                    cells[row, place] = state[0]
                    place += 1
                    total = np.int64(0)
                    for i in range(16):
                        total += state[i]
                    for i in range(16):
                        state[i] = (factors[i] * state[i] + total) % P
            for i in range(16):
                state[i] = _cube(state[i] + full[index, i])
                cells[row, place + i] = state[i]
            place += 16
            _external(state, mixed)
        for i in range(16):
            outputs[row, i] = state[i]
