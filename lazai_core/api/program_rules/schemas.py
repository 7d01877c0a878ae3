"""The kinds of operations: operands, attributes and rule of each, and how a rule is applied."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from attrs import frozen

from ..program_types import OPERANDS_MAX, AttributeValue, Dim, ValueInfo
from . import elementwise, layout, linear, reductions
from .base import Call, RuleViolation, check_extents, require

Rule = Callable[[Call], ValueInfo]


@frozen(kw_only=True)
class OpSchema:
    """Operand count (smallest, largest), attribute layout and rule of one kind.

    A layout entry is `"int"`, `"flag"` (0 or 1), `"tuple"` or `"tuple2"`/`"tuple4"` (fixed length).
    """

    operands: tuple[int, int]
    attributes: Mapping[str, str]
    rule: Rule


def _schema(count: int, rule: Rule, most: int | None = None, /, **attributes: str) -> OpSchema:
    return OpSchema(operands=(count, most or count), attributes=attributes, rule=rule)


_CLAMP = {"low": "int", "high": "int", "dtype": "int"}
_REDUCE = {"axes": "tuple", "keepdims": "flag"}
_POOL = {"kernel": "tuple2", "strides": "tuple2", "pads": "tuple4"}

OP_SCHEMAS: Mapping[str, OpSchema] = {
    "dense": _schema(3, linear.dense),
    "matmul": _schema(2, linear.matmul, transpose_right="flag"),
    "conv2d": _schema(3, linear.conv2d, strides="tuple2", pads="tuple4", dilations="tuple2", groups="int"),
    "requantize": _schema(1, elementwise.requantize, 2, shift="int", axis="int", **_CLAMP),
    "add": _schema(2, elementwise.add, shift_left="int", shift_right="int"),
    "subtract": _schema(2, elementwise.subtract, shift_left="int", shift_right="int"),
    "multiply": _schema(2, elementwise.multiply),
    "table": _schema(2, elementwise.table, offset="int"),
    "gather": _schema(2, elementwise.gather),
    "max_pool2d": _schema(1, linear.max_pool2d, **_POOL),
    "sum_pool2d": _schema(1, linear.sum_pool2d, **_POOL),
    "reduce_sum": _schema(1, reductions.reduce_sum, **_REDUCE),
    "reduce_mean": _schema(1, reductions.reduce_mean, **_REDUCE),
    "reduce_max": _schema(1, reductions.reduce_max, **_REDUCE),
    "argmax": _schema(1, reductions.argmax, axis="int"),
    "layer_norm": _schema(
        3,
        reductions.layer_norm,
        subtract_mean="flag",
        epsilon="int",
        precision="int",
        shift_normal="int",
        shift_out="int",
        **_CLAMP,
    ),
    "softmax": _schema(2, reductions.softmax, causal="flag", precision="int"),
    "reshape": _schema(1, layout.reshape, shape="tuple"),
    "transpose": _schema(1, layout.transpose, permutation="tuple"),
    "concat": _schema(1, layout.concat, OPERANDS_MAX, axis="int"),
    "slice": _schema(1, layout.slice_, axis="int", start="int", length="int"),
}


def _check_attribute(name: str, layout: str, value: AttributeValue) -> None:
    if layout.startswith("tuple"):
        require(isinstance(value, tuple), f"attribute {name} must be a tuple of integers")
        assert isinstance(value, tuple)
        length = layout.removeprefix("tuple")
        require(not length or len(value) == int(length), f"attribute {name} must have {length} entries")
        return
    require(not isinstance(value, tuple), f"attribute {name} must be an integer")
    require(layout != "flag" or value in (0, 1), f"attribute {name} must be 0 or 1, not {value}")


def infer(
    kind: str,
    operands: tuple[ValueInfo, ...],
    attributes: tuple[tuple[str, AttributeValue], ...],
    dim: Dim | None,
) -> ValueInfo:
    """The result of one operation: dtype, shape and interval. Raises `RuleViolation` with the reason."""
    schema = OP_SCHEMAS.get(kind)
    if schema is None:
        raise RuleViolation(f"the kind {kind[:40]!r} is unknown; kinds are {', '.join(OP_SCHEMAS)}")
    least, most = schema.operands
    require(least <= len(operands) <= most, f"{len(operands)} operands given, {least} to {most} expected")
    expected = sorted(schema.attributes)
    given = [name for name, _ in attributes]
    require(given == expected, f"attributes must be {expected} in this order, not {[n[:40] for n in given[:16]]}")
    for name, value in attributes:
        _check_attribute(name, schema.attributes[name], value)
    result = schema.rule(Call(operands=operands, attributes=dict(attributes), dim=dim))
    check_extents(result.shape, dim)
    return result
