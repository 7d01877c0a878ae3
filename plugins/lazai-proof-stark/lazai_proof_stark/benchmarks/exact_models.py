"""All benchmark models by name, ready to prove, with the bars the project holds itself to."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
from attrs import field, frozen

from lazai_core.exact.model import ExactModel

KIB, MIB, GIB = 1 << 10, 1 << 20, 1 << 30
MINILM_TOKENS = 32
SENTENCES = 24


@frozen(kw_only=True)
class Bar:
    """Upper bounds on two quiet cores."""

    prove_seconds: float
    verify_seconds: float
    proof_bytes: int
    memory_bytes: int


@frozen(kw_only=True)
class Prepared:
    """A model with one job input. `onnx` is there for models that peers can run, with their float input."""

    name: str
    model: ExactModel = field(repr=False)
    job_input: bytes = field(repr=False)
    parameters: int
    onnx: bytes = field(default=b"", repr=False)
    sample: tuple[float, ...] = field(default=(), repr=False)


BARS: Mapping[str, Bar] = {
    "mlp_784": Bar(prove_seconds=0.05, verify_seconds=0.010, proof_bytes=200 * KIB, memory_bytes=GIB),
    "lenet_max": Bar(prove_seconds=0.1, verify_seconds=0.015, proof_bytes=300 * KIB, memory_bytes=GIB),
    "cnn_264k": Bar(prove_seconds=0.3, verify_seconds=0.030, proof_bytes=400 * KIB, memory_bytes=2 * GIB),
    "dense_4m": Bar(prove_seconds=0.5, verify_seconds=0.030, proof_bytes=400 * KIB, memory_bytes=2 * GIB),
    "tf1_gelu": Bar(prove_seconds=0.5, verify_seconds=0.050, proof_bytes=600 * KIB, memory_bytes=2 * GIB),
    "minilm_32": Bar(prove_seconds=6.0, verify_seconds=0.2, proof_bytes=2 * MIB, memory_bytes=8 * GIB),
    "gpt2_small": Bar(prove_seconds=8.0, verify_seconds=0.5, proof_bytes=4 * MIB, memory_bytes=12 * GIB),
}


def _float_maker(name: str) -> Callable[[], Prepared]:
    def make() -> Prepared:
        from ..model_files import compile_model, job_input_of
        from .float_models import float_model

        source = float_model(name)
        model = compile_model(source.onnx, source.samples)
        flat = source.sample.reshape(-1)
        return Prepared(
            name=name,
            model=model,
            job_input=job_input_of(model, [flat]),
            parameters=source.parameters,
            onnx=source.onnx,
            sample=tuple(float(value) for value in flat),
        )

    return make


def _minilm() -> Prepared:
    """The packaged sentence encoder on 32 tokens. Raises BackendUnavailable without the package."""
    from importlib.resources import files

    from lazai_core.exact.codec import encode_inputs
    from lazai_core.exact.models.bert import compile_minilm, load_package_files
    from lazai_core.exact.text import FileTokenizer

    package = load_package_files()
    tokenizer = FileTokenizer(package.tokenizer)
    text = files("lazai_core.exact.data").joinpath("calibration_sentences.txt").read_text(encoding="utf-8")
    sentences = [line for line in text.splitlines() if line.strip()][:SENTENCES]
    model = compile_minilm([tokenizer.encode(line) for line in sentences], files=package).model
    tokens = np.array(list(tokenizer.encode(" ".join(sentences)))[:MINILM_TOKENS], dtype=np.int64)
    return Prepared(
        name="minilm_32",
        model=model,
        job_input=encode_inputs(model.program, [tokens]),
        parameters=sum(array.size for array in model.constants),
    )


def _decoder_maker(name: str) -> Callable[[], Prepared]:
    def make() -> Prepared:
        from .decoder import GPT2_SMALL, GPT2_TINY, decoder, decoder_input

        shape = {"gpt2_small": GPT2_SMALL, "gpt2_tiny": GPT2_TINY}[name]
        model = decoder(shape)
        return Prepared(
            name=name,
            model=model,
            job_input=decoder_input(model, shape),
            parameters=sum(array.size for array in model.constants),
        )

    return make


MODELS: Mapping[str, Callable[[], Prepared]] = {
    "mlp_tiny": _float_maker("mlp_tiny"),
    "mlp_784": _float_maker("mlp_784"),
    "lenet_max": _float_maker("lenet_max"),
    "cnn_264k": _float_maker("cnn_264k"),
    "dense_4m": _float_maker("dense_4m"),
    "tf1_relu": _float_maker("tf1_relu"),
    "tf1_gelu": _float_maker("tf1_gelu"),
    "gpt2_tiny": _decoder_maker("gpt2_tiny"),
    "minilm_32": _minilm,
    "gpt2_small": _decoder_maker("gpt2_small"),
}
SMALL = ("mlp_tiny", "mlp_784", "lenet_max", "cnn_264k", "dense_4m", "tf1_relu", "tf1_gelu")
"""Run by default: each is compiled and proved within seconds."""
SECONDS_FOR_LARGE: Mapping[str, float] = {"minilm_32": 60.0, "gpt2_small": 300.0}
"""Time budgets from which the large ones are run by default."""
