"""One function per ONNX operator that acts on activations, each adding nodes to the float graph.

`TRANSLATORS` maps an operator to its function and to the attributes it may carry; any other attribute or
operator is refused by name.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from lazai_core.api.errors import LazAIError, ModelError, UnsupportedProgram
from lazai_core.exact.compiler.float_graph import SYMBOLIC, Array, FloatNode, merge_shapes
from lazai_core.exact.compiler.onnx_fold import axes_of, reshape_target, slice_ranges, split_sizes
from lazai_core.exact.compiler.onnx_import import Importer, Known
from lazai_core.exact.compiler.onnx_read import RawNode

Results = Sequence[Known | str]
Translator = Callable[[Importer, RawNode], Results]

GATHERED_PARTS_MAX = 256


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


def _unsupported(node: RawNode, reason: str) -> UnsupportedProgram:
    return UnsupportedProgram(f"{node.describe()}: {reason}")


def _add(importer: Importer, node: RawNode, op: str, inputs: Sequence[str], **attributes: Any) -> str:
    return importer.graph.add(op, inputs, source=node.name, **attributes)


def _identity(importer: Importer, node: RawNode) -> Results:
    return [importer.operand(node, 0)]


def _binary(op: str) -> Translator:
    def translator(importer: Importer, node: RawNode) -> Results:
        return [_add(importer, node, op, [importer.operand(node, 0), importer.operand(node, 1)])]

    return translator


def _divide(importer: Importer, node: RawNode) -> Results:
    """Division by a known value becomes a product; by the length of a summed axis, a mean (patterns)."""
    left, right = importer.operand(node, 0), importer.values[node.inputs[1]]
    if not isinstance(right, Known):
        return [_add(importer, node, "divide", [left, right])]
    if not all(np.all(array) for array in right.arrays):
        raise _unsupported(node, "it divides by zero")
    if right.is_static:
        return [_add(importer, node, "multiply", [left, _constant(importer, 1.0 / right.arrays[0])])]
    counts = [float(array.reshape(-1)[0]) for array in right.arrays]
    uniform = all(np.all(array == count) for array, count in zip(right.arrays, counts, strict=True))
    summed = _summed_by(importer, left)
    if uniform and summed is not None and counts == [float(count) for count in summed[1]]:
        source, attributes = summed[0].inputs[0], dict(summed[0].attributes)
        return [_add(importer, node, "reduce_mean", [source], **attributes)]
    raise _unsupported(node, "the divisor depends on the symbolic dimension")


def _summed_by(importer: Importer, name: str) -> tuple[FloatNode, list[int]] | None:
    for made in reversed(importer.graph.nodes):
        if made.output == name and made.op == "reduce_sum":
            shape = importer.graph.shapes[made.inputs[0]]
            counts = []
            for probe in importer.probes:
                counts.append(math.prod(probe if shape[a] == SYMBOLIC else shape[a] for a in made.attributes["axes"]))
            return made, counts
    return None


def _constant(importer: Importer, value: Array | float) -> str:
    return importer.graph.add_constant(np.asarray(value, dtype=np.float32))


def _variadic(op: str) -> Translator:
    def translator(importer: Importer, node: RawNode) -> Results:
        total = importer.operand(node, 0)
        for position in range(1, len(node.inputs)):
            total = _add(importer, node, op, [total, importer.operand(node, position)])
        return [total]

    return translator


def _negate(importer: Importer, node: RawNode) -> Results:
    return [_add(importer, node, "multiply", [importer.operand(node, 0), _constant(importer, -1.0)])]


def _unary(function: str) -> Translator:
    def translator(importer: Importer, node: RawNode) -> Results:
        return [_add(importer, node, "unary", [importer.operand(node, 0)], function=function)]

    return translator


def _gelu(importer: Importer, node: RawNode) -> Results:
    kinds = {"none": "gelu", "tanh": "gelu_tanh"}
    approximate = node.attributes.get("approximate", "none")
    if approximate not in kinds:
        raise _unsupported(node, f"the approximation {approximate!r} is not supported")
    return _unary(kinds[approximate])(importer, node)


def _elu(importer: Importer, node: RawNode) -> Results:
    if node.attributes.get("alpha", 1.0) != 1.0:
        raise _unsupported(node, "only alpha = 1 is supported")
    return _unary("elu")(importer, node)


def _hard_sigmoid(importer: Importer, node: RawNode) -> Results:
    slope = (node.attributes.get("alpha", 0.2), node.attributes.get("beta", 0.5))
    if abs(slope[0] - 1 / 6) > 1e-4 or slope[1] != 0.5:
        raise _unsupported(node, f"only alpha = 1/6 and beta = 1/2 are supported, it has {slope}")
    return _unary("hard_sigmoid")(importer, node)


def _clip(importer: Importer, node: RawNode) -> Results:
    bounds: list[float | None] = [node.attributes.get("min"), node.attributes.get("max")]
    for position in (1, 2):
        given = importer.static(node, position)
        if given is not None:
            bounds[position - 1] = float(given.reshape(-1)[0])
    return [_add(importer, node, "clip", [importer.operand(node, 0)], clip=(bounds[0], bounds[1]))]


def _relu(importer: Importer, node: RawNode) -> Results:
    return [_add(importer, node, "clip", [importer.operand(node, 0)], clip=(0.0, None))]


def _power(importer: Importer, node: RawNode) -> Results:
    exponent = importer.static(node, 1)
    if exponent is None or exponent.size != 1:
        raise _unsupported(node, "only one constant exponent is supported")
    x = importer.operand(node, 0)
    if float(exponent.reshape(-1)[0]) == 2.0:
        return [_add(importer, node, "multiply", [x, x])]
    return [_add(importer, node, "power", [x, _constant(importer, exponent.reshape(()))])]


def _reciprocal(importer: Importer, node: RawNode) -> Results:
    return [_add(importer, node, "divide", [_constant(importer, 1.0), importer.operand(node, 0)])]


def _bias_or_zeros(importer: Importer, node: RawNode, position: int, size: int, factor: float = 1.0) -> str:
    given = importer.static(node, position)
    values = np.zeros(size) if given is None else np.broadcast_to(given.reshape(-1) * factor, (size,))
    return _constant(importer, np.array(values))


def _gemm(importer: Importer, node: RawNode) -> Results:
    alpha, beta = node.attributes.get("alpha", 1.0), node.attributes.get("beta", 1.0)
    if node.attributes.get("transA", 0):
        raise _unsupported(node, "transA is not supported")
    x = importer.operand(node, 0)
    weight = importer.static(node, 1)
    if weight is None:
        raise ModelError(f"{node.describe()}: input 1 is missing")
    matrix = np.ascontiguousarray(weight if node.attributes.get("transB", 0) else weight.T) * np.float32(alpha)
    bias = _bias_or_zeros(importer, node, 2, matrix.shape[0], beta)
    return [_add(importer, node, "dense", [x, _constant(importer, matrix), bias])]


def _matmul(importer: Importer, node: RawNode) -> Results:
    if importer.is_known(node, 1):
        weight = importer.static(node, 1)
        assert weight is not None
        while weight.ndim > 2 and weight.shape[0] == 1:
            weight = weight[0]
        if weight.ndim == 2:
            matrix = _constant(importer, np.ascontiguousarray(weight.T))
            zeros = _constant(importer, np.zeros(weight.shape[1]))
            return [_add(importer, node, "dense", [importer.operand(node, 0), matrix, zeros])]
    if importer.is_known(node, 0):
        return [_constant_left(importer, node)]
    return [_add(importer, node, "matmul", [importer.operand(node, 0), importer.operand(node, 1)])]


def _constant_left(importer: Importer, node: RawNode) -> str:
    """`W @ x` as the transpose of `x^T @ W^T`, so that the constant is a weight."""
    weight = importer.static(node, 0)
    assert weight is not None
    rank = importer.rank_of(node.inputs[1])
    if weight.ndim != 2 or rank < 2:
        raise _unsupported(node, "a constant left operand must be a matrix and the right one of rank 2 or more")
    order = [*range(rank - 2), rank - 1, rank - 2]
    turned = _add(importer, node, "transpose", [importer.operand(node, 1)], permutation=order)
    zeros = _constant(importer, np.zeros(weight.shape[0]))
    product = _add(importer, node, "dense", [turned, _constant(importer, weight), zeros])
    return _add(importer, node, "transpose", [product], permutation=order)


def _pads(importer: Importer, node: RawNode, kernel: Sequence[int], strides: Sequence[int]) -> tuple[int, ...]:
    mode = node.attributes.get("auto_pad", "NOTSET")
    if mode == "NOTSET":
        return tuple(node.attributes.get("pads", (0, 0, 0, 0)))
    if mode == "VALID":
        return (0, 0, 0, 0)
    if mode not in ("SAME_UPPER", "SAME_LOWER"):
        raise _unsupported(node, f"auto_pad {mode!r} is unknown")
    shapes = importer.shape_of(node.inputs[0])
    if len({shape[2:] for shape in shapes}) != 1:
        raise _unsupported(node, "auto_pad needs static height and width")
    before, after = [], []
    for size, reach, stride in zip(shapes[0][2:], kernel, strides, strict=True):
        total = max(0, (-(-size // stride) - 1) * stride + reach - size)
        small, large = total // 2, total - total // 2
        before.append(small if mode == "SAME_UPPER" else large)
        after.append(large if mode == "SAME_UPPER" else small)
    return (*before, *after)


def _window_attributes(
    importer: Importer, node: RawNode, kernel: Sequence[int]
) -> tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]]:
    if importer.rank_of(node.inputs[0]) != 4 or len(kernel) != 2:
        raise _unsupported(node, "only two spatial axes are supported")
    strides = tuple(node.attributes.get("strides", (1, 1)))
    dilations = tuple(node.attributes.get("dilations", (1, 1)))
    reach = [dilation * (size - 1) + 1 for size, dilation in zip(kernel, dilations, strict=True)]
    pads = _pads(importer, node, reach, strides)
    if len(strides) != 2 or len(pads) != 4 or min(*strides, *dilations) < 1 or min(pads) < 0:
        raise _unsupported(node, f"strides {strides}, dilations {dilations} and pads {pads} are not supported")
    return strides, pads, dilations


def _conv(importer: Importer, node: RawNode) -> Results:
    weight = importer.static(node, 1)
    if weight is None or weight.ndim != 4:
        raise _unsupported(node, "only two-dimensional convolution with constant weights is supported")
    kernel = node.attributes.get("kernel_shape", weight.shape[2:])
    if tuple(kernel) != weight.shape[2:]:
        raise ModelError(f"{node.describe()}: kernel_shape {tuple(kernel)} differs from the weight's")
    strides, pads, dilations = _window_attributes(importer, node, weight.shape[2:])
    bias = _bias_or_zeros(importer, node, 2, weight.shape[0])
    inputs = [importer.operand(node, 0), _constant(importer, weight), bias]
    groups = node.attributes.get("group", 1)
    if groups < 1:
        raise ModelError(f"{node.describe()}: group {groups} is not positive")
    return [_add(importer, node, "conv2d", inputs, strides=strides, pads=pads, dilations=dilations, groups=groups)]


def _pool(op: str) -> Translator:
    def translator(importer: Importer, node: RawNode) -> Results:
        kernel = tuple(node.attributes["kernel_shape"])
        strides, pads, dilations = _window_attributes(importer, node, kernel)
        if dilations != (1, 1) or min(kernel) < 1:
            raise _unsupported(node, "dilated pooling is not supported")
        if any(pads) and op == "average_pool2d" and not node.attributes.get("count_include_pad", 0):
            raise _unsupported(node, "padding must count in the average (count_include_pad = 1)")
        if node.attributes.get("ceil_mode", 0):
            shape = importer.shape_of(node.inputs[0])[0]
            for axis in range(2):
                if (shape[2 + axis] + pads[axis] + pads[2 + axis] - kernel[axis]) % strides[axis]:
                    raise _unsupported(node, "ceil_mode changes the result's size here, which is not supported")
        x = importer.operand(node, 0)
        return [_add(importer, node, op, [x], kernel=kernel, strides=strides, pads=pads)]

    return translator


def _global_pool(op: str) -> Translator:
    def translator(importer: Importer, node: RawNode) -> Results:
        axes = tuple(range(2, importer.rank_of(node.inputs[0])))
        return [_add(importer, node, op, [importer.operand(node, 0)], axes=axes, keepdims=True)]

    return translator


def _batch_norm(importer: Importer, node: RawNode) -> Results:
    if node.attributes.get("training_mode", 0):
        raise _unsupported(node, "training mode is not supported")
    arrays = [importer.static(node, position) for position in range(1, 5)]
    if any(array is None for array in arrays):
        raise ModelError(f"{node.describe()}: it needs scale, bias, mean and variance")
    gain, bias, mean, variance = (np.asarray(array, dtype=np.float64) for array in arrays)
    factor = gain / np.sqrt(variance + node.attributes.get("epsilon", 1e-5))
    spread = (-1,) + (1,) * (importer.rank_of(node.inputs[0]) - 2)
    scaled = _add(importer, node, "multiply", [importer.operand(node, 0), _constant(importer, factor.reshape(spread))])
    return [_add(importer, node, "add", [scaled, _constant(importer, (bias - mean * factor).reshape(spread))])]


def _norm(subtract_mean: bool) -> Translator:
    def translator(importer: Importer, node: RawNode) -> Results:
        shape = importer.shape_of(node.inputs[0])[0]
        if node.attributes.get("axis", -1) % len(shape) != len(shape) - 1:
            raise _unsupported(node, "only the last axis can be normalised")
        gain = _bias_or_zeros(importer, node, 1, shape[-1])
        bias = _bias_or_zeros(importer, node, 2, shape[-1])
        epsilon = float(node.attributes.get("epsilon", 1e-5))
        inputs = [importer.operand(node, 0), gain, bias]
        return [_add(importer, node, "layer_norm", inputs, epsilon=epsilon, subtract_mean=subtract_mean)]

    return translator


def _softmax(importer: Importer, node: RawNode) -> Results:
    rank = importer.rank_of(node.inputs[0])
    axis = node.attributes.get("axis", -1 if importer.opset >= 13 else 1) % rank
    x = importer.operand(node, 0)
    if axis == rank - 1:
        return [_add(importer, node, "softmax", [x], causal=False)]
    if importer.opset < 13:
        raise _unsupported(node, "before operator set 13 only the last axis is supported")
    order = [entry for entry in range(rank) if entry != axis] + [axis]
    turned = _add(importer, node, "transpose", [x], permutation=order)
    result = _add(importer, node, "softmax", [turned], causal=False)
    back = [order.index(entry) for entry in range(rank)]
    return [_add(importer, node, "transpose", [result], permutation=back)]


def _flatten(importer: Importer, node: RawNode) -> Results:
    shapes = importer.shape_of(node.inputs[0])
    axis = node.attributes.get("axis", 1)
    axis = axis % len(shapes[0]) if axis < 0 else axis
    return _reshaped(importer, node, [(math.prod(s[:axis]), math.prod(s[axis:])) for s in shapes])


def _reshaped(importer: Importer, node: RawNode, targets: Sequence[Sequence[int]]) -> Results:
    shape = merge_shapes([tuple(target) for target in targets], importer.probes, node.describe())
    return [_add(importer, node, "reshape", [importer.operand(node, 0)], shape=shape)]


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
    return [_add(importer, node, "transpose", [importer.operand(node, 0)], permutation=permutation)]


def _concat(importer: Importer, node: RawNode) -> Results:
    axis = node.attributes["axis"] % importer.rank_of(node.inputs[0])
    operands = [importer.operand(node, position) for position in range(len(node.inputs))]
    return [_add(importer, node, "concat", operands, axis=axis)]


def _gather(importer: Importer, node: RawNode) -> Results:
    rank = importer.rank_of(node.inputs[0])
    axis = node.attributes.get("axis", 0) % rank
    if importer.is_known(node, 0):
        if axis != 0:
            raise _unsupported(node, "a table can be indexed along its first axis only")
        return [_add(importer, node, "gather", [importer.operand(node, 0), importer.operand(node, 1)])]
    if not importer.is_known(node, 1):
        raise _unsupported(node, "an activation can only be indexed with constants")
    indices = importer.static(node, 1)
    assert indices is not None
    size = importer.graph.shapes[importer.operand(node, 0)][axis]
    flat = [int(entry) + (size if entry < 0 else 0) for entry in indices.reshape(-1)]
    if size == SYMBOLIC and any(entry < 0 or entry > 0 for entry in indices.reshape(-1)):
        raise _unsupported(node, "along the symbolic dimension only index 0 is supported")
    picked = _picked(importer, node, axis, flat)
    if indices.ndim == 1:
        return [picked]
    targets = [(*s[:axis], *indices.shape, *s[axis + 1 :]) for s in importer.shape_of(node.inputs[0])]
    shape = merge_shapes(targets, importer.probes, node.describe())
    return [_add(importer, node, "reshape", [picked], shape=shape)]


def _picked(importer: Importer, node: RawNode, axis: int, indices: Sequence[int]) -> str:
    """Entries along an axis as slices of runs, joined."""
    runs: list[list[int]] = []
    for index in indices:
        if runs and index == runs[-1][0] + runs[-1][1]:
            runs[-1][1] += 1
        else:
            runs.append([index, 1])
    if not runs or len(runs) > GATHERED_PARTS_MAX:
        raise _unsupported(node, f"{len(runs)} separate runs of indices, 1 to {GATHERED_PARTS_MAX} are supported")
    x = importer.operand(node, 0)
    parts = [_add(importer, node, "slice", [x], axis=axis, start=start, length=length) for start, length in runs]
    return parts[0] if len(parts) == 1 else _add(importer, node, "concat", parts, axis=axis)


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
            raise _unsupported(node, "only slices of step 1 with a static start are supported")
        length = merge_shapes([(length,) for length in lengths], importer.probes, node.describe())[0]
        if all(size == shape[axis] for size, shape in zip(lengths, shapes, strict=True)):
            continue
        name = _add(importer, node, "slice", [name], axis=axis, start=starts.pop(), length=length)
    return [name]


def _split(importer: Importer, node: RawNode) -> Results:
    axis = node.attributes.get("axis", 0) % importer.rank_of(node.inputs[0])
    size = importer.graph.shapes[importer.operand(node, 0)][axis]
    if size == SYMBOLIC:
        raise _unsupported(node, "the symbolic dimension cannot be split")
    sizes = split_sizes(size, [None, importer.static(node, 1)], node)
    starts = [sum(sizes[:position]) for position in range(len(sizes))]
    x = importer.operand(node, 0)
    return [
        _add(importer, node, "slice", [x], axis=axis, start=start, length=length)
        for start, length in zip(starts, sizes, strict=True)
    ]


def _reduce(op: str) -> Translator:
    def translator(importer: Importer, node: RawNode) -> Results:
        rank = importer.rank_of(node.inputs[0])
        axes = axes_of([None, importer.static(node, 1)], node.attributes, 1)
        if axes is None:
            axes = () if node.attributes.get("noop_with_empty_axes", 0) else tuple(range(rank))
        if not axes:
            return _identity(importer, node)
        chosen = tuple(sorted({axis % rank for axis in axes}))
        keep = bool(node.attributes.get("keepdims", 1))
        return [_add(importer, node, op, [importer.operand(node, 0)], axes=chosen, keepdims=keep)]

    return translator


def _argmax(importer: Importer, node: RawNode) -> Results:
    if node.attributes.get("select_last_index", 0):
        raise _unsupported(node, "select_last_index is not supported")
    axis = node.attributes.get("axis", 0) % importer.rank_of(node.inputs[0])
    result = _add(importer, node, "argmax", [importer.operand(node, 0)], axis=axis)
    if not node.attributes.get("keepdims", 1):
        return [result]
    targets = [(*s[:axis], 1, *s[axis + 1 :]) for s in importer.shape_of(node.inputs[0])]
    shape = merge_shapes(targets, importer.probes, node.describe())
    return [_add(importer, node, "reshape", [result], shape=shape)]


def _where(importer: Importer, node: RawNode) -> Results:
    condition = importer.known(node, 0)
    if condition is None:
        raise ModelError(f"{node.describe()}: the condition is missing")
    for position, wanted in ((1, True), (2, False)):
        if all(bool(np.all(array)) if wanted else not np.any(array) for array in condition.arrays):
            return [importer.operand(node, position)]
    inputs = [importer.operand(node, position) for position in range(3)]
    return [_add(importer, node, "select", inputs)]


def _expand(importer: Importer, node: RawNode) -> Results:
    shapes, target = importer.shape_of(node.inputs[0]), importer.known(node, 1)
    for position, shape in enumerate(shapes):
        if target is None or np.broadcast_shapes(shape, tuple(target.at(position))) != shape:
            raise _unsupported(node, "an activation cannot be repeated along an axis")
    return _identity(importer, node)


HINTS = {
    "ReduceL2": "normalise outside the model: an exact program returns the vector and its scale",
    "LpNormalization": "normalise outside the model: an exact program returns the vector and its scale",
    "Equal": "give masks as constants, for example with `fixed_inputs`",
    "If": "export the model without control flow",
    "Loop": "export the model without control flow",
    "Scan": "export the model without control flow",
}

_WINDOW = "auto_pad dilations kernel_shape pads strides"
_POOLING = f"{_WINDOW} ceil_mode count_include_pad storage_order"
_REDUCING = "axes keepdims noop_with_empty_axes"

TRANSLATORS: dict[str, tuple[Translator, str]] = {
    "Add": (_binary("add"), ""),
    "ArgMax": (_argmax, "axis keepdims select_last_index"),
    "AveragePool": (_pool("average_pool2d"), _POOLING),
    "BatchNormalization": (_batch_norm, "epsilon momentum spatial training_mode"),
    "Cast": (_identity, "to saturate round_mode"),
    "Clip": (_clip, "min max"),
    "Concat": (_concat, "axis"),
    "Conv": (_conv, f"{_WINDOW} group"),
    "Div": (_divide, ""),
    "Dropout": (_identity, "ratio seed"),
    "Elu": (_elu, "alpha"),
    "Erf": (_unary("erf"), ""),
    "Exp": (_unary("exponential"), ""),
    "Expand": (_expand, ""),
    "Flatten": (_flatten, "axis"),
    "Gather": (_gather, "axis"),
    "Gelu": (_gelu, "approximate"),
    "Gemm": (_gemm, "alpha beta transA transB"),
    "GlobalAveragePool": (_global_pool("reduce_mean"), ""),
    "GlobalMaxPool": (_global_pool("reduce_max"), ""),
    "HardSigmoid": (_hard_sigmoid, "alpha beta"),
    "HardSwish": (_unary("hard_swish"), ""),
    "Identity": (_identity, ""),
    "LayerNormalization": (_norm(True), "axis epsilon stash_type"),
    "MatMul": (_matmul, ""),
    "MaxPool": (_pool("max_pool2d"), _POOLING),
    "Mul": (_binary("multiply"), ""),
    "Neg": (_negate, ""),
    "Pow": (_power, ""),
    "RMSNormalization": (_norm(False), "axis epsilon stash_type"),
    "Reciprocal": (_reciprocal, ""),
    "ReduceMax": (_reduce("reduce_max"), _REDUCING),
    "ReduceMean": (_reduce("reduce_mean"), _REDUCING),
    "ReduceSum": (_reduce("reduce_sum"), _REDUCING),
    "Relu": (_relu, ""),
    "Reshape": (_reshape, "allowzero shape"),
    "Sigmoid": (_unary("sigmoid"), ""),
    "Slice": (_slice, "starts ends axes"),
    "Softmax": (_softmax, "axis"),
    "Softplus": (_unary("softplus"), ""),
    "Split": (_split, "axis split num_outputs"),
    "Sqrt": (_unary("square_root"), ""),
    "Squeeze": (_squeeze, "axes"),
    "Sub": (_binary("subtract"), ""),
    "Sum": (_variadic("add"), ""),
    "Tanh": (_unary("tanh"), ""),
    "Transpose": (_transpose, "perm"),
    "Unsqueeze": (_unsqueeze, "axes"),
    "Where": (_where, ""),
}
