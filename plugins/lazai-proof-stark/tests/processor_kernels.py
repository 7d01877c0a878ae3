"""`FieldKernels` over this plugin's numba kernels: holds them to the contract's suite, and stands in for a device."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from attrs import field, frozen

from lazai_core.api.field_kernels import Element, FieldArray
from lazai_proof_stark import scalars as f
from lazai_proof_stark.commitment import encode
from lazai_proof_stark.field import DEGREE, P
from lazai_proof_stark.fractions import eq_tables
from lazai_proof_stark.kernels import codewords, extension, hashing, sums
from lazai_proof_stark.kernels.arrays import lane_sums, splat
from lazai_proof_stark.merkle import padded_words

Words = Any


@frozen(kw_only=True, eq=False)
class ProcessorArray:
    """Words in the kernels' layouts."""

    words: Words = field(repr=False)
    over_extension: bool = False

    @property
    def shape(self) -> tuple[int, ...]:
        return (16 * len(self.words),) if self.over_extension else tuple(self.words.shape)


def _words(array: FieldArray) -> Words:
    assert isinstance(array, ProcessorArray)
    return array.words


def _room(count: int) -> Words:
    return np.empty((count // 16, DEGREE, 16), dtype=np.uint32)


def _over_extension(words: Words) -> ProcessorArray:
    return ProcessorArray(words=words, over_extension=True)


class ProcessorKernels:
    """One kernel a step, one thread."""

    device = "cpu"
    accelerated = True
    """So that "auto" takes it, as it would take a GPU."""

    def load_base(self, words: memoryview) -> ProcessorArray:
        return ProcessorArray(words=np.frombuffer(words, dtype="<u4").astype(np.uint32))

    def load_extension(self, words: memoryview) -> ProcessorArray:
        return _over_extension(self.load_base(words).words.reshape(-1, DEGREE, 16))

    def load_hashes(self, words: memoryview) -> ProcessorArray:
        return ProcessorArray(words=self.load_base(words).words.reshape(-1, 8))

    def read(self, array: FieldArray) -> bytes:
        return bytes(_words(array).astype("<u4").tobytes())

    def read_rows(self, array: FieldArray, rows: Sequence[int]) -> bytes:
        return bytes(_words(array)[list(rows)].astype("<u4").tobytes())

    def encode(self, values: FieldArray, log_columns: int, log_rate: int) -> ProcessorArray:
        message = np.ascontiguousarray(_words(values).reshape(1 << log_columns, -1).T)
        return ProcessorArray(words=encode(message, log_rate))

    def hash_rows(self, rows: FieldArray, key: bytes) -> ProcessorArray:
        words = _words(rows)
        words = words.reshape(-1, 16) if words.shape[1] == 8 else words
        filled = np.zeros((len(words), padded_words(words.shape[1])), dtype=np.uint32)
        filled[:, : words.shape[1]] = words
        digests = np.empty((len(words), 8), dtype=np.uint32)
        hashing.hash_rows(filled, np.frombuffer(key, dtype="<u4").astype(np.uint32), digests, 0, len(words))
        return ProcessorArray(words=digests)

    def combine_columns(self, matrix: FieldArray, weights: Sequence[Element]) -> ProcessorArray:
        words = _words(matrix)
        out = _room(len(words))
        codewords.combine_all_rows(words, np.stack([splat(weight) for weight in weights]), out, 0, len(out))
        return _over_extension(out)

    def fold_code(self, code: FieldArray, challenge: Element) -> ProcessorArray:
        words = _words(code)
        out = np.empty_like(words[: len(words) // 2])
        inverses = codewords.halved_inverse_powers((16 * len(words)).bit_length() - 1)
        half = np.ascontiguousarray(splat(f.lift((P + 1) // 2))[0])
        codewords.fold_codeword(words, inverses, splat(challenge), half, out, 0, len(out))
        return _over_extension(out)

    def code_leaves(self, code: FieldArray, log_arity: int) -> ProcessorArray:
        words = _words(code)
        parts = words.reshape(1 << log_arity, -1, DEGREE, 16)
        rows = np.ascontiguousarray(parts.transpose(1, 3, 0, 2)).reshape(-1, DEGREE << log_arity)
        return ProcessorArray(words=rows)

    def eq_table(self, point: Sequence[Element]) -> ProcessorArray:
        return _over_extension(eq_tables(list(point))[-1])

    def fold(self, values: FieldArray, challenge: Element, parts: int = 1) -> ProcessorArray:
        words, r = _words(values), splat(challenge)
        if not values.over_extension:
            out = _room(len(words) // 2)
            extension.fold_base(words, out, r, 0, len(out))
            return _over_extension(out)
        folded = []
        for part in np.split(words, parts):
            out = np.empty_like(part[: len(part) // 2])
            extension.fold(np.ascontiguousarray(part), out, r, 0, len(out))
            folded.append(out)
        return _over_extension(np.concatenate(folded))

    def pair_round(self, values: FieldArray, weights: FieldArray) -> tuple[Element, Element]:
        accumulator = np.zeros((2, DEGREE, 16), dtype=np.uint32)
        kernel = sums.pair_round if values.over_extension else sums.pair_round_base
        kernel(_words(values), _words(weights), accumulator, 0, len(_words(weights)) // 2)
        first, second = lane_sums(accumulator)
        return first, second

    def add_fractions(self, numerators: FieldArray, denominators: FieldArray) -> tuple[ProcessorArray, ProcessorArray]:
        p, q = _words(numerators), _words(denominators)
        up_p, up_q = np.empty_like(p[: len(p) // 2]), np.empty_like(p[: len(p) // 2])
        sums.add_fractions(p, q, up_p, up_q, 0, len(up_p))
        return _over_extension(up_p), _over_extension(up_q)

    def fraction_round(
        self, numerators: FieldArray, denominators: FieldArray, weights: FieldArray, mix: Element
    ) -> tuple[Element, Element]:
        accumulator = np.zeros((2, DEGREE, 16), dtype=np.uint32)
        p, q, e = (_words(array) for array in (numerators, denominators, weights))
        sums.fraction_round(p, q, e, splat(mix), accumulator, 0, len(p) // 4)
        first, second = lane_sums(accumulator)
        return first, second
