"""Which function makes the gates of which operation."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from lazai_core.api.program import Op

from . import normal, operations
from .cells import Tensor
from .operations import Context

Operation = Callable[[Context, Op, int, Sequence[Tensor]], Tensor]

OPERATIONS: dict[str, Operation] = {
    "dense": operations.dense,
    "matmul": operations.matmul,
    "conv2d": operations.conv2d,
    "requantize": operations.requantize,
    "add": operations.add,
    "subtract": operations.subtract,
    "multiply": operations.multiply,
    "table": operations.table,
    "gather": operations.gather,
    "max_pool2d": operations.max_pool2d,
    "sum_pool2d": operations.sum_pool2d,
    "reduce_sum": operations.reduce_sum,
    "reduce_mean": operations.reduce_mean,
    "reduce_max": operations.reduce_max,
    "argmax": operations.argmax,
    "reshape": operations.reshape,
    "transpose": operations.transpose,
    "concat": operations.concat,
    "slice": operations.cut,
    "layer_norm": normal.layer_norm,
    "softmax": normal.softmax,
}
