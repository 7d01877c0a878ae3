"""ONNX operators that act on activations: looked up, checked, and added to the float graph.

Any operator or attribute that no table of `onnx_ops` has is refused by name.
"""

from __future__ import annotations

from lazai_core.api.errors import LazAIError, ModelError, UnsupportedProgram
from lazai_core.exact.compiler.onnx_import import Importer
from lazai_core.exact.compiler.onnx_ops import elementwise, layout, linear
from lazai_core.exact.compiler.onnx_ops.common import Results, Translators
from lazai_core.exact.compiler.onnx_read import RawNode

TRANSLATORS: Translators = {**elementwise.TRANSLATORS, **linear.TRANSLATORS, **layout.TRANSLATORS}

HINTS = {
    "ReduceL2": "normalise outside the model: an exact program returns the vector and its scale",
    "LpNormalization": "normalise outside the model: an exact program returns the vector and its scale",
    "Equal": "give masks as constants, for example with `fixed_inputs`",
    "If": "export the model without control flow",
    "Loop": "export the model without control flow",
    "Scan": "export the model without control flow",
}


def translate(importer: Importer, node: RawNode) -> Results:
    """Add a node's meaning to the graph; returns its results in order."""
    entry = TRANSLATORS.get(node.op)
    if entry is None:
        raise UnsupportedProgram(
            f"{node.describe()}: the operation is not supported on activations",
            hint=HINTS.get(node.op, f"supported are {', '.join(sorted(TRANSLATORS))}"),
        )
    function, allowed = entry
    for name in node.attributes:
        if name not in allowed.split():
            raise UnsupportedProgram(f"{node.describe()}: the attribute {name!r} is not supported")
    try:
        return function(importer, node)
    except LazAIError:
        raise
    except (ArithmeticError, AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
        raise ModelError(f"{node.describe()}: the node is malformed ({type(error).__name__}: {error})") from error
