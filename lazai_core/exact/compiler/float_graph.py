"""The compiler's own float graph: named values, constants as numpy arrays, one result per node.

A shape entry is a positive integer or `SYMBOLIC` (-1) for the one symbolic dimension. Values are strings; a
graph is in SSA form and topologically ordered by construction, because `FloatGraph.add` only accepts
operands that exist.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from attrs import evolve, field, frozen, mutable

from lazai_core.api.errors import UnsupportedProgram
from lazai_core.exact.compiler.shape_rules import infer_shape

SYMBOLIC = -1
Shape = tuple[int, ...]
Array = np.ndarray[Any, np.dtype[Any]]


@frozen(kw_only=True)
class SymbolicDimension:
    """The one dimension that stays open: its name and the inclusive range it may take."""

    name: str
    minimum: int
    maximum: int

    def probes(self) -> tuple[int, ...]:
        """Sizes at which shapes and shape-dependent constants are evaluated; the largest comes last."""
        span = self.maximum - self.minimum
        return tuple(sorted({self.minimum, self.minimum + span // 3, self.minimum + span // 2, self.maximum}))


@frozen(kw_only=True)
class FloatInput:
    """One graph input; integer inputs (token ids) must lie in `[0, limit - 1]` where a limit is known."""

    name: str
    shape: Shape
    integer: bool = False


@frozen(kw_only=True)
class FloatNode:
    """One operation; `source` is the name it had in the model's file, for error texts."""

    op: str
    inputs: tuple[str, ...]
    output: str
    attributes: Mapping[str, Any] = field(factory=dict)
    source: str = ""

    def describe(self) -> str:
        return f"node {self.source or self.output!r} ({self.op})"


@mutable(kw_only=True)
class FloatGraph:
    """A float model as the compiler sees it."""

    symbol: SymbolicDimension | None = None
    inputs: list[FloatInput] = field(factory=list)
    constants: dict[str, Array] = field(factory=dict)
    nodes: list[FloatNode] = field(factory=list)
    outputs: list[tuple[str, str]] = field(factory=list)
    shapes: dict[str, Shape] = field(factory=dict)
    _counter: int = 0

    def fresh(self, stem: str) -> str:
        """A value name that is not in use."""
        while True:
            self._counter += 1
            name = f"{stem}.{self._counter}"
            if name not in self.shapes:
                return name

    def add_input(self, name: str, shape: Sequence[int], *, integer: bool = False) -> str:
        self.inputs.append(FloatInput(name=name, shape=tuple(shape), integer=integer))
        self.shapes[name] = tuple(shape)
        return name

    def add_constant(self, value: Array, name: str = "") -> str:
        name = name if name and name not in self.shapes else self.fresh(name or "constant")
        self.constants[name] = value
        self.shapes[name] = tuple(value.shape)
        return name

    def add(self, op: str, inputs: Sequence[str], *, output: str = "", source: str = "", **attributes: Any) -> str:
        """Append a node and return the name of its result; its shape is inferred here."""
        output = output or self.fresh(op)
        node = FloatNode(op=op, inputs=tuple(inputs), output=output, attributes=attributes, source=source)
        self.append(node)
        return output

    def append(self, node: FloatNode) -> None:
        if node.output in self.shapes:
            raise UnsupportedProgram(f"{node.describe()}: the value {node.output!r} is defined twice")
        self.shapes[node.output] = self.infer(node)
        self.nodes.append(node)

    def infer(self, node: FloatNode) -> Shape:
        """The result's shape, found by evaluating the rule at every probe size and merging the answers."""
        probes = self.symbol.probes() if self.symbol else (0,)
        answers = []
        for probe in probes:
            shapes = [bind_shape(self.shapes[name], probe) for name in node.inputs]
            answers.append(infer_shape(node.op, shapes, bind_attributes(node.attributes, probe), node.describe()))
        return merge_shapes(answers, probes, node.describe())

    def is_constant(self, name: str) -> bool:
        return name in self.constants

    def producers(self) -> dict[str, FloatNode]:
        return {node.output: node for node in self.nodes}

    def consumers(self) -> dict[str, list[FloatNode]]:
        """Every value's readers in order; a graph output does not count as one."""
        readers: dict[str, list[FloatNode]] = {name: [] for name in self.shapes}
        for node in self.nodes:
            for name in node.inputs:
                readers[name].append(node)
        return readers

    def output_values(self) -> set[str]:
        return {value for _, value in self.outputs}

    def rebuilt(self, nodes: Iterable[FloatNode], renames: Mapping[str, str] | None = None) -> FloatGraph:
        """A graph with other nodes, dead ones dropped and operands renamed; shapes are inferred afresh."""
        renames = renames or {}
        outputs = [(name, resolve(value, renames)) for name, value in self.outputs]
        listed = [evolve(node, inputs=tuple(resolve(name, renames) for name in node.inputs)) for node in nodes]
        live = list(_live_nodes(listed, {value for _, value in outputs}))
        used = {name for node in live for name in node.inputs} | {value for _, value in outputs}
        graph = FloatGraph(symbol=self.symbol, outputs=outputs, counter=self._counter)
        for entry in self.inputs:
            graph.add_input(entry.name, entry.shape, integer=entry.integer)
        for name, value in self.constants.items():
            if name in used:
                graph.add_constant(value, name)
        for node in live:
            graph.append(node)
        return graph


def resolve(name: str, renames: Mapping[str, str]) -> str:
    while name in renames:
        name = renames[name]
    return name


def _live_nodes(nodes: Sequence[FloatNode], wanted: set[str]) -> Iterator[FloatNode]:
    needed = set(wanted)
    kept: list[FloatNode] = []
    for node in reversed(nodes):
        if node.output in needed:
            needed.update(node.inputs)
            kept.append(node)
    return reversed(kept)


def bind_shape(shape: Iterable[int], size: int) -> Shape:
    """The shape with the symbolic dimension replaced by `size`."""
    return tuple(size if entry == SYMBOLIC else entry for entry in shape)


def bind_attributes(attributes: Mapping[str, Any], size: int) -> Mapping[str, Any]:
    """Attributes whose entries may name the symbolic dimension, with `size` in its place."""
    bound = dict(attributes)
    if "shape" in bound:
        bound["shape"] = bind_shape(bound["shape"], size)
    if bound.get("length") == SYMBOLIC:
        bound["length"] = size
    return bound


def merge_shapes(answers: Sequence[Shape], probes: Sequence[int], where: str) -> Shape:
    """One shape from its values at the probe sizes: an entry is static or the symbolic dimension itself."""
    if len({len(answer) for answer in answers}) != 1:
        raise UnsupportedProgram(f"{where}: the rank of the result depends on the symbolic dimension")
    merged = []
    for axis, entries in enumerate(zip(*answers, strict=True)):
        if len(set(entries)) == 1:
            merged.append(entries[0])
        elif entries == tuple(probes):
            merged.append(SYMBOLIC)
        else:
            raise UnsupportedProgram(
                f"{where}: axis {axis} of the result is a function of the symbolic dimension (sizes {entries} at "
                f"{tuple(probes)}), only the dimension itself may appear",
                hint="fix that dimension to one size with `bound_dimensions`",
            )
    return tuple(merged)
