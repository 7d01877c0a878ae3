"""What translators of ONNX operators share."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from lazai_core.api.errors import UnsupportedProgram
from lazai_core.exact.compiler.float_graph import Array
from lazai_core.exact.compiler.onnx_import import Importer, Known
from lazai_core.exact.compiler.onnx_read import RawNode

Results = Sequence[Known | str]
Translator = Callable[[Importer, RawNode], Results]
Translators = Mapping[str, tuple[Translator, str]]
"""By operator: its function, and the attributes that it may carry."""


def unsupported(node: RawNode, reason: str) -> UnsupportedProgram:
    """The refusal of a node, by name and with the reason."""
    return UnsupportedProgram(f"{node.describe()}: {reason}")


def add_node(importer: Importer, node: RawNode, op: str, inputs: Sequence[str], **attributes: Any) -> str:
    """Add a node that says where it came from; returns its output."""
    return importer.graph.add(op, inputs, source=node.name, **attributes)


def constant(importer: Importer, value: Array | float) -> str:
    """Add a float constant; returns its name."""
    return importer.graph.add_constant(np.asarray(value, dtype=np.float32))


def identity(importer: Importer, node: RawNode) -> Results:
    """The operand as it is."""
    return [importer.operand(node, 0)]
