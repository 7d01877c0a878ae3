"""The demonstration's models: trained or read, compiled to exact programs, and written as model folders."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

from attrs import field, frozen

from lazai_core.api.compute import ModelManifest
from lazai_core.api.types import ModelId

from .models import MANIFEST_NAME, PROGRAM_NAME, TOKENIZER_NAME, write_manifest

if TYPE_CHECKING:
    from lazai_core.exact.model import ExactModel

DIGITS_NAME = "digits"
MINILM_NAME = "minilm"
SHOWN_IMAGE = 7
_SHADES = " .:-=+*#%@"

Progress = Callable[[int, int], None]


@frozen(kw_only=True)
class DemoModel:
    """A model in its folder."""

    name: str
    folder: Path
    digest: ModelId
    model: ExactModel = field(repr=False)


@frozen(kw_only=True)
class Digits:
    """The classifier, how well it and its float original do on held-out images, and one such image."""

    served: DemoModel
    float_accuracy: float
    exact_accuracy: float
    images: int
    pixels: tuple[float, ...] = field(repr=False)
    label: int

    def picture(self) -> list[str]:
        """The held-out image as eight lines of text."""
        rows = (self.pixels[start : start + 8] for start in range(0, 64, 8))
        return ["".join(2 * _SHADES[min(int(value * 9.99), 9)] for value in row) for row in rows]


def make_digits(models: Path) -> Digits:
    """Train on scikit-learn's bundled digits, compile, and compare both on the held-out images.

    Raises BackendUnavailable when scikit-learn is not installed.
    """
    from lazai_core.exact.compiler.compile import compile_onnx
    from lazai_core.exact.models.digits import train_digits

    trained = train_digits()
    compiled = compile_onnx(trained.onnx, trained.calibration())
    right = sum(
        _class_of(compiled, image) == label
        for image, label in zip(trained.test_images, trained.test_labels.tolist(), strict=True)
    )
    manifest = ModelManifest(
        name=DIGITS_NAME,
        kind="tensor",
        program_digest=compiled.program.digest().hex(),
        labels=tuple("0123456789"),
        licence="BSD-3-Clause (data)",
    )
    served = _write_folder(models / DIGITS_NAME, compiled.model, manifest)
    return Digits(
        served=served,
        float_accuracy=trained.float_accuracy,
        exact_accuracy=right / len(trained.test_labels),
        images=len(trained.test_labels),
        pixels=tuple(float(value) for value in trained.test_images[SHOWN_IMAGE]),
        label=int(trained.test_labels[SHOWN_IMAGE]),
    )


def _class_of(compiled: Any, image: Any) -> int:
    from lazai_core.exact.compiler.simulate import run_exact

    return int(run_exact(compiled, {"pixels": image[None, :]})["scores"].argmax())


def make_minilm(models: Path, progress: Progress) -> DemoModel:
    """Compile the packaged MiniLM sentence encoder. Raises BackendUnavailable when the package is not installed."""
    from lazai_core.exact.models.bert import compile_minilm, load_package_files
    from lazai_core.exact.text import FileTokenizer

    source = load_package_files()
    tokenizer = FileTokenizer(source.tokenizer)
    text = files("lazai_core").joinpath("exact", "data", "calibration_sentences.txt").read_text(encoding="utf-8")
    # A quarter of the sentences is enough to show the way, in a quarter of the time.
    sentences = [list(tokenizer.encode(line)) for line in text.splitlines()[::4] if line]
    compiled = compile_minilm(sentences, files=source, progress=progress)
    folder = models / MINILM_NAME
    folder.mkdir(parents=True)
    shutil.copyfile(source.tokenizer, folder / TOKENIZER_NAME)
    dim = compiled.program.dim
    manifest = ModelManifest(
        name=MINILM_NAME,
        kind="embedding",
        program_digest=compiled.program.digest().hex(),
        tokenizer_sha256=hashlib.sha256(source.tokenizer.read_bytes()).hexdigest(),
        tokens_max=0 if dim is None else dim.maximum,
        licence="Apache-2.0",
        owned_by="sentence-transformers",
    )
    return _write_folder(folder, compiled.model, manifest)


def _write_folder(folder: Path, model: ExactModel, manifest: ModelManifest) -> DemoModel:
    from lazai_core.exact.program_file import write_program

    folder.mkdir(parents=True, exist_ok=True)
    write_program(folder / PROGRAM_NAME, model)
    write_manifest(folder / MANIFEST_NAME, manifest)
    return DemoModel(name=manifest.name, folder=folder, digest=model.program.digest(), model=model)
