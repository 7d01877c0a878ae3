"""The fused numerator against the protocol's formula in plain integers."""

from __future__ import annotations

import random

import pytest

from lazai_proof_plonk.field import R
from lazai_proof_plonk.kernels import engines
from lazai_proof_plonk.kernels.fields import FR
from lazai_proof_plonk.kernels.quotient import COLUMNS, SHIFTED, numerator_over_vanishing

ROWS, STEP = 64, 4
GATES = ("qm", "ql", "qr", "qo", "qn", "qc")
LOOKUPS = ("s", "m", "qk", "tag", "t1", "t2", "t3")
ENGINES = [engines.SCALAR_WORDS, *([engines.SCALAR_LANES] if engines.VECTORISED else [])]


def drawn(source: random.Random, count: int) -> list[int]:
    return [source.choice([0, 1, R - 1, source.randrange(R)]) for _ in range(count)]


def expected(columns: dict[str, list[int]], constants: list[int], inverses: list[int]) -> list[int]:
    beta, alpha, alpha_2, alpha_3, eta, eta_2, gamma, chi = constants
    zeros = [0] * (ROWS + STEP)
    col = {name: columns.get(name, zeros) for name in COLUMNS}
    found = []
    for i in range(ROWS):
        now = {name: values[i] for name, values in col.items()}
        c_next, z_next, s_next = (col[name][i + STEP] for name in ("c", "z", "s"))
        a, b, c, z, x = (now[name] for name in ("a", "b", "c", "z", "x"))
        total = now["qm"] * a * b + now["ql"] * a + now["qr"] * b + now["qo"] * c
        total += now["qn"] * c_next + now["qc"] + now["pi"]
        straight = (a + beta * x + gamma) * (b + 2 * beta * x + gamma) * (c + 3 * beta * x + gamma) * z
        permuted = (a + beta * now["s1"] + gamma) * (b + beta * now["s2"] + gamma) * (c + beta * now["s3"] + gamma)
        total += alpha * (straight - permuted * z_next) + alpha_2 * (z - 1) * now["l1"]
        if "qk" in columns:
            looked = chi + a + eta * b + eta_2 * now["tag"]
            listed = chi + now["t1"] + eta * now["t2"] + eta_2 * now["t3"]
            total += alpha_3 * ((s_next - now["s"]) * looked * listed - now["qk"] * listed + now["m"] * looked)
        found.append(total * inverses[i % len(inverses)] % R)
    return found


@pytest.mark.parametrize("engine", ENGINES, ids=lambda engine: engine.name)
@pytest.mark.parametrize("missing", [(), LOOKUPS, ("qn", *LOOKUPS), ("qm", "qc"), GATES], ids=len)
def test_the_kernel_follows_the_formula(engine: engines.Engine, missing: tuple[str, ...]) -> None:
    source = random.Random(len(missing))
    columns = {name: drawn(source, ROWS + (STEP if name in SHIFTED else 0)) for name in COLUMNS if name not in missing}
    constants, inverses = drawn(source, 8), drawn(source, 4)
    arrays = {name: FR.encode(values) for name, values in columns.items()}
    for threads in (1, 2):
        found = numerator_over_vanishing(arrays, constants, FR.encode(inverses), STEP, engine=engine, threads=threads)
        assert FR.decode(found) == expected(columns, constants, inverses)


def test_columns_that_do_not_fit_are_refused() -> None:
    columns = {name: FR.zeros(ROWS + (STEP if name in SHIFTED else 0)) for name in COLUMNS}
    inverses = FR.zeros(4)
    for wrong in ("a", "z", "qk"):
        with pytest.raises(ValueError, match="rows"):
            numerator_over_vanishing(columns | {wrong: FR.zeros(ROWS + 1)}, [0] * 8, inverses, STEP)
    for name in ("s1", "tag"):
        with pytest.raises(ValueError, match="missing"):
            numerator_over_vanishing({n: v for n, v in columns.items() if n != name}, [0] * 8, inverses, STEP)
    with pytest.raises(ValueError, match="inverses"):
        numerator_over_vanishing(columns, [0] * 8, FR.zeros(3), STEP)
