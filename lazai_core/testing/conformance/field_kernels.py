"""What field kernels must give: the bits of the plain arithmetic in `lazai_core.testing.field_reference`."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from random import Random

import pytest

from lazai_core.api.field_kernels import BLOCK_LANES, Element, FieldArray, FieldKernels
from lazai_core.testing import field_reference as f
from lazai_core.testing.field_reference import P

KEY = bytes(range(32))
EDGES = (0, 1, P - 1, P - 2, (1 << 24) - 1, (1 << 32) % P)
with_edges = pytest.mark.parametrize("edges", [False, True])


def base_elements(count: int, seed: int, *, edges: bool = False) -> list[int]:
    """Random elements of F; with `edges` from the extremes only."""
    random = Random(seed)
    return [random.choice(EDGES) if edges else random.randrange(P) for _ in range(count)]


def elements(count: int, seed: int, *, edges: bool = False) -> list[Element]:
    """Random elements of K."""
    flat = base_elements(5 * count, seed, edges=edges)
    return [(flat[i], flat[i + 1], flat[i + 2], flat[i + 3], flat[i + 4]) for i in range(0, 5 * count, 5)]


def words(data: bytes) -> list[int]:
    """Elements of F from their wire form; each must be below p."""
    residues = struct.unpack(f"<{len(data) // 4}I", data)
    assert all(residue < P for residue in residues)
    inverse = pow(f.MONTGOMERY, -1, P)
    return [residue * inverse % P for residue in residues]


def blocks(values: Sequence[Element]) -> bytes:
    """Elements of K in blocks of sixteen."""
    parts = []
    for start in range(0, len(values), BLOCK_LANES):
        for coefficient in range(5):
            parts.append(f.residue_bytes([value[coefficient] for value in values[start : start + BLOCK_LANES]]))
    return b"".join(parts)


class FieldKernelsConformance:
    """Subclass it and give the fixture `kernels`."""

    @pytest.fixture
    def kernels(self) -> FieldKernels:
        """The kernels under test."""
        raise NotImplementedError("give a fixture `kernels` that returns your FieldKernels")

    # Helpers.

    def base(self, kernels: FieldKernels, values: Sequence[int]) -> FieldArray:
        """Elements of F on the device."""
        return kernels.load_base(memoryview(f.residue_bytes(values)).cast("I"))

    def extension(self, kernels: FieldKernels, values: Sequence[Element]) -> FieldArray:
        """Elements of K on the device."""
        return kernels.load_extension(memoryview(blocks(values)).cast("I"))

    def values(self, kernels: FieldKernels, array: FieldArray) -> list[Element]:
        """Elements of K as they come back."""
        assert array.over_extension
        assert len(array.shape) == 1
        flat = words(kernels.read(array))
        assert len(flat) == 5 * array.shape[0]
        found: list[Element] = []
        for start in range(0, len(flat), 5 * BLOCK_LANES):
            block = flat[start : start + 5 * BLOCK_LANES]
            a, b, c, d, e = (block[i * BLOCK_LANES : (i + 1) * BLOCK_LANES] for i in range(5))
            found += list(zip(a, b, c, d, e, strict=True))
        return found

    def rows(self, kernels: FieldKernels, array: FieldArray) -> list[list[int]]:
        """A matrix over F as it comes back."""
        count, width = array.shape
        flat = words(kernels.read_rows(array, range(count)))
        return [flat[start : start + width] for start in range(0, len(flat), width)]

    # The border.

    def test_it_says_where_it_runs(self, kernels: FieldKernels) -> None:
        assert kernels.device
        assert kernels.accelerated in (True, False)

    @with_edges
    def test_what_is_loaded_comes_back(self, kernels: FieldKernels, edges: bool) -> None:
        over_base, over_extension = base_elements(32, 1, edges=edges), elements(32, 2, edges=edges)
        array = self.base(kernels, over_base)
        assert (array.shape, array.over_extension) == ((32,), False)
        assert words(kernels.read(array)) == over_base
        assert self.values(kernels, self.extension(kernels, over_extension)) == over_extension
        hashes = Random(3).randbytes(32 * 16)
        loaded = kernels.load_hashes(memoryview(hashes).cast("I"))
        assert loaded.shape == (16, 8)
        assert kernels.read(loaded) == hashes
        assert kernels.read_rows(loaded, [3, 15]) == hashes[96:128] + hashes[480:]

    # Commitments.

    @with_edges
    @pytest.mark.parametrize("sizes", [(8, 4, 1), (9, 4, 2), (10, 5, 3)])
    def test_encoding_is_evaluation_at_the_powers_of_the_root(
        self, kernels: FieldKernels, sizes: tuple[int, int, int], edges: bool
    ) -> None:
        variables, log_columns, log_rate = sizes
        values = base_elements(1 << variables, 4, edges=edges)
        found = kernels.encode(self.base(kernels, values), log_columns, log_rate)
        log_rows = variables - log_columns
        assert found.shape == (1 << (log_rows + log_rate), 1 << log_columns)
        rows = self.rows(kernels, found)
        for column in (0, 1, (1 << log_columns) - 1):
            message = [f.lift(value) for value in values[column << log_rows : (column + 1) << log_rows]]
            expected = f.code_word(message, log_rows + log_rate)
            assert [f.lift(row[column]) for row in rows] == expected, column

    @pytest.mark.parametrize("log_words", [4, 6, 8])
    def test_rows_of_a_code_are_hashed(self, kernels: FieldKernels, log_words: int) -> None:
        values = self.base(kernels, base_elements(8 << log_words, 5))
        self.check_hashes(kernels, kernels.encode(values, log_words, 1))

    @pytest.mark.parametrize("log_arity", [0, 1, 2, 3, 4])
    def test_leaves_that_fill_no_whole_block_are_hashed(self, kernels: FieldKernels, log_arity: int) -> None:
        code = self.extension(kernels, elements(16 << log_arity, 6))
        self.check_hashes(kernels, kernels.code_leaves(code, log_arity))

    def check_hashes(self, kernels: FieldKernels, matrix: FieldArray) -> None:
        """Against BLAKE3 of each row, filled with zeros."""
        expected = b""
        for row in self.rows(kernels, matrix):
            data = f.residue_bytes(row)
            expected += f.keyed_blake3(KEY, data.ljust(-(-len(data) // 64) * 64, b"\0"))
        assert kernels.read(kernels.hash_rows(matrix, KEY)) == expected

    def test_pairs_of_hash_values_are_hashed(self, kernels: FieldKernels) -> None:
        hashes = Random(7).randbytes(32 * 32)
        found = kernels.hash_rows(kernels.load_hashes(memoryview(hashes).cast("I")), KEY)
        assert found.shape == (16, 8)
        assert kernels.read(found) == b"".join(
            f.keyed_blake3(KEY, hashes[start : start + 64]) for start in range(0, len(hashes), 64)
        )

    @with_edges
    def test_columns_are_combined(self, kernels: FieldKernels, edges: bool) -> None:
        matrix = kernels.encode(self.base(kernels, base_elements(1 << 8, 8, edges=edges)), 4, 1)
        weights = elements(16, 9, edges=edges)
        expected = []
        for row in self.rows(kernels, matrix):
            expected.append(f.total([f.multiply(f.lift(x), w) for x, w in zip(row, weights, strict=True)]))
        assert self.values(kernels, kernels.combine_columns(matrix, weights)) == expected

    @with_edges
    def test_a_folded_code_word_is_the_code_word_of_the_fold(self, kernels: FieldKernels, edges: bool) -> None:
        message, (r,) = elements(16, 10, edges=edges), elements(1, 11, edges=edges)
        code = self.extension(kernels, f.code_word(message, 6))
        assert self.values(kernels, kernels.fold_code(code, r)) == f.code_word(f.fold(message, r), 5)

    @pytest.mark.parametrize("log_arity", [1, 2, 3])
    def test_leaves_hold_what_folds_together(self, kernels: FieldKernels, log_arity: int) -> None:
        code = elements(16 << log_arity, 12)
        found = kernels.code_leaves(self.extension(kernels, code), log_arity)
        assert not found.over_extension
        expected = [[word for value in code[leaf::16] for word in value] for leaf in range(16)]
        assert self.rows(kernels, found) == expected

    # Sumchecks.

    @pytest.mark.parametrize("variables", [4, 5, 7])
    def test_eq_tables(self, kernels: FieldKernels, variables: int) -> None:
        point = elements(variables, 13)
        assert self.values(kernels, kernels.eq_table(point)) == f.eq_table(point)

    @with_edges
    def test_folds(self, kernels: FieldKernels, edges: bool) -> None:
        values, (r,) = elements(128, 14, edges=edges), elements(1, 15, edges=edges)
        assert self.values(kernels, kernels.fold(self.extension(kernels, values), r)) == f.fold(values, r)
        halves = [*f.fold(values[:64], r), *f.fold(values[64:], r)]
        assert self.values(kernels, kernels.fold(self.extension(kernels, values), r, 2)) == halves
        base = base_elements(64, 16, edges=edges)
        expected = f.fold([f.lift(value) for value in base], r)
        assert self.values(kernels, kernels.fold(self.base(kernels, base), r)) == expected

    @with_edges
    @pytest.mark.parametrize("count", [32, 256])
    def test_rounds_of_a_sum_of_products(self, kernels: FieldKernels, count: int, edges: bool) -> None:
        weights = elements(count, 18, edges=edges)
        base = base_elements(count, 19, edges=edges)
        for values, array in (
            (elements(count, 17, edges=edges), None),
            ([f.lift(value) for value in base], self.base(kernels, base)),
        ):
            given = self.extension(kernels, values) if array is None else array
            found = kernels.pair_round(given, self.extension(kernels, weights))
            assert found == tuple(self.at_zero_and_leading([values, weights], count // 2))

    @staticmethod
    def at_zero_and_leading(arrays: Sequence[Sequence[Element]], half: int) -> list[Element]:
        """sum of products over the lower halves, and over the differences of the halves."""
        lows = [list(array[:half]) for array in arrays]
        steps = [[f.subtract(array[i + half], array[i]) for i in range(half)] for array in arrays]
        return [f.total([f.multiply(x, y) for x, y in zip(pair[0], pair[1], strict=True)]) for pair in (lows, steps)]

    @with_edges
    def test_fractions_are_added(self, kernels: FieldKernels, edges: bool) -> None:
        p, q = elements(64, 20, edges=edges), elements(64, 21, edges=edges)
        up_p, up_q = kernels.add_fractions(self.extension(kernels, p), self.extension(kernels, q))
        crossed = [f.add(f.multiply(p[i], q[i + 32]), f.multiply(p[i + 32], q[i])) for i in range(32)]
        assert self.values(kernels, up_p) == crossed
        assert self.values(kernels, up_q) == [f.multiply(q[i], q[i + 32]) for i in range(32)]

    @with_edges
    def test_rounds_of_a_level_of_fractions(self, kernels: FieldKernels, edges: bool) -> None:
        p, q = elements(128, 22, edges=edges), elements(128, 23, edges=edges)
        e, (mix,) = elements(32, 24, edges=edges), elements(1, 25, edges=edges)

        def at(array: Sequence[Element], quarter: int, *, step: bool) -> list[Element]:
            low = array[32 * quarter : 32 * quarter + 32]
            high = array[32 * quarter + 32 : 32 * quarter + 64]
            return [f.subtract(b, a) for a, b in zip(low, high, strict=True)] if step else list(low)

        expected = []
        for step in (False, True):
            p0, p1, q0, q1 = (at(array, quarter, step=step) for array in (p, q) for quarter in (0, 2))
            terms = []
            for i in range(32):
                mixed = f.add(p1[i], f.multiply(mix, q1[i]))
                terms.append(f.multiply(e[i], f.add(f.multiply(p0[i], q1[i]), f.multiply(q0[i], mixed))))
            expected.append(f.total(terms))
        numerators, denominators, weights = (self.extension(kernels, array) for array in (p, q, e))
        found = kernels.fraction_round(numerators, denominators, weights, mix)
        assert list(found) == expected

    # Habits.

    def test_operands_are_left_as_they_were(self, kernels: FieldKernels) -> None:
        values, (r,) = elements(64, 26), elements(1, 27)
        array, base = self.extension(kernels, values), self.base(kernels, base_elements(256, 28))
        before = kernels.read(base)
        kernels.fold(array, r)
        kernels.fold(array, r, 2)
        kernels.add_fractions(array, array)
        kernels.fold_code(array, r)
        kernels.pair_round(array, array)
        kernels.encode(base, 4, 1)
        assert self.values(kernels, array) == values
        assert kernels.read(base) == before

    def test_threads_do_not_disturb_each_other(self, kernels: FieldKernels) -> None:
        inputs = [(elements(64, 30 + index), elements(1, 60 + index)[0]) for index in range(8)]

        def work(index: int) -> list[Element]:
            values, r = inputs[index]
            return self.values(kernels, kernels.fold(self.extension(kernels, values), r))

        with ThreadPoolExecutor(max_workers=4) as pool:
            found = list(pool.map(work, range(len(inputs))))
        assert found == [f.fold(values, r) for values, r in inputs]
