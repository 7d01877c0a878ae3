"""ONNX bytes to `FloatGraph`: binding of dimensions, evaluation of what is known, translation of the rest.

Exporters compute shapes inside the graph (Shape, Gather, Concat, ...). Such values depend on the symbolic
dimension only, so each is simply evaluated at a few sizes of that dimension ("probes"). A value that is the
same at all of them is a constant; one that is a prefix of the value at the largest size (a position table, a
causal mask) becomes a constant and a slice; anything else is refused where an activation needs it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from attrs import field, frozen

from lazai_core.api.errors import ModelError, UnsupportedProgram
from lazai_core.exact.compiler.float_graph import (
    SYMBOLIC,
    Array,
    FloatGraph,
    Shape,
    SymbolicDimension,
    bind_shape,
    merge_shapes,
)
from lazai_core.exact.compiler.onnx_fold import FOLDED_TOTAL_MAX, can_fold, fold
from lazai_core.exact.compiler.onnx_read import RawInput, RawModel, RawNode, read_onnx

DEFAULT_MAXIMUM = 512


@frozen(kw_only=True)
class ImportOptions:
    """How the free dimensions and inputs of an ONNX model are bound.

    A free leading axis counts as a batch and is bound to 1 unless it is `symbolic_dimension`. Of the other
    free dimensions at most one may stay open. `fixed_inputs` gives inputs that hold one number everywhere and
    vanish from the program; the defaults let one text run alone, unpadded.
    """

    symbolic_dimension: str = ""
    minimum: int = 1
    maximum: int = DEFAULT_MAXIMUM
    bound_dimensions: Mapping[str, int] = field(factory=dict)
    fixed_inputs: Mapping[str, float] = field(factory=lambda: {"attention_mask": 1, "token_type_ids": 0})


@frozen(kw_only=True, eq=False)
class Known:
    """A value that no input reaches: one array when static, else one per probe."""

    arrays: tuple[Array, ...]

    @property
    def is_static(self) -> bool:
        return len(self.arrays) == 1

    def at(self, position: int) -> Array:
        return self.arrays[0] if self.is_static else self.arrays[position]


class Importer:
    """State of one import: the graph so far and what each ONNX value has become."""

    def __init__(self, model: RawModel, options: ImportOptions) -> None:
        self.options = options
        symbol, inputs = bind_inputs(model.inputs, options)
        self.graph = FloatGraph(symbol=symbol)
        self.probes = symbol.probes() if symbol else (0,)
        self.opset = model.opset
        self.folded = 0
        self.values: dict[str, Known | str] = {name: Known(arrays=(a,)) for name, a in model.constants.items()}
        for entry, shape in inputs:
            self._add_input(entry, shape)

    def _add_input(self, entry: RawInput, shape: Shape) -> None:
        if entry.name in self.options.fixed_inputs:
            value = self.options.fixed_inputs[entry.name]
            dtype = np.int64 if entry.integer else np.float32
            arrays = tuple(np.full(bind_shape(shape, probe), value, dtype=dtype) for probe in self.probes)
            self.values[entry.name] = Known(arrays=arrays[:1] if SYMBOLIC not in shape else arrays)
        else:
            self.values[entry.name] = self.graph.add_input(entry.name, shape, integer=entry.integer)

    def shape_of(self, name: str) -> tuple[Shape, ...]:
        """The shape of an ONNX value at every probe."""
        value = self.values[name]
        if isinstance(value, Known):
            return tuple(tuple(value.at(i).shape) for i in range(len(self.probes)))
        return tuple(bind_shape(self.graph.shapes[value], probe) for probe in self.probes)

    def rank_of(self, name: str) -> int:
        return len(self.shape_of(name)[0])

    def known(self, node: RawNode, position: int) -> Known | None:
        """Operand `position` when it is present and known, None when absent; an activation is an error."""
        if position >= len(node.inputs) or not node.inputs[position]:
            return None
        value = self.values[node.inputs[position]]
        if not isinstance(value, Known):
            raise UnsupportedProgram(f"{node.describe()}: input {position} must be a constant of the model")
        return value

    def static(self, node: RawNode, position: int) -> Array | None:
        """Operand `position` as one array that does not depend on the symbolic dimension, None when absent."""
        value = self.known(node, position)
        if value is None:
            return None
        if not value.is_static:
            raise UnsupportedProgram(f"{node.describe()}: input {position} depends on the symbolic dimension")
        return value.arrays[0]

    def is_known(self, node: RawNode, position: int) -> bool:
        present = position < len(node.inputs) and bool(node.inputs[position])
        return present and isinstance(self.values[node.inputs[position]], Known)

    def operand(self, node: RawNode, position: int) -> str:
        """Operand `position` as a value of the float graph; a known one becomes a constant."""
        if position >= len(node.inputs) or not node.inputs[position]:
            raise ModelError(f"{node.describe()}: input {position} is missing")
        value = self.values[node.inputs[position]]
        return value if isinstance(value, str) else self.materialise(value, node)

    def materialise(self, value: Known, node: RawNode) -> str:
        """A graph value for a known one: a constant, sliced where it depends on the symbolic dimension."""
        largest = np.asarray(value.arrays[-1])
        largest = largest.astype(np.float32) if largest.dtype.kind in "fb" else largest
        name = self.graph.add_constant(largest)
        if value.is_static:
            return name
        shape = merge_shapes([tuple(a.shape) for a in value.arrays], self.probes, node.describe())
        for array in value.arrays:
            prefix = largest[tuple(slice(0, size) for size in array.shape)]
            if not np.array_equal(prefix, array.astype(largest.dtype)):
                raise UnsupportedProgram(
                    f"{node.describe()}: an operand changes with the symbolic dimension in a way that is not a prefix",
                    hint="fix that dimension to one size with `bound_dimensions`",
                )
        for axis, entry in enumerate(shape):
            if entry == SYMBOLIC:
                name = self.graph.add("slice", [name], axis=axis, start=0, length=SYMBOLIC, source=node.name)
        return name

    def run(self, node: RawNode) -> None:
        """Evaluate or translate one node."""
        from lazai_core.exact.compiler.onnx_translate import translate

        for name in filter(None, node.inputs):
            assert name in self.values, "nodes are in topological order"
        evaluated = self._evaluated(node)
        results: Sequence[Known | str] = translate(self, node) if evaluated is None else evaluated
        if len(results) < len([name for name in node.outputs if name]):
            raise UnsupportedProgram(f"{node.describe()}: only the first {len(results)} outputs are supported")
        for name, result in zip(node.outputs, results, strict=False):
            if name:
                self.values[name] = result

    def _evaluated(self, node: RawNode) -> Sequence[Known] | None:
        if node.op in ("Shape", "Size") and node.inputs:
            shapes = [np.array(shape, dtype=np.int64) for shape in self.shape_of(node.inputs[0])]
            start, end = node.attributes.get("start", 0), node.attributes.get("end")
            parts = [s[start:end] if node.op == "Shape" else np.prod(s, dtype=np.int64) for s in shapes]
            return [_known([np.asarray(part) for part in parts])]
        operands = [self.values[name] if name else None for name in node.inputs]
        if any(isinstance(operand, str) for operand in operands) or not can_fold(node.op):
            return None
        knowns = [operand for operand in operands if isinstance(operand, Known)]
        count = 1 if all(known.is_static for known in knowns) else len(self.probes)
        columns = []
        for position in range(count):
            arrays = [operand.at(position) if isinstance(operand, Known) else None for operand in operands]
            columns.append(fold(node, arrays))
            self._count_folded(node, columns[-1])
        return [_known(arrays) for arrays in zip(*columns, strict=True)]

    def _count_folded(self, node: RawNode, arrays: Sequence[Array]) -> None:
        """Many small constants may not add up to what one large one is refused for."""
        self.folded += sum(array.size for array in arrays if array.base is None)
        if self.folded > FOLDED_TOTAL_MAX:
            raise ModelError(f"{node.describe()}: the constants computed so far exceed {FOLDED_TOTAL_MAX} elements")


def _known(arrays: Sequence[Array]) -> Known:
    first = arrays[0]
    same = all(array.shape == first.shape and np.array_equal(array, first) for array in arrays[1:])
    return Known(arrays=(first,) if same else tuple(arrays))


def bind_inputs(
    inputs: Sequence[RawInput], options: ImportOptions
) -> tuple[SymbolicDimension | None, list[tuple[RawInput, Shape]]]:
    """Decide what every free dimension is; raises `UnsupportedProgram` when more than one would stay open."""
    batches = {entry.axes[0] for entry in inputs if entry.axes and isinstance(entry.axes[0], str)}
    batches -= {options.symbolic_dimension} | set(options.bound_dimensions)
    free = {axis for entry in inputs for axis in entry.axes if isinstance(axis, str)}
    free -= batches | set(options.bound_dimensions)
    if len(free) > 1:
        raise UnsupportedProgram(
            f"the dimensions {', '.join(sorted(free))} are free, at most one may stay symbolic",
            hint="bind the others with `bound_dimensions`",
        )
    if options.symbolic_dimension and options.symbolic_dimension not in free:
        raise UnsupportedProgram(f"no input has a free dimension named {options.symbolic_dimension!r}")
    symbol = None
    if free:
        if not 1 <= options.minimum <= options.maximum <= 1 << 20:
            raise UnsupportedProgram(f"the range {options.minimum} to {options.maximum} is not a range of sizes")
        symbol = SymbolicDimension(name=free.pop(), minimum=options.minimum, maximum=options.maximum)

    def size(axis: int | str) -> int:
        if isinstance(axis, int):
            return axis
        if axis in options.bound_dimensions:
            return options.bound_dimensions[axis]
        return SYMBOLIC if symbol is not None and axis == symbol.name else 1

    return symbol, [(entry, tuple(size(axis) for axis in entry.axes)) for entry in inputs]


def import_onnx(data: bytes, options: ImportOptions | None = None) -> FloatGraph:
    """The float graph of an ONNX file, before patterns are recognised.

    Raises `ModelError` or `UnsupportedProgram`; both name the node and the operation at fault.
    """
    model = read_onnx(data)
    importer = Importer(model, options or ImportOptions())
    for node in model.nodes:
        importer.run(node)
    graph = importer.graph
    for name in model.outputs:
        value = importer.values[name]
        if isinstance(value, Known):
            raise UnsupportedProgram(f"the graph output {name!r} does not depend on any input")
        graph.outputs.append((name, value))
    return graph.rebuilt(graph.nodes)
