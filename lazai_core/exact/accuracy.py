"""Accuracy of exact programs against their float models: the figures `lazai bench` prints."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from attrs import frozen

if TYPE_CHECKING:
    from lazai_core.exact.compiler.options import QuantizeOptions

Progress = Callable[[int, int], None]


@frozen(kw_only=True)
class DigitsAccuracy:
    """Shares of held-out digits classified correctly, and how often both models give the same answer."""

    images: int
    float_accuracy: float
    exact_accuracy: float
    agreement: float

    @property
    def loss_points(self) -> float:
        """Percentage points lost by the integer program."""
        return 100.0 * (self.float_accuracy - self.exact_accuracy)


def digits_accuracy(progress: Progress | None = None) -> DigitsAccuracy:
    """Train the digits classifier, compile it, and compare both on the held-out images."""
    from lazai_core.exact.compiler.compile import compile_onnx
    from lazai_core.exact.compiler.float_executor import run_float
    from lazai_core.exact.compiler.onnx_import import import_onnx
    from lazai_core.exact.compiler.simulate import run_exact
    from lazai_core.exact.models.digits import train_digits

    digits = train_digits()
    compiled = compile_onnx(digits.onnx, digits.calibration())
    graph = import_onnx(digits.onnx)
    answers = []
    for position, image in enumerate(digits.test_images):
        inputs = {"pixels": image[None, :]}
        exact = int(np.argmax(run_exact(compiled, inputs)["scores"]))
        answers.append((int(np.argmax(run_float(graph, inputs)["scores"])), exact))
        if progress is not None:
            progress(position + 1, len(digits.test_images))
    pairs = list(zip(answers, digits.test_labels.tolist(), strict=True))
    return DigitsAccuracy(
        images=len(pairs),
        float_accuracy=sum(answer[0] == label for answer, label in pairs) / len(pairs),
        exact_accuracy=sum(answer[1] == label for answer, label in pairs) / len(pairs),
        agreement=sum(a == b for a, b in answers) / len(answers),
    )


@frozen(kw_only=True)
class CosineAccuracy:
    """Cosines between exact and float embeddings over a set of sentences."""

    sentences: int
    median: float
    minimum: float
    worst_sentence: str


def summarize_cosines(cosines: Sequence[float], sentences: Sequence[str]) -> CosineAccuracy:
    """Median, minimum and the sentence of the minimum."""
    worst = min(range(len(cosines)), key=cosines.__getitem__)
    return CosineAccuracy(
        sentences=len(cosines),
        median=statistics.median(cosines),
        minimum=cosines[worst],
        worst_sentence=sentences[worst],
    )


def read_sentences(name: str) -> tuple[str, ...]:
    """Lines of `sentences.txt` (evaluation) or `calibration_sentences.txt`; no sentence is in both."""
    from importlib.resources import files

    text = files("lazai_core").joinpath("exact", "data", name).read_text(encoding="utf-8")
    return tuple(line for line in text.splitlines() if line.strip())


def minilm_accuracy(options: QuantizeOptions | None = None, progress: Progress | None = None) -> CosineAccuracy:
    """Compile the packaged MiniLM model and compare its embeddings with the float model's.

    Texts longer than the program's largest sequence are cut there in both. Raises `BackendUnavailable` when the
    package or the tokenizer library is missing.
    """
    from lazai_core.exact.compiler.float_executor import run_float
    from lazai_core.exact.compiler.simulate import run_exact
    from lazai_core.exact.models.bert import SEQUENCE_MAX, compile_minilm, load_minilm_graph, load_package_files
    from lazai_core.exact.text import FileTokenizer

    package = load_package_files()
    tokenizer = FileTokenizer(package.tokenizer)
    calibration = [tokenizer.encode(line)[:SEQUENCE_MAX] for line in read_sentences("calibration_sentences.txt")]
    compiled = compile_minilm(calibration, options, files=package)
    graph = load_minilm_graph(package)
    sentences = read_sentences("sentences.txt")
    cosines = []
    for position, sentence in enumerate(sentences):
        inputs = {"input_ids": np.asarray(tokenizer.encode(sentence)[:SEQUENCE_MAX], dtype=np.int64)}
        exact, real = run_exact(compiled, inputs)["embedding"], run_float(graph, inputs)["embedding"]
        cosines.append(cosine(exact, real))
        if progress is not None:
            progress(position + 1, len(sentences))
    return summarize_cosines(cosines, sentences)


def cosine(left: np.ndarray[Any, Any], right: np.ndarray[Any, Any]) -> float:
    """Cosine of the angle between two vectors; 0 where one of them has no length."""
    lengths = float(np.linalg.norm(left)) * float(np.linalg.norm(right))
    return float(left.astype(np.float64) @ right.astype(np.float64)) / lengths if lengths else 0.0
