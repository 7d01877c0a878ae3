"""KoalaBear arithmetic on sixteen lanes at a time, as LLVM vectors inside numba.

Elements are in Montgomery form (x * 2^32 mod p) below p. A vector of sixteen 32-bit lanes is legal on every target:
LLVM
splits it where registers are shorter, so one source serves all processors and gives the same bits on each.

Layouts in memory: an array over F is `uint32[n]`; an array over K is `uint32[n / 16, 5, 16]`, blocks of sixteen
elements with
each coefficient's lanes together, because arrays of whole coefficients alias in the cache at powers of two.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from llvmlite import ir
from numba.core import types
from numba.extending import intrinsic

from ..field import P

LANES = 16
BASE_BLOCK_BYTES = 4 * LANES
EXTENSION_BLOCK_BYTES = 5 * BASE_BLOCK_BYTES

NEGATED_INVERSE = (-pow(P, -1, 1 << 32)) % (1 << 32)

_WORD = ir.IntType(32)
_ADDRESS = ir.IntType(64)
_VECTOR = ir.VectorType(_WORD, LANES)
_WIDE = ir.VectorType(_ADDRESS, LANES // 2)

Wide = tuple[Any, Any]
"""Products of even and of odd lanes, 64 bits each."""


def _wide_constant(value: int) -> Any:
    return ir.Constant(_WIDE, [value] * (LANES // 2))


def _vector_constant(value: int) -> Any:
    return ir.Constant(_VECTOR, [value] * LANES)


class Lanes:
    """Emits vector instructions through one LLVM builder. Values are `<16 x i32>` below p."""

    def __init__(self, builder: Any) -> None:
        self.builder = builder
        module = builder.module
        name = "llvm.umin.v16i32"
        self._minimum = module.globals.get(name) or ir.Function(
            module, ir.FunctionType(_VECTOR, [_VECTOR, _VECTOR]), name
        )
        name = "llvm.umin.v8i64"
        self._wide_minimum = module.globals.get(name) or ir.Function(
            module, ir.FunctionType(_WIDE, [_WIDE, _WIDE]), name
        )

    def load(self, address: Any, index: int = 0) -> Any:
        """Sixteen elements at `address + 64 * index` bytes."""
        return self.builder.load(self._pointer(address, index), align=4)

    def store(self, value: Any, address: Any, index: int = 0) -> None:
        """Write sixteen elements."""
        self.builder.store(value, self._pointer(address, index), align=4)

    def _pointer(self, address: Any, index: int) -> Any:
        shifted = self.builder.add(address, ir.Constant(_ADDRESS, BASE_BLOCK_BYTES * index))
        return self.builder.inttoptr(shifted, _VECTOR.as_pointer())

    def constant(self, value: int) -> Any:
        """The same element, given canonical, in all lanes."""
        return _vector_constant(value * (1 << 32) % P)

    def _reduced_once(self, value: Any) -> Any:
        lowered = self.builder.sub(value, _vector_constant(P))
        return self.builder.call(self._minimum, [value, lowered])

    def add(self, a: Any, b: Any) -> Any:
        return self._reduced_once(self.builder.add(a, b))

    def sub(self, a: Any, b: Any) -> Any:
        difference = self.builder.sub(a, b)
        raised = self.builder.add(difference, _vector_constant(P))
        return self.builder.call(self._minimum, [difference, raised])

    def split(self, a: Any) -> Wide:
        """Even and odd lanes in 64-bit lanes; the upper halves are ignored by `wide_product`."""
        wide = self.builder.bitcast(a, _WIDE)
        return wide, self.builder.lshr(wide, _wide_constant(32))

    def wide_product(self, a: Any, b: Any) -> Wide:
        """Products before reduction, below p^2 < 2^62."""
        mask = _wide_constant(0xFFFFFFFF)
        (a_even, a_odd), (b_even, b_odd) = self.split(a), self.split(b)
        even = self.builder.mul(self.builder.and_(a_even, mask), self.builder.and_(b_even, mask))
        return even, self.builder.mul(a_odd, b_odd)

    def wide_sum(self, terms: Sequence[Wide]) -> Wide:
        """Sums below 4 p^2, which is below 2^64; the caller counts."""
        even, odd = terms[0]
        for term in terms[1:]:
            even, odd = self.builder.add(even, term[0]), self.builder.add(odd, term[1])
        return even, odd

    def lowered(self, wide: Wide) -> Wide:
        """The same residues below 2 p^2 < p 2^32, of values below 4 p^2."""
        limit = _wide_constant(2 * P * P)
        even, odd = (self.builder.call(self._wide_minimum, [half, self.builder.sub(half, limit)]) for half in wide)
        return even, odd

    def wide_sum_of_products(self, pairs: Sequence[tuple[Any, Any]]) -> Wide:
        """sum a * b below 2 p^2, not reduced."""
        products = [self.wide_product(a, b) for a, b in pairs]
        total = self.wide_sum(products[:4])
        if len(products) > 2:
            total = self.lowered(total)
        for start in range(4, len(products), 2):
            total = self.lowered(self.wide_sum([total, *products[start : start + 2]]))
        return total

    def reduce(self, wide: Wide) -> Any:
        """Montgomery reduction of values below p * 2^32."""
        builder, mask = self.builder, _wide_constant(0xFFFFFFFF)

        def quotient_added(value: Any) -> Any:
            factor = builder.and_(builder.mul(builder.and_(value, mask), _wide_constant(NEGATED_INVERSE)), mask)
            return builder.add(value, builder.mul(factor, _wide_constant(P)))

        even, odd = quotient_added(wide[0]), quotient_added(wide[1])
        upper = builder.and_(odd, _wide_constant(0xFFFFFFFF00000000))
        joined = builder.or_(builder.lshr(even, _wide_constant(32)), upper)
        return self._reduced_once(builder.bitcast(joined, _VECTOR))

    def mul(self, a: Any, b: Any) -> Any:
        return self.reduce(self.wide_product(a, b))

    def sum_of_products(self, pairs: Sequence[tuple[Any, Any]]) -> Any:
        """sum a * b with one reduction."""
        return self.reduce(self.wide_sum_of_products(pairs))


class ExtensionLanes:
    """Elements of K on sixteen lanes: lists of five vectors."""

    def __init__(self, builder: Any) -> None:
        self.base = Lanes(builder)

    def load(self, address: Any) -> list[Any]:
        return [self.base.load(address, index) for index in range(5)]

    def store(self, value: Sequence[Any], address: Any) -> None:
        for index, vector in enumerate(value):
            self.base.store(vector, address, index)

    def add(self, a: Sequence[Any], b: Sequence[Any]) -> list[Any]:
        return [self.base.add(x, y) for x, y in zip(a, b, strict=True)]

    def sub(self, a: Sequence[Any], b: Sequence[Any]) -> list[Any]:
        return [self.base.sub(x, y) for x, y in zip(a, b, strict=True)]

    def scale(self, a: Sequence[Any], b: Any) -> list[Any]:
        """K times F."""
        return [self.base.mul(x, b) for x in a]

    def mul(self, a: Sequence[Any], b: Sequence[Any]) -> list[Any]:
        """K times K; reduction by X^5 = 1 - X^2 as in `field.multiply`."""
        return self.sum_of_products([(a, b)])

    def sum_of_products(self, pairs: Sequence[tuple[Sequence[Any], Sequence[Any]]]) -> list[Any]:
        """sum a * b over K with five reductions.

        X^5 = 1 - X^2 makes coefficient k of a b the sum over i of a_i times coefficient k of X^i b, which is one of b's
        coefficients or a difference of them.
        """
        columns: list[list[tuple[Any, Any]]] = [[] for _ in range(5)]
        for a, b in pairs:
            for i, row in enumerate(self._multiples(b)):
                for power in range(5):
                    columns[power].append((a[i], row[power]))
        return [self.base.sum_of_products(column) for column in columns]

    def _multiples(self, b: Sequence[Any]) -> list[list[Any]]:
        """X^i b for i below 5."""
        sub = self.base.sub
        b0, b1, b2, b3, b4 = b
        b14, b03, b42 = sub(b1, b4), sub(b0, b3), sub(b4, b2)
        return [
            [b0, b1, b2, b3, b4],
            [b4, b0, b14, b2, b3],
            [b3, b4, b03, b14, b2],
            [b2, b3, b42, b03, b14],
            [b14, b2, sub(b3, b14), b42, b03],
        ]


Body = Callable[..., None]


def vector_intrinsic(body: Body, addresses: int) -> Any:
    """A numba intrinsic of `addresses` 64-bit addresses whose instructions `body(ExtensionLanes, *addresses)` emits."""

    def code(context: Any, builder: Any, _signature: Any, arguments: Sequence[Any]) -> Any:
        body(ExtensionLanes(builder), *arguments)
        return context.get_dummy_value()

    signature = types.void(*([types.uint64] * addresses))

    # numba wants the exact number of parameters in the function's own signature.
    names = ", ".join(f"a{index}" for index in range(addresses))
    scope: dict[str, Any] = {"signature": signature, "code": code}
    exec(f"def emit(context, {names}):\n    return signature, code", scope)
    return intrinsic(scope["emit"])


def transpose(builder: Any, rows: Sequence[Any]) -> list[Any]:
    """Sixteen vectors of sixteen words: columns become vectors."""
    current = list(rows)
    for distance in (8, 4, 2, 1):
        low_mask = [i if not i & distance else 16 + (i ^ distance) for i in range(16)]
        high_mask = [i ^ distance if not i & distance else 16 + i for i in range(16)]
        following = list(current)
        for index in range(16):
            if not index & distance:
                a, b = current[index], current[index | distance]
                following[index] = builder.shuffle_vector(a, b, ir.Constant(_VECTOR, low_mask))
                following[index | distance] = builder.shuffle_vector(a, b, ir.Constant(_VECTOR, high_mask))
        current = following
    return current
