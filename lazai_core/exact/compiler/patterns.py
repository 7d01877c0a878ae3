"""Recognises what exporters decompose: normalisation, GELU, biases, causal masks; and drops what does nothing.

`simplify` is the whole pass: it takes an imported graph and returns one whose nodes the lowering knows.
"""

from __future__ import annotations

import math

import numpy as np
from attrs import evolve

from lazai_core.exact.compiler.float_executor import evaluate
from lazai_core.exact.compiler.float_graph import SYMBOLIC, Array, FloatGraph, FloatNode
from lazai_core.exact.compiler.rewrite import Replacement, View, node_like, sweep

HIDDEN_SCORE = -1e3
CLIPPED_OPS = frozenset({"dense", "conv2d", "add", "subtract", "multiply", "matmul", "average_pool2d", "layer_norm"})


def simplify(graph: FloatGraph) -> FloatGraph:
    """The graph with every recognised pattern in place of its parts; the float meaning is unchanged."""
    graph = merge_duplicates(graph)
    graph = sweep(
        graph, [fold_node, drop_neutral, drop_reshape, drop_transpose, push_scalar, scale_matmul, join_constants]
    )
    graph = sweep(graph, [causal_add, causal_select])
    graph = merge_duplicates(graph)
    graph = sweep(graph, [normalise, gelu, sigmoid_product])
    graph = sweep(graph, [norm_gain, norm_bias, scale_rows, add_bias, scale_table, shift_table])
    graph = sweep(graph, [scale_columns, drop_neutral, attach_clip, drop_reshape, drop_transpose])
    return graph


def merge_duplicates(graph: FloatGraph) -> FloatGraph:
    """Nodes that compute the same value from the same operands become one."""
    seen: dict[tuple[object, ...], str] = {}
    names: dict[str, str] = {}
    constants: dict[tuple[object, ...], str] = {}
    for name, value in graph.constants.items():
        if value.size <= 4096:
            content = (value.shape, value.dtype.str, value.tobytes())
            names[name] = constants.setdefault(content, name)
    renames = {name: kept for name, kept in names.items() if name != kept}
    kept_nodes = []
    for node in graph.nodes:
        inputs = tuple(renames.get(name, name) for name in node.inputs)
        key: tuple[object, ...] = (node.op, inputs, repr(sorted(node.attributes.items())))
        if key in seen:
            renames[node.output] = seen[key]
        else:
            seen[key] = node.output
            kept_nodes.append(evolve(node, inputs=inputs))
    return graph.rebuilt(kept_nodes, renames)


def fold_node(view: View, node: FloatNode) -> Replacement:
    """A node whose operands are all constants is one."""
    if not all(view.graph.is_constant(name) for name in node.inputs) or node.attributes.get("length") == SYMBOLIC:
        return None
    if SYMBOLIC in view.shape(node.output):
        return None
    return view.graph.add_constant(evaluate(node, [view.graph.constants[name] for name in node.inputs], 0))


def drop_neutral(view: View, node: FloatNode) -> Replacement:
    """Adding nothing, multiplying by one, slicing or clipping nothing away."""
    if node.op == "slice" and view.shape(node.output) == view.shape(node.inputs[0]):
        return node.inputs[0]
    if node.op == "clip" and node.attributes["clip"] == (None, None):
        return node.inputs[0]
    if node.op not in ("add", "subtract", "multiply") or "clip" in node.attributes:
        return None
    for here, there in ((1, 0), (0, 1)) if node.op != "subtract" else ((1, 0),):
        value = view.largest_constant(node.inputs[here])
        neutral = 1.0 if node.op == "multiply" else 0.0
        same = view.shape(node.output) == view.shape(node.inputs[there])
        if value is not None and same and bool(np.all(value == neutral)):
            return node.inputs[there]
    return None


def _constant_like(view: View, node: FloatNode) -> tuple[str, str, Array] | None:
    """(activation, constant, its array at the largest size) of a sum with one operand no input reaches."""
    for here, there in ((1, 0), (0, 1)):
        value = view.largest_constant(node.inputs[here])
        if value is not None and view.largest_constant(node.inputs[there]) is None:
            return node.inputs[there], node.inputs[here], value
    return None


def join_constants(view: View, node: FloatNode) -> Replacement:
    """(x + a) + b with constants a and b becomes x + (a + b), also where they are cut to the symbolic size."""
    outer = _constant_like(view, node) if node.op == "add" and "clip" not in node.attributes else None
    source = view.fused(outer[0], "add") if outer is not None else None
    inner = _constant_like(view, source) if source is not None else None
    if outer is None or source is None or inner is None or view.shape(inner[0]) != view.shape(node.output):
        return None
    shapes = [view.shape(inner[1]), view.shape(outer[1])]
    rank = max(len(shape) for shape in shapes)
    padded = [(1,) * (rank - len(shape)) + shape for shape in shapes]
    name = view.add_constant(inner[2] + outer[2])
    nodes: list[FloatNode] = []
    for axis in range(rank):
        if SYMBOLIC in (padded[0][axis], padded[1][axis]):
            cut = view.graph.fresh("slice")
            attributes = {"axis": axis, "start": 0, "length": SYMBOLIC}
            nodes.append(FloatNode(op="slice", inputs=(name,), output=cut, attributes=attributes, source=node.source))
            name = cut
    return [*nodes, node_like(node, "add", [inner[0], name])]


def drop_reshape(view: View, node: FloatNode) -> Replacement:
    """A reshape to the same shape vanishes; of two in a row the last one counts."""
    if node.op != "reshape":
        return None
    if view.shape(node.inputs[0]) == view.shape(node.output):
        return node.inputs[0]
    before = view.producer(node.inputs[0], "reshape")
    return [evolve(node, inputs=before.inputs)] if before is not None else None


def drop_transpose(view: View, node: FloatNode) -> Replacement:
    """Two transposes in a row are one; one that keeps the order vanishes."""
    if node.op != "transpose":
        return None
    order = tuple(node.attributes["permutation"])
    if order == tuple(range(len(order))):
        return node.inputs[0]
    before = view.producer(node.inputs[0], "transpose")
    if before is None:
        return None
    first = before.attributes["permutation"]
    return [node_like(node, "transpose", before.inputs, permutation=tuple(first[axis] for axis in order))]


def _by_scalar(view: View, name: str) -> tuple[str, float] | None:
    """(x, number) when the value is x times one number and nothing else reads it."""
    source = view.fused(name, "multiply")
    parts = view.split_constant(source) if source is not None else None
    if parts is None or parts[1].size != 1 or view.shape(parts[0]) != view.shape(name):
        return None
    return parts[0], float(parts[1].reshape(-1)[0])


def push_scalar(view: View, node: FloatNode) -> Replacement:
    """A factor moves behind data movement, towards the product that can absorb it."""
    if node.op not in ("reshape", "transpose"):
        return None
    found = _by_scalar(view, node.inputs[0])
    if found is None:
        return None
    inner = view.graph.fresh(node.op)
    moved = evolve(node, inputs=(found[0],), output=inner)
    return [moved, node_like(node, "multiply", [inner, view.add_constant(found[1])])]


def scale_matmul(view: View, node: FloatNode) -> Replacement:
    """A positive factor before or after a product of activations becomes the product's own."""
    if node.op == "multiply" and "clip" not in node.attributes:
        parts = view.split_constant(node)
        source = view.fused(parts[0], "matmul") if parts is not None else None
        if parts is None or source is None or parts[1].size != 1 or view.shape(parts[0]) != view.shape(node.output):
            return None
        inputs, number = list(source.inputs), float(parts[1].reshape(-1)[0])
        attributes = source.attributes
    elif node.op == "matmul":
        found = [_by_scalar(view, name) for name in node.inputs]
        position = next((i for i, entry in enumerate(found) if entry is not None and entry[1] > 0), None)
        if position is None:
            return None
        entry = found[position]
        assert entry is not None
        inputs, number, attributes = list(node.inputs), entry[1], node.attributes
        inputs[position] = entry[0]
    else:
        return None
    if number <= 0:
        return None
    factor = number * float(attributes.get("factor", 1.0))
    return [node_like(node, "matmul", inputs, **{**attributes, "factor": factor})]


def attach_clip(view: View, node: FloatNode) -> Replacement:
    """A clip (ReLU) right after an accumulating node becomes that node's own clamp."""
    if node.op != "clip":
        return None
    source = view.producer(node.inputs[0])
    if source is None or source.op not in CLIPPED_OPS or not view.only_use(node.inputs[0]):
        return None
    low, high = node.attributes["clip"]
    before_low, before_high = source.attributes.get("clip", (None, None))
    lows = [bound for bound in (low, before_low) if bound is not None]
    highs = [bound for bound in (high, before_high) if bound is not None]
    bounds = (max(lows, default=None), min(highs, default=None))
    return [node_like(node, source.op, source.inputs, **{**source.attributes, "clip": bounds})]


def is_causal(mask: Array) -> bool:
    """Whether a boolean "visible" mask over its last two axes is the lower triangle."""
    if mask.ndim < 2 or any(size != 1 for size in mask.shape[:-2]):
        return False
    rows, columns = mask.shape[-2:]
    wanted = np.arange(columns)[None, :] <= np.arange(rows)[:, None] + (columns - rows)
    return rows > 1 and bool(np.array_equal(mask.reshape(rows, columns), wanted))


def _only_softmax(view: View, name: str) -> bool:
    readers = view.readers(name)
    return bool(readers) and all(reader.op == "softmax" for reader in readers)


def causal_add(view: View, node: FloatNode) -> Replacement:
    """softmax(x + mask) where the mask is 0 on and below the diagonal and hugely negative above."""
    if node.op != "softmax" or node.attributes["causal"]:
        return None
    source = view.producer(node.inputs[0], "add")
    if source is None:
        return None
    for here, there in ((1, 0), (0, 1)):
        mask = view.largest_constant(source.inputs[here])
        if mask is None or not bool(np.all((mask == 0) | (mask <= HIDDEN_SCORE))):
            continue
        if is_causal(mask == 0) and view.shape(source.output) == view.shape(source.inputs[there]):
            return [node_like(node, "softmax", [source.inputs[there]], causal=True)]
    return None


def causal_select(view: View, node: FloatNode) -> Replacement:
    """softmax(where(visible, x, hugely negative)) with the causal triangle as `visible`."""
    if node.op != "softmax" or node.attributes["causal"]:
        return None
    source = view.producer(node.inputs[0], "select")
    if source is None:
        return None
    condition, hidden = view.largest_constant(source.inputs[0]), view.largest_constant(source.inputs[2])
    if condition is None or hidden is None or not bool(np.all(hidden <= HIDDEN_SCORE)):
        return None
    if not is_causal(condition != 0) or view.shape(source.output) != view.shape(source.inputs[1]):
        return None
    return [node_like(node, "softmax", [source.inputs[1]], causal=True)]


def _deviation_root(view: View, name: str) -> tuple[str, float] | None:
    """(c, epsilon) when the value is sqrt(mean(c * c over the last axis) + epsilon)."""
    root = view.producer(name)
    if root is None:
        return None
    by_power = root.op == "power" and view.scalar(root.inputs[1]) == 0.5
    if not by_power and not (root.op == "unary" and root.attributes["function"] == "square_root"):
        return None
    inner, epsilon = root.inputs[0], 0.0
    added = view.producer(inner, "add")
    if added is not None:
        parts = view.split_constant(added)
        if parts is None or parts[1].size != 1:
            return None
        inner, epsilon = parts[0], float(parts[1].reshape(-1)[0])
    mean = view.producer(inner, "reduce_mean")
    if mean is None or not mean.attributes["keepdims"]:
        return None
    if tuple(mean.attributes["axes"]) != (len(view.shape(mean.inputs[0])) - 1,):
        return None
    square = view.producer(mean.inputs[0], "multiply")
    if square is None or square.inputs[0] != square.inputs[1]:
        return None
    return square.inputs[0], epsilon


def normalise(view: View, node: FloatNode) -> Replacement:
    """C / sqrt(mean(c^2) + epsilon), with c = x - mean(x) (LayerNorm) or c = x (RMSNorm)."""
    if "clip" in node.attributes:
        return None
    if node.op == "divide":
        centred, root = node.inputs[0], _deviation_root(view, node.inputs[1])
    elif node.op == "multiply":
        centred, root = _inverse_root(view, node)
    else:
        return None
    if root is None or root[0] != centred:
        return None
    source, subtract = centred, False
    difference = view.producer(centred, "subtract")
    if difference is not None:
        mean = view.producer(difference.inputs[1], "reduce_mean")
        last = (len(view.shape(centred)) - 1,)
        if mean is not None and mean.inputs[0] == difference.inputs[0] and tuple(mean.attributes["axes"]) == last:
            source, subtract = difference.inputs[0], True
    size = view.shape(source)[-1]
    if size == SYMBOLIC:
        return None
    inputs = [source, view.add_constant(np.ones(size)), view.add_constant(np.zeros(size))]
    return [node_like(node, "layer_norm", inputs, epsilon=root[1], subtract_mean=subtract)]


def _inverse_root(view: View, node: FloatNode) -> tuple[str, tuple[str, float] | None]:
    for here, there in ((0, 1), (1, 0)):
        inverse = view.producer(node.inputs[there], "divide")
        if inverse is not None and view.scalar(inverse.inputs[0]) == 1.0:
            root = _deviation_root(view, inverse.inputs[1])
            if root is not None:
                return node.inputs[here], root
    return "", None


def _factors(view: View, node: FloatNode) -> tuple[list[str], float]:
    """The activation factors of a product tree and the product of its scalar constants."""
    names: list[str] = []
    scale = 1.0
    pending = list(node.inputs)
    while pending:
        name = pending.pop()
        number = view.scalar(name)
        inner = view.fused(name, "multiply")
        if number is not None:
            scale *= number
        elif inner is not None and len(names) + len(pending) < 8:
            pending.extend(inner.inputs)
        else:
            names.append(name)
    return names, scale


def _near(value: float, wanted: float) -> bool:
    return abs(value - wanted) <= 1e-3 * abs(wanted)


def _scaled(view: View, name: str, wanted: float) -> str | None:
    """X when the value is x times the scalar `wanted`."""
    node = view.producer(name, "multiply")
    parts = view.split_constant(node) if node is not None else None
    if parts is None or parts[1].size != 1 or not _near(float(parts[1].reshape(-1)[0]), wanted):
        return None
    return parts[0]


def _plus_one(view: View, name: str, function: str) -> str | None:
    """Y when the value is function(y) + 1."""
    node = view.producer(name, "add")
    parts = view.split_constant(node) if node is not None else None
    if parts is None or parts[1].size != 1 or float(parts[1].reshape(-1)[0]) != 1.0:
        return None
    inner = view.producer(parts[0], "unary")
    return inner.inputs[0] if inner is not None and inner.attributes["function"] == function else None


def gelu(view: View, node: FloatNode) -> Replacement:
    """X * 0.5 * (1 + erf(x / sqrt 2)), or its approximation by tanh, in any order of the factors."""
    if node.op != "multiply" or "clip" in node.attributes:
        return None
    names, scale = _factors(view, node)
    if len(names) != 2:
        return None
    for x, other in (names, names[::-1]):
        kind = ""
        inner = _plus_one(view, other, "erf")
        if inner is not None and _scaled(view, inner, 1 / math.sqrt(2)) == x:
            kind = "gelu"
        inner = _plus_one(view, other, "tanh")
        if inner is not None and _is_cubic(view, inner, x):
            kind = "gelu_tanh"
        if kind:
            return _function_of(view, node, x, kind, 2 * scale)
    return None


def _function_of(view: View, node: FloatNode, x: str, kind: str, scale: float) -> list[FloatNode]:
    if _near(scale, 1.0):
        return [node_like(node, "unary", [x], function=kind)]
    inner = view.graph.fresh("unary")
    made = FloatNode(op="unary", inputs=(x,), output=inner, attributes={"function": kind}, source=node.source)
    return [made, node_like(node, "multiply", [inner, view.add_constant(scale)])]


def _is_cubic(view: View, name: str, x: str) -> bool:
    """Whether the value is sqrt(2 / pi) * (x + 0.044715 x^3)."""
    total = _scaled(view, name, math.sqrt(2 / math.pi))
    added = view.producer(total, "add") if total is not None else None
    if added is None or x not in added.inputs:
        return False
    other = added.inputs[1] if added.inputs[0] == x else added.inputs[0]
    cube = _scaled(view, other, 0.044715)
    if cube is not None:
        power = view.producer(cube, "power")
        if power is not None and power.inputs[0] == x and view.scalar(power.inputs[1]) == 3.0:
            return True
    product = view.producer(other, "multiply")
    if product is None:
        return False
    names, scale = _factors(view, product)
    squares = [view.producer(entry, "multiply") for entry in names if entry != x]
    flat = names.count(x) + sum(2 for square in squares if square is not None and square.inputs == (x, x))
    return flat == 3 and _near(scale, 0.044715)


def sigmoid_product(view: View, node: FloatNode) -> Replacement:
    """X * sigmoid(x) as one function."""
    if node.op != "multiply" or "clip" in node.attributes:
        return None
    for x, other in (node.inputs, node.inputs[::-1]):
        inner = view.producer(other, "unary")
        if inner is not None and inner.attributes["function"] == "sigmoid" and inner.inputs[0] == x:
            return [node_like(node, "unary", [x], function="silu")]
    return None


def _per_column(value: Array, size: int, trailing: int = 0) -> Array | None:
    """`value` as a vector over an axis of `size` followed by `trailing` axes, when it varies along it only."""
    if value.size == 1:
        return np.full(size, value.reshape(-1)[0], dtype=np.float32)
    shape = tuple(value.shape)
    wanted = (size, *(1,) * trailing)
    stripped = shape[-len(wanted) :]
    fits = stripped == wanted and all(entry == 1 for entry in shape[: -len(wanted)])
    return value.reshape(-1) if fits else None


def _absorbs(view: View, node: FloatNode, op: str, kinds: tuple[str, ...]) -> tuple[FloatNode, Array] | None:
    """(absorbed producer, constant per column) of a commutative node next to one of `kinds`."""
    if node.op != op or "clip" in node.attributes:
        return None
    parts = view.split_constant(node)
    if parts is None or view.shape(parts[0]) != view.shape(node.output):
        return None
    for kind in kinds:
        source = view.fused(parts[0], kind)
        if source is not None:
            shape = view.shape(source.output)
            axis, trailing = (1, 2) if kind == "conv2d" else (len(shape) - 1, 0)
            value = _per_column(parts[1], shape[axis], trailing) if shape[axis] != SYMBOLIC else None
            return (source, value) if value is not None else None
    return None


def norm_gain(view: View, node: FloatNode) -> Replacement:
    found = _absorbs(view, node, "multiply", ("layer_norm",))
    if found is None:
        return None
    source, value = found
    x, gain, bias = source.inputs
    constants = view.graph.constants
    inputs = [x, view.add_constant(constants[gain] * value), view.add_constant(constants[bias] * value)]
    return [node_like(node, "layer_norm", inputs, **source.attributes)]


def norm_bias(view: View, node: FloatNode) -> Replacement:
    return _bias_into(view, node, ("layer_norm",))


def add_bias(view: View, node: FloatNode) -> Replacement:
    return _bias_into(view, node, ("dense", "conv2d"))


def _bias_into(view: View, node: FloatNode, kinds: tuple[str, ...]) -> Replacement:
    found = _absorbs(view, node, "add", kinds)
    if found is None:
        return None
    source, value = found
    x, weight, bias = source.inputs
    inputs = [x, weight, view.add_constant(view.graph.constants[bias] + value)]
    return [node_like(node, source.op, inputs, **source.attributes)]


def scale_rows(view: View, node: FloatNode) -> Replacement:
    """A factor per output channel goes into the weight and the bias."""
    found = _absorbs(view, node, "multiply", ("dense", "conv2d"))
    if found is None:
        return None
    source, value = found
    x, weight, bias = source.inputs
    rows = view.graph.constants[weight]
    scaled = rows * value.reshape((-1,) + (1,) * (rows.ndim - 1))
    inputs = [x, view.add_constant(scaled), view.add_constant(view.graph.constants[bias] * value)]
    return [node_like(node, source.op, inputs, **source.attributes)]


def scale_columns(view: View, node: FloatNode) -> Replacement:
    """A factor per input channel goes into the weight of the dense node that reads the product."""
    if node.op != "dense":
        return None
    source = view.fused(node.inputs[0], "multiply")
    parts = view.split_constant(source) if source is not None else None
    if parts is None or view.shape(parts[0]) != view.shape(node.inputs[0]):
        return None
    weight = view.graph.constants[node.inputs[1]]
    value = _per_column(parts[1], weight.shape[1])
    if value is None:
        return None
    return [node_like(node, "dense", [parts[0], view.add_constant(weight * value), node.inputs[2]], **node.attributes)]


def _table_edit(view: View, node: FloatNode, op: str) -> Replacement:
    found = _absorbs(view, node, op, ("gather",))
    if found is None:
        return None
    source, value = found
    table = view.graph.constants.get(source.inputs[0])
    if table is None or table.ndim != 2:
        return None
    edited = table * value if op == "multiply" else table + value
    return [node_like(node, "gather", [view.add_constant(edited), source.inputs[1]])]


def scale_table(view: View, node: FloatNode) -> Replacement:
    return _table_edit(view, node, "multiply")


def shift_table(view: View, node: FloatNode) -> Replacement:
    return _table_edit(view, node, "add")
