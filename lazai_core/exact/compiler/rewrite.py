"""A small engine for rewriting float graphs: a rule looks at one node and offers nodes that replace it.

A replacement must compute the same value under the same name, so rules of one sweep cannot disturb each other.
Sweeps repeat until no rule matches.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from lazai_core.api.errors import UnsupportedProgram
from lazai_core.exact.compiler.float_graph import SYMBOLIC, Array, FloatGraph, FloatNode

Replacement = list[FloatNode] | str | None
Rule = Callable[["View", FloatNode], Replacement]

SWEEPS_MAX = 64


class View:
    """What a rule may ask of the graph while it looks for its pattern."""

    def __init__(self, graph: FloatGraph) -> None:
        self.graph = graph
        self._producers = graph.producers()
        self._consumers = graph.consumers()
        self._outputs = graph.output_values()

    def producer(self, name: str, op: str = "") -> FloatNode | None:
        """The node that makes a value, when it is of kind `op` (any kind when empty)."""
        node = self._producers.get(name)
        return node if node is not None and op in ("", node.op) else None

    def only_use(self, name: str) -> bool:
        """Whether one node reads the value and it is not an output."""
        return len(self._consumers[name]) == 1 and name not in self._outputs

    def readers(self, name: str) -> Sequence[FloatNode]:
        return self._consumers[name]

    def fused(self, name: str, op: str) -> FloatNode | None:
        """The producer of kind `op` when this value is read once only, so that it may be absorbed."""
        node = self.producer(name, op)
        return node if node is not None and self.only_use(name) and "clip" not in node.attributes else None

    def constant(self, name: str) -> Array | None:
        return self.graph.constants.get(name)

    def scalar(self, name: str) -> float | None:
        """The number a one-element constant holds."""
        value = self.graph.constants.get(name)
        return float(value.reshape(-1)[0]) if value is not None and value.size == 1 else None

    def shape(self, name: str) -> tuple[int, ...]:
        return self.graph.shapes[name]

    def add_constant(self, value: Any) -> str:
        return self.graph.add_constant(np.asarray(value, dtype=np.float32))

    def largest_constant(self, name: str) -> Array | None:
        """A constant, seen through slices to the symbolic dimension; the array is that of its largest size."""
        node = self.producer(name, "slice")
        while node is not None and node.attributes["length"] == SYMBOLIC and node.attributes["start"] == 0:
            name = node.inputs[0]
            node = self.producer(name, "slice")
        return self.graph.constants.get(name)

    def split_constant(self, node: FloatNode) -> tuple[str, Array] | None:
        """(activation, constant) of a commutative node with one constant operand."""
        for here, there in ((0, 1), (1, 0)):
            value = self.graph.constants.get(node.inputs[here])
            if value is not None and node.inputs[there] not in self.graph.constants:
                return node.inputs[there], value
        return None


def node_like(node: FloatNode, op: str, inputs: Sequence[str], **attributes: Any) -> FloatNode:
    """A node that takes the place of `node`: same result name, same source."""
    return FloatNode(op=op, inputs=tuple(inputs), output=node.output, attributes=attributes, source=node.source)


def sweep(graph: FloatGraph, rules: Sequence[Rule]) -> FloatGraph:
    """Apply rules, the first that matches a node wins, until nothing changes."""
    for _ in range(SWEEPS_MAX):
        view = View(graph)
        nodes: list[FloatNode] = []
        renames: dict[str, str] = {}
        for node in graph.nodes:
            replacement = next((found for rule in rules if (found := rule(view, node)) is not None), None)
            if replacement is None:
                nodes.append(node)
            elif isinstance(replacement, str):
                renames[node.output] = replacement
            else:
                nodes.extend(replacement)
        if len(nodes) == len(graph.nodes) and all(a is b for a, b in zip(nodes, graph.nodes, strict=True)):
            return graph
        graph = graph.rebuilt(nodes, renames)
    raise UnsupportedProgram("the graph could not be simplified within the allowed number of sweeps")
