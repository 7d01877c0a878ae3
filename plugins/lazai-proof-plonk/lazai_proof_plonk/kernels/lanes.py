"""Instructions for eight elements at a time: five limbs of 52 bits, AVX-512 IFMA.

Values are in Montgomery form with R = 2^256, as in field arrays, and below 2p unless said otherwise. The multiplier
reduces by 2^260, so one factor of a product is first multiplied by 16 (`prepared`, or `twiddle` for constants below
1.02 p). With 260 bits for a 254-bit prime, sums need no reduction for long: `raw_mul` of a < A p and b < B p is
below (1 + A B / 84) p.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir

_WORD = ir.IntType(64)
_VECTOR = ir.VectorType(_WORD, 8)
_HALF = ir.VectorType(_WORD, 4)
_INDICES = ir.VectorType(ir.IntType(32), 8)
_BITS = 52
_LIMBS = 5
_MASK = (1 << _BITS) - 1


def _splat(value: int) -> Any:
    return ir.Constant(_VECTOR, [value] * 8)


def _limbs_of(value: int) -> list[Any]:
    return [_splat(value >> _BITS * i & _MASK) for i in range(_LIMBS)]


class Lanes:
    """Emits vector instructions through one LLVM builder. Outside, a value is one LLVM array of five vectors."""

    LANES = 8
    BLOCK_BYTES = 320
    UNIFORM_BYTES = 40
    TYPE = ir.ArrayType(_VECTOR, _LIMBS)

    def __init__(self, builder: Any, modulus: int) -> None:
        self.builder, self.modulus = builder, modulus

    # LIMBS

    def _open(self, value: Any) -> list[Any]:
        return [self.builder.extract_value(value, i) for i in range(_LIMBS)]

    def _close(self, limbs: list[Any]) -> Any:
        value = ir.Constant(self.TYPE, ir.Undefined)
        for i, limb in enumerate(limbs):
            value = self.builder.insert_value(value, limb, i)
        return value

    def _carried(self, limbs: list[Any]) -> list[Any]:
        """Limbs of 52 bits from limbs of up to 63 bits with sign; the value must not be negative."""
        builder, done = self.builder, list(limbs)
        for i in range(_LIMBS - 1):
            carry = builder.ashr(done[i], _splat(_BITS))
            done[i] = builder.and_(done[i], _splat(_MASK))
            done[i + 1] = builder.add(done[i + 1], carry)
        return done

    # MEMORY

    def _vector_pointer(self, address: Any, offset: int, kind: Any = _VECTOR) -> Any:
        return self.builder.inttoptr(self.builder.add(address, ir.Constant(_WORD, offset)), kind.as_pointer())

    def load(self, address: Any) -> Any:
        return self._close([self.builder.load(self._vector_pointer(address, 64 * i), align=8) for i in range(_LIMBS)])

    def store(self, value: Any, address: Any) -> None:
        for i, limb in enumerate(self._open(value)):
            self.builder.store(limb, self._vector_pointer(address, 64 * i), align=8)

    def _spread(self, word: Any) -> Any:
        undefined = ir.Constant(_VECTOR, ir.Undefined)
        single = self.builder.insert_element(undefined, word, ir.Constant(ir.IntType(32), 0))
        return self.builder.shuffle_vector(single, undefined, ir.Constant(_INDICES, [0] * 8))

    def load_uniform(self, address: Any) -> Any:
        """One element of five limbs side by side, on all lanes."""
        words = [self.builder.load(self._vector_pointer(address, 8 * i, _WORD), align=8) for i in range(_LIMBS)]
        return self._close([self._spread(word) for word in words])

    def store_uniform(self, value: Any, address: Any) -> None:
        """The first lane in the form that `load_uniform` spreads over all lanes."""
        for i, limb in enumerate(self._open(value)):
            word = self.builder.extract_element(limb, ir.Constant(ir.IntType(32), 0))
            self.builder.store(word, self._vector_pointer(address, 8 * i, _WORD), align=8)

    def _shuffled(self, a: Any, b: Any, indices: list[int]) -> Any:
        return self.builder.shuffle_vector(a, b, ir.Constant(_INDICES, indices))

    def load_rows(self, addresses: list[Any]) -> Any:
        """Eight elements of field arrays, one for each lane."""
        builder = self.builder
        rows = [builder.load(builder.inttoptr(a, _HALF.as_pointer()), align=8) for a in addresses]
        pairs = [self._shuffled(rows[i], rows[i + 4], list(range(8))) for i in range(4)]
        even, odd = [0, 8, 2, 10, 4, 12, 6, 14], [1, 9, 3, 11, 5, 13, 7, 15]
        first, second = [0, 1, 8, 9, 4, 5, 12, 13], [2, 3, 10, 11, 6, 7, 14, 15]
        w = []
        for unpacking in (even, odd):
            low = self._shuffled(pairs[0], pairs[1], unpacking)
            high = self._shuffled(pairs[2], pairs[3], unpacking)
            w.append((self._shuffled(low, high, first), self._shuffled(low, high, second)))
        return self._close(self._limbs_from_words([w[0][0], w[1][0], w[0][1], w[1][1]]))

    def _limbs_from_words(self, words: list[Any]) -> list[Any]:
        builder = self.builder
        limbs = [builder.and_(words[0], _splat(_MASK))]
        for i in range(1, 4):
            lower = builder.lshr(words[i - 1], _splat(64 - 12 * i))
            upper = builder.shl(words[i], _splat(12 * i))
            limbs.append(builder.and_(builder.or_(lower, upper), _splat(_MASK)))
        return [*limbs, builder.lshr(words[3], _splat(16))]

    def store_rows(self, value: Any, addresses: list[Any]) -> None:
        """Canonical words of each lane to its own place; the value is below 2p."""
        builder = self.builder
        limbs = self._open(self.canonical(value))
        words = [
            builder.or_(builder.lshr(limbs[i], _splat(12 * i)), builder.shl(limbs[i + 1], _splat(52 - 12 * i)))
            for i in range(4)
        ]
        first, second = [0, 1, 8, 9, 4, 5, 12, 13], [2, 3, 10, 11, 6, 7, 14, 15]
        even, odd = [0, 8, 2, 10, 4, 12, 6, 14], [1, 9, 3, 11, 5, 13, 7, 15]
        pairs = []
        for gathering in (first, second):
            low = self._shuffled(words[0], words[2], gathering)
            high = self._shuffled(words[1], words[3], gathering)
            pairs += [self._shuffled(low, high, even), self._shuffled(low, high, odd)]
        for i, pair in enumerate(pairs):
            for part in range(2):
                indices = ir.Constant(ir.VectorType(ir.IntType(32), 4), [4 * part + j for j in range(4)])
                half = builder.shuffle_vector(pair, pair, indices)
                pointer = builder.inttoptr(addresses[i + 4 * part], _HALF.as_pointer())
                builder.store(half, pointer, align=8)

    # ARITHMETIC

    def zero(self) -> Any:
        return self._close(_limbs_of(0))

    def one(self) -> Any:
        return self._close(_limbs_of((1 << 256) % self.modulus))

    def _lowered(self, limbs: list[Any], bound: int) -> list[Any]:
        """limbs - bound where that is not negative."""
        builder = self.builder
        low = self._carried([builder.sub(a, b) for a, b in zip(limbs, _limbs_of(bound), strict=True)])
        negative = builder.icmp_signed("<", low[-1], _splat(0))
        return [builder.select(negative, a, b) for a, b in zip(limbs, low, strict=True)]

    def canonical(self, value: Any) -> Any:
        return self._close(self._lowered(self._open(value), self.modulus))

    def _sum(self, a: Any, b: Any) -> list[Any]:
        return [self.builder.add(x, y) for x, y in zip(self._open(a), self._open(b), strict=True)]

    def _difference(self, a: Any, b: Any) -> list[Any]:
        """a - b + 2p, limbs with sign."""
        raised = [self.builder.add(x, y) for x, y in zip(self._open(a), _limbs_of(2 * self.modulus), strict=True)]
        return [self.builder.sub(x, y) for x, y in zip(raised, self._open(b), strict=True)]

    def add(self, a: Any, b: Any) -> Any:
        return self._close(self._lowered(self._carried(self._sum(a, b)), 2 * self.modulus))

    def sub(self, a: Any, b: Any) -> Any:
        return self._close(self._lowered(self._carried(self._difference(a, b)), 2 * self.modulus))

    def lazy_add(self, a: Any, b: Any) -> Any:
        """a + b, not reduced."""
        return self._close(self._carried(self._sum(a, b)))

    def lazy_sub(self, a: Any, b: Any) -> Any:
        """a - b + 2p, not reduced; b is below 2p."""
        return self._close(self._carried(self._difference(a, b)))

    def prepared(self, a: Any) -> Any:
        """16 a: a factor whose `raw_mul` by b gives the product in field array form. Bits above 52 stay, unused."""
        builder, limbs = self.builder, self._open(a)
        shifted = [builder.shl(limb, _splat(4)) for limb in limbs]
        for i in range(1, _LIMBS):
            shifted[i] = builder.or_(shifted[i], builder.lshr(limbs[i - 1], _splat(48)))
        return self._close(shifted)

    def twiddle(self, a: Any) -> Any:
        """16 a mod p, below 1.02 p: a prepared factor that serves other factors up to 64 p."""
        return self.raw_mul(a, self._close(_limbs_of((1 << 264) % self.modulus)))

    def loose_mul(self, a: Any, b: Any) -> Any:
        """a b / 2^260 mod p, carries not propagated: an operand of `lazy_add` and `lazy_sub` only."""
        builder = self.builder
        kind = ir.FunctionType(_VECTOR, [_VECTOR] * 3)

        def multiplier(part: str) -> Any:
            name = f"llvm.x86.avx512.vpmadd52{part}.uq.512"
            function = builder.module.globals.get(name) or ir.Function(builder.module, kind, name)
            return lambda total, x, y: builder.call(function, [total, x, y])

        lower, upper = multiplier("l"), multiplier("h")
        prime = _limbs_of(self.modulus)
        negated_inverse = _splat(-pow(self.modulus, -1, 1 << _BITS) % (1 << _BITS))
        left, zero = self._open(a), _splat(0)
        total = [zero] * _LIMBS
        for limb in self._open(b):
            total = [lower(t, x, limb) for t, x in zip(total, left, strict=True)]
            factor = lower(zero, total[0], negated_inverse)
            total = [lower(t, factor, x) for t, x in zip(total, prime, strict=True)]
            carry = builder.lshr(total[0], _splat(_BITS))
            total = [builder.add(total[1], carry), *total[2:], zero]
            total = [upper(t, x, limb) for t, x in zip(total, left, strict=True)]
            total = [upper(t, factor, x) for t, x in zip(total, prime, strict=True)]
        return self._close(total)

    def raw_mul(self, a: Any, b: Any) -> Any:
        return self._close(self._carried(self._open(self.loose_mul(a, b))))

    def mul(self, a: Any, b: Any) -> Any:
        return self.raw_mul(self.prepared(a), b)

    # MASKS: one bit a lane, in a 64-bit word

    def _packed(self, flags: Any) -> Any:
        return self.builder.zext(self.builder.bitcast(flags, ir.IntType(8)), _WORD)

    def zero_mask(self, a: Any) -> Any:
        """Lanes that are zero modulo p; the value is below 2p."""
        builder, found = self.builder, None
        for bound in (0, self.modulus):
            different = None
            for limb, part in zip(self._open(a), _limbs_of(bound), strict=True):
                bits = builder.xor(limb, part)
                different = bits if different is None else builder.or_(different, bits)
            equal = builder.icmp_unsigned("==", different, _splat(0))
            found = equal if found is None else builder.or_(found, equal)
        return self._packed(found)

    def equal_mask(self, a: Any, b: Any) -> Any:
        """Lanes where the limbs agree: equality of canonical values."""
        builder, different = self.builder, None
        for x, y in zip(self._open(a), self._open(b), strict=True):
            bits = builder.xor(x, y)
            different = bits if different is None else builder.or_(different, bits)
        return self._packed(builder.icmp_unsigned("==", different, _splat(0)))

    def blend(self, mask: Any, a: Any, b: Any) -> Any:
        """a where the mask is set, else b."""
        builder = self.builder
        flags = builder.bitcast(builder.trunc(mask, ir.IntType(8)), ir.VectorType(ir.IntType(1), 8))
        return self._close([builder.select(flags, x, y) for x, y in zip(self._open(a), self._open(b), strict=True)])

    def odd_mask(self, address: Any) -> Any:
        """Lanes whose word in the list at `address` is odd."""
        words = self.builder.load(self._vector_pointer(address, 0), align=8)
        odd = self.builder.and_(words, _splat(1))
        return self._packed(self.builder.icmp_unsigned("!=", odd, _splat(0)))
