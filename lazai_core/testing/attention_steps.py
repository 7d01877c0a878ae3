"""Fused attention steps with seeded operands, and what they must give: the composed operations of the reference."""

from __future__ import annotations

import numpy as np
from attrs import evolve, frozen

from lazai_core.api.compute import AttentionStep, TensorView
from lazai_core.api.program import DType
from lazai_core.exact.attention import attention_ops
from lazai_core.exact.codec import as_view, from_view
from lazai_core.exact.reference import apply_op
from lazai_core.testing.sample import Draws, Fill, filled

Operands = tuple[TensorView, TensorView, TensorView, TensorView]


@frozen(kw_only=True)
class AttentionCase:
    """A step and the shapes it is tried on: `lead` axes, queries Q, keys K, widths D and E, type of query and key."""

    name: str
    step: AttentionStep
    lead: tuple[int, ...]
    queries: int
    keys: int
    width: int
    value_width: int
    dtype: DType = DType.INT8

    def operands(self, fill: Fill) -> Operands:
        """Query, key, value and table."""
        draws = Draws(self.queries * 1000 + self.keys)
        # Values of 16 bits are kept where no sum of products leaves |sum| < 2^30.
        reach = 127 if self.dtype is DType.INT8 else 4000
        shapes = (
            (*self.lead, self.queries, self.width),
            (*self.lead, self.keys, self.width),
            (*self.lead, self.keys, self.value_width),
        )
        query, key, value = (
            as_view(filled(draws, fill, -reach, reach, shape), self.dtype) for shape in shapes
        )
        exponentials = np.floor(2**14 * np.exp(-np.arange(300) / 40) + 0.5).astype(np.int64)
        return query, key, value, as_view(exponentials, DType.INT16)


def _step(*, causal: bool, precision: int = 14, score_shift: int = 5, output: DType = DType.INT8) -> AttentionStep:
    return AttentionStep(
        score_shift=score_shift,
        score_low=-32768,
        score_high=32767,
        causal=causal,
        precision=precision,
        output_shift=precision - 1,
        output_low=output.low,
        output_high=output.high,
        output_dtype=output.name.lower(),
    )


def attention_cases() -> tuple[AttentionCase, ...]:
    """One query, odd sizes, more keys than queries, larger ones, both operand types, narrow score limits."""
    plain, causal = _step(causal=False), _step(causal=True)
    wide = _step(causal=True, score_shift=12, precision=11, output=DType.INT16)
    one = AttentionCase(name="one", step=causal, lead=(), queries=1, keys=1, width=1, value_width=1)
    return (
        one,
        evolve(one, name="one-query", step=plain, lead=(1, 2), keys=9, width=3, value_width=5),
        evolve(one, name="odd", step=plain, lead=(3,), queries=5, keys=7, width=3, value_width=2),
        evolve(one, name="causal-more-keys", lead=(2,), queries=4, keys=9, width=6, value_width=7),
        evolve(one, name="causal-square", lead=(1, 3), queries=11, keys=11, width=8, value_width=8),
        evolve(one, name="large", step=plain, lead=(2, 4), queries=48, keys=48, width=32, value_width=32),
        evolve(one, name="int16", step=wide, lead=(2,), queries=7, keys=8, width=5, value_width=3, dtype=DType.INT16),
        evolve(
            one,
            name="clamped-scores",
            step=evolve(plain, score_low=-90, score_high=60, output_low=-20, output_high=100),
            lead=(2,),
            queries=6,
            keys=6,
            width=16,
            value_width=4,
        ),
    )


def composed_attention(
    step: AttentionStep, query: TensorView, key: TensorView, value: TensorView, table: TensorView
) -> TensorView:
    """The five operations one after the other on the reference."""
    scores, narrowed, probabilities, mixed, output = attention_ops(step, query, key, value, table)
    current = apply_op(scores, [from_view(query), from_view(key)], scores.shape)
    current = apply_op(narrowed, [current], narrowed.shape)
    current = apply_op(probabilities, [current, from_view(table)], probabilities.shape)
    current = apply_op(mixed, [current, from_view(value)], mixed.shape)
    return as_view(apply_op(output, [current], output.shape), output.dtype)
