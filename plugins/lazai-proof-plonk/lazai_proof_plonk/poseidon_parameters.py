"""Poseidon over BN254's scalar field with the x^5 box: constants by the published Grain procedure.

Grassi, Khovratovich, Rechberger, Roy, Schofnegger: Poseidon (ePrint 2019/458), appendix F; the widths 2 to 17 and
the numbers of rounds are those that circomlib uses.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from functools import cache

from attrs import field, frozen

from .parameters import ORDER

FULL_ROUNDS = 8
PARTIAL_ROUNDS = (56, 57, 56, 60, 60, 63, 64, 63, 60, 66, 60, 65, 70, 60, 64, 68)
"""By width, from 2 on."""
INPUTS_MAX = len(PARTIAL_ROUNDS)
FIELD_BITS = 254
TAPS = (62, 51, 38, 23, 13, 0)
DISCARDED = 160


@frozen(kw_only=True)
class PoseidonParameters:
    """`constants[round * width + i]` are added before the boxes; `matrix[i][j]` mixes."""

    width: int
    partial_rounds: int
    constants: tuple[int, ...] = field(repr=False)
    matrix: tuple[tuple[int, ...], ...] = field(repr=False)


def _seed(width: int, partial_rounds: int) -> list[int]:
    # Prime field (1), x^alpha box (0), field bits, width, rounds, thirty ones.
    fields = (
        (1, 2),
        (0, 4),
        (FIELD_BITS, 12),
        (width, 12),
        (FULL_ROUNDS, 10),
        (partial_rounds, 10),
        ((1 << 30) - 1, 30),
    )
    return [value >> (length - 1 - at) & 1 for value, length in fields for at in range(length)]


def _grain(width: int, partial_rounds: int) -> Iterator[int]:
    """The self-shrinking Grain generator: of each pair of bits, the second counts where the first is 1."""
    state = deque(_seed(width, partial_rounds), maxlen=80)

    def step() -> int:
        bit = 0
        for tap in TAPS:
            bit ^= state[tap]
        state.append(bit)
        return bit

    for _ in range(DISCARDED):
        step()
    while True:
        keep, bit = step(), step()
        if keep:
            yield bit


def _integer(bits: Iterator[int]) -> int:
    value = 0
    for _ in range(FIELD_BITS):
        value = value << 1 | next(bits)
    return value


@cache
def poseidon_parameters(width: int) -> PoseidonParameters:
    """Parameters for a state of `width` elements, 2 to 17."""
    if not 2 <= width <= INPUTS_MAX + 1:
        raise ValueError(f"Poseidon is defined here for 2 to {INPUTS_MAX + 1} elements, not {width}")
    partial_rounds = PARTIAL_ROUNDS[width - 2]
    bits = _grain(width, partial_rounds)
    constants: list[int] = []
    while len(constants) < width * (FULL_ROUNDS + partial_rounds):
        candidate = _integer(bits)
        if candidate < ORDER:
            constants.append(candidate)
    points: list[int] = []
    while len(set(points)) != 2 * width:
        points = [_integer(bits) % ORDER for _ in range(2 * width)]
    matrix = tuple(tuple(pow(x + y, -1, ORDER) for y in points[width:]) for x in points[:width])
    return PoseidonParameters(width=width, partial_rounds=partial_rounds, constants=tuple(constants), matrix=matrix)


def poseidon(inputs: list[int]) -> int:
    """The hash of 1 to 16 field elements, as circomlib's `Poseidon(n)`."""
    parameters = poseidon_parameters(len(inputs) + 1)
    state = [0, *inputs]
    for index in range(FULL_ROUNDS + parameters.partial_rounds):
        start = index * parameters.width
        state = [(x + c) % ORDER for x, c in zip(state, parameters.constants[start:], strict=False)]
        boxes = parameters.width if is_full(index, parameters) else 1
        state = [pow(x, 5, ORDER) if at < boxes else x for at, x in enumerate(state)]
        state = [sum(m * x for m, x in zip(row, state, strict=True)) % ORDER for row in parameters.matrix]
    return state[0]


def is_full(index: int, parameters: PoseidonParameters) -> bool:
    """Whether a round has boxes on the whole state."""
    half = FULL_ROUNDS // 2
    return index < half or index >= half + parameters.partial_rounds
