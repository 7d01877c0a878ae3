"""Model folders: `manifest.json`, `program.laz` and, for text, `tokenizer.json`, checked against each other."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import attrs
from attrs import frozen

from lazai_core.api.compute import ConstantSource, Embedder, ModelManifest
from lazai_core.api.errors import ModelError
from lazai_core.api.program import Program
from lazai_core.api.service import ServedModel
from lazai_core.api.types import ModelId
from lazai_core.exact.model import ExactModel

MANIFEST_NAME, PROGRAM_NAME, TOKENIZER_NAME = "manifest.json", "program.laz", "tokenizer.json"
MANIFEST_BYTES_MAX = 1 << 20
KINDS = ("tensor", "embedding")


@frozen(kw_only=True)
class ModelFolder:
    """A folder that was read and checked."""

    path: Path
    digest: ModelId
    manifest: ModelManifest
    model: ExactModel


class FolderPrograms:
    """`ProgramStore` of model folders."""

    def __init__(self, folders: Sequence[ModelFolder]) -> None:
        self._folders: Mapping[ModelId, ModelFolder] = {folder.digest: folder for folder in folders}

    def program(self, model: ModelId) -> Program | None:
        """The program with this digest."""
        found = self._folders.get(model)
        return None if found is None else found.model.program

    def constants(self, model: ModelId) -> ConstantSource | None:
        """Its constants."""
        found = self._folders.get(model)
        return None if found is None else found.model

    def manifest(self, model: ModelId) -> ModelManifest | None:
        """Its manifest."""
        found = self._folders.get(model)
        return None if found is None else found.manifest

    def models(self) -> Sequence[ModelId]:
        """Digests of all programs, ascending."""
        return sorted(self._folders)


class FolderEmbedder:
    """`Embedder` of a folder; the tokenizer is opened when the first text comes."""

    def __init__(self, folder: ModelFolder) -> None:
        self._folder = folder
        self._lock = threading.Lock()
        self._opened: Embedder | None = None
        program = folder.model.program
        shape = program.values[program.outputs[0].value].shape
        self.dimensions = int(shape[-1])
        self.tokens_max = folder.manifest.tokens_max or (0 if program.dim is None else program.dim.maximum)

    def _open(self) -> Embedder:
        with self._lock:
            if self._opened is None:
                from lazai_core.exact.text import ExactEmbedder, FileTokenizer

                tokenizer = FileTokenizer(self._folder.path / TOKENIZER_NAME)
                self._opened = ExactEmbedder(
                    self._folder.model.program, tokenizer, normalize=self._folder.manifest.normalize
                )
            return self._opened

    def job_input(self, text: str) -> bytes:
        """Job input bytes for one text. Raises OverLimit."""
        return self._open().job_input(text)

    def tokens(self, text: str) -> int:
        """Number of tokens of the text, special tokens included."""
        return self._open().tokens(text)

    def vector(self, output: bytes) -> Sequence[float]:
        """The vector that job output bytes stand for."""
        return self._open().vector(output)


def read_model_folder(path: Path) -> ModelFolder:
    """Read and check a folder. Raises ModelError, EncodingError or StorageError naming the file and the reason."""
    from lazai_core.exact.program_file import read_program

    manifest = read_manifest(path / MANIFEST_NAME)
    model = read_program(path / PROGRAM_NAME)
    digest = model.program.digest()
    if digest.hex() != manifest.program_digest.lower().removeprefix("0x"):
        raise ModelError(
            f"{path / MANIFEST_NAME}: program_digest is {manifest.program_digest}, the program's is {digest.hex()}",
            hint="the manifest belongs to another program, or one of the two was changed",
        )
    if manifest.kind == "embedding":
        _check_tokenizer(path / TOKENIZER_NAME, manifest)
    return ModelFolder(path=path, digest=digest, manifest=manifest, model=model)


def read_manifest(path: Path) -> ModelManifest:
    """Read `manifest.json`. Raises ModelError with every problem."""
    try:
        with path.open("rb") as file:
            data = file.read(MANIFEST_BYTES_MAX + 1)
        table = json.loads(data)
    except OSError as error:
        raise ModelError(
            f"cannot read {path}: {error.strerror}", hint="a model's folder holds manifest.json and program.laz"
        ) from error
    except (ValueError, RecursionError) as error:
        raise ModelError(f"{path}: not JSON: {error}") from error
    if len(data) > MANIFEST_BYTES_MAX or not isinstance(table, dict):
        raise ModelError(f"{path}: expected one JSON object of at most {MANIFEST_BYTES_MAX} bytes")
    problems = list(_manifest_problems(table))
    if problems:
        raise ModelError(f"{path}: " + "; ".join(problems))
    if "labels" in table:
        table["labels"] = tuple(table["labels"])
    return ModelManifest(**table)


def _manifest_problems(table: Mapping[str, Any]) -> Sequence[str]:
    kinds: Mapping[str, type[Any]] = {
        "name": str,
        "kind": str,
        "program_digest": str,
        "tokenizer_sha256": str,
        "tokens_max": int,
        "normalize": bool,
        "labels": list,
        "owned_by": str,
        "licence": str,
        "created": int,
        "metadata": dict,
    }
    assert set(kinds) == {field.name for field in attrs.fields(ModelManifest)}
    problems = [f"unknown key {key!r}" for key in sorted(table.keys() - kinds.keys())]
    problems += [f"{key} is missing" for key in ("name", "kind", "program_digest") if key not in table]
    for key, kind in kinds.items():
        # A JSON true is no number, although Python thinks so.
        if key in table and type(table[key]) is not kind:
            problems.append(f"{key} must be of type {kind.__name__}")
    if not problems and table["kind"] not in KINDS:
        problems.append(f"kind must be one of {', '.join(KINDS)}")
    if not problems and not all(isinstance(label, str) for label in table.get("labels", [])):
        problems.append("labels must be texts")
    return problems


def write_manifest(path: Path, manifest: ModelManifest) -> None:
    """Write `manifest.json`."""
    table = attrs.asdict(manifest)
    table["labels"], table["metadata"] = list(manifest.labels), dict(manifest.metadata)
    path.write_text(json.dumps(table, indent=2, sort_keys=True) + "\n", encoding="utf-8")


def _check_tokenizer(path: Path, manifest: ModelManifest) -> None:
    try:
        found = hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        raise ModelError(
            f"cannot read {path}: {error.strerror}", hint="an embedding model needs its tokenizer"
        ) from error
    if found != manifest.tokenizer_sha256.lower().removeprefix("0x"):
        raise ModelError(
            f"{path}: its SHA-256 is {found}, the manifest says {manifest.tokenizer_sha256 or 'nothing'}",
            hint="another tokenizer gives other tokens, so the digest is pinned",
        )


def served_models(folders: Sequence[ModelFolder]) -> dict[str, ServedModel]:
    """What services offer, by name. Raises ModelError for a name that two folders bear."""
    found: dict[str, ServedModel] = {}
    for folder in folders:
        name = folder.manifest.name
        if name in found:
            raise ModelError(f"{folder.path}: the name {name!r} belongs to another model of this node already")
        found[name] = ServedModel(
            name=name,
            model=folder.digest,
            manifest=folder.manifest,
            program=folder.model.program,
            embedder=FolderEmbedder(folder) if folder.manifest.kind == "embedding" else None,
        )
    return found
