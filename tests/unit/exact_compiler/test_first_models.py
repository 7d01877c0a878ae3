"""Small networks compile, and the integer program stays close to the float model."""

from __future__ import annotations

import numpy as np

from lazai_core.exact.compiler import QuantizeOptions, compile_onnx
from lazai_core.exact.compiler.float_executor import run_float
from lazai_core.exact.compiler.onnx_import import import_onnx
from lazai_core.exact.compiler.simulate import run_exact
from tests.unit.exact_compiler.onnx_models import mlp


def samples(count: int, width: int, seed: int = 3) -> list[dict[str, np.ndarray]]:
    random = np.random.default_rng(seed)
    return [{"x": random.uniform(-1, 1, (1, width)).astype(np.float32)} for _ in range(count)]


def test_an_mlp_is_close_to_its_float_model() -> None:
    data = mlp()
    compiled = compile_onnx(data, samples(64, 4))
    assert [op.kind for op in compiled.program.ops] == ["dense", "requantize"] * 2
    graph = import_onnx(data)
    for sample in samples(8, 4, seed=9):
        want = run_float(graph, sample)["output_0"]
        got = run_exact(compiled, sample)["output_0"]
        assert np.abs(want - got).max() <= 0.05 * max(1.0, np.abs(want).max())


def test_wider_activations_are_more_exact() -> None:
    data = mlp((16, 32, 8))
    graph = import_onnx(data)
    errors = []
    for bits in (8, 14):
        compiled = compile_onnx(data, samples(32, 16), QuantizeOptions(matmul_bits=bits))
        pairs = [(run_float(graph, s)["output_0"], run_exact(compiled, s)["output_0"]) for s in samples(8, 16, seed=5)]
        errors.append(np.mean([np.abs(want - got).mean() for want, got in pairs]))
    assert errors[1] < errors[0]


def test_compilation_is_deterministic() -> None:
    digests = {compile_onnx(mlp(), samples(4, 4)).program.digest() for _ in range(2)}
    assert len(digests) == 1
