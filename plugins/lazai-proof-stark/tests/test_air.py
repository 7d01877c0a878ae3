"""General computations: what holds is proved, what does not is refused by name, and forged tables find no proof."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lazai_core.api.errors import InvalidInput, InvalidProgram, ProofError, ProofRejected, ProvingFailed
from lazai_core.testing.cases import cases
from lazai_proof_stark import scalars as f
from lazai_proof_stark.air import Air, poseidon2, prove_air, verify_air
from lazai_proof_stark.air import prove as prover
from lazai_proof_stark.air.examples.fibonacci import fibonacci, fibonacci_table
from lazai_proof_stark.air.examples.hash_chain import hash_chain, hash_chain_table
from lazai_proof_stark.air.examples.memory import Access, memory, memory_table
from lazai_proof_stark.air.examples.merkle_path import merkle_path, merkle_path_table
from lazai_proof_stark.air.expressions import as_expression
from lazai_proof_stark.air.protocol import shift_at
from lazai_proof_stark.air.verify import interpolate
from lazai_proof_stark.field import P
from lazai_proof_stark.parameters import parameter_set

DEV = parameter_set("dev")
# The published test of the default KoalaBear permutation of width 16 (Plonky3, koala-bear/src/poseidon2.rs).
VECTOR_INPUT = (
    894848333, 1437655012, 1200606629, 1690012884, 71131202, 1749206695, 1717947831, 120589055,
    19776022, 42382981, 1831865506, 724844064, 171220207, 1299207443, 227047920, 1783754913,
)  # fmt: skip
VECTOR_OUTPUT = (
    1934285469, 604889435, 133449501, 1026180808, 1830659359, 176667110, 1391183747, 351743874,
    1238264085, 1292768839, 2023573270, 1201586780, 1360691759, 1230682461, 748270449, 651545025,
)  # fmt: skip


def check(air: Air, table, publics=None) -> bytes:
    proof = prove_air(air, table, DEV)
    verify_air(air, prover.public_values(air, table) if publics is None else publics, proof, DEV, 0)
    return proof


def accesses(count: int, seed: int) -> list[Access]:
    random = np.random.default_rng(seed)
    held: dict[int, int] = {}
    found = []
    for _ in range(count):
        address = int(random.integers(0, 7))
        is_write = address not in held or bool(random.random() < 0.4)
        if is_write:
            held[address] = int(random.integers(0, P))
        found.append(Access(address, held[address], is_write))
    return found


@pytest.mark.parametrize("log_rows", [4, 5, 6, 7, 10])
def test_fibonacci_numbers_are_proved(log_rows: int) -> None:
    check(fibonacci(log_rows), fibonacci_table(log_rows))


def test_another_public_number_is_refused() -> None:
    air, table = fibonacci(5), fibonacci_table(5)
    proof = prove_air(air, table, DEV)
    values = prover.public_values(air, table)

    for index in range(3):
        changed = [value + (place == index) for place, value in enumerate(values)]
        with pytest.raises(ProofRejected):
            verify_air(air, changed, proof, DEV, 0)
    for wrong in (values[:2], [*values, 1], [P, 1, 1], [-1, 1, 1]):
        with pytest.raises(ProofRejected, match="statement"):
            verify_air(air, wrong, proof, DEV, 0)


def test_a_weak_set_is_refused_by_default() -> None:
    air, table = fibonacci(4), fibonacci_table(4)

    with pytest.raises(ProofRejected, match="security"):
        verify_air(air, prover.public_values(air, table), prove_air(air, table, DEV), DEV)


def test_poseidon2_is_the_published_permutation() -> None:
    assert tuple(poseidon2.permute(VECTOR_INPUT)) == VECTOR_OUTPUT
    full, partial = poseidon2.round_constants()
    assert (full[0][0], full[4][0], partial[0]) == (0x7EE56A48, 0x43E7DC24, 0x54DFEB5D)
    _, outputs = poseidon2.permutation_cells(np.array([VECTOR_INPUT]))
    assert tuple(outputs[0]) == VECTOR_OUTPUT


def test_a_hash_chain_is_proved_and_its_last_link_counts() -> None:
    air, table = hash_chain(4), hash_chain_table(4, range(8))
    current = list(range(8))
    for _ in range(15):
        current = poseidon2.compress(current, [0] * 8)

    assert prover.public_values(air, table)[1::2] == current
    check(air, table)


def test_a_merkle_path_is_proved_for_its_root() -> None:
    random = np.random.default_rng(3)
    siblings = random.integers(0, P, (16, 8)).tolist()
    bits = random.integers(0, 2, 16).tolist()
    leaf = list(range(8))
    root = leaf
    for sibling, bit in zip(siblings, bits, strict=True):
        root = poseidon2.compress(sibling, root) if bit else poseidon2.compress(root, sibling)
    air, table = merkle_path(4), merkle_path_table(leaf, siblings, bits)
    publics = [value for pair in zip(leaf, root, strict=True) for value in pair]

    check(air, table, publics)


def test_memory_is_proved() -> None:
    found = accesses(64, 1)

    check(memory(6), memory_table(found), [found[-1].value])


def test_a_read_of_another_value_is_refused_by_name() -> None:
    found = accesses(64, 1)
    index = next(i for i, access in enumerate(found) if not access.is_write)
    found[index] = Access(found[index].address, found[index].value + 1, False)

    with pytest.raises(ProvingFailed, match="read repeats"):
        prove_air(memory(6), memory_table(found), DEV)


def test_a_tuple_outside_its_table_is_refused() -> None:
    table = memory_table(accesses(64, 2))
    table["asked"] = table["asked"] + (np.arange(64) == 3)

    with pytest.raises(ProvingFailed, match="left over"):
        prove_air(memory(6), table, DEV)


@pytest.fixture
def unchecked(monkeypatch: pytest.MonkeyPatch) -> None:
    """A prover that does not look at its table first: what an attacker would run."""
    monkeypatch.setattr(prover, "_check_table", lambda *_: None)
    monkeypatch.setattr(prover, "_check_buses", lambda *_: None)


@pytest.mark.usefixtures("unchecked")
def test_forged_cells_find_no_proof() -> None:
    air = memory(5)
    good = memory_table(accesses(32, 4))
    for case in cases(30):
        with case:
            column, row = case.choice(air.columns), case.random.randrange(32)
            table = {name: values.copy() for name, values in good.items()}
            table[column][row] = (int(table[column][row]) + 1 + case.random.randrange(P - 1)) % P
            if (column == "gap" and row == 31) or (column == "same" and row == 31):
                continue
            publics = prover.public_values(air, good)
            proof = prove_air(air, table, DEV)
            with pytest.raises(ProofRejected):
                verify_air(air, publics, proof, DEV, 0)


@pytest.mark.usefixtures("unchecked")
def test_a_broken_link_finds_no_proof() -> None:
    air, table = fibonacci(6), fibonacci_table(6)
    table["b"][40] += 1

    with pytest.raises(ProofRejected):
        verify_air(air, prover.public_values(air, table), prove_air(air, table, DEV), DEV, 0)


def test_every_changed_byte_is_refused() -> None:
    air, table = memory(5), memory_table(accesses(32, 4))
    publics = prover.public_values(air, table)
    proof = prove_air(air, table, DEV)
    for case in cases(150):
        with case:
            changed = case.mutate(proof)
            if changed == proof:
                continue
            with pytest.raises(ProofError):
                verify_air(air, publics, changed, DEV, 0)


def test_a_proof_is_about_one_computation() -> None:
    table = fibonacci_table(5)
    other = fibonacci(5)
    other.always("zero", other.row["a"] - other.row["a"])
    proof = prove_air(fibonacci(5), table, DEV)

    assert other.digest() != fibonacci(5).digest()
    with pytest.raises(ProofError):
        verify_air(other, prover.public_values(other, table), proof, DEV, 0)


def test_tables_of_another_shape_are_refused() -> None:
    air, table = fibonacci(5), fibonacci_table(5)

    with pytest.raises(InvalidInput, match="columns"):
        prove_air(air, {"a": table["a"]}, DEV)
    with pytest.raises(InvalidInput, match="rows"):
        prove_air(air, {"a": table["a"], "b": table["b"][:-1]}, DEV)


def test_descriptions_are_checked_where_they_are_written() -> None:
    with pytest.raises(InvalidProgram, match="log_rows"):
        Air("short", ("a",), 3)
    with pytest.raises(InvalidProgram, match="names"):
        Air("twice", ("a", "a"), 4)
    air = Air("high", ("a",), 4)
    power = air.row["a"]
    for _ in range(8):
        power = power * air.row["a"]
    with pytest.raises(InvalidProgram, match="degree 9"):
        air.always("ninth power", power)
    with pytest.raises(InvalidProgram, match="degree 0"):
        air.always("constant", as_expression(5))
    with pytest.raises(InvalidProgram, match="no cell"):
        air.public("b", 0)
    with pytest.raises(InvalidProgram, match="no cell"):
        air.public("a", 16)
    with pytest.raises(InvalidProgram, match="degree 1 over one row"):
        air.send("bus", [air.row["a"] * air.row["a"]], 1)
    with pytest.raises(InvalidProgram, match="degree 1 over one row"):
        air.send("bus", [air.following["a"]], 1)


def test_tuples_of_a_bus_have_one_length() -> None:
    air = Air("lengths", ("a", "b"), 4)
    air.send("bus", [air.row["a"]], 1)

    with pytest.raises(InvalidProgram, match="same length"):
        air.send("bus", [air.row["a"], air.row["b"]], -1)


def test_a_permutation_alone_is_a_computation() -> None:
    air = Air("shuffle", ("a", "b"), 5)
    air.permutation("order", [air.row["a"]], [air.row["b"]])
    values = np.arange(32, dtype=np.int64) % 7

    check(air, {"a": values, "b": values[::-1]})
    with pytest.raises(ProvingFailed, match="left over"):
        prove_air(air, {"a": values, "b": values + 1}, DEV)


def test_lookups_count_only_where_they_are_asked_for() -> None:
    air = Air("lookup", ("x", "t", "m", "s"), 5)
    row = air.row
    air.always("flag", row["s"] * (row["s"] - 1))
    air.lookup("table", [row["x"]], [row["t"]], row["m"], where=row["s"])
    table = np.arange(32, dtype=np.int64)
    asked = np.where(table % 2 == 0, table, 900 + table)
    columns = {"x": asked, "t": table, "m": (table % 2 == 0).astype(np.int64), "s": (table % 2 == 0).astype(np.int64)}

    check(air, columns)
    with pytest.raises(ProvingFailed, match="left over"):
        prove_air(air, columns | {"s": np.ones(32, dtype=np.int64)}, DEV)


@pytest.mark.parametrize("degree", [1, 2, 3, 4, 6])
def test_constraints_of_every_degree(degree: int) -> None:
    air = Air("powers", ("a", "b"), 6)
    power = air.row["a"]
    for _ in range(degree - 1):
        power = power * air.row["a"]
    air.always("power", air.row["b"] - power)
    values = np.arange(64, dtype=np.int64)
    result = np.array([pow(int(value), degree, P) for value in values])

    check(air, {"a": values, "b": result})
    with pytest.raises(ProvingFailed, match="row 9"):
        prove_air(air, {"a": values, "b": result + (values == 9)}, DEV)


# What both sides know of rows.


@pytest.mark.parametrize("period", [1, 2, 8, 64])
def test_fixed_columns_repeat_their_values(period: int) -> None:
    values = [(7 * index + 3) % 11 for index in range(period)]
    air = Air("fixed", ("a", "b"), 6)
    step = air.fixed("step", values)
    air.always("here", air.row["a"] - step)
    air.always("next", air.row["b"] - air.following["step"])
    repeated = np.array(values * (64 // period))
    table = {"a": repeated, "b": np.roll(repeated, -1)}

    check(air, table)
    for name in ("a", "b"):
        with pytest.raises(ProvingFailed, match="row 5"):
            prove_air(air, table | {name: table[name] + (np.arange(64) == 5)}, DEV)


def test_the_values_of_a_fixed_column_are_part_of_the_computation() -> None:
    def counting(values: list[int]) -> Air:
        air = Air("counting", ("a",), 5)
        air.always("here", air.row["a"] - air.fixed("step", values))
        return air

    proof = prove_air(counting([1, 2]), {"a": [1, 2] * 16}, DEV)
    verify_air(counting([1, 2]), [], proof, DEV, 0)
    for other in ([2, 1], [1, 3], [1, 2, 1, 2], [1]):
        assert counting(other).digest() != counting([1, 2]).digest()
        with pytest.raises(ProofRejected):
            verify_air(counting(other), [], proof, DEV, 0)


def test_periodic_selectors_and_boundaries() -> None:
    air = Air("clock", ("a", "b"), 5)
    row, following = air.row, air.following
    starts = air.every(8, offset=7)
    air.transition("counts", following["a"] - (1 - starts) * (row["a"] + 1))
    air.boundary("begins", 0, row["a"])
    air.boundary("in the middle", 11, row["b"] - 5)
    air.boundary("ends", -1, row["a"] - 7)
    a, b = np.arange(32) % 8, np.zeros(32, dtype=np.int64)
    b[11] = 5

    check(air, {"a": a, "b": b})
    with pytest.raises(ProvingFailed, match="counts"):
        prove_air(air, {"a": (a + 1) % 8, "b": b}, DEV)
    with pytest.raises(ProvingFailed, match=r"'in the middle' does not hold in row 11"):
        prove_air(air, {"a": a, "b": b - b}, DEV)


def test_lookups_into_a_fixed_table() -> None:
    air = Air("squares", ("x", "y", "asked"), 5)
    number = air.fixed("number", range(32))
    square = air.fixed("square", [value * value for value in range(32)])
    air.lookup("square", [air.row["x"], air.row["y"]], [number, square], air.row["asked"])
    x = np.arange(32) * 7 % 13
    asked = np.bincount(x, minlength=32)

    check(air, {"x": x, "y": x * x, "asked": asked})
    with pytest.raises(ProvingFailed, match="left over"):
        prove_air(air, {"x": x, "y": x * x + (np.arange(32) == 4), "asked": asked}, DEV)


@settings(max_examples=10, deadline=None)
@given(st.integers(4, 7), st.randoms(use_true_random=False))
def test_what_is_known_of_rows_has_the_extension_of_its_rows(variables: int, random) -> None:
    air = Air("known", ("a",), variables)
    point = [tuple(random.randrange(P) for _ in range(5)) for _ in range(variables)]
    period = 1 << random.randrange(variables + 1)
    known = [
        air.fixed("list", [random.randrange(P) for _ in range(period)]),
        air.following["list"],
        air.at(random.randrange(air.rows)),
        air.every(period, random.randrange(period)),
    ]
    for item in known:
        values = [f.lift(int(value)) for value in item.on_rows(air.rows)]
        assert item.at(point) == f.evaluate_multilinear(values, point)
    assert air.following["list"].on_rows(air.rows).tolist() == np.roll(known[0].on_rows(air.rows), -1).tolist()


def test_fixed_columns_and_rows_are_checked_where_they_are_written() -> None:
    air = Air("fixed", ("a",), 4)
    for name, values in (("a", [1]), ("b", []), ("b", [1, 2, 3]), ("b", [0] * 32)):
        with pytest.raises(InvalidProgram, match="fixed column"):
            air.fixed(name, values)
    for period, offset in ((3, 0), (0, 0), (32, 0), (4, 4), (4, -1)):
        with pytest.raises(InvalidProgram, match="period"):
            air.every(period, offset)
    for row in (16, -17):
        with pytest.raises(InvalidProgram, match="no row"):
            air.at(row)
    air.fixed("b", [1])
    with pytest.raises(InvalidProgram, match="no cell"):
        air.public("b", 0)


@pytest.mark.parametrize("state", [fibonacci, hash_chain, merkle_path, memory], ids=lambda f: f.__name__)
def test_a_computation_is_stated_in_twenty_lines(state: Callable[[int], Air]) -> None:
    lines = inspect.getsource(state).splitlines()[2:]
    code = [line for line in lines if line.strip() and not line.strip().startswith("#")]
    assert len(code) <= 20


def test_more_bus_entries_than_a_set_is_sound_for_are_refused() -> None:
    air = Air("bus", ("a",), 22)
    for _ in range(5):
        air.send("bus", [air.row["a"]] * 16, 1)
    set128 = parameter_set("proven128")

    with pytest.raises(ProofRejected, match="sound for"):
        verify_air(air, (), b"", set128)


@settings(max_examples=10, deadline=None)
@given(st.integers(1, 6), st.randoms(use_true_random=False))
def test_the_shift_is_the_multilinear_extension_of_adding_one(variables: int, random) -> None:
    z, x = ([tuple(random.randrange(P) for _ in range(5)) for _ in range(variables)] for _ in range(2))
    weights, at_x = f.eq_vector(z), f.eq_vector(x)
    size = 1 << variables

    expected = f.sum_all([f.multiply(weights[y], at_x[(y + 1) % size]) for y in range(size)])

    assert shift_at(z, x) == expected


def test_interpolation_goes_through_its_points() -> None:
    values = [f.lift(value**3 + 2) for value in range(5)]

    assert interpolate(values, f.lift(9)) == f.lift(9**3 + 2)


def test_the_example_of_the_readme_runs() -> None:
    text = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")
    code = text.split("```python\n")[1].split("```")[0]

    exec(compile(code, "README.md", "exec"), {})


def test_a_table_beyond_the_sound_size_is_refused() -> None:
    air = Air("wide", tuple(f"c{number}" for number in range(64)), log_rows=22)
    air.always("zero", air.row["c0"])

    with pytest.raises(ProofRejected, match="statement"):
        verify_air(air, (), b"", DEV, 0)
