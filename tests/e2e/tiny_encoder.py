"""A sentence encoder of a few thousand random weights with a tokenizer of a few words, as a model folder."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np

from lazai_core.api.compute import ModelManifest
from lazai_core.exact.compiler.compile import compile_graph
from lazai_core.exact.compiler.options import CompiledModel
from lazai_core.exact.models.bert import BertConfig, bert_graph
from lazai_core.exact.program_file import write_program
from lazai_core.node.models import write_manifest

NAME = "tiny"
TOKENS_MAX = 12
WORDS = ("[UNK]", "a", "the", "sun", "moon", "rises", "sets", "over", "under", "sea", "hill", "and", "quiet", "bright")
CONFIG = BertConfig(hidden=8, layers=1, heads=2, positions=16, epsilon=1e-12)


def write_tiny_encoder(folder: Path) -> CompiledModel:
    """Write program, manifest and tokenizer below `folder`; the program is the same in every run."""
    from tokenizers import Tokenizer, models, pre_tokenizers

    folder.mkdir(parents=True)
    native = Tokenizer(models.WordLevel(dict(zip(WORDS, range(len(WORDS)), strict=True)), unk_token=WORDS[0]))
    native.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer = folder / "tokenizer.json"
    native.save(str(tokenizer))
    compiled = _compile()
    write_program(folder / "program.laz", compiled.model)
    manifest = ModelManifest(
        name=NAME,
        kind="embedding",
        program_digest=compiled.program.digest().hex(),
        tokenizer_sha256=hashlib.sha256(tokenizer.read_bytes()).hexdigest(),
    )
    write_manifest(folder / "manifest.json", manifest)
    return compiled


def _compile() -> CompiledModel:
    random = np.random.default_rng(7)
    hidden, inner = CONFIG.hidden, 2 * CONFIG.hidden
    shapes = {
        "embeddings.word_embeddings": (len(WORDS), hidden),
        "embeddings.position_embeddings": (CONFIG.positions, hidden),
        "embeddings.token_type_embeddings": (2, hidden),
    }
    layer = "encoder.layer.0"
    dense = {f"{layer}.attention.self.{part}": (hidden, hidden) for part in ("query", "key", "value")}
    dense |= {
        f"{layer}.attention.output.dense": (hidden, hidden),
        f"{layer}.intermediate.dense": (inner, hidden),
        f"{layer}.output.dense": (hidden, inner),
    }
    norms = ("embeddings.LayerNorm", f"{layer}.attention.output.LayerNorm", f"{layer}.output.LayerNorm")
    weights = {f"{name}.weight": random.normal(size=shape) for name, shape in (shapes | dense).items()}
    weights |= {f"{name}.bias": random.normal(size=shape[0]) for name, shape in dense.items()}
    weights |= {f"{name}.weight": np.ones(hidden) for name in norms}
    weights |= {f"{name}.bias": np.zeros(hidden) for name in norms}
    graph = bert_graph(weights, CONFIG, sequence_max=TOKENS_MAX)
    sentences = [random.integers(0, len(WORDS), size=length) for length in range(1, TOKENS_MAX + 1)]
    return compile_graph(graph, [{"input_ids": ids} for ids in sentences])
