"""Broken and hostile ONNX files end in a named error, quickly, and never in anything else."""

from __future__ import annotations

import time
from contextlib import suppress
from typing import Any

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

from lazai_core.api.errors import InvalidInput, LazAIError, ModelError, UnsupportedProgram
from lazai_core.exact.compiler import ImportOptions, compile_onnx
from lazai_core.exact.compiler.onnx_import import import_onnx
from lazai_core.exact.compiler.patterns import simplify
from tests.unit.exact_compiler.onnx_models import OnnxBuilder, bert, gpt2, mlp

BERT = bert()


def changed(edit: Any, data: bytes | None = None) -> bytes:
    model = onnx.load_from_string(data or mlp())
    edit(model)
    return bytes(model.SerializeToString())


def test_truncated_bytes() -> None:
    data = mlp()
    for length in range(0, len(data), 7):
        with pytest.raises(ModelError):
            compile_onnx(data[:length], [{"x": np.zeros((1, 4), np.float32)}])


@settings(max_examples=150, deadline=None)
@given(st.binary(max_size=200))
def test_random_bytes(data: bytes) -> None:
    with pytest.raises(ModelError):
        import_onnx(data)


@settings(max_examples=150, deadline=None)
@given(st.sampled_from([BERT, mlp(), gpt2()]), st.lists(st.tuples(st.integers(0, 1 << 20), st.integers(0, 255))))
def test_flipped_bytes_end_in_a_model_or_a_named_error(data: bytes, flips: list[tuple[int, int]]) -> None:
    mutable = bytearray(data)
    for position, value in flips:
        mutable[position % len(mutable)] = value
    with suppress(LazAIError):
        simplify(import_onnx(bytes(mutable), ImportOptions(maximum=16)))


def test_a_cycle_is_named() -> None:
    def edit(model: Any) -> None:
        model.graph.node[0].input[0] = model.graph.node[1].output[0]

    with pytest.raises(ModelError, match=r"n0_Gemm.*cycle"):
        import_onnx(changed(edit))


def test_an_undefined_value_is_named() -> None:
    def edit(model: Any) -> None:
        model.graph.node[1].input[0] = "nowhere"

    with pytest.raises(ModelError, match=r"n1_Relu.*'nowhere' is never defined"):
        import_onnx(changed(edit))


def test_a_value_defined_twice_is_named() -> None:
    def edit(model: Any) -> None:
        model.graph.node[1].output[0] = model.graph.node[0].output[0]

    with pytest.raises(ModelError, match="defined twice"):
        import_onnx(changed(edit))


def test_an_unknown_operation_is_named() -> None:
    builder = OnnxBuilder()
    builder.output(builder.op("Bernoulli", builder.input("x", [1, 4])))
    with pytest.raises(UnsupportedProgram, match=r"'n0_Bernoulli' \(Bernoulli\)"):
        import_onnx(builder.build())


def test_an_unknown_attribute_is_named() -> None:
    builder = OnnxBuilder()
    builder.output(builder.op("Relu", builder.input("x", [1, 4]), slope=2))
    with pytest.raises(UnsupportedProgram, match=r"n0_Relu.*'slope'"):
        import_onnx(builder.build())


def test_a_foreign_operator_domain_is_named() -> None:
    def edit(model: Any) -> None:
        model.graph.node[0].domain = "com.microsoft"

    with pytest.raises(UnsupportedProgram, match=r"n0_Gemm.*com\.microsoft"):
        import_onnx(changed(edit))


def test_external_data_is_refused() -> None:
    def edit(model: Any) -> None:
        tensor = model.graph.initializer[0]
        tensor.data_location = TensorProto.EXTERNAL
        tensor.external_data.add(key="location", value="../../etc/passwd")

    with pytest.raises(UnsupportedProgram, match="another file"):
        import_onnx(changed(edit))


@pytest.mark.parametrize("dims", [[1 << 40, 1 << 40], [-1, 4], [1 << 62], [3]])
def test_a_tensor_that_lies_about_its_shape(dims: list[int]) -> None:
    def edit(model: Any) -> None:
        del model.graph.initializer[0].dims[:]
        model.graph.initializer[0].dims.extend(dims)

    with pytest.raises(ModelError, match="initializer 'c0'"):
        import_onnx(changed(edit))


def test_a_nan_weight_is_refused() -> None:
    def edit(model: Any) -> None:
        weight = numpy_helper.from_array(np.full((4, 8), np.nan, np.float32), "c0")
        model.graph.initializer[0].CopyFrom(weight)

    with pytest.raises(ModelError, match=r"'c0'.*NaN"):
        import_onnx(changed(edit))


@pytest.mark.parametrize("op", ["ConstantOfShape", "Expand", "Tile", "Range"])
def test_constants_may_not_explode(op: str) -> None:
    builder = OnnxBuilder()
    x = builder.input("x", [1, 4])
    huge = builder.ints(1 << 30, 1 << 30)
    inputs = {
        "ConstantOfShape": [huge],
        "Expand": [builder.constant(1.0), huge],
        "Tile": [builder.constant(np.ones((1, 1))), huge],
        "Range": [builder.constant(0, np.int64), builder.constant(1 << 60, np.int64), builder.constant(1, np.int64)],
    }[op]
    builder.output(builder.op("Add", x, builder.op("Cast", builder.op(op, *inputs), to=1)))
    started = time.monotonic()
    with pytest.raises(ModelError, match=op):
        import_onnx(builder.build())
    assert time.monotonic() - started < 60


def test_huge_activations_are_refused() -> None:
    builder = OnnxBuilder()
    left, right = builder.input("x", [1 << 23, 1]), builder.input("y", [1, 1 << 23])
    builder.output(builder.op("Add", left, right))
    with pytest.raises(UnsupportedProgram, match=r"n0_Add.*elements"):
        import_onnx(builder.build())


def test_control_flow_is_refused_by_name() -> None:
    branch = helper.make_graph([], "branch", [], [])
    builder = OnnxBuilder()
    x = builder.input("x", [1, 4])
    builder.output(builder.op("If", x, then_branch=branch, else_branch=branch))
    with pytest.raises(UnsupportedProgram, match="n0_If"):
        import_onnx(builder.build())


def test_two_free_dimensions_are_refused() -> None:
    builder = OnnxBuilder()
    builder.output(builder.op("Relu", builder.input("x", [1, "height", "width"])))
    with pytest.raises(UnsupportedProgram, match="height, width"):
        import_onnx(builder.build())
    graph = import_onnx(builder.build(), ImportOptions(bound_dimensions={"height": 3}))
    assert graph.shapes["x"] == (1, 3, -1)


def test_leftover_parts_of_patterns_are_named() -> None:
    builder = OnnxBuilder()
    x = builder.input("x", [1, 4])
    builder.output(builder.op("Div", x, builder.op("Add", x, builder.constant(3.0))))
    with pytest.raises(UnsupportedProgram, match=r"n1_Div.*divide"):
        compile_onnx(builder.build(), [{"x": np.ones((1, 4), np.float32)}])


def test_calibration_must_fit() -> None:
    with pytest.raises(InvalidInput, match="at least one sample"):
        compile_onnx(mlp(), [])
    with pytest.raises(InvalidInput, match="'x' is missing"):
        compile_onnx(mlp(), [{}])
    with pytest.raises(InvalidInput, match="shape"):
        compile_onnx(mlp(), [{"x": np.zeros((1, 5), np.float32)}])
    with pytest.raises(InvalidInput, match="not finite"):
        compile_onnx(mlp(), [{"x": np.full((1, 4), np.inf, np.float32)}])


SAMPLES = {
    "bert": [{"input_ids": np.array([list(range(n))])} for n in (3, 9)],
    "mlp": [{"x": np.linspace(-1, 1, 4, dtype=np.float32)[None] * k} for k in (1, 2)],
}


def damage(data: bytes, kind: int, place: int, value: int) -> bytes:
    """One structural fault: a rewired, retyped, shortened or reordered node, or a changed constant."""
    model = onnx.load_from_string(data)
    nodes, tensors = model.graph.node, model.graph.initializer
    node, tensor = nodes[place % len(nodes)], tensors[place % len(tensors)]
    names = [name for entry in nodes for name in entry.output] + [entry.name for entry in tensors] + [""]
    if kind == 0 and node.input:
        node.input[value % len(node.input)] = names[(place + value) % len(names)]
    elif kind == 1:
        node.op_type = nodes[value % len(nodes)].op_type
    elif kind == 2 and node.attribute:
        node.attribute[0].i = value - 100
        if node.attribute[0].ints:
            node.attribute[0].ints[0] = value - 100
    elif kind == 3 and node.input:
        del node.input[value % len(node.input) :]
    elif kind == 4 and tensor.raw_data:
        array = numpy_helper.to_array(tensor).copy().reshape(-1)
        array[value % array.size] = {"f": 1e30, "i": -7, "b": True}[array.dtype.kind]
        tensor.raw_data = array.tobytes()
    return bytes(model.SerializeToString())


@settings(max_examples=120, deadline=None)
@given(st.sampled_from(["bert", "mlp"]), st.integers(0, 4), st.integers(0, 1 << 16), st.integers(0, 200))
def test_damaged_graphs_end_in_a_program_or_a_named_error(name: str, kind: int, place: int, value: int) -> None:
    data = damage(BERT if name == "bert" else mlp(), kind, place, value)
    with suppress(LazAIError):
        compile_onnx(data, SAMPLES[name], import_options=ImportOptions(maximum=16))
