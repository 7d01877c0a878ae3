"""The operations that have circuits. Kept apart, so that `supports` imports no numpy."""

from __future__ import annotations

SUPPORTED = frozenset(
    {
        "add",
        "argmax",
        "concat",
        "conv2d",
        "dense",
        "gather",
        "layer_norm",
        "matmul",
        "max_pool2d",
        "multiply",
        "reduce_max",
        "reduce_mean",
        "reduce_sum",
        "requantize",
        "reshape",
        "slice",
        "softmax",
        "subtract",
        "sum_pool2d",
        "table",
        "transpose",
    }
)
