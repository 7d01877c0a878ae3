"""A decoder of GPT-2's shape as an exact program with seeded weights: the work of the real model, without its words."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from attrs import frozen
from numpy.typing import NDArray

from lazai_core.api.program import DType
from lazai_core.exact.builder import ProgramBuilder, Value
from lazai_core.exact.codec import encode_inputs
from lazai_core.exact.model import ExactModel

SEED = 20261121
SCORE_TABLE = 1 << 11
Integers = NDArray[np.int64]


@frozen(kw_only=True)
class DecoderShape:
    """Sizes of a decoder. The head over the vocabulary shares its weights with the embedding, as in GPT-2."""

    layers: int
    width: int
    heads: int
    vocabulary: int
    positions: int = 16

    @property
    def inner(self) -> int:
        """Width between the two layers of the gated part."""
        return 4 * self.width


GPT2_SMALL = DecoderShape(layers=12, width=768, heads=12, vocabulary=50257)
GPT2_TINY = DecoderShape(layers=2, width=128, heads=4, vocabulary=1024)


class _Decoder:
    def __init__(self, shape: DecoderShape) -> None:
        self.shape = shape
        self.builder = ProgramBuilder()
        self.random = np.random.Generator(np.random.PCG64(SEED))
        steps = np.arange(SCORE_TABLE)
        self.exponential = [int(v) for v in np.floor(2.0**14 * np.exp(-steps / 128.0) + 0.5)]
        units = np.arange(-128, 128) / 24.0
        self.gelu = np.rint(24.0 * units * 0.5 * (1 + np.tanh(0.797885 * (units + 0.044715 * units**3)))).astype(int)

    def draw(self, *extents: int, spread: float = 30.0) -> Integers:
        """Normal int8 integers."""
        return np.clip(np.rint(self.random.standard_normal(extents) * spread), -127, 127).astype(np.int64)

    def linear(self, x: Value, outputs: int) -> Value:
        """A dense layer back to int8: sums of n products of spread 30 have spread 900 sqrt(n)."""
        inputs = x.shape[-1]
        wide = self.builder.dense(x, self.draw(outputs, inputs), self.draw(outputs))
        shift = int(np.rint(np.log2(30.0 * np.sqrt(inputs))))
        return self.builder.requantize(wide, shift=shift, dtype=DType.INT8)

    def norm(self, x: Value) -> Value:
        """Layer normalisation to int8 of spread about 30; 2^11 is the unit of the normalised values."""
        width = self.shape.width
        gain = self.random.integers(900, 1100, width)
        return self.builder.layer_norm(
            x,
            gain,
            self.draw(width),
            epsilon=1,
            precision=14,
            shift_normal=3,
            shift_out=16,
            dtype=DType.INT8,
        )

    def heads(self, x: Value) -> Value:
        """Tokens, width to heads, tokens, depth."""
        shape = self.shape
        split = self.builder.reshape(x, (shape.positions, shape.heads, shape.width // shape.heads))
        return self.builder.transpose(split, (1, 0, 2))

    def attention(self, x: Value) -> Value:
        """Causal attention of all heads."""
        builder, shape = self.builder, self.shape
        query, key, value = (self.heads(self.linear(x, shape.width)) for _ in range(3))
        scores = builder.matmul(query, key, transpose_right=True)
        narrow = builder.requantize(scores, shift=5, dtype=DType.INT16)
        shares = builder.softmax(narrow, self.exponential, precision=14, causal=True)
        mixed = builder.requantize(builder.matmul(shares, value), shift=14, dtype=DType.INT8)
        joined = builder.reshape(builder.transpose(mixed, (1, 0, 2)), (shape.positions, shape.width))
        return self.linear(joined, shape.width)

    def residual(self, x: Value, change: Value) -> Value:
        """The stream in int16 with four bits below the branches'."""
        total = self.builder.add(x, change, shift_right=4)
        return self.builder.requantize(total, shift=0, dtype=DType.INT16)

    def build(self) -> ExactModel:
        """Embedding, layers, and the scores of the last position."""
        builder, shape = self.builder, self.shape
        tokens = builder.input("tokens", DType.INT32, (shape.positions,), low=0, high=shape.vocabulary - 1)
        words = builder.constant(self.draw(shape.vocabulary, shape.width), DType.INT8)
        places = builder.constant(self.draw(shape.positions, shape.width), DType.INT8)
        x = builder.add(builder.gather(words, tokens), places, shift_left=4, shift_right=4)
        x = builder.requantize(x, shift=0, dtype=DType.INT16)
        for _ in range(shape.layers):
            x = self.residual(x, self.attention(self.norm(x)))
            hidden = builder.table(self.linear(self.norm(x), shape.inner), self.gelu, offset=-128)
            x = self.residual(x, self.linear(hidden, shape.width))
        last = builder.slice(self.norm(x), axis=0, start=shape.positions - 1, length=1)
        scores = builder.dense(last, words, np.zeros(shape.vocabulary, dtype=np.int64))
        builder.output("scores", scores)
        return builder.build()


def decoder(shape: DecoderShape) -> ExactModel:
    """The model; about a gigabyte of work memory for GPT-2 small."""
    return _Decoder(shape).build()


def decoder_input(model: ExactModel, shape: DecoderShape) -> bytes:
    """Seeded tokens as job input bytes."""
    random = np.random.Generator(np.random.PCG64(SEED + 1))
    tokens: Sequence[Integers] = [random.integers(0, shape.vocabulary, shape.positions)]
    return encode_inputs(model.program, list(tokens))
