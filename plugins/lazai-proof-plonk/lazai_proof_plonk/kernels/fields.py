"""Field arrays and what is done with them; the package's docstring describes every method's layout and meaning."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from .. import field
from . import engines, pointwise, workers
from .rows import ROW_BYTES as _ROW
from .rows import Array, address, canonical_rows, rows_of


class FieldArrays:
    """Arithmetic on arrays over one field. `FR` and `FQ` are its two instances."""

    def __init__(self, modulus: int, engine: engines.Engine, words: engines.Engine) -> None:
        self.modulus, self.engine, self.words = modulus, engine, words
        self._bound = canonical_rows([modulus])[0]

    # CONVERSION

    def encode(self, values: Iterable[int]) -> Array:
        """Field array of any integers."""
        shifted = field.MONTGOMERY % self.modulus
        return canonical_rows([value * shifted % self.modulus for value in values])

    def decode(self, array: Array) -> list[int]:
        """Canonical integers."""
        data = self.from_montgomery(array).astype("<u8").tobytes()
        return [int.from_bytes(data[i : i + _ROW], "little") for i in range(0, len(data), _ROW)]

    def to_montgomery(self, canonical: Array, *, threads: int | None = None) -> Array:
        """Field array of rows below the modulus."""
        factor = canonical_rows([field.MONTGOMERY**2 % self.modulus])
        return self._combined(pointwise.MULTIPLY, canonical, factor, None, None, threads)

    def from_montgomery(self, array: Array, *, threads: int | None = None) -> Array:
        """Canonical array."""
        return self._combined(pointwise.MULTIPLY, array, canonical_rows([1]), None, None, threads)

    def is_canonical(self, array: Array) -> bool:
        """Every row is below the modulus."""
        return bool(pointwise.all_below(rows_of(array, 4, "a field array"), self._bound))

    def zeros(self, length: int) -> Array:
        return np.zeros((length, 4), dtype=np.uint64)

    def constant(self, value: int, length: int) -> Array:
        return np.repeat(self.encode([value]), length, axis=0)

    # ELEMENTWISE

    def _combined(
        self, kind: int, a: Array, b: Array, c: Array | None, out: Array | None, threads: int | None
    ) -> Array:
        """One row stands for as many as needed."""
        operands = [rows_of(x, 4, "an operand") for x in (a, b, a if c is None else c)]
        length = next((len(x) for x in operands if len(x) != 1), 1)
        if any(len(x) not in (1, length) for x in operands):
            raise ValueError(f"operands of {', '.join(str(len(x)) for x in operands)} rows do not fit together")
        result = np.empty((length, 4), dtype=np.uint64) if out is None else out
        if result.shape != (length, 4) or not result.flags.carray or result.dtype != np.uint64:
            raise ValueError(f"out must be a contiguous, aligned, writable uint64[{length}, 4]")
        places: list[np.uint64] = []
        for x in operands:
            places += [address(x), np.uint64(_ROW if len(x) == length and length > 1 else 0)]
        self._over(length, threads, pointwise.combine, kind, *places, address(result))
        return result

    def _over(self, length: int, threads: int | None, kernel: Any, *arguments: Any) -> None:
        """Whole blocks by the fast engine over the threads, the rest by the one-lane engine."""
        whole = length - length % self.engine.lanes
        tasks = [(self.engine, *arguments, begin, end) for begin, end in workers.ranges(whole, threads)]
        workers.each(kernel, tasks, threads)
        if whole < length:
            kernel(self.words, *arguments, whole, length)

    def add(self, a: Array, b: Array, *, out: Array | None = None, threads: int | None = None) -> Array:
        return self._combined(pointwise.ADD, a, b, None, out, threads)

    def sub(self, a: Array, b: Array, *, out: Array | None = None, threads: int | None = None) -> Array:
        return self._combined(pointwise.SUBTRACT, a, b, None, out, threads)

    def mul(self, a: Array, b: Array, *, out: Array | None = None, threads: int | None = None) -> Array:
        return self._combined(pointwise.MULTIPLY, a, b, None, out, threads)

    def neg(self, a: Array, *, out: Array | None = None, threads: int | None = None) -> Array:
        return self._combined(pointwise.SUBTRACT, self.zeros(1), a, None, out, threads)

    def scale(self, a: Array, k: int, *, out: Array | None = None, threads: int | None = None) -> Array:
        return self._combined(pointwise.MULTIPLY, a, self.encode([k]), None, out, threads)

    def add_constant(self, a: Array, k: int, *, out: Array | None = None, threads: int | None = None) -> Array:
        return self._combined(pointwise.ADD, a, self.encode([k]), None, out, threads)

    def multiply_add(
        self, a: Array, b: Array, c: Array, *, out: Array | None = None, threads: int | None = None
    ) -> Array:
        """a * b + c."""
        return self._combined(pointwise.MULTIPLY_ADD, a, b, c, out, threads)

    def linear_combination(
        self, arrays: Sequence[Array], coefficients: Sequence[int], *, threads: int | None = None
    ) -> Array:
        """sum coefficients[j] * arrays[j]; shorter arrays count as padded by zeros."""
        if len(arrays) != len(coefficients):
            raise ValueError(f"{len(arrays)} arrays but {len(coefficients)} coefficients")
        parts = [rows_of(array, 4, "an array") for array in arrays]
        result = np.empty((max((len(part) for part in parts), default=0), 4), dtype=np.uint64)
        factors = self.encode(coefficients)
        places = np.array([address(part) for part in parts], dtype=np.uint64)
        lengths = np.array([len(part) for part in parts], dtype=np.int64)
        start = 0
        for stop in sorted({len(part) for part in parts if len(part)}):
            # Between two lengths the set of arrays that reach so far is the same.
            shifted = places + np.uint64(start * _ROW)
            target = np.uint64(int(address(result)) + start * _ROW)
            self._over(stop - start, threads, pointwise.linear_sum, shifted, lengths - start, address(factors), target)
            start = stop
        return result

    # SEQUENCES

    def powers(self, base: int, length: int, *, first: int = 1, threads: int | None = None) -> Array:
        """first * base^i for i below `length`."""
        result, lanes, modulus = np.empty((length, 4), dtype=np.uint64), self.engine.lanes, self.modulus
        whole = length - length % lanes
        step = self.encode([pow(base, lanes, modulus)])
        # The list keeps the starting elements alive while kernels hold their addresses.
        tasks, kept = [], []
        for begin, end in workers.ranges(whole, threads):
            start = self.encode([first * pow(base, begin + lane, modulus) for lane in range(lanes)])
            kept.append(start)
            tasks.append((self.engine, address(start), address(step), address(result), begin, end))
        workers.each(pointwise.fill_powers, tasks, threads)
        if whole < length:
            result[whole:] = self.encode([first * pow(base, i, modulus) for i in range(whole, length)])
        return result

    def inverse(self, a: Array, *, threads: int | None = None) -> Array:
        """1 / a[i]; zero raises ZeroDivisionError."""
        source = rows_of(a, 4, "an operand")
        result, lanes = np.empty_like(source), self.engine.lanes
        whole = len(source) - len(source) % lanes

        def task(engine: engines.Engine, begin: int, end: int) -> bool:
            return bool(pointwise.invert_many(engine, self.words, address(source), address(result), begin, end))

        tasks = [(self.engine, begin, end) for begin, end in workers.ranges(whole, threads)]
        done = workers.each(task, tasks, threads)
        if not (all(done) and task(self.words, whole, len(source))):
            raise ZeroDivisionError("an element to be inverted is zero")
        return result

    def prefix_products(self, a: Array, *, threads: int | None = None) -> Array:
        """out[0] = 1, out[i] = a[0] ... a[i - 1]; one more element than `a`."""
        return self._running(a, (pointwise.segment_products, pointwise.running_products), 1, operator.mul, threads)

    def prefix_sums(self, a: Array, *, threads: int | None = None) -> Array:
        """out[0] = 0, out[i] = a[0] + ... + a[i - 1]; one more element than `a`."""
        return self._running(a, (pointwise.segment_sums, pointwise.running_sums), 0, operator.add, threads)

    def _running(
        self,
        a: Array,
        kernels: tuple[Any, Any],
        neutral: int,
        operation: Callable[[int, int], int],
        threads: int | None,
    ) -> Array:
        """What `operation` makes of all elements before each; first of whole segments, then within them."""
        source = rows_of(a, 4, "an operand")
        result = np.empty((len(source) + 1, 4), dtype=np.uint64)
        result[:1] = self.encode([neutral])
        segments, length = self._segments(len(source), threads)
        starts, running = [], neutral
        for value in self._segment_values(kernels[0], source, (segments, length), threads):
            starts.append(running)
            running = operation(running, value) % self.modulus
        encoded, last = self.encode(starts), self.encode([running])
        tasks = [
            (self.engine, self._at(source, s * length), length, self._at(encoded, s), self._at(result, 1 + s * length))
            for s in range(0, segments, self.engine.lanes)
        ]
        workers.each(kernels[1], tasks, threads)
        rest = segments * length
        if rest < len(source):
            tail = (self._at(source, rest), len(source) - rest, address(last), self._at(result, 1 + rest))
            kernels[1](self.words, *tail)
        return result

    @staticmethod
    def _at(array: Array, row: int) -> np.uint64:
        return np.uint64(array.ctypes.data + row * _ROW)

    def _segments(self, length: int, threads: int | None) -> tuple[int, int]:
        """How many segments, a multiple of the lanes, and their length; fewer elements than segments remain."""
        segments = len(workers.ranges(length, threads)) * self.engine.lanes
        return segments, length // segments

    def _segment_values(
        self, kernel: Any, source: Array, shape: tuple[int, int], threads: int | None, *extra: Any
    ) -> list[int]:
        """What `kernel` leaves of each segment."""
        segments, length = shape
        values = self.zeros(segments)
        tasks = [
            (self.engine, self._at(source, s * length), length, *extra, self._at(values, s))
            for s in range(0, segments, self.engine.lanes)
        ]
        workers.each(kernel, tasks, threads)
        return self.decode(values)

    # POLYNOMIALS

    def _summed(self, kernel: Any, arguments: tuple[Any, ...], length: int, threads: int | None) -> list[list[int]]:
        """Lane sums of each range and of the rest, in order."""
        whole = length - length % self.engine.lanes
        pieces = [(self.engine, begin, end) for begin, end in workers.ranges(whole, threads)]
        pieces += [(self.words, i, i + 1) for i in range(whole, length)]
        sums = self.zeros(len(pieces) * self.engine.lanes)
        tasks = [
            (engine, *arguments, self._at(sums, self.engine.lanes * i), begin, end)
            for i, (engine, begin, end) in enumerate(pieces)
        ]
        workers.each(kernel, tasks, threads)
        lanes, values = self.engine.lanes, self.decode(sums)
        return [values[lanes * i : lanes * i + engine.lanes] for i, (engine, _, _) in enumerate(pieces)]

    def inner_product(self, a: Array, b: Array, *, threads: int | None = None) -> int:
        """sum a[i] * b[i]."""
        left, right = rows_of(a, 4, "an operand"), rows_of(b, 4, "an operand")
        if len(left) != len(right):
            raise ValueError(f"operands of {len(left)} and {len(right)} rows do not fit together")
        sums = self._summed(pointwise.inner_sum, (address(left), address(right)), len(left), threads)
        return sum(sum(lanes) for lanes in sums) % self.modulus

    def evaluate(self, coefficients: Array, point: int, *, threads: int | None = None) -> int:
        """sum coefficients[i] * point^i."""
        source, modulus, lanes = rows_of(coefficients, 4, "coefficients"), self.modulus, self.engine.lanes
        step = self.encode([pow(point, lanes, modulus)])
        sums = self._summed(pointwise.horner, (address(source), address(step)), len(source), threads)
        whole = len(source) - len(source) % lanes
        starts = [begin for begin, _ in workers.ranges(whole, threads)] + list(range(whole, len(source)))
        total = 0
        for start, values in zip(starts, sums, strict=True):
            total += pow(point, start, modulus) * field.evaluate(values, point, modulus)
        return total % modulus

    def divide_by_linear(self, coefficients: Array, point: int, *, threads: int | None = None) -> tuple[Array, int]:
        """Quotient, one coefficient shorter, and remainder by X - point."""
        source, modulus = rows_of(coefficients, 4, "coefficients"), self.modulus
        if not len(source):
            return self.zeros(0), 0
        kept = np.empty_like(source)
        segments, length = self._segments(len(source), threads)
        rest, encoded_point, zeros = segments * length, self.encode([point]), self.zeros(self.engine.lanes)
        carry = 0
        if rest < len(source):
            tail = (self._at(source, rest), len(source) - rest, address(encoded_point), address(zeros))
            pointwise.horner_steps(self.words, *tail, self._at(kept, rest))
            carry = self.decode(kept[rest : rest + 1])[0]
        shape, fixed = (segments, length), (address(encoded_point), address(zeros))
        values = self._segment_values(pointwise.horner_ends, source, shape, threads, *fixed)
        starts, shift = [0] * segments, pow(point, length, modulus)
        for s in reversed(range(segments)):
            starts[s] = carry
            carry = (carry * shift + values[s]) % modulus
        encoded = self.encode(starts)
        tasks = [
            (
                self.engine,
                self._at(source, s * length),
                length,
                fixed[0],
                self._at(encoded, s),
                self._at(kept, s * length),
            )
            for s in range(0, segments, self.engine.lanes)
        ]
        workers.each(pointwise.horner_steps, tasks, threads)
        return kept[1:].copy(), carry


FR = FieldArrays(field.R, engines.SCALAR, engines.SCALAR_WORDS)
FQ = FieldArrays(field.Q, engines.BASE, engines.BASE_WORDS)
