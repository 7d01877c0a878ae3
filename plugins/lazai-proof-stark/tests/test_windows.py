"""Weights in short against weights in full: the same numbers, and the same bytes of an opening."""

from __future__ import annotations

from random import Random
from typing import Any

import numpy as np
import pytest

from lazai_core.api.transcript import Transcript
from lazai_proof_stark import field as f
from lazai_proof_stark import windows
from lazai_proof_stark.circuit import karray
from lazai_proof_stark.circuit.functional import Dense, Eq, Factor, Ones, Sparse, Term
from lazai_proof_stark.circuit.layout import Layout, arrange, bits_of, pieces_of
from lazai_proof_stark.circuit.nodes import Committed, Constant, Shape
from lazai_proof_stark.claims import CommittedClaims
from lazai_proof_stark.commitment import CodeParameters, combined_columns, commit, encode_extension, open_weighted
from lazai_proof_stark.commitment import Shape as CodeShape
from lazai_proof_stark.expansion import weights_over
from lazai_proof_stark.field import DEGREE, Extension, P
from lazai_proof_stark.kernels.arrays import extension_array, extension_values, from_montgomery, to_montgomery
from lazai_proof_stark.kernels.windows import add_windows, dot_windows, scaled, scatter_scalars
from lazai_proof_stark.messages import Sender
from lazai_proof_stark.windows import WINDOW, windowed

SHAPES: tuple[Shape, ...] = (
    (96, 320),
    (40, 128),
    (3, 16, 32),
    (700,),
    (20,),
    (2, 5),
    (6, 3, 7),
    (48, 96),
    (1,),
    (33, 65),
)
Claims = list[tuple[Committed | Constant, Term]]


def element(random: Random) -> Extension:
    a, b, c, d, e = (random.randrange(P) for _ in range(DEGREE))
    return (a, b, c, d, e)


def entries(random: Random, count: int) -> karray.KArray:
    return np.array([element(random) for _ in range(count)], dtype=np.int64)


def factor(random: Random, axes: tuple[int, ...], extents: Shape, kind: str) -> Factor:
    """One vector over the axes, given in the way that `kind` names."""
    count = int(np.prod(extents))
    if kind == "eq":
        point = tuple(element(random) for _ in range(bits_of(count)))
        return Eq(axes=axes, extents=extents, point=point)
    if kind == "ones":
        return Ones(axes=axes, extents=extents)
    if kind == "sparse":
        indices = np.array([random.randrange(count) for _ in range(3)], dtype=np.int64)
        return Sparse(axes=axes, extents=extents, indices=indices, weights=entries(random, 3))
    return Dense(axes=axes, extents=extents, values=entries(random, count))


def sample(kinds: tuple[str, ...], *, joint: bool, copies: int = 2, seed: int = 1) -> tuple[Layout, Claims]:
    """Tensors of many shapes with a few functionals on each."""
    random = Random(seed)
    layout = arrange([(index, pieces_of(shape)) for index, shape in enumerate(SHAPES)])
    claims: Claims = []
    for index, shape in enumerate(SHAPES):
        leaf = Constant(shape=shape, low=0, high=1, index=index)
        wide = [axis for axis, extent in enumerate(shape) if extent > 1]
        for _ in range(copies):
            runs = [tuple(wide)] if joint and wide else [(axis,) for axis in wide]
            factors = tuple(
                factor(random, run, tuple(shape[axis] for axis in run), random.choice(kinds)) for run in runs
            )
            claims.append((leaf, Term(coefficient=element(random), factors=factors)))
            if random.random() < 0.3:
                claims.append((leaf, Term(coefficient=element(random), factors=factors)))
    return layout, claims


CASES: dict[str, dict[str, Any]] = {
    "products": {"kinds": ("eq", "ones"), "joint": False},
    "vectors": {"kinds": ("dense", "sparse"), "joint": False},
    "crowded": {"kinds": ("dense", "eq"), "joint": False, "copies": 12},
    "joint": {"kinds": ("dense",), "joint": True},
    "nothing": {"kinds": ("eq",), "joint": False, "copies": 0},
}
CODE = CodeParameters(log_rate=2, queries=5, grinding_bits=2)


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
@pytest.mark.parametrize("log_columns", [4, 6])
def test_weights_are_those_of_all_cells(case: dict[str, Any], log_columns: int) -> None:
    layout, claims = sample(**case)
    variables = max(layout.variables, log_columns + 8)
    given = CommittedClaims(terms=tuple(claims))
    short = windowed(layout, variables, log_columns, given)
    assert np.array_equal(short.in_full(), weights_over(layout, variables, given))


def test_the_cases_reach_both_ways() -> None:
    short = {}
    for name in ("crowded", "products"):
        layout, claims = sample(**CASES[name])
        short[name] = windowed(layout, layout.variables, 4, CommittedClaims(terms=tuple(claims)))
    assert len(short["crowded"].crowded)
    assert len(short["products"].slot_places)


@pytest.mark.parametrize("most", [0, 8, 10**6])
@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_an_opening_has_the_same_bytes(case: dict[str, Any], most: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(windows, "LOWERS_MAX", most)
    layout, claims = sample(**case, seed=2)
    given = CommittedClaims(terms=tuple(claims))
    values = np.random.default_rng(3).integers(0, P, 1 << layout.variables)
    committed = commit(to_montgomery(values), CODE)
    shape = CodeShape.of(layout.variables, CODE)
    proofs = []
    for weights in (
        weights_over(layout, layout.variables, given),
        windowed(layout, layout.variables, shape.log_columns, given),
    ):
        sender = Sender(Transcript("test"))
        point = open_weighted(committed, weights, sender)
        proofs.append((point, sender.proof()))
    assert proofs[0] == proofs[1]


@pytest.mark.parametrize("edge", [False, True])
def test_windows_times_vectors(edge: bool) -> None:
    random, generator = Random(4), np.random.default_rng(5)
    values = np.full(5 * WINDOW, P - 1) if edge else generator.integers(0, P, 5 * WINDOW)
    lowers = [[(P - 1,) * 5 if edge else element(random) for _ in range(WINDOW)] for _ in range(3)]
    vectors = np.stack([extension_array(lower) for lower in lowers])  # type: ignore[arg-type]
    chosen = np.array([4, -1, *(random.randrange(5) for _ in range(14))], dtype=np.int64)
    numbers = np.array([random.randrange(3) for _ in range(16)], dtype=np.int64)
    out = np.empty((1, DEGREE, 16), dtype=np.uint32)
    dot_windows(to_montgomery(values), chosen, vectors, numbers, out, 0, 1)
    expected = []
    for window, number in zip(chosen.tolist(), numbers.tolist(), strict=True):
        cells = values[window * WINDOW : (window + 1) * WINDOW].tolist() if window >= 0 else [0] * WINDOW
        terms = [f.scale(w, v) for w, v in zip(lowers[number], cells, strict=True)]  # type: ignore[arg-type]
        expected.append(f.sum_all(terms))
    assert extension_values(out) == expected


def test_columns_are_combined() -> None:
    values = np.random.default_rng(6).integers(0, P, 1 << 12)
    values[: 1 << 8] = P - 1
    committed = commit(to_montgomery(values), CODE)
    challenges = [element(Random(seed)) for seed in range(committed.shape.log_columns)]
    combined = extension_values(combined_columns(committed, challenges))
    weights = f.eq_vector(list(reversed(challenges)))
    rows = values.reshape(len(weights), -1)
    for row in (0, 1, 77, rows.shape[1] - 1):
        terms = [f.scale(weight, int(value)) for weight, value in zip(weights, rows[:, row], strict=True)]
        assert combined[row] == f.sum_all(terms)
    codeword = extension_values(encode_extension(extension_array(combined), CODE.log_rate))
    opened = from_montgomery(committed.codeword)
    for row in (0, 5, len(opened) - 1):
        terms = [f.scale(weight, int(value)) for weight, value in zip(weights, opened[row], strict=True)]
        assert codeword[row] == f.sum_all(terms)


def test_scalars_are_scattered_and_multiples_added() -> None:
    random = Random(7)
    scalars = [element(random) for _ in range(6)]
    coefficient = element(random)
    words = np.array([[c * (1 << 32) % P for c in s] for s in scalars], dtype=np.uint32)
    scale = np.array([c * (1 << 32) % P for c in coefficient], dtype=np.uint32)
    products = [f.multiply(coefficient, scalar) for scalar in scalars]
    found = from_montgomery(scaled(words, scale)).tolist()
    assert [tuple(row) for row in found] == products
    out = np.zeros((2, 1, DEGREE, 16), dtype=np.uint32)
    slots = np.array([3, -1, 0, 5], dtype=np.int64)
    chosen = np.array([0, 1, 2, 3, 4, 6], dtype=np.int64)
    for _ in range(2):
        scatter_scalars(words, scale, chosen, 2, slots, out)
    first, second = (extension_values(column) for column in out)
    twice = [f.add(product, product) for product in products]
    assert (first[3], first[0], first[5], second[3], second[0]) == (twice[0], twice[2], twice[3], twice[4], twice[5])
    lower = [element(random) for _ in range(WINDOW)]
    total = np.zeros((32, DEGREE, 16), dtype=np.uint32)
    numbers, places = np.zeros(3, dtype=np.int64), np.array([1, 0, 1], dtype=np.int64)
    add_windows(words[:3], extension_array(lower)[None], numbers, places, total)
    cells = extension_values(total)
    assert cells[:WINDOW] == [f.multiply(scalars[1], x) for x in lower]
    assert cells[WINDOW:] == [f.multiply(f.add(scalars[0], scalars[2]), x) for x in lower]
