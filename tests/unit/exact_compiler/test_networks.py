"""Encoders, decoders and convolutional networks from ONNX: float import equals ONNX, integers stay close."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import pytest
from onnx.reference import ReferenceEvaluator

from lazai_core.exact.compiler import ImportOptions, QuantizeOptions, compile_onnx
from lazai_core.exact.compiler.float_executor import run_float
from lazai_core.exact.compiler.onnx_import import import_onnx
from lazai_core.exact.compiler.patterns import simplify
from lazai_core.exact.compiler.simulate import run_exact
from tests.unit.exact_compiler import onnx_models
from tests.unit.exact_compiler.onnx_models import POSITIONS, VOCABULARY

OPTIONS = ImportOptions(maximum=POSITIONS)

DECOMPOSED = {"divide", "power", "select", "subtract", "clip", "multiply"}


def tokens(random: np.random.Generator, length: int) -> dict[str, Any]:
    return {"input_ids": random.integers(0, VOCABULARY, (1, length))}


def reference(data: bytes, feed: dict[str, Any]) -> Any:
    ids = feed["input_ids"]
    full = {"attention_mask": np.ones_like(ids), "token_type_ids": np.zeros_like(ids), **feed}
    model = onnx.load_from_string(data)
    return ReferenceEvaluator(model).run(None, {entry.name: full[entry.name] for entry in model.graph.input})[0]


@pytest.mark.parametrize(
    ("data", "causal"),
    [(onnx_models.bert(), False), (onnx_models.gpt2("where"), True), (onnx_models.gpt2("add"), True)],
    ids=["bert", "gpt2-where", "gpt2-add"],
)
def test_transformers(data: bytes, causal: bool) -> None:
    graph = simplify(import_onnx(data, OPTIONS))
    assert graph.symbol is not None
    assert not DECOMPOSED & {node.op for node in graph.nodes}
    assert [node.attributes["causal"] for node in graph.nodes if node.op == "softmax"] == [causal]
    random = np.random.default_rng(7)
    samples = [tokens(random, n) for n in range(2, POSITIONS, 2)]
    narrow = compile_onnx(data, samples, import_options=OPTIONS)
    wide = compile_onnx(data, samples, QuantizeOptions(matmul_bits=14), import_options=OPTIONS)
    assert narrow.report.rescales == wide.report.rescales == 0
    for length in (1, 6, POSITIONS):
        feed = tokens(random, length)
        want = reference(data, feed)
        assert np.abs(run_float(graph, feed)["output_0"] - want).max() < 1e-4
        for compiled, least in ((narrow, 0.985), (wide, 0.998)):
            got = run_exact(compiled, feed)["output_0"]
            assert got.shape == want.shape
            cosine = float((got * want).sum() / np.linalg.norm(got) / np.linalg.norm(want))
            assert cosine > least


def test_a_convolutional_network() -> None:
    data = onnx_models.convolutional()
    graph = simplify(import_onnx(data))
    assert "multiply" not in {node.op for node in graph.nodes}, "batch norm folds into the convolution"
    random = np.random.default_rng(7)
    samples = [{"x": random.standard_normal((1, 2, 8, 8)).astype(np.float32)} for _ in range(40)]
    compiled = compile_onnx(data, samples[:32])
    model = ReferenceEvaluator(onnx.load_from_string(data))
    for sample in samples[32:]:
        want = model.run(None, sample)[0]
        assert np.abs(run_float(graph, sample)["output_0"] - want).max() < 1e-5
        assert np.abs(run_exact(compiled, sample)["output_0"] - want).max() < 0.03 * np.abs(want).max()


def test_matrix_products_read_int8_only() -> None:
    random = np.random.default_rng(7)
    samples = [tokens(random, n) for n in range(2, POSITIONS, 2)]
    program = compile_onnx(onnx_models.bert(), samples, import_options=OPTIONS).program
    for op in program.ops:
        if op.kind == "dense":
            assert program.values[op.operands[0]].dtype.name == "INT8"


@pytest.mark.parametrize("function", ["Tanh", "Sigmoid", "Gelu", "Softplus", "HardSwish", "Elu", "Exp"])
def test_functions_become_tables(function: str) -> None:
    builder = onnx_models.OnnxBuilder(6, opset=20)
    x = builder.input("x", [1, 8])
    builder.output(builder.op(function, x))
    data = builder.build()
    grid = np.linspace(-4, 4, 64, dtype=np.float32).reshape(8, 1, 8)
    compiled = compile_onnx(data, [{"x": row} for row in grid])
    assert [op.kind for op in compiled.program.ops] == ["table"]
    model = ReferenceEvaluator(onnx.load_from_string(data))
    for row in grid:
        want = model.run(None, {"x": row})[0]
        assert np.abs(run_exact(compiled, {"x": row})["output_0"] - want).max() < 0.01 * max(1.0, np.abs(want).max())


def test_rms_norm_clip_slices_and_products() -> None:
    builder = onnx_models.OnnxBuilder(8)
    x = builder.input("x", [1, 4, 8])
    mean = builder.op("ReduceMean", builder.op("Mul", x, x), axes=[-1])
    root = builder.op("Sqrt", builder.op("Add", mean, builder.constant(1e-6)))
    inverse = builder.op("Div", builder.constant(1.0), root)
    normal = builder.op("Mul", builder.op("Mul", x, inverse), builder.weight(8, scale=1.0))
    left, right = builder.op("Split", normal, outputs=2, axis=2)
    gate = builder.op("Mul", builder.op("Sigmoid", left), right)
    clipped = builder.op("Clip", gate, builder.constant(-0.5), builder.constant(0.5))
    picked = builder.op("Gather", clipped, builder.constant([0, 2], np.int64), axis=1)
    builder.output(builder.op("Concat", picked, builder.op("Neg", picked), axis=1))
    data = builder.build()
    random = np.random.default_rng(2)
    samples = [{"x": random.standard_normal((1, 4, 8)).astype(np.float32)} for _ in range(40)]
    compiled = compile_onnx(data, samples[:32])
    assert "layer_norm" in {op.kind for op in compiled.program.ops}
    model = ReferenceEvaluator(onnx.load_from_string(data))
    for sample in samples[32:]:
        want = model.run(None, sample)[0]
        assert np.abs(run_exact(compiled, sample)["output_0"] - want).max() < 0.02
