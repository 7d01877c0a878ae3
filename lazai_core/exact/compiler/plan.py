"""Decides in which integer forms each float value is needed and what one unit of each form is worth.

Every rescale of an exact program is a power of two, so steps of values that meet in an addition may differ by
powers of two only. Values are therefore put in *classes* (one tensor seen through reshapes: equal steps) and
*groups* of classes (equal mantissa of the step). Each group's mantissa is chosen so that its narrow members
waste least of their range; weights take up any remaining factor, so that most activations have ideal steps.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from enum import Enum

import numpy as np
from attrs import field, frozen, mutable

from lazai_core.exact.compiler.calibrate import ValueRange
from lazai_core.exact.compiler.float_graph import Array, FloatGraph, FloatNode
from lazai_core.exact.compiler.options import QuantizeOptions
from lazai_core.exact.compiler.smooth import shifted_values

SOFTMAX_PRECISION = 14
STEP_TOLERANCE = 0.05
TABLE_MARGIN = 1.1

ALIASING = frozenset({"reshape", "transpose", "slice", "clip", "max_pool2d", "reduce_max"})
MOVED = ALIASING | {"concat"}


class Form(Enum):
    """What an integer tensor is made for."""

    MATMUL = "matmul"
    WIDE = "wide"
    LOOKUP = "lookup"
    SCORES = "scores"


WEIGHT_OF_WASTE: Mapping[Form, float] = {
    Form.MATMUL: 1.0,
    Form.LOOKUP: 0.3,
    Form.SCORES: 0.1,
    Form.WIDE: 0.05,
}

# Beyond these inputs the function is constant to well below one part in 2^15, or the identity (high end None).
SATURATION: Mapping[str, tuple[float | None, float | None]] = {
    "gelu": (-5.5, None),
    "gelu_tanh": (-5.5, None),
    "erf": (-3.2, 3.2),
    "tanh": (-5.6, 5.6),
    "sigmoid": (-11.0, 11.0),
    "silu": (-14.0, None),
    "softplus": (-11.0, None),
    "elu": (-11.0, None),
    "hard_sigmoid": (-3.0, 3.0),
    "hard_swish": (-3.0, None),
    "exponential": (-11.0, None),
}


class Sets:
    """Disjoint sets of names (union-find)."""

    def __init__(self) -> None:
        self._parent: dict[str, str] = {}

    def find(self, name: str) -> str:
        root = name
        while self._parent.get(root, root) != root:
            root = self._parent[root]
        while self._parent.get(name, name) != root:
            self._parent[name], name = root, self._parent[name]
        return root

    def join(self, names: Iterable[str]) -> None:
        roots = [self.find(name) for name in names]
        for root in roots[1:]:
            self._parent[root] = roots[0]


@frozen(kw_only=True)
class FormPlan:
    """One form of one value: what a unit is worth, the integer that stands for 0, and the interval of clamping.

    Channel k of the last axis is in units of `step * 2^exponents[k]` where exponents are given.
    """

    step: float
    low: int
    high: int
    zero: int = 0
    exponents: tuple[int, ...] = ()

    def steps(self) -> Array | float:
        """What a unit is worth, per channel where the channels differ."""
        return self.step * 2.0 ** np.array(self.exponents) if self.exponents else self.step


@mutable(kw_only=True)
class Plan:
    """Forms of all float values; `integers` are token ids and the like, `exact` softmax results."""

    forms: dict[str, dict[Form, FormPlan]] = field(factory=dict)
    integers: set[str] = field(factory=set)
    exact: set[str] = field(factory=set)

    def base(self, name: str) -> Form:
        """The finest form of a value, from which the others are derived; one with exponents only when alone."""
        forms = self.forms[name]
        return min(forms, key=lambda form: (bool(forms[form].exponents), forms[form].step, form.value))


def operand_forms(node: FloatNode, result: set[Form]) -> list[set[Form]]:
    """In which forms a node reads its operands, given the forms its result is needed in."""
    count = len(node.inputs)
    if node.op in ("dense", "conv2d"):
        return [{Form.MATMUL}, set(), set()]
    if node.op in ("matmul", "average_pool2d"):
        return [{Form.MATMUL}] * count
    if node.op == "unary":
        return [{Form.LOOKUP}]
    if node.op == "softmax":
        return [{Form.SCORES}]
    if node.op == "layer_norm":
        return [{Form.WIDE}, set(), set()]
    if node.op == "gather":
        return [set(), set()]
    if node.op in MOVED:
        # A lookup index is made from the wide form after the movement: its interval is the reader's affair.
        return [set(result) - {Form.LOOKUP}] * count
    return [{Form.WIDE}] * count


def make_plan(
    graph: FloatGraph,
    ranges: Mapping[str, ValueRange],
    options: QuantizeOptions,
    exponents: Mapping[str, Array],
) -> Plan:
    """The whole decision; deterministic. `exponents` are the channels' powers of two (see `smooth`)."""
    planner = _Planner(graph, ranges, options)
    planner.exponents = exponents
    planner.collect_needs()
    planner.collect_classes()
    planner.assign()
    return planner.plan


class _Planner:
    def __init__(self, graph: FloatGraph, ranges: Mapping[str, ValueRange], options: QuantizeOptions) -> None:
        self.graph, self.ranges, self.options = graph, ranges, options
        self.plan = Plan()
        self.needs: dict[str, set[Form]] = {name: set() for name in graph.shapes}
        self.functions: dict[str, set[str]] = {}
        self.classes = Sets()
        self.groups = Sets()
        self.mantissas: dict[str, float] = {}
        self.exponents: Mapping[str, Array] = {}
        self.shifted = shifted_values(graph, ranges)
        # What a user sends must not saturate, so no part of the calibrated range of an input is cut away.
        self.given = {entry.name for entry in graph.inputs}

    def collect_needs(self) -> None:
        for value in self.graph.output_values():
            self.needs[value].add(Form.WIDE)
        for node in reversed(self.graph.nodes):
            if node.op in MOVED and Form.LOOKUP in self.needs[node.output]:
                self.needs[node.output].add(Form.WIDE)
            forms = operand_forms(node, self.needs[node.output])
            for name, wanted in zip(node.inputs, forms, strict=True):
                self.needs[name] |= wanted
            if node.op == "unary":
                self.functions.setdefault(node.inputs[0], set()).add(node.attributes["function"])

    def collect_classes(self) -> None:
        integers = {entry.name for entry in self.graph.inputs if entry.integer}
        for node in self.graph.nodes:
            name = node.inputs[0]
            if node.op == "argmax" or (node.op in ALIASING and name in integers):
                integers.add(node.output)
            elif node.op == "softmax":
                self.plan.exact.add(node.output)
            elif node.op in ALIASING or (node.op == "reduce_mean" and self.counts(node) is None):
                self.classes.join([name, node.output])
                if name in self.plan.exact and node.op != "reduce_mean":
                    self.plan.exact.add(node.output)
            elif node.op == "concat":
                self.classes.join([*node.inputs, node.output])
        self.plan.integers = integers
        for node in self.graph.nodes:
            self._tie(node)

    def _tie(self, node: FloatNode) -> None:
        if node.op in ("add", "subtract"):
            self.groups.join(self.classes.find(name) for name in (*node.inputs, node.output))
        elif node.op == "matmul" and self.plan.exact & set(node.inputs):
            loose = [name for name in (*node.inputs, node.output) if name not in self.plan.exact]
            self.groups.join(self.classes.find(name) for name in loose)
        elif node.op in ("average_pool2d", "reduce_mean", "reduce_sum"):
            count = self.counts(node)
            if count is not None and count & (count - 1) == 0:
                self.groups.join(self.classes.find(name) for name in (node.inputs[0], node.output))

    def counts(self, node: FloatNode) -> int | None:
        return averaged_count(self.graph, node)

    def target(self, name: str, form: Form) -> float:
        """The ideal step of one form of one value."""
        entry = self.ranges[name]
        if form is Form.MATMUL:
            levels = (1 << (self.bits(name) - 1)) - 1
            if self.is_shifted(name):
                levels = 2 * levels + 1
                return (entry.best_clip(levels) - min(entry.low, 0.0)) / levels
            if name in self.given:
                return entry.reach * entry.margin / levels
            entry = entry.scaled or entry
            return max(entry.best_clip(levels), entry.reach * 1e-4) / levels
        if form is Form.SCORES:
            return max(self.options.score_step, entry.reach * entry.margin * self.options.wide_margin / 32767)
        if form is Form.LOOKUP:
            low, high = table_interval(entry, self.functions[name])
            return (high - low) / ((1 << self.options.table_bits) - 2)
        return entry.reach * entry.margin * self.options.wide_margin / ((1 << (self.options.wide_bits - 1)) - 1)

    def is_shifted(self, name: str) -> bool:
        return name in self.shifted and self.needs[name] == {Form.MATMUL}

    def bits(self, name: str) -> int:
        return self.options.bits_of.get(name, self.options.matmul_bits)

    def assign(self) -> None:
        members: dict[str, list[str]] = {}
        order = self._assignment_order()
        targets: dict[tuple[str, Form], float] = {}
        for name in order:
            if name in self.plan.integers or name in self.plan.exact or not self.needs[name]:
                continue
            root = self.classes.find(name)
            members.setdefault(self.groups.find(root), []).append(name)
            for form in self.needs[name]:
                targets[root, form] = max(targets.get((root, form), 0.0), self.target(name, form))
        self._widen_mixtures(targets)
        producers = self.graph.producers()
        for name in order:
            if self.needs[name] and name not in self.plan.integers:
                self._assign_value(name, producers.get(name), members, targets)

    def _widen_mixtures(self, targets: dict[tuple[str, Form], float]) -> None:
        """A softmax-weighted mean of values can be any one of them (a text of one token), so it covers as much."""
        for node in self.graph.nodes:
            if node.op == "matmul" and node.inputs[0] in self.plan.exact:
                mixed = (self.classes.find(node.output), Form.MATMUL)
                whole = targets.get((self.classes.find(node.inputs[1]), Form.MATMUL), 0.0)
                if mixed in targets:
                    targets[mixed] = max(targets[mixed], whole)

    def _assignment_order(self) -> list[str]:
        """Operands before results; constants last where nothing derives a step from them."""
        order = [entry.name for entry in self.graph.inputs]
        for node in self.graph.nodes:
            if node.op == "matmul":
                order += [name for name in node.inputs if name in self.graph.constants]
            order.append(node.output)
        return list(dict.fromkeys([*order, *self.graph.constants]))

    def _assign_value(
        self,
        name: str,
        node: FloatNode | None,
        members: Mapping[str, list[str]],
        targets: Mapping[tuple[str, Form], float],
    ) -> None:
        if name in self.plan.exact:
            top = 1 << SOFTMAX_PRECISION
            exact = FormPlan(step=1.0 / top, low=0, high=top)
            self.plan.forms[name] = dict.fromkeys(self.needs[name], exact)
            return
        root = self.classes.find(name)
        group = self.groups.find(root)
        if group not in self.mantissas:
            natural = self.natural_step(node) if node is not None else None
            roots = {self.classes.find(member) for member in members[group]}
            own = {key: step for key, step in targets.items() if key[0] in roots}
            self.mantissas[group] = math.log2(natural) if natural else _best_mantissa(own)
        mantissa = self.mantissas[group]
        forms = {}
        for form in sorted(self.needs[name], key=lambda entry: entry.value):
            exponent = math.ceil(math.log2(targets[root, form]) - mantissa - STEP_TOLERANCE)
            forms[form] = self._form_plan(name, form, 2.0 ** (mantissa + exponent))
        self.plan.forms[name] = forms

    def _form_plan(self, name: str, form: Form, step: float) -> FormPlan:
        if form is Form.LOOKUP:
            low, high = table_interval(self.ranges[name], self.functions[name])
            return FormPlan(step=step, low=math.floor(low / step), high=math.ceil(high / step))
        bits = {Form.MATMUL: self.bits(name), Form.WIDE: self.options.wide_bits}.get(form, 16)
        top = (1 << (bits - 1)) - 1
        if form is not Form.MATMUL:
            return FormPlan(step=step, low=-top, high=top)
        if self.is_shifted(name):
            low = min(self.ranges[name].low, 0.0)
            return FormPlan(step=step, low=-top - 1, high=top, zero=-top - 1 + math.ceil(-low / step))
        exponents = tuple(self.exponents[name].tolist()) if name in self.exponents else ()
        return FormPlan(step=step, low=-top, high=top, exponents=exponents)

    def natural_step(self, node: FloatNode) -> float | None:
        """The step of a node's accumulator when its operands alone decide it, else None."""
        if node.op == "matmul" or (node.op == "multiply" and not self._constant_operands(node)):
            form = Form.MATMUL if node.op == "matmul" else Form.WIDE
            steps = [self.plan.forms[name][form].step for name in node.inputs]
            return math.prod(steps) * float(node.attributes.get("factor", 1.0))
        if node.op in ("average_pool2d", "reduce_mean", "reduce_sum"):
            form = Form.MATMUL if node.op == "average_pool2d" else Form.WIDE
            count = self.counts(node)
            return None if count is None else self.plan.forms[node.inputs[0]][form].step / count
        return None

    def _constant_operands(self, node: FloatNode) -> bool:
        return any(name in self.graph.constants for name in node.inputs)


def averaged_count(graph: FloatGraph, node: FloatNode) -> int | None:
    """By how much a pooling or reduction divides its sum; None for a mean over the symbolic dimension."""
    if node.op == "reduce_sum":
        return 1
    if node.op == "average_pool2d":
        return int(math.prod(node.attributes["kernel"]))
    sizes = [graph.shapes[node.inputs[0]][axis] for axis in node.attributes["axes"]]
    return None if min(sizes) < 1 else int(math.prod(sizes))


def table_interval(entry: ValueRange, functions: Iterable[str]) -> tuple[float, float]:
    """The real interval function tables must cover: the calibrated one, cut where every function is flat."""
    margin = max(TABLE_MARGIN, entry.margin)
    seen_low, seen_high = min(entry.low, 0.0) * margin, max(entry.high, 0.0) * margin
    lows, highs = [], []
    for function in functions:
        flat_low, flat_high = SATURATION.get(function, (None, None))
        lows.append(seen_low if flat_low is None else max(seen_low, flat_low))
        highs.append(seen_high if flat_high is None else min(seen_high, flat_high))
    return min(lows), max(*highs, min(lows) + 1e-6)


def _best_mantissa(targets: Mapping[tuple[str, Form], float]) -> float:
    """The fraction of log2(step) that lets all members of a group use most of their range."""
    wanted = [
        (math.log2(step), WEIGHT_OF_WASTE[form])
        for (_, form), step in sorted(targets.items(), key=lambda item: (-WEIGHT_OF_WASTE[item[0][1]], item[0][0]))
    ]
    best, best_waste = wanted[0][0] % 1.0, math.inf
    for candidate, _ in wanted:
        waste = sum(
            weight * math.ceil(step - candidate - STEP_TOLERANCE) - weight * (step - candidate)
            for step, weight in wanted
        )
        if waste < best_waste - 1e-9:
            best, best_waste = candidate % 1.0, waste
    return best
