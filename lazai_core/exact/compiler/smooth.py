"""Two free gains of range for int8 activations, both absorbed by the constants of the layers that read them.

*Channel exponents*: a normalised value often has a few large channels. Each channel k of its int8 form gets its
own step `step * 2^e_k`; the columns of the reading weights are multiplied by `2^e_k`. *Zero points*: a value
that is (nearly) never negative, such as a ReLU or GELU, uses all 256 levels when its integers are shifted by a
constant; the bias of the reading layers takes the shift back.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from lazai_core.exact.compiler.calibrate import ValueRange
from lazai_core.exact.compiler.float_graph import Array, FloatGraph, FloatNode

EXPONENT_LIMIT = 3
MOVING = frozenset({"reshape", "transpose", "slice", "max_pool2d"})
ASYMMETRY = 0.5


def channel_exponents(graph: FloatGraph, ranges: Mapping[str, ValueRange]) -> dict[str, Array]:
    """Exponents per channel for every normalised value that only `dense` nodes read as a matrix operand.

    The factor of channel k is the square root of (activation rms / weight rms), as a power of two relative to
    the median channel, so that activations and weights share the difficulty.
    """
    consumers = graph.consumers()
    chosen: dict[str, Array] = {}
    for node in graph.nodes:
        readers = [reader for reader in consumers[node.output] if reader.op in ("dense", "conv2d", "matmul")]
        direct = all(reader.op not in MOVING | {"clip", "concat"} for reader in consumers[node.output])
        dense = bool(readers) and all(reader.op == "dense" for reader in readers)
        square = ranges[node.output].channel_rms
        if node.op != "layer_norm" or not direct or not dense or square is None:
            continue
        columns = np.concatenate([graph.constants[reader.inputs[1]] for reader in readers if _constant(graph, reader)])
        weights = np.sqrt(np.mean(np.square(columns, dtype=np.float64), axis=0))
        factors = np.log2(np.maximum(square, 1e-12) / np.maximum(weights, 1e-12)) / 2
        exponents = np.rint(factors - np.median(factors)).astype(np.int64)
        chosen[node.output] = np.clip(exponents, -EXPONENT_LIMIT, EXPONENT_LIMIT)
    return chosen


def _constant(graph: FloatGraph, node: FloatNode) -> bool:
    return node.inputs[1] in graph.constants


def shifted_values(graph: FloatGraph, ranges: Mapping[str, ValueRange]) -> set[str]:
    """Values whose integers may carry a zero point: made by a table or a ReLU, read by linear layers only.

    Data movement in between is allowed; zero padding of a convolution is not, since it pads with integer 0.
    """
    consumers = graph.consumers()
    outputs = graph.output_values()
    shifted: set[str] = set()
    for node in graph.nodes:
        low, _ = node.attributes.get("clip", (None, None))
        positive = node.op in ("dense", "conv2d") and low is not None and low >= 0
        entry = ranges[node.output]
        lopsided = entry.high > 0 and -entry.low < ASYMMETRY * entry.high
        if not lopsided or not (positive or node.op == "unary"):
            continue
        reached = _readers_are_linear(node.output, consumers, outputs)
        if reached is not None:
            shifted |= reached
    return shifted


def _readers_are_linear(name: str, consumers: Mapping[str, list[FloatNode]], outputs: set[str]) -> set[str] | None:
    """All values that are this one moved about, or None when anything but a linear layer reads one."""
    reached = {name}
    pending = [name]
    while pending:
        current = pending.pop()
        if current in outputs:
            return None
        for reader in consumers[current]:
            if reader.op in MOVING:
                reached.add(reader.output)
                pending.append(reader.output)
            elif not _reads_linearly(reader, current):
                return None
    return reached


def _reads_linearly(reader: FloatNode, name: str) -> bool:
    padded = any(reader.attributes.get("pads", ()))
    only_input = reader.inputs[0] == name and name not in reader.inputs[1:]
    return reader.op in ("dense", "conv2d") and not padded and only_input
