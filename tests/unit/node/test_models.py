"""Model folders: every file is held to the others, and every problem names the file."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
from attrs import evolve

from lazai_core.api.compute import ModelManifest
from lazai_core.api.errors import EncodingError, LazAIError, ModelError, StorageError
from lazai_core.exact.program_file import write_program
from lazai_core.node.models import FolderPrograms, read_manifest, read_model_folder, served_models, write_manifest
from lazai_core.testing.samples import perceptron, token_mixer

SAMPLE = perceptron()
DIGEST = SAMPLE.model.program.digest()
MANIFEST = ModelManifest(
    name="small", kind="tensor", program_digest=DIGEST.hex(), labels=("a", "b"), metadata={"k": "v"}
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_program(tmp_path / "program.laz", SAMPLE.model)
    write_manifest(tmp_path / "manifest.json", MANIFEST)
    return tmp_path


def test_a_folder_gives_program_constants_and_manifest(folder: Path) -> None:
    read = read_model_folder(folder)
    programs = FolderPrograms([read])

    assert read.manifest == MANIFEST
    assert programs.models() == [DIGEST]
    assert programs.program(DIGEST) == SAMPLE.model.program
    constants = programs.constants(DIGEST)
    assert constants is not None
    for index in range(len(SAMPLE.model.constants)):
        assert constants.constant(index) == SAMPLE.model.constant(index)
    absent = type(DIGEST)(bytes(32))
    assert programs.program(absent) is programs.constants(absent) is programs.manifest(absent) is None


def test_another_programs_manifest_is_refused(folder: Path) -> None:
    write_manifest(folder / "manifest.json", evolve(MANIFEST, program_digest="00" * 32))

    with pytest.raises(ModelError, match=r"program_digest is 0000.*the program's is " + DIGEST.hex()):
        read_model_folder(folder)


def test_a_changed_program_is_refused(folder: Path) -> None:
    data = bytearray((folder / "program.laz").read_bytes())
    data[-1] ^= 1
    (folder / "program.laz").write_bytes(data)

    with pytest.raises(EncodingError, match=r"program\.laz"):
        read_model_folder(folder)


@pytest.mark.parametrize("name", ["manifest.json", "program.laz"])
def test_an_absent_file_is_named(folder: Path, name: str) -> None:
    (folder / name).unlink()

    with pytest.raises((ModelError, StorageError), match=name.replace(".", r"\.")):
        read_model_folder(folder)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"name": 7}, "name must be of type str"),
        ({"normalize": 1}, "normalize must be of type bool"),
        ({"tokens_max": True}, "tokens_max must be of type int"),
        ({"kind": "other"}, "kind must be one of"),
        ({"colour": "red"}, "unknown key 'colour'"),
        ({"labels": [1]}, "labels must be texts"),
        ({"kind": None}, "kind must be of type str"),
    ],
)
def test_a_wrong_manifest_says_what_is_wrong(folder: Path, change: dict[str, Any], said: str) -> None:
    path = folder / "manifest.json"
    table = json.loads(path.read_text())
    path.write_text(json.dumps({**table, **change}))

    with pytest.raises(ModelError, match=said):
        read_manifest(path)


@pytest.mark.parametrize("content", [b"", b"[1]", b"\xff\xfe", b"{" * 100_000, b'{"name": "x"}', b"null"])
def test_bytes_that_are_no_manifest_are_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "manifest.json"
    path.write_bytes(content)

    with pytest.raises(ModelError, match=r"manifest\.json"):
        read_manifest(path)


def test_an_embedding_models_tokenizer_is_pinned(tmp_path: Path) -> None:
    sample = token_mixer()
    write_program(tmp_path / "program.laz", sample.model)
    (tmp_path / "tokenizer.json").write_bytes(b"{}")
    manifest = ModelManifest(name="mixer", kind="embedding", program_digest=sample.model.program.digest().hex())

    write_manifest(tmp_path / "manifest.json", manifest)
    with pytest.raises(ModelError, match="the manifest says nothing"):
        read_model_folder(tmp_path)
    pinned = evolve(manifest, tokenizer_sha256=hashlib.sha256(b"{}").hexdigest())
    write_manifest(tmp_path / "manifest.json", pinned)
    served = served_models([read_model_folder(tmp_path)])["mixer"]
    assert served.embedder is not None
    # The tokenizer is opened late, and what is wrong with it is still told.
    with pytest.raises(LazAIError, match="tokenizer"):
        served.embedder.tokens("hello")


def test_two_models_of_one_name_are_refused(folder: Path) -> None:
    read = read_model_folder(folder)

    with pytest.raises(ModelError, match="'small' belongs to another model"):
        served_models([read, read])
