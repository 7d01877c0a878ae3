"""Instructions for one element as four 64-bit words: every processor has them.

A value is one 256-bit integer below 2p, in Montgomery form with R = 2^256; since 4p < 2^256 a product of such values is
below 2p again without a final subtraction. `lazy` operations and `loose` products are the plain ones here.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir

_WORD = ir.IntType(64)
_DOUBLE = ir.IntType(128)
_VALUE = ir.IntType(256)
_WIDE = ir.IntType(320)
STEP_BITS = 31
"""Bits that one step of the greatest common divisor settles."""


class Words:
    """Emits instructions through one LLVM builder."""

    LANES = 1
    BLOCK_BYTES = 32
    UNIFORM_BYTES = 32
    TYPE = _VALUE

    def __init__(self, builder: Any, modulus: int) -> None:
        self.builder, self.modulus = builder, modulus

    def _constant(self, value: int) -> Any:
        return ir.Constant(_VALUE, value)

    # MEMORY

    def _pointer(self, address: Any) -> Any:
        return self.builder.inttoptr(address, _VALUE.as_pointer())

    def load(self, address: Any) -> Any:
        return self.builder.load(self._pointer(address), align=8)

    def store(self, value: Any, address: Any) -> None:
        self.builder.store(value, self._pointer(address), align=8)

    load_uniform = load

    def store_uniform(self, value: Any, address: Any) -> None:
        """The first lane in the form that `load_uniform` spreads over all lanes."""
        self.store(value, address)

    def load_rows(self, addresses: list[Any]) -> Any:
        return self.load(addresses[0])

    def store_rows(self, value: Any, addresses: list[Any]) -> None:
        self.store(self.canonical(value), addresses[0])

    # ARITHMETIC

    def zero(self) -> Any:
        return self._constant(0)

    def one(self) -> Any:
        return self._constant((1 << 256) % self.modulus)

    def _lowered(self, value: Any, bound: int) -> Any:
        builder = self.builder
        small = builder.icmp_unsigned("<", value, self._constant(bound))
        return builder.select(small, value, builder.sub(value, self._constant(bound)))

    def canonical(self, value: Any) -> Any:
        return self._lowered(value, self.modulus)

    def add(self, a: Any, b: Any) -> Any:
        return self._lowered(self.builder.add(a, b), 2 * self.modulus)

    def sub(self, a: Any, b: Any) -> Any:
        builder = self.builder
        difference = builder.sub(a, b)
        raised = builder.add(difference, self._constant(2 * self.modulus))
        return builder.select(builder.icmp_unsigned("<", a, b), raised, difference)

    lazy_add = add
    lazy_sub = sub

    def prepared(self, a: Any) -> Any:
        return a

    def twiddle(self, a: Any) -> Any:
        return a

    def _limbs(self, value: Any) -> list[Any]:
        builder = self.builder
        return [builder.trunc(builder.lshr(value, self._constant(64 * i)), _WORD) for i in range(4)]

    def _accumulated(self, total: Any, a: Any, b: Any, carry: Any) -> tuple[Any, Any]:
        """Lower and upper word of total + a b + carry; carry None is zero."""
        builder = self.builder
        product = builder.mul(builder.zext(a, _DOUBLE), builder.zext(b, _DOUBLE))
        for word in (total, carry):
            if word is not None:
                product = builder.add(product, builder.zext(word, _DOUBLE))
        return builder.trunc(product, _WORD), builder.trunc(builder.lshr(product, ir.Constant(_DOUBLE, 64)), _WORD)

    def raw_mul(self, a: Any, b: Any) -> Any:
        """a b / 2^256 mod p, word by word."""
        builder = self.builder
        prime = [ir.Constant(_WORD, self.modulus >> 64 * i & (1 << 64) - 1) for i in range(4)]
        negated_inverse = ir.Constant(_WORD, -pow(self.modulus, -1, 1 << 64) % (1 << 64))
        left, right = self._limbs(a), self._limbs(b)
        total: list[Any] = [None] * 4
        for word in right:
            carry = None
            for i in range(4):
                total[i], carry = self._accumulated(total[i], left[i], word, carry)
            factor = builder.mul(total[0], negated_inverse)
            _, reduced = self._accumulated(total[0], factor, prime[0], None)
            for i in range(1, 4):
                total[i - 1], reduced = self._accumulated(total[i], factor, prime[i], reduced)
            total[3] = builder.add(carry, reduced)
        value = builder.zext(total[0], _VALUE)
        for i in range(1, 4):
            value = builder.or_(value, builder.shl(builder.zext(total[i], _VALUE), self._constant(64 * i)))
        return value

    mul = raw_mul
    loose_mul = raw_mul

    # INVERSION: steps of the binary greatest common divisor (see `inversion`)

    def _row(self, value: Any, factor: Any) -> Any:
        """The 320-bit product of a value and a word."""
        builder, carry, words = self.builder, None, []
        for limb in self._limbs(value):
            word, carry = self._accumulated(carry, limb, factor, None)
            words.append(word)
        result = builder.zext(words[0], _WIDE)
        for i, word in enumerate([*words[1:], carry], 1):
            result = builder.or_(result, builder.shl(builder.zext(word, _WIDE), ir.Constant(_WIDE, 64 * i)))
        return result

    def _signed_row(self, value: Any, factor: Any) -> Any:
        builder = self.builder
        negative = builder.icmp_signed("<", factor, ir.Constant(_WORD, 0))
        product = self._row(value, builder.select(negative, builder.neg(factor), factor))
        return builder.select(negative, builder.neg(product), product)

    def _combination(self, a: Any, b: Any, f: Any, g: Any) -> Any:
        return self.builder.add(self._signed_row(a, f), self._signed_row(b, g))

    def reduction(self, a: Any, b: Any, f: Any, g: Any) -> Any:
        """|a f + b g| / 2^31, an exact division."""
        builder = self.builder
        total = self._combination(a, b, f, g)
        negative = builder.icmp_signed("<", total, ir.Constant(_WIDE, 0))
        magnitude = builder.select(negative, builder.neg(total), total)
        return builder.trunc(builder.lshr(magnitude, ir.Constant(_WIDE, STEP_BITS)), _VALUE)

    def reduction_sign(self, a: Any, b: Any, f: Any, g: Any) -> Any:
        """1 where a f + b g is negative, else 0."""
        total = self._combination(a, b, f, g)
        return self.builder.zext(self.builder.icmp_signed("<", total, ir.Constant(_WIDE, 0)), _WORD)

    def cofactor(self, u: Any, v: Any, f: Any, g: Any) -> Any:
        """(u f + v g) / 2^31 mod p, canonical, for canonical u, v and |f| + |g| up to 2^31."""
        builder = self.builder
        total = self._combination(u, v, f, g)
        negated_inverse = ir.Constant(_WORD, -pow(self.modulus, -1, 1 << STEP_BITS) % (1 << STEP_BITS))
        factor = builder.mul(builder.trunc(total, _WORD), negated_inverse)
        factor = builder.and_(factor, ir.Constant(_WORD, (1 << STEP_BITS) - 1))
        total = builder.add(total, self._row(self._constant(self.modulus), factor))
        total = builder.ashr(total, ir.Constant(_WIDE, STEP_BITS))
        prime = ir.Constant(_WIDE, self.modulus)
        negative = builder.icmp_signed("<", total, ir.Constant(_WIDE, 0))
        total = builder.select(negative, builder.add(total, prime), total)
        small = builder.icmp_signed("<", total, prime)
        return builder.trunc(builder.select(small, total, builder.sub(total, prime)), _VALUE)

    def modulus_value(self) -> Any:
        """p itself, which is no field element: for the greatest common divisor only."""
        return self._constant(self.modulus)

    def inversion_start(self) -> Any:
        """2^512 mod p: with it the inverse of a Montgomery form is in Montgomery form."""
        return self._constant((1 << 512) % self.modulus)

    def word(self, value: Any, index: Any) -> Any:
        builder = self.builder
        shift = builder.zext(builder.shl(index, ir.Constant(_WORD, 6)), _VALUE)
        return builder.trunc(builder.lshr(value, shift), _WORD)

    # MASKS: one bit a lane, in a 64-bit word

    def zero_mask(self, a: Any) -> Any:
        """Lanes that are zero modulo p."""
        builder = self.builder
        found = builder.or_(
            builder.icmp_unsigned("==", a, self._constant(0)),
            builder.icmp_unsigned("==", a, self._constant(self.modulus)),
        )
        return builder.zext(found, _WORD)

    def equal_mask(self, a: Any, b: Any) -> Any:
        """Equality of canonical values."""
        return self.builder.zext(self.builder.icmp_unsigned("==", a, b), _WORD)

    def blend(self, mask: Any, a: Any, b: Any) -> Any:
        """a where the mask is set, else b."""
        return self.builder.select(self.builder.trunc(mask, ir.IntType(1)), a, b)

    def odd_mask(self, address: Any) -> Any:
        """Lanes whose word in the list at `address` is odd."""
        word = self.builder.load(self.builder.inttoptr(address, _WORD.as_pointer()), align=8)
        return self.builder.and_(word, ir.Constant(_WORD, 1))
