"""Operators that move, pick and reduce elements."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from lazai_core.api.errors import ModelError
from lazai_core.exact.compiler.float_graph import SYMBOLIC, merge_shapes
from lazai_core.exact.compiler.onnx_fold import axes_of, reshape_target, slice_ranges, split_sizes
from lazai_core.exact.compiler.onnx_import import Importer
from lazai_core.exact.compiler.onnx_read import RawNode

from .common import Results, Translator, Translators, add_node, identity, unsupported

GATHERED_PARTS_MAX = 256


def _flatten(importer: Importer, node: RawNode) -> Results:
    shapes = importer.shape_of(node.inputs[0])
    axis = node.attributes.get("axis", 1)
    axis = axis % len(shapes[0]) if axis < 0 else axis
    return _reshaped(importer, node, [(math.prod(s[:axis]), math.prod(s[axis:])) for s in shapes])


def _reshaped(importer: Importer, node: RawNode, targets: Sequence[Sequence[int]]) -> Results:
    shape = merge_shapes([tuple(target) for target in targets], importer.probes, node.describe())
    return [add_node(importer, node, "reshape", [importer.operand(node, 0)], shape=shape)]


def _reshape(importer: Importer, node: RawNode) -> Results:
    shapes = importer.shape_of(node.inputs[0])
    given = importer.known(node, 1)
    targets = [
        reshape_target(
            shape, node.attributes["shape"] if given is None else given.at(i).reshape(-1).tolist(), node.attributes
        )
        for i, shape in enumerate(shapes)
    ]
    return _reshaped(importer, node, targets)


def _squeeze(importer: Importer, node: RawNode) -> Results:
    shapes = importer.shape_of(node.inputs[0])
    rank = len(shapes[0])
    axes = axes_of([None, importer.static(node, 1)], node.attributes, 1)
    if axes is None:
        axes = tuple(axis for axis in range(rank) if all(shape[axis] == 1 for shape in shapes))
    dropped = {axis % rank for axis in axes}
    return _reshaped(importer, node, [[s for a, s in enumerate(shape) if a not in dropped] for shape in shapes])


def _unsqueeze(importer: Importer, node: RawNode) -> Results:
    shapes = importer.shape_of(node.inputs[0])
    axes = axes_of([None, importer.static(node, 1)], node.attributes, 1)
    if axes is None:
        raise ModelError(f"{node.describe()}: it needs axes")
    rank = len(shapes[0]) + len(axes)
    added = {axis % rank for axis in axes}
    if len(added) != len(axes):
        raise ModelError(f"{node.describe()}: the axes {axes} repeat")
    targets = []
    for shape in shapes:
        sizes = iter(shape)
        targets.append([1 if axis in added else next(sizes) for axis in range(rank)])
    return _reshaped(importer, node, targets)


def _transpose(importer: Importer, node: RawNode) -> Results:
    rank = importer.rank_of(node.inputs[0])
    permutation = tuple(node.attributes.get("perm", range(rank - 1, -1, -1)))
    return [add_node(importer, node, "transpose", [importer.operand(node, 0)], permutation=permutation)]


def _concat(importer: Importer, node: RawNode) -> Results:
    axis = node.attributes["axis"] % importer.rank_of(node.inputs[0])
    operands = [importer.operand(node, position) for position in range(len(node.inputs))]
    return [add_node(importer, node, "concat", operands, axis=axis)]


def _gather(importer: Importer, node: RawNode) -> Results:
    rank = importer.rank_of(node.inputs[0])
    axis = node.attributes.get("axis", 0) % rank
    if importer.is_known(node, 0):
        if axis != 0:
            raise unsupported(node, "a table can be indexed along its first axis only")
        return [add_node(importer, node, "gather", [importer.operand(node, 0), importer.operand(node, 1)])]
    if not importer.is_known(node, 1):
        raise unsupported(node, "an activation can only be indexed with constants")
    indices = importer.static(node, 1)
    assert indices is not None
    size = importer.graph.shapes[importer.operand(node, 0)][axis]
    flat = [int(entry) + (size if entry < 0 else 0) for entry in indices.reshape(-1)]
    if size == SYMBOLIC and any(entry < 0 or entry > 0 for entry in indices.reshape(-1)):
        raise unsupported(node, "along the symbolic dimension only index 0 is supported")
    picked = _picked(importer, node, axis, flat)
    if indices.ndim == 1:
        return [picked]
    targets = [(*s[:axis], *indices.shape, *s[axis + 1 :]) for s in importer.shape_of(node.inputs[0])]
    shape = merge_shapes(targets, importer.probes, node.describe())
    return [add_node(importer, node, "reshape", [picked], shape=shape)]


def _picked(importer: Importer, node: RawNode, axis: int, indices: Sequence[int]) -> str:
    """Entries along an axis as slices of runs, joined."""
    runs: list[list[int]] = []
    for index in indices:
        if runs and index == runs[-1][0] + runs[-1][1]:
            runs[-1][1] += 1
        else:
            runs.append([index, 1])
    if not runs or len(runs) > GATHERED_PARTS_MAX:
        raise unsupported(node, f"{len(runs)} separate runs of indices, 1 to {GATHERED_PARTS_MAX} are supported")
    x = importer.operand(node, 0)
    parts = [add_node(importer, node, "slice", [x], axis=axis, start=start, length=length) for start, length in runs]
    return parts[0] if len(parts) == 1 else add_node(importer, node, "concat", parts, axis=axis)


def _slice(importer: Importer, node: RawNode) -> Results:
    shapes = importer.shape_of(node.inputs[0])
    operands = [importer.known(node, position) for position in range(1, len(node.inputs))]
    per_probe = []
    for position, shape in enumerate(shapes):
        arrays = [None if operand is None else operand.at(position).reshape(-1) for operand in operands]
        per_probe.append(slice_ranges(shape, [None, *arrays] if arrays else [None], node.attributes))
    name = importer.operand(node, 0)
    for entries in zip(*per_probe, strict=True):
        axis, step = entries[0][0], entries[0][3]
        starts = {entry[1] for entry in entries}
        lengths = [entry[2] - entry[1] for entry in entries]
        if step != 1 or len(starts) != 1:
            raise unsupported(node, "only slices of step 1 with a static start are supported")
        length = merge_shapes([(length,) for length in lengths], importer.probes, node.describe())[0]
        if all(size == shape[axis] for size, shape in zip(lengths, shapes, strict=True)):
            continue
        name = add_node(importer, node, "slice", [name], axis=axis, start=starts.pop(), length=length)
    return [name]


def _split(importer: Importer, node: RawNode) -> Results:
    axis = node.attributes.get("axis", 0) % importer.rank_of(node.inputs[0])
    size = importer.graph.shapes[importer.operand(node, 0)][axis]
    if size == SYMBOLIC:
        raise unsupported(node, "the symbolic dimension cannot be split")
    sizes = split_sizes(size, [None, importer.static(node, 1)], node)
    starts = [sum(sizes[:position]) for position in range(len(sizes))]
    x = importer.operand(node, 0)
    return [
        add_node(importer, node, "slice", [x], axis=axis, start=start, length=length)
        for start, length in zip(starts, sizes, strict=True)
    ]


def _reduce(op: str) -> Translator:
    def translator(importer: Importer, node: RawNode) -> Results:
        rank = importer.rank_of(node.inputs[0])
        axes = axes_of([None, importer.static(node, 1)], node.attributes, 1)
        if axes is None:
            axes = () if node.attributes.get("noop_with_empty_axes", 0) else tuple(range(rank))
        if not axes:
            return identity(importer, node)
        chosen = tuple(sorted({axis % rank for axis in axes}))
        keep = bool(node.attributes.get("keepdims", 1))
        return [add_node(importer, node, op, [importer.operand(node, 0)], axes=chosen, keepdims=keep)]

    return translator


def _argmax(importer: Importer, node: RawNode) -> Results:
    if node.attributes.get("select_last_index", 0):
        raise unsupported(node, "select_last_index is not supported")
    axis = node.attributes.get("axis", 0) % importer.rank_of(node.inputs[0])
    result = add_node(importer, node, "argmax", [importer.operand(node, 0)], axis=axis)
    if not node.attributes.get("keepdims", 1):
        return [result]
    targets = [(*s[:axis], 1, *s[axis + 1 :]) for s in importer.shape_of(node.inputs[0])]
    shape = merge_shapes(targets, importer.probes, node.describe())
    return [add_node(importer, node, "reshape", [result], shape=shape)]


def _expand(importer: Importer, node: RawNode) -> Results:
    shapes, target = importer.shape_of(node.inputs[0]), importer.known(node, 1)
    for position, shape in enumerate(shapes):
        if target is None or np.broadcast_shapes(shape, tuple(target.at(position))) != shape:
            raise unsupported(node, "an activation cannot be repeated along an axis")
    return identity(importer, node)


_REDUCING = "axes keepdims noop_with_empty_axes"

TRANSLATORS: Translators = {
    "ArgMax": (_argmax, "axis keepdims select_last_index"),
    "Concat": (_concat, "axis"),
    "Expand": (_expand, ""),
    "Flatten": (_flatten, "axis"),
    "Gather": (_gather, "axis"),
    "ReduceMax": (_reduce("reduce_max"), _REDUCING),
    "ReduceMean": (_reduce("reduce_mean"), _REDUCING),
    "ReduceSum": (_reduce("reduce_sum"), _REDUCING),
    "Reshape": (_reshape, "allowzero shape"),
    "Slice": (_slice, "starts ends axes"),
    "Split": (_split, "axis split num_outputs"),
    "Squeeze": (_squeeze, "axes"),
    "Transpose": (_transpose, "perm"),
    "Unsqueeze": (_unsqueeze, "axes"),
}
