"""Emits the exact program: one function per float operation, following the plan of forms and steps."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from lazai_core.api.errors import InvalidProgram, UnsupportedProgram
from lazai_core.api.program import Dim, DType, Scale
from lazai_core.exact.builder import ProgramBuilder, Value
from lazai_core.exact.compiler.calibrate import ValueRange
from lazai_core.exact.compiler.float_executor import UNARY
from lazai_core.exact.compiler.float_graph import SYMBOLIC, Array, FloatGraph, FloatNode
from lazai_core.exact.compiler.options import QuantizeOptions
from lazai_core.exact.compiler.plan import (
    ALIASING,
    SOFTMAX_PRECISION,
    Form,
    FormPlan,
    Plan,
    averaged_count,
)
from lazai_core.exact.compiler.weights import (
    quantize_linear,
    quantize_norm,
    quantize_to,
    softmax_table,
)
from lazai_core.exact.model import ExactModel

INDEX_LIMIT = 1 << 24
SHIFTED_MAX = 15
FACTOR_TOP = 32767


class Lowering:
    """State of one lowering: the builder and the emitted tensor of each (value, form)."""

    def __init__(
        self,
        graph: FloatGraph,
        plan: Plan,
        ranges: Mapping[str, ValueRange],
        options: QuantizeOptions,
    ) -> None:
        symbol = graph.symbol
        dim = Dim(name=symbol.name, minimum=symbol.minimum, maximum=symbol.maximum) if symbol else None
        self.graph, self.plan, self.ranges, self.options = graph, plan, ranges, options
        self.builder = ProgramBuilder(dim)
        self.tensors: dict[tuple[str, Form], Value] = {}
        self.indices: dict[str, Value] = {}
        self.rescales = 0

    def run(self) -> ExactModel:
        """The finished program; `UnsupportedProgram` names the node that has no integer form."""
        self._emit_inputs()
        for node in self.graph.nodes:
            emitter = EMITTERS.get(node.op)
            if emitter is None:
                raise UnsupportedProgram(
                    f"{node.describe()}: the operation is only supported inside a recognised pattern"
                    " (LayerNorm, RMSNorm, GELU, causal mask) or with constant operands",
                    hint="export the model so that the pattern stays whole, or compute this part outside",
                )
            try:
                emitter(self, node)
            except InvalidProgram as error:
                raise UnsupportedProgram(f"{node.describe()}: it has no exact form ({error.message})") from error
        for name, value in self.graph.outputs:
            self._emit_output(name, value)
        return self.builder.build()

    def _emit_inputs(self) -> None:
        for entry in self.graph.inputs:
            if entry.integer:
                high = self._index_limit(entry.name) - 1
                self.indices[entry.name] = self.builder.input(entry.name, DType.INT32, entry.shape, low=0, high=high)
                continue
            base = self.plan.base(entry.name) if self.plan.forms.get(entry.name) else None
            if base is None:
                raise UnsupportedProgram(f"the input {entry.name!r} is not used")
            form = self.plan.forms[entry.name][base]
            value = self.builder.input(
                entry.name,
                narrow_dtype(form),
                entry.shape,
                low=form.low,
                high=form.high,
                scale=Scale.from_float(form.step),
            )
            self.tensors[entry.name, base] = value
            self.derive(entry.name, base)

    def _index_limit(self, name: str) -> int:
        """The smallest table that the ids (or a reshape of them) index."""
        limit = INDEX_LIMIT
        for node in self.graph.nodes:
            if node.op == "gather" and node.inputs[1] == name:
                limit = min(limit, self.graph.shapes[node.inputs[0]][0])
            elif node.op in ALIASING and node.inputs[0] == name:
                limit = min(limit, self._index_limit(node.output))
        return limit

    def _emit_output(self, name: str, value: str) -> None:
        if value in self.indices:
            self.builder.output(name, self.indices[value])
            return
        form = self.plan.forms[value][Form.WIDE]
        self.builder.output(name, self.tensor(value, Form.WIDE), scale=Scale.from_float(form.step))

    def form(self, name: str, form: Form) -> FormPlan:
        return self.plan.forms[name][form]

    def tensor(self, name: str, form: Form) -> Value:
        """The emitted tensor of a value in a form; a constant is quantised on first use."""
        found = self.tensors.get((name, form))
        if found is not None:
            return found
        assert name in self.graph.constants, f"{name} was not emitted as {form}"
        planned = self.form(name, form)
        entries = quantize_to(self.graph.constants[name], planned.step, planned.high)
        self.tensors[name, form] = self.builder.constant(entries, narrow_dtype(planned))
        return self.tensors[name, form]

    def derive(self, name: str, base: Form) -> None:
        """The coarser forms of a value from its base form."""
        forms = self.plan.forms[name]
        source, step = self.tensors[name, base], forms[base].step
        for form in sorted(forms, key=lambda entry: entry.value):
            if form is base:
                continue
            if forms[form] == forms[base]:
                self.tensors[name, form] = source
                continue
            shift: int | Array = exact_shift(forms[form].step, step)
            if forms[form].exponents:
                shift = np.array(forms[form].exponents) + shift
            axis = len(self.graph.shapes[name]) - 1
            self.tensors[name, form] = self.requantize(source, forms[form], shift, axis=axis)

    def moved_forms(self, node: FloatNode) -> list[Form]:
        """The forms of a result that are its operand's forms, moved."""
        forms = sorted(self.plan.forms[node.output], key=lambda entry: entry.value)
        return [form for form in forms if form is not Form.LOOKUP]

    def derive_lookup(self, node: FloatNode) -> None:
        """The index of a function table from the wide form of a moved value."""
        planned = self.plan.forms[node.output].get(Form.LOOKUP)
        if planned is None:
            return
        shift = exact_shift(planned.step, self.form(node.output, Form.WIDE).step)
        source = self.tensors[node.output, Form.WIDE]
        self.tensors[node.output, Form.LOOKUP] = self.requantize(source, planned, shift)

    def requantize(
        self, source: Value, form: FormPlan, shift: int | Array, node: FloatNode | None = None, axis: int = 0
    ) -> Value:
        """`source` brought to a form; the node's own clip (a fused ReLU) narrows the interval."""
        low, high = clipped(form, node)
        if isinstance(shift, int):
            if shift == 0 and source.dtype is narrow_dtype(form) and low <= source.low and source.high <= high:
                return source
            return self.builder.requantize(source, dtype=narrow_dtype(form), shift=shift, low=low, high=high)
        if len(set(shift.tolist())) == 1:
            return self.requantize(source, form, int(shift[0]), node)
        return self.builder.requantize(source, dtype=narrow_dtype(form), shifts=shift, axis=axis, low=low, high=high)

    def finish(self, node: FloatNode, accumulator: Value, step: float) -> None:
        """Bring an accumulator whose unit is `step` to the base form of a node's result, then to the others."""
        base = self.plan.base(node.output)
        planned = self.form(node.output, base)
        shift = math.log2(planned.step / step)
        if abs(shift - round(shift)) > 1e-6:
            accumulator, step = self.rescale(accumulator, step, planned.step)
            shift = math.log2(planned.step / step)
        shift = round(shift)
        if shift < -16 or shift > 30:
            raise UnsupportedProgram(f"{node.describe()}: the rescale by 2^{-shift} is out of range")
        self.tensors[node.output, base] = self.requantize(accumulator, planned, shift, node)
        self.derive(node.output, base)

    def rescale(self, source: Value, step: float, target: float) -> tuple[Value, float]:
        """Multiply by a 15-bit factor so that the step becomes `target` times a power of two."""
        self.rescales += 1
        if source.dtype is DType.INT32:
            reach = max(abs(source.low), abs(source.high), 1)
            shift = max(0, reach.bit_length() - 15)
            source = self.builder.requantize(source, dtype=DType.INT16, shift=shift)
            step *= 2.0**shift
        power = math.floor(math.log2(step / target))
        fraction = step / target * 2.0**-power
        factor = round(fraction * (1 << 14))
        product = self.builder.multiply(source, self.builder.constant(np.array([factor]), DType.INT16))
        return product, target * 2.0 ** (power - 14)

    def emit(self, node: FloatNode, values: Mapping[Form, Value]) -> None:
        for form, value in values.items():
            self.tensors[node.output, form] = value


def narrow_dtype(form: FormPlan) -> DType:
    """The smallest narrow type that holds a form's interval."""
    return DType.INT8 if -128 <= form.low and form.high <= 127 else DType.INT16


def exact_shift(target: float, source: float) -> int:
    """log2 of the ratio of two steps of one value, which the plan made a power of two."""
    shift = math.log2(target / source)
    assert abs(shift - round(shift)) < 1e-6, f"steps {target} and {source} are not a power of two apart"
    return round(shift)


def clipped(form: FormPlan, node: FloatNode | None) -> tuple[int, int]:
    low, high = node.attributes.get("clip", (None, None)) if node is not None else (None, None)
    bottom = form.low if low is None else max(form.low, min(form.high, round(low / form.step) + form.zero))
    top = form.high if high is None else max(bottom, min(form.high, round(high / form.step) + form.zero))
    return bottom, top


def _linear(lowering: Lowering, node: FloatNode) -> None:
    x, weight, bias = node.inputs
    constants = lowering.graph.constants
    if weight not in constants or bias not in constants:
        raise UnsupportedProgram(f"{node.describe()}: the weight and the bias must be constants")
    base = lowering.plan.base(node.output)
    source, read = lowering.tensor(x, Form.MATMUL), lowering.form(x, Form.MATMUL)
    form = lowering.form(node.output, base)
    columns = 2.0 ** np.array(read.exponents) if read.exponents else np.ones(1)
    mean = lowering.ranges[x].channel_mean if lowering.options.correct_bias else None
    linear = quantize_linear(
        constants[weight] * columns if read.exponents else constants[weight],
        constants[bias],
        input_step=read.step,
        input_zero=read.zero,
        input_top=max(abs(source.low), abs(source.high)),
        output_step=form.step,
        output_zero=form.zero,
        per_channel=lowering.options.per_channel,
        input_mean=None if mean is None else mean / columns,
    )
    if node.op == "dense":
        accumulator = lowering.builder.dense(source, linear.weight, linear.bias)
        axis = len(accumulator.shape) - 1
    else:
        accumulator = lowering.builder.conv2d(
            source,
            linear.weight,
            linear.bias,
            strides=node.attributes["strides"],
            pads=node.attributes["pads"],
            dilations=node.attributes["dilations"],
            groups=node.attributes["groups"],
        )
        axis = 1
    result = lowering.requantize(accumulator, form, linear.shifts, node, axis)
    lowering.tensors[node.output, base] = result
    lowering.derive(node.output, base)


def _matmul(lowering: Lowering, node: FloatNode) -> None:
    left, right = (lowering.tensor(name, Form.MATMUL) for name in node.inputs)
    step = math.prod(lowering.form(name, Form.MATMUL).step for name in node.inputs)
    product = lowering.builder.matmul(left, right, transpose_right=bool(node.attributes.get("transpose_right")))
    lowering.finish(node, product, step * float(node.attributes.get("factor", 1.0)))


def _sum(lowering: Lowering, node: FloatNode) -> None:
    values = [lowering.tensor(name, Form.WIDE) for name in node.inputs]
    steps = [lowering.form(name, Form.WIDE).step for name in node.inputs]
    if abs(math.log2(steps[0] / steps[1]) % 1.0 - 0.5) < 0.5 - 1e-6:
        values[1], steps[1] = lowering.rescale(values[1], steps[1], steps[0])
        values[1] = lowering.builder.requantize(values[1], dtype=DType.INT16, shift=14)
        steps[1] *= 2.0**14
    unit = max(min(steps), max(steps) * 2.0**-SHIFTED_MAX)
    shifts = []
    for position in range(2):
        shift = exact_shift(steps[position], unit)
        if shift < 0:
            values[position] = lowering.builder.requantize(values[position], dtype=DType.INT16, shift=-shift)
            shift = 0
        reach = max(abs(values[position].low), abs(values[position].high))
        while reach << shift >= 1 << 28:
            raise UnsupportedProgram(f"{node.describe()}: the operands' ranges are too far apart")
        shifts.append(shift)
    apply = lowering.builder.add if node.op == "add" else lowering.builder.subtract
    lowering.finish(node, apply(values[0], values[1], shift_left=shifts[0], shift_right=shifts[1]), unit)


def _multiply(lowering: Lowering, node: FloatNode) -> None:
    constants = lowering.graph.constants
    for here, there in ((0, 1), (1, 0)):
        name, factor = node.inputs[here], node.inputs[there]
        if factor not in constants:
            continue
        step = lowering.form(name, Form.WIDE).step
        base = lowering.form(node.output, lowering.plan.base(node.output))
        largest = max(float(np.abs(constants[factor]).max()), 1e-30)
        shift = math.floor(math.log2(FACTOR_TOP * base.step / (step * largest)))
        shift = max(-14, min(shift, 30))
        unit = base.step * 2.0**-shift / step
        entries = lowering.builder.constant(quantize_to(constants[factor], unit, FACTOR_TOP), DType.INT16)
        product = lowering.builder.multiply(lowering.tensor(name, Form.WIDE), entries)
        lowering.finish(node, product, base.step * 2.0**-shift)
        return
    left, right = (lowering.tensor(name, Form.WIDE) for name in node.inputs)
    step = math.prod(lowering.form(name, Form.WIDE).step for name in node.inputs)
    lowering.finish(node, lowering.builder.multiply(left, right), step)


def _unary(lowering: Lowering, node: FloatNode) -> None:
    source = lowering.form(node.inputs[0], Form.LOOKUP)
    base = lowering.plan.base(node.output)
    form = lowering.form(node.output, base)
    points = (np.arange(source.low, source.high + 1) * source.step).astype(np.float64)
    entries = quantize_to(UNARY[node.attributes["function"]](points), form.step, 1 << 20) + form.zero
    low, high = clipped(form, node)
    table = lowering.builder.constant(np.clip(entries, low, high), narrow_dtype(form))
    value = lowering.builder.table(lowering.tensor(node.inputs[0], Form.LOOKUP), table, offset=source.low)
    lowering.tensors[node.output, base] = value
    lowering.derive(node.output, base)


def _softmax(lowering: Lowering, node: FloatNode) -> None:
    name = node.inputs[0]
    keys = lowering.graph.shapes[name][-1]
    symbol = lowering.graph.symbol
    keys = symbol.maximum if keys == SYMBOLIC and symbol is not None else keys
    table = softmax_table(lowering.form(name, Form.SCORES).step, keys)
    value = lowering.builder.softmax(
        lowering.tensor(name, Form.SCORES),
        table,
        precision=SOFTMAX_PRECISION,
        causal=bool(node.attributes["causal"]),
    )
    lowering.emit(node, dict.fromkeys(lowering.plan.forms[node.output], value))


def _layer_norm(lowering: Lowering, node: FloatNode) -> None:
    x, gain, bias = node.inputs
    constants = lowering.graph.constants
    base = lowering.plan.base(node.output)
    form = lowering.form(node.output, base)
    norm = quantize_norm(
        constants[gain],
        constants[bias],
        epsilon=node.attributes["epsilon"],
        input_step=lowering.form(x, Form.WIDE).step,
        output_step=form.steps(),
    )
    low, high = clipped(form, node)
    value = lowering.builder.layer_norm(
        lowering.tensor(x, Form.WIDE),
        norm.gain,
        norm.bias,
        epsilon=norm.epsilon,
        precision=norm.precision,
        shift_normal=norm.shift_normal,
        shift_out=norm.shift_out,
        dtype=narrow_dtype(form),
        low=low,
        high=high,
        subtract_mean=bool(node.attributes["subtract_mean"]),
    )
    lowering.tensors[node.output, base] = value
    lowering.derive(node.output, base)


def _average_pool(lowering: Lowering, node: FloatNode) -> None:
    name = node.inputs[0]
    kernel, strides, pads = (node.attributes[key] for key in ("kernel", "strides", "pads"))
    total = lowering.builder.sum_pool2d(lowering.tensor(name, Form.MATMUL), kernel=kernel, strides=strides, pads=pads)
    lowering.finish(node, total, lowering.form(name, Form.MATMUL).step / math.prod(kernel))


def _reduce(lowering: Lowering, node: FloatNode) -> None:
    name = node.inputs[0]
    axes, keep = node.attributes["axes"], bool(node.attributes["keepdims"])
    source, step = lowering.tensor(name, Form.WIDE), lowering.form(name, Form.WIDE).step
    count = averaged_count(lowering.graph, node)
    if count is None:
        value = lowering.builder.reduce_mean(source, axes=axes, keepdims=keep)
        lowering.finish(node, value, step)
        return
    lowering.finish(node, lowering.builder.reduce_sum(source, axes=axes, keepdims=keep), step / count)


def _gather(lowering: Lowering, node: FloatNode) -> None:
    table, ids = node.inputs
    if table not in lowering.graph.constants or ids not in lowering.indices:
        raise UnsupportedProgram(f"{node.describe()}: it needs a constant table and integer inputs as indices")
    base = lowering.plan.base(node.output)
    form = lowering.form(node.output, base)
    entries = quantize_to(lowering.graph.constants[table], form.step, form.high)
    value = lowering.builder.gather(entries, lowering.indices[ids], dtype=narrow_dtype(form))
    lowering.tensors[node.output, base] = value
    lowering.derive(node.output, base)


def _argmax(lowering: Lowering, node: FloatNode) -> None:
    source = lowering.tensor(node.inputs[0], Form.WIDE)
    lowering.indices[node.output] = lowering.builder.argmax(source, axis=node.attributes["axis"])


def _moved(lowering: Lowering, node: FloatNode, move: Callable[[Value], Value]) -> None:
    """Apply a data movement to every needed form, once per distinct tensor."""
    name = node.inputs[0]
    if name in lowering.indices:
        lowering.indices[node.output] = move(lowering.indices[name])
        return
    done: dict[int, Value] = {}
    for form in lowering.moved_forms(node):
        source = lowering.tensor(name, form)
        if id(source) not in done:
            done[id(source)] = move(source)
        lowering.tensors[node.output, form] = done[id(source)]
    lowering.derive_lookup(node)


def _reshape(lowering: Lowering, node: FloatNode) -> None:
    _moved(lowering, node, lambda value: lowering.builder.reshape(value, node.attributes["shape"]))


def _transpose(lowering: Lowering, node: FloatNode) -> None:
    _moved(lowering, node, lambda value: lowering.builder.transpose(value, node.attributes["permutation"]))


def _slice(lowering: Lowering, node: FloatNode) -> None:
    def move(value: Value) -> Value:
        axis, start, length = (node.attributes[key] for key in ("axis", "start", "length"))
        return lowering.builder.slice(value, axis=axis, start=start, length=length)

    _moved(lowering, node, move)


def _max_pool(lowering: Lowering, node: FloatNode) -> None:
    def move(value: Value) -> Value:
        kernel, strides, pads = (node.attributes[key] for key in ("kernel", "strides", "pads"))
        return lowering.builder.max_pool2d(value, kernel=kernel, strides=strides, pads=pads)

    _moved(lowering, node, move)


def _reduce_max(lowering: Lowering, node: FloatNode) -> None:
    def move(value: Value) -> Value:
        return lowering.builder.reduce_max(value, axes=node.attributes["axes"], keepdims=node.attributes["keepdims"])

    _moved(lowering, node, move)


def _clip(lowering: Lowering, node: FloatNode) -> None:
    for form in lowering.moved_forms(node):
        source = lowering.tensor(node.inputs[0], form)
        planned = lowering.form(node.output, form)
        lowering.tensors[node.output, form] = lowering.requantize(source, planned, 0, node)
    lowering.derive_lookup(node)


def _concat(lowering: Lowering, node: FloatNode) -> None:
    for form in lowering.moved_forms(node):
        parts: Sequence[Value] = [lowering.tensor(name, form) for name in node.inputs]
        lowering.tensors[node.output, form] = lowering.builder.concat(parts, axis=node.attributes["axis"])
    lowering.derive_lookup(node)


EMITTERS: Mapping[str, Callable[[Lowering, FloatNode], Any]] = {
    "dense": _linear,
    "conv2d": _linear,
    "matmul": _matmul,
    "add": _sum,
    "subtract": _sum,
    "multiply": _multiply,
    "unary": _unary,
    "softmax": _softmax,
    "layer_norm": _layer_norm,
    "average_pool2d": _average_pool,
    "reduce_mean": _reduce,
    "reduce_sum": _reduce,
    "gather": _gather,
    "argmax": _argmax,
    "reshape": _reshape,
    "transpose": _transpose,
    "slice": _slice,
    "max_pool2d": _max_pool,
    "reduce_max": _reduce_max,
    "clip": _clip,
    "concat": _concat,
}
