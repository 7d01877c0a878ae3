"""Operators that act on each element: arithmetic, activation functions, choices."""

from __future__ import annotations

import math

import numpy as np

from lazai_core.api.errors import ModelError
from lazai_core.exact.compiler.float_graph import SYMBOLIC, FloatNode
from lazai_core.exact.compiler.onnx_import import Importer, Known
from lazai_core.exact.compiler.onnx_read import RawNode

from .common import Results, Translator, Translators, add_node, constant, identity, unsupported


def _binary(op: str) -> Translator:
    def translator(importer: Importer, node: RawNode) -> Results:
        return [add_node(importer, node, op, [importer.operand(node, 0), importer.operand(node, 1)])]

    return translator


def _divide(importer: Importer, node: RawNode) -> Results:
    """Division by a known value becomes a product; by the length of a summed axis, a mean (patterns)."""
    left, right = importer.operand(node, 0), importer.values[node.inputs[1]]
    if not isinstance(right, Known):
        return [add_node(importer, node, "divide", [left, right])]
    if not all(np.all(array) for array in right.arrays):
        raise unsupported(node, "it divides by zero")
    if right.is_static:
        return [add_node(importer, node, "multiply", [left, constant(importer, 1.0 / right.arrays[0])])]
    counts = [float(array.reshape(-1)[0]) for array in right.arrays]
    uniform = all(np.all(array == count) for array, count in zip(right.arrays, counts, strict=True))
    summed = _summed_by(importer, left)
    if uniform and summed is not None and counts == [float(count) for count in summed[1]]:
        source, attributes = summed[0].inputs[0], dict(summed[0].attributes)
        return [add_node(importer, node, "reduce_mean", [source], **attributes)]
    raise unsupported(node, "the divisor depends on the symbolic dimension")


def _summed_by(importer: Importer, name: str) -> tuple[FloatNode, list[int]] | None:
    for made in reversed(importer.graph.nodes):
        if made.output == name and made.op == "reduce_sum":
            shape = importer.graph.shapes[made.inputs[0]]
            counts = []
            for probe in importer.probes:
                counts.append(math.prod(probe if shape[a] == SYMBOLIC else shape[a] for a in made.attributes["axes"]))
            return made, counts
    return None


def _variadic(op: str) -> Translator:
    def translator(importer: Importer, node: RawNode) -> Results:
        total = importer.operand(node, 0)
        for position in range(1, len(node.inputs)):
            total = add_node(importer, node, op, [total, importer.operand(node, position)])
        return [total]

    return translator


def _negate(importer: Importer, node: RawNode) -> Results:
    return [add_node(importer, node, "multiply", [importer.operand(node, 0), constant(importer, -1.0)])]


def _unary(function: str) -> Translator:
    def translator(importer: Importer, node: RawNode) -> Results:
        return [add_node(importer, node, "unary", [importer.operand(node, 0)], function=function)]

    return translator


def _gelu(importer: Importer, node: RawNode) -> Results:
    kinds = {"none": "gelu", "tanh": "gelu_tanh"}
    approximate = node.attributes.get("approximate", "none")
    if approximate not in kinds:
        raise unsupported(node, f"the approximation {approximate!r} is not supported")
    return _unary(kinds[approximate])(importer, node)


def _elu(importer: Importer, node: RawNode) -> Results:
    if node.attributes.get("alpha", 1.0) != 1.0:
        raise unsupported(node, "only alpha = 1 is supported")
    return _unary("elu")(importer, node)


def _hard_sigmoid(importer: Importer, node: RawNode) -> Results:
    slope = (node.attributes.get("alpha", 0.2), node.attributes.get("beta", 0.5))
    if abs(slope[0] - 1 / 6) > 1e-4 or slope[1] != 0.5:
        raise unsupported(node, f"only alpha = 1/6 and beta = 1/2 are supported, it has {slope}")
    return _unary("hard_sigmoid")(importer, node)


def _clip(importer: Importer, node: RawNode) -> Results:
    bounds: list[float | None] = [node.attributes.get("min"), node.attributes.get("max")]
    for position in (1, 2):
        given = importer.static(node, position)
        if given is not None:
            bounds[position - 1] = float(given.reshape(-1)[0])
    return [add_node(importer, node, "clip", [importer.operand(node, 0)], clip=(bounds[0], bounds[1]))]


def _relu(importer: Importer, node: RawNode) -> Results:
    return [add_node(importer, node, "clip", [importer.operand(node, 0)], clip=(0.0, None))]


def _power(importer: Importer, node: RawNode) -> Results:
    exponent = importer.static(node, 1)
    if exponent is None or exponent.size != 1:
        raise unsupported(node, "only one constant exponent is supported")
    x = importer.operand(node, 0)
    if float(exponent.reshape(-1)[0]) == 2.0:
        return [add_node(importer, node, "multiply", [x, x])]
    return [add_node(importer, node, "power", [x, constant(importer, exponent.reshape(()))])]


def _reciprocal(importer: Importer, node: RawNode) -> Results:
    return [add_node(importer, node, "divide", [constant(importer, 1.0), importer.operand(node, 0)])]


def _where(importer: Importer, node: RawNode) -> Results:
    condition = importer.known(node, 0)
    if condition is None:
        raise ModelError(f"{node.describe()}: the condition is missing")
    for position, wanted in ((1, True), (2, False)):
        if all(bool(np.all(array)) if wanted else not np.any(array) for array in condition.arrays):
            return [importer.operand(node, position)]
    inputs = [importer.operand(node, position) for position in range(3)]
    return [add_node(importer, node, "select", inputs)]


TRANSLATORS: Translators = {
    "Add": (_binary("add"), ""),
    "Cast": (identity, "to saturate round_mode"),
    "Clip": (_clip, "min max"),
    "Div": (_divide, ""),
    "Dropout": (identity, "ratio seed"),
    "Elu": (_elu, "alpha"),
    "Erf": (_unary("erf"), ""),
    "Exp": (_unary("exponential"), ""),
    "Gelu": (_gelu, "approximate"),
    "HardSigmoid": (_hard_sigmoid, "alpha beta"),
    "HardSwish": (_unary("hard_swish"), ""),
    "Identity": (identity, ""),
    "Mul": (_binary("multiply"), ""),
    "Neg": (_negate, ""),
    "Pow": (_power, ""),
    "Reciprocal": (_reciprocal, ""),
    "Relu": (_relu, ""),
    "Sigmoid": (_unary("sigmoid"), ""),
    "Softplus": (_unary("softplus"), ""),
    "Sqrt": (_unary("square_root"), ""),
    "Sub": (_binary("subtract"), ""),
    "Sum": (_variadic("add"), ""),
    "Tanh": (_unary("tanh"), ""),
    "Where": (_where, ""),
}
