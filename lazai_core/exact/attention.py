"""The operations that one `AttentionStep` stands for, with concrete shapes."""

from __future__ import annotations

from lazai_core.api.compute import AttentionStep, TensorView
from lazai_core.api.errors import EncodingError
from lazai_core.api.program import DType, Op
from lazai_core.api.program_rules import AttributeValue, Shape


def _op(kind: str, result: DType, shape: Shape, **attributes: AttributeValue) -> Op:
    return Op(kind=kind, operands=(), attributes=tuple(sorted(attributes.items())), dtype=result, shape=shape)


def _requantize(shape: Shape, dtype: DType, shift: int, low: int, high: int) -> Op:
    return _op("requantize", dtype, shape, shift=shift, axis=0, low=low, high=high, dtype=int(dtype))


def attention_ops(
    step: AttentionStep, query: TensorView, key: TensorView, value: TensorView, table: TensorView
) -> tuple[Op, Op, Op, Op, Op]:
    """Scores, their requantisation, softmax, weighted sum, its requantisation.

    Operands are left empty: the caller passes them in this order (query, key), (scores), (scores, table),
    (probabilities, value), (sum). Raises EncodingError for shapes that do not fit together.
    """
    lead = query.shape[:-2]
    fits = (
        min(len(query.shape), len(key.shape), len(value.shape)) >= 2
        and key.shape[:-2] == lead
        and value.shape[:-2] == lead
        and query.shape[-1] == key.shape[-1]
        and key.shape[-2] == value.shape[-2]
        and len(table.shape) == 1
    )
    if not fits:
        raise EncodingError(
            f"attention needs query [..., Q, D], key [..., K, D], value [..., K, E] and table [L], "
            f"not {query.shape}, {key.shape}, {value.shape} and {table.shape}"
        )
    output_dtype = DType[step.output_dtype.upper()]
    scores = (*lead, query.shape[-2], key.shape[-2])
    output = (*lead, query.shape[-2], value.shape[-1])
    return (
        _op("matmul", DType.INT32, scores, transpose_right=1),
        _requantize(scores, DType.INT16, step.score_shift, step.score_low, step.score_high),
        _op("softmax", DType.INT16, scores, causal=int(step.causal), precision=step.precision),
        _op("matmul", DType.INT32, output, transpose_right=0),
        _requantize(output, output_dtype, step.output_shift, step.output_low, step.output_high),
    )
