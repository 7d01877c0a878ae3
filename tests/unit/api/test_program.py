"""Programs as values: limits, canonical form, binding of the symbolic dimension."""

from __future__ import annotations

import hashlib
from typing import Any

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lazai_core.api.errors import EncodingError, InvalidInput, InvalidProgram
from lazai_core.api.program import (
    SYMBOLIC,
    ConstantValue,
    Dim,
    DType,
    InputValue,
    Op,
    OutputValue,
    Program,
    Scale,
    TensorType,
)

INPUT = InputValue(name="x", dtype=DType.INT8, shape=(SYMBOLIC, 4), low=-128, high=127, scale=Scale.none())
CONSTANT = ConstantValue(
    dtype=DType.INT8, shape=(4,), digest=hashlib.sha256(bytes(4)).digest(), low=-2, high=3, row_sum=3
)
ADD = Op(
    kind="add",
    operands=(0, 1),
    attributes=(("shift_left", 0), ("shift_right", 0)),
    dtype=DType.INT32,
    shape=(SYMBOLIC, 4),
)
OUTPUT = OutputValue(name="y", value=2, scale=Scale.from_float(0.25))
PROGRAM = Program(
    dim=Dim(name="rows", minimum=1, maximum=8), inputs=(INPUT,), constants=(CONSTANT,), ops=(ADD,), outputs=(OUTPUT,)
)


def changed(**changes: Any) -> Program:
    return attrs.evolve(PROGRAM, **changes)


def test_values_are_numbered_inputs_constants_results() -> None:
    assert (PROGRAM.first_constant, PROGRAM.first_result) == (1, 2)
    assert [(v.dtype, v.shape, v.low, v.high, v.is_constant) for v in PROGRAM.values] == [
        (DType.INT8, (-1, 4), -128, 127, False),
        (DType.INT8, (4,), -2, 3, True),
        (DType.INT32, (-1, 4), -130, 130, False),
    ]
    assert INPUT.type == TensorType(dtype=DType.INT8, shape=(-1, 4))
    assert (ADD.type, CONSTANT.type.shape, CONSTANT.byte_size) == (
        TensorType(dtype=DType.INT32, shape=(-1, 4)),
        (4,),
        4,
    )


def test_the_digest_is_that_of_the_specification() -> None:
    data = PROGRAM.skeleton()

    assert PROGRAM.digest() == hashlib.sha256(b"lazai/program/v1" + b"\x00" + data).digest()
    assert Program.from_skeleton(data) == PROGRAM


def test_any_difference_changes_the_digest() -> None:
    others = [
        changed(dim=Dim(name="rows", minimum=1, maximum=9)),
        changed(inputs=(attrs.evolve(INPUT, high=126),)),
        changed(constants=(attrs.evolve(CONSTANT, digest=bytes(32)),)),
        changed(constants=(attrs.evolve(CONSTANT, row_sum=4),)),
        changed(ops=(attrs.evolve(ADD, attributes=(("shift_left", 1), ("shift_right", 0))),)),
        changed(outputs=(attrs.evolve(OUTPUT, scale=Scale.from_float(0.5)),)),
    ]

    assert len({PROGRAM.digest(), *(program.digest() for program in others)}) == 7


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"inputs": ()}, "1 to 64 inputs, not 0"),
        ({"inputs": (INPUT,) * 65}, "1 to 64 inputs, not 65"),
        ({"ops": ()}, "1 to 65536 operations, not 0"),
        ({"outputs": ()}, "1 to 64 outputs, not 0"),
        ({"outputs": (OUTPUT, OUTPUT)}, "output names must differ"),
        ({"dim": Dim(name="rows", minimum=0, maximum=8)}, "range 0 to 8"),
        ({"dim": Dim(name="rows", minimum=9, maximum=8)}, "range 9 to 8"),
        ({"dim": Dim(name="", minimum=1, maximum=8)}, "symbolic dimension: the name ''"),
        ({"dim": None}, "input 0 .*symbolic in a program without"),
        ({"inputs": (attrs.evolve(INPUT, name="x\n"),)}, "input 0: the name"),
        ({"inputs": (attrs.evolve(INPUT, shape=(0,)),)}, "impossible entry"),
        ({"inputs": (attrs.evolve(INPUT, shape=(-2,)),)}, "impossible entry"),
        ({"inputs": (attrs.evolve(INPUT, shape=(2**24 + 1,)),)}, "impossible entry"),
        ({"inputs": (attrs.evolve(INPUT, shape=(2**24, 2**8)),)}, "more than 2147483648"),
        ({"inputs": (attrs.evolve(INPUT, shape=(1,) * 7),)}, "rank 7 exceeds 6"),
        ({"inputs": (attrs.evolve(INPUT, low=-129),)}, "interval"),
        ({"inputs": (attrs.evolve(INPUT, low=5, high=4),)}, "interval"),
        ({"inputs": (attrs.evolve(INPUT, dtype=DType.INT32, high=2**30),)}, "interval"),
        ({"inputs": (attrs.evolve(INPUT, scale=Scale(mantissa=2, exponent=0)),)}, "not a canonical float"),
        ({"inputs": (attrs.evolve(INPUT, scale=Scale(mantissa=-1, exponent=0)),)}, "not a canonical float"),
        ({"inputs": (attrs.evolve(INPUT, scale=Scale(mantissa=1, exponent=1024)),)}, "not a canonical float"),
        ({"inputs": (attrs.evolve(INPUT, scale=Scale(mantissa=1, exponent=-1075)),)}, "not a canonical float"),
        ({"constants": (attrs.evolve(CONSTANT, shape=(SYMBOLIC,)),)}, "constant 0: .*symbolic"),
        ({"constants": (attrs.evolve(CONSTANT, digest=b""),)}, "32 bytes, not 0"),
        ({"constants": (attrs.evolve(CONSTANT, row_sum=-1),)}, "row sum"),
        ({"constants": (attrs.evolve(CONSTANT, shape=(4, 2**24, 2**4)),) * 5}, "more than 4294967296"),
        ({"constants": (CONSTANT, attrs.evolve(CONSTANT, shape=(5,)))}, "constant 1: another constant"),
        ({"outputs": (attrs.evolve(OUTPUT, value=1),)}, "output 0 .*not the result"),
        ({"outputs": (attrs.evolve(OUTPUT, value=3),)}, "output 0 .*not the result"),
        ({"ops": (attrs.evolve(ADD, operands=(0, 2)),)}, r"operation 0 \(add\): operand 2 is not a value before"),
        ({"ops": (attrs.evolve(ADD, operands=(0, 3)), ADD)}, r"operation 0 \(add\): operand 3"),
        ({"ops": (attrs.evolve(ADD, kind="divide"),)}, r"operation 0 \(divide\): the kind 'divide' is unknown"),
        ({"ops": (attrs.evolve(ADD, attributes=()),)}, "attributes must be"),
        ({"ops": (attrs.evolve(ADD, attributes=ADD.attributes[::-1]),)}, "in this order"),
        ({"ops": (attrs.evolve(ADD, dtype=DType.INT16),)}, "declared result int16"),
        ({"ops": (attrs.evolve(ADD, shape=(SYMBOLIC, 5)),)}, "declared result"),
    ],
)
def test_what_breaks_a_rule_is_refused(changes: dict[str, Any], reason: str) -> None:
    with pytest.raises(InvalidProgram, match=reason):
        changed(**changes)


def test_a_hostile_count_is_refused_before_anything_is_read() -> None:
    with pytest.raises(EncodingError, match="exceeds the limit of 64"):
        Program.from_skeleton(b"\x00\x01" + bytes(4) + b"\xff\xff\xff\xff")
    with pytest.raises(EncodingError, match="version 2"):
        Program.from_skeleton(b"\x00\x02")
    with pytest.raises(EncodingError, match="exceeds the limit of 16777216"):
        Program.from_skeleton(bytes(2**24 + 1))


def test_a_skeleton_has_no_trailing_bytes() -> None:
    with pytest.raises(EncodingError, match="1 trailing"):
        Program.from_skeleton(PROGRAM.skeleton() + b"\x00")


def test_binding_makes_shapes_concrete() -> None:
    bound = PROGRAM.bind(3)

    assert bound.shapes == ((3, 4), (4,), (3, 4))
    assert (bound.byte_size(2), bound.input_bytes, bound.output_bytes) == (48, 16, 48)


@pytest.mark.parametrize("value", [0, 9, -1])
def test_binding_outside_the_range_is_refused(value: int) -> None:
    with pytest.raises(InvalidInput, match="rows must be from 1 to 8"):
        PROGRAM.bind(value)


def test_a_program_without_dimension_binds_to_zero() -> None:
    static = changed(dim=None, inputs=(attrs.evolve(INPUT, shape=(2, 4)),), ops=(attrs.evolve(ADD, shape=(2, 4)),))

    assert static.bind().shapes[2] == (2, 4)
    with pytest.raises(InvalidInput, match="no symbolic dimension"):
        static.bind(1)


def test_job_bytes_are_split_without_a_copy() -> None:
    data = b"\x00\x00\x00\x02" + bytes(range(8))
    bound = PROGRAM.bind_input(data)

    assert [part.tolist() for part in bound.split_input(data)] == [list(range(8))]
    assert [len(part) for part in bound.split_output(bytes(32))] == [32]
    with pytest.raises(EncodingError, match="32 bytes, 31 were given"):
        bound.split_output(bytes(31))
    with pytest.raises(InvalidInput, match="begin with 2"):
        bound.split_input(b"\x00\x00\x00\x03" + bytes(8))


@pytest.mark.parametrize("data", [b"", b"\x00\x00\x00", b"\x00\x00\x00\x02" + bytes(9), b"\xff\xff\xff\xff"])
def test_job_inputs_of_another_length_are_refused(data: bytes) -> None:
    with pytest.raises(InvalidInput):
        PROGRAM.bind_input(data)


@settings(max_examples=50, deadline=None)
@given(st.floats(min_value=0, exclude_min=True, allow_infinity=False))
def test_scales_hold_doubles_exactly(value: float) -> None:
    scale = Scale.from_float(value)

    assert scale.to_float() == value
    assert scale.mantissa % 2 == 1
    changed(outputs=(attrs.evolve(OUTPUT, scale=scale),))


@pytest.mark.parametrize("value", [0.0, -1.0, float("inf"), float("nan")])
def test_other_floats_are_no_scale(value: float) -> None:
    with pytest.raises(ValueError, match="positive finite"):
        Scale.from_float(value)
    assert Scale.none().to_float() == 0.0
